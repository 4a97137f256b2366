//! Frames that have their speech and wait to be drawn.

use super::cast::{Each, Indices, VoiceId};
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
    pub wanted: Each<Wanted>,
}

/// What a voice wants of a frame, by the properties as they were at its time.
pub struct Wanted {
    pub voice: VoiceId,
    /// Running time in nanoseconds of the speech that it shows.
    pub speech: i64,
    pub strength: f32,
    /// Indices of the faces that it moves.
    pub faces: Indices,
}

impl Held {
    /// Whether somebody is to be drawn.
    pub fn has_a_face(&self, is_fit: impl Fn(&Face) -> bool) -> bool {
        let mut indices = self.wanted.iter().flat_map(|wanted| &wanted.faces);
        indices.any(|index| self.faces.get(*index).is_some_and(&is_fit))
    }
}

/// What of the frames that wait is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Those that need not wait any more.
    Ready,
    /// The oldest too: its time has come.
    Oldest,
    All,
}
