//! The one truth about a batch: jobs, attempts and events in an SQLite database.
//!
//! Every change is in it, synced, before anybody is told (WAL with `synchronous=FULL`). Changes are
//! collected and applied in one transaction, all or none, so that a disk that is full loses nothing:
//! the same changes are applied again when there is room.

mod artifact;
mod begin;
mod claim;
#[cfg(test)]
pub(crate) mod contract;
mod controller;
mod ledger;
mod medium;
mod prune;
mod query;
mod rows;
mod schema;
mod start;
mod work;

pub use claim::{Applied, Change, Claim, DEATHS_ALLOWED, Ending, FirstEvent, Lease, Orphan};
pub use ledger::{Ledger, recover};
pub use prune::{Pruned, old_graphs};
pub use rows::{BatchRow, Counts, JobRow, StoredEvent};
pub use start::{Begun, Planned, Start};

use controller::Controller;

use std::fs;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::error::{Failure, FailureKind};
use crate::event::JobState;
use crate::stamp::Stamp;

/// The journal's own file in its folder.
const FILE: &str = "journal.db";
/// How long one process waits for another to finish its transaction.
const BUSY: Duration = Duration::from_secs(20);

/// What the journal gives, or why it can't.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the journal can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no journal in this folder.
    #[error("there is no batch in {0}")]
    Missing(PathBuf),
    #[error("the journal in {folder} was written by a newer lipflow (version {version})")]
    /// It has a version that this program doesn't know.
    Newer {
        /// Where it is.
        folder: PathBuf,
        /// The version that it has.
        version: i64,
    },
    /// Its file system can't lock.
    #[error("the journal's folder is on a file system that can't lock files: {0}")]
    NoLocks(#[source] std::io::Error),
    /// It is on this kind of network file system, on which WAL loses writes.
    #[error("the journal's folder is on {0}, where its parts would come apart")]
    Network(&'static str),
    /// SQLite gave this journal mode and not WAL.
    #[error(
        "the journal's folder is on a file system without shared memory (`{0}` instead of WAL)"
    )]
    NoSharedMemory(String),
    /// Its folder can't be made or read.
    #[error("the journal's folder can't be used")]
    Folder(#[from] std::io::Error),
    /// SQLite refuses; see [`Error::may_pass`].
    #[error("the journal can't be used")]
    Database(#[from] rusqlite::Error),
    /// Something in it is no JSON of ours.
    #[error("the journal has an entry that can't be read")]
    Entry(#[from] serde_json::Error),
}

impl Error {
    /// Whether the same may work in a while: the disk is full, or somebody else is writing.
    pub fn may_pass(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull, SystemIoFailure};
        match self {
            Self::Database(rusqlite::Error::SqliteFailure(error, _)) => matches!(
                error.code,
                DiskFull | DatabaseBusy | DatabaseLocked | SystemIoFailure
            ),
            _ => false,
        }
    }

    /// As a failure that `folder` had.
    pub fn failure(&self, folder: &Path) -> Failure {
        let mut reason = self.to_string();
        if let Self::Database(cause) = self {
            reason += &format!(": {cause}");
        }
        if let Self::Folder(cause) = self {
            reason += &format!(": {cause}");
        }
        let failure = Failure::of(FailureKind::JournalUnusable, folder).because(reason);
        match self {
            Self::NoLocks(_) | Self::Network(_) | Self::NoSharedMemory(_) => {
                failure.advice("Give --state with a folder on a local disk; the outputs may stay")
            }
            _ => failure,
        }
    }
}

/// What the estimates need to know of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Media {
    /// Absent for pictures, and where the container doesn't say.
    pub duration_s: Option<f64>,
    /// It shows one picture, for as long as is asked.
    pub is_picture: bool,
    /// Width times height.
    pub pixels: u64,
    /// Frames a second. Absent for sound, and where the rate varies.
    pub fps: Option<f64>,
}

/// A batch's journal, open in one process. Only one that has begun something is a controller's.
pub struct Journal {
    db: Connection,
    folder: PathBuf,
    controller: Option<Controller>,
    wall: Box<dyn Fn() -> f64>,
}

impl Journal {
    /// Opens the journal in `folder` to write to it, and makes it if there is none.
    pub fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let end = Instant::now() + BUSY;
        loop {
            match Self::try_open(folder) {
                // Changing to WAL is refused, not delayed, while somebody else does the same.
                Err(error) if error.may_pass() && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                result => return result,
            }
        }
    }

    fn try_open(folder: &Path) -> Result<Self> {
        if let Some(name) = medium::network_name(folder) {
            return Err(Error::Network(name));
        }
        let path = folder.join(FILE);
        keep_private(&path)?;
        let db = Connection::open(path)?;
        db.busy_timeout(BUSY)?;
        let mode =
            db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
        if mode != "wal" {
            return Err(Error::NoSharedMemory(mode));
        }
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "foreign_keys", true)?;
        schema::migrate(&db, folder)?;
        Ok(Self::with(db, folder))
    }

    /// Whether there is a journal in `folder`.
    pub fn is_at(folder: &Path) -> bool {
        folder.join(FILE).is_file()
    }

    /// Opens the journal in `folder` to look at it; nothing is ever changed.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        if !Self::is_at(folder) {
            return Err(Error::Missing(folder.into()));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(BUSY)?;
        schema::check_version(&db, folder)?;
        Ok(Self::with(db, folder))
    }

    fn with(db: Connection, folder: &Path) -> Self {
        Self {
            db,
            folder: folder.into(),
            controller: None,
            wall: Box::new(now),
        }
    }

    /// Seconds since 1970, by the clock that claims and pauses go by.
    fn now(&self) -> f64 {
        (self.wall)()
    }

    #[cfg(test)]
    pub(crate) fn by_clock(&mut self, clock: impl Fn() -> f64 + 'static) {
        self.wall = Box::new(clock);
    }

    /// Leaves everything as a process does that is killed.
    #[cfg(test)]
    pub(crate) fn vanish(&mut self) {
        drop(self.controller.take());
    }

    /// Waits for nobody, so that a test of what happens then need not wait either.
    #[cfg(test)]
    pub(crate) fn hurry(&self) {
        self.db.busy_timeout(Duration::ZERO).unwrap();
    }

    /// Where the journal is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The SHA-256 of the file, if it was computed when the file was as it is now.
    pub fn known_digest(&self, path: &Path) -> Result<Option<String>> {
        match Stamp::of(path) {
            Ok(stamp) => self.digest(path, &stamp),
            Err(_) => Ok(None),
        }
    }

    /// The same, of a file with that stamp.
    pub fn digest(&self, path: &Path, stamp: &Stamp) -> Result<Option<String>> {
        let mut statement = self.db.prepare_cached(
            "SELECT sha256 FROM files WHERE path = ?1 AND size = ?2 AND modified = ?3",
        )?;
        let found = statement
            .query_row(
                params![text(path), stamp.size as i64, stamp.modified],
                |row| row.get::<_, Option<String>>(0),
            )
            .optional()?;
        Ok(found.flatten())
    }
}

/// Jobs may have keys of streams in their parameters. SQLite gives the files beside it the same rights.
fn keep_private(path: &Path) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let file = options.create(true).append(true).mode(0o600).open(path)?;
    let mode = file.metadata()?.mode();
    if mode & 0o077 != 0 {
        // It may be somebody else's, who has let us write.
        let _ = file.set_permissions(fs::Permissions::from_mode(mode & 0o700));
    }
    Ok(())
}

/// Seconds since 1970.
pub fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64())
}

fn stamp_of(size: Option<i64>, modified: Option<i64>) -> Option<Stamp> {
    let (size, modified) = size.zip(modified)?;
    Some(Stamp {
        size: size as u64,
        modified,
    })
}

/// A path as the journal has it: jobs with other names are refused before they get here.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn state_of(name: &str) -> JobState {
    let found = JobState::ALL.into_iter().find(|state| state.name() == name);
    found.unwrap_or_default()
}

#[cfg(test)]
mod tests;
