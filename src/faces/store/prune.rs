//! Listing what the cache holds, and removing it.

use std::fs;
use std::io;
use std::time::SystemTime;

use super::{Entry, FACE, LOCK, NEW, NOTE, Note, Store};
use crate::error::{Failure, FailureKind};
use crate::faces::lock::Lock;

impl Store {
    /// All that is kept, what was used last first.
    pub fn list(&self) -> Vec<Entry> {
        let mut entries: Vec<_> = self
            .stems()
            .into_iter()
            .filter_map(|stem| {
                let file = self.path(&stem, FACE);
                let metadata = fs::metadata(&file).ok()?;
                Some(Entry {
                    note: self.note(&stem),
                    stem,
                    file,
                    bytes: metadata.len(),
                    used: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                })
            })
            .collect();
        entries.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.stem.cmp(&b.stem)));
        entries
    }

    /// The names of all that is in the folder, also of what is not whole, each once.
    pub(super) fn stems(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut stems: Vec<_> = entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let (stem, ending) = name.rsplit_once('.')?;
                let is_ours = [FACE, NOTE, LOCK, NEW].contains(&ending) && stem.contains('-');
                is_ours.then(|| stem.to_owned())
            })
            .collect();
        stems.sort();
        stems.dedup();
        stems
    }

    /// Removes all traces of the faces for which `is_meant` says so, and gives how many there were.
    pub fn remove(&self, is_meant: impl Fn(&str, Option<&Note>) -> bool) -> Result<usize, Failure> {
        let mut count = 0;
        for stem in self.stems() {
            if !is_meant(&stem, self.note(&stem).as_ref()) {
                continue;
            }
            let lock_path = self.path(&stem, LOCK);
            let Some(lock) = Lock::try_take(&lock_path).map_err(|e| self.failure(&e))? else {
                return Err(Failure::of(FailureKind::FaceFile, &self.folder)
                    .because("another process learns this face")
                    .advice("End it first, or wait"));
            };
            let was_whole = self.path(&stem, FACE).exists();
            self.erase(&stem).map_err(|e| self.failure(&e))?;
            drop(lock);
            count += usize::from(was_whole);
        }
        Ok(count)
    }

    fn erase(&self, stem: &str) -> io::Result<()> {
        let absent = |e: &io::Error| e.kind() == io::ErrorKind::NotFound;
        for ending in [FACE, NOTE] {
            match fs::remove_file(self.path(stem, ending)) {
                Err(e) if !absent(&e) => return Err(e),
                _ => {}
            }
        }
        match fs::remove_dir_all(self.path(stem, NEW)) {
            Err(e) if !absent(&e) => Err(e),
            _ => Ok(()),
        }
    }

    /// Removes what was used longest ago until the rest takes no more than the limit, and what killed
    /// processes left. `keep` stays in any case: it is about to be used.
    pub fn prune(&self, keep: Option<&str>) -> usize {
        self.prune_to(self.limit, keep)
    }

    /// The same, to `limit` bytes.
    pub fn prune_to(&self, limit: u64, keep: Option<&str>) -> usize {
        let entries = self.list();
        for stem in self.stems() {
            let is_half = self.path(&stem, NEW).exists() || !self.path(&stem, FACE).exists();
            if is_half
                && keep != Some(&stem)
                && let Ok(Some(_lock)) = Lock::try_take(&self.path(&stem, LOCK))
            {
                let _ = fs::remove_dir_all(self.path(&stem, NEW));
                if !self.path(&stem, FACE).exists() {
                    let _ = self.erase(&stem);
                }
            }
        }
        let mut total: u64 = entries.iter().map(|entry| entry.bytes).sum();
        let mut removed = 0;
        for entry in entries.iter().rev() {
            if total <= limit {
                break;
            }
            if keep == Some(&entry.stem) {
                continue;
            }
            if let Ok(Some(_lock)) = Lock::try_take(&self.path(&entry.stem, LOCK))
                && self.erase(&entry.stem).is_ok()
            {
                total -= entry.bytes;
                removed += 1;
            }
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{put, store};
    use super::*;

    fn names(store: &Store) -> Vec<String> {
        let entries = fs::read_dir(&store.folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_used_longest_ago_goes_first_and_all_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), 250);
        put(&store, "a-1", 100, 30);
        put(&store, "b-1", 100, 10);
        put(&store, "c-1", 100, 20);
        fs::write(folder.path().join("of somebody.txt"), "else").unwrap();
        assert_eq!(store.prune(None), 1);
        assert_eq!(
            names(&store),
            [
                "a-1.face",
                "a-1.json",
                "c-1.face",
                "c-1.json",
                "of somebody.txt"
            ]
        );
        store.touch(&store.path("c-1", FACE));
        assert_eq!(store.prune_to(150, None), 1);
        assert_eq!(store.list()[0].stem, "c-1", "its use was noted");
        assert_eq!(store.prune_to(0, Some("c-1")), 0, "it is about to be used");
    }

    #[test]
    fn what_a_killed_process_left_goes_and_what_is_learnt_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), 1000);
        fs::create_dir(folder.path().join("a-1.new")).unwrap();
        fs::write(folder.path().join("a-1.new/face"), "half").unwrap();
        fs::create_dir(folder.path().join("b-1.new")).unwrap();
        let lock = Lock::try_take(&store.path("b-1", LOCK)).unwrap().unwrap();
        store.prune(None);
        assert_eq!(names(&store), ["b-1.lock", "b-1.new"]);
        let refused = store.remove(|_, _| true).unwrap_err();
        assert!(refused.reason().contains("another process"), "{refused}");
        drop(lock);
        assert_eq!(store.remove(|_, _| true).unwrap(), 0);
        assert!(names(&store).is_empty());
    }
}
