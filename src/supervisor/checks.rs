//! Reading whole files takes long, and the supervisor may not stand still meanwhile: threads do it.

use std::path::PathBuf;

use super::{Active, Aside, Supervisor};
use crate::event::{JobState, Outcome, display};
use crate::journal::{Lease, Result};

/// An attempt whose worker died when its output was about to get its name.
pub(super) struct Check {
    pub active: Active,
    /// How it ended, if its output is not there.
    pub outcome: Outcome,
    pub signal: Option<i32>,
    pub with_others: bool,
}

impl Supervisor<'_> {
    /// Finds out whether the output is what was promised.
    pub(super) fn check(&mut self, lease: Lease, output: PathBuf, sha256: String) {
        let check = Aside::Check {
            lease,
            output,
            sha256,
        };
        if !self.hands.aside(check) {
            // It is looked at again with the next step; a machine without threads has other worries.
            self.unchecked.push(lease);
        }
    }

    pub(super) fn checked(&mut self, lease: Lease, is_there: bool) {
        if let Some(check) = self.checks.remove(&lease) {
            let Check {
                active,
                outcome,
                signal,
                with_others,
            } = check;
            if is_there {
                self.found_done(lease.job, active);
            } else {
                self.not_done(lease.job, &active, outcome, signal, with_others);
            }
            return;
        }
        let active = self.jobs.get(&lease.job);
        if active.is_none_or(|active| active.claim.epoch != lease.epoch) {
            return;
        }
        if !is_there {
            self.order_run(lease.job);
        } else if let Some(active) = self.take(lease.job) {
            self.found_done(lease.job, active);
        }
    }

    /// The output has its name already, although nobody could say so.
    fn found_done(&mut self, job: i64, active: Active) {
        let progress = &active.progress;
        let output = active.claim.spec.output.as_deref();
        let outcome = Outcome {
            output: output.map(display),
            duration_s: (progress.frames > 0).then_some(progress.position_s),
            ..Outcome::nothing(JobState::Done, progress)
        };
        let stamp = output.and_then(|output| self.store.stamp(output));
        self.done(job, active, outcome, stamp);
    }

    /// Gives back the jobs of dead controllers, beside the work.
    pub(super) fn recover(&mut self) -> Result<()> {
        if self.is_recovering || self.journal_fails_since.is_some() {
            return Ok(());
        }
        let orphans = self.ledger.orphans();
        let orphans = self.unless_it_passes(orphans)?.unwrap_or_default();
        if !orphans.is_empty() {
            self.is_recovering = self.hands.aside(Aside::Recover);
        }
        Ok(())
    }

    pub(super) fn recovered(&mut self, count: Result<u64>) -> Result<()> {
        self.is_recovering = false;
        let count = self.unless_it_passes(count)?.unwrap_or(0);
        if count > 0 {
            self.warn(format!(
                "Another controller has died; its jobs ({count}) go on here"
            ));
        }
        Ok(())
    }
}
