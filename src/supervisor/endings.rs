//! How attempts end: well, badly, or with their worker.

use std::time::Duration;

use super::checks::Check;
use super::policy::{self, Next};
use super::{Active, Cancellation, Exit, Supervisor};
use crate::error::{Failure, FailureKind};
use crate::event::{Body, Event, JobState, Outcome, Retry};
use crate::job::folder_of;
use crate::journal::{Change, Ending};
use crate::stamp::Stamp;

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
        if self
            .hands
            .keeps_too_much(active.worker, self.options.workers)
            && let Some(worker) = self.workers.get_mut(&active.worker)
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
    pub(super) fn take(&mut self, job: i64) -> Option<Active> {
        let active = self.jobs.remove(&job)?;
        if let Some(worker) = self.workers.get_mut(&active.worker) {
            worker.jobs.retain(|other| *other != job);
            if worker.jobs.is_empty() {
                worker.is_exclusive = false;
            }
        }
        Some(active)
    }

    /// Ends a job whose worker has died, and clears up behind it. One whose output may have its name
    /// already, although nobody could say so, is looked at first.
    fn end_of_dead(
        &mut self,
        job: i64,
        active: Active,
        outcome: Outcome,
        signal: Option<i32>,
        with_others: bool,
    ) {
        let output = active.claim.spec.output.clone();
        if let Some(output) = &output {
            self.store.remove_leftovers(output);
        }
        match output.zip(active.promised.clone()) {
            Some((output, sha256)) if self.store.stamp(&output).is_some() => {
                let lease = active.claim.lease();
                self.check(lease, output, sha256);
                let check = Check {
                    active,
                    outcome,
                    signal,
                    with_others,
                };
                self.checks.insert(lease, check);
            }
            _ => self.not_done(job, &active, outcome, signal, with_others),
        }
    }

    pub(super) fn done(
        &mut self,
        job: i64,
        active: Active,
        outcome: Outcome,
        stamp: Option<Stamp>,
    ) {
        let lease = active.claim.lease();
        if active.is_lost() {
            return;
        }
        self.video_s += outcome.duration_s.unwrap_or(0.0);
        if let Some((first, last)) = active.ran {
            let took = (self.clock.now() - active.started).as_secs_f64();
            let ran = (last - first).as_secs_f64();
            self.estimator.learn_job(&active.claim.spec, took, ran);
        }
        if let Some(output) = active.claim.spec.output {
            self.picture(lease, output);
        }
        self.positions.remove(&lease);
        self.changes.push(Change::Ended {
            lease,
            ending: Ending {
                state: JobState::Done,
                outcome: outcome.clone(),
                retry_after: Duration::ZERO,
                stage: active.progress.phase.name().into(),
                signal: None,
                is_culprit: false,
                is_suspect: false,
                counts: true,
                stamp,
            },
        });
        self.keep_of(Some(lease), Event::of_job(job, Body::Result(outcome)));
    }

    /// `signal`: what its worker died of. `with_others`: it was not alone in it.
    pub(super) fn not_done(
        &mut self,
        job: i64,
        active: &Active,
        mut outcome: Outcome,
        signal: Option<i32>,
        with_others: bool,
    ) {
        let claim = &active.claim;
        let lease = claim.lease();
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
            retry_after: Duration::ZERO,
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
                ending.is_suspect = false;
            }
            Some((_, Cancellation::Requested)) => {
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
            Some((_, Cancellation::Lost)) => return,
            None if has_died && with_others => {
                // Nobody knows whose fault it was: each gets a worker of its own.
                ending.state = JobState::Queued;
                ending.counts = false;
            }
            None => {
                let output = claim.spec.output.as_deref();
                let free = output.and_then(|output| self.store.free_space(folder_of(output)));
                let is_full = policy::is_full(free, self.options.min_free);
                let next = policy::after_failure(
                    kind,
                    claim.attempt,
                    self.options.attempts,
                    deaths,
                    is_full,
                );
                match next {
                    Next::GiveUp => {}
                    Next::Retry { after, counts } => {
                        ending.state = JobState::Queued;
                        ending.counts = counts;
                        ending.retry_after = after;
                    }
                }
            }
        }
        let event = match (ending.state, &outcome.error) {
            (JobState::Queued, Some(error)) => Body::Retry(Retry {
                error: error.clone(),
                attempt: claim.attempt + u32::from(ending.counts),
                after_s: ending.retry_after.as_secs_f64(),
            }),
            _ => Body::Result(outcome),
        };
        self.positions.remove(&lease);
        self.changes.push(Change::Ended { lease, ending });
        self.keep_of(Some(lease), Event::of_job(job, event));
    }

    /// A worker has ended or was killed.
    pub(super) fn worker_gone(&mut self, serial: u64) {
        let Some(worker) = self.workers.remove(&serial) else {
            return;
        };
        let Exit { reason, signal } = self.hands.reap(serial);
        if self.background == Some(serial) {
            self.background = None;
            // What it choked on is not tried again; nothing depends on it.
            self.background_task = None;
            if worker.is_ready {
                return;
            }
        }
        if !worker.is_ready {
            self.hire_failed(reason);
            return;
        }
        let with_others = worker.jobs.len() > 1;
        for job in worker.jobs.clone() {
            let Some(mut active) = self.take(job) else {
                continue;
            };
            if signal.is_some_and(is_request) {
                // Somebody wanted it to end; the job has done nothing.
                let stop = (self.clock.now(), Cancellation::Stop);
                active.cancelled.get_or_insert(stop);
            }
            let failure = Failure::of(FailureKind::WorkerDied, &active.claim.spec.face).detail(
                format_args!("while {}: {reason}", active.progress.phase.name()),
            );
            let outcome = Outcome::of_failure(&failure, &active.progress);
            self.end_of_dead(job, active, outcome, signal, with_others);
        }
    }

    /// Ends a worker whose job is beyond help, as `failure` says.
    pub(super) fn kill_for(&mut self, job: i64, failure: &Failure) {
        let Some(serial) = self.jobs.get(&job).map(|active| active.worker) else {
            return;
        };
        if let Some(worker) = self.workers.remove(&serial) {
            self.hands.kill(serial);
            self.hands.reap(serial);
            if let Some(active) = self.take(job) {
                let outcome = Outcome::of_failure(failure, &active.progress);
                self.end_of_dead(job, active, outcome, Some(libc::SIGKILL), false);
            }
            // The others were only in the wrong place.
            for other in worker.jobs.iter().copied().filter(|other| *other != job) {
                if let Some(mut active) = self.take(other) {
                    active
                        .cancelled
                        .get_or_insert((self.clock.now(), Cancellation::Stop));
                    let outcome = Outcome::of_failure(failure, &active.progress);
                    self.end_of_dead(other, active, outcome, None, false);
                }
            }
        }
    }

    /// Lets retired workers go once they are empty.
    pub(super) fn dismiss_retired(&mut self) {
        let gone: Vec<_> = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.is_retired && worker.jobs.is_empty())
            .map(|(serial, _)| *serial)
            .collect();
        for serial in gone {
            self.workers.remove(&serial);
            self.hands.kill(serial);
            self.hands.reap(serial);
        }
    }
}

impl Active {
    /// Whether somebody else has the job now.
    fn is_lost(&self) -> bool {
        matches!(self.cancelled, Some((_, Cancellation::Lost)))
    }
}

/// Signals by which a process is asked to end: no codec dies of them.
fn is_request(signal: i32) -> bool {
    [libc::SIGTERM, libc::SIGINT, libc::SIGHUP].contains(&signal)
}
