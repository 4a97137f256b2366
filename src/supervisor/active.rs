//! A job in a worker, as the supervisor sees it.

use std::time::Instant;

use crate::event::Progress;
use crate::journal::Claim;

/// A job in a worker.
pub(super) struct Active {
    pub(super) claim: Claim,
    pub(super) worker: u64,
    pub(super) started: Instant,
    pub(super) progress: Progress,
    /// When it last moved: entered a phase, or made a frame.
    pub(super) moved: Instant,
    /// The digest under which its output may get its name.
    pub(super) promised: Option<String>,
    /// When its pipeline ran, from its first frame to its last.
    pub(super) ran: Option<(Instant, Instant)>,
    pub(super) kept: Instant,
    pub(super) cancelled: Option<(Instant, Cancellation)>,
    pub(super) warnings: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancellation {
    /// Somebody wants this job cancelled.
    Requested,
    /// The batch is stopped; the job is for the next start.
    Stop,
    /// Somebody else has it now, and nothing may be said of it here.
    Lost,
}
