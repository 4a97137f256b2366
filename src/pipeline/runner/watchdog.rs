//! Tells a pipeline that is slow from one that is stuck.

use std::time::{Duration, Instant};

/// After so long without movement it is seen whether there is any life left.
const QUIET: Duration = Duration::from_secs(2);
/// A model that loads is given this many times the limit: some execution providers compile a network for
/// minutes. Nothing else is: words without deeds are no movement.
const PATIENCE_WITH_LOADING: u32 = 40;

/// Tells slow from stuck: stuck is what moves nothing within the limit.
pub(super) struct Watchdog {
    limit: Duration,
    pub(super) is_loading: bool,
    passed: u64,
    moved: bool,
    last_movement: Instant,
}

impl Watchdog {
    pub(super) fn new(limit: Duration, now: Instant) -> Self {
        Self {
            limit,
            is_loading: false,
            passed: 0,
            moved: false,
            last_movement: now,
        }
    }

    /// Notes a change that is no buffer: a counter that grew.
    pub(super) fn moved_if(&mut self, moved: bool) {
        self.moved |= moved;
    }

    pub(super) fn is_stuck(&mut self, passed: u64, now: Instant) -> bool {
        if passed != self.passed || std::mem::take(&mut self.moved) {
            self.passed = passed;
            self.last_movement = now;
        }
        let patience = if self.is_loading {
            PATIENCE_WITH_LOADING
        } else {
            1
        };
        now - self.last_movement >= self.limit * patience
    }

    /// Whether it is worth a look if anything can still move.
    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        !self.is_loading && now - self.last_movement >= QUIET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_is_not_stuck_and_words_are_no_movement() {
        let begin = Instant::now();
        let at = |s: u64| begin + Duration::from_secs(s);
        let mut dog = Watchdog::new(Duration::from_secs(10), begin);
        assert!(!dog.is_stuck(1, at(5)));
        assert!(!dog.is_stuck(1, at(14)), "it moved 9 s ago");
        dog.moved_if(true);
        assert!(!dog.is_stuck(1, at(15)));
        assert!(!dog.is_stuck(1, at(24)));
        dog.is_loading = true;
        assert!(!dog.is_stuck(1, at(300)), "a network is compiled");
        dog.is_loading = false;
        assert!(dog.is_stuck(1, at(300)));
    }
}
