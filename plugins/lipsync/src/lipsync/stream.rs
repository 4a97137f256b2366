//! What the element knows about the streams that pass through it.

use std::collections::VecDeque;

use gst::prelude::*;

use super::animator::Animator;
use super::frames::Frames;
use super::latency::Latency;
use super::settings::Settings;
use crate::face::Face;

/// A frame that has its speech and waits for its batch, or for its successor.
pub struct Held {
    pub buffer: gst::Buffer,
    /// Running time of the frame; frames outside the segment have none and are not drawn.
    pub time: Option<gst::ClockTime>,
    pub wanted: Wanted,
    /// Those on it; none where it is to stay as it is.
    pub faces: Vec<Face>,
}

/// What is wanted of a frame, by the properties as they were at its time.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Running time in nanoseconds of the speech that it shows.
    pub speech: i64,
    pub strength: f32,
    /// It stays as it is.
    pub passthrough: bool,
}

impl Wanted {
    pub fn of(settings: &Settings, time: Option<gst::ClockTime>) -> Self {
        Self {
            speech: settings.speech_time(time.unwrap_or_default()),
            strength: settings.strength as f32,
            passthrough: settings.passthrough || time.is_none(),
        }
    }
}

/// State of the streams, owned by the streaming thread while it works.
pub struct Stream {
    pub animator: Animator,
    /// Of the caps that came last.
    pub frames: Option<Frames>,
    /// The latency that was declared last.
    pub latency: Option<Latency>,
    pub held: VecDeque<Held>,
    /// The buffer at the head of the audio pad has been taken in already. It stays on the pad until
    /// more speech is needed: GstAggregator only calls when every pad has something.
    pub head_taken: bool,
    pub speech_finished: bool,
    /// Running time of the end of the last frame that was taken in.
    pub video_end: Option<gst::ClockTime>,
    /// Duration of the last frame that had one, or the distance between the last two.
    pub frame_duration: Option<gst::ClockTime>,
    pub last_time: Option<gst::ClockTime>,
}

impl Stream {
    pub fn new(animator: Animator) -> Self {
        Self {
            animator,
            frames: None,
            latency: None,
            held: VecDeque::new(),
            head_taken: false,
            speech_finished: false,
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

    pub fn reset(&mut self, video: bool, speech: bool) {
        if video {
            self.reset_video();
        }
        if speech {
            self.reset_speech();
        }
    }

    /// Forgets the pictures; the caps stay.
    fn reset_video(&mut self) {
        self.held.clear();
        self.video_end = None;
        self.last_time = None;
        self.animator.reset_video();
    }

    /// Forgets the speech.
    fn reset_speech(&mut self) {
        self.head_taken = false;
        self.speech_finished = false;
        self.animator.reset_speech();
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
