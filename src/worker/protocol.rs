//! What a supervisor and its worker process say to each other: one JSON object a line, orders on the
//! worker's standard input, answers on its standard output.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Made;
use crate::event::{Event, Outcome};
use crate::job::Job;
use crate::journal::Media;
use crate::pipeline::probe::Role;
use crate::stamp::Stamp;

/// What the supervisor wants; the key `order` says which of these it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum Order {
    /// Begin a job. Its events, and an answer [`Answer::Ended`], follow.
    Run {
        /// Number of the job in the ledger, which its answers name.
        job: i64,
        /// What is to be done.
        spec: Box<Job>,
        /// Digests of the inputs, where they are known already.
        face_digest: Option<String>,
        /// The same of the speech.
        speech_digest: Option<String>,
        /// The stamp of what was made earlier under the output's name; nothing else is replaced.
        #[serde(default)]
        replaces: Option<Stamp>,
    },
    /// The journal has it: the output may get its name.
    Publish {
        /// The job that [`Answer::Made`] was about.
        job: i64,
    },
    /// End a job.
    Cancel {
        /// Number of the job.
        job: i64,
    },
    /// All pipelines wait, or go on.
    Pause {
        /// Wait, or go on.
        pause: bool,
    },
    /// Says what is in a file.
    Probe {
        /// The file.
        path: PathBuf,
        /// What it is to be: only what that needs is asked of it.
        role: Role,
    },
    /// Makes a small picture of a video.
    Thumbnail {
        /// The job whose output it is.
        job: i64,
        /// The video.
        path: PathBuf,
    },
}

/// What a worker says; the key `answer` says which of these it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// The process lives; said twice a second, whatever else happens.
    Alive,
    /// Of a job, with the time at which it happened.
    Event {
        /// What happened.
        event: Event,
    },
    /// Inputs have been read once.
    Digested {
        /// Each file once.
        digests: Vec<Digest>,
    },
    /// The output is whole and waits for [`Order::Publish`].
    Made {
        /// Number of the job.
        job: i64,
        /// The output by its content.
        made: Made,
        /// What the job's inputs and settings came to.
        identity: Option<String>,
    },
    /// The attempt is over. The last answer of a job.
    Ended {
        /// Number of the job.
        job: i64,
        /// How it ended.
        outcome: Outcome,
        /// Of the published file.
        stamp: Option<Stamp>,
    },
    /// What is in the file of [`Order::Probe`].
    Probed {
        /// The file.
        path: PathBuf,
        /// What it was like when it was looked at; None where it can't be found.
        stamp: Option<Stamp>,
        /// What is in it; None where it is nothing that can be played.
        media: Option<Media>,
    },
    /// The picture of [`Order::Thumbnail`].
    Thumbnail {
        /// Number of the job.
        job: i64,
        /// A JPEG file; None where none could be made.
        jpeg: Option<Vec<u8>>,
    },
}

/// A file and its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Digest {
    /// The file.
    pub path: PathBuf,
    /// What it was like when it was read.
    pub stamp: Stamp,
    /// Of its content, as 64 hexadecimal digits.
    pub sha256: String,
}
