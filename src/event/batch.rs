//! What a batch says of itself and of the attempts at its jobs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ErrorReport;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobStart {
    pub face: String,
    pub speech: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// From 1.
    pub attempt: u32,
    /// Process id of the worker.
    pub worker: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Retry {
    pub error: ErrorReport,
    /// The attempt that comes next.
    pub attempt: u32,
    pub after_s: f64,
}

/// Every job of the batch is in one of the counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BatchProgress {
    pub total: u64,
    /// Made, now or by an earlier run of the batch.
    pub done: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub running: u64,
    pub queued: u64,
    /// Of those done: the output was there before this run.
    pub already_done: u64,
    pub elapsed_s: f64,
    /// Seconds of video made by this run.
    pub video_s: f64,
    /// Seconds of video per second of work, all workers together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<f64>,
    /// Why nothing moves, where that is on purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
}
