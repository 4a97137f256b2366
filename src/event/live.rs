//! What a broadcast says of itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A broadcast.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LiveStatus {
    /// Seconds since it went on air.
    pub elapsed_s: f64,
    /// File of the face that is shown.
    pub face: String,
    /// What is being said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaking: Option<String>,
    /// Speech waits for `resume`.
    pub paused: bool,
    /// Speech that waits, and the rest of what is being said.
    pub queue_s: f64,
    /// Files that wait.
    pub queued: u64,
    /// Frames that have left the encoder.
    pub frames: u64,
    /// Of these, more than 600 ms after their moment.
    pub frames_late: u64,
    /// From the moment of the last frame, when its sound came in, to its leaving the encoder.
    pub latency_ms: f64,
    /// From the arrival of what was said last, or from its turn, to the frame with its beginning
    /// leaving the encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_ms: Option<f64>,
    /// How far picture and sound have been encoded.
    pub video_s: f64,
    /// The same of the sound.
    pub sound_s: f64,
    /// Of picture and sound together, since the status before this one.
    pub bitrate_kbps: f64,
    /// How much further sound and picture are apart, as they leave the encoders, than when they had
    /// settled. Their timestamps always belong together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift_ms: Option<f64>,
    /// How far the sound that has left its encoder is behind the clock.
    pub clock_drift_ms: f64,
    /// What is done for each frame; less than everything where the machine can't keep up.
    pub effort: Effort,
    /// Each destination as it was last.
    pub destinations: Vec<DestinationStatus>,
}

/// Where a broadcast goes, and how it gets there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DestinationStatus {
    /// Without what is secret in it.
    pub destination: String,
    /// How it is.
    pub state: DestinationState,
    /// The broadcast ends without it.
    pub must: bool,
    /// Why it is not on air.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<DestinationCause>,
    /// The same in a sentence, with what the server or the system said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Seconds until the next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in_s: Option<f64>,
    /// Packets that it was too slow for.
    pub packets_dropped: u64,
}

/// Why a destination is not on air.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DestinationCause {
    /// There is no such host.
    Address,
    /// Nobody listens there.
    Refused,
    /// The server doesn't want the stream: its application or its key is wrong.
    Rejected,
    /// The certificate of the host is not one that this machine trusts.
    Certificate,
    /// The connection broke, or takes nothing any more.
    Lost,
    /// A file that can't be written.
    File,
    /// Something else; the reason says what.
    Other,
}

impl DestinationCause {
    /// What to do about it, in a sentence.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Address => "Check the name of the host",
            Self::Refused => "Check that the server runs, and its port",
            Self::Rejected => "Check the application and the key of the stream at the server",
            Self::Certificate => {
                "Check the name of the host; a certificate of your own goes to /usr/local/share/ca-certificates, and update-ca-certificates makes it known"
            }
            Self::Lost => "Check the network and the server; the bitrate may be too high for it",
            Self::File => "Check the folder's permissions and the room on its disk",
            Self::Other => "Check the address; `lipflow doctor` lists what is not installed",
        }
    }
}

/// How a destination is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DestinationState {
    /// It is being reached.
    Connecting,
    /// It takes the stream.
    OnAir,
    /// It failed and will be tried again.
    Waiting,
    /// Nothing goes there any more.
    Ended,
}

/// What a broadcast still does.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Effort {
    /// Everything, for every frame.
    #[default]
    Full,
    /// The face's points are found on every second frame.
    HalfMesh,
    /// Every second picture is shown twice.
    HalfPictures,
}
