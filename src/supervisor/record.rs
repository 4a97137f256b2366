//! How a supervisor writes its journal, and what it does when that fails.

use std::collections::BTreeSet;
use std::time::Instant;

use super::{Active, Announcement, Cancellation, Supervisor};
use crate::event::{Body, Event, JobStart, display};
use crate::journal::{Applied, Change, Claim, Lease, Result};
use crate::worker::protocol::Order;

/// The process id of a worker with room, and whether a job can begin there at once.
type Room<'a> = (u32, &'a dyn Fn(&Claim) -> bool);

impl Supervisor<'_> {
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
                self.journal
                    .apply_and_claim(batch, &mut self.changes, pid, &begin)
            }
            _ => {
                let lost = self.journal.apply(batch, &mut self.changes);
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
            if let Some(worker) = self.workers.get_mut(&serial) {
                worker.order(&order);
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
        let reason = error.failure(self.journal.folder()).to_string();
        self.journal_fails_since.get_or_insert_with(Instant::now);
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
            let (job, serial) = (lease.job, active.worker);
            active.cancelled = Some((Instant::now(), Cancellation::Lost));
            self.orders
                .retain(|(_, order)| *order != Order::Publish { job });
            self.orders.push((serial, Order::Cancel { job }));
            self.warn(format!(
                "Another controller has job {job} now; it is given up here"
            ));
        }
    }

    pub(super) fn count(&mut self) -> Result<()> {
        let counts = self.journal.counts(self.begun.batch);
        if let Some(counts) = self.unless_it_passes(counts)? {
            self.counts = counts;
        }
        Ok(())
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
        speech: display(&spec.speech),
        output: spec.output.as_deref().map(display),
        attempt: claim.attempt,
        worker,
    };
    Event::of_job(claim.job, Body::Started(start))
}
