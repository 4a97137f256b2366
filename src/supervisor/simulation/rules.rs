//! What has to hold.

use super::{Report, Simulation};
use crate::event::{Body, Event, JobState};
use crate::journal::Ledger;
use crate::journal::contract::{Backend, Seen};
use crate::store::Store;

impl<B: Backend + 'static> Simulation<B> {
    /// What has been published since, against what the ledger says.
    pub(super) fn check_publishes(&mut self) {
        let publishes = self.machine.borrow().publishes.clone();
        for (job, sha256, output) in publishes.borrow_mut().drain(..) {
            let Some(seen) = self.backend.seen(&self.oracle, job) else {
                self.fault(format!("{}: published for no job", output.display()));
                continue;
            };
            if !promises(&seen, &sha256) {
                self.fault(format!(
                    "{}: published without a promise: {seen:?}, not {sha256}",
                    output.display()
                ));
            }
        }
    }

    pub(super) fn check_end(&mut self, report: &mut Report) {
        if self.is_suspected {
            let store = self.machine.borrow().store.clone();
            let outputs = self.jobs.iter().map(|job| &job.output);
            outputs.for_each(|output| store.remove_leftovers(output));
        }
        let machine = self.machine.borrow();
        let disk = self.disk.borrow();
        for row in self.oracle.jobs(self.batch, false).unwrap() {
            let output = row.output.display();
            let seen = self.backend.seen(&self.oracle, row.id).unwrap();
            match row.state {
                JobState::Done => {
                    report.done += 1;
                    let there = disk.files.get(&row.output);
                    let is_there =
                        there.is_some_and(|file| Some(&file.sha256) == seen.published.as_ref());
                    let is_skipped = row.outcome.as_ref().is_some_and(|o| o.skipped);
                    if !is_there && !is_skipped && !disk.touched.contains(&row.output) {
                        self.fault(format!("{output}: done, and {there:?} is there: {seen:?}"));
                    }
                }
                JobState::Failed | JobState::Cancelled => {
                    report.failed += 1;
                    if !machine.excused.contains(&row.output) {
                        let error = row.error().map(|error| &error.reason);
                        self.fault(format!("{output}: {:?} for nothing: {error:?}", row.state));
                    }
                }
                _ => self.fault(format!("{output}: is left as {:?}", row.state)),
            }
        }
        if !disk.staged.is_empty() {
            self.fault(format!("hidden files are left: {:?}", disk.staged));
        }
    }
}

/// Whether the ledger knows that this may be the job's output: promised, or entered already.
fn promises(seen: &Seen, sha256: &str) -> bool {
    seen.sha256.as_deref() == Some(sha256) || seen.published.as_deref() == Some(sha256)
}

/// What is wrong with saying this.
pub(super) fn check_announcement(ledger: &dyn Ledger, batch: i64, event: &Event) -> Option<String> {
    let Some(id) = event.id else {
        let passes = matches!(event.body, Body::Progress(_) | Body::Batch(_));
        return (!passes).then(|| format!("announced and not kept: {:?}", event.body));
    };
    let kept = ledger.events(batch, id - 1, 1).unwrap();
    let is_kept = kept.iter().any(|(number, body)| {
        let mut said = event.clone();
        said.id = None;
        *number == id && serde_json::to_string(&said).ok().as_ref() == Some(body)
    });
    (!is_kept).then(|| format!("announced before it was kept: {:?}", event.body))
}
