//! What a controller needs of wherever the state of batches is kept.
//!
//! The contract is in [`super::contract`]: every backend passes the same tests. In short:
//! - a claim gives the job a new epoch, and of those who ask at the same time one gets it;
//! - changes of one moment are applied together or not at all, and one that names an epoch that is not
//!   the job's any more changes nothing and is told to have lost its lease;
//! - a job whose controller has died is an orphan until somebody gives it back, once.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::{
    Applied, Begun, Change, Counts, FirstEvent, JobRow, Lease, Media, Orphan, Result, Stamp, Start,
    StoredEvent,
};
use crate::job::Job;
use crate::store::Store;

/// The state of batches, as one controller has it.
pub trait Ledger {
    /// Enters the jobs of a batch: what is there already is kept, the rest is to be done.
    fn begin(&self, start: &Start<'_>) -> Result<Begun>;

    /// Puts jobs that have failed, were cancelled or were set aside back into the queue; all of the
    /// batch if none is named. Gives how many.
    fn retry(&self, batch: i64, jobs: &[i64]) -> Result<u64>;

    /// Cancels jobs, all open ones of the batch if none is named: those that wait at once, those that
    /// run through their controller. Gives how many.
    fn cancel(&self, batch: i64, jobs: &[i64]) -> Result<u64>;

    /// Applies the changes, all or none, and gives the events among them their numbers. Gives the
    /// leases that are lost.
    fn apply(&self, batch: i64, changes: &mut [Change]) -> Result<BTreeSet<Lease>>;

    /// The same, and in one go takes the next job that is due for the worker with process id `worker`.
    /// What `begin` has to say of the job becomes the last change.
    fn apply_and_claim(
        &self,
        batch: i64,
        changes: &mut Vec<Change>,
        worker: u32,
        begin: FirstEvent<'_>,
    ) -> Result<Applied>;

    /// The leases that this controller holds.
    fn held(&self) -> Result<BTreeSet<Lease>>;

    /// Jobs of this controller that somebody wants cancelled.
    fn cancellations(&self) -> Result<Vec<i64>>;

    /// Jobs of controllers that have died.
    fn orphans(&self) -> Result<Vec<Orphan>>;

    /// Gives an orphan back: as done where `published` is the stamp of its output, else to be done.
    /// Says whether that was still to do, for another controller may be faster.
    fn give_back(&self, orphan: &Orphan, published: Option<Stamp>) -> Result<bool>;

    /// Forgets the controllers that have died and hold no jobs any more.
    fn forget_the_dead(&self) -> Result<()>;

    /// How many jobs of the batch are in which state.
    fn counts(&self, batch: i64) -> Result<Counts>;

    /// The jobs of a batch in its order; with `thumbnails` only where they are wanted, for they are
    /// the bulk of it.
    fn jobs(&self, batch: i64, thumbnails: bool) -> Result<Vec<JobRow>>;

    /// The jobs of the batch that wait, in their order.
    fn waiting(&self, batch: i64) -> Result<Vec<Lease>>;

    /// What the job is, unless it has been claimed or changed since.
    fn spec(&self, lease: Lease) -> Result<Option<Job>>;

    /// Events of the batch after number `after`, at most `limit`.
    fn events(&self, batch: i64, after: i64, limit: u32) -> Result<Vec<StoredEvent>>;

    /// What is known of inputs, by path. Files that have changed since may be in it too: estimates may
    /// be a little wrong.
    fn media(&self) -> Result<HashMap<PathBuf, Media>>;

    /// The SHA-256 of the file, if it was computed when the file had this stamp.
    fn digest(&self, path: &Path, stamp: &Stamp) -> Result<Option<String>>;

    /// A folder of this machine for what belongs to the batch and is no output; what is wrong with the
    /// ledger is said of it.
    fn folder(&self) -> &Path;
}

/// Gives back the jobs of controllers that have died. What was published and not entered is found by
/// its digest and counts as done. Gives how many jobs were given back.
pub fn recover(ledger: &dyn Ledger, store: &dyn Store) -> Result<u64> {
    let mut count = 0;
    for orphan in ledger.orphans()? {
        // A controller is known to be dead a little before its workers are gone.
        store.wait_for_writers(&orphan.output);
        let promised = orphan.promised.as_deref();
        let is_published = promised.is_some_and(|sha256| store.is_of(&orphan.output, sha256));
        store.remove_leftovers(&orphan.output);
        let stamp = store.stamp(&orphan.output).filter(|_| is_published);
        count += u64::from(ledger.give_back(&orphan, stamp)?);
    }
    ledger.forget_the_dead()?;
    store.remove_staged(ledger.folder());
    Ok(count)
}

impl Ledger for super::Journal {
    fn begin(&self, start: &Start<'_>) -> Result<Begun> {
        self.begin(start)
    }

    fn retry(&self, batch: i64, jobs: &[i64]) -> Result<u64> {
        self.retry(batch, jobs)
    }

    fn cancel(&self, batch: i64, jobs: &[i64]) -> Result<u64> {
        self.cancel(batch, jobs)
    }

    fn apply(&self, batch: i64, changes: &mut [Change]) -> Result<BTreeSet<Lease>> {
        self.apply(batch, changes)
    }

    fn apply_and_claim(
        &self,
        batch: i64,
        changes: &mut Vec<Change>,
        worker: u32,
        begin: FirstEvent<'_>,
    ) -> Result<Applied> {
        self.apply_and_claim(batch, changes, worker, begin)
    }

    fn held(&self) -> Result<BTreeSet<Lease>> {
        self.held()
    }

    fn cancellations(&self) -> Result<Vec<i64>> {
        self.cancellations()
    }

    fn orphans(&self) -> Result<Vec<Orphan>> {
        self.orphans()
    }

    fn give_back(&self, orphan: &Orphan, published: Option<Stamp>) -> Result<bool> {
        self.give_back(orphan, published)
    }

    fn forget_the_dead(&self) -> Result<()> {
        self.forget_the_dead()
    }

    fn counts(&self, batch: i64) -> Result<Counts> {
        self.counts(batch)
    }

    fn jobs(&self, batch: i64, thumbnails: bool) -> Result<Vec<JobRow>> {
        self.jobs(batch, thumbnails)
    }

    fn waiting(&self, batch: i64) -> Result<Vec<Lease>> {
        self.waiting(batch)
    }

    fn spec(&self, lease: Lease) -> Result<Option<Job>> {
        self.spec(lease)
    }

    fn events(&self, batch: i64, after: i64, limit: u32) -> Result<Vec<StoredEvent>> {
        self.events(batch, after, limit)
    }

    fn media(&self) -> Result<HashMap<PathBuf, Media>> {
        self.media()
    }

    fn digest(&self, path: &Path, stamp: &Stamp) -> Result<Option<String>> {
        self.digest(path, stamp)
    }

    fn folder(&self) -> &Path {
        self.folder()
    }
}
