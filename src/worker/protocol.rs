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
use crate::pipeline::probe::{Probe, Role};
use crate::stamp::Stamp;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum Order {
    Run {
        lease: Lease,
        spec: Box<Job>,
        /// Digests of the inputs, where they are known already.
        face_digest: Option<String>,
        speech_digest: Option<String>,
        /// The stamp of what was made earlier under the output's name; nothing else is replaced.
        #[serde(default)]
        replaces: Option<Stamp>,
    },
    /// The journal has it: the output may get its name.
    Publish {
        lease: Lease,
    },
    Cancel {
        lease: Lease,
    },
    /// All pipelines wait, or go on.
    Pause {
        pause: bool,
    },
    /// Says what is in a file.
    Probe {
        path: PathBuf,
        role: Role,
    },
    /// Says all that is in a file, or what is wrong with it.
    Look {
        path: PathBuf,
        role: Role,
    },
    /// Makes a small picture of a video.
    Thumbnail {
        job: i64,
        path: PathBuf,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// The process lives; said twice a second, whatever else happens.
    Alive,
    /// Of a job, with the time at which it happened.
    Event {
        lease: Lease,
        event: Event,
    },
    /// Inputs have been read once.
    Digested {
        digests: Vec<Digest>,
    },
    /// The output is whole and waits for [`Order::Publish`].
    Made {
        lease: Lease,
        made: Made,
        /// What the job's inputs and settings came to.
        identity: Option<String>,
    },
    Ended {
        lease: Lease,
        outcome: Outcome,
        /// Of the published file.
        stamp: Option<Stamp>,
    },
    Probed {
        path: PathBuf,
        stamp: Option<Stamp>,
        media: Option<Media>,
    },
    Looked {
        found: Result<Probe, Failure>,
    },
    Thumbnail {
        job: i64,
        jpeg: Option<Vec<u8>>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Digest {
    pub path: PathBuf,
    pub stamp: Stamp,
    pub sha256: String,
}
