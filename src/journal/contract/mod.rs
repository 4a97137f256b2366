//! What every backend of the [`Ledger`] has to do, as tests: [`contract!`] runs them on one.

pub(crate) mod memory;
pub(crate) mod sqlite;

use std::cell::Cell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::event::{Event, JobState, Outcome, Progress};
use crate::job::{IfExists, Job};
use crate::store::LocalStore;

use memory::{Memory, MemoryLedger};

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

/// A folder with inputs, and jobs that write into it.
pub(super) struct Place<B> {
    pub folder: TempDir,
    pub backend: B,
    pub clock: Rc<Cell<f64>>,
}

impl<B: Backend> Place<B> {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["f.mp4", "s.wav"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let clock = Rc::new(Cell::new(1.8e9));
        Self {
            backend: B::new(folder.path(), clock.clone()),
            folder,
            clock,
        }
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub fn ledger(&self) -> B::Ledger {
        let ledger = self.backend.ledger();
        recover(&ledger, &LocalStore).unwrap();
        ledger
    }

    pub fn planned(&self, output: &str) -> Planned {
        let job = serde_json::from_value(serde_json::json!({
            "face": self.path("f.mp4"), "speech": self.path("s.wav"), "output": self.path(output),
            "template": "file", "parameters": [], "end_mode": "speech", "loop_mode": null,
            "if_exists": "refuse", "stuck_after": {"secs": 30, "nanos": 0}, "graph": null,
            "dry_run": false
        }));
        Planned {
            job: job.unwrap(),
            output: self.path(output),
        }
    }

    /// The same, of another face.
    fn planned_of(&self, face: &str, output: &str) -> Planned {
        let mut planned = self.planned(output);
        planned.job.face = self.path(face);
        planned
    }

    pub fn begin_with(
        &self,
        ledger: &dyn Ledger,
        jobs: &[Planned],
        force: bool,
        identity: &dyn Fn(&Job) -> Result<Option<String>>,
    ) -> Begun {
        let begun = ledger.begin(&Start {
            source: "list a",
            command: "lipflow batch a",
            root: self.root(),
            jobs,
            force,
            store: &LocalStore,
            identity,
        });
        begun.unwrap()
    }

    pub fn begin(
        &self,
        ledger: &dyn Ledger,
        outputs: &[&str],
        identity: &str,
        force: bool,
    ) -> Begun {
        let jobs: Vec<_> = outputs.iter().map(|output| self.planned(output)).collect();
        self.begin_with(ledger, &jobs, force, &|_| Ok(Some(identity.to_owned())))
    }

    /// Does all jobs that are due, as a controller would.
    fn work(&self, ledger: &dyn Ledger, batch: i64, identity: &str) -> Vec<(i64, IfExists)> {
        let mut done = Vec::new();
        while let Some(claim) = ledger.claim(batch, 7).unwrap() {
            let output = claim.spec.output.clone().unwrap();
            fs::write(&output, format!("made of {identity}")).unwrap();
            let sha256 = digest(&output);
            let mut changes = vec![
                Change::Made {
                    lease: claim.lease(),
                    sha256,
                    identity: Some(identity.into()),
                },
                ended(claim.lease(), JobState::Done, Stamp::of(&output).ok()),
            ];
            ledger.apply(batch, &mut changes).unwrap();
            done.push((claim.job, claim.spec.if_exists));
        }
        done
    }
}

/// Takes one job, as a supervisor does.
pub(crate) trait ClaimOne {
    fn claim(&self, batch: i64, worker: u32) -> Result<Option<Claim>>;
}

impl<L: Ledger + ?Sized> ClaimOne for L {
    fn claim(&self, batch: i64, worker: u32) -> Result<Option<Claim>> {
        let applied = self.apply_and_claim(batch, &mut Vec::new(), worker, &|_| None)?;
        let mut claim = applied.claim;
        if let Some(claim) = &mut claim {
            claim.may_replace_own(&LocalStore);
        }
        Ok(claim)
    }
}

pub(super) fn digest(path: &Path) -> String {
    crate::digest::of_file(path, &Default::default()).unwrap()
}

/// The job is to be tried again in a minute.
fn paused(lease: Lease) -> Change {
    let Change::Ended { lease, ending } = ended(lease, JobState::Queued, None) else {
        unreachable!()
    };
    let ending = Ending {
        retry_after: Duration::from_secs(60),
        ..ending
    };
    Change::Ended { lease, ending }
}

pub(super) fn ended(lease: Lease, state: JobState, stamp: Option<Stamp>) -> Change {
    Change::Ended {
        lease,
        ending: Ending {
            state,
            outcome: Outcome::nothing(state, &Progress::default()),
            retry_after: Duration::ZERO,
            stage: "running".into(),
            signal: None,
            is_culprit: false,
            is_suspect: false,
            counts: true,
            stamp,
        },
    }
}

pub fn a_second_start_does_what_is_missing<B: Backend>() {
    let place = Place::<B>::new();
    let ledger = place.ledger();
    let begun = place.begin(&ledger, &["a.mp4", "b.mp4"], "one", false);
    assert_eq!((begun.total, begun.already_done), (2, 0));
    assert_eq!(place.work(&ledger, begun.batch, "one").len(), 2);

    let again = place.begin(&ledger, &["a.mp4", "b.mp4", "c.mp4"], "one", false);
    assert_eq!(
        again.batch, begun.batch,
        "the list has grown, the batch is the same"
    );
    assert_eq!((again.total, again.already_done), (3, 2));
    assert_eq!(place.work(&ledger, again.batch, "one").len(), 1);

    fs::remove_file(place.path("b.mp4")).unwrap();
    let again = place.begin(&ledger, &["a.mp4", "b.mp4", "c.mp4"], "one", false);
    assert_eq!(again.already_done, 2, "one was taken away");
    assert_eq!(
        place.work(&ledger, again.batch, "one")[0].1,
        IfExists::Refuse
    );
    let counts = ledger.counts(again.batch).unwrap();
    assert_eq!((counts.done, counts.total()), (3, 3));

    let forced = place.begin(&ledger, &["a.mp4"], "one", true);
    assert_eq!(place.work(&ledger, forced.batch, "one").len(), 1);
    assert_eq!(
        ledger.counts(forced.batch).unwrap().total(),
        1,
        "the others are not listed any more"
    );
}

pub fn what_was_made_of_something_else_is_made_again_and_replaced<B: Backend>() {
    let place = Place::<B>::new();
    let ledger = place.ledger();
    let begun = place.begin(&ledger, &["a.mp4"], "one", false);
    place.work(&ledger, begun.batch, "one");
    let again = place.begin(&ledger, &["a.mp4"], "two", false);
    assert_eq!(again.already_done, 0);
    let claim = ledger.claim(again.batch, 7).unwrap().unwrap();
    assert_eq!(claim.spec.if_exists, IfExists::Overwrite, "it is ours");
    assert_eq!(claim.promised, None, "what is there is the old one");

    // Cut off half-way, it is still ours.
    place.backend.die(ledger);
    let ledger = place.ledger();
    let again = place.begin(&ledger, &["a.mp4"], "two", false);
    assert_eq!(
        place.work(&ledger, again.batch, "two")[0].1,
        IfExists::Overwrite
    );

    // Somebody else's file is not.
    fs::write(place.path("a.mp4"), "edited by hand").unwrap();
    let again = place.begin(&ledger, &["a.mp4"], "two", false);
    assert_eq!(
        place.work(&ledger, again.batch, "two")[0].1,
        IfExists::Refuse
    );
}

pub fn touched_is_not_changed<B: Backend>() {
    let place = Place::<B>::new();
    let ledger = place.ledger();
    let begun = place.begin(&ledger, &["a.mp4"], "one", false);
    place.work(&ledger, begun.batch, "one");
    let file = File::options()
        .write(true)
        .open(place.path("a.mp4"))
        .unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(
        place.begin(&ledger, &["a.mp4"], "one", false).already_done,
        1
    );
}

pub fn jobs_of_a_dead_controller_go_on_and_published_ones_count<B: Backend>() {
    let place = Place::<B>::new();
    let first = place.ledger();
    let batch = place
        .begin(&first, &["a.mp4", "b.mp4", "c.mp4"], "one", false)
        .batch;
    let claims: Vec<_> = (0..3)
        .map(|_| first.claim(batch, 7).unwrap().unwrap())
        .collect();
    assert!(first.claim(batch, 7).unwrap().is_none(), "all are taken");
    // The first was published and not entered; the second was about to be; the third had just begun.
    fs::write(place.path("a.mp4"), "whole").unwrap();
    let mut made: Vec<_> = claims[..2]
        .iter()
        .map(|claim| Change::Made {
            lease: claim.lease(),
            sha256: digest(&place.path("a.mp4")),
            identity: None,
        })
        .collect();
    first.apply(batch, &mut made).unwrap();

    let second = place.backend.ledger();
    assert_eq!(
        recover(&second, &LocalStore).unwrap(),
        0,
        "the first is alive"
    );
    place.backend.die(first);
    assert_eq!(recover(&second, &LocalStore).unwrap(), 3);
    let counts = second.counts(batch).unwrap();
    assert_eq!((counts.done, counts.queued), (1, 2));
    let claim = second.claim(batch, 8).unwrap().unwrap();
    assert_eq!(claim.job, claims[1].job);
    assert_eq!(claim.attempt, 1, "being interrupted is not its fault");
    assert!(claim.promised.is_some());
    let begun = place.begin(&second, &["a.mp4", "b.mp4", "c.mp4"], "one", false);
    assert_eq!(begun.elsewhere, 1, "one is being worked on");
}

pub fn killers_are_set_aside_until_somebody_says_retry<B: Backend>() {
    let place = Place::<B>::new();
    let ledger = place.ledger();
    let batch = place.begin(&ledger, &["a.mp4"], "one", false).batch;
    for state in [JobState::Queued, JobState::Failed] {
        let claim = ledger.claim(batch, 7).unwrap().unwrap();
        let Change::Ended { lease, ending } = ended(claim.lease(), state, None) else {
            unreachable!()
        };
        let ending = Ending {
            is_culprit: true,
            ..ending
        };
        ledger
            .apply(batch, &mut [Change::Ended { lease, ending }])
            .unwrap();
    }
    let begun = place.begin(&ledger, &["a.mp4"], "one", false);
    assert_eq!(begun.set_aside, 1);
    assert!(ledger.claim(batch, 7).unwrap().is_none());
    assert_eq!(ledger.retry(batch, &[]).unwrap(), 1);
    assert!(ledger.claim(batch, 7).unwrap().is_some());
}

pub fn a_pause_is_kept<B: Backend>() {
    let place = Place::<B>::new();
    let ledger = place.ledger();
    let batch = place.begin(&ledger, &["a.mp4"], "one", false).batch;
    let claim = ledger.claim(batch, 7).unwrap().unwrap();
    ledger.apply(batch, &mut [paused(claim.lease())]).unwrap();
    assert!(ledger.claim(batch, 7).unwrap().is_none(), "not yet");
    assert_eq!(ledger.counts(batch).unwrap().queued, 1);
}

pub fn cancelling_reaches_what_waits_and_what_runs<B: Backend>() {
    let place = Place::<B>::new();
    let ledger = place.ledger();
    let batch = place
        .begin(&ledger, &["a.mp4", "b.mp4"], "one", false)
        .batch;
    let claim = ledger.claim(batch, 7).unwrap().unwrap();
    let other = place.backend.ledger();
    assert_eq!(other.cancel(batch, &[]).unwrap(), 2);
    assert_eq!(ledger.cancellations().unwrap(), [claim.job]);
    assert_eq!(ledger.counts(batch).unwrap().cancelled, 1);
}

pub fn events_are_numbered_and_kept_in_order<B: Backend>() {
    let place = Place::<B>::new();
    let ledger = place.ledger();
    let batch = place.begin(&ledger, &["a.mp4"], "one", false).batch;
    let mut changes: Vec<_> = [JobState::Probing, JobState::Loading, JobState::Running]
        .map(|state| Change::Event {
            event: Event::of_job(1, state),
            lease: None,
        })
        .into();
    ledger.apply(batch, &mut changes).unwrap();
    let ids: Vec<_> = changes
        .iter()
        .map(|change| match change {
            Change::Event { event, .. } => event.id.unwrap(),
            _ => unreachable!(),
        })
        .collect();
    assert!(ids.is_sorted());
    let kept = ledger.events(batch, ids[0], 10).unwrap();
    assert_eq!(kept.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids[1..]);
    let event: Event = serde_json::from_str(&kept[1].1).unwrap();
    assert_eq!(event.body, JobState::Running.into());
}

pub fn the_next_job_is_taken_with_the_end_of_the_last<B: Backend>() {
    let place = Place::<B>::new();
    let ledger = place.ledger();
    let batch = place
        .begin(&ledger, &["a.mp4", "b.mp4"], "one", false)
        .batch;
    let first = ledger.claim(batch, 7).unwrap().unwrap();
    let begin = |claim: &Claim| Some(Event::of_job(claim.job, JobState::Probing));
    let mut changes = vec![ended(first.lease(), JobState::Done, None)];
    let second = ledger.apply_and_claim(batch, &mut changes, 7, &begin);
    let second = second.unwrap().claim.unwrap();
    assert_ne!(second.job, first.job);
    assert!(
        matches!(&changes[..], [_, Change::Event { event, .. }] if event.id.is_some()),
        "{changes:?}"
    );
    let mut changes = vec![ended(second.lease(), JobState::Queued, None)];
    let again = ledger.apply_and_claim(batch, &mut changes, 7, &begin);
    let again = again.unwrap().claim.unwrap();
    assert_eq!(again.job, second.job, "it was put back first");
    let mut changes = vec![ended(again.lease(), JobState::Done, None)];
    let none = ledger.apply_and_claim(batch, &mut changes, 7, &begin);
    assert!(none.unwrap().claim.is_none());
    assert_eq!(changes.len(), 1, "nothing begins");
    assert_eq!(ledger.counts(batch).unwrap().done, 2);
}

pub fn a_lease_that_was_taken_over_changes_nothing_any_more<B: Backend>() {
    let place = Place::<B>::new();
    let first = place.ledger();
    let batch = place.begin(&first, &["a.mp4", "b.mp4"], "one", false);
    let batch = batch.batch;
    let (old, other) = (
        first.claim(batch, 7).unwrap().unwrap(),
        first.claim(batch, 7).unwrap().unwrap(),
    );
    // Its machine was suspended, say.
    place.backend.presume_dead(&first);
    let second = place.ledger();
    assert_eq!(second.counts(batch).unwrap().queued, 2);
    let said = |lease| {
        let event = Event::of_job(old.job, JobState::Running);
        vec![
            Change::State {
                lease,
                state: JobState::Running,
            },
            Change::Made {
                lease,
                sha256: "old".into(),
                identity: Some("old".into()),
            },
            ended(lease, JobState::Failed, None),
            Change::Event {
                event,
                lease: Some(lease),
            },
        ]
    };
    let check = |state: JobState| {
        let row = &second.jobs(batch, false).unwrap()[0];
        assert_eq!((row.state, row.sha256.as_deref()), (state, None));
        assert_eq!(second.events(batch, 0, 9).unwrap().len(), 0);
    };
    // Neither while it waits nor while somebody else works on it, and one by one as together.
    for mut change in said(old.lease()) {
        let lost = first.apply(batch, std::slice::from_mut(&mut change));
        assert!(lost.unwrap().contains(&old.lease()), "{change:?}");
        check(JobState::Queued);
    }
    let new = second.claim(batch, 8).unwrap().unwrap();
    assert_eq!(new.job, old.job);
    assert!(new.epoch > old.epoch);
    let mut changes = said(old.lease());
    let lost = first.apply(batch, &mut changes).unwrap();
    assert_eq!(Vec::from_iter(lost), [old.lease()]);
    let Some(Change::Event { event, .. }) = changes.last() else {
        unreachable!()
    };
    assert_eq!(event.id, None, "what has no number is not announced");
    check(JobState::Probing);
    // Whoever has it may say the same.
    let mut changes = said(new.lease());
    assert!(second.apply(batch, &mut changes).unwrap().is_empty());
    assert_eq!(second.counts(batch).unwrap().failed, 1);
    assert_eq!(second.events(batch, 0, 9).unwrap().len(), 1);
    // It has ended, once.
    let twice = second.apply(batch, &mut [ended(new.lease(), JobState::Done, None)]);
    assert_eq!(twice.unwrap().len(), 1);
    assert_ne!(other.lease(), old.lease());
}

pub fn a_start_decides_about_jobs_as_they_are_when_it_writes<B: Backend>() {
    let place = Place::<B>::new();
    let first = place.ledger();
    let begun = place.begin(&first, &["a.mp4"], "one", false);
    place.work(&first, begun.batch, "one");
    // While this start reads files, another one queues the job again and begins it.
    let other = place.ledger();
    let claimed = Cell::new(None);
    let identify = |_: &Job| {
        if claimed.get().is_none() {
            place.begin(&other, &["a.mp4"], "two", false);
            let claim = other.claim(begun.batch, 8).unwrap().unwrap();
            claimed.set(Some(claim.lease()));
        }
        Ok(Some("two".to_owned()))
    };
    let jobs = [place.planned("a.mp4")];
    let again = place.begin_with(&first, &jobs, false, &identify);
    assert_eq!(again.elsewhere, 1);
    assert!(
        first.claim(begun.batch, 7).unwrap().is_none(),
        "it is taken"
    );
    let lease = claimed.get().unwrap();
    let done = other.apply(begun.batch, &mut [ended(lease, JobState::Done, None)]);
    assert!(done.unwrap().is_empty(), "its lease holds");
}

pub fn a_second_start_leaves_attempts_as_they_are<B: Backend>() {
    let place = Place::<B>::new();
    let ledger = place.ledger();
    let batch = place.begin(&ledger, &["a.mp4"], "one", false).batch;
    let claim = ledger.claim(batch, 7).unwrap().unwrap();
    let Change::Ended { lease, ending } = ended(claim.lease(), JobState::Queued, None) else {
        unreachable!()
    };
    let ending = Ending {
        is_culprit: true,
        ..ending
    };
    ledger
        .apply(batch, &mut [Change::Ended { lease, ending }])
        .unwrap();
    // It killed a worker, and waits for its next attempt: another controller comes.
    let other = place.ledger();
    place.begin(&other, &["a.mp4"], "one", false);
    let claim = other.claim(batch, 8).unwrap().unwrap();
    assert_eq!((claim.attempt, claim.deaths, claim.alone), (2, 1, true));
}

pub fn a_file_that_was_left_alone_is_not_ours_at_the_next_start<B: Backend>() {
    let place = Place::<B>::new();
    fs::write(place.path("a.mp4"), "theirs").unwrap();
    let ledger = place.ledger();
    for _ in 0..3 {
        let batch = place.begin(&ledger, &["a.mp4"], "one", false).batch;
        let claim = ledger.claim(batch, 7).unwrap().unwrap();
        assert_eq!(claim.spec.if_exists, IfExists::Refuse);
        assert_eq!(claim.promised, None);
        // Skipped; even one that says so with a stamp has no digest.
        let stamp = Stamp::of(&place.path("a.mp4")).ok();
        ledger
            .apply(batch, &mut [ended(claim.lease(), JobState::Done, stamp)])
            .unwrap();
    }
}

pub fn what_is_ours_is_decided_when_the_job_begins<B: Backend>() {
    let place = Place::<B>::new();
    let ledger = place.ledger();
    let begun = place.begin(&ledger, &["a.mp4"], "one", false);
    place.work(&ledger, begun.batch, "one");
    place.begin(&ledger, &["a.mp4"], "two", false);
    // Hours later, when its turn comes, somebody has put another file there.
    fs::write(place.path("a.mp4"), "edited by hand").unwrap();
    let claim = ledger.claim(begun.batch, 7).unwrap().unwrap();
    assert_eq!(claim.spec.if_exists, IfExists::Refuse);
}

pub fn a_clock_that_was_put_back_delays_nothing<B: Backend>() {
    let place = Place::<B>::new();
    let ledger = place.ledger();
    let batch = place.begin(&ledger, &["a.mp4"], "one", false).batch;
    let claim = ledger.claim(batch, 7).unwrap().unwrap();
    ledger.apply(batch, &mut [paused(claim.lease())]).unwrap();
    place.clock.set(place.clock.get() - 86_400.0);
    assert!(ledger.claim(batch, 7).unwrap().is_some());
}

pub fn a_job_whose_controllers_die_comes_last_and_by_itself<B: Backend>() {
    let place = Place::<B>::new();
    let mut ledger = place.ledger();
    let batch = place.begin(&ledger, &["a.mp4", "b.mp4"], "one", false);
    let batch = batch.batch;
    let mut first = None;
    for _ in 0..3 {
        let claim = ledger.claim(batch, 7).unwrap().unwrap();
        assert!(!claim.solo);
        assert_eq!(*first.get_or_insert(claim.job), claim.job);
        place.backend.die(ledger);
        ledger = place.ledger();
    }
    let next = ledger.claim(batch, 7).unwrap().unwrap();
    assert!(Some(next.job) != first && !next.solo);
    let last = ledger.claim(batch, 7).unwrap().unwrap();
    assert!(Some(last.job) == first && last.solo);
    assert_eq!(last.attempt, 1, "nobody says that it is its fault");
}

pub fn a_clock_that_goes_on_ends_a_pause<B: Backend>() {
    let place = Place::<B>::new();
    let ledger = place.ledger();
    let batch = place.begin(&ledger, &["a.mp4"], "one", false).batch;
    let claim = ledger.claim(batch, 7).unwrap().unwrap();
    ledger.apply(batch, &mut [paused(claim.lease())]).unwrap();
    place.clock.set(place.clock.get() + 59.0);
    assert!(ledger.claim(batch, 7).unwrap().is_none());
    place.clock.set(place.clock.get() + 2.0);
    assert!(ledger.claim(batch, 7).unwrap().is_some());
}

pub fn a_commit_that_nobody_heard_of_is_found<B: Backend>() {
    let place = Place::<B>::new();
    let (ledger, other) = (place.ledger(), place.ledger());
    let batch = place
        .begin(&ledger, &["a.mp4", "b.mp4"], "one", false)
        .batch;
    let claim = ledger.claim(batch, 7).unwrap().unwrap();
    other.claim(batch, 8).unwrap().unwrap();
    assert_eq!(Vec::from_iter(ledger.held().unwrap()), [claim.lease()]);
    let mut changes = [ended(claim.lease(), JobState::Queued, None)];
    ledger.apply(batch, &mut changes).unwrap();
    assert!(ledger.held().unwrap().is_empty());
}

pub fn an_orphan_is_given_back_once<B: Backend>() {
    let place = Place::<B>::new();
    let first = place.ledger();
    let batch = place.begin(&first, &["a.mp4"], "one", false).batch;
    let claim = first.claim(batch, 7).unwrap().unwrap();
    place.backend.die(first);
    let second = place.backend.ledger();
    let orphans = second.orphans().unwrap();
    assert_eq!(orphans.len(), 1);
    assert_eq!(orphans[0].lease, claim.lease());
    assert!(second.give_back(&orphans[0], None).unwrap());
    assert!(!second.give_back(&orphans[0], None).unwrap());
    let again = second.claim(batch, 8).unwrap().unwrap();
    assert!(!second.give_back(&orphans[0], None).unwrap(), "it is taken");
    assert!(again.epoch > claim.epoch);
    assert!(second.orphans().unwrap().is_empty());
}

pub fn faces_that_are_being_learnt_are_left_to_the_one_that_learns_them<B: Backend>() {
    let place = Place::<B>::new();
    let ledger = place.ledger();
    let jobs = [
        ("one.mp4", "a.mp4"),
        ("one.mp4", "b.mp4"),
        ("two.mp4", "c.mp4"),
        ("two.mp4", "d.mp4"),
    ]
    .map(|(face, output)| place.planned_of(face, output));
    let batch = place.begin_with(&ledger, &jobs, false, &|_| Ok(None)).batch;
    let mut outputs = Vec::new();
    let mut claims = Vec::new();
    let mut claim = || {
        let claim = ledger.claim(batch, 7).unwrap().unwrap();
        let output = claim.spec.output.clone().unwrap();
        outputs.push(output.file_name().unwrap().to_str().unwrap().to_owned());
        claims.push(claim.lease());
        claims[0]
    };
    let first = claim();
    // While the first face is looked at, the second one is begun.
    claim();
    // The first one is known: its other job goes on, before that of the face that is still learnt.
    let running = Change::State {
        lease: first,
        state: JobState::Running,
    };
    ledger.apply(batch, &mut [running]).unwrap();
    claim();
    // Nothing else is left: it waits for the face with the one that learns it.
    claim();
    assert_eq!(outputs, ["a.mp4", "c.mp4", "b.mp4", "d.mp4"]);
}

pub fn a_digest_is_of_the_file_as_it_was<B: Backend>() {
    let place = Place::<B>::new();
    let ledger = place.ledger();
    let batch = place.begin(&ledger, &["a.mp4"], "one", false).batch;
    let path = place.path("f.mp4");
    let stamp = |modified| Stamp { size: 9, modified };
    let digest = || Change::Digest {
        path: path.clone(),
        stamp: stamp(1),
        sha256: "ab".into(),
    };
    let media = |modified| Change::Media {
        path: path.clone(),
        stamp: stamp(modified),
        media: Some(Media::default()),
    };
    assert_eq!(ledger.digest(&path, &stamp(1)).unwrap(), None);
    ledger.apply(batch, &mut [digest()]).unwrap();
    assert_eq!(
        ledger.digest(&path, &stamp(1)).unwrap().as_deref(),
        Some("ab")
    );
    assert_eq!(ledger.digest(&path, &stamp(2)).unwrap(), None);
    ledger.apply(batch, &mut [media(1)]).unwrap();
    assert!(ledger.digest(&path, &stamp(1)).unwrap().is_some());
    assert_eq!(ledger.media().unwrap().len(), 1);
    ledger.apply(batch, &mut [media(2)]).unwrap();
    assert_eq!(ledger.digest(&path, &stamp(1)).unwrap(), None);
    assert_eq!(ledger.digest(&path, &stamp(2)).unwrap(), None);
}
