//! Batches and jobs as the journal knows them.

use std::path::PathBuf;

use serde::Serialize;

use crate::event::{ErrorReport, JobState, Outcome, Progress};
use crate::job::Part;

/// A batch, as the journal knows it.
#[derive(Clone, Debug, Serialize)]
pub struct BatchRow {
    /// Number of the batch in the journal.
    pub id: i64,
    /// The command line that began it.
    pub command: String,
    /// The folder that all outputs are in.
    pub root: PathBuf,
    /// Seconds since 1970.
    pub created: f64,
}

/// How many jobs of a batch are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Jobs that wait.
    pub queued: u64,
    /// Jobs that a controller has claimed.
    pub running: u64,
    /// Jobs whose output is there.
    pub done: u64,
    /// Jobs that failed for good.
    pub failed: u64,
    /// Jobs that somebody cancelled.
    pub cancelled: u64,
}

impl Counts {
    /// All jobs of the batch.
    pub fn total(&self) -> u64 {
        self.open() + self.done + self.failed + self.cancelled
    }

    /// Those that have not ended.
    pub fn open(&self) -> u64 {
        self.queued + self.running
    }
}

/// A job, as the journal knows it.
#[derive(Clone, Debug, Serialize)]
pub struct JobRow {
    /// Number of the job in the journal.
    pub id: i64,
    /// The last state that was entered.
    pub state: JobState,
    /// The file that it makes.
    pub output: PathBuf,
    /// File of the face.
    pub face: PathBuf,
    /// File of the speech; of several speeches the first.
    pub speech: PathBuf,
    /// Where several speak, who says what.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dialogue: Vec<Part>,
    /// How often it was begun.
    pub attempts: u32,
    /// Where it is, while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// How its last attempt ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Of the output, as 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Size of the output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// JPEG of a frame of the output; only where it was asked for.
    #[serde(skip)]
    pub thumbnail: Option<Vec<u8>>,
}

impl JobRow {
    /// Why it failed, where it did.
    pub fn error(&self) -> Option<&ErrorReport> {
        self.outcome.as_ref()?.error.as_ref()
    }
}

/// An event as it was kept: its number, and its JSON without it.
pub type StoredEvent = (i64, String);
