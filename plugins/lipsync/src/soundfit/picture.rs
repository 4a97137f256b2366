//! How far the picture has come, in running time.

use gst::ClockTime;

type Segment = gst::FormattedSegment<ClockTime>;

/// For a single frame of which nothing says how long it lasts.
const DEFAULT_PERIOD: ClockTime = ClockTime::from_mseconds(40);

#[derive(Debug, Default)]
pub struct Picture {
    pub segment: Option<Segment>,
    /// From the caps.
    pub period: Option<ClockTime>,
    /// Where the first frame starts, and the time in the stream that is.
    origin: Option<Origin>,
    covered: ClockTime,
    /// Start of the last frame, if nothing said how long it lasts.
    open: Option<ClockTime>,
    last_start: Option<ClockTime>,
    last_delta: Option<ClockTime>,
    ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    pub running_time: ClockTime,
    pub stream_time: ClockTime,
}

impl Picture {
    pub fn origin(&self) -> Option<Origin> {
        self.origin
    }

    pub fn covered(&self) -> ClockTime {
        self.covered
    }

    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// After a flush only the caps still hold.
    pub fn reset(&mut self) {
        *self = Self {
            period: self.period,
            ..Self::default()
        };
    }

    /// A frame, or a gap, came.
    pub fn frame(&mut self, pts: Option<ClockTime>, duration: Option<ClockTime>) {
        let Some(segment) = &self.segment else {
            return;
        };
        let Some(pts) = pts else {
            self.covered += duration.unwrap_or(ClockTime::ZERO);
            return;
        };
        // What lies outside the segment is not shown.
        let Some((Some(start), end)) = segment.clip(pts, duration.map(|d| pts + d)) else {
            return;
        };
        let Some(running_time) = segment.to_running_time(start) else {
            return;
        };
        if self.origin.is_none() {
            self.origin = Some(Origin {
                running_time,
                stream_time: segment.to_stream_time(start).unwrap_or(ClockTime::ZERO),
            });
        }
        if let Some(delta) = self
            .last_start
            .and_then(|last| running_time.checked_sub(last))
            .filter(|delta| !delta.is_zero())
        {
            self.last_delta = Some(delta);
        }
        self.last_start = Some(running_time);
        let end = end
            .filter(|_| duration.is_some())
            .and_then(|end| segment.to_running_time(end));
        self.open = end.is_none().then_some(running_time);
        self.covered = self.covered.max(end.unwrap_or(running_time));
    }

    /// No frame will come any more.
    pub fn end(&mut self) {
        self.ended = true;
        if let Some(start) = self.open.take() {
            let lasts = self.last_delta.or(self.period).unwrap_or(DEFAULT_PERIOD);
            self.covered = self.covered.max(start + lasts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(v: u64) -> ClockTime {
        ClockTime::from_mseconds(v)
    }

    fn segment() -> Segment {
        gst::init().unwrap();
        Segment::new()
    }

    fn picture(segment: Segment) -> Picture {
        Picture {
            segment: Some(segment),
            ..Picture::default()
        }
    }

    #[test]
    fn a_frame_without_duration_ends_with_the_next_one() {
        let mut p = picture(segment());
        for (pts, covered) in [(0, 0), (40, 40), (140, 140)] {
            p.frame(Some(ms(pts)), None);
            assert_eq!(p.covered(), ms(covered));
        }
        p.end();
        assert_eq!(p.covered(), ms(240));
    }

    #[test]
    fn a_single_frame_lasts_as_long_as_the_caps_say() {
        let mut p = picture(segment());
        p.period = Some(ms(20));
        p.frame(Some(ms(0)), None);
        p.end();
        assert_eq!(p.covered(), ms(20));
    }

    #[test]
    fn the_segment_maps_and_cuts() {
        let mut segment = segment();
        segment.set_start(ms(1000));
        segment.set_stop(ms(1060));
        segment.set_time(ms(500));
        segment.set_base(ms(7000));
        let mut p = picture(segment);
        p.frame(Some(ms(900)), Some(ms(40)));
        assert_eq!(p.origin(), None);
        p.frame(Some(ms(980)), Some(ms(40)));
        let origin = Origin {
            running_time: ms(7000),
            stream_time: ms(500),
        };
        assert_eq!(p.origin(), Some(origin));
        assert_eq!(p.covered(), ms(7020));
        p.frame(Some(ms(1020)), Some(ms(80)));
        p.end();
        assert_eq!(p.covered(), ms(7060));
    }
}
