//! A folder in which files appear that are to be said.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::time::Duration;

use super::speech::Speech;
use super::{Notice, Prepared, Ready};
use crate::stamp::Stamp;
use crate::worker::look;

/// How often the folder is looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// Passes on files that appear in `folder` or change there, in the order of their names, once they
/// don't grow any more.
pub fn watch(folder: &Path, said: &mpsc::Sender<Notice>, is_over: &AtomicBool) {
    let mut folder_before = Watched::new(list(folder));
    while !is_over.load(Relaxed) {
        for path in folder_before.news(list(folder)) {
            let ready = Prepared::new(Speech::File(path), look::in_worker).map(Ready::Speech);
            let _ = said.send(Notice::Ready(ready, None));
        }
        std::thread::sleep(INTERVAL);
    }
}

fn list(folder: &Path) -> Files {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter_map(|entry| Some((entry.path(), Stamp::of(&entry.path()).ok()?)))
        .collect()
}

type Files = HashMap<PathBuf, Stamp>;

struct Watched {
    /// As they were when they were said last.
    said: Files,
    before: Files,
}

impl Watched {
    /// What is there at the start was said before, or is not meant.
    fn new(files: Files) -> Self {
        Self {
            before: files.clone(),
            said: files,
        }
    }

    /// Files that are new, or others than they were, and have stopped growing.
    fn news(&mut self, now: Files) -> Vec<PathBuf> {
        self.said.retain(|path, _| now.contains_key(path));
        let mut news = Vec::new();
        for (path, stamp) in &now {
            let is_whole = stamp.size > 0 && self.before.get(path) == Some(stamp);
            // One whose writer paused for longer is said again when it is whole.
            if is_whole && self.said.get(path) != Some(stamp) {
                self.said.insert(path.clone(), stamp.clone());
                news.push(path.clone());
            }
        }
        self.before = now;
        news.sort();
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_said_once_when_they_are_whole_and_in_their_order() {
        let files = |files: &[(&str, u64)]| -> Files {
            let stamp = |size| Stamp { size, modified: 0 };
            let files = files.iter().map(|(name, size)| (name.into(), stamp(*size)));
            files.collect()
        };
        let mut watched = Watched::new(files(&[("old", 5)]));
        let mut news = |now: &[(&str, u64)]| watched.news(files(now));
        assert!(news(&[("old", 5), ("b", 1), ("a", 2), ("empty", 0)]).is_empty());
        assert!(
            news(&[("old", 5), ("b", 2), ("a", 3)]).is_empty(),
            "they grow"
        );
        let now = [("old", 5), ("b", 2), ("a", 3), ("empty", 0)];
        assert_eq!(news(&now), [Path::new("a"), Path::new("b")]);
        assert!(news(&now).is_empty());
        assert!(news(&[("b", 2)]).is_empty());
        // Gone and back is new.
        news(&now);
        assert_eq!(news(&now), [Path::new("a"), Path::new("old")]);
    }

    /// With time in the square of their number this takes minutes.
    #[test]
    fn many_files_are_no_more_work_each_than_few() {
        let stamp = Stamp {
            size: 1,
            modified: 0,
        };
        let all: Files = (0..100_000)
            .map(|n| (format!("{n:06}").into(), stamp.clone()))
            .collect();
        let mut watched = Watched::new(Files::new());
        assert!(watched.news(all.clone()).is_empty());
        assert_eq!(watched.news(all.clone()).len(), 100_000);
        assert!(watched.news(all).is_empty());
    }
}
