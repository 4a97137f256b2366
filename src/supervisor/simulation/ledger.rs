//! A ledger that fails now and then: before it has done what it was asked to, or after.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::random::Random;
use crate::job::Job;
use crate::journal::{
    Applied, Begun, Change, Counts, Error, FirstEvent, JobRow, Lease, Ledger, Media, Orphan,
    Result, Start, StoredEvent,
};
use crate::stamp::Stamp;

/// How a ledger behaves at the moment, for all that share it.
#[derive(Default)]
pub struct FaultInjection {
    pub is_out: Cell<bool>,
    /// All else may be asked and written.
    pub can_not_count: Cell<bool>,
    /// In a thousand calls.
    pub failures: Cell<u64>,
    pub random: RefCell<Option<Random>>,
    /// What broke the rules.
    pub faults: RefCell<Vec<String>>,
}

impl FaultInjection {
    fn fails(&self) -> bool {
        if self.is_out.get() {
            return true;
        }
        let mut random = self.random.borrow_mut();
        let random = random.as_mut();
        random.is_some_and(|random| random.permille(self.failures.get()))
    }

    fn check(&self) -> Result<()> {
        match self.fails() {
            true => Err(failure()),
            false => Ok(()),
        }
    }
}

fn failure() -> Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
    Error::Database(rusqlite::Error::SqliteFailure(code, None))
}

pub struct Unreliable<L> {
    pub inner: L,
    pub injection: Rc<FaultInjection>,
}

impl<L: Ledger> Unreliable<L> {
    /// What is changed under a lease that somebody else has taken over has to be told to be lost.
    fn check(&self, held: &BTreeSet<Lease>, changes: &[Change], lost: &BTreeSet<Lease>) {
        let needs_it =
            |change: &&Change| !matches!(change, Change::Event { .. } | Change::Thumbnail { .. });
        for lease in changes.iter().filter(needs_it).filter_map(Change::lease) {
            if !held.contains(&lease) && !lost.contains(&lease) {
                let fault = format!("changed under a lease that is lost: {lease:?}");
                self.injection.faults.borrow_mut().push(fault);
            }
        }
    }

    /// Asks; now and then the answer is lost, or the question was.
    fn ask<T>(&self, ask: impl FnOnce(&L) -> Result<T>) -> Result<T> {
        self.injection.check()?;
        let answer = ask(&self.inner)?;
        self.injection.check()?;
        Ok(answer)
    }
}

impl<L: Ledger> Ledger for Unreliable<L> {
    fn begin(&self, start: &Start<'_>) -> Result<Begun> {
        self.ask(|ledger| ledger.begin(start))
    }

    fn retry(&self, batch: i64, jobs: &[i64]) -> Result<u64> {
        self.inner.retry(batch, jobs)
    }

    fn cancel(&self, batch: i64, jobs: &[i64]) -> Result<u64> {
        self.inner.cancel(batch, jobs)
    }

    fn apply(&self, batch: i64, changes: &mut [Change]) -> Result<BTreeSet<Lease>> {
        if changes.is_empty() {
            return Ok(BTreeSet::new());
        }
        self.ask(|ledger| {
            let held = ledger.held()?;
            let lost = ledger.apply(batch, changes)?;
            self.check(&held, changes, &lost);
            Ok(lost)
        })
    }

    fn apply_and_claim(
        &self,
        batch: i64,
        changes: &mut Vec<Change>,
        worker: u32,
        begin: FirstEvent<'_>,
    ) -> Result<Applied> {
        let known = changes.len();
        let applied = self.ask(|ledger| {
            let held = ledger.held()?;
            let applied = ledger.apply_and_claim(batch, changes, worker, begin)?;
            self.check(&held, &changes[..known], &applied.lost);
            Ok(applied)
        });
        if applied.is_err() {
            // Nobody heard of it.
            changes.truncate(known);
        }
        applied
    }

    fn held(&self) -> Result<BTreeSet<Lease>> {
        self.ask(L::held)
    }

    fn cancellations(&self) -> Result<Vec<i64>> {
        self.ask(L::cancellations)
    }

    fn orphans(&self) -> Result<Vec<Orphan>> {
        self.ask(L::orphans)
    }

    fn give_back(&self, orphan: &Orphan, published: Option<Stamp>) -> Result<bool> {
        self.ask(|ledger| ledger.give_back(orphan, published))
    }

    fn forget_the_dead(&self) -> Result<()> {
        self.ask(L::forget_the_dead)
    }

    fn counts(&self, batch: i64) -> Result<Counts> {
        match self.injection.can_not_count.get() {
            true => Err(failure()),
            false => self.ask(|ledger| ledger.counts(batch)),
        }
    }

    fn jobs(&self, batch: i64, thumbnails: bool) -> Result<Vec<JobRow>> {
        self.inner.jobs(batch, thumbnails)
    }

    fn waiting(&self, batch: i64) -> Result<Vec<Lease>> {
        self.ask(|ledger| ledger.waiting(batch))
    }

    fn spec(&self, lease: Lease) -> Result<Option<Job>> {
        self.ask(|ledger| ledger.spec(lease))
    }

    fn events(&self, batch: i64, after: i64, limit: u32) -> Result<Vec<StoredEvent>> {
        self.inner.events(batch, after, limit)
    }

    fn media(&self) -> Result<HashMap<PathBuf, Media>> {
        self.ask(L::media)
    }

    fn digest(&self, path: &Path, stamp: &Stamp) -> Result<Option<String>> {
        self.ask(|ledger| ledger.digest(path, stamp))
    }

    fn folder(&self) -> &Path {
        self.inner.folder()
    }
}
