//! What is kept of events and of files.

use super::place::*;
use super::*;
use crate::event::{Event, JobState};

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
