//! What a controller enters while it works.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};

use super::{Journal, Media, Result, Stamp, now, text};
use crate::digest;
use crate::event::{Event, JobState, Outcome, Progress};
use crate::job::Job;
use crate::publish;

/// So many workers may die of a job before it is set aside.
pub const DEATHS_ALLOWED: u32 = 2;

/// How long a worker without its controller may take to end, however slow its disk is.
const WRITER_LIMIT: Duration = Duration::from_secs(5);

/// One change. Those of one moment are applied together or not at all.
#[derive(Clone, Debug)]
pub enum Change {
    State {
        job: i64,
        state: JobState,
    },
    Progress {
        job: i64,
        progress: Progress,
    },
    /// What the job's inputs and settings come to.
    Identified {
        job: i64,
        identity: String,
    },
    /// The output is whole and will get its name next.
    Made {
        job: i64,
        sha256: String,
    },
    Ended {
        job: i64,
        ending: Ending,
    },
    Digest {
        path: PathBuf,
        stamp: Stamp,
        sha256: String,
    },
    Media {
        path: PathBuf,
        stamp: Stamp,
        media: Option<Media>,
    },
    Thumbnail {
        job: i64,
        jpeg: Vec<u8>,
    },
    /// Kept for readers who come later; gets its number when it is applied.
    Event {
        event: Event,
    },
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// `Queued` where the job is to be tried again.
    pub state: JobState,
    pub outcome: Outcome,
    /// With `Queued`: not before this time.
    pub not_before: f64,
    /// The last phase that was heard of.
    pub stage: String,
    /// What the worker died of.
    pub signal: Option<i32>,
    /// Whether it died of this job: no other was in it.
    pub is_culprit: bool,
    /// Whether others were in it when it died.
    pub is_suspect: bool,
    /// The attempt counts against the job.
    pub counts: bool,
    /// Of the published file.
    pub stamp: Option<Stamp>,
}

/// A job that this controller has taken.
#[derive(Clone, Debug)]
pub struct Claim {
    pub job: i64,
    pub spec: Job,
    /// From 1.
    pub attempt: u32,
    pub deaths: u32,
    /// It wants a worker of its own.
    pub alone: bool,
    /// The digest of an output that an earlier attempt was about to publish when it was cut off.
    pub promised: Option<String>,
    pub face_digest: Option<String>,
    pub speech_digest: Option<String>,
}

impl Journal {
    /// Takes the next job of the batch that is due, for the worker with process id `worker`.
    pub fn claim(&self, batch: i64, worker: u32) -> Result<Option<Claim>> {
        self.apply_and_claim(batch, &mut Vec::new(), worker, &|_| None)
    }

    /// Applies the changes and takes the next job, all or nothing, so that between two jobs the disk
    /// is waited for once. What `begin` has to say of the job becomes the last change.
    pub fn apply_and_claim(
        &self,
        batch: i64,
        changes: &mut Vec<Change>,
        worker: u32,
        begin: &dyn Fn(&Claim) -> Option<Event>,
    ) -> Result<Option<Claim>> {
        let transaction = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
        for change in changes.iter_mut() {
            self.apply_one(&transaction, batch, change)?;
        }
        let claim = self.claim_in(&transaction, batch, worker)?;
        let event = claim.as_ref().and_then(begin);
        let mut last = event.map(|event| Change::Event { event });
        if let Some(last) = &mut last {
            self.apply_one(&transaction, batch, last)?;
        }
        transaction.commit()?;
        changes.extend(last);
        Ok(claim)
    }

    fn claim_in(&self, db: &Transaction, batch: i64, worker: u32) -> Result<Option<Claim>> {
        let found = db
            .prepare_cached(
                "UPDATE jobs SET state = 'probing', controller = ?2, attempts = attempts + 1,
                   progress = NULL
                 WHERE id = (SELECT id FROM jobs WHERE batch = ?1 AND listed = 1
                   AND state = 'queued' AND not_before <= ?3 ORDER BY position LIMIT 1)
                 RETURNING id, spec, attempts, deaths, alone, sha256",
            )?
            .query_row(params![batch, self.controller(), now()], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, u32>(2)?,
                    row.get::<_, u32>(3)?,
                    row.get::<_, bool>(4)?,
                    row.get::<_, Option<String>>(5)?,
                ))
            })
            .optional()?;
        let Some((job, spec, attempt, deaths, alone, promised)) = found else {
            return Ok(None);
        };
        db.execute(
            "INSERT INTO attempts(job, number, controller, worker, started)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![job, attempt, self.controller(), worker, now()],
        )?;
        let spec: Job = serde_json::from_str(&spec)?;
        Ok(Some(Claim {
            job,
            attempt,
            deaths,
            alone,
            promised,
            // The job is taken: what fails from here on must not lose it. The worker reads the files.
            face_digest: self.known_digest(&spec.face).unwrap_or_default(),
            speech_digest: self.known_digest(&spec.speech).unwrap_or_default(),
            spec,
        }))
    }

    /// Applies the changes, all or none, and gives the events among them their numbers.
    pub fn apply(&self, batch: i64, changes: &mut [Change]) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let transaction = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
        for change in changes.iter_mut() {
            self.apply_one(&transaction, batch, change)?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn apply_one(&self, db: &Transaction, batch: i64, change: &mut Change) -> Result<()> {
        let own = self.controller();
        if let Change::Event { event } = change {
            event.id = None;
            db.prepare_cached("INSERT INTO events(batch, body) VALUES (?1, ?2)")?
                .execute(params![batch, serde_json::to_string(event)?])?;
            event.id = Some(db.last_insert_rowid());
            return Ok(());
        }
        match &*change {
            Change::State { job, state } => {
                db.prepare_cached("UPDATE jobs SET state = ?2 WHERE id = ?1 AND controller = ?3")?
                    .execute(params![job, state.name(), own])?;
            }
            Change::Progress { job, progress } => {
                db.prepare_cached(
                    "UPDATE jobs SET progress = ?2 WHERE id = ?1 AND controller = ?3",
                )?
                .execute(params![job, serde_json::to_string(progress)?, own])?;
            }
            Change::Identified { job, identity } => {
                db.prepare_cached("UPDATE jobs SET identity = ?2 WHERE id = ?1")?
                    .execute(params![job, identity])?;
            }
            Change::Made { job, sha256 } => {
                db.prepare_cached(
                    "UPDATE jobs SET state = 'finishing', sha256 = ?2 WHERE id = ?1",
                )?
                .execute(params![job, sha256])?;
            }
            Change::Ended { job, ending } => end(db, *job, ending)?,
            Change::Digest {
                path,
                stamp,
                sha256,
            } => {
                db.prepare_cached(
                    "INSERT INTO files(path, size, modified, sha256) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT(path) DO UPDATE SET sha256 = ?4,
                       media = CASE WHEN size = ?2 AND modified = ?3 THEN media END,
                       size = ?2, modified = ?3",
                )?
                .execute(params![
                    text(path),
                    stamp.size as i64,
                    stamp.modified,
                    sha256
                ])?;
            }
            Change::Media { path, stamp, media } => {
                db.prepare_cached(
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
                ])?;
            }
            Change::Thumbnail { job, jpeg } => {
                db.prepare_cached("UPDATE jobs SET thumbnail = ?2 WHERE id = ?1")?
                    .execute(params![job, jpeg])?;
            }
            Change::Event { .. } => {}
        }
        Ok(())
    }

    /// Gives back the jobs of controllers that have died. What was published and not entered is
    /// found by its digest and counts as done. Gives how many jobs were given back.
    pub fn recover(&self) -> Result<u64> {
        let mut count = 0;
        for controller in self.dead_controllers()? {
            let orphans: Vec<(i64, PathBuf, Option<String>)> = self
                .db
                .prepare_cached("SELECT id, output, sha256 FROM jobs WHERE controller = ?1")?
                .query_map([&controller], |row| {
                    let output = PathBuf::from(row.get::<_, String>(1)?);
                    Ok((row.get(0)?, output, row.get(2)?))
                })?
                .collect::<rusqlite::Result<_>>()?;
            for (job, output, sha256) in orphans {
                // The controller's lock is free a little before its workers are gone.
                publish::wait_for_writers(&output, WRITER_LIMIT);
                let is_published = sha256.is_some_and(|sha256| digest::is_of(&output, &sha256));
                publish::remove_leftovers_of(&output);
                let stamp = Stamp::of(&output).ok().filter(|_| is_published);
                let transaction =
                    Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
                let changed = transaction.execute(
                    "UPDATE jobs SET state = ?3, controller = NULL, progress = NULL,
                       modified = COALESCE(?4, modified), size = COALESCE(?6, size),
                       attempts = MAX(attempts - 1, 0), finished = ?5
                     WHERE id = ?1 AND controller = ?2",
                    params![
                        job,
                        controller,
                        if is_published {
                            JobState::Done
                        } else {
                            JobState::Queued
                        }
                        .name(),
                        stamp.as_ref().map(|s| s.modified),
                        is_published.then(now),
                        stamp.as_ref().map(|s| s.size as i64),
                    ],
                )?;
                // Another controller may have been faster, and have begun the next attempt.
                if changed > 0 {
                    transaction.execute(
                        "UPDATE attempts SET ended = ?2, ending = ?3
                         WHERE job = ?1 AND ended IS NULL",
                        params![
                            job,
                            now(),
                            if is_published { "done" } else { "interrupted" }
                        ],
                    )?;
                }
                transaction.commit()?;
                count += changed as u64;
            }
            let _ = std::fs::remove_file(self.lock_path(&controller));
            self.db.execute(
                "DELETE FROM controllers WHERE name = ?1
                 AND NOT EXISTS (SELECT 1 FROM jobs WHERE controller = ?1)",
                [&controller],
            )?;
        }
        Ok(count)
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

fn end(db: &Transaction, job: i64, ending: &Ending) -> Result<()> {
    let outcome = serde_json::to_string(&ending.outcome)?;
    db.prepare_cached(
        "UPDATE jobs SET state = ?2, outcome = ?3, not_before = ?4,
           modified = COALESCE(?5, modified), size = COALESCE(?10, size),
           deaths = deaths + ?6, alone = MAX(alone, ?7), attempts = attempts - ?8,
           controller = NULL, cancel = 0, progress = NULL, finished = ?9 WHERE id = ?1",
    )?
    .execute(params![
        job,
        ending.state.name(),
        outcome,
        ending.not_before,
        ending.stamp.as_ref().map(|s| s.modified),
        u32::from(ending.is_culprit),
        ending.is_suspect || ending.is_culprit,
        u32::from(!ending.counts),
        (ending.state != JobState::Queued).then(now),
        ending.stamp.as_ref().map(|s| s.size as i64),
    ])?;
    let error = ending.outcome.error.as_ref();
    let error = error.map(serde_json::to_string).transpose()?;
    db.prepare_cached(
        "UPDATE attempts SET ended = ?2, ending = ?3, stage = ?4, signal = ?5, error = ?6
         WHERE job = ?1 AND ended IS NULL",
    )?
    .execute(params![
        job,
        now(),
        ending.outcome.state.name(),
        ending.stage,
        ending.signal,
        error
    ])?;
    Ok(())
}
