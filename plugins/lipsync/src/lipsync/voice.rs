//! What is heard on one pad, on the axis of running time.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use gst::prelude::*;
use gst_base::prelude::*;

use super::audio_pad;
use super::cast::{Silent, VoiceId};
use super::settings::{Settings, VoiceSettings};
use crate::audio::mixdown::Mixdown;
use crate::audio::{MelSpec, Timeline};

/// Sample rate of the speech that the models hear, in Hz.
pub const SAMPLE_RATE: i32 = 16_000;

/// Columns that are kept before those that the last frame needed, for frames that come out of order and an
/// `audio-offset` that changes: about its range.
const KEPT_COLUMNS: i64 = 1000;

/// The speech of a pad.
pub struct Voice {
    pub id: VoiceId,
    pub pad: gst_base::AggregatorPad,
    timeline: Timeline,
    /// Frames with a face that the voice moved.
    pub frames: Arc<AtomicU64>,
    /// Why it moves no face, if that was told already.
    pub told: Option<Silent>,
    /// The buffer at the pad's head that was taken already. It stays on the pad until more speech is
    /// needed: GstAggregator only calls when every pad has something. It is known by itself, as a
    /// flush may have put another one in its place.
    taken: Option<gst::Buffer>,
    /// No more will come.
    pub finished: bool,
    samples: Vec<f32>,
    /// Of several channels.
    mixed: Vec<f32>,
    mixdown: Mixdown,
}

impl Voice {
    pub fn new(
        id: VoiceId,
        pad: gst_base::AggregatorPad,
        mel: &MelSpec,
        frames: Arc<AtomicU64>,
    ) -> Self {
        Self {
            id,
            pad,
            timeline: Timeline::new(mel),
            frames,
            told: None,
            taken: None,
            finished: false,
            samples: Vec::new(),
            mixed: Vec::new(),
            mixdown: Mixdown::default(),
        }
    }

    /// As the pad's properties say; those of the pad `audio` are the element's.
    pub fn settings(&self, element: &Settings) -> Arc<VoiceSettings> {
        audio_pad::settings_of(&self.pad, element)
    }

    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Whether channels have cancelled each other so far.
    pub fn channels_cancel(&self) -> bool {
        self.mixdown.has_cancelled()
    }

    /// Adds speech (little-endian floats of so many channels) whose first sample lies at `position`
    /// since running time zero, or follows what was there.
    pub fn push(&mut self, position: Option<i64>, bytes: &[u8], channels: usize) {
        self.samples.clear();
        let samples = bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        // One bad sample would spoil every window it is in.
        self.samples.extend(samples.map(|s| {
            if s.is_finite() {
                s.clamp(-4.0, 4.0)
            } else {
                0.0
            }
        }));
        let position = position.or(self.timeline.end_position()).unwrap_or(0);
        if channels > 1 {
            self.mixed.clear();
            self.mixdown.mix(&self.samples, channels, &mut self.mixed);
            self.timeline.push(position, &self.mixed);
        } else {
            self.timeline.push(position, &self.samples);
        }
    }

    /// Says that there is no sound from `start` to `end`, in samples.
    pub fn push_gap(&mut self, start: i64, end: i64) {
        self.timeline
            .push_gap(start, end.saturating_sub(start).max(0) as u64);
    }

    pub fn finish(&mut self) {
        gst::debug!(super::category::CAT, obj = self.pad, "The speech is over");
        self.timeline.finish();
        self.finished = true;
    }

    /// Running time in nanoseconds up to which there is speech.
    pub fn until(&self) -> i64 {
        let samples = self.timeline.end_position().unwrap_or(0);
        (i128::from(samples) * 1_000_000_000 / i128::from(SAMPLE_RATE)) as i64
    }

    /// Frees what no frame from `column` on needs.
    pub fn forget_before(&mut self, column: i64) {
        self.timeline
            .forget_before(column.saturating_sub(KEPT_COLUMNS));
    }

    /// As new, for a flush or a new stream.
    pub fn reset(&mut self) {
        self.taken = None;
        self.finished = false;
        self.mixdown = Mixdown::default();
        self.timeline.reset();
    }

    /// The buffer that follows those that were taken.
    pub fn take_buffer(&mut self) -> Option<gst::Buffer> {
        let mut head = self.pad.peek_buffer()?;
        if self.taken.as_ref().map(|taken| taken.as_ptr()) == Some(head.as_ptr()) {
            self.pad.drop_buffer();
            self.taken = None;
            head = self.pad.peek_buffer()?;
        }
        self.taken = Some(head.clone());
        Some(head)
    }

    pub fn name(&self) -> gst::glib::GString {
        self.pad.name()
    }
}

/// The voice of that number.
pub fn find(voices: &[Voice], id: VoiceId) -> Option<&Voice> {
    voices.iter().find(|voice| voice.id == id)
}
