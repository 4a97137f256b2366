//! Workers that do jobs in a few steps, and what goes wrong in them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::files::Written;
use super::machine::{Key, Machine, Scheduled};
use crate::error::{Failure, FailureKind};
use crate::event::{Body, Event, JobState, Outcome, Phase, Progress};
use crate::job::{IfExists, Job};
use crate::journal::{Lease, Media};
use crate::stamp::Stamp;
use crate::store::{Replace, Staging, Store};
use crate::supervisor::Input;
use crate::worker::Made;
use crate::worker::protocol::{Answer, Order};

pub(super) struct Running {
    pub(super) spec: Job,
    pub(super) replaces: Option<Stamp>,
    pub(super) step: u32,
    pub(super) written: Option<Written>,
    pub(super) may_publish: bool,
    /// The rules are asked about when it is published.
    pub(super) is_cancelled: bool,
    pub(super) hangs: bool,
}

pub(super) struct Process {
    pub(super) is_ready: bool,
    pub(super) is_paused: bool,
    pub(super) hangs: bool,
    /// It was killed, or its controller was.
    pub(super) is_dying: bool,
    pub(super) jobs: BTreeMap<Lease, Running>,
    pub(super) signal: Option<i32>,
    /// When the last answer arrives: a pipe keeps their order.
    pub(super) last: Duration,
}

impl Machine {
    /// The controller is killed, and its workers a moment later; some get something done until then.
    pub fn controller_dies(&mut self, controller: usize) {
        self.inbox.remove(&controller);
        let keys: Vec<_> = self.workers.keys().copied().collect();
        for key in keys.into_iter().filter(|key| key.0 == controller) {
            // One that waits for its disk ends when that lets it.
            self.kill_soon(key, 2000);
        }
    }

    pub(super) fn kill_soon(&mut self, key: Key, within: u64) {
        if let Some(process) = self.workers.get_mut(&key)
            && !process.is_dying
        {
            process.is_dying = true;
            process.signal = Some(libc::SIGKILL);
            self.after(0, within, Scheduled::Ends(key));
        }
    }

    /// A process is gone. In its last moment it may have given an output its name.
    pub(super) fn ends(&mut self, key: Key) {
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
            self.after(3000, 4000, Scheduled::Alive(key));
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
            self.after(3000, 4000, Scheduled::Alive(key));
        }
    }

    pub(super) fn order(&mut self, key: Key, order: &Order) {
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
                self.after(1, 30, Scheduled::Step(key, *lease));
            }
            Order::Publish { lease } => {
                if let Some(running) = process.jobs.get_mut(lease) {
                    running.may_publish = true;
                    self.after(0, 400, Scheduled::Step(key, *lease));
                }
            }
            Order::Cancel { lease } => {
                if let Some(running) = process.jobs.get_mut(lease) {
                    running.is_cancelled = true;
                    self.after(0, 2500, Scheduled::Step(key, *lease));
                }
            }
            Order::Pause { pause } => {
                process.is_paused = *pause;
                let jobs: Vec<_> = process.jobs.keys().copied().collect();
                if !pause {
                    for lease in jobs {
                        self.after(0, 50, Scheduled::Step(key, lease));
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
            // The simulated ones give outputs their names themselves.
            Order::Look { .. } | Order::Published { .. } => {}
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
            self.after(0, 5, Scheduled::Ends(key));
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
        self.after(10, 900, Scheduled::Step(key, lease));
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
