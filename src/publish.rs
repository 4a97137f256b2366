//! Output appears under its name only when it is whole: a hidden temporary file beside the target,
//! synced, renamed, the folder synced.
//!
//! The temporary file is locked (`flock`) for as long as its job lives. The kernel drops the lock
//! however the process dies, so the next job for the same target knows a leftover from a file that
//! is being written, across process-id reuse and containers.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::error::{Failure, FailureKind};
use crate::job::folder_of;
use crate::journal::Stamp;
use crate::lock::{self, Lock};
use crate::store::Replace;

/// So often a name is tried, and another process may take the file for a leftover, before that is
/// something else.
const TRIES: u32 = 100;
/// What the longest file name on Linux leaves for the target's own name in the temporary one.
const LONGEST_STEM: usize = 255 - 60;

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

    /// Says anew whether a file of that name may be replaced.
    pub fn overwriting(mut self, overwrite: bool) -> Self {
        self.replace = all_or_nothing(overwrite);
        self
    }

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
        match &self.replace {
            Replace::Anything => fs::rename(&self.path, &self.target),
            Replace::Nothing => rename_no_replace(&self.path, &self.target),
            Replace::Own(own) => rename_over(&self.path, &self.target, own),
        }
        .map_err(failed)?;
        self.published = true;
        // The name is there; that it survives a power cut is beyond some file systems' promises.
        if let Ok(folder) = File::open(folder_of(&self.target)) {
            let _ = folder.sync_all();
        }
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

fn all_or_nothing(overwrite: bool) -> Replace {
    match overwrite {
        true => Replace::Anything,
        false => Replace::Nothing,
    }
}

/// Without locks nobody could tell a file that is being written from a leftover.
fn no_locks(folder: &Path, cause: &io::Error) -> Failure {
    Failure::of(FailureKind::OutputFolderReadOnly, folder)
        .because(format_args!("its file system can't lock files: {cause}"))
        .advice("Mount it with locks (NFS without `nolock`), or choose a folder on a local disk")
}

/// What an I/O error at the output's place means.
pub fn output_failure(target: &Path, error: &io::Error) -> Failure {
    let folder = folder_of(target);
    match error.raw_os_error() {
        Some(libc::ENOSPC) => Failure::of(FailureKind::DiskFull, target),
        // Room there may be plenty, and waiting for it changes nothing.
        Some(libc::EDQUOT) => Failure::of(FailureKind::QuotaUsedUp, target),
        Some(libc::EFBIG) => Failure::of(FailureKind::OutputTooLarge, target),
        Some(libc::EACCES | libc::EPERM | libc::EROFS) => {
            Failure::of(FailureKind::OutputFolderReadOnly, folder)
        }
        Some(libc::ENOENT | libc::ENOTDIR) => Failure::of(FailureKind::OutputFolderMissing, folder),
        Some(libc::EEXIST) => Failure::of(FailureKind::OutputExists, target),
        Some(libc::ENAMETOOLONG) => Failure::of(FailureKind::Usage, target)
            .detail("the output's name is too long")
            .advice("Choose a shorter one"),
        _ => Failure::of(FailureKind::Internal, target).detail(error),
    }
}

/// Bytes that an unprivileged process may still write in `folder`.
pub fn free_space(folder: &Path) -> Option<u64> {
    let path = CString::new(folder.as_os_str().as_bytes()).ok()?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` ends with a zero byte, and `stat` is large enough for what is written to it.
    if unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: statvfs succeeded, so it has filled `stat`.
    let stat = unsafe { stat.assume_init() };
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

fn temporary_prefix(name: &OsStr) -> OsString {
    let stem = &name.as_bytes()[..name.len().min(LONGEST_STEM)];
    let mut prefix = b".".to_vec();
    prefix.extend_from_slice(stem);
    prefix.extend_from_slice(b".lipflow-");
    OsString::from_vec(prefix)
}

fn temporary_name(name: &OsStr) -> OsString {
    let salt = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.subsec_nanos());
    let mut temporary = temporary_prefix(name);
    temporary.push(format!("{}-{salt:08x}.tmp", std::process::id()));
    temporary
}

/// Removes what dead jobs left beside `target`.
pub fn remove_leftovers_of(target: &Path) {
    if let Some(name) = target.file_name() {
        remove_leftovers(folder_of(target), name);
    }
}

/// What dead jobs left beside `target`, and how many bytes each file has.
pub fn leftovers_of(target: &Path) -> Vec<(PathBuf, u64)> {
    let Some(name) = target.file_name() else {
        return Vec::new();
    };
    temporaries(folder_of(target), name)
        .filter(|path| lock::is_taken(path).is_ok_and(|is_taken| !is_taken))
        .filter_map(|path| {
            let bytes = fs::metadata(&path).ok()?.len();
            Some((path, bytes))
        })
        .collect()
}

/// Waits, within `limit`, for the processes that have a file for `target` open: one that was killed may
/// be in the middle of giving it its name.
pub fn wait_for_writers(target: &Path, limit: Duration) {
    let Some(name) = target.file_name() else {
        return;
    };
    let end = Instant::now() + limit;
    let is_written = || {
        temporaries(folder_of(target), name)
            .any(|path| lock::is_taken(&path).is_ok_and(|is_taken| is_taken))
    };
    while is_written() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn remove_leftovers(folder: &Path, name: &OsStr) {
    for path in temporaries(folder, name) {
        if OpenOptions::new()
            .write(true)
            .open(&path)
            .is_ok_and(|file| {
                matches!(lock::exclusive(&file), Ok(Lock::Held)) && is_still_at(&file, &path)
            })
        {
            let _ = fs::remove_file(&path);
        }
    }
}

/// Temporary files for the target of that name.
fn temporaries(folder: &Path, name: &OsStr) -> impl Iterator<Item = PathBuf> {
    let prefix = temporary_prefix(name);
    // A folder that can't be listed is no reason to fail: the write will tell.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(move |entry| {
            let found = entry.file_name();
            found.as_bytes().starts_with(prefix.as_bytes())
                && found.as_bytes().ends_with(b".tmp")
                && entry.file_type().is_ok_and(|t| t.is_file())
        })
        .map(|entry| entry.path())
}

/// Whether the open file is the one that has this name, and not one that had it before.
pub(crate) fn is_still_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

fn renameat2(from: &Path, to: &Path, flags: libc::c_uint) -> io::Result<()> {
    let c = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other);
    let (from, to) = (c(from)?, c(to)?);
    // SAFETY: both paths end with a zero byte and live until the call returns.
    let result = unsafe {
        libc::renameat2(
            libc::AT_FDCWD,
            from.as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            flags,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether the file system lacks this kind of renaming.
fn is_unknown(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS))
}

fn rename_no_replace(from: &Path, to: &Path) -> io::Result<()> {
    match renameat2(from, to, libc::RENAME_NOREPLACE) {
        Err(error) if is_unknown(&error) => link_then_unlink(from, to),
        result => result,
    }
}

/// Puts `from` in the place of `to` where that has the stamp `own` or is gone; another file that came to
/// be there meanwhile stays. What was taken away is looked at once more before it is removed; where files
/// can't be exchanged, there is a gap of microseconds.
fn rename_over(from: &Path, to: &Path, own: &Stamp) -> io::Result<()> {
    let is_own = |path: &Path| Stamp::of(path).is_ok_and(|stamp| stamp == *own);
    if fs::symlink_metadata(to).is_err() {
        return rename_no_replace(from, to);
    }
    if !is_own(to) {
        return Err(io::Error::from_raw_os_error(libc::EEXIST));
    }
    match renameat2(from, to, libc::RENAME_EXCHANGE) {
        Ok(()) if is_own(from) => {
            // One that stays is a leftover, which the next job for this target removes.
            let _ = fs::remove_file(from);
            Ok(())
        }
        Ok(()) => {
            renameat2(from, to, libc::RENAME_EXCHANGE)?;
            Err(io::Error::from_raw_os_error(libc::EEXIST))
        }
        Err(error) if is_unknown(&error) => fs::rename(from, to),
        Err(error) => Err(error),
    }
}

fn link_then_unlink(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(e),
        Err(_) if fs::symlink_metadata(to).is_ok() => {
            Err(io::Error::from_raw_os_error(libc::EEXIST))
        }
        Err(_) => fs::rename(from, to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files_in(folder: &Path) -> Vec<OsString> {
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
    fn links_do_where_renames_can_not_refuse() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::write(&from, "new").unwrap();
        fs::write(&to, "old").unwrap();
        let error = link_then_unlink(&from, &to).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&to).unwrap(), "old");
        fs::remove_file(&to).unwrap();
        link_then_unlink(&from, &to).unwrap();
        assert_eq!(files_in(folder.path()), ["to"]);
    }

    #[test]
    fn leftovers_of_the_dead_go_and_files_of_the_living_stay() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.mp4");
        let dead = folder.path().join(".out.mp4.lipflow-1-0000abcd.tmp");
        fs::write(&dead, "half").unwrap();
        let other = folder.path().join(".other.mp4.lipflow-1-0000abcd.tmp");
        fs::write(&other, "half").unwrap();
        let first = Staged::create(&target, false).unwrap();
        assert!(!dead.exists());
        assert!(
            other.exists(),
            "another target's file is not ours to remove"
        );
        let second = Staged::create(&target, false).unwrap();
        assert!(first.path().exists(), "it is locked, so its job lives");
        assert_ne!(first.path(), second.path());
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
    fn a_file_that_is_written_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.mp4");
        let staged = Staged::create(&target, false).unwrap();
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            staged.publish().unwrap();
        });
        wait_for_writers(&target, Duration::from_secs(20));
        assert!(target.exists());
        writer.join().unwrap();

        let _slow = Staged::create(&target, true).unwrap();
        let begin = Instant::now();
        wait_for_writers(&target, Duration::from_millis(50));
        assert!(begin.elapsed() < Duration::from_secs(10));
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

    #[test]
    fn errors_at_the_output_have_kinds() {
        let kind =
            |code| output_failure(Path::new("a/b"), &io::Error::from_raw_os_error(code)).kind;
        assert_eq!(kind(libc::ENOSPC), FailureKind::DiskFull);
        assert_eq!(kind(libc::EDQUOT), FailureKind::QuotaUsedUp);
        assert_eq!(kind(libc::EFBIG), FailureKind::OutputTooLarge);
        assert_eq!(kind(libc::EROFS), FailureKind::OutputFolderReadOnly);
        assert_eq!(kind(libc::ENOENT), FailureKind::OutputFolderMissing);
    }

    #[test]
    fn free_space_is_known_where_there_is_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_space(folder.path()).is_some_and(|bytes| bytes > 0));
        assert_eq!(free_space(&folder.path().join("none")), None);
    }
}
