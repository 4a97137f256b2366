//! How a supervisor writes its journal, and what it does when that fails.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Supervisor;
use super::active::{Active, Cancellation};
use crate::error::{Failure, FailureKind};
use crate::event::{Body, Event, JobStart, JobState, Outcome, Phase, Progress, display};
use crate::journal::{Applied, Change, Claim, Ending, Lease, Result};
use crate::worker::protocol::Order;

/// The process id of a worker with room, and whether a job can begin there at once.
type Room<'a> = (u32, &'a dyn Fn(&Claim) -> bool);

/// What is said once the journal has what it is about.
pub(super) enum Announcement {
    /// Index of the change that has the event.
    Kept(usize),
    Passing(Box<Event>),
}

impl Supervisor<'_> {
    /// Announces an event that stays in the journal.
    pub(super) fn keep(&mut self, event: Event) {
        self.keep_of(None, event);
    }

    /// The same, of an attempt.
    pub(super) fn keep_of(&mut self, lease: Option<Lease>, event: Event) {
        self.announcements
            .push(Announcement::Kept(self.changes.len()));
        self.changes.push(Change::Event { event, lease });
    }

    pub(super) fn warn(&mut self, message: String) {
        self.keep(Event::now(Body::Warning {
            message,
            source: None,
        }));
    }

    /// Writes the journal, then says what it has, then gives the orders that follow from it.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.flush_and_claim(None).map(drop)
    }

    /// The same, and in one go takes the next job for the worker with that process id, where it begins
    /// at once if it fits. Changes come first: one of them may put a job back.
    pub(super) fn flush_and_claim(&mut self, worker: Option<Room>) -> Result<Option<Claim>> {
        if self.journal_fails_since.is_none() {
            // Only the last position of a job matters; while the journal fails, there is no other.
            let positions = std::mem::take(&mut self.positions).into_iter();
            let changes = positions.map(|(lease, progress)| Change::Progress { lease, progress });
            self.changes.extend(changes);
        }
        // Only a write tells whether it can be written again.
        let is_attempt = self.journal_fails_since.is_some() && self.changes.is_empty();
        if is_attempt {
            self.warn("The journal can be written again".into());
        }
        let batch = self.begun.batch;
        let known = self.changes.len();
        let applied = match worker {
            Some((pid, fits)) if !is_attempt => {
                let begin = |claim: &Claim| fits(claim).then(|| started(claim, pid));
                self.ledger
                    .apply_and_claim(batch, &mut self.changes, pid, &begin)
            }
            _ => {
                let lost = self.ledger.apply(batch, &mut self.changes);
                lost.map(|lost| Applied { claim: None, lost })
            }
        };
        if self.changes.len() > known {
            self.announcements.push(Announcement::Kept(known));
        }
        let mut is_news = false;
        let Applied { claim, lost } = match applied {
            Ok(applied) => {
                if self.journal_fails_since.take().is_some() {
                    self.is_to_reconcile = true;
                    self.paused = None;
                    // A low disk may have stopped the pipelines before the journal failed.
                    self.order_pause(false);
                    is_news = !is_attempt;
                }
                applied
            }
            Err(error) if error.may_pass() => {
                if is_attempt {
                    self.changes.clear();
                    let is_passing = |a: &Announcement| matches!(a, Announcement::Passing(_));
                    self.announcements.retain(is_passing);
                }
                self.journal_fails(&error);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        for announcement in self.announcements.drain(..) {
            match announcement {
                Announcement::Passing(event) => (self.emit)(&event),
                Announcement::Kept(index) => {
                    // One without a number was said under a lease that is lost.
                    if let Some(Change::Event { event, .. }) = self.changes.get(index)
                        && event.id.is_some()
                    {
                        (self.emit)(event);
                    }
                }
            }
        }
        self.changes.clear();
        self.lose(&lost);
        for (serial, order) in self.orders.drain(..) {
            if self.workers.contains_key(&serial) {
                self.hands.order(serial, &order);
            }
        }
        if is_news {
            // With the next changes: these are in the journal, and must not get there twice.
            self.warn("The journal can be written again".into());
        }
        Ok(claim)
    }

    /// Nothing is lost meanwhile: what could not be written stays to be written.
    fn journal_fails(&mut self, error: &crate::journal::Error) {
        let reason = error.failure(self.ledger.folder()).to_string();
        self.journal_fails_since.get_or_insert(self.clock.now());
        self.paused = Some(reason);
        // What passes is said all the same: somebody is watching.
        self.announcements
            .retain(|announcement| match announcement {
                Announcement::Kept(_) => true,
                Announcement::Passing(event) => {
                    (self.emit)(event);
                    false
                }
            });
    }

    /// Gives up attempts whose jobs somebody else has: nothing of theirs is published.
    fn lose(&mut self, lost: &BTreeSet<Lease>) {
        for lease in lost {
            let is_here = |active: &&mut Active| active.claim.lease() == *lease;
            let Some(active) = self.jobs.get_mut(&lease.job).filter(is_here) else {
                continue;
            };
            let serial = active.worker;
            active.cancelled = Some((self.clock.now(), Cancellation::Lost));
            self.orders
                .retain(|(_, order)| *order != Order::Publish { lease: *lease });
            self.orders.push((serial, Order::Cancel { lease: *lease }));
            self.warn(format!(
                "Another controller has job {} now; it is given up here",
                lease.job
            ));
        }
    }

    /// Gives back the jobs that the ledger says are held here and of which nothing is known: their claim
    /// was entered, and the answer was lost.
    pub(super) fn reconcile(&mut self) -> Result<()> {
        let is_written = self.changes.is_empty() && self.journal_fails_since.is_none();
        if !self.is_to_reconcile || !is_written {
            return Ok(());
        }
        let held = self.ledger.held();
        let Some(held) = self.unless_it_passes(held)? else {
            return Ok(());
        };
        self.is_to_reconcile = false;
        let active = self.jobs.values().map(|active| active.claim.lease());
        let waiting = self.held.iter().map(Claim::lease);
        let checked = self.checks.keys().copied();
        let known: BTreeSet<_> = active.chain(waiting).chain(checked).collect();
        for lease in held.difference(&known) {
            let outcome =
                Outcome::of_failure(&Failure::new(FailureKind::Terminated), &Progress::default());
            self.changes.push(Change::Ended {
                lease: *lease,
                ending: Ending {
                    state: JobState::Queued,
                    outcome,
                    retry_after: Duration::ZERO,
                    stage: Phase::Probing.name().into(),
                    signal: None,
                    is_culprit: false,
                    is_suspect: false,
                    counts: false,
                    stamp: None,
                },
            });
        }
        Ok(())
    }

    /// Counts the jobs anew; says whether the journal could be asked.
    pub(super) fn count(&mut self) -> Result<bool> {
        let counts = self.ledger.counts(self.begun.batch);
        let Some(counts) = self.unless_it_passes(counts)? else {
            return Ok(false);
        };
        self.counts = counts;
        Ok(true)
    }

    /// What the journal gave; nothing while it fails of a cause that passes.
    pub(super) fn unless_it_passes<T>(&mut self, found: Result<T>) -> Result<Option<T>> {
        match found {
            Err(error) if error.may_pass() => {
                self.journal_fails(&error);
                Ok(None)
            }
            found => found.map(Some),
        }
    }
}

/// That an attempt at the job begins.
pub(super) fn started(claim: &Claim, worker: u32) -> Event {
    let spec = &claim.spec;
    let start = JobStart {
        face: display(&spec.face),
        speech: spec.says(),
        output: spec.output.as_deref().map(display),
        attempt: claim.attempt,
        worker,
    };
    Event::of_job(claim.job, Body::Started(start))
}
