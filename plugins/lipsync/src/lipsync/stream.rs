//! What the element knows about the streams that pass through it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use gst::prelude::*;

use super::animator::Animator;
use super::cast::Cast;
use super::frames::Frames;
use super::latency::Latency;
use super::portrait::Portraits;
use super::voice::{Voice, VoiceId};
use crate::face::Face;

/// A frame that has its speech and waits for its batch, or for its successor.
pub struct Held {
    pub buffer: gst::Buffer,
    /// Running time of the frame; frames outside the segment have none and are not drawn.
    pub time: Option<gst::ClockTime>,
    /// It stays as it is.
    pub passthrough: bool,
    /// Those on it; none where it is to stay as it is.
    pub faces: Vec<Face>,
    /// What each voice wants of it.
    pub wanted: Vec<Wanted>,
}

/// What a voice wants of a frame, by the properties as they were at its time.
pub struct Wanted {
    pub voice: VoiceId,
    /// Running time in nanoseconds of the speech that it shows.
    pub speech: i64,
    pub strength: f32,
    /// Indices of the faces that it moves.
    pub faces: Vec<usize>,
}

impl Held {
    /// Whether somebody is to be drawn.
    pub fn has_a_face(&self, is_fit: impl Fn(&Face) -> bool) -> bool {
        let mut indices = self.wanted.iter().flat_map(|wanted| &wanted.faces);
        indices.any(|index| self.faces.get(*index).is_some_and(&is_fit))
    }
}

/// What is to be forgotten.
#[derive(Default)]
pub struct Resets {
    pub video: bool,
    /// The speech of these pads.
    pub speech: Vec<gst_base::AggregatorPad>,
}

impl Resets {
    pub fn is_empty(&self) -> bool {
        !self.video && self.speech.is_empty()
    }
}

/// State of the streams, owned by the streaming thread while it works.
pub struct Stream {
    pub animator: Animator,
    /// Those of the pads that take speech, the pad `audio` first.
    pub voices: Vec<Voice>,
    next_voice: u32,
    pub cast: Cast,
    pub portraits: Portraits,
    /// A face without points can't be drawn, or is a bystander.
    pub needs_points: bool,
    /// Somebody upstream looks for faces, if that was asked.
    pub has_tracker: Option<bool>,
    /// Of the caps that came last.
    pub frames: Option<Frames>,
    /// The latency that was declared last.
    pub latency: Option<Latency>,
    pub held: VecDeque<Held>,
    /// Running time of the end of the last frame that was taken in.
    pub video_end: Option<gst::ClockTime>,
    /// Duration of the last frame that had one, or the distance between the last two.
    pub frame_duration: Option<gst::ClockTime>,
    pub last_time: Option<gst::ClockTime>,
}

impl Stream {
    pub fn new(animator: Animator) -> Self {
        Self {
            needs_points: animator.needs_points(),
            animator,
            voices: Vec::new(),
            next_voice: 0,
            cast: Cast::default(),
            portraits: Portraits::default(),
            has_tracker: None,
            frames: None,
            latency: None,
            held: VecDeque::new(),
            video_end: None,
            frame_duration: None,
            last_time: None,
        }
    }

    /// Running time of the frame that has waited longest.
    pub fn oldest(&self) -> Option<gst::ClockTime> {
        let held = || self.held.iter().find_map(|held| held.time);
        self.animator.oldest().or_else(held)
    }

    /// Takes voices in for the pads that are new, and lets those go whose pad was released. `frames` gives
    /// each a counter.
    pub fn renew_voices(
        &mut self,
        pads: &[gst_base::AggregatorPad],
        frames: impl Fn(&gst_base::AggregatorPad) -> Arc<AtomicU64>,
    ) {
        self.voices.retain(|voice| pads.contains(&voice.pad));
        for pad in pads {
            if self.voices.iter().all(|voice| voice.pad != *pad) {
                let id = VoiceId(self.next_voice);
                self.next_voice += 1;
                let mel = self.animator.mel();
                self.voices
                    .push(Voice::new(id, pad.clone(), mel, frames(pad)));
            }
        }
    }

    /// Running time in nanoseconds at which all speech is over, once that is known.
    pub fn speech_end(&self) -> Option<i64> {
        let all = self.voices.iter().all(|voice| voice.finished);
        let ends = self.voices.iter().map(Voice::until);
        ends.max().filter(|_| all)
    }

    pub fn reset(&mut self, resets: &Resets) {
        if resets.video {
            self.reset_video();
        }
        for voice in &mut self.voices {
            if resets.speech.contains(&voice.pad) {
                voice.reset();
            }
        }
    }

    /// Forgets the pictures; the caps stay.
    fn reset_video(&mut self) {
        self.held.clear();
        self.video_end = None;
        self.last_time = None;
        self.cast.reset();
        self.animator.reset_video();
    }

    /// Running time of `buffer`, estimated from its predecessor where it has no timestamp.
    pub fn running_time(
        &self,
        buffer: &gst::BufferRef,
        segment: &gst::Segment,
    ) -> Option<gst::ClockTime> {
        let segment = segment.downcast_ref::<gst::ClockTime>()?;
        match buffer.pts().or(buffer.dts()) {
            Some(pts) => segment.to_running_time(pts),
            None => Some(self.video_end.unwrap_or(gst::ClockTime::ZERO)),
        }
    }

    /// Notes when a frame that was taken in begins and ends.
    pub fn note_frame(&mut self, time: gst::ClockTime, duration: Option<gst::ClockTime>) {
        let delta = self
            .last_time
            .and_then(|last| time.checked_sub(last))
            .filter(|delta| !delta.is_zero());
        self.frame_duration = duration.or(delta).or(self.frame_duration).or_else(|| {
            let fps = self.frames.as_ref()?.info().fps();
            (fps.numer() > 0).then(|| {
                gst::ClockTime::SECOND
                    .mul_div_round(fps.denom() as u64, fps.numer() as u64)
                    .unwrap_or(gst::ClockTime::ZERO)
            })
        });
        self.last_time = Some(time);
        self.video_end = Some(time + self.frame_duration.unwrap_or(gst::ClockTime::ZERO));
    }
}
