//! Who works on the jobs: controllers sign in with a lock, and what dead ones held is given back.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Transaction, TransactionBehavior, params};

use super::{Error, Journal, Result, Stamp, now};
use crate::digest;
use crate::event::JobState;
use crate::lock::{self, Lock};
use crate::publish;

/// How long a worker without its controller may take to end, however slow its disk is.
const WRITER_LIMIT: Duration = Duration::from_secs(5);

/// A running controller. Its lock, which the kernel drops however it dies, says that it lives.
pub(super) struct Controller {
    name: String,
    path: PathBuf,
    _lock: File,
}

impl Journal {
    /// Enters this process as a controller, which may claim jobs.
    pub fn sign_in(&mut self) -> Result<()> {
        let started = now();
        let (name, path, lock) = self.new_lock(started)?;
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

    /// A lock under a name that nobody has had.
    fn new_lock(&self, started: f64) -> Result<(String, PathBuf, File)> {
        // With a clock that was put back, a process id may come again at the same time.
        for salt in 0_u32.. {
            let name = format!("{}-{:x}-{salt}", std::process::id(), (started * 1e6) as u64);
            let path = self.lock_path(&name);
            let created = OpenOptions::new().write(true).create_new(true).open(&path);
            let file = match created {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                file => file?,
            };
            match lock::exclusive(&file) {
                Ok(Lock::Held) => return Ok((name, path, file)),
                // Another controller looks at it in this moment.
                Ok(Lock::Taken) => {}
                Err(cause) => {
                    let _ = fs::remove_file(&path);
                    return Err(Error::NoLocks(cause));
                }
            }
        }
        Err(Error::Folder(io::ErrorKind::AlreadyExists.into()))
    }

    fn lock_path(&self, controller: &str) -> PathBuf {
        self.folder.join(format!("controller-{controller}.lock"))
    }

    pub(super) fn controller(&self) -> &str {
        self.controller.as_ref().map_or("", |c| c.name.as_str())
    }

    /// All controllers that have signed in and not out.
    fn controllers(&self) -> Result<Vec<String>> {
        let mut statement = self.db.prepare_cached("SELECT name FROM controllers")?;
        let names = statement.query_map([], |row| row.get(0))?;
        Ok(names.collect::<rusqlite::Result<_>>()?)
    }

    /// Controllers that have died and have not been cleared away.
    fn dead_controllers(&self) -> Result<Vec<String>> {
        let mut names = self.controllers()?;
        names.retain(|name| name != self.controller() && !self.lives(name));
        Ok(names)
    }

    /// Whether there is anything to [`recover`](Self::recover).
    pub fn has_dead_controllers(&self) -> Result<bool> {
        Ok(!self.dead_controllers()?.is_empty())
    }

    /// Whether any controller lives.
    pub fn is_attended(&self) -> Result<bool> {
        Ok(self.controllers()?.iter().any(|name| self.lives(name)))
    }

    /// Whether the controller lives, or may live: only a lock that can be had, or is gone, says that it
    /// does not. This process may lack descriptors, or the rights to look.
    fn lives(&self, controller: &str) -> bool {
        lives(lock::is_taken(&self.lock_path(controller)))
    }

    /// Gives back the jobs of controllers that have died. What was published and not entered is
    /// found by its digest and counts as done. Gives how many jobs were given back.
    pub fn recover(&self) -> Result<u64> {
        let mut count = 0;
        for controller in self.dead_controllers()? {
            let orphans: Vec<(i64, i64, PathBuf, Option<String>)> = self
                .db
                .prepare_cached("SELECT id, epoch, output, sha256 FROM jobs WHERE controller = ?1")?
                .query_map([&controller], |row| {
                    let output = PathBuf::from(row.get::<_, String>(2)?);
                    Ok((row.get(0)?, row.get(1)?, output, row.get(3)?))
                })?
                .collect::<rusqlite::Result<_>>()?;
            for (job, epoch, output, sha256) in orphans {
                count += self.give_back((job, epoch), &output, sha256.as_deref())?;
            }
            let _ = fs::remove_file(self.lock_path(&controller));
            self.sign_out(&controller)?;
        }
        Ok(count)
    }

    /// Gives back a job of a dead controller; gives how many that are, for another controller may be
    /// faster, and have begun the next attempt.
    fn give_back(
        &self,
        (job, epoch): (i64, i64),
        output: &Path,
        sha256: Option<&str>,
    ) -> Result<u64> {
        // The controller's lock is free a little before its workers are gone.
        publish::wait_for_writers(output, WRITER_LIMIT);
        let is_published = sha256.is_some_and(|sha256| digest::is_of(output, sha256));
        publish::remove_leftovers_of(output);
        let stamp = Stamp::of(output).ok().filter(|_| is_published);
        let state = if is_published {
            JobState::Done
        } else {
            JobState::Queued
        };
        let transaction = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
        let changed = transaction.execute(
            "UPDATE jobs SET state = ?3, epoch = epoch + 1, controller = NULL, progress = NULL,
               published = CASE WHEN ?4 IS NULL THEN published ELSE sha256 END,
               modified = COALESCE(?4, modified), size = COALESCE(?5, size),
               attempts = MAX(attempts - 1, 0), interruptions = interruptions + 1, finished = ?6
             WHERE id = ?1 AND epoch = ?2",
            params![
                job,
                epoch,
                state.name(),
                stamp.as_ref().map(|s| s.modified),
                stamp.as_ref().map(|s| s.size as i64),
                is_published.then(now),
            ],
        )?;
        if changed > 0 {
            let ending = if is_published { "done" } else { "interrupted" };
            transaction.execute(
                "UPDATE attempts SET ended = ?2, ending = ?3 WHERE job = ?1 AND ended IS NULL",
                params![job, now(), ending],
            )?;
        }
        transaction.commit()?;
        Ok(changed as u64)
    }

    /// Forgets a controller; jobs that are still its own are given back by the next one.
    fn sign_out(&self, controller: &str) -> Result<()> {
        self.db.execute(
            "DELETE FROM controllers WHERE name = ?1
             AND NOT EXISTS (SELECT 1 FROM jobs WHERE controller = ?1)",
            [controller],
        )?;
        Ok(())
    }
}

pub(super) fn lives(lock: io::Result<bool>) -> bool {
    match lock {
        Ok(is_taken) => is_taken,
        Err(e) => e.kind() != io::ErrorKind::NotFound,
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if let Some(controller) = self.controller.take() {
            let _ = self.sign_out(&controller.name);
            let _ = fs::remove_file(&controller.path);
        }
    }
}
