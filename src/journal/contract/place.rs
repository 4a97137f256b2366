//! A folder with inputs and a ledger, and the few moves of a controller that tests need.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::event::{JobState, Outcome, Progress};
use crate::job::{IfExists, Job};
use crate::publish::LocalStore;

/// A folder with inputs, and jobs that write into it.
pub(in crate::journal) struct Place<B> {
    pub folder: TempDir,
    pub backend: B,
    pub clock: Rc<Cell<f64>>,
}

impl<B: Backend> Place<B> {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["f.mp4", "s.wav"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let clock = Rc::new(Cell::new(1.8e9));
        Self {
            backend: B::new(folder.path(), clock.clone()),
            folder,
            clock,
        }
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub fn ledger(&self) -> B::Ledger {
        let ledger = self.backend.ledger();
        recover(&ledger, &LocalStore).unwrap();
        ledger
    }

    pub fn planned(&self, output: &str) -> Planned {
        let job = serde_json::from_value(serde_json::json!({
            "face": self.path("f.mp4"), "speech": self.path("s.wav"), "output": self.path(output),
            "template": "file", "parameters": [], "end_mode": "speech", "loop_mode": null,
            "if_exists": "refuse", "stuck_after": {"secs": 30, "nanos": 0}, "graph": null,
            "dry_run": false
        }));
        Planned {
            job: job.unwrap(),
            output: self.path(output),
        }
    }

    /// The same, of another face.
    pub(super) fn planned_of(&self, face: &str, output: &str) -> Planned {
        let mut planned = self.planned(output);
        planned.job.face = self.path(face);
        planned
    }

    pub fn begin_with(
        &self,
        ledger: &dyn Ledger,
        jobs: &[Planned],
        force: bool,
        identity: &dyn Fn(&Job) -> Result<Option<String>>,
    ) -> Begun {
        let begun = ledger.begin(&Start {
            source: "list a",
            command: "lipflow batch a",
            root: self.root(),
            jobs,
            force,
            store: &LocalStore,
            identity,
        });
        begun.unwrap()
    }

    pub fn begin(
        &self,
        ledger: &dyn Ledger,
        outputs: &[&str],
        identity: &str,
        force: bool,
    ) -> Begun {
        let jobs: Vec<_> = outputs.iter().map(|output| self.planned(output)).collect();
        self.begin_with(ledger, &jobs, force, &|_| Ok(Some(identity.to_owned())))
    }

    /// Does all jobs that are due, as a controller would.
    pub(super) fn work(
        &self,
        ledger: &dyn Ledger,
        batch: i64,
        identity: &str,
    ) -> Vec<(i64, IfExists)> {
        let mut done = Vec::new();
        while let Some(claim) = ledger.claim(batch, 7).unwrap() {
            let output = claim.spec.output.clone().unwrap();
            fs::write(&output, format!("made of {identity}")).unwrap();
            let sha256 = digest(&output);
            let mut changes = vec![
                Change::Made {
                    lease: claim.lease(),
                    sha256,
                    identity: Some(identity.into()),
                },
                ended(claim.lease(), JobState::Done, Stamp::of(&output).ok()),
            ];
            ledger.apply(batch, &mut changes).unwrap();
            done.push((claim.job, claim.spec.if_exists));
        }
        done
    }
}

/// Takes one job, as a supervisor does.
pub(crate) trait ClaimOne {
    fn claim(&self, batch: i64, worker: u32) -> Result<Option<Claim>>;
}

impl<L: Ledger + ?Sized> ClaimOne for L {
    fn claim(&self, batch: i64, worker: u32) -> Result<Option<Claim>> {
        let applied = self.apply_and_claim(batch, &mut Vec::new(), worker, &|_| None)?;
        let mut claim = applied.claim;
        if let Some(claim) = &mut claim {
            claim.may_replace_own(&LocalStore);
        }
        Ok(claim)
    }
}

pub(in crate::journal) fn digest(path: &Path) -> String {
    crate::digest::of_file(path, &Default::default()).unwrap()
}

/// The job is to be tried again in a minute.
pub(super) fn paused(lease: Lease) -> Change {
    let Change::Ended { lease, ending } = ended(lease, JobState::Queued, None) else {
        unreachable!()
    };
    let ending = Ending {
        retry_after: Duration::from_secs(60),
        ..ending
    };
    Change::Ended { lease, ending }
}

/// One that has killed its worker.
pub(in crate::journal) fn killed(lease: Lease, state: JobState) -> Change {
    let mut change = ended(lease, state, None);
    if let Change::Ended { ending, .. } = &mut change {
        ending.is_culprit = true;
    }
    change
}

pub(in crate::journal) fn ended(lease: Lease, state: JobState, stamp: Option<Stamp>) -> Change {
    Change::Ended {
        lease,
        ending: Ending {
            state,
            outcome: Outcome::nothing(state, &Progress::default()),
            retry_after: Duration::ZERO,
            stage: "running".into(),
            signal: None,
            is_culprit: false,
            is_suspect: false,
            counts: true,
            stamp,
        },
    }
}
