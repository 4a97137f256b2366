//! How far a batch is, in figures.

use std::time::Duration;

use super::{Announcement, Supervisor};
use crate::event::{BatchProgress, Body, Event, seconds};
use crate::journal::Result;

/// How often the batch says how far it is.
const BATCH_INTERVAL: Duration = Duration::from_millis(400);

impl Supervisor<'_> {
    /// Says how far the batch is, if it is time.
    pub(super) fn tell_batch(&mut self) -> Result<()> {
        let now = self.clock.now();
        if self.last_batch.is_some_and(|at| now - at < BATCH_INTERVAL) {
            return Ok(());
        }
        self.last_batch = Some(now);
        self.count()?;
        let event = Event::now(Body::Batch(self.progress()));
        self.announcements.push(Announcement::Passing(event.into()));
        Ok(())
    }

    pub(super) fn progress(&self) -> BatchProgress {
        let elapsed = self.clock.now() - self.begin;
        let running: f64 = self.jobs.values().map(|j| j.progress.position_s).sum();
        let video_s = self.video_s + running;
        BatchProgress {
            total: self.counts.total(),
            done: self.counts.done,
            failed: self.counts.failed,
            cancelled: self.counts.cancelled,
            running: self.counts.running,
            queued: self.counts.queued,
            already_done: self.begun.already_done,
            elapsed_s: seconds(elapsed),
            video_s: (video_s * 1e3).round() / 1e3,
            speed: (video_s > 0.0 && elapsed.as_secs_f64() > 1.0)
                .then(|| video_s / elapsed.as_secs_f64()),
            eta_s: self.time_left(),
            paused: self.paused.clone().or_else(|| self.hiring.paused()),
        }
    }

    fn time_left(&self) -> Option<f64> {
        let waiting = self.estimator.seconds(self.waiting.jobs())?;
        let mut running = 0.0;
        for job in self.jobs.values() {
            running += match job.progress.eta_s {
                Some(eta) => eta,
                None => self.estimator.seconds([&job.claim.spec])?,
            };
        }
        let places = (self.options.workers * self.options.jobs_per_worker).max(1);
        let at_once = places.min(self.waiting.len() + self.jobs.len()).max(1);
        Some((waiting + running) / at_once as f64)
    }
}
