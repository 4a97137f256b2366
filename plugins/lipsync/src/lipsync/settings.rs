//! What the user can set.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gst::glib;

use crate::{model, runtime};

/// Frames that a generator draws at once unless told otherwise.
pub const DEFAULT_BATCH: usize = 4;

/// What ends the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstLipSyncEndMode")]
pub enum EndMode {
    #[enum_value(
        name = "The end of the speech; the last picture is held if the video ends earlier",
        nick = "speech"
    )]
    Speech = 0,
    #[default]
    #[enum_value(
        name = "The end of the video; the mouth rests when the speech is over",
        nick = "video"
    )]
    Video = 1,
    #[enum_value(name = "Whichever ends first", nick = "shortest")]
    Shortest = 2,
}

/// How much of the speech around a frame is heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstLipSyncLook")]
pub enum Look {
    #[default]
    #[enum_value(
        name = "A little ahead, for speech that is being spoken",
        nick = "stream"
    )]
    Stream = 0,
    #[enum_value(
        name = "Seconds to both sides, for speech that is all there",
        nick = "whole"
    )]
    Whole = 1,
}

impl From<Look> for model::Look {
    fn from(look: Look) -> Self {
        match look {
            Look::Stream => Self::Stream,
            Look::Whole => Self::Whole,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub model_file: Option<PathBuf>,
    /// A name, so that one that doesn't exist is an error when the element starts.
    pub execution_provider: String,
    pub device: u32,
    pub threads: u32,
    pub batch_size: u32,
    /// Elements with the same share one session, and a generator's runs.
    pub model_instance_id: Option<String>,
    /// Frames stay as they are.
    pub passthrough: bool,
    pub end_mode: EndMode,
    pub look: Look,
    /// Of the pad `audio`.
    pub voice: Arc<VoiceSettings>,
    /// Frames that are held back to choose mouths well.
    pub look_ahead: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            model_file: None,
            execution_provider: runtime::Provider::default().name().into(),
            device: 0,
            threads: 0,
            batch_size: 0,
            model_instance_id: None,
            passthrough: false,
            end_mode: EndMode::default(),
            look: Look::default(),
            voice: Arc::default(),
            look_ahead: 5,
        }
    }
}

impl Settings {
    /// Frames that are held at most, for as long as nobody knows what kind of model it is.
    pub fn most_frames_held(&self) -> usize {
        let batch = match self.batch_size {
            0 => DEFAULT_BATCH,
            batch => batch as usize,
        };
        let last = usize::from(self.end_mode == EndMode::Speech);
        (self.look_ahead as usize).max(2 * batch - 1) + last
    }
}

/// Whose speech it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Of all faces that no other pad speaks for.
    Others,
    Track(u32),
    /// Of the face that is so many from the left, the leftmost being 0, or from the right, the
    /// rightmost being -1.
    Position(i32),
    /// Of the face that looks like the one in this picture.
    Picture(Arc<Path>),
}

/// How the speech of a pad is shown, and by whom.
#[derive(Clone, Debug, PartialEq)]
pub struct VoiceSettings {
    pub whose: Whose,
    pub strength: f64,
    /// Nanoseconds by which the mouth moves later than the sound (negative: earlier).
    pub audio_offset: i64,
    /// What was learnt of the face.
    pub face_file: Option<PathBuf>,
}

impl Default for VoiceSettings {
    fn default() -> Self {
        Self {
            whose: Whose::Others,
            strength: 1.0,
            audio_offset: 0,
            face_file: None,
        }
    }
}

impl VoiceSettings {
    /// The running time, in nanoseconds, of the speech that the frame at `time` shows.
    pub fn speech_time(&self, time: gst::ClockTime) -> i64 {
        time.nseconds() as i64 - self.audio_offset
    }
}
