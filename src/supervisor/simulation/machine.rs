//! One machine: its time, what is to happen when, and who talks to whom.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::files::{Disk, SimulatedStore};
use super::random::Random;
use super::workers::Process;
use crate::journal::Lease;
use crate::supervisor::{Aside, Input};
use crate::worker::protocol::Answer;

/// How often what goes wrong, in a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    pub worker_dies: u64,
    pub worker_hangs: u64,
    pub job_hangs: u64,
    pub job_fails: u64,
    pub answer_lost: u64,
    /// A worker says something twice.
    pub answer_again: u64,
    pub hire_fails: u64,
    /// Somebody else puts a file where an output is about to be.
    pub interference: u64,
}

/// A worker, by its controller and its serial number.
pub type Key = (usize, u64);

/// What happens at its time.
#[derive(Clone, Debug, PartialEq)]
pub enum Scheduled {
    FirstWord(Key),
    Alive(Key),
    /// The job does its next step.
    Step(Key, Lease),
    /// What was killed ends.
    Ends(Key),
    /// Of a task that needs no worker.
    Aside(usize, u64),
    /// Of the world around: see `super`.
    Outside(usize),
}

/// One machine, as far as it isn't the disk.
pub struct Machine {
    pub now: Duration,
    pub(super) base: Instant,
    pub random: Random,
    pub rates: Rates,
    pub store: SimulatedStore,
    queue: BTreeMap<(Duration, u64), Scheduled>,
    pub(super) next: u64,
    pub(super) workers: BTreeMap<Key, Process>,
    /// Of each controller: what comes in, and when.
    pub inbox: BTreeMap<usize, VecDeque<(Duration, Input)>>,
    pub asides: BTreeMap<u64, Aside>,
    /// Jobs that kill the worker that they are in.
    pub poison: BTreeSet<PathBuf>,
    /// Outputs of jobs to which something was done that may have made them fail.
    pub excused: BTreeSet<PathBuf>,
    /// What jobs come to, which changes when somebody edits an input.
    pub version: u32,
    /// A digest is of the content and not of the attempt.
    pub same_bytes: bool,
    /// Asked when an output gets its name: job and digest.
    pub publishes: Rc<RefCell<Vec<(i64, String, PathBuf)>>>,
    pub log: Option<Vec<String>>,
}

pub type Shared = Rc<RefCell<Machine>>;

pub fn machine(random: Random, disk: Rc<RefCell<Disk>>) -> Shared {
    Rc::new_cyclic(|own: &Weak<RefCell<Machine>>| {
        let own = own.clone();
        let store = SimulatedStore {
            disk,
            end_writers: Rc::new(move |output| {
                if let Some(machine) = own.upgrade() {
                    end_writers(&machine, output);
                }
            }),
        };
        RefCell::new(Machine {
            now: Duration::ZERO,
            base: Instant::now(),
            random,
            rates: Rates::default(),
            store,
            queue: BTreeMap::new(),
            next: 0,
            workers: BTreeMap::new(),
            inbox: BTreeMap::new(),
            asides: BTreeMap::new(),
            poison: BTreeSet::new(),
            excused: BTreeSet::new(),
            version: 1,
            same_bytes: false,
            publishes: Rc::default(),
            log: None,
        })
    })
}

/// Those that are dying and write the output come to their end: the lock of their file is free then.
fn end_writers(machine: &Shared, output: &Path) {
    let mut machine = machine.borrow_mut();
    // Of a controller that lives after all.
    let mut writing = Vec::new();
    for (key, process) in &machine.workers {
        for (lease, running) in &process.jobs {
            if running.may_publish && running.spec.output.as_deref() == Some(output) {
                writing.push((*key, *lease));
            }
        }
    }
    for (key, lease) in writing {
        machine.step(key, lease);
    }
    // Those that die of it, too.
    let dying: Vec<_> = machine
        .workers
        .iter()
        .filter(|(_, process)| process.is_dying)
        .filter(|(_, process)| {
            let mut jobs = process.jobs.values();
            jobs.any(|job| job.spec.output.as_deref() == Some(output))
        })
        .map(|(key, _)| *key)
        .collect();
    for key in dying {
        machine.ends(key);
    }
}

impl Machine {
    pub fn log(&mut self, text: impl FnOnce() -> String) {
        let now = self.now.as_millis();
        if let Some(log) = &mut self.log {
            log.push(format!("{now:>9} ms  {}", text()));
        }
    }

    pub fn at(&mut self, time: Duration, scheduled: Scheduled) {
        self.next += 1;
        self.queue.insert((time, self.next), scheduled);
    }

    pub fn after(&mut self, from: u64, to: u64, scheduled: Scheduled) {
        let time = self.now + self.random.ms(from, to);
        self.at(time, scheduled);
    }

    pub fn next_time(&self) -> Option<Duration> {
        self.queue.keys().next().map(|(time, _)| *time)
    }

    pub fn pop(&mut self) -> Option<Scheduled> {
        self.queue.pop_first().map(|(_, scheduled)| scheduled)
    }

    /// Whether a worker of the controller may give an output its name at this moment.
    pub fn publishes_now(&self, controller: usize) -> bool {
        let own = self.workers.iter().filter(|(key, _)| key.0 == controller);
        let mut jobs = own.flat_map(|(_, process)| process.jobs.values());
        jobs.any(|running| running.may_publish)
    }

    pub fn is_busy(&self) -> bool {
        !self.workers.is_empty()
    }

    /// What comes in at the controller, after a while.
    pub fn tell(&mut self, controller: usize, delay: Duration, input: Input) {
        let time = self.now + delay;
        if let Some(inbox) = self.inbox.get_mut(&controller) {
            let place = inbox.partition_point(|(due, _)| *due <= time);
            inbox.insert(place, (time, input));
        }
    }

    pub(super) fn answer(&mut self, key: Key, answer: Answer) {
        if self.random.permille(self.rates.answer_lost) {
            self.log(|| format!("{key:?}: lost: {}", short(&answer)));
            self.excuse_all(key);
            return;
        }
        let delay = match self.random.permille(50) {
            true => self.random.ms(100, 3000),
            false => self.random.ms(0, 20),
        };
        self.log(|| format!("{key:?}: {}", short(&answer)));
        let time = self.now + delay;
        let Some(process) = self.workers.get_mut(&key) else {
            return;
        };
        process.last = process.last.max(time);
        let delay = process.last - self.now;
        if self.random.permille(self.rates.answer_again) {
            // What no worker should do: its supervisor has heard that already.
            let again = delay + self.random.ms(1, 5000);
            self.tell(key.0, again, Input::Answer(key.1, answer.clone().into()));
        }
        self.tell(key.0, delay, Input::Answer(key.1, answer.into()));
    }

    pub(super) fn excuse_all(&mut self, key: Key) {
        if let Some(process) = self.workers.get(&key) {
            let outputs = process
                .jobs
                .values()
                .filter_map(|job| job.spec.output.clone());
            self.excused.extend(outputs);
        }
    }
}

/// What is said, without its bulk.
fn short(answer: &Answer) -> String {
    let text = match answer {
        Answer::Event { event, .. } => format!("{:?}", event.body),
        answer => format!("{answer:?}"),
    };
    text.chars().take(90).collect()
}
