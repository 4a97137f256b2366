//! Simulated hands: workers that do jobs in a few steps, and what goes wrong in them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::files::{Disk, SimulatedStore, Written};
use super::random::Random;
use crate::clock::Clock;
use crate::error::{Failure, FailureKind};
use crate::event::{Body, Event, JobState, Outcome, Phase, Progress};
use crate::job::{IfExists, Job};
use crate::journal::{Lease, Media, Stamp};
use crate::store::{Replace, Staging, Store};
use crate::supervisor::{Aside, Exit, Hands, Input};
use crate::worker::Made;
use crate::worker::limits::Confinement;
use crate::worker::protocol::{Answer, Order};

/// How often what goes wrong, in a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    pub worker_dies: u64,
    pub worker_hangs: u64,
    pub job_hangs: u64,
    pub job_fails: u64,
    pub answer_lost: u64,
    pub answer_again: u64,
    pub hire_fails: u64,
    /// Somebody else puts a file where an output is about to be.
    pub interference: u64,
}

/// A worker, by its controller and its serial number.
pub type Key = (usize, u64);

/// What happens at its time.
#[derive(Clone, Debug, PartialEq)]
pub enum Happens {
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

struct Running {
    spec: Job,
    replaces: Option<Stamp>,
    step: u32,
    written: Option<Written>,
    may_publish: bool,
    /// The rules are asked about when it is published.
    is_cancelled: bool,
    hangs: bool,
}

struct Process {
    is_ready: bool,
    is_paused: bool,
    hangs: bool,
    /// It was killed, or its controller was.
    is_dying: bool,
    jobs: BTreeMap<Lease, Running>,
    signal: Option<i32>,
    /// When the last answer arrives: a pipe keeps their order.
    last: Duration,
}

/// One machine, as far as it isn't the disk.
pub struct Machine {
    pub now: Duration,
    base: Instant,
    pub random: Random,
    pub rates: Rates,
    pub store: SimulatedStore,
    queue: BTreeMap<(Duration, u64), Happens>,
    next: u64,
    workers: BTreeMap<Key, Process>,
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
}

impl Machine {
    pub fn log(&mut self, text: impl FnOnce() -> String) {
        let now = self.now.as_millis();
        if let Some(log) = &mut self.log {
            log.push(format!("{now:>9} ms  {}", text()));
        }
    }

    pub fn at(&mut self, time: Duration, happens: Happens) {
        self.next += 1;
        self.queue.insert((time, self.next), happens);
    }

    pub fn after(&mut self, from: u64, to: u64, happens: Happens) {
        let time = self.now + self.random.ms(from, to);
        self.at(time, happens);
    }

    pub fn next_time(&self) -> Option<Duration> {
        self.queue.keys().next().map(|(time, _)| *time)
    }

    pub fn pop(&mut self) -> Option<Happens> {
        self.queue.pop_first().map(|(_, happens)| happens)
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

    fn answer(&mut self, key: Key, answer: Answer) {
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

    fn excuse_all(&mut self, key: Key) {
        if let Some(process) = self.workers.get(&key) {
            let outputs = process
                .jobs
                .values()
                .filter_map(|job| job.spec.output.clone());
            self.excused.extend(outputs);
        }
    }

    /// The controller is killed, and its workers a moment later; some get something done until then.
    pub fn controller_dies(&mut self, controller: usize) {
        self.inbox.remove(&controller);
        let keys: Vec<_> = self.workers.keys().copied().collect();
        for key in keys.into_iter().filter(|key| key.0 == controller) {
            // One that waits for its disk ends when that lets it.
            self.kill_soon(key, 2000);
        }
    }

    fn kill_soon(&mut self, key: Key, within: u64) {
        if let Some(process) = self.workers.get_mut(&key)
            && !process.is_dying
        {
            process.is_dying = true;
            process.signal = Some(libc::SIGKILL);
            self.after(0, within, Happens::Ends(key));
        }
    }

    /// A process is gone. In its last moment it may have given an output its name.
    fn ends(&mut self, key: Key) {
        let Some(process) = self.workers.remove(&key) else {
            return;
        };
        let mut publishes = Vec::new();
        for (lease, mut running) in process.jobs {
            let Some(written) = running.written.take() else {
                continue;
            };
            let is_at_it = running.may_publish && !running.hangs && !process.hangs;
            if is_at_it && self.random.permille(500) {
                publishes.push((lease, written));
            } else {
                written.abandon();
            }
        }
        for (lease, written) in publishes {
            let _ = self.commit(lease, written);
        }
        self.log(|| format!("{key:?}: gone"));
        let delay = process.last.saturating_sub(self.now) + Duration::from_millis(1);
        self.tell(key.0, delay, Input::Gone(key.1));
    }

    fn commit(&mut self, lease: Lease, written: Written) -> Result<(), Failure> {
        let path = written.path().to_owned();
        let entry = (lease.job, written.sha256.clone(), path.clone());
        Box::new(written).commit()?;
        self.log(|| format!("{lease:?}: {} is published", path.display()));
        self.publishes.borrow_mut().push(entry);
        Ok(())
    }

    /// What was killed a moment ago is gone.
    pub fn ends_at_last(&mut self, key: Key) {
        self.ends(key);
    }

    pub fn first_word(&mut self, key: Key) {
        if self
            .workers
            .get(&key)
            .is_some_and(|process| !process.is_dying)
        {
            if let Some(process) = self.workers.get_mut(&key) {
                process.is_ready = true;
            }
            self.answer(key, Answer::Alive);
            self.after(3000, 4000, Happens::Alive(key));
        }
    }

    pub fn alive(&mut self, key: Key) {
        if self
            .workers
            .get(&key)
            .is_some_and(|p| !p.is_dying && !p.hangs)
        {
            // Nobody says anything of its jobs: those that wait say so.
            self.answer(key, Answer::Alive);
            self.after(3000, 4000, Happens::Alive(key));
        }
    }

    fn order(&mut self, key: Key, order: &Order) {
        let Some(process) = self.workers.get_mut(&key) else {
            return;
        };
        if process.is_dying {
            return;
        }
        match order {
            Order::Run {
                lease,
                spec,
                replaces,
                ..
            } => {
                process.jobs.insert(
                    *lease,
                    Running {
                        spec: (**spec).clone(),
                        replaces: replaces.clone(),
                        step: 0,
                        written: None,
                        may_publish: false,
                        is_cancelled: false,
                        hangs: false,
                    },
                );
                self.after(1, 30, Happens::Step(key, *lease));
            }
            Order::Publish { lease } => {
                if let Some(running) = process.jobs.get_mut(lease) {
                    running.may_publish = true;
                    self.after(0, 400, Happens::Step(key, *lease));
                }
            }
            Order::Cancel { lease } => {
                if let Some(running) = process.jobs.get_mut(lease) {
                    running.is_cancelled = true;
                    self.after(0, 2500, Happens::Step(key, *lease));
                }
            }
            Order::Pause { pause } => {
                process.is_paused = *pause;
                let jobs: Vec<_> = process.jobs.keys().copied().collect();
                if !pause {
                    for lease in jobs {
                        self.after(0, 50, Happens::Step(key, lease));
                    }
                }
            }
            Order::Probe { path, .. } => {
                let answer = Answer::Probed {
                    path: path.clone(),
                    stamp: self.store.stamp(path),
                    media: Some(Media::default()),
                };
                self.answer(key, answer);
            }
            Order::Look { .. } => {}
            Order::Thumbnail { job, .. } => {
                let jpeg = Some(vec![1]);
                self.answer(key, Answer::Thumbnail { job: *job, jpeg });
            }
        }
    }

    /// A job does its next step.
    pub fn step(&mut self, key: Key, lease: Lease) {
        let (rates, version) = (self.rates, self.version);
        let Some(process) = self.workers.get_mut(&key) else {
            return;
        };
        if process.is_dying || process.hangs {
            return;
        }
        let is_paused = process.is_paused;
        let Some(running) = process.jobs.get_mut(&lease) else {
            return;
        };
        if running.hangs {
            return;
        }
        let output = running.spec.output.clone().unwrap_or_default();
        let is_last = running.step == 5;
        if is_last && !running.may_publish && !running.is_cancelled {
            return;
        }
        if self.random.permille(rates.worker_dies)
            || running.step == 3 && self.poison.contains(&output)
        {
            process.signal = Some(libc::SIGSEGV);
            process.is_dying = true;
            self.excuse_all(key);
            self.log(|| format!("{key:?}: dies of {lease:?}"));
            self.after(0, 5, Happens::Ends(key));
            return;
        }
        if self.random.permille(rates.worker_hangs) {
            process.hangs = true;
            self.excuse_all(key);
            self.log(|| format!("{key:?}: hangs"));
            return;
        }
        if self.random.permille(rates.job_hangs) {
            running.hangs = true;
            self.excused.insert(output);
            self.log(|| format!("{key:?}: {lease:?} hangs"));
            return;
        }
        if running.is_cancelled && !(is_last && running.may_publish) {
            let failure = Failure::new(FailureKind::Terminated);
            return self.job_ends(key, lease, Err(failure));
        }
        if is_paused && !is_last {
            // It goes on when it may.
            return;
        }
        if self.random.permille(rates.job_fails) {
            self.excused.insert(output);
            let kinds = [
                FailureKind::Internal,
                FailureKind::NotMedia,
                FailureKind::Stuck,
            ];
            let kind = kinds[self.random.below(3) as usize];
            return self.job_ends(key, lease, Err(Failure::new(kind)));
        }
        let step = running.step;
        running.step += 1;
        let spec = running.spec.clone();
        let replaces = running.replaces.clone();
        let identity = format!("{} v{version}", output.display());
        let said = |body: Body| Answer::Event {
            lease,
            event: Event::of_job(lease.job, body),
        };
        match step {
            0 => {
                if spec.if_exists == IfExists::Skip && self.store.stamp(&output).is_some() {
                    self.excused.insert(output);
                    return self.job_ends(key, lease, Ok(None));
                }
                if spec.if_exists == IfExists::Refuse && self.store.stamp(&output).is_some() {
                    let failure = Failure::of(FailureKind::OutputExists, &output);
                    return self.job_ends(key, lease, Err(failure));
                }
                self.answer(key, said(JobState::Probing.into()));
            }
            1 => {
                let replace = Replace::of(&spec, replaces);
                match self.store.stage_for(&output, replace) {
                    Ok(mut written) => {
                        written.sha256 = match self.same_bytes {
                            true => format!("made of {identity}"),
                            false => format!("made of {identity} #{}", self.random.below(1 << 40)),
                        };
                        written.identity = identity;
                        self.running(key, lease, |running| running.written = Some(written));
                    }
                    Err(failure) => return self.job_ends(key, lease, Err(failure)),
                }
                self.answer(key, said(JobState::Loading.into()));
            }
            2 | 3 => {
                if step == 2 {
                    self.answer(key, said(JobState::Running.into()));
                }
                let progress = Progress {
                    phase: Phase::Running,
                    frames: u64::from(step),
                    ..Progress::default()
                };
                self.answer(key, said(progress.into()));
            }
            4 => {
                self.answer(key, said(JobState::Finishing.into()));
                let (mut sha256, mut made_of) = (String::new(), String::new());
                self.running(key, lease, |running| {
                    if let Some(written) = &running.written {
                        (sha256, made_of) = (written.sha256.clone(), written.identity.clone());
                    }
                });
                let made = Made { sha256 };
                let answer = Answer::Made {
                    lease,
                    made,
                    identity: Some(made_of),
                };
                self.answer(key, answer);
                return;
            }
            _ => {
                if self.random.permille(rates.interference) {
                    self.log(|| format!("foreign {}, at the last moment", output.display()));
                    self.excused.insert(output.clone());
                    self.store.disk.borrow_mut().foreign(&output);
                }
                let mut written = None;
                self.running(key, lease, |running| written = running.written.take());
                let result = match written {
                    Some(written) => self.commit(lease, written).map(|()| Some(output)),
                    None => Err(Failure::new(FailureKind::Internal)),
                };
                return self.job_ends(key, lease, result);
            }
        }
        self.after(10, 900, Happens::Step(key, lease));
    }

    fn running(&mut self, key: Key, lease: Lease, with: impl FnOnce(&mut Running)) {
        let process = self.workers.get_mut(&key);
        if let Some(running) = process.and_then(|process| process.jobs.get_mut(&lease)) {
            with(running);
        }
    }

    fn job_ends(&mut self, key: Key, lease: Lease, result: Result<Option<PathBuf>, Failure>) {
        if let Some(process) = self.workers.get_mut(&key) {
            // A hidden file is removed with its job.
            drop(process.jobs.remove(&lease));
        }
        let progress = Progress::default();
        let (outcome, stamp) = match result {
            Ok(Some(output)) => {
                let stamp = self.store.stamp(&output);
                (Outcome::nothing(JobState::Done, &progress), stamp)
            }
            Ok(None) => {
                let outcome = Outcome {
                    skipped: true,
                    ..Outcome::nothing(JobState::Done, &progress)
                };
                (outcome, None)
            }
            Err(failure) => (Outcome::of_failure(&failure, &progress), None),
        };
        let answer = Answer::Ended {
            lease,
            outcome,
            stamp,
        };
        self.answer(key, answer);
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

/// The clock that the machine's time drives.
pub struct SimulatedClock(pub Shared);

impl Clock for SimulatedClock {
    fn now(&self) -> Instant {
        let machine = self.0.borrow();
        machine.base + machine.now
    }
}

/// The hands of one controller.
pub struct SimulatedHands {
    pub machine: Shared,
    pub controller: usize,
}

impl Hands for SimulatedHands {
    fn hire(&mut self, worker: u64, is_background: bool, _: &Confinement) -> std::io::Result<u32> {
        let mut machine = self.machine.borrow_mut();
        let rate = machine.rates.hire_fails;
        if machine.random.permille(rate) {
            return Err(std::io::Error::other("no processes"));
        }
        let key = (self.controller, worker);
        let last = machine.now;
        machine.workers.insert(
            key,
            Process {
                is_ready: false,
                is_paused: false,
                hangs: false,
                is_dying: false,
                jobs: BTreeMap::new(),
                signal: None,
                last,
            },
        );
        if machine.random.permille(rate) {
            // It ends before its first word.
            let process = machine.workers.get_mut(&key);
            process
                .into_iter()
                .for_each(|process| process.is_dying = true);
            machine.after(10, 100, Happens::Ends(key));
        }
        machine.log(|| format!("{key:?}: is started, background {is_background}"));
        machine.after(50, 500, Happens::FirstWord(key));
        Ok(1000 * (self.controller as u32 + 1) + worker as u32)
    }

    fn order(&mut self, worker: u64, order: &Order) {
        let mut machine = self.machine.borrow_mut();
        let key = (self.controller, worker);
        machine.log(|| {
            let text: String = format!("{order:?}").chars().take(60).collect();
            format!("{key:?}: is told {text}")
        });
        machine.order(key, order);
    }

    fn kill(&mut self, worker: u64) {
        self.machine
            .borrow_mut()
            .kill_soon((self.controller, worker), 5);
    }

    fn reap(&mut self, worker: u64) -> Exit {
        let key = (self.controller, worker);
        let mut machine = self.machine.borrow_mut();
        let signal = machine.workers.get(&key).and_then(|process| process.signal);
        // The kernel has ended it before anybody hears of it.
        machine.ends(key);
        Exit {
            reason: "it died".into(),
            signal: signal.or(Some(libc::SIGSEGV)),
        }
    }

    fn keeps_too_much(&self, _: u64, _: usize) -> bool {
        self.machine.borrow_mut().random.permille(20)
    }

    fn aside(&mut self, task: Aside) -> bool {
        let mut machine = self.machine.borrow_mut();
        if machine.rates.hire_fails > 0 && machine.random.permille(20) {
            return false;
        }
        machine.next += 1;
        let number = machine.next;
        machine.asides.insert(number, task);
        machine.after(1, 800, Happens::Aside(self.controller, number));
        true
    }

    fn next(&mut self, _: Duration) -> Option<Input> {
        let mut machine = self.machine.borrow_mut();
        let now = machine.now;
        let inbox = machine.inbox.get_mut(&self.controller)?;
        match inbox.front() {
            Some((due, _)) if *due <= now => inbox.pop_front().map(|(_, input)| input),
            _ => None,
        }
    }
}
