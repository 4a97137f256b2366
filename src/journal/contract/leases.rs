//! Controllers that die, or are taken for dead, and what their leases are worth then.

use std::fs;

use super::place::*;
use super::*;
use crate::event::{Event, JobState};
use crate::publish::LocalStore;

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

pub fn what_a_controller_claims_that_was_forgotten_is_not_lost_with_it<B: Backend>() {
    let place = Place::<B>::new();
    let first = place.ledger();
    let batch = place.begin(&first, &["a.mp4"], "one", false).batch;
    // Somebody takes it for dead and tidies up, and it goes on.
    place.backend.presume_dead(&first);
    let second = place.ledger();
    recover(&second, &LocalStore).unwrap();
    let claim = first.claim(batch, 7).unwrap().unwrap();
    place.backend.die(first);
    let orphans = second.orphans().unwrap();
    let leases: Vec<_> = orphans.iter().map(|orphan| orphan.lease).collect();
    assert_eq!(leases, [claim.lease()]);
    assert_eq!(recover(&second, &LocalStore).unwrap(), 1);
    assert!(second.claim(batch, 8).unwrap().is_some());
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
