//! Who learns a face. The lock (`flock`) is dropped by the kernel however its process dies; what is in the
//! locked file tells those who wait how far the learning is.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::event::Learning;
use crate::lock;
use crate::publish::is_still_at;

#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock, unless somebody else has it.
    pub fn try_take(path: &Path) -> io::Result<Option<Self>> {
        loop {
            let mut options = OpenOptions::new();
            let file = options
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(path)?;
            match lock::exclusive(&file)? {
                lock::Lock::Held if is_still_at(&file, path) => {
                    return Ok(Some(Self {
                        file,
                        path: path.into(),
                    }));
                }
                // Whoever had it has removed it meanwhile.
                lock::Lock::Held => {}
                lock::Lock::Taken => return Ok(None),
            }
        }
    }

    /// Tells those who wait how far it is.
    pub fn tell(&self, learning: &Learning) {
        let Ok(text) = serde_json::to_vec(learning) else {
            return;
        };
        // Nothing depends on it: a full disk leaves them without figures.
        if self.file.set_len(0).is_ok() {
            let _ = self.file.write_all_at(&text, 0);
        }
    }

    /// What the holder of the lock said last.
    pub fn heard(path: &Path) -> Option<Learning> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Before the lock goes: who waits for it then finds that the name is free.
        if is_still_at(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_the_others_hear_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let lock = Lock::try_take(&path).unwrap().unwrap();
        assert!(Lock::try_take(&path).unwrap().is_none());
        let learning = Learning {
            frames: 7,
            frames_total: Some(1_000_000),
            ..Default::default()
        };
        lock.tell(&learning);
        let shorter = Learning {
            frames: 8,
            ..Default::default()
        };
        lock.tell(&shorter);
        assert_eq!(Lock::heard(&path), Some(shorter));
        drop(lock);
        assert!(!path.exists());
        assert!(Lock::try_take(&path).unwrap().is_some());
    }

    #[test]
    fn a_lock_on_a_file_that_lost_its_name_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let first = Lock::try_take(&path).unwrap().unwrap();
        fs::remove_file(&path).unwrap();
        let second = Lock::try_take(&path).unwrap();
        assert!(second.is_some());
        drop(first);
        assert!(path.exists(), "the one that came later keeps its file");
    }
}
