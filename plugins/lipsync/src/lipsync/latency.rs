//! How long frames stay in the element.

use gst::ClockTime;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;

use super::imp::{CAT, LipSync};
use super::settings::{EndMode, Settings};
use super::stream::Stream;

/// Of a frame whose rate nobody knows.
const USUAL_FRAME: ClockTime = ClockTime::from_mseconds(40);

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
    fn new(lookahead: ClockTime, frames: u64, frame: ClockTime) -> Self {
        // One at least: a frame that goes on when the last of its speech has come takes a moment.
        let least = lookahead + frame * frames.max(1);
        Self {
            least,
            most: least.min(frame * (frames + FRAMES_ON_PAD)),
        }
    }
}

impl LipSync {
    /// Frames that wait to be drawn besides the one in work.
    pub(super) fn frames_held(settings: &Settings, stream: &Stream) -> usize {
        stream.animator.batch_size() - 1 + usize::from(settings.end_mode == EndMode::Speech)
    }

    /// Tells the pipeline how long frames stay, when that has changed.
    pub(super) fn declare_latency(&self, stream: &mut Stream, settings: &Settings) {
        let frame = stream
            .frames
            .as_ref()
            .map(|frames| frames.info().fps())
            .filter(|fps| fps.numer() > 0)
            .and_then(|fps| ClockTime::SECOND.mul_div_ceil(fps.denom() as u64, fps.numer() as u64))
            .unwrap_or(USUAL_FRAME);
        let voices = stream.voices.iter();
        let offsets = voices.map(|voice| voice.settings(settings).audio_offset);
        let earliest = offsets.min().unwrap_or(0).min(0);
        let later = ClockTime::from_nseconds(earliest.unsigned_abs());
        let frames = Self::frames_held(settings, stream) + stream.animator.frames_kept();
        let lookahead = stream.animator.lookahead() + later;
        let latency = Latency::new(lookahead, frames as u64, frame);
        if stream.latency.replace(latency) == Some(latency) {
            return;
        }
        gst::info!(
            CAT,
            imp = self,
            "Latency {}: {lookahead} of speech and {frames} frames of {frame}; {} can be held",
            latency.least,
            latency.most
        );
        crate::runtime::lock(&self.state).latency = Some(latency);
        self.obj().set_latency(latency.least, latency.least);
    }

    /// Corrects what the base class answers: it knows of no maximum below the minimum.
    pub(super) fn answer_latency(&self, query: &mut gst::query::Latency) {
        let (live, min, max) = query.result();
        let latency = crate::runtime::lock(&self.state).latency;
        if let Some((latency, max)) = latency.zip(max) {
            let max = max.saturating_sub(latency.least - latency.most);
            gst::debug!(CAT, imp = self, "Latency: live {live}, {min} to {max}");
            query.set(live, min, max);
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
