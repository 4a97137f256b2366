//! What a supervisor and its worker process say to each other: one JSON object a line, orders on the
//! worker's standard input, answers on its standard output. Both name the lease under which they are said:
//! what comes of an attempt that is over is not taken for the next one's.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Made;
use crate::error::Failure;
use crate::event::{Event, Outcome};
use crate::job::Job;
use crate::journal::{Lease, Media};
use crate::pipeline::probe::{Limits, Probe, Role};
use crate::stamp::Stamp;

/// What the supervisor wants; the key `order` says which of these it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum Order {
    /// Begin a job. Its events, and an answer [`Answer::Ended`], follow.
    Run {
        /// Under which its answers are given.
        lease: Lease,
        /// What is to be done.
        spec: Box<Job>,
        /// Digests of the inputs, where they are known already.
        face_digest: Option<String>,
        /// The same of the speech.
        speech_digest: Option<String>,
        /// The stamp of what was made earlier under the output's name; nothing else is replaced.
        #[serde(default)]
        replaces: Option<Stamp>,
        /// Where the output is to be written, if the worker can't write where it is to be.
        #[serde(default)]
        staged: Option<PathBuf>,
    },
    /// Whether the output of [`Answer::Ready`] has its name.
    Published {
        /// Of the attempt.
        lease: Lease,
        /// What went wrong.
        result: Result<(), Failure>,
    },
    /// The journal has it: the output may get its name.
    Publish {
        /// The one that [`Answer::Made`] was under.
        lease: Lease,
    },
    /// End a job.
    Cancel {
        /// Of the attempt.
        lease: Lease,
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
    /// Says all that is in a file, or what is wrong with it.
    Look {
        /// The file.
        path: PathBuf,
        /// What it is to be.
        role: Role,
        /// How much there may be of it.
        #[serde(default)]
        limits: Limits,
        /// Some of a face is decoded, too.
        decodes: bool,
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
        /// Of the attempt.
        lease: Lease,
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
        /// Of the attempt.
        lease: Lease,
        /// The output by its content.
        made: Made,
        /// What the job's inputs and settings came to.
        identity: Option<String>,
    },
    /// The output may get its name, and the worker can't give it one.
    Ready {
        /// Of the attempt.
        lease: Lease,
    },
    /// The attempt is over. The last answer of a job.
    Ended {
        /// Of the attempt.
        lease: Lease,
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
    /// What is in the file of [`Order::Look`].
    Looked {
        /// What is in it, or why it can't be used.
        found: Result<Probe, Failure>,
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
