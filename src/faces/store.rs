//! Where learnt faces are kept: a cache folder that only its owner can read, with a limit to its size.
//!
//! A face is two files: `STEM.face`, which the elements read, and `STEM.json`, which says how much of
//! the video it was learnt from. While it is learnt there are `STEM.lock` and the folder `STEM.new`,
//! which is renamed file by file when all is written. What a killed process left is cleared away by
//! whoever has the lock next.

use std::ffi::CString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use gstlipsync::bank::{FaceFile, Summary};
use serde::{Deserialize, Serialize};

use super::key::{Key, MAX_BYTES, Selection};
use super::lock::Lock;
use crate::error::{Failure, FailureKind};
use crate::event::seconds;
use crate::journal::Stamp;
use crate::publish::free_space;

/// Names the folder, in place of the one in the user's cache.
pub const FOLDER_VARIABLE: &str = "LIPFLOW_FACES";
/// Says how many megabytes all faces together may take.
pub const LIMIT_VARIABLE: &str = "LIPFLOW_FACES_MB";
const USUAL_LIMIT: u64 = 4_000_000_000;

const FACE: &str = "face";
const NOTE: &str = "json";
const LOCK: &str = "lock";
const NEW: &str = "new";

/// How a face was learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// Where its video was then.
    pub face: PathBuf,
    /// Of the video, so that one that has not changed since need not be read to know its content.
    #[serde(default)]
    pub stamp: Option<Stamp>,
    pub selection: Selection,
    /// All of the video was looked at.
    pub whole: bool,
    /// So much of it.
    pub seconds: f64,
}

impl Note {
    /// The one that belongs to a face file.
    pub fn beside(face_file: &Path) -> Option<Self> {
        let note = fs::read(face_file.with_extension(NOTE)).ok()?;
        serde_json::from_slice(&note).ok()
    }
}

/// A face that is known.
pub struct Known {
    pub path: PathBuf,
    pub file: FaceFile,
    pub summary: Summary,
    /// Absent where it was lost; then nothing is taken for certain.
    pub note: Option<Note>,
}

impl Known {
    pub fn is_whole(&self) -> bool {
        self.note.as_ref().is_some_and(|note| note.whole)
    }

    /// How much of the video was looked at.
    pub fn seconds(&self) -> f64 {
        let note = self.note.as_ref().map(|note| note.seconds);
        note.unwrap_or_else(|| seconds(self.summary.duration))
    }
}

/// What is in the cache under a key.
pub enum Found {
    Nothing,
    Face(Box<Known>),
    /// A file that must not be used, and why.
    Unusable(String),
}

/// A face in the cache, whether it can be used or not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    #[serde(skip)]
    pub stem: String,
    pub file: PathBuf,
    pub bytes: u64,
    #[serde(skip)]
    pub used: SystemTime,
    #[serde(flatten)]
    pub note: Option<Note>,
}

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
    fn stems(&self) -> Vec<String> {
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

/// A face file that is being written. Dropped, it is gone.
pub struct Staged<'a> {
    store: &'a Store,
    stem: String,
    folder: PathBuf,
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

/// Makes the folder, for its owner alone.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder)?;
    // One that was there already, too; that somebody else owns it, the lock will tell.
    let _ = fs::set_permissions(folder, Permissions::from_mode(0o700));
    Ok(())
}

/// The user's, as the environment says; none where there is no home.
pub(crate) fn folder() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(FOLDER_VARIABLE).filter(|value| !value.is_empty()) {
        return std::path::absolute(folder).ok();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.filter(|path| path.is_absolute()).or_else(|| {
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty())?;
        Some(Path::new(&home).join(".cache"))
    })?;
    Some(cache.join("lipflow/faces"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Form;
    use super::*;

    fn store(folder: &Path, limit: u64) -> Store {
        fs::create_dir_all(folder).unwrap();
        Store::at(folder.into(), limit)
    }

    /// A face of so many bytes that was used at that second.
    fn put(store: &Store, stem: &str, bytes: usize, second: u64) {
        let path = store.path(stem, FACE);
        fs::write(&path, vec![0; bytes]).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        File::open(&path).unwrap().set_modified(time).unwrap();
        fs::write(store.path(stem, NOTE), "{}").unwrap();
    }

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
