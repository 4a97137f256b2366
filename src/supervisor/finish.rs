//! When a batch is over, and its last word.

use super::{Stage, Summary, Supervisor};
use crate::cancel::Shutdown;
use crate::event::{Body, Event};
use crate::journal::Result;

impl Supervisor<'_> {
    /// Writes how the batch ended, and says it; unless there is more to do meanwhile, by `lipflow retry` or
    /// a second start.
    pub(super) fn last_word(&mut self) -> Result<Option<Summary>> {
        if self.changes.is_empty() {
            if !self.count()? {
                // Nobody knows whether there is more.
                self.flush()?;
                return Ok(None);
            }
            if self.is_more_to_do() {
                self.stage = Stage::Working;
                return Ok(None);
            }
            let progress = self.progress();
            self.keep(Event::now(Body::BatchResult(progress)));
        }
        self.flush()?;
        if !self.changes.is_empty() {
            return Ok(None);
        }
        // It may have taken long to write.
        if !self.count()? {
            return Ok(None);
        }
        if self.is_more_to_do() {
            self.stage = Stage::Working;
            return Ok(None);
        }
        Ok(Some(Summary {
            progress: self.progress(),
            is_interrupted: self.stop.shutdown() != Shutdown::No && self.counts.open() > 0,
        }))
    }

    fn is_more_to_do(&self) -> bool {
        self.stop.shutdown() == Shutdown::No && self.counts.open() > 0
    }

    pub(super) fn is_over(&mut self) -> Result<bool> {
        let is_busy = !self.jobs.is_empty() || self.held.is_some() || !self.checks.is_empty();
        if is_busy || !self.changes.is_empty() {
            return Ok(false);
        }
        if self.stop.shutdown() != Shutdown::No {
            return Ok(true);
        }
        // Jobs that another controller works on are waited for: they may come back.
        Ok(self.count()? && self.counts.open() == 0)
    }
}
