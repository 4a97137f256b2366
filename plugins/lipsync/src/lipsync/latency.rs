//! How long frames stay in the element.

use gst::ClockTime;

/// Of a frame whose rate nobody knows.
pub const USUAL_FRAME: ClockTime = ClockTime::from_mseconds(40);

/// GstAggregator takes so many frames on a live pad: one to look at and one behind it.
const FRAMES_ON_PAD: u64 = 2;

/// What the element adds to the latency of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// From a frame's arrival until it goes on, at most.
    pub least: ClockTime,
    /// What the element can hold of a video that comes by the clock. Where that is less than
    /// `least`, a queue must stand before the element.
    pub most: ClockTime,
}

impl Latency {
    /// `lookahead` is how much speech beyond its own time a frame waits for, `frames` how many are
    /// held back.
    pub fn new(lookahead: ClockTime, frames: u64, frame: ClockTime) -> Self {
        // One at least: a frame that goes on when the last of its speech has come takes a moment.
        let least = lookahead + frame * frames.max(1);
        Self {
            least,
            most: least.min(frame * (frames + FRAMES_ON_PAD)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_element_cannot_hold_is_not_promised() {
        let ms = ClockTime::from_mseconds;
        let held = Latency::new(ms(200), 0, ms(40));
        assert_eq!((held.least, held.most), (ms(240), ms(80)));
        let held = Latency::new(ms(50), 5, ms(40));
        assert_eq!((held.least, held.most), (ms(250), ms(250)));
    }
}
