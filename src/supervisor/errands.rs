//! Estimates and pictures, made beside the work.

use std::time::{Duration, Instant};

use super::Supervisor;
use crate::cancel::Haste;
use crate::journal::Result;
use crate::pipeline::probe::Role;
use crate::worker::protocol::Order;

/// How often jobs of dead controllers are looked for, and what is left to do is estimated anew.
const SURVEY_INTERVAL: Duration = Duration::from_secs(2);
/// So many files are asked about at once.
const MOST_UNKNOWN: usize = 50;

impl Supervisor<'_> {
    /// Estimates and pictures are made beside the work, one at a time.
    pub(super) fn run_errands(&mut self) {
        if self.errand.is_some() || self.paused.is_some() || self.errands.is_empty() {
            return;
        }
        let serial = match self.background {
            Some(serial) => serial,
            None => match self.hire(true) {
                Some(serial) => serial,
                None => return,
            },
        };
        self.background = Some(serial);
        if let Some((order, lease)) = self.errands.pop_front() {
            self.errand = Some(lease);
            self.orders.push((serial, order));
        }
    }

    pub(super) fn finish_errands(&mut self) {
        const LIMIT: Duration = Duration::from_secs(20);
        let end = Instant::now() + LIMIT;
        // Nobody needs estimates any more.
        self.errands
            .retain(|(order, _)| matches!(order, Order::Thumbnail { .. }));
        while Instant::now() < end
            && self.stop.haste() != Haste::Now
            && (self.errand.is_some() || !self.errands.is_empty())
        {
            self.run_errands();
            if self.flush().is_err() {
                return;
            }
            if self.take_in().is_err() {
                return;
            }
            let _ = self.tell_batch(false);
        }
    }

    /// Looks at what is left to do.
    pub(super) fn survey(&mut self) -> Result<()> {
        if self
            .last_survey
            .is_some_and(|at| at.elapsed() < SURVEY_INTERVAL)
        {
            return Ok(());
        }
        let is_first = self.last_survey.is_none();
        self.last_survey = Some(Instant::now());
        if !is_first {
            self.recover()?;
        }
        let waiting = self.waiting.read(self.journal, self.begun.batch);
        self.unless_it_passes(waiting)?;
        if self.errands.is_empty() {
            let mut unknown = Vec::new();
            for job in self.waiting.jobs() {
                for (path, role) in [(&job.face, Role::Face), (&job.speech, Role::Speech)] {
                    let errand = Order::Probe {
                        path: path.clone(),
                        role,
                    };
                    if !self.estimator.knows(path) && !unknown.contains(&errand) {
                        unknown.push(errand);
                    }
                }
                if unknown.len() > MOST_UNKNOWN {
                    break;
                }
            }
            for errand in &unknown {
                if let Order::Probe { path, .. } = errand {
                    // Asked once, whatever comes of it.
                    self.estimator.ask(path.clone());
                }
            }
            self.errands
                .extend(unknown.into_iter().map(|order| (order, None)));
        }
        Ok(())
    }
}
