//! What a supervisor looks after: time, disks, and wishes from other terminals.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::{CANCELLATIONS_INTERVAL, Cancellation, Supervisor, policy};
use crate::cancel::Shutdown;
use crate::error::{Failure, FailureKind};
use crate::event::{Body, Event};
use crate::job::folder_of;
use crate::journal::Result;
use crate::worker::protocol::Order;

/// A worker speaks twice a second from a thread that does nothing else.
const SILENCE_LIMIT: Duration = Duration::from_secs(10);
/// How long a worker may be silent at first: a new machine's plugins are looked through, which takes a
/// minute where there are many.
const FIRST_WORD_LIMIT: Duration = Duration::from_secs(120);
/// How long a cancelled job may take to clean up before its worker is killed; together with the kill
/// it is under the promised two seconds.
const CANCEL_LIMIT: Duration = Duration::from_millis(1500);
/// A disk is full below its floor, and has room again this many times above it.
const ROOM_AGAIN: f64 = 1.1;

impl Supervisor<'_> {
    /// Ends what has exceeded its limit.
    pub(super) fn watch_limits(&mut self) {
        let now = self.clock.now();
        if self.stop.shutdown() == Shutdown::Drain && !self.said_finishing {
            self.said_finishing = true;
            let message = "Finishing the running files; interrupt again to stop them at once";
            self.keep(Event::now(Body::Message {
                message: message.into(),
            }));
        }
        if self.stop.shutdown() == Shutdown::Now {
            let jobs: Vec<_> = self.jobs.keys().copied().collect();
            jobs.into_iter()
                .for_each(|job| self.cancel(job, Cancellation::Stop));
        }
        let mut beyond = Vec::new();
        for (job, active) in &self.jobs {
            let stuck_after = active.claim.spec.stuck_after;
            let silent = self
                .workers
                .get(&active.worker)
                .map_or(Duration::ZERO, |worker| now - worker.last_heard);
            let phase = active.progress.phase;
            let failure = if let Some((since, _)) = active.cancelled {
                (now - since > CANCEL_LIMIT).then(|| Failure::new(FailureKind::Terminated))
            } else if silent > SILENCE_LIMIT {
                let file = &active.claim.spec.face;
                Some(Failure::of(FailureKind::Stuck, file).detail(format_args!(
                    "its process said nothing for {} s while {}",
                    SILENCE_LIMIT.as_secs(),
                    phase.name()
                )))
            } else if self.paused.is_none()
                && now - active.moved > policy::limit(phase, stuck_after)
            {
                let file = &active.claim.spec.face;
                Some(Failure::of(FailureKind::Stuck, file).detail(format_args!(
                    "no change for {} s while {}",
                    (now - active.moved).as_secs(),
                    phase.name()
                )))
            } else {
                None
            };
            beyond.extend(failure.map(|failure| (*job, failure)));
        }
        for (job, failure) in beyond {
            self.kill_for(job, &failure);
        }
        for (serial, worker) in &self.workers {
            let limit = match worker.is_ready {
                true if self.background == Some(*serial) => SILENCE_LIMIT,
                // Told above, with its jobs.
                true => continue,
                false => FIRST_WORD_LIMIT,
            };
            if now - worker.last_heard > limit {
                self.hands.kill(*serial);
            }
        }
    }

    /// Asks a job to stop and clean up.
    fn cancel(&mut self, job: i64, why: Cancellation) {
        let now = self.clock.now();
        let Some(active) = self.jobs.get_mut(&job) else {
            return;
        };
        if active.cancelled.is_none() {
            active.cancelled = Some((now, why));
            let lease = active.claim.lease();
            self.orders.push((active.worker, Order::Cancel { lease }));
        }
    }

    /// Does what `lipflow cancel` has left in the journal.
    pub(super) fn read_cancellations(&mut self) -> Result<()> {
        let is_empty = self.jobs.is_empty() && self.held.is_none();
        let now = self.clock.now();
        if now - self.last_cancellations < CANCELLATIONS_INTERVAL || is_empty {
            return Ok(());
        }
        self.last_cancellations = now;
        let requested = self.ledger.cancellations();
        for job in self.unless_it_passes(requested)?.unwrap_or_default() {
            if self.held.as_ref().is_some_and(|claim| claim.job == job) {
                self.end_held(Cancellation::Requested);
            }
            self.cancel(job, Cancellation::Requested);
        }
        Ok(())
    }

    /// Pauses while a disk that is written to is below its floor, or is gone.
    pub(super) fn watch_disks(&mut self) {
        if self.journal_fails_since.is_some() {
            return;
        }
        let reason = self.gone_disk().or_else(|| self.low_disk());
        match (reason, self.paused.is_some()) {
            (Some(reason), false) => {
                self.warn(format!("Paused. {reason}"));
                self.paused = Some(reason);
                self.order_pause(true);
            }
            (None, true) => {
                self.paused = None;
                self.warn("There is room on the disk again; going on".into());
                self.order_pause(false);
            }
            _ => {}
        }
    }

    /// Notes on which disks the outputs are to be, before any of them can vanish.
    pub(super) fn remember_disks(&mut self) {
        for job in self.waiting.jobs() {
            if let Some(folder) = job.output.as_deref().map(folder_of)
                && !self.devices.contains_key(folder)
            {
                let devices = self.store.devices(folder);
                self.devices.insert(folder.into(), devices);
            }
        }
    }

    /// Where is written now, and will be next.
    fn folders(&self) -> BTreeSet<PathBuf> {
        let waiting = self.waiting.jobs().next();
        let jobs = self.jobs.values().map(|active| &active.claim.spec);
        jobs.chain(waiting)
            .filter_map(|job| Some(folder_of(job.output.as_deref()?).to_owned()))
            .collect()
    }

    /// Why nothing can be written where outputs are to be: their disk was unmounted, and what lies under
    /// it would fill up instead.
    fn gone_disk(&mut self) -> Option<String> {
        for folder in self.folders() {
            let now = self.store.devices(&folder);
            let before = self.devices.get(&folder);
            if before.is_some_and(|before| is_unmounted(before, &now)) {
                return Some(format!(
                    "{}: its disk is not mounted any more. Mount it, and it goes on by itself",
                    folder.display()
                ));
            }
            self.devices.insert(folder, now);
        }
        None
    }

    fn low_disk(&self) -> Option<String> {
        if self.options.min_free == 0 {
            return None;
        }
        let floor = self.options.min_free as f64;
        let floor = if self.paused.is_some() {
            floor * ROOM_AGAIN
        } else {
            floor
        };
        self.folders().into_iter().find_map(|folder| {
            let free = self.store.free_space(&folder)?;
            ((free as f64) < floor).then(|| {
                format!(
                    "{}: {:.0} MB are free, less than the {:.0} MB that --min-free keeps. Make room, and it goes on by itself",
                    folder.display(),
                    free as f64 / 1e6,
                    self.options.min_free as f64 / 1e6,
                )
            })
        })
    }

    pub(super) fn order_pause(&mut self, pause: bool) {
        let now = self.clock.now();
        for active in self.jobs.values_mut() {
            active.moved = now;
        }
        // Those without a job, too: one whose job ended in the pause would begin the next one in it.
        let workers = self.workers.keys();
        let orders = workers.map(|serial| (*serial, Order::Pause { pause }));
        self.orders.extend(orders);
    }
}

/// Whether the folder that was on the first of `before` is on one now that was further up. A disk that
/// was mounted anew may have another number, and is none of those.
fn is_unmounted(before: &[u64], now: &[u64]) -> bool {
    match (before.first(), now.first()) {
        (Some(before_first), Some(now)) => now != before_first && before.contains(now),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::publish::LocalStore;
    use crate::store::Store;

    #[test]
    fn a_disk_that_is_gone_is_not_one_that_was_mounted_anew() {
        let (disk, root) = (7, 1);
        let before = [disk, disk, root];
        assert!(!is_unmounted(&before, &before));
        assert!(is_unmounted(&before, &[root, root, root]));
        assert!(
            is_unmounted(&before, &[root, root]),
            "its folder is gone too"
        );
        assert!(!is_unmounted(&before, &[9, 9, root]), "mounted anew");
        assert!(
            !is_unmounted(&[root, root], &[root]),
            "a folder was deleted"
        );
        assert!(!is_unmounted(&[], &[root]));
        let folder = tempfile::tempdir().unwrap();
        let devices = |folder: &Path| LocalStore.devices(folder);
        let there = devices(folder.path());
        assert!(there.len() > 1);
        assert_eq!(devices(&folder.path().join("none")), there);
    }
}
