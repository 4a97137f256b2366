mod faults;

use std::fs::File;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::event::{Event, Outcome, Progress};
use crate::job::{IfExists, Job};

/// A journal in a folder, with jobs that write into it.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["f.mp4", "s.wav"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn journal(&self) -> Journal {
        let mut journal = Journal::open(&self.path(".lipflow")).unwrap();
        journal.sign_in().unwrap();
        journal.recover().unwrap();
        journal
    }

    fn planned(&self, output: &str) -> Planned {
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

    fn begin(&self, journal: &mut Journal, outputs: &[&str], identity: &str, force: bool) -> Begun {
        let jobs: Vec<_> = outputs.iter().map(|output| self.planned(output)).collect();
        let identify = |_: &Journal, _: &Job| Ok(Some(identity.to_owned()));
        let begun = journal.begin(
            "list a",
            "lipflow batch a",
            self.folder.path(),
            &jobs,
            force,
            &identify,
        );
        begun.unwrap()
    }

    /// Does all jobs that are due, as a controller would.
    fn work(&self, journal: &Journal, batch: i64, identity: &str) -> Vec<(i64, IfExists)> {
        let mut done = Vec::new();
        while let Some(claim) = journal.claim(batch, 7).unwrap() {
            let output = claim.spec.output.clone().unwrap();
            fs::write(&output, format!("made of {identity}")).unwrap();
            let sha256 = digest(&output);
            let mut changes = vec![
                Change::Identified {
                    lease: claim.lease(),
                    identity: identity.into(),
                },
                Change::Made {
                    lease: claim.lease(),
                    sha256,
                },
                ended(claim.lease(), JobState::Done, Stamp::of(&output).ok()),
            ];
            journal.apply(batch, &mut changes).unwrap();
            done.push((claim.job, claim.spec.if_exists));
        }
        done
    }
}

fn digest(path: &Path) -> String {
    crate::digest::of_file(path, &Default::default()).unwrap()
}

fn ended(lease: Lease, state: JobState, stamp: Option<Stamp>) -> Change {
    Change::Ended {
        lease,
        ending: Ending {
            state,
            outcome: Outcome::nothing(state, &Progress::default()),
            not_before: 0.0,
            stage: "running".into(),
            signal: None,
            is_culprit: false,
            is_suspect: false,
            counts: true,
            stamp,
        },
    }
}

/// A controller that died: its lock is gone, its entry and its jobs are not.
fn die(mut journal: Journal) {
    // The lock is dropped with the file.
    drop(journal.controller.take());
}

#[test]
fn a_second_start_does_what_is_missing() {
    let desk = Desk::new();
    let mut journal = desk.journal();
    let begun = desk.begin(&mut journal, &["a.mp4", "b.mp4"], "one", false);
    assert_eq!((begun.total, begun.already_done), (2, 0));
    assert_eq!(desk.work(&journal, begun.batch, "one").len(), 2);

    let again = desk.begin(&mut journal, &["a.mp4", "b.mp4", "c.mp4"], "one", false);
    assert_eq!(
        again.batch, begun.batch,
        "the list has grown, the batch is the same"
    );
    assert_eq!((again.total, again.already_done), (3, 2));
    assert_eq!(desk.work(&journal, again.batch, "one").len(), 1);

    fs::remove_file(desk.path("b.mp4")).unwrap();
    let again = desk.begin(&mut journal, &["a.mp4", "b.mp4", "c.mp4"], "one", false);
    assert_eq!(again.already_done, 2, "one was taken away");
    assert_eq!(
        desk.work(&journal, again.batch, "one")[0].1,
        IfExists::Refuse
    );
    let counts = journal.counts(again.batch).unwrap();
    assert_eq!((counts.done, counts.total()), (3, 3));

    let forced = desk.begin(&mut journal, &["a.mp4"], "one", true);
    assert_eq!(desk.work(&journal, forced.batch, "one").len(), 1);
    assert_eq!(
        journal.counts(forced.batch).unwrap().total(),
        1,
        "the others are not listed any more"
    );
}

#[test]
fn what_was_made_of_something_else_is_made_again_and_replaced() {
    let desk = Desk::new();
    let mut journal = desk.journal();
    let begun = desk.begin(&mut journal, &["a.mp4"], "one", false);
    desk.work(&journal, begun.batch, "one");
    let again = desk.begin(&mut journal, &["a.mp4"], "two", false);
    assert_eq!(again.already_done, 0);
    let claim = journal.claim(again.batch, 7).unwrap().unwrap();
    assert_eq!(claim.spec.if_exists, IfExists::Overwrite, "it is ours");
    assert_eq!(claim.promised, None, "what is there is the old one");

    // Cut off half-way, it is still ours.
    die(journal);
    let mut journal = desk.journal();
    let again = desk.begin(&mut journal, &["a.mp4"], "two", false);
    assert_eq!(
        desk.work(&journal, again.batch, "two")[0].1,
        IfExists::Overwrite
    );

    // Somebody else's file is not.
    fs::write(desk.path("a.mp4"), "edited by hand").unwrap();
    let again = desk.begin(&mut journal, &["a.mp4"], "two", false);
    assert_eq!(
        desk.work(&journal, again.batch, "two")[0].1,
        IfExists::Refuse
    );
}

#[test]
fn touched_is_not_changed() {
    let desk = Desk::new();
    let mut journal = desk.journal();
    let begun = desk.begin(&mut journal, &["a.mp4"], "one", false);
    desk.work(&journal, begun.batch, "one");
    let file = File::options()
        .write(true)
        .open(desk.path("a.mp4"))
        .unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(
        desk.begin(&mut journal, &["a.mp4"], "one", false)
            .already_done,
        1
    );
}

#[test]
fn jobs_of_a_dead_controller_go_on_and_published_ones_count() {
    let desk = Desk::new();
    let mut first = desk.journal();
    let batch = desk
        .begin(&mut first, &["a.mp4", "b.mp4", "c.mp4"], "one", false)
        .batch;
    let claims: Vec<_> = (0..3)
        .map(|_| first.claim(batch, 7).unwrap().unwrap())
        .collect();
    assert!(first.claim(batch, 7).unwrap().is_none(), "all are taken");
    // The first was published and not entered; the second was about to be; the third had just begun.
    fs::write(desk.path("a.mp4"), "whole").unwrap();
    let mut made: Vec<_> = claims[..2]
        .iter()
        .map(|claim| Change::Made {
            lease: claim.lease(),
            sha256: digest(&desk.path("a.mp4")),
        })
        .collect();
    first.apply(batch, &mut made).unwrap();

    let mut second = Journal::open(&desk.path(".lipflow")).unwrap();
    second.sign_in().unwrap();
    assert_eq!(second.recover().unwrap(), 0, "the first is alive");
    die(first);
    assert_eq!(second.recover().unwrap(), 3);
    let counts = second.counts(batch).unwrap();
    assert_eq!((counts.done, counts.queued), (1, 2));
    let claim = second.claim(batch, 8).unwrap().unwrap();
    assert_eq!(claim.job, claims[1].job);
    assert_eq!(claim.attempt, 1, "being interrupted is not its fault");
    assert!(claim.promised.is_some());
    let begun = desk.begin(&mut second, &["a.mp4", "b.mp4", "c.mp4"], "one", false);
    assert_eq!(begun.elsewhere, 1, "one is being worked on");
}

#[test]
fn two_controllers_never_take_the_same_job() {
    let desk = Desk::new();
    let mut journal = desk.journal();
    let names: Vec<_> = (0..40).map(|n| format!("{n}.mp4")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let batch = desk.begin(&mut journal, &names, "one", false).batch;
    let take = || {
        let mut own = Journal::open(&desk.path(".lipflow")).unwrap();
        own.sign_in().unwrap();
        let mut jobs = Vec::new();
        while let Some(claim) = own.claim(batch, 7).unwrap() {
            jobs.push(claim.job);
        }
        jobs
    };
    let mut jobs: Vec<i64> = std::thread::scope(|scope| {
        let threads = [scope.spawn(take), scope.spawn(take)];
        threads
            .into_iter()
            .flat_map(|t| t.join().unwrap())
            .collect()
    });
    jobs.sort_unstable();
    jobs.dedup();
    assert_eq!(jobs.len(), 40);
}

#[test]
fn killers_are_set_aside_until_somebody_says_retry() {
    let desk = Desk::new();
    let mut journal = desk.journal();
    let batch = desk.begin(&mut journal, &["a.mp4"], "one", false).batch;
    for state in [JobState::Queued, JobState::Failed] {
        let claim = journal.claim(batch, 7).unwrap().unwrap();
        let Change::Ended { lease, ending } = ended(claim.lease(), state, None) else {
            unreachable!()
        };
        let ending = Ending {
            is_culprit: true,
            ..ending
        };
        journal
            .apply(batch, &mut [Change::Ended { lease, ending }])
            .unwrap();
    }
    let begun = desk.begin(&mut journal, &["a.mp4"], "one", false);
    assert_eq!(begun.set_aside, 1);
    assert!(journal.claim(batch, 7).unwrap().is_none());
    assert_eq!(journal.retry(batch, &[]).unwrap(), 1);
    assert!(journal.claim(batch, 7).unwrap().is_some());
}

#[test]
fn a_pause_is_kept() {
    let desk = Desk::new();
    let mut journal = desk.journal();
    let batch = desk.begin(&mut journal, &["a.mp4"], "one", false).batch;
    let claim = journal.claim(batch, 7).unwrap().unwrap();
    let Change::Ended { lease, ending } = ended(claim.lease(), JobState::Queued, None) else {
        unreachable!()
    };
    let ending = Ending {
        not_before: now() + 60.0,
        ..ending
    };
    journal
        .apply(batch, &mut [Change::Ended { lease, ending }])
        .unwrap();
    assert!(journal.claim(batch, 7).unwrap().is_none(), "not yet");
    assert_eq!(journal.counts(batch).unwrap().queued, 1);
}

#[test]
fn cancelling_reaches_what_waits_and_what_runs() {
    let desk = Desk::new();
    let mut journal = desk.journal();
    let batch = desk
        .begin(&mut journal, &["a.mp4", "b.mp4"], "one", false)
        .batch;
    let claim = journal.claim(batch, 7).unwrap().unwrap();
    let other = Journal::open(&desk.path(".lipflow")).unwrap();
    assert_eq!(other.cancel(batch, &[]).unwrap(), 2);
    assert_eq!(journal.cancellations().unwrap(), [claim.job]);
    assert_eq!(journal.counts(batch).unwrap().cancelled, 1);
}

#[test]
fn events_are_numbered_and_kept_in_order() {
    let desk = Desk::new();
    let mut journal = desk.journal();
    let batch = desk.begin(&mut journal, &["a.mp4"], "one", false).batch;
    let mut changes: Vec<_> = [JobState::Probing, JobState::Loading, JobState::Running]
        .map(|state| Change::Event {
            event: Event::of_job(1, state),
            lease: None,
        })
        .into();
    journal.apply(batch, &mut changes).unwrap();
    let ids: Vec<_> = changes
        .iter()
        .map(|change| match change {
            Change::Event { event, .. } => event.id.unwrap(),
            _ => unreachable!(),
        })
        .collect();
    assert!(ids.is_sorted());
    let kept = journal.events(batch, ids[0], 10).unwrap();
    assert_eq!(kept.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids[1..]);
    let event: Event = serde_json::from_str(&kept[1].1).unwrap();
    assert_eq!(event.body, JobState::Running.into());
}

#[test]
fn changes_are_applied_all_or_none() {
    let desk = Desk::new();
    let mut journal = desk.journal();
    let batch = desk.begin(&mut journal, &["a.mp4"], "one", false).batch;
    let claim = journal.claim(batch, 7).unwrap().unwrap();
    let mut changes = [
        Change::State {
            lease: claim.lease(),
            state: JobState::Running,
        },
        Change::Event {
            event: Event::of_job(claim.job, JobState::Running),
            lease: Some(claim.lease()),
        },
    ];
    // Somebody else is writing for longer than anyone waits.
    let other = Connection::open(desk.path(".lipflow/journal.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    journal.db.busy_timeout(Duration::from_millis(10)).unwrap();
    let error = journal.apply(batch, &mut changes).unwrap_err();
    assert!(error.may_pass(), "{error}");
    assert_eq!(
        journal.jobs(batch, false).unwrap()[0].state,
        JobState::Probing
    );
    other.execute_batch("COMMIT").unwrap();
    journal.apply(batch, &mut changes).unwrap();
    assert_eq!(
        journal.jobs(batch, false).unwrap()[0].state,
        JobState::Running
    );
    assert_eq!(journal.events(batch, 0, 10).unwrap().len(), 1);
}

#[test]
fn the_next_job_is_taken_with_the_end_of_the_last() {
    let desk = Desk::new();
    let mut journal = desk.journal();
    let batch = desk
        .begin(&mut journal, &["a.mp4", "b.mp4"], "one", false)
        .batch;
    let first = journal.claim(batch, 7).unwrap().unwrap();
    let begin = |claim: &Claim| Some(Event::of_job(claim.job, JobState::Probing));
    let mut changes = vec![ended(first.lease(), JobState::Done, None)];
    let second = journal.apply_and_claim(batch, &mut changes, 7, &begin);
    let second = second.unwrap().claim.unwrap();
    assert_ne!(second.job, first.job);
    assert!(
        matches!(&changes[..], [_, Change::Event { event, .. }] if event.id.is_some()),
        "{changes:?}"
    );
    let mut changes = vec![ended(second.lease(), JobState::Queued, None)];
    let again = journal.apply_and_claim(batch, &mut changes, 7, &begin);
    let again = again.unwrap().claim.unwrap();
    assert_eq!(again.job, second.job, "it was put back first");
    let mut changes = vec![ended(again.lease(), JobState::Done, None)];
    let none = journal.apply_and_claim(batch, &mut changes, 7, &begin);
    assert!(none.unwrap().claim.is_none());
    assert_eq!(changes.len(), 1, "nothing begins");
    assert_eq!(journal.counts(batch).unwrap().done, 2);
}

#[test]
fn readers_change_nothing_and_need_a_journal() {
    let desk = Desk::new();
    let missing = Journal::read(&desk.path("none"));
    assert!(matches!(missing, Err(Error::Missing(_))));
    assert!(!desk.path("none").exists());
    let mut journal = desk.journal();
    let batch = desk.begin(&mut journal, &["a.mp4"], "one", false).batch;
    let reader = Journal::read(&desk.path(".lipflow")).unwrap();
    assert_eq!(reader.counts(batch).unwrap().queued, 1);
    assert!(reader.retry(batch, &[]).is_err(), "it can't write");
    assert!(reader.is_attended().unwrap());
    drop(journal);
    assert!(!reader.is_attended().unwrap());
}

#[test]
fn a_digest_is_known_as_long_as_the_file_stays_as_it_is() {
    let desk = Desk::new();
    let mut journal = desk.journal();
    let batch = desk.begin(&mut journal, &["a.mp4"], "one", false).batch;
    let path = desk.path("f.mp4");
    let mut change = [Change::Digest {
        path: path.clone(),
        stamp: Stamp::of(&path).unwrap(),
        sha256: "ab".into(),
    }];
    assert_eq!(journal.known_digest(&path).unwrap(), None);
    journal.apply(batch, &mut change).unwrap();
    assert_eq!(journal.known_digest(&path).unwrap().as_deref(), Some("ab"));
    fs::write(&path, "longer than before").unwrap();
    assert_eq!(journal.known_digest(&path).unwrap(), None);
}

#[test]
fn a_journal_of_the_future_is_left_alone() {
    let desk = Desk::new();
    drop(desk.journal());
    let db = Connection::open(desk.path(".lipflow/journal.db")).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let error = Journal::open(&desk.path(".lipflow")).err().unwrap();
    assert!(matches!(error, Error::Newer { version: 99, .. }), "{error}");
}
