//! What a network gives.

use serde::Deserialize;

/// What a network makes of the speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Speech and a face crop -> the face crop with another mouth.
    Generator,
    /// Speech -> the parameters of a mouth, to be drawn.
    MouthShape,
}

impl Kind {
    /// As in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generator => "generator",
            Self::MouthShape => "mouth-shape",
        }
    }
}
