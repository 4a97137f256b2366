//! Where learnt faces are kept: a cache folder that only its owner can read, with a limit to its size.
//!
//! A face is two files: `STEM.face`, which the elements read, and `STEM.json`, which says how much of
//! the video it was learnt from. While it is learnt there are `STEM.lock` and the folder `STEM.new`,
//! which is renamed file by file when all is written. What a killed process left is cleared away by
//! whoever has the lock next.

mod entry;
mod place;
mod prune;
mod staged;

pub use entry::{Entry, Found, Known, Note};
pub use place::{FOLDER_VARIABLE, LIMIT_VARIABLE};
pub use staged::Staged;

use std::ffi::CString;
use std::fs::{self, DirBuilder, File};
use std::io::{self};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use gstlipsync::bank::FaceFile;

use super::key::{Key, MAX_BYTES};
use super::lock::Lock;
use crate::error::{Failure, FailureKind};
use crate::publish::free_space;
use crate::stamp::Stamp;

use place::USUAL_LIMIT;
pub(crate) use place::{folder, make_folder};

const FACE: &str = "face";
const NOTE: &str = "json";
const LOCK: &str = "lock";
const NEW: &str = "new";

#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    limit: u64,
}

impl Store {
    /// The user's, as the environment says.
    pub fn of_user() -> Result<Self, Failure> {
        let folder = folder().ok_or_else(|| {
            Failure::new(FailureKind::FaceFile)
                .detail("there is no home for the cache")
                .advice(format_args!("Name a folder in {FOLDER_VARIABLE}"))
        })?;
        let limit = match std::env::var(LIMIT_VARIABLE) {
            Err(_) => USUAL_LIMIT,
            Ok(text) => text
                .trim()
                .parse::<u64>()
                .map_err(|_| {
                    Failure::new(FailureKind::FaceFile)
                        .because(format_args!("{LIMIT_VARIABLE}={text} is no number"))
                        .advice("Say how many megabytes all faces together may take, 4000 say")
                })?
                .saturating_mul(1_000_000),
        };
        Ok(Self::at(folder, limit))
    }

    /// The one in `folder`, of up to `limit` bytes.
    pub fn at(folder: PathBuf, limit: u64) -> Self {
        Self { folder, limit }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, stem: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{stem}.{ending}"))
    }

    pub fn lock_path(&self, key: &Key) -> PathBuf {
        self.path(&key.stem(), LOCK)
    }

    /// What is known under `key`; nothing is trusted that does not say itself that it is of this key's
    /// content and whole.
    pub fn find(&self, key: &Key) -> Found {
        let stem = key.stem();
        let path = self.path(&stem, FACE);
        if !path.exists() {
            return Found::Nothing;
        }
        let file = match FaceFile::open(&path) {
            Ok(file) => file,
            Err(e) => return Found::Unusable(e.to_string()),
        };
        if file.source_id() != key.source_id() {
            return Found::Unusable("it is of another video".into());
        }
        let summary = file.summary();
        Found::Face(Box::new(Known {
            note: self.note(&stem),
            path,
            file,
            summary,
        }))
    }

    fn note(&self, stem: &str) -> Option<Note> {
        Note::beside(&self.path(stem, FACE))
    }

    /// The content of the video at `path`, if a face was learnt of it and it has not changed since.
    pub fn content_of(&self, path: &Path) -> Option<String> {
        let path = std::path::absolute(path).ok()?;
        let stamp = Stamp::of(&path).ok()?;
        self.stems().into_iter().find_map(|stem| {
            let note = self.note(&stem)?;
            let is_it = note.face == path && note.stamp.as_ref() == Some(&stamp);
            let (content, _) = stem.split_once('-')?;
            is_it.then(|| content.to_owned())
        })
    }

    /// Notes that a face is used now: what was used longest ago goes first when there is no room.
    pub fn touch(&self, path: &Path) {
        let touched = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
        if let Err(e) = touched {
            tracing::debug!("{}: its use can't be noted: {e}", path.display());
        }
    }

    /// The right to learn the face of `key`; nothing while somebody else has it.
    pub fn try_lock(&self, key: &Key) -> Result<Option<Lock>, Failure> {
        self.make_folder()?;
        let path = self.lock_path(key);
        Lock::try_take(&path).map_err(|e| self.failure(&e))
    }

    /// Whether a face could be kept; makes nothing.
    pub fn check(&self) -> Result<(), Failure> {
        let mut above = self.folder.ancestors();
        let there = above.find(|path| path.exists()).unwrap_or(&self.folder);
        // Only a folder has a way to itself; asked for that, a file says what is wrong.
        let way = CString::new(there.join(".").as_os_str().as_bytes());
        let way = way.map_err(|e| self.failure(&e.into()))?;
        // SAFETY: `way` ends with a zero byte and lives until the call returns.
        if unsafe { libc::access(way.as_ptr(), libc::W_OK | libc::X_OK) } != 0 {
            return Err(self.failure(&io::Error::last_os_error()));
        }
        self.check_room(there, MAX_BYTES)
    }

    fn check_room(&self, folder: &Path, bytes: u64) -> Result<(), Failure> {
        match free_space(folder) {
            Some(free) if free < bytes => Err(Failure::of(FailureKind::FaceFile, &self.folder)
                .detail(format_args!(
                    "less than {} MB are free on its disk",
                    bytes.div_ceil(1_000_000)
                ))),
            _ => Ok(()),
        }
    }

    fn make_folder(&self) -> Result<(), Failure> {
        make_folder(&self.folder).map_err(|e| self.failure(&e))
    }

    fn failure(&self, error: &io::Error) -> Failure {
        Failure::of(FailureKind::FaceFile, &self.folder).detail(error)
    }

    /// What an element says when it can't write here: the same for all faces, so without the path in it.
    pub fn unwritable(&self, said: &str) -> Failure {
        let reason = said.rsplit("can't be written: ").next().unwrap_or(said);
        let reason = reason.split(" at path ").next().unwrap_or(reason);
        Failure::of(FailureKind::FaceFile, &self.folder).detail(reason)
    }

    /// Where to write the face file of `key`; who calls has the lock. Where there is no room, that is
    /// known before the face is learnt.
    pub fn stage(&self, key: &Key) -> Result<Staged<'_>, Failure> {
        self.check_room(&self.folder, key.max_bytes)?;
        let stem = key.stem();
        let folder = self.path(&stem, NEW);
        // Of a process that died.
        let _ = fs::remove_dir_all(&folder);
        let made = DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(|e| self.failure(&e))?;
        Ok(Staged {
            store: self,
            stem,
            folder,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Form, Selection};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    pub(super) fn store(folder: &Path, limit: u64) -> Store {
        fs::create_dir_all(folder).unwrap();
        Store::at(folder.into(), limit)
    }

    /// A face of so many bytes that was used at that second.
    pub(super) fn put(store: &Store, stem: &str, bytes: usize, second: u64) {
        let path = store.path(stem, FACE);
        fs::write(&path, vec![0; bytes]).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        File::open(&path).unwrap().set_modified(time).unwrap();
        fs::write(store.path(stem, NOTE), "{}").unwrap();
    }

    #[test]
    fn a_foreign_or_damaged_file_is_never_used() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), 1000);
        let key = Key::new("ab".into(), Selection::default(), Form::default());
        assert!(matches!(store.find(&key), Found::Nothing));
        put(&store, &key.stem(), 100, 1);
        assert!(matches!(store.find(&key), Found::Unusable(_)));
    }

    #[test]
    fn a_full_disk_reads_the_same_for_every_face() {
        let store = Store::at("/cache".into(), 0);
        let said = "the face file /cache/ab.new/face can't be written: No space left on device (os \
                    error 28) at path \"/cache/ab.new/.face-x\"";
        assert_eq!(
            store.unwritable(said).reason(),
            "what was learnt of the face can't be kept or read: No space left on device (os error 28)"
        );
    }

    #[test]
    fn a_video_is_known_without_being_read_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder.path().join("faces"), 1000);
        let video = folder.path().join("me.mp4");
        fs::write(&video, "one").unwrap();
        put(&store, "ab-1", 10, 1);
        let note = Note {
            face: video.clone(),
            stamp: Stamp::of(&video).ok(),
            selection: Selection::default(),
            whole: true,
            seconds: 1.0,
        };
        fs::write(store.path("ab-1", NOTE), serde_json::to_vec(&note).unwrap()).unwrap();
        assert_eq!(store.content_of(&video).as_deref(), Some("ab"));
        assert_eq!(store.content_of(&folder.path().join("you.mp4")), None);
        fs::write(&video, "another").unwrap();
        assert_eq!(store.content_of(&video), None);
    }

    #[test]
    fn only_the_owner_can_look_into_it() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("cache/faces");
        let store = Store::at(inner.clone(), 1000);
        let key = Key::new("ab".into(), Selection::default(), Form::default());
        let _lock = store.try_lock(&key).unwrap().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&inner), 0o700);
        assert_eq!(mode(&store.lock_path(&key)), 0o600);
        let staged = store.stage(&key).unwrap();
        assert_eq!(mode(&staged.folder), 0o700);
    }

    #[test]
    fn whether_a_face_could_be_kept_is_known_without_trying() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache/faces");
        assert_eq!(Store::at(cache.clone(), 1000).check(), Ok(()));
        assert!(!folder.path().join("cache").exists());
        fs::write(folder.path().join("file"), "").unwrap();
        let below = Store::at(folder.path().join("file/faces"), 1000);
        assert_eq!(below.check().unwrap_err().kind, FailureKind::FaceFile);
        let store = Store::at(cache, 1000);
        assert!(store.check_room(folder.path(), u64::MAX).is_err());
    }
}
