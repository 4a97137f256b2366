//! What is the journal's own, beside the contract: files, locks, versions.

use std::path::Path;

use super::contract::sqlite::Sqlite;
use super::contract::{ClaimOne, Place, digest, ended};
use super::*;
use crate::event::{Event, JobState};
use crate::job::IfExists;

#[test]
fn two_controllers_never_take_the_same_job() {
    let place = Place::<Sqlite>::new();
    let journal = place.ledger();
    let names: Vec<_> = (0..40).map(|n| format!("{n}.mp4")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let batch = place.begin(&journal, &names, "one", false).batch;
    let state = place.path(".lipflow");
    let take = || {
        let mut own = Journal::open(&state).unwrap();
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
fn changes_are_applied_all_or_none() {
    let place = Place::<Sqlite>::new();
    let journal = place.ledger();
    let batch = place.begin(&journal, &["a.mp4"], "one", false).batch;
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
    let other = Connection::open(place.path(".lipflow/journal.db")).unwrap();
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
fn readers_change_nothing_and_need_a_journal() {
    let place = Place::<Sqlite>::new();
    let missing = Journal::read(&place.path("none"));
    assert!(matches!(missing, Err(Error::Missing(_))));
    assert!(!place.path("none").exists());
    let journal = place.ledger();
    let batch = place.begin(&journal, &["a.mp4"], "one", false).batch;
    let reader = Journal::read(&place.path(".lipflow")).unwrap();
    assert_eq!(reader.counts(batch).unwrap().queued, 1);
    assert!(reader.retry(batch, &[]).is_err(), "it can't write");
    assert!(reader.is_attended().unwrap());
    drop(journal);
    assert!(!reader.is_attended().unwrap());
}

#[test]
fn a_digest_is_known_as_long_as_the_file_stays_as_it_is() {
    let place = Place::<Sqlite>::new();
    let journal = place.ledger();
    let batch = place.begin(&journal, &["a.mp4"], "one", false).batch;
    let path = place.path("f.mp4");
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
    let place = Place::<Sqlite>::new();
    drop(place.ledger());
    let db = Connection::open(place.path(".lipflow/journal.db")).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let error = Journal::open(&place.path(".lipflow")).err().unwrap();
    assert!(matches!(error, Error::Newer { version: 99, .. }), "{error}");
}
#[test]
fn a_controller_that_can_not_be_asked_is_not_dead() {
    use std::io;

    use super::controller::lives;

    assert!(!lives(Ok(false)) && lives(Ok(true)));
    assert!(!lives(Err(io::ErrorKind::NotFound.into())));
    // No descriptors left, no locks, no rights: nobody knows.
    for code in [libc::EMFILE, libc::ENOLCK, libc::EACCES] {
        assert!(lives(Err(io::Error::from_raw_os_error(code))), "{code}");
    }
    // The same through the journal: its lock can't be opened as a file.
    let place = Place::<Sqlite>::new();
    let first = place.ledger();
    let lock = place.path(&format!(".lipflow/controller-{}.lock", first.controller()));
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(&lock, &lock).unwrap();
    assert!(fs::metadata(&lock).is_err());
    assert!(first.is_attended().unwrap());
}

#[test]
fn only_what_was_entered_is_an_artifact() {
    let place = Place::<Sqlite>::new();
    let journal = place.ledger();
    let path = place.path("report.html");
    let write = |text: &str| {
        fs::write(&path, text).unwrap();
        digest(&path)
    };
    assert!(!journal.is_artifact(&path).unwrap(), "there is none");
    let first = write("first");
    assert!(!journal.is_artifact(&path).unwrap(), "theirs");
    journal.will_write(&path, &first).unwrap();
    journal.has_written(&path, &first).unwrap();
    assert!(journal.is_artifact(&path).unwrap());
    // Cut off between entry and rename, the old one is still ours, as the new one would be.
    journal.will_write(&path, "second").unwrap();
    assert!(journal.is_artifact(&path).unwrap());
    let second = write("second");
    journal.will_write(&path, &second).unwrap();
    assert!(journal.is_artifact(&path).unwrap());
    journal.has_written(&path, &second).unwrap();
    write("first");
    assert!(!journal.is_artifact(&path).unwrap());
}

/// Makes a journal of the version before this one.
fn of_the_version_before(folder: &Path) -> Connection {
    fs::create_dir_all(folder).unwrap();
    let db = Connection::open(folder.join(FILE)).unwrap();
    let (last, steps) = schema::STEPS.split_last().unwrap();
    assert!(!last.is_empty());
    steps
        .iter()
        .for_each(|step| db.execute_batch(step).unwrap());
    db.pragma_update(None, "user_version", steps.len() as i64)
        .unwrap();
    db
}

#[test]
fn a_journal_of_the_version_before_opens() {
    let place = Place::<Sqlite>::new();
    let db = of_the_version_before(&place.path(".lipflow"));
    let root = text(place.root());
    db.execute(
        "INSERT INTO batches VALUES (1, 'list a', 'lipflow', ?1, 0)",
        [root],
    )
    .unwrap();
    for (id, name, learn) in [(1, "a.mp4", "auto"), (2, "b.mp4", "off")] {
        let mut planned = place.planned(name);
        planned.job.learn = serde_json::from_value(learn.into()).unwrap();
        db.execute(
            "INSERT INTO jobs(id, batch, position, output, spec, state)
             VALUES (?1, 1, ?1, ?2, ?3, 'queued')",
            params![
                id,
                text(&planned.output),
                serde_json::to_string(&planned.job).unwrap()
            ],
        )
        .unwrap();
    }
    drop(db);
    let journal = place.ledger();
    let faces: Vec<Option<String>> = journal
        .db
        .prepare("SELECT learns FROM jobs ORDER BY id")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(rusqlite::Result::unwrap)
        .collect();
    assert_eq!(faces, [Some(text(&place.path("f.mp4"))), None]);
    assert_eq!(journal.claim(1, 7).unwrap().unwrap().job, 1);
}

#[test]
fn old_batches_lose_how_they_went_and_not_what_they_made() {
    const DAY: f64 = 86_400.0;
    let place = Place::<Sqlite>::new();
    let journal = place.ledger();
    let batch = place.begin(&journal, &["a.mp4"], "one", false).batch;
    let claim = journal.claim(batch, 7).unwrap().unwrap();
    let lease = claim.lease();
    fs::write(place.path("a.mp4"), "made").unwrap();
    let stamp = Stamp::of(&place.path("a.mp4")).ok();
    let mut changes = [
        Change::Made {
            lease,
            sha256: digest(&place.path("a.mp4")),
            identity: Some("one".into()),
        },
        Change::Event {
            event: Event::of_job(claim.job, JobState::Done),
            lease: Some(lease),
        },
        ended(lease, JobState::Done, stamp),
        Change::Thumbnail {
            lease,
            jpeg: vec![0; 1000],
        },
        Change::Digest {
            path: place.path("gone.wav"),
            stamp: Stamp {
                size: 1,
                modified: 1,
            },
            sha256: "ab".into(),
        },
    ];
    journal.apply(batch, &mut changes).unwrap();
    let now = place.clock.get();
    let nothing = journal.prune(now - DAY, true, false).unwrap();
    assert_eq!((nothing.batches, nothing.jobs, nothing.inputs), (0, 0, 1));
    place.clock.set(now + 40.0 * DAY);
    let before = now + 10.0 * DAY;
    let dry = journal.prune(before, false, true).unwrap();
    let pruned = journal.prune(before, false, false).unwrap();
    assert_eq!(dry, pruned, "it says what it would do");
    assert_eq!(
        (
            pruned.batches,
            pruned.events,
            pruned.attempts,
            pruned.thumbnails,
            pruned.jobs
        ),
        (1, 1, 1, 1, 0)
    );
    assert!(pruned.bytes >= 1000, "{}", pruned.bytes);
    assert!(journal.events(batch, 0, 9).unwrap().is_empty());
    journal.compact().unwrap();
    let begun = place.begin(&journal, &["a.mp4"], "one", false);
    assert_eq!(begun.already_done, 1, "what it made is still known");
    // One that waits is still to be done, however old it is.
    let waits = place.begin(&journal, &["a.mp4", "b.mp4"], "one", false);
    assert_eq!(journal.prune(before, true, false).unwrap().batches, 0);
    journal.cancel(waits.batch, &[]).unwrap();
    let late = place.clock.get() + DAY;
    let forgotten = journal.prune(late, true, false).unwrap();
    assert_eq!((forgotten.batches, forgotten.jobs), (1, 2));
    assert!(place.path("a.mp4").is_file(), "outputs stay");
    let begun = place.begin(&journal, &["a.mp4"], "one", false);
    assert_eq!((begun.total, begun.already_done), (1, 0));
}

#[test]
fn a_journal_of_the_first_version_opens() {
    let place = Place::<Sqlite>::new();
    let folder = place.path(".lipflow");
    fs::create_dir(&folder).unwrap();
    for name in ["a.mp4", "b.mp4", "manifest.json"] {
        fs::write(place.path(name), name).unwrap();
    }
    let db = Connection::open(folder.join(FILE)).unwrap();
    db.execute_batch(schema::FIRST).unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    let root = text(place.root());
    db.execute(
        "INSERT INTO batches VALUES (1, 'list a', 'lipflow', ?1, 0)",
        [root],
    )
    .unwrap();
    // One was made, one was left alone: that one's stamp stood for a result.
    for (id, name, sha256) in [(1, "a.mp4", Some("a.mp4")), (2, "b.mp4", None)] {
        let stamp = Stamp::of(&place.path(name)).unwrap();
        let planned = place.planned(name);
        db.execute(
            "INSERT INTO jobs(id, batch, position, output, spec, state, identity, sha256, size,
               modified) VALUES (?1, 1, ?1, ?2, ?3, 'done', 'one', ?4, ?5, ?6)",
            params![
                id,
                text(&planned.output),
                serde_json::to_string(&planned.job).unwrap(),
                sha256.map(|name| digest(&place.path(name))),
                stamp.size as i64,
                stamp.modified
            ],
        )
        .unwrap();
    }
    drop(db);
    let reader = Journal::read(&folder).unwrap();
    assert_eq!(
        reader.jobs(1, false).unwrap().len(),
        2,
        "it need not change"
    );
    drop(reader);
    let journal = place.ledger();
    let begun = place.begin(&journal, &["a.mp4", "b.mp4"], "one", false);
    assert_eq!((begun.batch, begun.already_done), (1, 1));
    let claim = journal.claim(1, 7).unwrap().unwrap();
    assert_eq!(claim.spec.output, Some(place.path("b.mp4")));
    assert_eq!(claim.spec.if_exists, IfExists::Refuse, "it is not ours");
    assert!(journal.is_artifact(&place.path("manifest.json")).unwrap());
}

#[test]
fn nobody_else_reads_a_journal() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::<Sqlite>::new();
    let journal = place.ledger();
    let path = place.path(".lipflow/journal.db");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&place.path(".lipflow/journal.db-wal")), 0o600);
    drop(journal);
    // One of an earlier version.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    drop(place.ledger());
    assert_eq!(mode(&path), 0o600);
}
