//! The vocabulary in which jobs and batches tell the world how they are getting on. Its JSON, one event
//! a line, is a public interface: keys are added, never renamed, and consumers may ignore those they don't
//! know.

mod live;

pub use live::{DestinationCause, DestinationState, DestinationStatus, LiveStatus};

use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Failure, FailureKind};

/// One event and when it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// UTC, ISO 8601.
    pub time: String,
    /// Number in the journal of the batch. Progress is not kept there and has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// The job of the batch that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<i64>,
    #[serde(flatten)]
    pub body: Body,
}

impl Event {
    /// Stamps `body` with the present time.
    pub fn now(body: impl Into<Body>) -> Self {
        let time = gst::glib::DateTime::now_utc()
            .and_then(|now| now.format("%Y-%m-%dT%H:%M:%S.%fZ"))
            .map(String::from)
            .unwrap_or_default();
        Self {
            time,
            id: None,
            job: None,
            body: body.into(),
        }
    }

    /// The same, about job `job` of a batch.
    pub fn of_job(job: i64, body: impl Into<Body>) -> Self {
        Self {
            job: Some(job),
            ..Self::now(body)
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Body {
    /// The job entered a state. `done`, `failed` and `cancelled` are announced by `result`.
    State { state: JobState },
    /// What the probe found and what will be made of it.
    Plan(Box<Plan>),
    /// How far the job is; at least one a second while it lives, also while nothing moves.
    Progress(Progress),
    /// Something is not as it should be, but the job goes on.
    Warning {
        message: String,
        /// The element that said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
    },
    /// Something worth knowing.
    Message { message: String },
    /// The last event of a job: how it ended.
    Result(Outcome),
    /// An attempt at a job of a batch begins.
    Started(JobStart),
    /// An attempt failed of a cause that may pass; the job will be tried again.
    Retry(Retry),
    /// How far the batch is; at least one a second while it lives.
    Batch(BatchProgress),
    /// The last event of a batch.
    BatchResult(BatchProgress),
    /// How a broadcast is; twice a second.
    Live(LiveStatus),
    /// A destination of a broadcast entered a state.
    Destination(DestinationStatus),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    #[default]
    Queued,
    Probing,
    Loading,
    Running,
    Finishing,
    Done,
    Failed,
    Cancelled,
}

impl JobState {
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Probing,
        Self::Loading,
        Self::Running,
        Self::Finishing,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Probing => "probing",
            Self::Loading => "loading",
            Self::Running => "running",
            Self::Finishing => "finishing",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What exactly the job is busy with.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Looking at the inputs.
    #[default]
    Probing,
    /// Reading the face's video once, for what the person's own mouths look like.
    Learning,
    /// Building the pipeline and loading the models.
    Loading,
    Running,
    /// All frames are in; the last ones are on their way out.
    Draining,
    /// Checking the finished file.
    Verifying,
    /// Syncing and renaming it.
    Publishing,
    Stopping,
}

impl Phase {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Probing => "probing",
            Self::Learning => "learning",
            Self::Loading => "loading",
            Self::Running => "running",
            Self::Draining => "draining",
            Self::Verifying => "verifying",
            Self::Publishing => "publishing",
            Self::Stopping => "stopping",
        }
    }

    /// The state of the job that this is a part of.
    pub const fn state(self) -> JobState {
        match self {
            Self::Probing => JobState::Probing,
            Self::Learning | Self::Loading => JobState::Loading,
            Self::Running => JobState::Running,
            Self::Draining | Self::Verifying | Self::Publishing | Self::Stopping => {
                JobState::Finishing
            }
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    pub phase: Phase,
    /// Frames that have left `lipsync`.
    pub frames: u64,
    /// Absent where the frame rate varies or the length is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames_total: Option<u64>,
    pub frames_without_face: u64,
    /// Where in the output the last frame lies.
    pub position_s: f64,
    /// Expected length of the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    /// Seconds of video per second of work, since the first frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<f64>,
    /// Since the job began.
    pub elapsed_s: f64,
    /// How far the face is learnt; only while that is the phase. Of the output nothing is made yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning: Option<Learning>,
}

/// How far a face is learnt. Its frames are those of the face's video.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Learning {
    /// Frames that were looked at.
    pub frames: u64,
    /// Absent where the frame rate varies or the length is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames_total: Option<u64>,
    pub frames_with_face: u64,
    /// Mouths that were found worth keeping.
    pub mouths: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<f64>,
    /// Another process learns this face; the figures are what that one says.
    #[serde(default)]
    pub waiting: bool,
}

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

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// `done`, `failed` or `cancelled`.
    pub state: JobState,
    /// The finished file; absent unless done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The output was there already and was left alone.
    #[serde(default)]
    pub skipped: bool,
    pub frames: u64,
    pub frames_without_face: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    /// What the job took.
    pub elapsed_s: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorReport>,
}

impl Outcome {
    /// One that made no file.
    pub fn nothing(state: JobState, progress: &Progress) -> Self {
        Self {
            state,
            output: None,
            skipped: false,
            frames: progress.frames,
            frames_without_face: progress.frames_without_face,
            duration_s: None,
            elapsed_s: progress.elapsed_s,
            speed: progress.speed,
            error: None,
        }
    }

    pub fn of_failure(failure: &Failure, progress: &Progress) -> Self {
        let state = if failure.is_cancellation() {
            JobState::Cancelled
        } else {
            JobState::Failed
        };
        Self {
            error: Some(failure.into()),
            ..Self::nothing(state, progress)
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobStart {
    pub face: String,
    pub speech: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// From 1.
    pub attempt: u32,
    /// Process id of the worker.
    pub worker: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Retry {
    pub error: ErrorReport,
    /// The attempt that comes next.
    pub attempt: u32,
    pub after_s: f64,
}

/// Every job of the batch is in one of the counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BatchProgress {
    pub total: u64,
    /// Made, now or by an earlier run of the batch.
    pub done: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub running: u64,
    pub queued: u64,
    /// Of those done: the output was there before this run.
    pub already_done: u64,
    pub elapsed_s: f64,
    /// Seconds of video made by this run.
    pub video_s: f64,
    /// Seconds of video per second of work, all workers together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<f64>,
    /// Why nothing moves, where that is on purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorReport {
    pub code: FailureKind,
    pub exit_code: u8,
    pub reason: String,
    pub remedy: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl From<&Failure> for ErrorReport {
    fn from(failure: &Failure) -> Self {
        Self {
            code: failure.kind,
            exit_code: failure.kind.exit_code(),
            reason: failure.reason().to_owned(),
            remedy: failure.remedy().to_owned(),
            file: failure.file.as_deref().map(display),
        }
    }
}

impl From<Progress> for Body {
    fn from(progress: Progress) -> Self {
        Self::Progress(progress)
    }
}

impl From<JobState> for Body {
    fn from(state: JobState) -> Self {
        Self::State { state }
    }
}

/// Seconds to the millisecond, which is as exact as anyone reads them.
pub fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

/// A path as JSON can carry it.
pub fn display(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The JSON schema of [`Event`].
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_survives_json_and_is_tagged() {
        let event = Event::now(Progress {
            phase: Phase::Draining,
            frames: 7,
            frames_total: Some(9),
            ..Default::default()
        });
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["event"], "progress");
        assert_eq!(json["phase"], "draining");
        assert_eq!(json["frames_total"], 9);
        assert!(json.get("eta_s").is_none());
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
    }

    #[test]
    fn times_are_iso_8601_in_utc() {
        let time = Event::now(JobState::Queued).time;
        assert!(
            gst::glib::DateTime::from_iso8601(&time, None).is_ok(),
            "{time}"
        );
        assert!(time.ends_with('Z'), "{time}");
    }

    #[test]
    fn the_last_event_states_the_error() {
        let failure = Failure::of(FailureKind::NoFace, Path::new("x.mp4"));
        let outcome = Outcome::of_failure(&failure, &Progress::default());
        let json = serde_json::to_value(Event::now(Body::Result(outcome))).unwrap();
        assert_eq!(json["event"], "result");
        assert_eq!(json["state"], "failed");
        assert_eq!(json["error"]["code"], "no-face");
        assert_eq!(json["error"]["exit_code"], 19);
        assert_eq!(json["error"]["file"], "x.mp4");
    }
}
