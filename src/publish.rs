//! Output appears under its name only when it is whole: a hidden temporary file beside the target,
//! synced, renamed, the folder synced.
//!
//! The temporary file is locked (`flock`) for as long as its job lives. The kernel drops the lock
//! however the process dies, so the next job for the same target knows a leftover from a file that
//! is being written, across process-id reuse and containers.

mod disk;
mod leftovers;
mod local;
mod rename;
mod staging;

pub use disk::{free_space, output_failure};
pub use leftovers::{leftovers_of, remove_leftovers_of, wait_for_writers};
pub use local::LocalStore;
pub(crate) use staging::{StagingFolder, move_plain, publish_staged};
pub use staging::{remove_staged, staged_leftovers};

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Failure, FailureKind};
use crate::job::folder_of;
use crate::lock::{self, Lock};
use crate::store::Replace;

use disk::no_locks;
use leftovers::{remove_leftovers, temporary_name};
use rename::{rename_no_replace, rename_over};

/// So often a name is tried, and another process may take the file for a leftover, before that is
/// something else.
const TRIES: u32 = 100;
/// A file that is being written and has not got its name yet. Dropped, it is gone.
#[derive(Debug)]
pub struct Staged {
    path: PathBuf,
    target: PathBuf,
    /// Holds the lock.
    file: File,
    replace: Replace,
    published: bool,
}

impl Staged {
    /// Makes the temporary file for `target`, after removing what dead jobs left of theirs.
    pub fn create(target: &Path, overwrite: bool) -> Result<Self, Failure> {
        Self::replacing(target, all_or_nothing(overwrite))
    }

    /// The same, for a target of which only this may be replaced.
    pub fn replacing(target: &Path, replace: Replace) -> Result<Self, Failure> {
        Self::create_with(target, replace, &lock::exclusive)
    }

    fn create_with(
        target: &Path,
        replace: Replace,
        lock: &dyn Fn(&File) -> io::Result<Lock>,
    ) -> Result<Self, Failure> {
        let folder = folder_of(target);
        let Some(name) = target.file_name() else {
            return Err(
                Failure::of(FailureKind::Usage, target).detail("the output has no file name")
            );
        };
        remove_leftovers(folder, name);
        for _ in 0..TRIES {
            let path = folder.join(temporary_name(name));
            let file = match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => file,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(e) => return Err(output_failure(target, &e)),
            };
            let locked = lock(&file);
            // From here on it is removed unless it gets its name.
            let staged = Self {
                path,
                target: target.to_owned(),
                file,
                replace: replace.clone(),
                published: false,
            };
            // Between creation and lock another job may have taken it for a leftover.
            match locked {
                Ok(Lock::Held) if is_still_at(&staged.file, &staged.path) => return Ok(staged),
                Ok(_) => {}
                Err(cause) => return Err(no_locks(folder, &cause)),
            }
        }
        Err(Failure::of(FailureKind::Internal, target)
            .detail("other processes take every temporary file away"))
    }

    /// Makes the file for `target` elsewhere, at a place that is this job's alone.
    pub(crate) fn at(path: PathBuf, target: &Path, replace: Replace) -> Result<Self, Failure> {
        let created = OpenOptions::new().write(true).create_new(true).open(&path);
        Ok(Self {
            file: created.map_err(|e| output_failure(target, &e))?,
            path,
            target: target.to_owned(),
            replace,
            published: false,
        })
    }

    /// Says anew whether a file of that name may be replaced.
    pub fn overwriting(mut self, overwrite: bool) -> Self {
        self.replace = all_or_nothing(overwrite);
        self
    }

    /// The temporary file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a sink is to write, as the UTF-8 that properties need.
    pub fn location(&self) -> String {
        match self.path.to_str() {
            Some(path) => path.to_owned(),
            // Names in other encodings can't be a property's value, but the open file can be named.
            None => format!("/proc/self/fd/{}", self.file.as_raw_fd()),
        }
    }

    /// Gives the file its name, for good.
    ///
    /// Unless overwriting, a file that came to be there meanwhile is kept and the job fails: by
    /// `renameat2(RENAME_NOREPLACE)`, or by `link` where the file system can't do that. Where it can
    /// do neither (FAT), the check before the rename leaves a gap of microseconds.
    pub fn publish(mut self) -> Result<(), Failure> {
        let failed = |e: io::Error| output_failure(&self.target, &e);
        self.file.sync_all().map_err(failed)?;
        give_name(&self.path, &self.target, &self.replace).map_err(failed)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.published {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Renames a file that is whole and synced.
fn give_name(from: &Path, target: &Path, replace: &Replace) -> io::Result<()> {
    match replace {
        Replace::Anything => fs::rename(from, target),
        Replace::Nothing => rename_no_replace(from, target),
        Replace::Own(own) => rename_over(from, target, own),
    }?;
    // The name is there; that it survives a power cut is beyond some file systems' promises.
    if let Ok(folder) = File::open(folder_of(target)) {
        let _ = folder.sync_all();
    }
    Ok(())
}

fn all_or_nothing(overwrite: bool) -> Replace {
    match overwrite {
        true => Replace::Anything,
        false => Replace::Nothing,
    }
}

/// Whether the open file is the one that has this name, and not one that had it before.
pub(crate) fn is_still_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::OsStrExt;

    use super::*;
    use crate::stamp::Stamp;

    pub(super) fn files_in(folder: &Path) -> Vec<OsString> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect()
    }

    #[test]
    fn a_file_gets_its_name_only_when_published() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.mp4");
        let staged = Staged::create(&target, false).unwrap();
        fs::write(staged.location(), "whole").unwrap();
        assert!(!target.exists());
        staged.publish().unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "whole");
        assert_eq!(files_in(folder.path()), ["out.mp4"]);
    }

    #[test]
    fn a_dropped_file_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let staged = Staged::create(&folder.path().join("out.mp4"), false).unwrap();
        assert_eq!(files_in(folder.path()).len(), 1);
        drop(staged);
        assert!(files_in(folder.path()).is_empty());
    }

    #[test]
    fn a_file_that_came_meanwhile_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.mp4");
        let staged = Staged::create(&target, false).unwrap();
        fs::write(&target, "theirs").unwrap();
        let failure = staged.publish().unwrap_err();
        assert_eq!(failure.kind, FailureKind::OutputExists);
        assert_eq!(fs::read_to_string(&target).unwrap(), "theirs");
        assert_eq!(files_in(folder.path()), ["out.mp4"]);

        let staged = Staged::create(&target, true).unwrap();
        fs::write(staged.path(), "ours").unwrap();
        staged.publish().unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "ours");
    }

    #[test]
    fn only_what_was_made_earlier_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.mp4");
        fs::write(&target, "first").unwrap();
        let own = Stamp::of(&target).unwrap();
        let stage = || {
            let staged = Staged::replacing(&target, Replace::Own(own.clone())).unwrap();
            fs::write(staged.path(), "second").unwrap();
            staged
        };
        stage().publish().unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "second");
        let late = stage();
        fs::write(&target, "edited by hand").unwrap();
        assert_eq!(late.publish().unwrap_err().kind, FailureKind::OutputExists);
        assert_eq!(fs::read_to_string(&target).unwrap(), "edited by hand");
        fs::remove_file(&target).unwrap();
        stage().publish().unwrap();
        assert_eq!(files_in(folder.path()), ["out.mp4"]);
    }

    #[test]
    fn a_file_system_without_locks_is_told_and_not_filled() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.mp4");
        let create = |lock: &dyn Fn(&File) -> io::Result<Lock>| {
            let failure = Staged::create_with(&target, Replace::Nothing, lock).unwrap_err();
            assert!(files_in(folder.path()).is_empty());
            failure
        };
        let failure = create(&|_| Err(io::Error::from_raw_os_error(libc::ENOLCK)));
        assert_eq!(failure.kind, FailureKind::OutputFolderReadOnly);
        let text = failure.to_string();
        assert!(text.contains("its file system can't lock files"), "{text}");
        assert!(text.contains("nolock"), "{text}");
        let failure = create(&|_| Ok(Lock::Taken));
        assert_eq!(failure.kind, FailureKind::Internal, "it comes to an end");
    }

    #[test]
    fn the_longest_names_work_and_longer_ones_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("{}.mp4", "n".repeat(251));
        Staged::create(&folder.path().join(name), false)
            .unwrap()
            .publish()
            .unwrap();
        let name = format!("{}.mp4", "n".repeat(252));
        let staged = Staged::create(&folder.path().join(name), false).unwrap();
        assert_eq!(staged.publish().unwrap_err().kind, FailureKind::Usage);
    }

    #[test]
    fn a_name_that_is_not_utf_8_is_written_through_its_descriptor() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join(OsStr::from_bytes(b"\xff.mp4"));
        let staged = Staged::create(&target, false).unwrap();
        fs::write(staged.location(), "whole").unwrap();
        staged.publish().unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "whole");
    }
}
