//! Temporary files beside a target: their names, and what dead processes left of them.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::is_still_at;
use crate::job::folder_of;
use crate::lock::{self, Lock};

/// What the longest file name on Linux leaves for the target's own name in the temporary one.
const LONGEST_STEM: usize = 255 - 60;

fn temporary_prefix(name: &OsStr) -> OsString {
    let stem = &name.as_bytes()[..name.len().min(LONGEST_STEM)];
    let mut prefix = b".".to_vec();
    prefix.extend_from_slice(stem);
    prefix.extend_from_slice(b".lipflow-");
    OsString::from_vec(prefix)
}

pub(super) fn temporary_name(name: &OsStr) -> OsString {
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

pub(super) fn remove_leftovers(folder: &Path, name: &OsStr) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::Staged;

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
}
