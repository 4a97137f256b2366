//! What is known of a face that is kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use gstlipsync::bank::{FaceFile, Summary};
use serde::{Deserialize, Serialize};

use super::NOTE;
use crate::event::seconds;
use crate::faces::key::Selection;
use crate::stamp::Stamp;

/// How a face was learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// Where its video was then.
    pub face: PathBuf,
    /// Of the video, so that one that has not changed since need not be read to know its content.
    #[serde(default)]
    pub stamp: Option<Stamp>,
    pub selection: Selection,
    /// All of the video was looked at.
    pub whole: bool,
    /// So much of it.
    pub seconds: f64,
}

impl Note {
    /// The one that belongs to a face file.
    pub fn beside(face_file: &Path) -> Option<Self> {
        let note = fs::read(face_file.with_extension(NOTE)).ok()?;
        serde_json::from_slice(&note).ok()
    }
}

/// A face that is known.
pub struct Known {
    pub path: PathBuf,
    pub file: FaceFile,
    pub summary: Summary,
    /// Absent where it was lost; then nothing is taken for certain.
    pub note: Option<Note>,
}

impl Known {
    pub fn is_whole(&self) -> bool {
        self.note.as_ref().is_some_and(|note| note.whole)
    }

    /// How much of the video was looked at.
    pub fn seconds(&self) -> f64 {
        let note = self.note.as_ref().map(|note| note.seconds);
        note.unwrap_or_else(|| seconds(self.summary.duration))
    }
}

/// What is in the cache under a key.
pub enum Found {
    Nothing,
    Face(Box<Known>),
    /// A file that must not be used, and why.
    Unusable(String),
}

/// A face in the cache, whether it can be used or not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    #[serde(skip)]
    pub stem: String,
    pub file: PathBuf,
    pub bytes: u64,
    #[serde(skip)]
    pub used: SystemTime,
    #[serde(flatten)]
    pub note: Option<Note>,
}
