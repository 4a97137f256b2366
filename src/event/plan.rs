//! What a job is going to do, before it does it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What will be, or would be, done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    pub face: InputSummary,
    /// Of several speeches the first.
    pub speech: InputSummary,
    /// Where several speak, who says what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub speakers: Vec<SpeakerSummary>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    pub template: String,
    /// The model: the name of one that is built in, or its file. Absent where it can't be found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The file without which the default model is a simpler one; `cargo xtask setup` makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_lacks: Option<String>,
    pub end_mode: String,
    pub loop_mode: String,
    /// What is changed of the face's colours, where anything is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colours: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<u64>,
    /// What was taken where the inputs leave a choice, and how to choose otherwise; a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// Only of a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SpeakerSummary {
    /// As it was asked for: `left`, `right`, a number from the left, or `picture:FILE`.
    pub who: String,
    pub speech: InputSummary,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InputSummary {
    pub file: String,
    /// `picture`, `video` or `sound`.
    pub kind: String,
    /// Container and codecs in words.
    pub format: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Absent for sound, and where the rate varies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fps: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<u32>,
    /// What the picture's numbers mean, as it is decoded: `BT.709, full range`, `HLG, 10 bits`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    pub frames_sampled: u32,
    pub frames_with_face: u32,
    /// The most faces seen in one frame.
    pub most_faces: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_needed: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_free: Option<u64>,
}
