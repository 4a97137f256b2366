//! How long an output is, and what decides that.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{EndMode, LoopMode};
use crate::error::{Failure, FailureKind};

/// How long an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Length {
    /// A picture.
    Endless,
    /// It ends after this long.
    Known(Duration),
    /// The container doesn't say.
    Unknown,
}

impl Length {
    /// Of several that run at once.
    pub fn of_the_longest(lengths: impl Iterator<Item = Self>) -> Self {
        let longest = lengths.reduce(|a, b| if a.covers(b) { a } else { b });
        longest.unwrap_or(Self::Unknown)
    }

    pub(super) fn covers(self, other: Self) -> bool {
        match (self, other) {
            (Self::Endless, _) => true,
            (Self::Known(own), Self::Known(other)) => own >= other,
            _ => false,
        }
    }

    /// The length, where it is known.
    pub fn known(self) -> Option<Duration> {
        match self {
            Self::Known(duration) => Some(duration),
            Self::Endless | Self::Unknown => None,
        }
    }
}

/// The input that decides how long the output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The video's.
    Face,
    /// The speech's.
    Speech,
}

/// Which input ends the output, and when. The face is an endless one unless `loop_mode` is none.
pub fn output_length(
    end_mode: EndMode,
    loop_mode: LoopMode,
    face: Length,
    speech: Length,
) -> Result<(Limit, Length), Failure> {
    let face = match loop_mode {
        LoopMode::None => face,
        LoopMode::Loop | LoopMode::PingPong | LoopMode::Hold => Length::Endless,
    };
    match (end_mode, face) {
        (EndMode::Video, Length::Endless) => Err(Failure::new(FailureKind::Usage)
            .detail("the output would never end: it is to follow a face that has no end")
            .advice("Use --end-mode speech, or a video with --loop-mode none")),
        (EndMode::Video, face) => Ok((Limit::Face, face)),
        // A speech can't be followed beyond a video that ends.
        (EndMode::Speech | EndMode::Shortest, face) if face.covers(speech) => {
            Ok((Limit::Speech, speech))
        }
        (EndMode::Speech | EndMode::Shortest, Length::Unknown) => {
            Ok((Limit::Face, Length::Unknown))
        }
        (EndMode::Speech | EndMode::Shortest, face) if speech == Length::Unknown => {
            // Whichever is shorter can't be told; the face is the upper bound.
            Ok((
                Limit::Face,
                if face == Length::Endless {
                    speech
                } else {
                    Length::Unknown
                },
            ))
        }
        (EndMode::Speech | EndMode::Shortest, face) => Ok((Limit::Face, face)),
    }
}

/// A stream that ended this far before its container says that it does was cut.
pub fn is_cut_short(expected: Duration, actual: Duration) -> bool {
    let missing = expected.saturating_sub(actual);
    missing > Duration::from_millis(500) && missing > expected.mul_f64(0.02)
}
