//! How long a sink may owe an answer to what it was given.

use std::time::{Duration, Instant};

use super::TICK;
use crate::live::stall::Stall;

/// A sink that takes nothing for so long has lost its other end.
pub(super) const STALL_LIMIT: Duration = Duration::from_secs(8);

/// How long a sink has owed an answer to what it was given.
pub(super) struct Patience {
    sent: u64,
    is_owed: bool,
    stall: Stall,
}

impl Patience {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            sent: 0,
            is_owed: false,
            stall: Stall::new(4 * TICK, now),
        }
    }

    pub(super) fn gave(&mut self) {
        self.is_owed = true;
    }

    /// Whether it has been too long. `sent` is what the sink has taken so far.
    pub(super) fn is_over(&mut self, sent: u64, now: Instant) -> bool {
        if sent != self.sent {
            self.sent = sent;
            self.is_owed = false;
        }
        self.stall.waited(sent, self.is_owed, now) > STALL_LIMIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_given_can_be_waited_for() {
        let mut now = Instant::now();
        let mut patience = Patience::new(now);
        let mut pass = |patience: &mut Patience, sent: u64, seconds: f64| {
            let steps = (seconds * 20.0) as u32;
            (0..steps).any(|_| {
                now += TICK;
                patience.is_over(sent, now)
            })
        };
        assert!(!pass(&mut patience, 0, 60.0), "there was nothing to take");
        patience.gave();
        assert!(!pass(&mut patience, 0, 7.0));
        assert!(!pass(&mut patience, 1, 60.0), "it took it");
        patience.gave();
        assert!(pass(&mut patience, 1, 9.0));

        let mut patience = Patience::new(now);
        patience.gave();
        assert!(
            !patience.is_over(0, now + Duration::from_secs(3600)),
            "stopped by Ctrl-Z"
        );
    }
}
