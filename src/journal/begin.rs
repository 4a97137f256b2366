//! A batch begins, or begins again: what is there already is kept, the rest is to be done.

use std::path::Path;

use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};

use super::{Journal, Result, Stamp, now, state_of, text};
use crate::digest;
use crate::event::JobState;
use crate::job::{IfExists, Job};

/// A job that is to be in the batch.
pub struct Planned {
    pub job: Job,
    pub output: std::path::PathBuf,
}

/// What the start of a batch found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Begun {
    pub batch: i64,
    pub total: u64,
    pub already_done: u64,
    /// Another controller works on them.
    pub elsewhere: u64,
    /// They killed their workers, and wait for `lipflow retry`.
    pub set_aside: u64,
}

/// The row of an output, as the last start left it.
struct Found {
    id: i64,
    state: JobState,
    identity: Option<String>,
    sha256: Option<String>,
    stamp: Option<Stamp>,
    deaths: u32,
    controller: Option<String>,
}

impl Found {
    /// Whether the file under the output's name is the one that was made.
    fn is_intact(&self, output: &Path) -> bool {
        let (Some(made), Ok(there)) = (&self.stamp, Stamp::of(output)) else {
            return false;
        };
        if *made == there {
            return true;
        }
        // Copied back, or touched: the content tells.
        made.size == there.size
            && self
                .sha256
                .as_ref()
                .is_some_and(|sha256| digest::is_of(output, sha256))
    }
}

enum Decision {
    Keep,
    Do(IfExists),
}

impl Journal {
    /// Enters the jobs of a batch. `identity` tells what a job would make; it is only asked where
    /// something was made before.
    pub fn begin(
        &mut self,
        source: &str,
        command: &str,
        root: &Path,
        jobs: &[Planned],
        force: bool,
        identity: &dyn Fn(&Self, &Job) -> Result<Option<String>>,
    ) -> Result<Begun> {
        // Reading and hashing are done before the journal is locked for writing.
        let mut decisions = Vec::with_capacity(jobs.len());
        let mut begun = Begun {
            total: jobs.len() as u64,
            ..Begun::default()
        };
        for planned in jobs {
            let found = self.found(&planned.output)?;
            let decision = match &found {
                None => Decision::Do(planned.job.if_exists),
                Some(found) => self.decide(found, planned, force, identity, &mut begun)?,
            };
            decisions.push((found.map(|f| f.id), decision));
        }
        let transaction = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
        transaction.execute(
            "INSERT INTO batches(source, command, root, created) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT(source) DO UPDATE SET command = excluded.command, root = excluded.root",
            params![source, command, text(root), now()],
        )?;
        begun.batch = transaction.query_row(
            "SELECT id FROM batches WHERE source = ?1",
            [source],
            |row| row.get(0),
        )?;
        transaction.execute("UPDATE jobs SET listed = 0 WHERE batch = ?1", [begun.batch])?;
        let mut insert = transaction.prepare(
            "INSERT INTO jobs(batch, position, output, spec, state)
             VALUES (?1, ?2, ?3, ?4, 'queued')
             ON CONFLICT(output) DO UPDATE SET batch = ?1, position = ?2, spec = ?4, listed = 1,
               state = 'queued', attempts = 0, deaths = 0, alone = 0, not_before = 0, cancel = 0,
               outcome = NULL, progress = NULL, sha256 = NULL, thumbnail = NULL",
        )?;
        let mut keep = transaction
            .prepare("UPDATE jobs SET batch = ?1, position = ?2, listed = 1 WHERE id = ?3")?;
        for (position, (planned, (id, decision))) in jobs.iter().zip(decisions).enumerate() {
            let position = position as i64;
            match (decision, id) {
                (Decision::Keep, Some(id)) => {
                    keep.execute(params![begun.batch, position, id])?;
                }
                (Decision::Do(if_exists), _) => {
                    let job = Job {
                        if_exists,
                        ..planned.job.clone()
                    };
                    let spec = serde_json::to_string(&job)?;
                    insert.execute(params![begun.batch, position, text(&planned.output), spec])?;
                }
                (Decision::Keep, None) => {}
            }
        }
        drop((insert, keep));
        transaction.commit()?;
        Ok(begun)
    }

    fn found(&self, output: &Path) -> Result<Option<Found>> {
        let mut statement = self.db.prepare_cached(
            "SELECT id, state, identity, sha256, size, modified, deaths, controller
             FROM jobs WHERE output = ?1",
        )?;
        let found = statement.query_row([text(output)], |row| {
            let size = row.get::<_, Option<i64>>(4)?;
            let modified = row.get::<_, Option<i64>>(5)?;
            Ok(Found {
                id: row.get(0)?,
                state: state_of(&row.get::<_, String>(1)?),
                identity: row.get(2)?,
                sha256: row.get(3)?,
                stamp: size.zip(modified).map(|(size, modified)| Stamp {
                    size: size as u64,
                    modified,
                }),
                deaths: row.get(6)?,
                controller: row.get(7)?,
            })
        });
        Ok(found.optional()?)
    }

    fn decide(
        &self,
        found: &Found,
        planned: &Planned,
        force: bool,
        identity: &dyn Fn(&Self, &Job) -> Result<Option<String>>,
        begun: &mut Begun,
    ) -> Result<Decision> {
        // Dead controllers have been cleared away, so whoever is named here lives.
        if found.controller.is_some() {
            begun.elsewhere += 1;
            return Ok(Decision::Keep);
        }
        // What was made earlier, and nobody has touched since, may be replaced.
        let is_ours = found.is_intact(&planned.output);
        let again = Decision::Do(if is_ours {
            IfExists::Overwrite
        } else {
            planned.job.if_exists
        });
        if force {
            return Ok(again);
        }
        if found.state == JobState::Failed && found.deaths >= super::work::DEATHS_ALLOWED {
            begun.set_aside += 1;
            return Ok(Decision::Keep);
        }
        if found.state == JobState::Done
            && is_ours
            && found.identity.is_some()
            && found.identity == identity(self, &planned.job)?
        {
            begun.already_done += 1;
            return Ok(Decision::Keep);
        }
        Ok(again)
    }

    /// Puts jobs that have failed, were cancelled or were set aside back into the queue; all of the
    /// batch if none is named. Gives how many.
    pub fn retry(&self, batch: i64, jobs: &[i64]) -> Result<u64> {
        let sql = "UPDATE jobs SET state = 'queued', attempts = 0, deaths = 0, alone = 0,
               not_before = 0, cancel = 0, outcome = NULL, progress = NULL
             WHERE batch = ?1 AND listed = 1 AND controller IS NULL
               AND state IN ('failed', 'cancelled')";
        if jobs.is_empty() {
            return Ok(self.db.execute(sql, [batch])? as u64);
        }
        let mut count = 0;
        for job in jobs {
            count += self
                .db
                .execute(&format!("{sql} AND id = ?2"), [batch, *job])?;
        }
        Ok(count as u64)
    }

    /// Cancels jobs, all open ones of the batch if none is named: those that wait at once, those that
    /// run through their controller. Gives how many.
    pub fn cancel(&self, batch: i64, jobs: &[i64]) -> Result<u64> {
        let transaction = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
        let all = [None];
        let one: Vec<_> = jobs.iter().map(|job| Some(*job)).collect();
        let mut count = 0;
        for job in if jobs.is_empty() { &all[..] } else { &one[..] } {
            count += transaction.execute(
                "UPDATE jobs SET state = ?3, finished = ?4 WHERE batch = ?1 AND listed = 1
                 AND (?2 IS NULL OR id = ?2) AND controller IS NULL AND state = 'queued'",
                params![batch, job, JobState::Cancelled.name(), now()],
            )?;
            count += transaction.execute(
                "UPDATE jobs SET cancel = 1 WHERE batch = ?1 AND listed = 1
                 AND (?2 IS NULL OR id = ?2) AND controller IS NOT NULL",
                params![batch, job],
            )?;
        }
        transaction.commit()?;
        Ok(count as u64)
    }
}
