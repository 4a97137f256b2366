//! Time, as an argument: what waits for it can be run through in a moment by a test.

use std::time::Instant;

pub trait Clock {
    /// Never goes back.
    fn now(&self) -> Instant;
}

/// The machine's.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }
}
