//! A face that was learnt: the points of every frame of its video, and a bank of its own mouths.
//! No GStreamer types here.
//!
//! [`Learner`] looks at the frames of a video and keeps what is worth it, [`FaceFile`] is what it
//! wrote, and [`Chooser`] finds the mouth that a frame is to get.

mod choose;
mod file;
mod habits;
mod learn;
mod mouth;
mod odd;
mod points;
mod scene;
#[cfg(test)]
mod testing;

use std::path::PathBuf;

pub use choose::{Ask, Choice, Chooser, Ticket};
pub use file::{FaceFile, Summary, VERSION};
pub use habits::Habits;
pub use learn::{DEFAULT_BYTES, Learner};
pub use mouth::{Held, Look, Mouth, Pixels, Shape, bendable, copy, look, packed, unreached};
pub use points::{FramePoints, fingerprint, steadied};

/// What can be wrong with a face file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the face file {path} can't be read: {reason}")]
    /// It can't be opened or read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// It does not begin as a face file does.
    #[error("{0} is not a face file")]
    Foreign(PathBuf),
    #[error(
        "the face file {path} is of version {found}, and this is version {}: it has to be made anew",
        VERSION
    )]
    /// Another version of lipflow wrote it.
    Version {
        /// The file.
        path: PathBuf,
        /// The version that it has.
        found: u32,
    },
    #[error("the face file {path} is damaged ({reason}): it has to be made anew")]
    /// Its sha256 or its numbers are wrong.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    #[error("the face file {path} can't be written: {reason}")]
    /// It can't be written, and nothing of it is left.
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// There is nothing that could be written.
    #[error("nothing was learnt: no frame shows a face")]
    NoFace,
}
