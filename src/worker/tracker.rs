//! How fast a job is, and how long it still takes.

use std::time::{Duration, Instant};

use crate::event::{Progress, seconds};
use crate::pipeline::runner::Counts;

/// Turns counts into speed and time left.
pub(super) struct Tracker {
    begin: Instant,
    /// When the first frames were seen, and how far they reached.
    first: Option<(Instant, Duration)>,
    pub progress: Progress,
}

impl Tracker {
    pub fn new(begin: Instant) -> Self {
        Self {
            begin,
            first: None,
            progress: Progress::default(),
        }
    }

    pub fn elapse(&mut self, now: Instant) {
        self.progress.elapsed_s = seconds(now - self.begin);
    }

    pub fn count(&mut self, counts: &Counts, now: Instant) {
        self.elapse(now);
        let progress = &mut self.progress;
        progress.frames = counts.frames;
        // Where the rate varies, the plan is an estimate.
        progress.frames_total = progress.frames_total.map(|total| total.max(counts.frames));
        progress.frames_without_face = counts.frames_without_face;
        progress.position_s = seconds(counts.position);
        if counts.frames == 0 {
            return;
        }
        let (since, from) = *self.first.get_or_insert((now, counts.position));
        let worked = (now - since).as_secs_f64();
        let made = counts.position.saturating_sub(from).as_secs_f64();
        // The first moments say nothing about the rest.
        if worked < 0.5 || made == 0.0 {
            return;
        }
        let speed = made / worked;
        progress.speed = Some(speed);
        progress.eta_s = progress
            .duration_s
            .map(|total| (total - progress.position_s).max(0.0) / speed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_and_time_left_are_of_the_running_part() {
        let begin = Instant::now();
        let at = |s: f64| begin + Duration::from_secs_f64(s);
        let counts = |frames, position| Counts {
            frames,
            position: Duration::from_secs(position),
            ..Default::default()
        };
        let mut tracker = Tracker::new(begin);
        tracker.progress.duration_s = Some(20.0);
        tracker.count(&counts(0, 0), at(5.0));
        assert_eq!(tracker.progress.speed, None, "still loading");
        tracker.count(&counts(25, 1), at(6.0));
        assert_eq!(tracker.progress.speed, None, "one moment is no speed");
        tracker.count(&counts(250, 10), at(9.0));
        assert_eq!(tracker.progress.speed, Some(3.0));
        assert_eq!(tracker.progress.eta_s, Some(10.0 / 3.0));
        assert_eq!(tracker.progress.elapsed_s, 9.0);
        tracker.count(&counts(600, 24), at(10.0));
        assert_eq!(tracker.progress.eta_s, Some(0.0), "longer than was thought");
    }
}
