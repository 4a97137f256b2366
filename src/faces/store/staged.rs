//! A face file on its way into the cache.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

use gstlipsync::bank::FaceFile;

use super::{FACE, NOTE, Note, Store};
use crate::error::{Failure, FailureKind};
use crate::faces::key::Key;

/// A face file that is being written. Dropped, it is gone.
pub struct Staged<'a> {
    pub(super) store: &'a Store,
    pub(super) stem: String,
    pub(super) folder: PathBuf,
}

impl Staged<'_> {
    pub fn path(&self) -> PathBuf {
        self.folder.join(FACE)
    }

    /// Takes the place of what was known before, if it is what it should be.
    pub fn publish(self, key: &Key, note: &Note) -> Result<(), Failure> {
        let path = self.path();
        let wrong = |reason: &dyn std::fmt::Display| {
            Failure::of(FailureKind::FaceFile, &path).detail(reason)
        };
        let file = FaceFile::open(&path).map_err(|e| wrong(&e))?;
        if file.source_id() != key.source_id() {
            return Err(wrong(&"it is of another video"));
        }
        drop(file);
        let failed = |e: io::Error| self.store.failure(&e);
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
        let json = serde_json::to_vec(note).map_err(|e| failed(e.into()))?;
        let note_path = self.folder.join(NOTE);
        let mut options = OpenOptions::new();
        options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&note_path)
            .and_then(|mut file| file.write_all(&json))
            .map_err(failed)?;
        // The note of the one before must not stand beside the new face: without a note nothing is
        // claimed.
        let old_note = self.store.path(&self.stem, NOTE);
        let _ = fs::remove_file(&old_note);
        fs::rename(&path, self.store.path(&self.stem, FACE)).map_err(failed)?;
        fs::rename(&note_path, old_note).map_err(failed)
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
