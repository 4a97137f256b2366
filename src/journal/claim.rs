//! Claims: what a controller has of a job, and what it enters under it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Media;
use crate::event::{Event, JobState, Outcome, Progress};
use crate::job::{IfExists, Job};
use crate::stamp::Stamp;
use crate::store::Store;

/// So many workers may die of a job before it is set aside.
pub const DEATHS_ALLOWED: u32 = 2;

/// One change. Those of one moment are applied together or not at all.
#[derive(Clone, Debug)]
pub enum Change {
    State {
        lease: Lease,
        state: JobState,
    },
    Progress {
        lease: Lease,
        progress: Progress,
    },
    /// The output is whole and will get its name next.
    Made {
        lease: Lease,
        sha256: String,
        /// What the job's inputs and settings came to.
        identity: Option<String>,
    },
    Ended {
        lease: Lease,
        ending: Ending,
    },
    Digest {
        path: PathBuf,
        stamp: Stamp,
        sha256: String,
    },
    Media {
        path: PathBuf,
        stamp: Stamp,
        media: Option<Media>,
    },
    Thumbnail {
        lease: Lease,
        jpeg: Vec<u8>,
    },
    /// Kept for readers who come later; gets its number when it is applied.
    Event {
        event: Event,
        /// Of the attempt that it tells of.
        lease: Option<Lease>,
    },
}

/// What a controller has of a job: the right to change it, until somebody takes it away. The epoch
/// is the fencing token: each change names it, and one that names an old one changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lease {
    pub job: i64,
    pub epoch: i64,
}

/// What became of changes.
#[derive(Debug, Default)]
pub struct Applied {
    pub claim: Option<Claim>,
    /// Leases that somebody else has taken over. Nothing that was said under them was applied.
    pub lost: BTreeSet<Lease>,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// `Queued` where the job is to be tried again.
    pub state: JobState,
    pub outcome: Outcome,
    /// With `Queued`: not before so long, by the clock of the ledger.
    pub retry_after: Duration,
    /// The last phase that was heard of.
    pub stage: String,
    /// What the worker died of.
    pub signal: Option<i32>,
    /// Whether it died of this job: no other was in it.
    pub is_culprit: bool,
    /// Whether others were in it when it died.
    pub is_suspect: bool,
    /// The attempt counts against the job.
    pub counts: bool,
    /// Of the published file.
    pub stamp: Option<Stamp>,
}

/// A job that this controller has taken.
#[derive(Clone, Debug)]
pub struct Claim {
    pub job: i64,
    pub epoch: i64,
    pub spec: Job,
    /// From 1.
    pub attempt: u32,
    pub deaths: u32,
    /// It wants a worker of its own.
    pub alone: bool,
    /// It wants this controller for itself: too many died while it ran.
    pub solo: bool,
    /// The digest of an output that an earlier attempt was about to publish when it was cut off.
    pub promised: Option<String>,
    /// The stamp of what an earlier attempt has published under the output's name.
    pub made: Option<Stamp>,
}

impl Change {
    /// The lease under which it is said.
    pub(crate) fn lease(&self) -> Option<Lease> {
        match self {
            Self::State { lease, .. }
            | Self::Progress { lease, .. }
            | Self::Made { lease, .. }
            | Self::Ended { lease, .. }
            | Self::Thumbnail { lease, .. } => Some(*lease),
            Self::Event { lease, .. } => *lease,
            Self::Digest { .. } | Self::Media { .. } => None,
        }
    }
}

impl Claim {
    pub fn lease(&self) -> Lease {
        Lease {
            job: self.job,
            epoch: self.epoch,
        }
    }

    /// Lets the job replace what was made earlier, where that is what lies there. Gives its stamp.
    pub fn may_replace_own(&mut self, store: &dyn Store) -> Option<Stamp> {
        let made = self.made.take()?;
        let output = self.spec.output.as_deref()?;
        if store.stamp(output)? != made {
            return None;
        }
        self.spec.if_exists = IfExists::Overwrite;
        self.made = Some(made.clone());
        Some(made)
    }
}

/// A job whose controller has died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    pub lease: Lease,
    pub output: PathBuf,
    /// The digest under which its output may have got its name.
    pub promised: Option<String>,
}

/// What the claim of a job begins with, if that is to be in the same transaction.
pub type FirstEvent<'a> = &'a dyn Fn(&Claim) -> Option<Event>;
