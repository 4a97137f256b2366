//! The [`Store`] of this machine's folders.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gstlipsync::model::{Model, Weights};

use super::{
    Staged, free_space, output_failure, remove_leftovers_of, remove_staged, wait_for_writers,
};
use crate::digest;
use crate::error::Failure;
use crate::job::{Job, folder_of};
use crate::path::with_ending;
use crate::reach::Named;
use crate::stamp::Stamp;
use crate::store::{Replace, Staging, Store};

/// How long a writer without its controller may take to end, however slow its disk is.
const WRITER_LIMIT: Duration = Duration::from_secs(5);

/// Folders of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalStore;

impl Store for LocalStore {
    fn stamp(&self, path: &Path) -> Option<Stamp> {
        Stamp::of(path).ok()
    }

    fn is_of(&self, path: &Path, sha256: &str) -> bool {
        digest::is_of(path, sha256)
    }

    fn stage(&self, output: &Path, replace: Replace) -> Result<Box<dyn Staging>, Failure> {
        Ok(Box::new(Staged::replacing(output, replace)?))
    }

    fn remove_leftovers(&self, output: &Path) {
        remove_leftovers_of(output);
    }

    fn remove_staged(&self, state: &Path) {
        remove_staged(state);
    }

    fn wait_for_writers(&self, output: &Path) {
        wait_for_writers(output, WRITER_LIMIT);
    }

    fn make_folder(&self, output: &Path) {
        let _ = fs::create_dir_all(folder_of(output));
    }

    fn free_space(&self, folder: &Path) -> Option<u64> {
        folder.ancestors().find_map(free_space)
    }

    fn devices(&self, folder: &Path) -> Vec<u64> {
        let there = folder.ancestors().filter_map(|f| fs::metadata(f).ok());
        there.map(|metadata| metadata.dev()).collect()
    }

    fn named(&self, job: &Job) -> Option<Named> {
        Named::by(job)
    }

    fn weights(&self, job: &Job) -> Vec<(PathBuf, Stamp)> {
        let Ok(model) = Model::resolve(job.parameter("model").map(Path::new)) else {
            return Vec::new();
        };
        let files = model.parts().filter_map(|part| match part {
            Weights::File(path) => Some(path),
            Weights::Embedded(_) => None,
        });
        files
            .filter_map(|path| Some((path.clone(), Stamp::of(&path).ok()?)))
            .collect()
    }
}

impl Staging for Staged {
    fn path(&self) -> &Path {
        Self::path(self)
    }

    fn location(&self) -> String {
        Self::location(self)
    }

    fn put_beside(&self, ending: &str, text: &str) -> Result<(), Failure> {
        let path = with_ending(&self.target, ending);
        let staged = Self::create(&path, true)?;
        fs::write(&staged.path, text).map_err(|e| output_failure(&path, &e))?;
        staged.publish()
    }

    fn commit(self: Box<Self>) -> Result<(), Failure> {
        self.publish()
    }
}
