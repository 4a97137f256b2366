//! The rules of the supervisor one by one; `simulation` has them all at once.

use tempfile::TempDir;

use super::simulation::ledger::{FaultInjection, Unreliable};
use super::*;
use crate::clock::SystemClock;
use crate::event::{Body, JobState, Outcome, Phase};
use crate::journal::contract::ClaimOne;
use crate::journal::{Journal, Planned, Start};
use crate::publish::LocalStore;
use crate::worker::limits::{Confinement, Limits};
use crate::worker::protocol::Answer;

/// Workers that do nothing.
#[derive(Default)]
struct Idle;

impl Hands for Idle {
    fn hire(&mut self, _: u64, _: bool, _: &Confinement) -> std::io::Result<u32> {
        Ok(1)
    }

    fn order(&mut self, _: u64, _: &Order) {}

    fn kill(&mut self, _: u64) {}

    fn reap(&mut self, _: u64) -> Exit {
        Exit {
            reason: "killed".into(),
            signal: Some(libc::SIGKILL),
        }
    }

    fn keeps_too_much(&self, _: u64, _: usize) -> bool {
        false
    }

    fn aside(&mut self, _: Aside) -> bool {
        false
    }

    fn next(&mut self, _: Duration) -> Option<Input> {
        None
    }
}

fn options() -> Options {
    Options {
        workers: 1,
        jobs_per_worker: 1,
        attempts: 3,
        min_free: 0,
        threads: None,
        limits: Limits::default(),
    }
}

/// A batch of one job that is in a worker, which does nothing.
struct Fixture {
    /// Kept until the test is over.
    _folder: TempDir,
    journal: Rc<Journal>,
    begun: Begun,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&folder.path().join("state")).unwrap();
        journal.sign_in().unwrap();
        let output = folder.path().join("o.mp4");
        let job = serde_json::from_value(serde_json::json!({
            "face": "f.mp4", "speech": "s.wav", "output": output, "template": "file",
            "parameters": [], "end_mode": "speech", "loop_mode": null, "if_exists": "refuse",
            "stuck_after": {"secs": 30, "nanos": 0}, "graph": null, "dry_run": false
        }));
        let jobs = [Planned {
            job: job.unwrap(),
            output,
        }];
        let begun = journal.begin(&Start {
            source: "",
            command: "",
            root: folder.path(),
            jobs: &jobs,
            force: false,
            store: &LocalStore,
            identity: &|_| Ok(None),
        });
        Self {
            begun: begun.unwrap(),
            journal: Rc::new(journal),
            _folder: folder,
        }
    }

    fn with(&self, test: impl FnOnce(&mut Supervisor<'_>, Lease)) {
        let seams = Seams {
            ledger: self.journal.clone(),
            store: Rc::new(LocalStore),
            hands: Box::new(Idle),
            clock: Rc::new(SystemClock),
        };
        let mut supervisor = Supervisor::new(seams, self.begun, options(), Stop::default(), |_| {});
        let now = supervisor.clock.now();
        let mut worker = Worker::new(7, Confinement::default(), now);
        worker.is_ready = true;
        let claim = self.journal.claim(self.begun.batch, 7).unwrap().unwrap();
        let lease = claim.lease();
        worker.jobs.push(lease.job);
        supervisor.workers.insert(WORKER, worker);
        supervisor
            .jobs
            .insert(lease.job, Active::new(claim, WORKER, now));
        test(&mut supervisor, lease);
    }
}

const WORKER: u64 = 5;

fn ended(lease: Lease) -> Answer {
    Answer::Ended {
        lease,
        outcome: Outcome::nothing(JobState::Done, &Progress::default()),
        stamp: None,
    }
}

#[test]
fn answers_of_a_worker_that_was_killed_come_too_late() {
    let fixture = Fixture::new();
    fixture.with(|supervisor, lease| {
        // One is gone altogether, the other works on something else by now.
        supervisor.answered(WORKER - 1, ended(lease));
        let other = Worker::new(8, Confinement::default(), supervisor.clock.now());
        supervisor.workers.insert(WORKER + 1, other);
        supervisor.answered(WORKER + 1, ended(lease));
        let sha256 = "ab".to_owned();
        let made = crate::worker::Made { sha256 };
        supervisor.answered(
            WORKER + 1,
            Answer::Made {
                lease,
                made,
                identity: None,
            },
        );
        // Or it is the same worker, and speaks of an attempt that is over.
        let earlier = Lease {
            epoch: lease.epoch - 1,
            ..lease
        };
        supervisor.answered(WORKER, ended(earlier));
        let said = Answer::Event {
            lease: earlier,
            event: Event::of_job(lease.job, Body::from(JobState::Finishing)),
        };
        supervisor.answered(WORKER, said);
        assert!(supervisor.jobs.contains_key(&lease.job));
        assert!(supervisor.changes.is_empty() && supervisor.orders.is_empty());
        supervisor.answered(WORKER, ended(lease));
        assert!(supervisor.jobs.is_empty());
        supervisor.flush().unwrap();
    });
    assert_eq!(fixture.journal.counts(fixture.begun.batch).unwrap().done, 1);
}

#[test]
fn a_batch_does_not_end_while_nobody_can_say_whether_there_is_more() {
    let fixture = Fixture::new();
    let injection = Rc::new(FaultInjection::default());
    let mut journal = Journal::open(fixture.journal.folder()).unwrap();
    journal.sign_in().unwrap();
    let seams = Seams {
        ledger: Rc::new(Unreliable {
            inner: journal,
            injection: injection.clone(),
        }),
        store: Rc::new(LocalStore),
        hands: Box::new(Idle),
        clock: Rc::new(SystemClock),
    };
    let mut supervisor = Supervisor::new(seams, fixture.begun, options(), Stop::default(), |_| {});
    // As after the last job: another start puts one back, and then the journal fails.
    supervisor.stage = Stage::LastWord;
    injection.can_not_count.set(true);
    for _ in 0..3 {
        assert!(supervisor.step().unwrap().is_none());
    }
    injection.can_not_count.set(false);
    for _ in 0..3 {
        assert!(supervisor.step().unwrap().is_none());
    }
    assert_eq!(supervisor.stage, Stage::Working);
}

/// Found by simulation, seed 12952: its next job stood still until it was given up.
#[test]
fn a_worker_whose_job_ends_in_a_pause_goes_on_after_it() {
    let fixture = Fixture::new();
    fixture.with(|supervisor, lease| {
        supervisor.order_pause(true);
        supervisor.answered(WORKER, ended(lease));
        assert!(supervisor.jobs.is_empty());
        supervisor.orders.clear();
        supervisor.order_pause(false);
        let order = Order::Pause { pause: false };
        assert!(supervisor.orders.contains(&(WORKER, order)));
    });
}

#[test]
fn memory_does_not_grow_while_the_journal_fails() {
    let fixture = Fixture::new();
    fixture.journal.hurry();
    fixture.with(|supervisor, lease| {
        // Somebody writes for longer than anyone waits.
        let other =
            rusqlite::Connection::open(fixture.journal.folder().join("journal.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        for frames in 0..1000 {
            let progress = Progress {
                frames,
                phase: Phase::Running,
                ..Progress::default()
            };
            let event = Event::of_job(lease.job, Body::from(progress));
            supervisor.jobs.get_mut(&lease.job).unwrap().kept -= PROGRESS_INTERVAL;
            supervisor.answered(WORKER, Answer::Event { lease, event });
            supervisor.flush().unwrap();
        }
        assert!(supervisor.paused.is_some() && supervisor.announcements.is_empty());
        let waiting = supervisor.changes.len() + supervisor.positions.len();
        assert!(waiting <= 2, "{waiting}");
        other.execute_batch("COMMIT").unwrap();
        supervisor.flush().unwrap();
        supervisor.flush().unwrap();
        assert_eq!(supervisor.paused, None);
    });
    let row = &fixture.journal.jobs(fixture.begun.batch, false).unwrap()[0];
    let frames = row.progress.as_ref().map(|progress| progress.frames);
    assert_eq!(frames, Some(999), "the last one is not lost");
}

#[test]
fn memory_does_not_grow_with_what_a_job_warns_of() {
    let fixture = Fixture::new();
    fixture.with(|supervisor, lease| {
        for _ in 0..1000 {
            let warning = Body::Warning {
                message: "a frame is broken".into(),
                source: None,
            };
            let event = Event::of_job(lease.job, warning);
            supervisor.answered(WORKER, Answer::Event { lease, event });
        }
        let kept = supervisor.changes.len();
        assert!(kept <= 50, "{kept}");
    });
}

#[test]
fn memory_does_not_grow_with_pictures_that_nobody_makes() {
    let fixture = Fixture::new();
    fixture.with(|supervisor, lease| {
        // The worker for it has one, and does not come back.
        supervisor.background_task = Some(Some(lease));
        for _ in 0..5000 {
            let active = Active::new(
                supervisor.jobs[&lease.job].claim.clone(),
                WORKER,
                supervisor.begin,
            );
            let outcome = Outcome::nothing(JobState::Done, &Progress::default());
            supervisor.done(lease.job, active, outcome, None);
            supervisor.changes.clear();
            supervisor.announcements.clear();
        }
        assert!(supervisor.background_tasks.len() <= 1000);
    });
}

#[test]
fn what_a_job_is_is_read_once_while_it_waits() {
    let fixture = Fixture::new();
    let batch = fixture.begun.batch;
    let mut waiting = Waiting::default();
    waiting.read(&*fixture.journal, batch).unwrap();
    assert_eq!((waiting.len(), waiting.jobs().count()), (1, 1));
    // It would not be found a second time.
    let db = rusqlite::Connection::open(fixture.journal.folder().join("journal.db")).unwrap();
    db.execute("UPDATE jobs SET spec = 'nothing that can be read'", [])
        .unwrap();
    waiting.read(&*fixture.journal, batch).unwrap();
    assert_eq!(waiting.len(), 1);
    fixture.journal.cancel(batch, &[]).unwrap();
    waiting.read(&*fixture.journal, batch).unwrap();
    assert_eq!(waiting.len(), 0);
}
