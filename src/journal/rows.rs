//! Batches and jobs as the journal knows them.

use std::path::PathBuf;

use serde::Serialize;

use crate::event::{ErrorReport, JobState, Outcome, Progress};
use crate::job::Part;

/// A batch, as the journal knows it.
#[derive(Clone, Debug, Serialize)]
pub struct BatchRow {
    pub id: i64,
    pub command: String,
    pub root: PathBuf,
    /// Seconds since 1970.
    pub created: f64,
}

/// How many jobs of a batch are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub queued: u64,
    pub running: u64,
    pub done: u64,
    pub failed: u64,
    pub cancelled: u64,
}

impl Counts {
    pub fn total(&self) -> u64 {
        self.open() + self.done + self.failed + self.cancelled
    }

    pub fn open(&self) -> u64 {
        self.queued + self.running
    }
}

/// A job, as the journal knows it.
#[derive(Clone, Debug, Serialize)]
pub struct JobRow {
    pub id: i64,
    pub state: JobState,
    pub output: PathBuf,
    pub face: PathBuf,
    /// Of several speeches the first.
    pub speech: PathBuf,
    /// Where several speak, who says what.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dialogue: Vec<Part>,
    pub attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    #[serde(skip)]
    pub thumbnail: Option<Vec<u8>>,
}

impl JobRow {
    pub fn error(&self) -> Option<&ErrorReport> {
        self.outcome.as_ref()?.error.as_ref()
    }
}

/// An event as it was kept: its number, and its JSON without it.
pub type StoredEvent = (i64, String);
