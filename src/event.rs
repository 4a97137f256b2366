//! The vocabulary in which jobs and batches tell the world how they are getting on. Its JSON, one event
//! a line, is a public interface: keys are added, never renamed, and consumers may ignore those they don't
//! know.

mod batch;
mod job;
mod live;
mod plan;

pub use batch::{BatchProgress, JobStart, Retry};
pub use job::{ErrorReport, JobState, Learning, Outcome, Phase, Progress};
pub use live::{DestinationCause, DestinationState, DestinationStatus, Effort, LiveStatus};
pub use plan::{Estimate, InputSummary, Plan, SpeakerSummary};

use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// What happened.
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

/// What happened. The key `event` says which of these it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Body {
    /// The job entered a state. `done`, `failed` and `cancelled` are announced by `result`.
    State {
        /// The state that it is in now.
        state: JobState,
    },
    /// What the probe found and what will be made of it.
    Plan(Box<Plan>),
    /// How far the job is; at least one a second while it lives, also while nothing moves.
    Progress(Progress),
    /// Something is not as it should be, but the job goes on.
    Warning {
        /// A sentence for the user.
        message: String,
        /// The element that said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
    },
    /// Something worth knowing.
    Message {
        /// A sentence for the user.
        message: String,
    },
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
    use crate::error::{Failure, FailureKind};

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
