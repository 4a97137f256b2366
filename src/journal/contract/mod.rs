//! What every backend of the [`Ledger`] has to do, as tests: [`contract!`] runs them on one.

mod claims;
mod leases;
pub(crate) mod memory;
mod place;
mod records;
pub(crate) mod sqlite;
mod starts;

pub(crate) use place::ClaimOne;
pub(super) use place::{Place, digest, ended};

use std::cell::Cell;
use std::fs::File;
use std::path::Path;
use std::rc::Rc;

use super::*;

use claims::*;
use leases::*;
use memory::{Memory, MemoryLedger};
use records::*;
use starts::*;

/// A place for ledgers that share their state, and what can happen to them there.
pub trait Backend {
    type Ledger: Ledger;

    /// An empty one. `folder` is for whoever needs files; the clock is in seconds since 1970.
    fn new(folder: &Path, clock: Rc<Cell<f64>>) -> Self;

    /// One controller more.
    fn ledger(&self) -> Self::Ledger;

    /// The controller's process is killed.
    fn die(&self, ledger: Self::Ledger);

    /// The row of a job, for those who check others.
    fn seen(&self, ledger: &Self::Ledger, job: i64) -> Option<Seen>;

    /// The controller lives, and the others believe that it doesn't.
    fn presume_dead(&self, ledger: &Self::Ledger);
}

/// What a ledger has of a job and its attempts don't say.
#[derive(Clone, Debug)]
pub struct Seen {
    pub sha256: Option<String>,
    pub published: Option<String>,
}

impl Backend for Memory {
    type Ledger = MemoryLedger;

    fn new(_: &Path, clock: Rc<Cell<f64>>) -> Self {
        Self::new(clock)
    }

    fn ledger(&self) -> MemoryLedger {
        self.ledger()
    }

    fn die(&self, ledger: MemoryLedger) {
        self.bury(ledger.controller());
    }

    fn seen(&self, _: &MemoryLedger, job: i64) -> Option<Seen> {
        self.seen(job)
    }

    fn presume_dead(&self, ledger: &MemoryLedger) {
        self.bury(ledger.controller());
    }
}

/// Runs the contract on a backend.
macro_rules! contract {
    ($module:ident, $backend:ty, $($name:ident)*) => {
        mod $module {
            $(
                #[test]
                fn $name() {
                    super::$name::<$backend>();
                }
            )*
        }
    };
}

/// The names of the contract's tests, for each of the backends.
macro_rules! on {
    ($module:ident, $backend:ty) => {
        contract! {
            $module, $backend,
            a_second_start_does_what_is_missing
            what_was_made_of_something_else_is_made_again_and_replaced
            touched_is_not_changed
            jobs_of_a_dead_controller_go_on_and_published_ones_count
            killers_are_set_aside_until_somebody_says_retry
            a_pause_is_kept
            cancelling_reaches_what_waits_and_what_runs
            events_are_numbered_and_kept_in_order
            the_next_job_is_taken_with_the_end_of_the_last
            a_lease_that_was_taken_over_changes_nothing_any_more
            a_start_decides_about_jobs_as_they_are_when_it_writes
            a_second_start_leaves_attempts_as_they_are
            a_file_that_was_left_alone_is_not_ours_at_the_next_start
            what_is_ours_is_decided_when_the_job_begins
            a_clock_that_was_put_back_delays_nothing
            a_job_whose_controllers_die_comes_last_and_by_itself
            what_a_controller_claims_that_was_forgotten_is_not_lost_with_it
            a_commit_that_nobody_heard_of_is_found
            faces_that_are_being_learnt_are_left_to_the_one_that_learns_them
            a_clock_that_goes_on_ends_a_pause
            a_digest_is_of_the_file_as_it_was
            an_orphan_is_given_back_once
        }
    };
}

on!(in_memory, super::Memory);
on!(in_sqlite, super::sqlite::Sqlite);
