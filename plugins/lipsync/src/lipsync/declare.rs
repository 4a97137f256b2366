//! Tells the pipeline how long frames stay in the element.

use gst::ClockTime;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;

use super::category::CAT;
use super::imp::LipSync;
use super::latency::{Latency, USUAL_FRAME};
use super::settings::{EndMode, Settings};
use super::stream::Stream;
use crate::sync::lock;

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
        lock(&self.state).latency = Some(latency);
        self.obj().set_latency(latency.least, latency.least);
    }

    /// Corrects what the base class answers: it knows of no maximum below the minimum.
    pub(super) fn answer_latency(&self, query: &mut gst::query::Latency) {
        let (live, min, max) = query.result();
        let latency = lock(&self.state).latency;
        if let Some((latency, max)) = latency.zip(max) {
            let max = max.saturating_sub(latency.least - latency.most);
            gst::debug!(CAT, imp = self, "Latency: live {live}, {min} to {max}");
            query.set(live, min, max);
        }
    }
}
