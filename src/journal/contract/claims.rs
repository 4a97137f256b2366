//! Which job is taken next, and when.

use super::place::*;
use super::*;
use crate::event::{Event, JobState};

pub fn a_pause_is_kept<B: Backend>() {
    let place = Place::<B>::new();
    let ledger = place.ledger();
    let batch = place.begin(&ledger, &["a.mp4"], "one", false).batch;
    let claim = ledger.claim(batch, 7).unwrap().unwrap();
    ledger.apply(batch, &mut [paused(claim.lease())]).unwrap();
    assert!(ledger.claim(batch, 7).unwrap().is_none(), "not yet");
    assert_eq!(ledger.counts(batch).unwrap().queued, 1);
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

pub fn a_clock_that_was_put_back_delays_nothing<B: Backend>() {
    let place = Place::<B>::new();
    let ledger = place.ledger();
    let batch = place.begin(&ledger, &["a.mp4"], "one", false).batch;
    let claim = ledger.claim(batch, 7).unwrap().unwrap();
    ledger.apply(batch, &mut [paused(claim.lease())]).unwrap();
    place.clock.set(place.clock.get() - 86_400.0);
    assert!(ledger.claim(batch, 7).unwrap().is_some());
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
