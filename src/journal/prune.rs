//! What a journal keeps beyond its use, and getting rid of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use serde::Serialize;

use super::{FILE, Journal, Result, Stamp, stamp_of, text};

/// What was, or would be, removed from a journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Batches of which nobody has heard since.
    pub batches: u64,
    /// Events of jobs.
    pub events: u64,
    /// Attempts but the last of each job.
    pub attempts: u64,
    /// Pictures of the report.
    pub thumbnails: u64,
    /// Jobs that are forgotten altogether.
    pub jobs: u64,
    /// What was known of inputs that have changed since, or are gone.
    pub inputs: u64,
    /// About so many bytes were in all that.
    pub bytes: u64,
}

/// Batches that began before `?1`, and of which nothing has begun or ended since. One with a job that
/// waits or runs is still to be done.
const OLD: &str = "SELECT id FROM batches WHERE created < ?1
     AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.batch = batches.id
       AND (jobs.controller IS NOT NULL OR jobs.finished >= ?1
         OR jobs.listed = 1 AND jobs.state = 'queued'))
     AND NOT EXISTS (SELECT 1 FROM jobs JOIN attempts ON attempts.job = jobs.id
       WHERE jobs.batch = batches.id AND MAX(attempts.started, COALESCE(attempts.ended, 0)) >= ?1)";

impl Journal {
    /// Removes what is known of batches that are older than `before`, in seconds since 1970: how they went
    /// (events, attempts, pictures), and where they are to be forgotten the jobs too. Without its job an
    /// output is nobody's, and the same batch does not replace it any more. With `is_dry` nothing is
    /// changed.
    pub fn prune(&self, before: f64, forget: bool, is_dry: bool) -> Result<Pruned> {
        let transaction = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
        let mut pruned = Pruned {
            batches: number(
                &transaction,
                &format!("SELECT COUNT(*) FROM ({OLD})"),
                before,
            )?,
            ..Pruned::default()
        };
        let old_jobs = format!("SELECT id FROM jobs WHERE batch IN ({OLD})");
        let mut remove = |what: &str, size: &str, of: &str| -> Result<u64> {
            let sizes = format!("SELECT COALESCE(SUM({size}), 0) FROM {what} WHERE {of}");
            pruned.bytes += number(&transaction, &sizes, before)?;
            let gone = transaction.execute(&format!("DELETE FROM {what} WHERE {of}"), [before])?;
            Ok(gone as u64)
        };
        pruned.events = remove("events", "LENGTH(body)", &format!("batch IN ({OLD})"))?;
        // Whether a batch is old is asked of its attempts: they go last.
        let pictures = format!("batch IN ({OLD}) AND thumbnail IS NOT NULL");
        let sizes =
            format!("SELECT COALESCE(SUM(LENGTH(thumbnail)), 0) FROM jobs WHERE {pictures}");
        let bytes = number(&transaction, &sizes, before)?;
        let sql = format!("UPDATE jobs SET thumbnail = NULL WHERE {pictures}");
        let thumbnails = transaction.execute(&sql, [before])? as u64;
        let ids = ids(&transaction, &old_jobs, before)?;
        let mut attempts = 0;
        for id in &ids {
            attempts += transaction.execute("DELETE FROM attempts WHERE job = ?1", [id])? as u64;
        }
        if forget {
            let batches = self::ids(&transaction, OLD, before)?;
            for id in &ids {
                transaction.execute("DELETE FROM jobs WHERE id = ?1", [id])?;
            }
            for id in batches {
                transaction.execute("DELETE FROM batches WHERE id = ?1", [id])?;
            }
            pruned.jobs = ids.len() as u64;
        }
        pruned.thumbnails = thumbnails;
        pruned.attempts = attempts;
        pruned.bytes += bytes;
        pruned.inputs = forget_inputs(&transaction)?;
        if is_dry {
            transaction.rollback()?;
        } else {
            transaction.commit()?;
        }
        Ok(pruned)
    }

    /// Gives the room of what was removed back to the disk; gives how many bytes that was. All who work
    /// with the journal wait meanwhile.
    pub fn compact(&self) -> Result<u64> {
        let before = self.size();
        self.db.execute_batch("VACUUM")?;
        self.db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(before.saturating_sub(self.size()))
    }

    /// Bytes of the journal's files.
    fn size(&self) -> u64 {
        let files = ["", "-wal"].map(|end| self.folder.join(format!("{FILE}{end}")));
        let sizes = files.iter().filter_map(|file| fs::metadata(file).ok());
        sizes.map(|metadata| metadata.len()).sum()
    }

    /// The outputs of all jobs that don't run.
    pub fn idle_outputs(&self) -> Result<Vec<PathBuf>> {
        let mut statement = self
            .db
            .prepare("SELECT output FROM jobs WHERE controller IS NULL")?;
        let outputs = statement.query_map([], |row| row.get::<_, String>(0))?;
        let outputs: rusqlite::Result<BTreeSet<_>> = outputs.collect();
        Ok(outputs?.into_iter().map(PathBuf::from).collect())
    }
}

fn number(db: &Connection, sql: &str, before: f64) -> Result<u64> {
    let number = db.query_row(sql, [before], |row| row.get::<_, i64>(0))?;
    Ok(number.max(0) as u64)
}

fn ids(db: &Connection, sql: &str, before: f64) -> Result<Vec<i64>> {
    let mut statement = db.prepare(sql)?;
    let ids = statement.query_map([before], |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

/// Forgets what is known of inputs that are not as they were.
fn forget_inputs(db: &Connection) -> Result<u64> {
    let mut statement = db.prepare("SELECT path, size, modified FROM files")?;
    let known = statement.query_map([], |row| {
        let path = PathBuf::from(row.get::<_, String>(0)?);
        Ok((path, stamp_of(row.get(1)?, row.get(2)?)))
    })?;
    let mut gone = 0;
    for known in known.collect::<rusqlite::Result<Vec<_>>>()? {
        let (path, stamp) = known;
        if Stamp::of(&path).ok() != stamp {
            gone += db.execute("DELETE FROM files WHERE path = ?1", params![text(&path)])? as u64;
        }
    }
    Ok(gone)
}

/// Files in the journal's folder that nobody needs any more, older than `before`: graphs of pipelines
/// that were stuck.
pub fn old_graphs(folder: &Path, before: f64) -> Vec<(PathBuf, u64)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("stuck-") && name.ends_with(".dot")
        })
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            let modified = metadata.modified().ok()?;
            let age = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
            (age.as_secs_f64() < before).then(|| (entry.path(), metadata.len()))
        })
        .collect()
}
