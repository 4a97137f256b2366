//! What a controller enters while it works.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::{Applied, Change, Claim, Ending, FirstEvent, Journal, Lease, Result, stamp_of, text};
use crate::event::JobState;
use crate::job::Job;
use crate::job::Learn;

/// A job whose controller died this often while it ran may stay among others. Beyond, it comes last and
/// runs by itself, so that one that takes the whole machine down does so when the others are done.
pub(super) const INTERRUPTIONS_IN_COMPANY: u32 = 2;
/// No job is put off for longer.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(120);

impl Journal {
    /// Applies the changes and takes the next job, all or nothing, so that between two jobs the disk
    /// is waited for once. What `begin` has to say of the job becomes the last change.
    pub fn apply_and_claim(
        &self,
        batch: i64,
        changes: &mut Vec<Change>,
        worker: u32,
        begin: FirstEvent<'_>,
    ) -> Result<Applied> {
        let now = self.now();
        let transaction = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
        let lost = apply_all(&transaction, batch, changes, now)?;
        let claim = self.claim_in(&transaction, batch, worker)?;
        let mut last = claim.as_ref().and_then(|claim| {
            let event = begin(claim)?;
            let lease = Some(claim.lease());
            Some(Change::Event { event, lease })
        });
        if let Some(last) = &mut last {
            apply_one(&transaction, batch, last, now)?;
        }
        transaction.commit()?;
        changes.extend(last);
        Ok(Applied { claim, lost })
    }

    fn claim_in(&self, db: &Transaction, batch: i64, worker: u32) -> Result<Option<Claim>> {
        let now = self.now();
        let found = db
            .prepare_cached(
                "UPDATE jobs SET state = 'probing', controller = ?2, epoch = epoch + 1,
                   attempts = attempts + 1, progress = NULL
                 WHERE id = (SELECT id FROM jobs WHERE batch = ?1 AND listed = 1
                   AND state = 'queued' AND (not_before <= ?3 OR not_before > ?4)
                   ORDER BY interruptions > ?5, learns IN (SELECT learns FROM jobs
                       WHERE controller IS NOT NULL AND state IN ('probing', 'loading')
                         AND learns IS NOT NULL) IS TRUE,
                     position LIMIT 1)
                 RETURNING id, epoch, spec, attempts, deaths, alone, interruptions > ?5, sha256,
                   published IS NOT NULL, size, modified",
            )?
            .query_row(
                // A job that waits for longer than any does was put off by a clock that was put back.
                params![
                    batch,
                    self.controller(),
                    now,
                    now + LONGEST_WAIT.as_secs_f64(),
                    INTERRUPTIONS_IN_COMPANY
                ],
                |row| {
                    let is_ours = row.get(8)?;
                    Ok(Claim {
                        job: row.get(0)?,
                        epoch: row.get(1)?,
                        spec: json(row, 2)?,
                        attempt: row.get(3)?,
                        deaths: row.get(4)?,
                        alone: row.get(5)?,
                        solo: row.get(6)?,
                        promised: row.get(7)?,
                        made: stamp_of(row.get(9)?, row.get(10)?).filter(|_| is_ours),
                    })
                },
            )
            .optional()?;
        let Some(claim) = found else {
            return Ok(None);
        };
        db.execute(
            "INSERT INTO attempts(job, number, controller, worker, started)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![claim.job, claim.attempt, self.controller(), worker, now],
        )?;
        Ok(Some(claim))
    }

    /// Applies the changes, all or none, and gives the events among them their numbers. Gives the
    /// leases that are lost.
    pub fn apply(&self, batch: i64, changes: &mut [Change]) -> Result<BTreeSet<Lease>> {
        if changes.is_empty() {
            return Ok(BTreeSet::new());
        }
        let transaction = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
        let lost = apply_all(&transaction, batch, changes, self.now())?;
        transaction.commit()?;
        Ok(lost)
    }

    /// Jobs of this controller that somebody wants cancelled.
    pub fn cancellations(&self) -> Result<Vec<i64>> {
        let mut statement = self
            .db
            .prepare_cached("SELECT id FROM jobs WHERE controller = ?1 AND cancel = 1")?;
        let jobs = statement.query_map([self.controller()], |row| row.get(0))?;
        Ok(jobs.collect::<rusqlite::Result<_>>()?)
    }
}

/// The face that the job learns, unless it is known. Whoever would wait for another job that learns the
/// same one is given other work first.
pub(super) fn learns(job: &Job) -> Option<&Path> {
    (job.learn != Learn::Off).then_some(job.face.as_path())
}

/// A column that is JSON.
fn json<T: serde::de::DeserializeOwned>(row: &Row, column: usize) -> rusqlite::Result<T> {
    let text = row.get::<_, String>(column)?;
    serde_json::from_str(&text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(e)))
}

/// Applies the changes whose leases hold; gives the others' leases.
fn apply_all(
    db: &Transaction,
    batch: i64,
    changes: &mut [Change],
    now: f64,
) -> Result<BTreeSet<Lease>> {
    let mut lost = BTreeSet::new();
    for change in changes {
        if let Change::Event { event, .. } = change {
            // From an earlier try that was rolled back.
            event.id = None;
        }
        let lease = change.lease();
        if lease.is_some_and(|lease| lost.contains(&lease)) {
            continue;
        }
        if !apply_one(db, batch, change, now)? {
            lost.extend(lease);
        }
    }
    Ok(lost)
}

/// Applies a change; says whether its lease holds.
fn apply_one(db: &Transaction, batch: i64, change: &mut Change, now: f64) -> Result<bool> {
    let changed = match change {
        Change::Event { event, lease } => {
            // A result is told by the attempt that has just given its lease back.
            let changed = db
                .prepare_cached(
                    "INSERT INTO events(batch, body) SELECT ?1, ?2 WHERE ?3 IS NULL
                     OR EXISTS (SELECT 1 FROM jobs WHERE id = ?3 AND epoch = ?4)",
                )?
                .execute(params![
                    batch,
                    serde_json::to_string(event)?,
                    lease.map(|lease| lease.job),
                    lease.map(|lease| lease.epoch)
                ])?;
            event.id = (changed > 0).then(|| db.last_insert_rowid());
            changed
        }
        Change::State { lease, state } => db
            .prepare_cached(
                "UPDATE jobs SET state = ?3
                 WHERE id = ?1 AND epoch = ?2 AND controller IS NOT NULL",
            )?
            .execute(params![lease.job, lease.epoch, state.name()])?,
        Change::Progress { lease, progress } => db
            .prepare_cached(
                "UPDATE jobs SET progress = ?3
                 WHERE id = ?1 AND epoch = ?2 AND controller IS NOT NULL",
            )?
            .execute(params![
                lease.job,
                lease.epoch,
                serde_json::to_string(progress)?
            ])?,
        Change::Made {
            lease,
            sha256,
            identity,
        } => db
            .prepare_cached(
                "UPDATE jobs SET state = 'finishing', sha256 = ?3, identity = ?4
                 WHERE id = ?1 AND epoch = ?2 AND controller IS NOT NULL",
            )?
            .execute(params![lease.job, lease.epoch, &*sha256, &*identity])?,
        Change::Ended { lease, ending } => end(db, *lease, ending, now)?,
        Change::Digest {
            path,
            stamp,
            sha256,
        } => db
            .prepare_cached(
                "INSERT INTO files(path, size, modified, sha256) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT(path) DO UPDATE SET sha256 = ?4,
                   media = CASE WHEN size = ?2 AND modified = ?3 THEN media END,
                   size = ?2, modified = ?3",
            )?
            .execute(params![
                text(path),
                stamp.size as i64,
                stamp.modified,
                &*sha256
            ])?,
        Change::Media { path, stamp, media } => db
            .prepare_cached(
                "INSERT INTO files(path, size, modified, media) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT(path) DO UPDATE SET media = ?4,
                   sha256 = CASE WHEN size = ?2 AND modified = ?3 THEN sha256 END,
                   size = ?2, modified = ?3",
            )?
            .execute(params![
                text(path),
                stamp.size as i64,
                stamp.modified,
                serde_json::to_string(media)?
            ])?,
        Change::Thumbnail { lease, jpeg } => {
            // It is made after the end, and one that comes too late harms nobody.
            db.prepare_cached("UPDATE jobs SET thumbnail = ?3 WHERE id = ?1 AND epoch = ?2")?
                .execute(params![lease.job, lease.epoch, &*jpeg])?;
            1
        }
    };
    Ok(changed > 0)
}

/// Enters how an attempt ended and gives the job back; gives how many rows that changed.
fn end(db: &Transaction, lease: Lease, ending: &Ending, now: f64) -> Result<usize> {
    let outcome = serde_json::to_string(&ending.outcome)?;
    let stamp = ending.stamp.as_ref();
    let changed = db
        .prepare_cached(
            "UPDATE jobs SET state = ?3, outcome = ?4, not_before = ?5,
               published = CASE WHEN ?6 IS NULL THEN published ELSE sha256 END,
               modified = COALESCE(?6, modified), size = COALESCE(?7, size),
               deaths = deaths + ?8, alone = MAX(alone, ?9), attempts = attempts - ?10,
               interruptions = 0, controller = NULL, cancel = 0, progress = NULL,
               finished = ?11
             WHERE id = ?1 AND epoch = ?2 AND controller IS NOT NULL",
        )?
        .execute(params![
            lease.job,
            lease.epoch,
            ending.state.name(),
            outcome,
            now + ending.retry_after.as_secs_f64(),
            stamp.map(|s| s.modified),
            stamp.map(|s| s.size as i64),
            u32::from(ending.is_culprit),
            ending.is_suspect || ending.is_culprit,
            u32::from(!ending.counts),
            (ending.state != JobState::Queued).then_some(now),
        ])?;
    if changed == 0 {
        return Ok(0);
    }
    let error = ending.outcome.error.as_ref();
    let error = error.map(serde_json::to_string).transpose()?;
    db.prepare_cached(
        "UPDATE attempts SET ended = ?2, ending = ?3, stage = ?4, signal = ?5, error = ?6
         WHERE job = ?1 AND ended IS NULL",
    )?
    .execute(params![
        lease.job,
        now,
        ending.outcome.state.name(),
        ending.stage,
        ending.signal,
        error
    ])?;
    Ok(changed)
}
