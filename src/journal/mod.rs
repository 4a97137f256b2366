//! The one truth about a batch: jobs, attempts and events in an SQLite database.
//!
//! Every change is in it, synced, before anybody is told (WAL with `synchronous=FULL`). Changes are
//! collected and applied in one transaction, all or none, so that a disk that is full loses nothing:
//! the same changes are applied again when there is room.

mod begin;
mod query;
mod schema;
mod work;

pub use begin::{Begun, Planned};
pub use query::{BatchRow, Counts, JobRow, StoredEvent};
pub use work::{Change, Claim, DEATHS_ALLOWED, Ending};

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::error::{Failure, FailureKind};
use crate::event::JobState;

/// The journal's own file in its folder.
const FILE: &str = "journal.db";
/// How long one process waits for another to finish its transaction.
const BUSY: Duration = Duration::from_secs(20);

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no batch in {0}")]
    Missing(PathBuf),
    #[error("the journal in {folder} was written by a newer lipflow (version {version})")]
    Newer { folder: PathBuf, version: i64 },
    #[error("the journal's folder can't be used")]
    Folder(#[from] std::io::Error),
    #[error("the journal can't be used")]
    Database(#[from] rusqlite::Error),
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
        Failure::of(FailureKind::JournalUnusable, folder).because(reason)
    }
}

/// Bytes of an input, so far as it can be told without reading it, and what is known of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    pub size: u64,
    /// Nanoseconds since 1970.
    pub modified: i64,
}

impl Stamp {
    pub fn of(path: &Path) -> std::io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            size: metadata.len(),
            modified: metadata
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(metadata.mtime_nsec()),
        })
    }
}

/// What the estimates need to know of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Media {
    /// Absent for pictures, and where the container doesn't say.
    pub duration_s: Option<f64>,
    pub is_picture: bool,
    pub pixels: u64,
    pub fps: Option<f64>,
}

pub struct Journal {
    db: Connection,
    folder: PathBuf,
    controller: Option<Controller>,
}

/// A running controller. Its lock, which the kernel drops however it dies, says that it lives.
struct Controller {
    name: String,
    path: PathBuf,
    _lock: File,
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
        let db = Connection::open(folder.join(FILE))?;
        db.busy_timeout(BUSY)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "foreign_keys", true)?;
        schema::migrate(&db, folder)?;
        Ok(Self::with(db, folder))
    }

    /// Opens the journal in `folder` to look at it; nothing is ever changed.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        if !path.is_file() {
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
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Enters this process as a controller, which may claim jobs.
    pub fn sign_in(&mut self) -> Result<()> {
        let started = now();
        let name = format!("{}-{:x}", std::process::id(), (started * 1e6) as u64);
        let path = self.lock_path(&name);
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)?;
        // Nobody knows the name yet, so nobody else can hold it.
        let _ = lock.try_lock();
        self.db.execute(
            "INSERT INTO controllers(name, pid, started) VALUES (?1, ?2, ?3)",
            params![name, std::process::id(), started],
        )?;
        self.controller = Some(Controller {
            name,
            path,
            _lock: lock,
        });
        Ok(())
    }

    fn lock_path(&self, controller: &str) -> PathBuf {
        self.folder.join(format!("controller-{controller}.lock"))
    }

    fn controller(&self) -> &str {
        self.controller.as_ref().map_or("", |c| c.name.as_str())
    }

    /// Controllers that have died and have not been cleared away.
    fn dead_controllers(&self) -> Result<Vec<String>> {
        let mut statement = self.db.prepare_cached("SELECT name FROM controllers")?;
        let names = statement.query_map([], |row| row.get::<_, String>(0))?;
        let mut dead = Vec::new();
        for name in names {
            let name = name?;
            if name != self.controller() && !is_locked(&self.lock_path(&name)) {
                dead.push(name);
            }
        }
        Ok(dead)
    }

    /// Whether any controller lives.
    pub fn is_attended(&self) -> Result<bool> {
        let mut statement = self.db.prepare_cached("SELECT name FROM controllers")?;
        let names = statement.query_map([], |row| row.get::<_, String>(0))?;
        for name in names {
            if is_locked(&self.lock_path(&name?)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The SHA-256 of the file, if it was computed when the file was as it is now.
    pub fn known_digest(&self, path: &Path) -> Result<Option<String>> {
        let Ok(stamp) = Stamp::of(path) else {
            return Ok(None);
        };
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

impl Drop for Journal {
    fn drop(&mut self) {
        if let Some(controller) = &self.controller {
            // Jobs that are still its own are given back by the next controller.
            let _ = self.db.execute(
                "DELETE FROM controllers WHERE name = ?1
                 AND NOT EXISTS (SELECT 1 FROM jobs WHERE controller = ?1)",
                [&controller.name],
            );
            let _ = fs::remove_file(&controller.path);
        }
    }
}

/// Seconds since 1970.
pub fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64())
}

/// A path as the journal has it: jobs with other names are refused before they get here.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn state_of(name: &str) -> JobState {
    let found = JobState::ALL.into_iter().find(|state| state.name() == name);
    found.unwrap_or_default()
}

/// Whether somebody holds the lock of the file.
fn is_locked(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock_shared().is_err())
}

#[cfg(test)]
mod tests;
