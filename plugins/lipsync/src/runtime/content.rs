//! What a model's file holds, whatever it is called: the same content is the same session.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use rustix::fs::{Access, access};
use sha2::{Digest as _, Sha256};

use super::Error;
use crate::sync::lock;

/// The sha256 of a network.
pub type Digest = [u8; 32];

/// A network as it is known: its content and, where tensors of it are in files beside it, its folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Content {
    digest: Digest,
    folder: Option<PathBuf>,
}

/// How a tensor says that its values are in another file: the key of a `StringStringEntryProto`.
const EXTERNAL: &[u8] = b"\x0a\x08location";

/// A file that was changed so lately may change again without showing it: file systems count time in steps.
const SETTLED: Duration = Duration::from_secs(2);

/// Tells one state of a file from the next: device, inode, length, and times in nanoseconds.
type State = [i128; 5];

impl Content {
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self {
            digest: Sha256::digest(bytes).into(),
            folder: None,
        }
    }

    /// Reads the file, unless it is as it was when it was read last.
    pub fn of_file(path: &Path) -> Result<Self, Error> {
        static KNOWN: Mutex<BTreeMap<PathBuf, (State, Content)>> = Mutex::new(BTreeMap::new());

        check_file(path)?;
        let failed = |e: std::io::Error| unreadable(path, e.to_string());
        let full = std::fs::canonicalize(path).map_err(failed)?;
        let about = std::fs::metadata(&full).map_err(failed)?;
        let state = state_of(&about);
        if let Some((_, content)) = lock(&KNOWN).get(&full).filter(|known| known.0 == state) {
            return Ok(content.clone());
        }
        let (digest, is_split) = read(&full).map_err(failed)?;
        let content = Self {
            digest,
            folder: full.parent().filter(|_| is_split).map(Path::to_owned),
        };
        if is_settled(&about) {
            lock(&KNOWN).insert(full, (state, content.clone()));
        }
        Ok(content)
    }
}

/// Whether `path` is a file that can be read. It is not opened, which may take as long as it likes.
pub fn check_file(path: &Path) -> Result<(), Error> {
    let about = std::fs::metadata(path).map_err(|e| match e.kind() {
        ErrorKind::NotFound => Error::ModelMissing(path.into()),
        _ => unreadable(path, e.to_string()),
    })?;
    if about.is_dir() {
        return Err(unreadable(path, "it is a folder".into()));
    }
    if about.is_file() && about.len() == 0 {
        return Err(unreadable(path, "it is empty".into()));
    }
    access(path, Access::READ_OK).map_err(|e| unreadable(path, std::io::Error::from(e).to_string()))
}

fn unreadable(path: &Path, reason: String) -> Error {
    Error::ModelUnreadable {
        path: path.into(),
        reason,
    }
}

fn state_of(about: &Metadata) -> State {
    let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
    [
        about.dev().into(),
        about.ino().into(),
        about.size().into(),
        ns(about.mtime(), about.mtime_nsec()),
        ns(about.ctime(), about.ctime_nsec()),
    ]
}

fn is_settled(about: &Metadata) -> bool {
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(about.ctime().max(0) as u64);
    let age = SystemTime::now().duration_since(changed);
    about.is_file() && age.is_ok_and(|age| age > SETTLED)
}

/// The digest of a file, and whether tensors of it are in other files.
fn read(path: &Path) -> std::io::Result<(Digest, bool)> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut kept = 0;
    let mut is_split = false;
    loop {
        // What may be the beginning of the key stays before what is read next.
        let count = file.read(&mut buffer[kept..])?;
        if count == 0 {
            return Ok((hasher.finalize().into(), is_split));
        }
        let end = kept + count;
        hasher.update(&buffer[kept..end]);
        is_split = is_split || memchr::memmem::find(&buffer[..end], EXTERNAL).is_some();
        kept = (EXTERNAL.len() - 1).min(end);
        buffer.copy_within(end - kept..end, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, bytes: &[u8]) -> PathBuf {
        std::fs::write(path, bytes).unwrap();
        path.into()
    }

    #[test]
    fn a_file_is_its_content_whatever_it_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let one = write(&folder.path().join("one"), b"network");
        let other = write(&folder.path().join("other"), b"network");
        let content = Content::of_file(&one).unwrap();
        assert_eq!(content, Content::of_file(&other).unwrap());
        assert_eq!(content, Content::of_bytes(b"network"));
        // As long as before, and in the same moment.
        write(&one, b"NETWORK");
        assert_ne!(content, Content::of_file(&one).unwrap());
    }

    #[test]
    fn a_file_with_others_beside_it_is_known_by_its_folder_too() {
        let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
        // The key lies across two reads.
        for before in [0, (1 << 16) - 3, (1 << 16) - 10] {
            let mut bytes = vec![1; before];
            bytes.extend(EXTERNAL);
            bytes.extend([2; 100]);
            let found = folders.each_ref().map(|folder| {
                let path = write(&folder.path().join("net.onnx"), &bytes);
                Content::of_file(&path).unwrap()
            });
            assert_eq!(found[0].digest, found[1].digest);
            assert_ne!(found[0], found[1], "{before}");
        }
    }

    #[test]
    fn what_is_no_file_is_told_without_opening_it() {
        let folder = tempfile::tempdir().unwrap();
        let missing = check_file(&folder.path().join("none"));
        assert!(matches!(missing, Err(Error::ModelMissing(_))));
        let reason = |path: &Path| match check_file(path) {
            Err(Error::ModelUnreadable { reason, .. }) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason(folder.path()), "it is a folder");
        let empty = write(&folder.path().join("empty"), b"");
        assert_eq!(reason(&empty), "it is empty");
        // Nobody ever writes into it: to open it would take for ever.
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        check_file(&pipe).unwrap();
    }
}
