//! How attempts end: well, badly, or with their worker.

use std::time::{Duration, Instant};

use super::policy::{self, Next};
use super::{Active, Cancellation, Supervisor, memory};
use crate::digest;
use crate::error::{Failure, FailureKind};
use crate::event::{Body, Event, JobState, Outcome, Retry, display};
use crate::journal::{Change, Ending, Stamp, now};
use crate::publish;
use crate::worker::protocol::Order;

impl Supervisor<'_> {
    /// A worker says how its attempt ended.
    pub(super) fn ended(&mut self, job: i64, outcome: Outcome, stamp: Option<Stamp>) {
        let Some(active) = self.take(job) else {
            return;
        };
        let kind = outcome.error.as_ref().map(|error| error.code);
        if kind == Some(FailureKind::Stuck)
            && let Some(worker) = self.workers.get_mut(&active.worker)
        {
            // Its threads may never let go.
            worker.is_retired = true;
        }
        if let Some(worker) = self.workers.get_mut(&active.worker)
            && memory::keeps_too_much(worker.pid(), self.options.workers)
        {
            worker.is_retired = true;
        }
        if outcome.error.is_none() {
            self.done(job, active, outcome, stamp);
        } else {
            self.not_done(job, &active, outcome, None, false);
        }
        self.dismiss_retired();
    }

    /// Takes the job out of its worker.
    fn take(&mut self, job: i64) -> Option<Active> {
        let active = self.jobs.remove(&job)?;
        if let Some(worker) = self.workers.get_mut(&active.worker) {
            worker.jobs.retain(|other| *other != job);
            if worker.jobs.is_empty() {
                worker.is_exclusive = false;
            }
        }
        Some(active)
    }

    /// Takes the job out of a worker that has died, and clears up behind it. One whose output has its
    /// name already is done, although nobody could say so, and is not given.
    fn take_from_dead(&mut self, job: i64) -> Option<Active> {
        let active = self.take(job)?;
        let Some(output) = active.claim.spec.output.clone() else {
            return Some(active);
        };
        publish::remove_leftovers_of(&output);
        let promised = active.promised.as_deref();
        let is_published = promised.is_some_and(|promised| digest::is_of(&output, promised));
        if !is_published {
            return Some(active);
        }
        let progress = &active.progress;
        let outcome = Outcome {
            output: Some(display(&output)),
            duration_s: Some(progress.position_s),
            ..Outcome::nothing(JobState::Done, progress)
        };
        let stamp = Stamp::of(&output).ok();
        self.done(job, active, outcome, stamp);
        None
    }

    fn done(&mut self, job: i64, active: Active, outcome: Outcome, stamp: Option<Stamp>) {
        self.video_s += outcome.duration_s.unwrap_or(0.0);
        if let Some((first, last)) = active.ran {
            let took = active.started.elapsed().as_secs_f64();
            let ran = (last - first).as_secs_f64();
            self.estimator.learn_job(&active.claim.spec, took, ran);
        }
        if let Some(output) = active.claim.spec.output {
            self.errands
                .push_back(Order::Thumbnail { job, path: output });
        }
        self.changes.push(Change::Ended {
            job,
            ending: Ending {
                state: JobState::Done,
                outcome: outcome.clone(),
                not_before: 0.0,
                stage: active.progress.phase.name().into(),
                signal: None,
                is_culprit: false,
                is_suspect: false,
                counts: true,
                stamp,
            },
        });
        self.keep(Event::of_job(job, Body::Result(outcome)));
    }

    /// `signal`: what its worker died of. `with_others`: it was not alone in it.
    fn not_done(
        &mut self,
        job: i64,
        active: &Active,
        mut outcome: Outcome,
        signal: Option<i32>,
        with_others: bool,
    ) {
        let claim = &active.claim;
        let kind = outcome
            .error
            .as_ref()
            .map_or(FailureKind::Internal, |error| error.code);
        let has_died = kind == FailureKind::WorkerDied;
        let is_culprit = has_died && !with_others;
        let deaths = claim.deaths + u32::from(is_culprit);
        let mut ending = Ending {
            state: JobState::Failed,
            outcome: outcome.clone(),
            not_before: 0.0,
            stage: active.progress.phase.name().into(),
            signal,
            is_culprit,
            is_suspect: has_died && with_others,
            counts: true,
            stamp: None,
        };
        match active.cancelled {
            Some((_, Cancellation::Stop)) => {
                ending.state = JobState::Queued;
                ending.counts = false;
                ending.is_culprit = false;
            }
            Some((_, Cancellation::Wish)) => {
                let failure = Failure::new(FailureKind::Terminated)
                    .because("cancelled")
                    .advice("`lipflow retry` puts it back into the queue");
                outcome = Outcome {
                    state: JobState::Cancelled,
                    error: Some((&failure).into()),
                    ..outcome
                };
                ending.state = JobState::Cancelled;
                ending.outcome = outcome.clone();
                ending.is_culprit = false;
            }
            None if has_died && with_others => {
                // Nobody knows whose fault it was: each gets a worker of its own.
                ending.state = JobState::Queued;
                ending.counts = false;
            }
            None => {
                match policy::after_failure(kind, claim.attempt, self.options.attempts, deaths) {
                    Next::GiveUp => {}
                    Next::Retry { after, counts } => {
                        ending.state = JobState::Queued;
                        ending.counts = counts;
                        ending.not_before = now() + after.as_secs_f64();
                    }
                }
            }
        }
        let event = match (ending.state, &outcome.error) {
            (JobState::Queued, Some(error)) => Body::Retry(Retry {
                error: error.clone(),
                attempt: claim.attempt + u32::from(ending.counts),
                after_s: (ending.not_before - now()).max(0.0),
            }),
            _ => Body::Result(outcome),
        };
        self.changes.push(Change::Ended { job, ending });
        self.keep(Event::of_job(job, event));
    }

    /// A worker has ended or was killed.
    pub(super) fn worker_gone(&mut self, serial: u64) {
        let Some(mut worker) = self.workers.remove(&serial) else {
            return;
        };
        if self.background == Some(serial) {
            self.background = None;
            // What it choked on is not tried again; nothing depends on it.
            self.errand = None;
            return;
        }
        let (obituary, signal) = worker.obituary();
        let with_others = worker.jobs.len() > 1;
        for job in worker.jobs.clone() {
            let Some(active) = self.take_from_dead(job) else {
                continue;
            };
            let failure = Failure::of(FailureKind::WorkerDied, &active.claim.spec.face).detail(
                format_args!("while {}: {obituary}", active.progress.phase.name()),
            );
            let outcome = Outcome::of_failure(&failure, &active.progress);
            self.not_done(job, &active, outcome, signal, with_others);
        }
    }

    /// Ends a worker whose job is beyond help, as `failure` says.
    pub(super) fn kill_for(&mut self, job: i64, failure: &Failure) {
        let Some(serial) = self.jobs.get(&job).map(|active| active.worker) else {
            return;
        };
        if let Some(mut worker) = self.workers.remove(&serial) {
            worker.kill();
            worker.wait(Duration::from_secs(2));
            if let Some(active) = self.take_from_dead(job) {
                let outcome = Outcome::of_failure(failure, &active.progress);
                self.not_done(job, &active, outcome, Some(libc::SIGKILL), false);
            }
            // The others were only in the wrong place.
            for other in worker.jobs.iter().copied().filter(|other| *other != job) {
                if let Some(mut active) = self.take_from_dead(other) {
                    active
                        .cancelled
                        .get_or_insert((Instant::now(), Cancellation::Stop));
                    let outcome = Outcome::of_failure(failure, &active.progress);
                    self.not_done(other, &active, outcome, None, false);
                }
            }
        }
    }

    /// Lets retired workers go once they are empty.
    fn dismiss_retired(&mut self) {
        let gone: Vec<_> = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.is_retired && worker.jobs.is_empty())
            .map(|(serial, _)| *serial)
            .collect();
        for serial in gone {
            self.workers.remove(&serial);
        }
    }
}
