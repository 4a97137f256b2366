//! Tells what is slow from what has stopped.

use std::time::{Duration, Instant};

use crate::error::{Failure, FailureKind};

/// How long the engine may make no picture: at first it loads its models.
const FIRST_PICTURE_LIMIT: Duration = Duration::from_secs(120);
const PICTURE_LIMIT: Duration = Duration::from_secs(15);

/// How long something has not moved, while this process was awake to see it.
pub struct Stall {
    count: u64,
    waited: Duration,
    asked: Instant,
    /// The longest time between two questions that counts in full: while the process was stopped, nobody
    /// waited.
    longest_step: Duration,
}

impl Stall {
    pub fn new(longest_step: Duration, now: Instant) -> Self {
        Self {
            count: 0,
            waited: Duration::ZERO,
            asked: now,
            longest_step,
        }
    }

    /// How long it has been at `count`, of which `is_owed` says whether it should have grown.
    pub fn waited(&mut self, count: u64, is_owed: bool, now: Instant) -> Duration {
        let passed = (now - self.asked).min(self.longest_step);
        self.asked = now;
        if count != self.count {
            self.count = count;
            self.waited = Duration::ZERO;
        } else if is_owed {
            self.waited += passed;
        }
        self.waited
    }
}

/// Says that the engine hangs, if it has made no picture for so long: nothing of it is on any bus.
pub fn hung(frames: u64, waited: Duration) -> Result<(), Failure> {
    let limit = match frames {
        0 => FIRST_PICTURE_LIMIT,
        _ => PICTURE_LIMIT,
    };
    if waited <= limit {
        return Ok(());
    }
    Err(Failure::new(FailureKind::Stuck).detail(format_args!(
        "no picture was made for {} s",
        limit.as_secs()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_in_which_it_could_have_moved_counts() {
        let begin = Instant::now();
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        let mut stall = Stall::new(Duration::from_secs(1), begin);
        let mut waited = |count, seconds| stall.waited(count, true, at(seconds)).as_secs();
        assert_eq!(
            (1..=5).map(|s| waited(0, s)).collect::<Vec<_>>(),
            [1, 2, 3, 4, 5]
        );
        assert_eq!(waited(1, 6), 0, "it moved");
        assert_eq!(waited(1, 7), 1);
        assert_eq!(waited(1, 3600), 2, "stopped by Ctrl-Z");
        let mut stall = Stall::new(Duration::from_secs(1), begin);
        assert_eq!(stall.waited(0, false, at(9)), Duration::ZERO);
    }

    #[test]
    fn an_engine_that_hangs_ends_the_broadcast() {
        let seconds = Duration::from_secs;
        assert_eq!(hung(0, seconds(60)), Ok(()), "models are loaded");
        assert_eq!(hung(7, seconds(10)), Ok(()));
        for (frames, waited) in [(0, seconds(121)), (7, seconds(16))] {
            assert_eq!(hung(frames, waited).unwrap_err().kind, FailureKind::Stuck);
        }
    }
}
