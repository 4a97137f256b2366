//! Who works on the jobs: controllers sign in with a lock, and what dead ones held is given back.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::PathBuf;

use rusqlite::{Transaction, TransactionBehavior, params};

use super::{Error, Journal, Lease, Orphan, Result, Stamp};
use crate::event::JobState;
use crate::lock::{self, Lock};

/// A running controller. Its lock, which the kernel drops however it dies, says that it lives.
pub(super) struct Controller {
    name: String,
    path: PathBuf,
    _lock: File,
}

impl Journal {
    /// Enters this process as a controller, which may claim jobs.
    pub fn sign_in(&mut self) -> Result<()> {
        let started = self.now();
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

    /// All controllers that have signed in and not out, and those that hold jobs although they were
    /// forgotten: one that was taken for dead has gone on.
    fn holders(&self) -> Result<BTreeSet<String>> {
        let mut statement = self.db.prepare_cached(
            "SELECT name FROM controllers
             UNION SELECT controller FROM jobs WHERE controller IS NOT NULL",
        )?;
        let names = statement.query_map([], |row| row.get(0))?;
        Ok(names.collect::<rusqlite::Result<_>>()?)
    }

    /// All controllers that have signed in and not out.
    fn controllers(&self) -> Result<Vec<String>> {
        let mut statement = self.db.prepare_cached("SELECT name FROM controllers")?;
        let names = statement.query_map([], |row| row.get(0))?;
        Ok(names.collect::<rusqlite::Result<_>>()?)
    }

    /// Controllers that have died and have not been cleared away.
    fn dead_controllers(&self) -> Result<BTreeSet<String>> {
        let mut names = self.holders()?;
        names.retain(|name| name != self.controller() && !self.lives(name));
        Ok(names)
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

    /// Jobs of controllers that have died.
    pub fn orphans(&self) -> Result<Vec<Orphan>> {
        let mut orphans = Vec::new();
        for controller in self.dead_controllers()? {
            let mut statement = self.db.prepare_cached(
                "SELECT id, epoch, output, sha256 FROM jobs WHERE controller = ?1",
            )?;
            let found = statement.query_map([&controller], |row| {
                Ok(Orphan {
                    lease: Lease {
                        job: row.get(0)?,
                        epoch: row.get(1)?,
                    },
                    output: PathBuf::from(row.get::<_, String>(2)?),
                    promised: row.get(3)?,
                })
            })?;
            for orphan in found {
                orphans.push(orphan?);
            }
        }
        Ok(orphans)
    }

    /// Gives an orphan back; says whether that was still to do, for another controller may be faster,
    /// and have begun the next attempt.
    pub fn give_back(&self, orphan: &Orphan, published: Option<Stamp>) -> Result<bool> {
        let Lease { job, epoch } = orphan.lease;
        let state = match published {
            Some(_) => JobState::Done,
            None => JobState::Queued,
        };
        let now = self.now();
        let transaction = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
        let changed = transaction.execute(
            "UPDATE jobs SET state = ?3, epoch = epoch + 1, controller = NULL, progress = NULL,
               published = CASE WHEN ?4 IS NULL THEN published ELSE sha256 END,
               modified = COALESCE(?4, modified), size = COALESCE(?5, size),
               attempts = MAX(attempts - 1, 0), interruptions = interruptions + 1, finished = ?6
             WHERE id = ?1 AND epoch = ?2 AND controller IS NOT NULL",
            params![
                job,
                epoch,
                state.name(),
                published.as_ref().map(|s| s.modified),
                published.as_ref().map(|s| s.size as i64),
                published.is_some().then_some(now),
            ],
        )?;
        if changed > 0 {
            let ending = match published {
                Some(_) => "done",
                None => "interrupted",
            };
            transaction.execute(
                "UPDATE attempts SET ended = ?2, ending = ?3 WHERE job = ?1 AND ended IS NULL",
                params![job, now, ending],
            )?;
        }
        transaction.commit()?;
        Ok(changed > 0)
    }

    /// Forgets the controllers that have died and hold no jobs any more.
    pub fn forget_the_dead(&self) -> Result<()> {
        for controller in self.dead_controllers()? {
            let _ = fs::remove_file(self.lock_path(&controller));
            self.sign_out(&controller)?;
        }
        Ok(())
    }

    /// The leases that this controller holds.
    pub fn held(&self) -> Result<BTreeSet<Lease>> {
        let mut statement = self
            .db
            .prepare_cached("SELECT id, epoch FROM jobs WHERE controller = ?1")?;
        let leases = statement.query_map([self.controller()], |row| {
            Ok(Lease {
                job: row.get(0)?,
                epoch: row.get(1)?,
            })
        })?;
        Ok(leases.collect::<rusqlite::Result<_>>()?)
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
