//! What a start makes of jobs that the ledger knows.

use std::cell::Cell;
use std::fs;

use super::place::*;
use super::*;
use crate::event::JobState;
use crate::job::{IfExists, Job};

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

pub fn killers_are_set_aside_until_somebody_says_retry<B: Backend>() {
    let place = Place::<B>::new();
    let ledger = place.ledger();
    let batch = place.begin(&ledger, &["a.mp4"], "one", false).batch;
    for state in [JobState::Queued, JobState::Failed] {
        let claim = ledger.claim(batch, 7).unwrap().unwrap();
        ledger
            .apply(batch, &mut [killed(claim.lease(), state)])
            .unwrap();
    }
    let begun = place.begin(&ledger, &["a.mp4"], "one", false);
    assert_eq!(begun.set_aside, 1);
    assert!(ledger.claim(batch, 7).unwrap().is_none());
    assert_eq!(ledger.retry(batch, &[]).unwrap(), 1);
    assert!(ledger.claim(batch, 7).unwrap().is_some());
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
    ledger
        .apply(batch, &mut [killed(claim.lease(), JobState::Queued)])
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
