//! Batches on a simulated machine: controllers come, die and come again, workers crash and hang, answers
//! are lost and late, the ledger and the disk fail, the clock jumps, and somebody else writes files. A
//! seed decides all of it, so that what goes wrong once goes wrong again.
//!
//! What has to hold whatever scheduled:
//! - no output is published twice, and nothing is published that the ledger doesn't promise under the
//!   lease of whoever publishes it;
//! - no job is lost: at the end each has a result, and it failed only if something was done to it;
//! - somebody else's file stays, unless it was said that it may be replaced;
//! - nothing is announced before the ledger has it;
//! - every batch ends when the trouble does, and leaves no hidden files.

mod controllers;
mod files;
mod hands;
pub(super) mod ledger;
mod machine;
mod random;
mod rules;
mod seeds;
mod trouble;
mod workers;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tempfile::TempDir;

use super::{Aside, Input, Options};
use crate::job::{IfExists, Job};
use crate::journal::contract::Backend;
use crate::journal::{Ledger, Planned, recover};

use crate::store::Store;
use crate::worker::limits::Limits;
use controllers::Controller;
use files::Disk;
use ledger::{FaultInjection, Unreliable};
use machine::{Rates, Scheduled, Shared, machine};
use random::Random;

/// When the trouble ends.
const CALM: Duration = Duration::from_secs(120);
/// When all has to be over: the longest limits of a worker are ten minutes, several times.
const END: Duration = Duration::from_secs(4 * 3600);
/// The most steps of a run, for one that goes round in circles.
const MOST_STEPS: u32 = 20_000;

/// What a run came to.
#[derive(Debug, Default)]
struct Report {
    faults: Vec<String>,
    log: Vec<String>,
    steps: u32,
    starts: usize,
    commits: u64,
    done: u64,
    failed: u64,
}

struct Simulation<B: Backend> {
    machine: Shared,
    disk: Rc<RefCell<Disk>>,
    backend: Rc<B>,
    clock: Rc<Cell<f64>>,
    injection: Rc<FaultInjection>,
    random: Random,
    jobs: Vec<Planned>,
    options: Options,
    controllers: BTreeMap<usize, Controller<B>>,
    starts: usize,
    batch: i64,
    told: Rc<RefCell<Vec<String>>>,
    /// Sees the ledger as it is.
    oracle: Rc<B::Ledger>,
    is_calm: bool,
    jumps: f64,
    /// Somebody was taken for dead: its worker keeps a hidden file until it ends, and nobody is left to
    /// remove that but the next job for the output, or `lipflow prune`.
    is_suspected: bool,
    _folder: Option<TempDir>,
}

fn planned(index: usize, if_exists: IfExists) -> Planned {
    let output = PathBuf::from(format!("/out/{index}.mp4"));
    // Two jobs have one face.
    let face = format!("/in/f{}.mp4", index / 2);
    let job: Job = serde_json::from_value(serde_json::json!({
        "face": face, "speech": "/in/s.wav", "output": output,
        "template": "file", "parameters": [], "end_mode": "speech", "loop_mode": null,
        "if_exists": "refuse", "stuck_after": {"secs": 5, "nanos": 0}, "graph": null,
        "dry_run": false
    }))
    .unwrap();
    Planned {
        job: Job {
            if_exists,
            // Now and then one that its worker can't do as it is.
            parameters: match index {
                4 => vec![("to".into(), "rtmp://host".into())],
                _ => Vec::new(),
            },
            ..job
        },
        output,
    }
}

impl<B: Backend + 'static> Simulation<B> {
    fn new(seed: u64, with_folder: bool, keeps_log: bool) -> Self {
        let mut random = Random::new(seed);
        let disk: Rc<RefCell<Disk>> = Rc::default();
        let machine = machine(Random::new(seed ^ 0xabcd), disk.clone());
        let mut rates = Rates::default();
        // One kind of trouble shows more clearly without the others.
        let mut rate = |most| match random.below(3) {
            0 => 0,
            _ => random.below(most),
        };
        rates.worker_dies = rate(60);
        rates.worker_hangs = rate(15);
        rates.job_hangs = rate(15);
        rates.job_fails = rate(60);
        rates.answer_lost = rate(20);
        rates.answer_again = rate(60);
        rates.hire_fails = rate(150);
        rates.interference = rate(100);
        let injection = FaultInjection {
            failures: Cell::new(rate(60)),
            ..FaultInjection::default()
        };
        *injection.random.borrow_mut() = Some(Random::new(seed ^ 0x1234));
        let count = random.between(1, 6) as usize;
        let mut jobs = Vec::new();
        for index in 0..count {
            let if_exists = match random.below(10) {
                0 => IfExists::Skip,
                1 => IfExists::Overwrite,
                _ => IfExists::Refuse,
            };
            let job = planned(index, if_exists);
            if if_exists == IfExists::Overwrite {
                disk.borrow_mut().replaceable.insert(job.output.clone());
            }
            jobs.push(job);
        }
        {
            let mut machine = machine.borrow_mut();
            machine.rates = rates;
            machine.same_bytes = random.permille(500);
            machine.log = keeps_log.then(Vec::new);
            if random.permille(150) {
                machine.poison.insert(jobs[0].output.clone());
                machine.excused.insert(jobs[0].output.clone());
            }
        }
        let clock = Rc::new(Cell::new(1.8e9));
        let folder = with_folder.then(|| tempfile::tempdir().unwrap());
        let place = folder.as_ref().map_or("/".as_ref(), |f| f.path());
        let backend = Rc::new(B::new(place, clock.clone()));
        let oracle = Rc::new(backend.ledger());
        let options = Options {
            workers: random.between(1, 3) as usize,
            jobs_per_worker: random.between(1, 2) as usize,
            attempts: random.between(1, 4) as u32,
            min_free: 1 << 20,
            threads: None,
            limits: Limits {
                memory: None,
                no_network: true,
                own_files: true,
            },
        };
        Self {
            machine,
            disk,
            backend,
            clock,
            injection: Rc::new(injection),
            random,
            jobs,
            options,
            controllers: BTreeMap::new(),
            starts: 0,
            batch: 0,
            told: Rc::default(),
            oracle,
            is_calm: false,
            jumps: 0.0,
            is_suspected: false,
            _folder: folder,
        }
    }

    fn fault(&self, text: String) {
        self.told.borrow_mut().push(text);
    }

    fn happen(&mut self, scheduled: Scheduled) {
        match scheduled {
            Scheduled::FirstWord(key) => self.machine.borrow_mut().first_word(key),
            Scheduled::Alive(key) => self.machine.borrow_mut().alive(key),
            Scheduled::Step(key, lease) => self.machine.borrow_mut().step(key, lease),
            Scheduled::Ends(key) => self.machine.borrow_mut().ends_at_last(key),
            Scheduled::Outside(kind) => self.outside(kind),
            Scheduled::Aside(controller, number) => {
                let task = self.machine.borrow_mut().asides.remove(&number);
                let store = self.machine.borrow().store.clone();
                if !self.controllers.contains_key(&controller) {
                    return;
                }
                let input = match task {
                    Some(Aside::Check {
                        lease,
                        output,
                        sha256,
                    }) => Input::Checked(lease, store.is_of(&output, &sha256)),
                    Some(Aside::Recover) => {
                        let ledger = Unreliable {
                            inner: self.backend.ledger(),
                            injection: self.injection.clone(),
                        };
                        let count = recover(&ledger, &store);
                        self.backend.die(ledger.inner);
                        Input::Recovered(count)
                    }
                    None => return,
                };
                let mut machine = self.machine.borrow_mut();
                machine.tell(controller, Duration::ZERO, input);
            }
        }
        self.check_publishes();
    }

    /// The trouble is over; what goes on now has to end.
    fn calm(&mut self) {
        self.is_calm = true;
        self.injection.is_out.set(false);
        self.injection.failures.set(0);
        {
            let mut disk = self.disk.borrow_mut();
            (disk.is_full, disk.is_gone) = (false, false);
        }
        let mut machine = self.machine.borrow_mut();
        machine.log(|| "calm".into());
        machine.rates = Rates::default();
    }

    fn run(mut self) -> Report {
        let mut report = Report::default();
        self.start(false);
        let events = self.random.between(0, 25);
        for _ in 0..events {
            let kind = match self.random.below(18) {
                13 | 14 => 12,
                15 | 16 => 13,
                17 => 14,
                kind => kind as usize,
            };
            let at = self.random.ms(0, CALM.as_millis() as u64);
            self.machine.borrow_mut().at(at, Scheduled::Outside(kind));
        }
        let mut last = None;
        loop {
            report.steps += 1;
            let now = self.machine.borrow().now;
            if !self.is_calm && now >= CALM {
                self.calm();
            }
            if report.steps > MOST_STEPS || now > END {
                let says = self.says();
                self.fault(format!("it does not end: {says}"));
                break;
            }
            if self.controllers.is_empty() {
                let counts = self.oracle.counts(self.batch).unwrap();
                let is_over = self.is_calm && last.is_some() && counts.open() == 0;
                let is_busy = self.machine.borrow().is_busy();
                match is_busy {
                    true => {}
                    false if is_over => break,
                    false if self.is_calm => self.start(false),
                    false => {}
                }
            }
            let next = self.machine.borrow().next_time();
            let wake = self.controllers.iter().map(|(name, c)| {
                let machine = self.machine.borrow();
                let due = machine.inbox.get(name).and_then(|inbox| inbox.front());
                let due = due.map_or(c.wake, |(due, _)| (*due).max(now).min(c.wake));
                (due, *name)
            });
            let wake = wake.min();
            match (next, wake) {
                (Some(time), wake) if wake.is_none_or(|(at, _)| time <= at) => {
                    self.set_time(time);
                    let scheduled = self.machine.borrow_mut().pop();
                    scheduled
                        .into_iter()
                        .for_each(|scheduled| self.happen(scheduled));
                }
                (_, Some((at, name))) => {
                    self.set_time(at);
                    last = self.step(name).or(last);
                }
                (_, None) => {
                    // Nothing happens any more.
                    let at = self.machine.borrow().now + Duration::from_secs(1);
                    self.set_time(at.max(CALM));
                }
            }
        }
        self.check_end(&mut report);
        report.faults.append(&mut self.disk.borrow_mut().faults);
        report.faults.append(&mut self.told.borrow_mut());
        report
            .faults
            .append(&mut self.injection.faults.borrow_mut());
        report.log = self.machine.borrow_mut().log.take().unwrap_or_default();
        report.starts = self.starts;
        report.commits = self.disk.borrow().commits;
        report
    }

    fn set_time(&mut self, time: Duration) {
        let mut machine = self.machine.borrow_mut();
        machine.now = machine.now.max(time);
        self.clock
            .set(1.8e9 + self.jumps + machine.now.as_secs_f64());
    }
}
