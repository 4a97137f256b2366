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
    /// The job is in this state now.
    State {
        /// Who says so.
        lease: Lease,
        /// One of those before `done`.
        state: JobState,
    },
    /// How far the job is, for those who ask meanwhile.
    Progress {
        /// Who says so.
        lease: Lease,
        /// Its last position.
        progress: Progress,
    },
    /// The output is whole and will get its name next.
    Made {
        /// Who says so.
        lease: Lease,
        /// Of the output, as 64 hexadecimal digits.
        sha256: String,
        /// What the job's inputs and settings came to.
        identity: Option<String>,
    },
    /// The attempt is over and the job is given back.
    Ended {
        /// Whose it was.
        lease: Lease,
        /// How it ended.
        ending: Ending,
    },
    /// A file was read and has this digest.
    Digest {
        /// The file.
        path: PathBuf,
        /// What it was like when it was read.
        stamp: Stamp,
        /// Of its content, as 64 hexadecimal digits.
        sha256: String,
    },
    /// A file was looked at, for estimates.
    Media {
        /// The file.
        path: PathBuf,
        /// What it was like then.
        stamp: Stamp,
        /// What is in it; None where it is nothing that can be played.
        media: Option<Media>,
    },
    /// A small picture of the output, for the report.
    Thumbnail {
        /// Whose output it is.
        lease: Lease,
        /// A JPEG file.
        jpeg: Vec<u8>,
    },
    /// Kept for readers who come later; gets its number when it is applied.
    Event {
        /// What happened.
        event: Event,
        /// Of the attempt that it tells of.
        lease: Option<Lease>,
    },
}

/// What a controller has of a job: the right to change it, until somebody takes it away. The epoch
/// is the fencing token: each change names it, and one that names an old one changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// Number of the job in the ledger.
    pub job: i64,
    /// How often the job had been claimed when this claim was made.
    pub epoch: i64,
}

/// What became of changes.
#[derive(Debug, Default)]
pub struct Applied {
    /// The job that was taken, where one was asked for and due.
    pub claim: Option<Claim>,
    /// Leases that somebody else has taken over. Nothing that was said under them was applied.
    pub lost: BTreeSet<Lease>,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// `Queued` where the job is to be tried again.
    pub state: JobState,
    /// What the attempt came to, for those who read it later.
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
    /// Number of the job in the ledger.
    pub job: i64,
    /// Fencing token of the claim.
    pub epoch: i64,
    /// What is to be done.
    pub spec: Job,
    /// From 1.
    pub attempt: u32,
    /// Workers that died of it so far.
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
    /// What changes under this claim have to name.
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
    /// The claim that the dead controller had.
    pub lease: Lease,
    /// The file that its worker may have been about to publish.
    pub output: PathBuf,
    /// The digest under which its output may have got its name.
    pub promised: Option<String>,
}

/// What the claim of a job begins with, if that is to be in the same transaction.
pub type FirstEvent<'a> = &'a dyn Fn(&Claim) -> Option<Event>;
