//! The output's timeline: which timestamps the frames of the file get. No GStreamer objects here,
//! only its time type.

use gst::ClockTime;

use crate::repeat::times_sent;

/// Frames per second as a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    num: u64,
    den: u64,
}

impl Rate {
    /// `None` where the fraction is no frame rate, as in the 0/1 of variable frame rate.
    pub fn new(num: i32, den: i32) -> Option<Self> {
        (num > 0 && den > 0).then_some(Self {
            num: num as u64,
            den: den as u64,
        })
    }

    /// When frame `n` starts; half frames are counted to give the middle of a frame.
    fn half_tick(self, halves: u64) -> ClockTime {
        let nanos =
            u128::from(halves) * u128::from(self.den) * 1_000_000_000 / (2 * u128::from(self.num));
        ClockTime::from_nseconds(nanos.min(u128::from(u64::MAX - 1)) as u64)
    }

    fn tick(self, n: u64) -> ClockTime {
        self.half_tick(n.saturating_mul(2))
    }

    pub fn period(self) -> ClockTime {
        self.tick(1)
    }
}

/// One buffer to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub pts: ClockTime,
    pub duration: ClockTime,
    /// The frame is not needed after this.
    pub last: bool,
}

/// Lays source frames end to end. Without a rate each is sent once, as long as it lasts, or in parts of
/// equal length where that is too long; with one, the output has a fixed grid, and each of its frames
/// shows the source frame at its middle.
#[derive(Debug)]
pub struct Schedule {
    grid: Option<Grid>,
    /// Time of the source frame being shown; an end of `None` means for ever.
    begin: ClockTime,
    end: Option<ClockTime>,
    /// In how many parts it is sent, and how many were sent.
    parts: u64,
    sent: u64,
    /// Frames that last longer are sent in parts; zero is no limit.
    longest: ClockTime,
    /// Whatever ends here or before is not sent.
    from: ClockTime,
}

#[derive(Debug)]
struct Grid {
    rate: Rate,
    /// Where frame 0 of the grid lies.
    base: ClockTime,
    next: u64,
}

impl Schedule {
    /// `from` is where a seek wants the stream to start.
    pub fn new(rate: Option<Rate>, from: ClockTime) -> Self {
        let mut schedule = Self {
            grid: None,
            begin: ClockTime::ZERO,
            end: Some(ClockTime::ZERO),
            parts: 0,
            sent: 0,
            longest: ClockTime::ZERO,
            from,
        };
        schedule.grid = rate.map(|rate| schedule.grid_at(rate, ClockTime::ZERO));
        schedule
    }

    /// The same, when its first source frame is at `begin`.
    pub fn beginning_at(mut self, begin: ClockTime) -> Self {
        self.begin = begin;
        self.end = Some(begin);
        self
    }

    /// The same, with a limit to how long one buffer lasts.
    pub fn no_longer_than(mut self, longest: ClockTime) -> Self {
        self.longest = longest;
        self
    }

    /// A grid whose first frame is the one at `from`, or at `base` where that is later.
    fn grid_at(&self, rate: Rate, base: ClockTime) -> Grid {
        let wanted = self.from.saturating_sub(base);
        let passed = u128::from(wanted.nseconds()) * u128::from(rate.num)
            / (u128::from(rate.den) * 1_000_000_000);
        let mut next = passed.min(u128::from(u64::MAX / 4)) as u64;
        while rate.tick(next + 1) <= wanted {
            next += 1;
        }
        Grid { rate, base, next }
    }

    /// Of the output's own rate.
    pub fn period(&self) -> Option<ClockTime> {
        self.grid.as_ref().map(|grid| grid.rate.period())
    }

    /// The next source frame, which lasts `duration`.
    pub fn show(&mut self, duration: ClockTime) {
        self.begin = self.end.unwrap_or(self.begin);
        self.end = Some(self.begin + duration);
        self.parts = times_sent(duration, self.longest);
        self.sent = 0;
    }

    /// The last source frame, which is repeated for ever; at `rate` where the output has no rate of
    /// its own.
    pub fn hold(&mut self, rate: Rate) {
        self.begin = self.end.unwrap_or(self.begin);
        self.end = None;
        if self.grid.is_none() {
            self.grid = Some(self.grid_at(rate, self.begin));
        }
    }

    /// The next time at which the current source frame is sent; `None` asks for another frame.
    pub fn next_slot(&mut self) -> Option<Slot> {
        let Some(grid) = &mut self.grid else {
            let whole = self.end?.saturating_sub(self.begin);
            let part = |n: u64| {
                let passed = u128::from(whole.nseconds()) * u128::from(n);
                let passed = passed / u128::from(self.parts.max(1));
                // No more than the whole, which fits.
                self.begin + ClockTime::from_nseconds(passed as u64)
            };
            while self.sent < self.parts {
                let (pts, end) = (part(self.sent), part(self.sent + 1));
                self.sent += 1;
                if end > self.from {
                    return Some(Slot {
                        pts,
                        duration: end - pts,
                        last: self.sent == self.parts,
                    });
                }
            }
            return None;
        };
        let within = |n: u64| {
            let middle = grid.base + grid.rate.half_tick(n.saturating_mul(2).saturating_add(1));
            self.end.is_none_or(|end| middle < end)
        };
        if !within(grid.next) {
            return None;
        }
        let pts = grid.base + grid.rate.tick(grid.next);
        let end = grid.base + grid.rate.tick(grid.next + 1);
        let last = !within(grid.next + 1);
        grid.next += 1;
        Some(Slot {
            pts,
            duration: end - pts,
            last,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(v: u64) -> ClockTime {
        ClockTime::from_mseconds(v)
    }

    fn slots(schedule: &mut Schedule) -> Vec<(u64, u64)> {
        std::iter::from_fn(|| schedule.next_slot())
            .map(|s| (s.pts.mseconds(), s.duration.mseconds()))
            .collect()
    }

    #[test]
    fn variable_durations_are_laid_end_to_end() {
        let mut schedule = Schedule::new(None, ClockTime::ZERO);
        assert_eq!(schedule.next_slot(), None);
        let mut sent = Vec::new();
        for duration in [40, 7, 100] {
            schedule.show(ms(duration));
            sent.extend(slots(&mut schedule));
        }
        assert_eq!(sent, [(0, 40), (40, 7), (47, 100)]);
    }

    #[test]
    fn a_frame_that_stands_still_is_sent_in_parts() {
        let mut schedule = Schedule::new(None, ClockTime::ZERO).no_longer_than(ms(85));
        let mut sent = Vec::new();
        for duration in [40, 85, 100, 520] {
            schedule.show(ms(duration));
            sent.push(slots(&mut schedule));
        }
        assert_eq!(sent[..2], [vec![(0, 40)], vec![(40, 85)]]);
        assert_eq!(sent[2], [(125, 33), (158, 33), (191, 33)]);
        assert_eq!(sent[3].len(), 13);
        assert_eq!(sent[3][12], (705, 40));
        // A seek into the midst of it.
        let mut schedule = Schedule::new(None, ms(300)).no_longer_than(ms(85));
        schedule.show(ms(400));
        assert_eq!(slots(&mut schedule), [(280, 40), (320, 40), (360, 40)]);
        // The memory is given away with the last one only.
        schedule.show(ms(100));
        let last: Vec<bool> = std::iter::from_fn(|| schedule.next_slot())
            .map(|slot| slot.last)
            .collect();
        assert_eq!(last, [false, false, true]);
    }

    #[test]
    fn rounded_timestamps_neither_drop_nor_double_on_the_same_rate() {
        // Matroska rounds to milliseconds: 30000/1001 comes as 33, 34, 33, ...
        let rate = Rate::new(30000, 1001).unwrap();
        let mut schedule = Schedule::new(Some(rate), ClockTime::ZERO);
        let rounded = |n: u64| ms((n * 1001 + 15) / 30);
        for n in 0..3000 {
            schedule.show(rounded(n + 1) - rounded(n));
            assert_eq!(slots(&mut schedule).len(), 1, "frame {n}");
        }
    }

    #[test]
    fn a_rate_repeats_and_drops() {
        let mut schedule = Schedule::new(Rate::new(25, 1), ClockTime::ZERO);
        let counts = [100, 10, 10, 40, 40].map(|duration| {
            schedule.show(ms(duration));
            slots(&mut schedule).len()
        });
        assert_eq!(counts, [2, 1, 0, 1, 1]);
    }

    #[test]
    fn hold_goes_on_from_the_end_without_drift() {
        let mut schedule = Schedule::new(None, ClockTime::ZERO);
        schedule.show(ms(50));
        assert_eq!(slots(&mut schedule), [(0, 50)]);
        schedule.hold(Rate::new(30000, 1001).unwrap());
        let mut end = ms(50);
        for _ in 0..30_000 {
            let slot = schedule.next_slot().unwrap();
            assert_eq!(slot.pts, end);
            assert!(!slot.last);
            end = slot.pts + slot.duration;
        }
        assert_eq!(end, ms(50) + ClockTime::from_seconds(1001));
    }

    #[test]
    fn a_seek_lands_on_the_frame_that_covers_the_time() {
        let mut schedule = Schedule::new(None, ms(45));
        let mut sent = Vec::new();
        for _ in 0..3 {
            schedule.show(ms(40));
            sent.extend(slots(&mut schedule));
        }
        assert_eq!(sent, [(40, 40), (80, 40)]);

        let mut schedule = Schedule::new(Rate::new(25, 1), ms(3_600_000_039));
        schedule.hold(Rate::new(25, 1).unwrap());
        assert_eq!(schedule.next_slot().unwrap().pts, ms(3_600_000_000));
    }
}
