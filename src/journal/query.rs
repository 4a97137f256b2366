//! What readers ask: nothing here changes anything.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, params};

use super::{BatchRow, Counts, JobRow, Journal, Lease, Media, Result, StoredEvent, state_of, text};
use crate::event::JobState;
use crate::job::Job;

impl Journal {
    /// The batch with that number, or the one that was begun last.
    pub fn batch(&self, id: Option<i64>) -> Result<Option<BatchRow>> {
        let row = self.db.query_row(
            "SELECT id, command, root, created FROM batches
             WHERE ?1 IS NULL OR id = ?1 ORDER BY id DESC LIMIT 1",
            [id],
            |row| {
                Ok(BatchRow {
                    id: row.get(0)?,
                    command: row.get(1)?,
                    root: PathBuf::from(row.get::<_, String>(2)?),
                    created: row.get(3)?,
                })
            },
        );
        Ok(row.optional()?)
    }

    /// Whether the journal has the batch, or any of these outputs.
    pub fn knows(&self, source: &str, outputs: &[&Path]) -> Result<bool> {
        let mut statement = self
            .db
            .prepare("SELECT EXISTS (SELECT 1 FROM batches WHERE source = ?1)")?;
        if statement.query_row([source], |row| row.get(0))? {
            return Ok(true);
        }
        for output in outputs {
            if self.has_output(output)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the file is an output of any job.
    pub fn has_output(&self, path: &Path) -> Result<bool> {
        let mut statement = self
            .db
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM jobs WHERE output = ?1)")?;
        Ok(statement.query_row([text(path)], |row| row.get(0))?)
    }

    /// Whether a batch has its outputs in the folder: it is their common one, or some are below it.
    pub fn is_of(&self, folder: &Path) -> Result<bool> {
        let folder = text(folder);
        let mut statement = self.db.prepare(
            "SELECT EXISTS (SELECT 1 FROM batches WHERE root = ?1)
             OR EXISTS (SELECT 1 FROM jobs WHERE output > ?1 || '/' AND output < ?1 || '0')",
        )?;
        Ok(statement.query_row([folder], |row| row.get(0))?)
    }

    /// How many jobs of the batch are in which state.
    pub fn counts(&self, batch: i64) -> Result<Counts> {
        let mut statement = self.db.prepare_cached(
            "SELECT state, COUNT(*) FROM jobs WHERE batch = ?1 AND listed = 1 GROUP BY state",
        )?;
        let mut rows = statement.query([batch])?;
        let mut counts = Counts::default();
        while let Some(row) = rows.next()? {
            let count = row.get::<_, i64>(1)? as u64;
            match state_of(&row.get::<_, String>(0)?) {
                JobState::Queued => counts.queued += count,
                JobState::Done => counts.done += count,
                JobState::Failed => counts.failed += count,
                JobState::Cancelled => counts.cancelled += count,
                _ => counts.running += count,
            }
        }
        Ok(counts)
    }

    /// The jobs of a batch in its order; with `thumbnails` only where they are wanted, for they are
    /// the bulk of it.
    pub fn jobs(&self, batch: i64, thumbnails: bool) -> Result<Vec<JobRow>> {
        let mut statement = self.db.prepare_cached(
            "SELECT id, state, output, spec, attempts, progress, outcome, sha256, size,
               CASE WHEN ?2 THEN thumbnail END
             FROM jobs WHERE batch = ?1 AND listed = 1 ORDER BY position",
        )?;
        let mut rows = statement.query(params![batch, thumbnails])?;
        let mut jobs = Vec::new();
        while let Some(row) = rows.next()? {
            let spec: Job = serde_json::from_str(&row.get::<_, String>(3)?)?;
            let progress = row.get::<_, Option<String>>(5)?;
            let outcome = row.get::<_, Option<String>>(6)?;
            jobs.push(JobRow {
                id: row.get(0)?,
                state: state_of(&row.get::<_, String>(1)?),
                output: PathBuf::from(row.get::<_, String>(2)?),
                face: spec.face,
                speech: spec.speech,
                dialogue: spec.dialogue,
                attempts: row.get(4)?,
                progress: progress.map(|p| serde_json::from_str(&p)).transpose()?,
                outcome: outcome.map(|o| serde_json::from_str(&o)).transpose()?,
                sha256: row.get(7)?,
                bytes: row.get::<_, Option<i64>>(8)?.map(|b| b as u64),
                thumbnail: row.get(9)?,
            });
        }
        Ok(jobs)
    }

    /// The jobs of the batch that wait, in their order.
    pub fn waiting(&self, batch: i64) -> Result<Vec<Lease>> {
        let mut statement = self.db.prepare_cached(
            "SELECT id, epoch FROM jobs WHERE batch = ?1 AND listed = 1 AND state = 'queued'
             ORDER BY position",
        )?;
        let leases = statement.query_map([batch], |row| {
            Ok(Lease {
                job: row.get(0)?,
                epoch: row.get(1)?,
            })
        })?;
        Ok(leases.collect::<rusqlite::Result<_>>()?)
    }

    /// What the job is, unless it has been claimed or changed since.
    pub fn spec(&self, lease: Lease) -> Result<Option<Job>> {
        let mut statement = self
            .db
            .prepare_cached("SELECT spec FROM jobs WHERE id = ?1 AND epoch = ?2")?;
        let spec = statement
            .query_row([lease.job, lease.epoch], |row| row.get::<_, String>(0))
            .optional()?;
        Ok(spec.map(|spec| serde_json::from_str(&spec)).transpose()?)
    }

    /// What is known of inputs, by path. Files that have changed since are in it too: estimates may
    /// be a little wrong.
    pub fn media(&self) -> Result<HashMap<PathBuf, Media>> {
        let mut statement = self
            .db
            .prepare_cached("SELECT path, media FROM files WHERE media IS NOT NULL")?;
        let mut rows = statement.query([])?;
        let mut all = HashMap::new();
        while let Some(row) = rows.next()? {
            let media = serde_json::from_str::<Option<Media>>(&row.get::<_, String>(1)?)?;
            if let Some(media) = media {
                all.insert(PathBuf::from(row.get::<_, String>(0)?), media);
            }
        }
        Ok(all)
    }

    /// Events of the batch after number `after`, at most `limit`.
    pub fn events(&self, batch: i64, after: i64, limit: u32) -> Result<Vec<StoredEvent>> {
        let mut statement = self.db.prepare_cached(
            "SELECT id, body FROM events WHERE batch = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        )?;
        let events = statement.query_map(params![batch, after, limit], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        Ok(events.collect::<rusqlite::Result<_>>()?)
    }
}
