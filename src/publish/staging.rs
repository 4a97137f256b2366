//! Folders in which worker processes write what is to become outputs. Each has its own, below the
//! journal's, and reaches neither the others nor the place where the output will be: the controller
//! gives the file its name.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{give_name, is_still_at, output_failure};
use crate::error::{Failure, FailureKind};
use crate::lock::{self, Lock};
use crate::store::Replace;

/// In the journal's folder.
const FOLDER: &str = "staging";
/// More are not tried: something else is wrong.
const MOST: u32 = 10_000;
/// No two folders of a process have the same name: an old one that is removed late is not a new one.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A folder that one worker writes in. Dropped, it is gone with all that is in it.
///
/// It is locked by whoever made it, so that what a dead controller has left can be told.
#[derive(Debug)]
pub(crate) struct StagingFolder {
    path: PathBuf,
    _lock: File,
}

impl StagingFolder {
    /// Makes one below the journal's folder.
    pub(crate) fn create(state: &Path) -> io::Result<Self> {
        let parent = state.join(FOLDER);
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700);
        for _ in 0..MOST {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("{}-{number}", std::process::id()));
            builder.recursive(true).create(&parent)?;
            match builder.recursive(false).create(&path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                // Another controller found it empty.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                made => made?,
            }
            let folder = match File::open(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                folder => folder?,
            };
            // Before it was locked it may have been taken for a dead one's.
            if lock::exclusive(&folder)? == Lock::Held && is_still_at(&folder, &path) {
                return Ok(Self {
                    path,
                    _lock: folder,
                });
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it, when nobody writes in it any more.
    pub(crate) fn remove(&self) {
        let _ = fs::remove_dir_all(&self.path);
        // Only where nothing else is in it.
        let _ = self.path.parent().map(fs::remove_dir);
    }
}

impl Drop for StagingFolder {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Folders of controllers that are dead, below the journal's.
fn dead(state: &Path) -> impl Iterator<Item = (PathBuf, File)> {
    let entries = fs::read_dir(state.join(FOLDER)).into_iter();
    entries.flatten().flatten().filter_map(|entry| {
        let folder = entry.file_type().ok()?.is_dir().then_some(entry.path())?;
        let file = File::open(&folder).ok()?;
        let is_free = matches!(lock::exclusive(&file), Ok(Lock::Held));
        is_free.then_some((folder, file))
    })
}

/// Removes what the workers of dead controllers left below the journal's folder.
pub fn remove_staged(state: &Path) {
    for (folder, _lock) in dead(state) {
        let _ = fs::remove_dir_all(folder);
    }
    // Only where nothing is in it.
    let _ = fs::remove_dir(state.join(FOLDER));
}

/// The same files, and how many bytes each has.
pub fn staged_leftovers(state: &Path) -> Vec<(PathBuf, u64)> {
    let entries = dead(state).flat_map(|(folder, _)| fs::read_dir(folder).into_iter().flatten());
    entries
        .flatten()
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.len())))
        .collect()
}

/// Gives a worker's file its name, for good. The worker is not trusted: only a file is moved, and
/// nothing that leads elsewhere. `begin` is asked last: what it gives is kept until the file has its name.
pub(crate) fn publish_staged<T>(
    from: &Path,
    target: &Path,
    replace: &Replace,
    begin: impl FnOnce() -> Option<T>,
) -> Result<(), Failure> {
    let file = open_plain(from).map_err(|e| output_failure(target, &e))?;
    file.sync_all().map_err(|e| output_failure(target, &e))?;
    let Some(_leave) = begin() else {
        return Err(Failure::new(FailureKind::Terminated));
    };
    give_name(from, target, replace).map_err(|e| match e.raw_os_error() {
        Some(libc::EXDEV) => output_failure(target, &e)
            .advice("Files can't be moved there: start again with --worker-files all"),
        _ => output_failure(target, &e),
    })
}

/// Moves a file that a worker has written beside its output, if there is one.
pub(crate) fn move_plain(from: &Path, to: &Path) -> io::Result<()> {
    open_plain(from)?;
    fs::rename(from, to)
}

fn open_plain(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // A pipe would be waited for.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = options.read(true).custom_flags(flags).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("what the worker has made is no file")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn folders_of_the_dead_go_and_those_of_the_living_stay() {
        let state = tempfile::tempdir().unwrap();
        let own = StagingFolder::create(state.path()).unwrap();
        let other = StagingFolder::create(state.path()).unwrap();
        assert_ne!(own.path(), other.path());
        let first = StagingFolder::create(state.path()).unwrap();
        first.remove();
        let next = StagingFolder::create(state.path()).unwrap();
        drop(first);
        assert!(next.path().is_dir(), "removed once more, in its place");
        drop(next);
        fs::write(own.path().join("1"), "half").unwrap();
        let dead = state.path().join("staging/1-x");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("1"), "half").unwrap();
        let left = staged_leftovers(state.path());
        assert_eq!(left, [(dead.join("1"), 4)]);
        remove_staged(state.path());
        assert!(!dead.exists());
        assert!(own.path().join("1").is_file(), "its controller lives");
        let path = own.path().to_owned();
        drop((own, other));
        assert!(!path.exists());
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0);
    }

    #[test]
    fn only_a_file_gets_a_name() {
        let state = tempfile::tempdir().unwrap();
        let folder = StagingFolder::create(state.path()).unwrap();
        let target = state.path().join("out.mp4");
        let publish = |name: &str, replace: &Replace| {
            publish_staged(&folder.path().join(name), &target, replace, || Some(()))
        };
        fs::write(folder.path().join("1"), "whole").unwrap();
        publish("1", &Replace::Nothing).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "whole");
        fs::write(folder.path().join("2"), "other").unwrap();
        let failure = publish("2", &Replace::Nothing).unwrap_err();
        assert_eq!(failure.kind, FailureKind::OutputExists);
        symlink("/etc/passwd", folder.path().join("3")).unwrap();
        fs::create_dir(folder.path().join("4")).unwrap();
        for name in ["3", "4", "none"] {
            assert!(publish(name, &Replace::Anything).is_err(), "{name}");
        }
        assert_eq!(fs::read_to_string(&target).unwrap(), "whole");
        let late = publish_staged(
            &folder.path().join("2"),
            &target,
            &Replace::Anything,
            || None::<()>,
        );
        assert_eq!(late.unwrap_err().kind, FailureKind::Terminated);
        assert_eq!(fs::read_to_string(&target).unwrap(), "whole");
        publish("2", &Replace::Anything).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "other");
    }
}
