//! What a job says of itself: where it is, how far, and how it ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::display;
use crate::error::{Failure, FailureKind};

/// Where a job is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// It waits for a worker.
    #[default]
    Queued,
    /// Its inputs are looked at.
    Probing,
    /// Its face is learnt, its pipeline built, its models loaded.
    Loading,
    /// Frames are made.
    Running,
    /// The finished file is checked and gets its name.
    Finishing,
    /// The output is there.
    Done,
    /// It ended with an error.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

impl JobState {
    /// Each of them once, in the order in which a job passes through them.
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

    /// As in JSON.
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
    /// Frames are made.
    Running,
    /// All frames are in; the last ones are on their way out.
    Draining,
    /// Checking the finished file.
    Verifying,
    /// Syncing and renaming it.
    Publishing,
    /// The pipeline is taken down early, after an error or a cancellation.
    Stopping,
}

impl Phase {
    /// As in JSON.
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

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// What it is busy with.
    pub phase: Phase,
    /// Frames that have left `lipsync`.
    pub frames: u64,
    /// Absent where the frame rate varies or the length is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames_total: Option<u64>,
    /// Frames among these in which no face was found; they stay as they were.
    pub frames_without_face: u64,
    /// Where in the output the last frame lies.
    pub position_s: f64,
    /// Expected length of the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    /// Seconds of video per second of work, since the first frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
    /// Seconds that the rest will take. Absent until there is a speed.
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
    /// Frames among these with a face.
    pub frames_with_face: u64,
    /// Mouths that were found worth keeping.
    pub mouths: u64,
    /// Seconds that the rest of it will take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<f64>,
    /// Another process learns this face; the figures are what that one says.
    #[serde(default)]
    pub waiting: bool,
}

/// How a job ended.
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
    /// Frames of the output.
    pub frames: u64,
    /// Frames among these in which no face was found.
    pub frames_without_face: u64,
    /// Length of the output, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    /// What the job took.
    pub elapsed_s: f64,
    /// Seconds of video per second of work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
    /// Why it was not done.
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

    /// What a job that failed, or was cancelled, has come to.
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

/// An error as programs read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorReport {
    /// The cause, one of a fixed list.
    pub code: FailureKind,
    /// What `lipflow run` ends with after this error.
    pub exit_code: u8,
    /// What went wrong, in a sentence.
    pub reason: String,
    /// What to do about it, in a sentence.
    pub remedy: String,
    /// The file it is about.
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
