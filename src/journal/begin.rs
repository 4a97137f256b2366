//! A batch begins, or begins again: what is there already is kept, the rest is to be done.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};

use super::work::learns;
use super::{
    Begun, DEATHS_ALLOWED, Journal, Planned, Result, Stamp, Start, stamp_of, state_of, text,
};
use crate::event::JobState;
use crate::store::Store;

/// The row of an output, as it is now.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub id: i64,
    pub epoch: i64,
    pub state: JobState,
    pub spec: String,
    pub identity: Option<String>,
    pub published: Option<String>,
    pub stamp: Option<Stamp>,
    pub deaths: u32,
    pub is_held: bool,
}

/// What was found about a row by reading files, which takes too long to keep others from the journal.
pub(super) struct Look {
    /// As it was then. A row that has changed since has to be looked at again.
    pub row: Row,
    /// The stamp of the file under the output's name, where that file is the one that was made.
    pub intact: Option<Stamp>,
    /// What the job would make is what was made.
    pub is_same: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Decision {
    /// A controller works on it.
    Elsewhere,
    /// It killed its workers.
    SetAside,
    Done,
    /// It waits already, as it is to be; what is known of its attempts stays.
    Waits,
    Queue,
}

/// Decides about a row; nothing where it has to be looked at first.
pub(super) fn decide(row: &Row, look: Option<&Look>, spec: &str, force: bool) -> Option<Decision> {
    if row.is_held {
        return Some(Decision::Elsewhere);
    }
    if row.state == JobState::Queued && row.spec == spec && !force {
        return Some(Decision::Waits);
    }
    let is_done = match look {
        Some(look) if look.row == *row => look.intact.is_some() && look.is_same,
        _ if row.published.is_some() => return None,
        _ => false,
    };
    Some(match row.state {
        _ if force => Decision::Queue,
        JobState::Failed if row.deaths >= DEATHS_ALLOWED => Decision::SetAside,
        JobState::Done if is_done => Decision::Done,
        _ => Decision::Queue,
    })
}

impl Row {
    /// The stamp of the file under the output's name, if that is the one that was made: only what has
    /// a recorded digest is ours.
    pub(super) fn intact(&self, store: &dyn Store, output: &Path) -> Option<Stamp> {
        let (made, sha256) = (self.stamp.as_ref()?, self.published.as_ref()?);
        let there = store.stamp(output)?;
        // Copied back, or touched: the content tells.
        let is_ours = *made == there || made.size == there.size && store.is_of(output, sha256);
        is_ours.then_some(there)
    }
}

impl Journal {
    /// Enters the jobs of a batch.
    ///
    /// Whatever is decided about a row is decided in the transaction that changes it: other
    /// controllers go on claiming and ending jobs meanwhile.
    pub fn begin(&self, start: &Start<'_>) -> Result<Begun> {
        let &Start {
            jobs, force, store, ..
        } = start;
        let mut entries = Vec::with_capacity(jobs.len());
        for planned in jobs {
            entries.push((planned, serde_json::to_string(&planned.job)?));
        }
        let mut looks = HashMap::new();
        loop {
            let transaction = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
            let mut decisions = Vec::with_capacity(jobs.len());
            let mut unknown = Vec::new();
            for (planned, spec) in &entries {
                let Some(row) = self.row_of(&planned.output)? else {
                    decisions.push((None, Decision::Queue));
                    continue;
                };
                match decide(&row, looks.get(&row.id), spec, force) {
                    Some(decision) => decisions.push((Some(row), decision)),
                    None => unknown.push((*planned, row)),
                }
            }
            if unknown.is_empty() {
                let now = self.now();
                let begun = enter(&transaction, start, &entries, &decisions, &looks, now)?;
                transaction.commit()?;
                return Ok(begun);
            }
            drop(transaction);
            // A row changes again only when another controller has done one more job.
            for (planned, row) in unknown {
                let intact = row.intact(store, &planned.output);
                let is_same = !force
                    && intact.is_some()
                    && row.identity.is_some()
                    && row.identity == (start.identity)(&planned.job)?;
                let look = Look {
                    row,
                    intact,
                    is_same,
                };
                looks.insert(look.row.id, look);
            }
        }
    }

    fn row_of(&self, output: &Path) -> Result<Option<Row>> {
        let mut statement = self.db.prepare_cached(
            "SELECT id, epoch, state, spec, identity, published, size, modified, deaths,
               controller IS NOT NULL
             FROM jobs WHERE output = ?1",
        )?;
        let row = statement.query_row([text(output)], |row| {
            Ok(Row {
                id: row.get(0)?,
                epoch: row.get(1)?,
                state: state_of(&row.get::<_, String>(2)?),
                spec: row.get(3)?,
                identity: row.get(4)?,
                published: row.get(5)?,
                stamp: stamp_of(row.get(6)?, row.get(7)?),
                deaths: row.get(8)?,
                is_held: row.get(9)?,
            })
        });
        Ok(row.optional()?)
    }

    /// Puts jobs that have failed, were cancelled or were set aside back into the queue; all of the
    /// batch if none is named. Gives how many.
    pub fn retry(&self, batch: i64, jobs: &[i64]) -> Result<u64> {
        let sql = "UPDATE jobs SET state = 'queued', epoch = epoch + 1, attempts = 0, deaths = 0,
               alone = 0, interruptions = 0, not_before = 0, cancel = 0, outcome = NULL,
               progress = NULL
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
                params![batch, job, JobState::Cancelled.name(), self.now()],
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

/// Writes what was decided.
fn enter(
    db: &Transaction,
    start: &Start<'_>,
    entries: &[(&Planned, String)],
    decisions: &[(Option<Row>, Decision)],
    looks: &HashMap<i64, Look>,
    now: f64,
) -> Result<Begun> {
    let source = start.source;
    db.execute(
        "INSERT INTO batches(source, command, root, created) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT(source) DO UPDATE SET command = excluded.command, root = excluded.root",
        params![source, start.command, text(start.root), now],
    )?;
    let batch = db.query_row(
        "SELECT id FROM batches WHERE source = ?1",
        [source],
        |row| row.get(0),
    )?;
    let mut begun = Begun {
        batch,
        total: entries.len() as u64,
        ..Begun::default()
    };
    db.execute("UPDATE jobs SET listed = 0 WHERE batch = ?1", [batch])?;
    let mut queue = db.prepare(
        "INSERT INTO jobs(batch, position, output, spec, learns, state)
         VALUES (?1, ?2, ?3, ?4, ?5, 'queued')
         ON CONFLICT(output) DO UPDATE SET batch = ?1, position = ?2, spec = ?4, learns = ?5, listed = 1,
           state = 'queued', epoch = epoch + 1, attempts = 0, deaths = 0, alone = 0,
           interruptions = 0, not_before = 0, cancel = 0, outcome = NULL, progress = NULL,
           sha256 = NULL, thumbnail = NULL",
    )?;
    let mut keep =
        db.prepare("UPDATE jobs SET batch = ?1, position = ?2, listed = 1 WHERE id = ?3")?;
    let mut touch = db.prepare("UPDATE jobs SET size = ?2, modified = ?3 WHERE id = ?1")?;
    for (position, ((planned, spec), (row, decision))) in entries.iter().zip(decisions).enumerate()
    {
        let position = position as i64;
        // The claim tells by the stamp whether the file may be replaced.
        let look = row
            .as_ref()
            .and_then(|row| Some((row, looks.get(&row.id)?)));
        if let Some((row, look)) = look
            && look.row == *row
            && let Some(stamp) = &look.intact
            && look.row.stamp.as_ref() != Some(stamp)
        {
            touch.execute(params![look.row.id, stamp.size as i64, stamp.modified])?;
        }
        match decision {
            Decision::Elsewhere => begun.elsewhere += 1,
            Decision::SetAside => begun.set_aside += 1,
            Decision::Done => begun.already_done += 1,
            Decision::Waits | Decision::Queue => {}
        }
        match (decision, row) {
            (Decision::Queue, _) | (_, None) => {
                let face = learns(&planned.job).map(text);
                queue.execute(params![batch, position, text(&planned.output), spec, face])?;
            }
            (_, Some(row)) => {
                keep.execute(params![batch, position, row.id])?;
            }
        }
    }
    Ok(begun)
}
