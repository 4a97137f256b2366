//! Where samples go: counts and times on the sound's own grid.

use gst::{ClockTime, Signed};

/// Timestamps that are wrong by less than this are rounding, unless the stream says otherwise.
const TOLERANCE: ClockTime = ClockTime::from_mseconds(40);

/// The sound that goes out, from the picture's start without a gap.
#[derive(Debug, Clone, Copy)]
pub struct Track {
    rate: u32,
    origin: ClockTime,
    /// Samples that went out since `origin`.
    position: u64,
}

/// What to do before sound can be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    Append,
    /// Put so many samples of silence first.
    Silence(u64),
    /// Drop so many samples of its start.
    Skip(u64),
}

impl Track {
    pub fn new(rate: u32, origin: ClockTime) -> Self {
        Self {
            rate,
            origin,
            position: 0,
        }
    }

    /// The same track at another sample rate from here on.
    pub fn at_rate(self, rate: u32) -> Self {
        match rate == self.rate {
            true => self,
            false => Self::new(rate, self.time(self.position)),
        }
    }

    pub fn time(&self, samples: u64) -> ClockTime {
        let nanos = u128::from(samples) * 1_000_000_000 / u128::from(self.rate.max(1));
        self.origin + ClockTime::from_nseconds(nanos.min(u128::from(u64::MAX / 2)) as u64)
    }

    /// When the next sample goes out.
    pub fn now(&self) -> ClockTime {
        self.time(self.position)
    }

    pub fn is_at_start(&self) -> bool {
        self.position == 0
    }

    pub fn advance(&mut self, samples: u64) {
        self.position += samples;
    }

    /// The number of samples nearest to a duration.
    pub fn samples(&self, duration: ClockTime) -> u64 {
        let ticks = u128::from(duration.nseconds()) * u128::from(self.rate);
        ((ticks + 500_000_000) / 1_000_000_000).min(u128::from(u64::MAX / 2)) as u64
    }

    /// How many samples may still go out before `end`.
    pub fn room(&self, end: ClockTime) -> u64 {
        self.samples(end.saturating_sub(self.origin))
            .saturating_sub(self.position)
    }

    /// Where sound that starts at `start` goes. `exact` is for the first sound and after a
    /// discontinuity.
    pub fn place(&self, start: Signed<ClockTime>, exact: bool) -> Placement {
        let wanted = match start {
            Signed::Positive(start) if start >= self.origin => {
                self.samples(start - self.origin) as i64
            }
            Signed::Positive(start) => -(self.samples(self.origin - start) as i64),
            Signed::Negative(before) => -(self.samples(self.origin + before) as i64),
        };
        let ahead = wanted.saturating_sub_unsigned(self.position);
        let samples = ahead.unsigned_abs();
        match ahead {
            0 => Placement::Append,
            _ if !exact && samples <= self.samples(TOLERANCE) => Placement::Append,
            1.. => Placement::Silence(samples),
            _ => Placement::Skip(samples),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(v: u64) -> ClockTime {
        ClockTime::from_mseconds(v)
    }

    #[test]
    fn sound_is_placed_to_the_sample() {
        let mut track = Track::new(48_000, ms(1000));
        assert_eq!(track.place(ms(1000).into(), true), Placement::Append);
        assert_eq!(track.place(ms(1010).into(), true), Placement::Silence(480));
        assert_eq!(track.place(ms(990).into(), true), Placement::Skip(480));
        let before = Signed::Negative(ms(500));
        assert_eq!(track.place(before, true), Placement::Skip(72_000));
        track.advance(480);
        assert_eq!(track.place(ms(1010).into(), true), Placement::Append);
    }

    #[test]
    fn rounding_is_not_a_gap() {
        let mut track = Track::new(44_100, ms(0));
        track.advance(1024);
        // 23.22 ms, as Matroska has it.
        assert_eq!(track.place(ms(23).into(), false), Placement::Append);
        assert_eq!(track.place(ms(64).into(), false), Placement::Silence(1798));
    }

    #[test]
    fn room_adds_up_to_the_rounded_length() {
        let third = ClockTime::from_nseconds(33_366_666);
        let mut track = Track::new(44_100, ms(0));
        for n in 1..=300 {
            let room = track.room(third * n);
            track.advance(room);
        }
        assert_eq!(track.position, 441_441);
    }

    #[test]
    fn a_new_rate_goes_on_from_the_same_time() {
        let mut track = Track::new(48_000, ms(20));
        track.advance(24_000);
        let mut track = track.at_rate(16_000);
        assert_eq!(track.now(), ms(520));
        assert_eq!(track.room(ms(1020)), 8_000);
        track.advance(1);
        assert_eq!(track.at_rate(16_000).position, 1);
    }
}
