//! What a job is going to do, before it does it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What will be, or would be, done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// What is known of the face's file.
    pub face: InputSummary,
    /// What is known of the speech's file; of several speeches the first.
    pub speech: InputSummary,
    /// Where several speak, who says what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub speakers: Vec<SpeakerSummary>,
    /// The file that will be made. Absent where the template makes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Name of the template.
    pub template: String,
    /// The model: the name of one that is built in, or its file. Absent where it can't be found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The file without which the default model is a simpler one; `cargo xtask setup` makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_lacks: Option<String>,
    /// When the output ends: `speech`, `video` or `shortest`.
    pub end_mode: String,
    /// What a face that is too short does: `none`, `loop`, `ping-pong` or `hold`.
    pub loop_mode: String,
    /// What is changed of the face's colours, where anything is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colours: Option<String>,
    /// Length of the output in seconds, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    /// Frames of the output, where their number is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<u64>,
    /// What was taken where the inputs leave a choice, and how to choose otherwise; a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// Only of a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
}

/// One of several speakers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SpeakerSummary {
    /// As it was asked for: `left`, `right`, a number from the left, or `picture:FILE`.
    pub who: String,
    /// What is known of the file of their speech.
    pub speech: InputSummary,
}

/// An input, as it was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InputSummary {
    /// The file.
    pub file: String,
    /// `picture`, `video` or `sound`.
    pub kind: String,
    /// Container and codecs in words.
    pub format: String,
    /// Its length in seconds. Absent for pictures, and where the file doesn't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    /// Of the picture, in pixels, before it is turned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Of the picture, in pixels, before it is turned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Absent for sound, and where the rate varies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fps: Option<f64>,
    /// Degrees by which a player turns the picture clockwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<u32>,
    /// What the picture's numbers mean, as it is decoded: `BT.709, full range`, `HLG, 10 bits`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<String>,
    /// Samples a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<u32>,
    /// Channels of the sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<u32>,
}

/// What a job would take, found out by looking at some frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// Frames that were looked at.
    pub frames_sampled: u32,
    /// Frames among these with a face.
    pub frames_with_face: u32,
    /// The most faces seen in one frame.
    pub most_faces: u32,
    /// Seconds of work on this machine, good to a factor of two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Bytes of the output, generously.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_needed: Option<u64>,
    /// Bytes that are free where the output goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_free: Option<u64>,
}
