//! Second starts, second controllers, clocks that are put back, and journals of earlier versions.

use super::*;

#[test]
fn a_lease_that_was_taken_over_changes_nothing_any_more() {
    let desk = Desk::new();
    let mut first = desk.journal();
    let batch = desk.begin(&mut first, &["a.mp4", "b.mp4"], "one", false);
    let batch = batch.batch;
    let (old, other) = (
        first.claim(batch, 7).unwrap().unwrap(),
        first.claim(batch, 7).unwrap().unwrap(),
    );
    // As if it was taken for dead: its machine was suspended, say.
    let name = first.controller().to_owned();
    fs::remove_file(desk.path(&format!(".lipflow/controller-{name}.lock"))).unwrap();
    let second = desk.journal();
    assert_eq!(second.counts(batch).unwrap().queued, 2);
    let said = |lease| {
        let event = Event::of_job(old.job, JobState::Running);
        vec![
            Change::State {
                lease,
                state: JobState::Running,
            },
            Change::Identified {
                lease,
                identity: "old".into(),
            },
            Change::Made {
                lease,
                sha256: "old".into(),
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

#[test]
fn a_start_decides_about_jobs_as_they_are_when_it_writes() {
    let desk = Desk::new();
    let mut first = desk.journal();
    let begun = desk.begin(&mut first, &["a.mp4"], "one", false);
    desk.work(&first, begun.batch, "one");
    // While this start reads files, another one queues the job again and begins it.
    let other = std::cell::RefCell::new(desk.journal());
    let claimed = std::cell::Cell::new(None);
    let identify = |_: &Journal, _: &Job| {
        if claimed.get().is_none() {
            let mut other = other.borrow_mut();
            desk.begin(&mut other, &["a.mp4"], "two", false);
            let claim = other.claim(begun.batch, 8).unwrap().unwrap();
            claimed.set(Some(claim.lease()));
        }
        Ok(Some("two".to_owned()))
    };
    let jobs = [desk.planned("a.mp4")];
    let again = first
        .begin("list a", "", desk.folder.path(), &jobs, false, &identify)
        .unwrap();
    assert_eq!(again.elsewhere, 1);
    assert!(
        first.claim(begun.batch, 7).unwrap().is_none(),
        "it is taken"
    );
    let lease = claimed.get().unwrap();
    let done = other
        .borrow()
        .apply(begun.batch, &mut [ended(lease, JobState::Done, None)]);
    assert!(done.unwrap().is_empty(), "its lease holds");
}

#[test]
fn a_second_start_leaves_attempts_as_they_are() {
    let desk = Desk::new();
    let mut journal = desk.journal();
    let batch = desk.begin(&mut journal, &["a.mp4"], "one", false).batch;
    let claim = journal.claim(batch, 7).unwrap().unwrap();
    let Change::Ended { lease, ending } = ended(claim.lease(), JobState::Queued, None) else {
        unreachable!()
    };
    let ending = Ending {
        is_culprit: true,
        ..ending
    };
    journal
        .apply(batch, &mut [Change::Ended { lease, ending }])
        .unwrap();
    // It killed a worker, and waits for its next attempt: another controller comes.
    let mut other = desk.journal();
    desk.begin(&mut other, &["a.mp4"], "one", false);
    let claim = other.claim(batch, 8).unwrap().unwrap();
    assert_eq!((claim.attempt, claim.deaths, claim.alone), (2, 1, true));
}

#[test]
fn a_file_that_was_left_alone_is_not_ours_at_the_next_start() {
    let desk = Desk::new();
    fs::write(desk.path("a.mp4"), "theirs").unwrap();
    let mut journal = desk.journal();
    for _ in 0..3 {
        let batch = desk.begin(&mut journal, &["a.mp4"], "one", false).batch;
        let claim = journal.claim(batch, 7).unwrap().unwrap();
        assert_eq!(claim.spec.if_exists, IfExists::Refuse);
        assert_eq!(claim.promised, None);
        // Skipped; even one that says so with a stamp has no digest.
        let stamp = Stamp::of(&desk.path("a.mp4")).ok();
        journal
            .apply(batch, &mut [ended(claim.lease(), JobState::Done, stamp)])
            .unwrap();
    }
}

#[test]
fn what_is_ours_is_decided_when_the_job_begins() {
    let desk = Desk::new();
    let mut journal = desk.journal();
    let begun = desk.begin(&mut journal, &["a.mp4"], "one", false);
    desk.work(&journal, begun.batch, "one");
    desk.begin(&mut journal, &["a.mp4"], "two", false);
    // Hours later, when its turn comes, somebody has put another file there.
    fs::write(desk.path("a.mp4"), "edited by hand").unwrap();
    let claim = journal.claim(begun.batch, 7).unwrap().unwrap();
    assert_eq!(claim.spec.if_exists, IfExists::Refuse);
}

#[test]
fn a_clock_that_was_put_back_delays_nothing() {
    let desk = Desk::new();
    let mut journal = desk.journal();
    let batch = desk.begin(&mut journal, &["a.mp4"], "one", false).batch;
    let claim = journal.claim(batch, 7).unwrap().unwrap();
    let Change::Ended { lease, ending } = ended(claim.lease(), JobState::Queued, None) else {
        unreachable!()
    };
    let ending = Ending {
        not_before: now() + 86_400.0,
        ..ending
    };
    journal
        .apply(batch, &mut [Change::Ended { lease, ending }])
        .unwrap();
    assert!(journal.claim(batch, 7).unwrap().is_some());
}

#[test]
fn a_job_whose_controllers_die_comes_last_and_by_itself() {
    let desk = Desk::new();
    let mut journal = desk.journal();
    let batch = desk.begin(&mut journal, &["a.mp4", "b.mp4"], "one", false);
    let batch = batch.batch;
    let mut first = None;
    for _ in 0..3 {
        let claim = journal.claim(batch, 7).unwrap().unwrap();
        assert!(!claim.solo);
        assert_eq!(*first.get_or_insert(claim.job), claim.job);
        die(journal);
        journal = desk.journal();
    }
    let next = journal.claim(batch, 7).unwrap().unwrap();
    assert!(Some(next.job) != first && !next.solo);
    let last = journal.claim(batch, 7).unwrap().unwrap();
    assert!(Some(last.job) == first && last.solo);
    assert_eq!(last.attempt, 1, "nobody says that it is its fault");
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
    let desk = Desk::new();
    let first = desk.journal();
    let lock = desk.path(&format!(".lipflow/controller-{}.lock", first.controller()));
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(&lock, &lock).unwrap();
    assert!(fs::metadata(&lock).is_err());
    assert!(first.is_attended().unwrap());
}

#[test]
fn only_what_was_entered_is_an_artifact() {
    let desk = Desk::new();
    let journal = desk.journal();
    let path = desk.path("report.html");
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

#[test]
fn a_journal_of_the_first_version_opens() {
    let desk = Desk::new();
    let folder = desk.path(".lipflow");
    fs::create_dir(&folder).unwrap();
    for name in ["a.mp4", "b.mp4", "manifest.json"] {
        fs::write(desk.path(name), name).unwrap();
    }
    let db = Connection::open(folder.join(FILE)).unwrap();
    db.execute_batch(schema::FIRST).unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    let root = text(desk.folder.path());
    db.execute(
        "INSERT INTO batches VALUES (1, 'list a', 'lipflow', ?1, 0)",
        [root],
    )
    .unwrap();
    // One was made, one was left alone: that one's stamp stood for a result.
    for (id, name, sha256) in [(1, "a.mp4", Some("a.mp4")), (2, "b.mp4", None)] {
        let stamp = Stamp::of(&desk.path(name)).unwrap();
        let planned = desk.planned(name);
        db.execute(
            "INSERT INTO jobs(id, batch, position, output, spec, state, identity, sha256, size,
               modified) VALUES (?1, 1, ?1, ?2, ?3, 'done', 'one', ?4, ?5, ?6)",
            params![
                id,
                text(&planned.output),
                serde_json::to_string(&planned.job).unwrap(),
                sha256.map(|name| digest(&desk.path(name))),
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
    let mut journal = desk.journal();
    let begun = desk.begin(&mut journal, &["a.mp4", "b.mp4"], "one", false);
    assert_eq!((begun.batch, begun.already_done), (1, 1));
    let claim = journal.claim(1, 7).unwrap().unwrap();
    assert_eq!(claim.spec.output, Some(desk.path("b.mp4")));
    assert_eq!(claim.spec.if_exists, IfExists::Refuse, "it is not ours");
    assert!(journal.is_artifact(&desk.path("manifest.json")).unwrap());
}

#[test]
fn nobody_else_reads_a_journal() {
    use std::os::unix::fs::PermissionsExt;

    let desk = Desk::new();
    let journal = desk.journal();
    let path = desk.path(".lipflow/journal.db");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&desk.path(".lipflow/journal.db-wal")), 0o600);
    drop(journal);
    // One of an earlier version.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    drop(desk.journal());
    assert_eq!(mode(&path), 0o600);
}
