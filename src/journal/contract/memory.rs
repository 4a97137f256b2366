//! A ledger in memory, for tests of those who use one: a batch of hours is over in a moment.

mod state;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::super::begin::{Decision, Look, Row as Found, decide};
use super::super::work::{INTERRUPTIONS_IN_COMPANY, LONGEST_WAIT, learns};
use super::super::*;
use crate::event::{JobState, Outcome, Progress};
use crate::job::Job;
use state::{Row, State};

/// Where ledgers share their state.
#[derive(Clone)]
pub struct Memory {
    state: Rc<RefCell<State>>,
    pub clock: Rc<Cell<f64>>,
}

/// The ledger as one controller has it.
pub struct MemoryLedger {
    memory: Memory,
    controller: u64,
}

impl Memory {
    pub fn new(clock: Rc<Cell<f64>>) -> Self {
        Self {
            state: Rc::default(),
            clock,
        }
    }

    pub fn ledger(&self) -> MemoryLedger {
        let mut state = self.state.borrow_mut();
        state.next_controller += 1;
        let controller = state.next_controller;
        state.controllers.insert(controller, true);
        MemoryLedger {
            memory: self.clone(),
            controller,
        }
    }

    pub fn seen(&self, job: i64) -> Option<super::Seen> {
        let state = self.state.borrow();
        let row = state.jobs.iter().find(|row| row.id == job)?;
        Some(super::Seen {
            sha256: row.sha256.clone(),
            published: row.published.clone(),
        })
    }

    /// From now on the controller counts as dead.
    pub fn bury(&self, controller: u64) {
        if let Some(lives) = self.state.borrow_mut().controllers.get_mut(&controller) {
            *lives = false;
        }
    }
}

impl MemoryLedger {
    pub fn controller(&self) -> u64 {
        self.controller
    }
}

fn found(row: &Row) -> Found {
    Found {
        id: row.id,
        epoch: row.epoch,
        state: row.state,
        spec: serde_json::to_string(&row.spec).unwrap(),
        identity: row.identity.clone(),
        published: row.published.clone(),
        stamp: row.stamp.clone(),
        deaths: row.deaths,
        is_held: row.controller.is_some(),
    }
}

impl Ledger for MemoryLedger {
    fn begin(&self, start: &Start<'_>) -> Result<Begun> {
        let mut looks: HashMap<i64, Look> = HashMap::new();
        loop {
            let mut unknown = Vec::new();
            let mut decisions = Vec::new();
            let rows = self.memory.state.borrow().jobs.clone();
            for planned in start.jobs {
                let spec = serde_json::to_string(&planned.job)?;
                let row = rows.iter().find(|row| row.output == planned.output);
                let Some(row) = row.map(found) else {
                    decisions.push((None, Decision::Queue));
                    continue;
                };
                match decide(&row, looks.get(&row.id), &spec, start.force) {
                    Some(decision) => decisions.push((Some(row), decision)),
                    None => unknown.push((planned, row)),
                }
            }
            if unknown.is_empty() {
                return Ok(self.enter(start, &decisions, &looks));
            }
            for (planned, row) in unknown {
                let intact = row.intact(start.store, &planned.output);
                let is_same = !start.force
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

    fn retry(&self, batch: i64, jobs: &[i64]) -> Result<u64> {
        let mut count = 0;
        for row in &mut self.memory.state.borrow_mut().jobs {
            let is_meant = row.batch == batch
                && row.is_listed
                && row.controller.is_none()
                && matches!(row.state, JobState::Failed | JobState::Cancelled)
                && (jobs.is_empty() || jobs.contains(&row.id));
            if is_meant {
                *row = Row {
                    state: JobState::Queued,
                    epoch: row.epoch + 1,
                    attempts: 0,
                    deaths: 0,
                    alone: false,
                    interruptions: 0,
                    not_before: 0.0,
                    cancel: false,
                    outcome: None,
                    progress: None,
                    ..row.clone()
                };
                count += 1;
            }
        }
        Ok(count)
    }

    fn cancel(&self, batch: i64, jobs: &[i64]) -> Result<u64> {
        let mut count = 0;
        for row in &mut self.memory.state.borrow_mut().jobs {
            let is_meant =
                row.batch == batch && row.is_listed && (jobs.is_empty() || jobs.contains(&row.id));
            if is_meant && row.controller.is_some() {
                row.cancel = true;
                count += 1;
            } else if is_meant && row.state == JobState::Queued {
                row.state = JobState::Cancelled;
                count += 1;
            }
        }
        Ok(count)
    }

    fn apply(&self, batch: i64, changes: &mut [Change]) -> Result<BTreeSet<Lease>> {
        let now = self.memory.clock.get();
        Ok(self.memory.state.borrow_mut().apply(batch, changes, now))
    }

    fn apply_and_claim(
        &self,
        batch: i64,
        changes: &mut Vec<Change>,
        _worker: u32,
        begin: FirstEvent<'_>,
    ) -> Result<Applied> {
        let now = self.memory.clock.get();
        let mut state = self.memory.state.borrow_mut();
        let lost = state.apply(batch, changes, now);
        let claim = state.claim(batch, self.controller, now);
        if let Some(claim) = &claim
            && let Some(event) = begin(claim)
        {
            let lease = Some(claim.lease());
            let mut last = [Change::Event { event, lease }];
            state.apply(batch, &mut last, now);
            changes.extend(last);
        }
        Ok(Applied { claim, lost })
    }

    fn held(&self) -> Result<BTreeSet<Lease>> {
        let state = self.memory.state.borrow();
        let own = state.jobs.iter();
        let own = own.filter(|row| row.controller == Some(self.controller));
        Ok(own.map(lease_of).collect())
    }

    fn cancellations(&self) -> Result<Vec<i64>> {
        let state = self.memory.state.borrow();
        let wanted = |row: &&Row| row.cancel && row.controller == Some(self.controller);
        Ok(state.jobs.iter().filter(wanted).map(|row| row.id).collect())
    }

    fn orphans(&self) -> Result<Vec<Orphan>> {
        let state = self.memory.state.borrow();
        let is_orphan = |row: &&Row| {
            let controller = row.controller.filter(|c| *c != self.controller);
            controller.is_some_and(|c| !state.controllers.get(&c).is_some_and(|lives| *lives))
        };
        let orphans = state.jobs.iter().filter(is_orphan);
        let orphans = orphans.map(|row| Orphan {
            lease: lease_of(row),
            output: row.output.clone(),
            promised: row.sha256.clone(),
        });
        Ok(orphans.collect())
    }

    fn give_back(&self, orphan: &Orphan, published: Option<Stamp>) -> Result<bool> {
        let mut state = self.memory.state.borrow_mut();
        let Some(row) = state.holder(orphan.lease) else {
            return Ok(false);
        };
        row.state = match published {
            Some(_) => JobState::Done,
            None => JobState::Queued,
        };
        row.epoch += 1;
        row.controller = None;
        row.progress = None;
        row.attempts = row.attempts.saturating_sub(1);
        row.interruptions += 1;
        if published.is_some() {
            row.published = row.sha256.clone();
            row.stamp = published;
        }
        Ok(true)
    }

    fn forget_the_dead(&self) -> Result<()> {
        let mut state = self.memory.state.borrow_mut();
        let State {
            controllers, jobs, ..
        } = &mut *state;
        controllers
            .retain(|name, lives| *lives || jobs.iter().any(|row| row.controller == Some(*name)));
        Ok(())
    }

    fn counts(&self, batch: i64) -> Result<Counts> {
        let mut counts = Counts::default();
        for row in self.memory.state.borrow().jobs.iter() {
            if row.batch != batch || !row.is_listed {
                continue;
            }
            match row.state {
                JobState::Queued => counts.queued += 1,
                JobState::Done => counts.done += 1,
                JobState::Failed => counts.failed += 1,
                JobState::Cancelled => counts.cancelled += 1,
                _ => counts.running += 1,
            }
        }
        Ok(counts)
    }

    fn jobs(&self, batch: i64, thumbnails: bool) -> Result<Vec<JobRow>> {
        let state = self.memory.state.borrow();
        let mut rows: Vec<_> = state
            .jobs
            .iter()
            .filter(|row| row.batch == batch && row.is_listed)
            .collect();
        rows.sort_by_key(|row| row.position);
        let rows = rows.into_iter().map(|row| JobRow {
            id: row.id,
            state: row.state,
            output: row.output.clone(),
            face: row.spec.face.clone(),
            speech: row.spec.speech.clone(),
            dialogue: row.spec.dialogue.clone(),
            attempts: row.attempts,
            progress: row.progress.clone(),
            outcome: row.outcome.clone(),
            sha256: row.sha256.clone(),
            bytes: row.stamp.as_ref().map(|stamp| stamp.size),
            thumbnail: row.thumbnail.clone().filter(|_| thumbnails),
        });
        Ok(rows.collect())
    }

    fn waiting(&self, batch: i64) -> Result<Vec<Lease>> {
        let state = self.memory.state.borrow();
        let mut rows: Vec<_> = state
            .jobs
            .iter()
            .filter(|row| row.batch == batch && row.is_listed && row.state == JobState::Queued)
            .collect();
        rows.sort_by_key(|row| row.position);
        Ok(rows.into_iter().map(lease_of).collect())
    }

    fn spec(&self, lease: Lease) -> Result<Option<Job>> {
        let state = self.memory.state.borrow();
        let row = state.jobs.iter().find(|row| lease_of(row) == lease);
        Ok(row.map(|row| row.spec.clone()))
    }

    fn events(&self, batch: i64, after: i64, limit: u32) -> Result<Vec<StoredEvent>> {
        let state = self.memory.state.borrow();
        let events = (1..).zip(&state.events);
        let events = events.filter(|(id, (of, _))| *of == batch && *id > after);
        let events = events.map(|(id, (_, body))| (id, body.clone()));
        Ok(events.take(limit as usize).collect())
    }

    fn media(&self) -> Result<HashMap<PathBuf, Media>> {
        let state = self.memory.state.borrow();
        let files = state.files.iter();
        Ok(files
            .filter_map(|(path, (.., media))| Some((path.clone(), (*media)??)))
            .collect())
    }

    fn digest(&self, path: &Path, stamp: &Stamp) -> Result<Option<String>> {
        let state = self.memory.state.borrow();
        let known = state.files.get(path).filter(|(known, ..)| known == stamp);
        Ok(known.and_then(|(_, sha256, _)| sha256.clone()))
    }

    fn folder(&self) -> &Path {
        Path::new("/ledger")
    }
}

impl MemoryLedger {
    fn enter(
        &self,
        start: &Start<'_>,
        decisions: &[(Option<Found>, Decision)],
        looks: &HashMap<i64, Look>,
    ) -> Begun {
        let mut state = self.memory.state.borrow_mut();
        let known = state.sources.iter().position(|s| s == start.source);
        let batch = known.unwrap_or_else(|| {
            state.sources.push(start.source.into());
            state.sources.len() - 1
        }) as i64
            + 1;
        let mut begun = Begun {
            batch,
            total: start.jobs.len() as u64,
            ..Begun::default()
        };
        let rows = state.jobs.iter_mut();
        rows.filter(|row| row.batch == batch)
            .for_each(|row| row.is_listed = false);
        for (position, (planned, (known, decision))) in start.jobs.iter().zip(decisions).enumerate()
        {
            match decision {
                Decision::Elsewhere => begun.elsewhere += 1,
                Decision::SetAside => begun.set_aside += 1,
                Decision::Done => begun.already_done += 1,
                Decision::Waits | Decision::Queue => {}
            }
            let fresh = Row {
                id: state.jobs.len() as i64 + 1,
                batch,
                position,
                is_listed: true,
                output: planned.output.clone(),
                spec: planned.job.clone(),
                state: JobState::Queued,
                identity: None,
                attempts: 0,
                deaths: 0,
                alone: false,
                controller: None,
                not_before: 0.0,
                cancel: false,
                sha256: None,
                published: None,
                stamp: None,
                outcome: None,
                progress: None,
                thumbnail: None,
                epoch: 0,
                interruptions: 0,
            };
            let mut rows = state.jobs.iter_mut();
            let Some(row) = rows.find(|row| row.output == planned.output) else {
                state.jobs.push(fresh);
                continue;
            };
            if let Some(look) = looks.get(&row.id)
                && known.as_ref() == Some(&look.row)
                && look.intact.is_some()
            {
                row.stamp = look.intact.clone();
            }
            if *decision == Decision::Queue {
                *row = Row {
                    id: row.id,
                    epoch: row.epoch + 1,
                    identity: row.identity.clone(),
                    published: row.published.clone(),
                    stamp: row.stamp.clone(),
                    ..fresh
                };
            } else {
                row.batch = batch;
                row.position = position;
                row.is_listed = true;
            }
        }
        begun
    }
}

fn lease_of(row: &Row) -> Lease {
    Lease {
        job: row.id,
        epoch: row.epoch,
    }
}
