//! What a batch says of itself and of the attempts at its jobs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ErrorReport;

/// An attempt at a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobStart {
    /// File of the face.
    pub face: String,
    /// File of the speech.
    pub speech: String,
    /// File that is to be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// From 1.
    pub attempt: u32,
    /// Process id of the worker.
    pub worker: u32,
}

/// An attempt that failed of a cause that may pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Retry {
    /// The cause.
    pub error: ErrorReport,
    /// The attempt that comes next.
    pub attempt: u32,
    /// Seconds until it may begin.
    pub after_s: f64,
}

/// Every job of the batch is in one of the counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BatchProgress {
    /// Jobs of the batch.
    pub total: u64,
    /// Made, now or by an earlier run of the batch.
    pub done: u64,
    /// Jobs that have failed for good.
    pub failed: u64,
    /// Jobs that somebody has cancelled.
    pub cancelled: u64,
    /// Jobs that are in a worker.
    pub running: u64,
    /// Jobs that wait.
    pub queued: u64,
    /// Of those done: the output was there before this run.
    pub already_done: u64,
    /// Seconds since this run of the batch began.
    pub elapsed_s: f64,
    /// Seconds of video made by this run.
    pub video_s: f64,
    /// Seconds of video per second of work, all workers together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
    /// Seconds that the rest will take. Absent until something is known of how long jobs take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<f64>,
    /// Why nothing moves, where that is on purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
}
