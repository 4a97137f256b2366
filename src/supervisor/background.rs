//! Estimates and pictures, made beside the work.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{Stage, Supervisor};
use crate::cancel::Shutdown;
use crate::journal::{Lease, Result};
use crate::pipeline::probe::Role;
use crate::reach::Named;
use crate::worker::protocol::Order;

/// How often jobs of dead controllers are looked for, and what is left to do is estimated anew.
const SURVEY_INTERVAL: Duration = Duration::from_secs(2);
/// How long the report's pictures may take.
const PICTURES_LIMIT: Duration = Duration::from_secs(20);
/// So many files are asked about at once.
const MOST_UNKNOWN: usize = 50;
/// So many tasks wait at once.
const MOST_TASKS: usize = 1000;

impl Supervisor<'_> {
    /// Estimates and pictures are made beside the work, one at a time.
    pub(super) fn run_background(&mut self) {
        if self.background_task.is_some()
            || self.paused.is_some()
            || self.background_tasks.is_empty()
        {
            return;
        }
        let serial = match self.background_that_reaches() {
            Some(serial) => serial,
            None => match self.hire(true) {
                Some(serial) => serial,
                None => return,
            },
        };
        self.background = Some(serial);
        if let Some((order, lease)) = self.background_tasks.pop_front() {
            self.background_task = Some(lease);
            self.orders.push((serial, order));
        }
    }

    /// The worker for this, unless it was started before the next file was named.
    fn background_that_reaches(&mut self) -> Option<u64> {
        let serial = self.background?;
        let worker = self.workers.get(&serial)?;
        let Order::Probe { path, .. } = &self.background_tasks.front()?.0 else {
            return Some(serial);
        };
        let files = worker.confinement.files.as_ref();
        if !worker.is_ready
            || files.is_none_or(|files| files.covers(&Named::files([path.as_path()])))
        {
            return Some(serial);
        }
        self.workers.remove(&serial);
        self.hands.kill(serial);
        self.hands.reap(serial);
        self.background = None;
        None
    }

    /// Has a picture made of an output, unless too many are waited for: pictures may take longer than jobs.
    pub(super) fn picture(&mut self, lease: Lease, path: PathBuf) {
        let job = lease.job;
        if self.background_tasks.len() < MOST_TASKS {
            let order = Order::Thumbnail { job, path };
            self.background_tasks.push_back((order, Some(lease)));
        }
    }

    /// Notes the files of jobs that have come since.
    pub(super) fn name_files(&mut self) {
        for job in self.waiting.news() {
            self.name_files_of(&job);
        }
    }

    /// The jobs are over. Nobody needs estimates any more; the report's pictures may take a moment.
    pub(super) fn end_work(&mut self) {
        self.background_tasks
            .retain(|(order, _)| matches!(order, Order::Thumbnail { .. }));
        let until = self.clock.now() + PICTURES_LIMIT;
        self.stage = Stage::Pictures { until };
    }

    pub(super) fn finish_pictures(&mut self, until: Instant) -> Result<()> {
        let now = self.clock.now();
        let is_over = now >= until
            || self.stop.shutdown() == Shutdown::Now
            || self.background_task.is_none() && self.background_tasks.is_empty();
        if is_over {
            self.stage = Stage::LastWord;
        } else {
            self.run_background();
            self.tell_batch()?;
        }
        self.flush()
    }

    /// Looks at what is left to do.
    pub(super) fn survey(&mut self) -> Result<()> {
        let now = self.clock.now();
        if self
            .last_survey
            .is_some_and(|at| now - at < SURVEY_INTERVAL)
        {
            return Ok(());
        }
        let is_first = self.last_survey.is_none();
        self.last_survey = Some(now);
        if !is_first {
            self.recover()?;
        }
        let waiting = self.waiting.read(&*self.ledger, self.begun.batch);
        self.unless_it_passes(waiting)?;
        self.name_files();
        if self.background_tasks.is_empty() {
            let mut unknown = Vec::new();
            for job in self.waiting.jobs() {
                let speeches = job.speeches().map(|path| (path, Role::Speech));
                for (path, role) in speeches.chain([(job.face.as_path(), Role::Face)]) {
                    let background_task = Order::Probe {
                        path: path.to_owned(),
                        role,
                    };
                    if !self.estimator.knows(path) && !unknown.contains(&background_task) {
                        unknown.push(background_task);
                    }
                }
                if unknown.len() > MOST_UNKNOWN {
                    break;
                }
            }
            for background_task in &unknown {
                if let Order::Probe { path, .. } = background_task {
                    // Asked once, whatever comes of it.
                    self.estimator.ask(path.clone());
                }
            }
            self.background_tasks
                .extend(unknown.into_iter().map(|order| (order, None)));
        }
        Ok(())
    }
}
