//! How a supervisor writes its journal, and what it does when that fails.

use std::time::Instant;

use super::{Announcement, MOST_INPUTS, Supervisor};
use crate::event::{Body, Event, JobStart, display};
use crate::journal::{Change, Claim, Result};

impl Supervisor<'_> {
    /// Writes the journal, then says what it has, then gives the orders that follow from it.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.flush_and_claim(None).map(drop)
    }

    /// The same, and in one go takes the next job for the worker with that process id, which is empty
    /// or not. Changes come first: one of them may put a job back.
    pub(super) fn flush_and_claim(&mut self, worker: Option<(u32, bool)>) -> Result<Option<Claim>> {
        // Only a write tells whether it can be written again.
        let is_attempt = self.journal_fails_since.is_some() && self.changes.is_empty();
        if is_attempt {
            self.warn("The journal can be written again".into());
        }
        let batch = self.begun.batch;
        let known = self.changes.len();
        let applied = match worker {
            Some((pid, is_empty)) if !is_attempt => {
                let begin = |claim: &Claim| (!claim.alone || is_empty).then(|| started(claim, pid));
                self.journal
                    .apply_and_claim(batch, &mut self.changes, pid, &begin)
            }
            _ => self.journal.apply(batch, &mut self.changes).map(|()| None),
        };
        if self.changes.len() > known {
            self.announcements.push(Announcement::Kept(known));
        }
        let mut is_news = false;
        let claim = match applied {
            Ok(claim) => {
                if self.journal_fails_since.take().is_some() {
                    self.paused = None;
                    // A low disk may have stopped the pipelines before the journal failed.
                    self.order_pause(false);
                    is_news = !is_attempt;
                }
                claim
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
                    if let Some(Change::Event { event }) = self.changes.get(index) {
                        (self.emit)(event);
                    }
                }
            }
        }
        self.changes.clear();
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
        // Only the last position of a job matters, and these come every second.
        if self.changes.len() > MOST_INPUTS
            && !self
                .announcements
                .iter()
                .any(|a| matches!(a, Announcement::Kept(_)))
        {
            self.changes
                .retain(|change| !matches!(change, Change::Progress { .. }));
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
