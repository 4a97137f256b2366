//! Runs a batch: claims jobs from the journal, hands them to worker processes, and watches both.
//!
//! Everything that happens is collected as changes to the journal and as announcements; a moment's
//! changes are applied first, then its announcements are made, and what workers are told because of
//! them is told last.

mod answers;
mod checks;
mod dispatch;
mod endings;
mod errands;
mod estimator;
mod memory;
mod policy;
mod record;
mod waiting;
mod watch;
mod worker;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::cancel::{Haste, Stop};
use crate::event::{BatchProgress, Body, Event, Progress, seconds};
use crate::journal::{Begun, Change, Claim, Counts, Journal, Lease, Result};
use crate::worker::protocol::{Answer, Order};

use checks::Check;
use dispatch::Hiring;
use estimator::Estimator;
use waiting::Waiting;
use worker::Worker;

/// How often time-outs are looked at while nobody says anything.
const TICK: Duration = Duration::from_millis(40);
/// How often the batch says how far it is.
const BATCH_INTERVAL: Duration = Duration::from_millis(400);
/// How often the journal is asked for wishes of other processes.
const WISHES_INTERVAL: Duration = Duration::from_millis(250);
/// How often the journal keeps a running job's progress, for `lipflow status`.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// The most that is taken in before the journal is written.
const MOST_INPUTS: usize = 500;

/// How a batch is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Worker processes.
    pub workers: usize,
    /// Pipelines in each of them.
    pub jobs_per_worker: usize,
    /// How often a job is tried.
    pub attempts: u32,
    /// Bytes below which no disk may fall.
    pub min_free: u64,
    /// Threads of the model and of the encoder in each pipeline; none leaves it to them.
    pub threads: Option<usize>,
}

/// What comes in from workers, and from threads that read whole files.
pub enum Input {
    Answer(u64, Box<Answer>),
    Gone(u64),
    /// Whether the output of the attempt is the one that was promised.
    Checked(Lease, bool),
    /// So many jobs of dead controllers were given back.
    Recovered(Result<u64>),
}

/// A job in a worker.
struct Active {
    claim: Claim,
    worker: u64,
    started: Instant,
    progress: Progress,
    /// When it last moved: entered a phase, or made a frame.
    moved: Instant,
    /// The digest under which its output may get its name.
    promised: Option<String>,
    /// When its pipeline ran, from its first frame to its last.
    ran: Option<(Instant, Instant)>,
    kept: Instant,
    cancelled: Option<(Instant, Cancellation)>,
    warnings: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancellation {
    /// Somebody wants this job cancelled.
    Wish,
    /// The batch is stopped; the job is for the next start.
    Stop,
    /// Somebody else has it now, and nothing may be said of it here.
    Lost,
}

/// What is said once the journal has what it is about.
enum Announcement {
    /// Index of the change that has the event.
    Kept(usize),
    Passing(Box<Event>),
}

/// How a batch ended.
#[derive(Clone, Debug)]
pub struct Summary {
    pub progress: BatchProgress,
    pub is_interrupted: bool,
}

pub struct Supervisor<'a> {
    journal: &'a Journal,
    begun: Begun,
    options: Options,
    stop: Stop,
    emit: &'a mut dyn FnMut(&Event),
    inbox: mpsc::Receiver<Input>,
    /// For the readers of new workers.
    sender: mpsc::Sender<Input>,
    workers: BTreeMap<u64, Worker>,
    next_serial: u64,
    hiring: Hiring,
    jobs: BTreeMap<i64, Active>,
    /// A claimed job that waits for a worker of its own, or for this supervisor.
    held: Option<Claim>,
    /// Ended attempts whose outputs are being read.
    checks: BTreeMap<Lease, Check>,
    is_recovering: bool,
    /// The worker that looks into files for estimates and makes pictures for the report.
    background: Option<u64>,
    /// What it is to do; pictures with the attempt that they are of.
    errands: VecDeque<(Order, Option<Lease>)>,
    errand: Option<Option<Lease>>,
    /// The last position of each job that the journal is to have.
    positions: BTreeMap<Lease, Progress>,
    changes: Vec<Change>,
    announcements: Vec<Announcement>,
    orders: Vec<(u64, Order)>,
    estimator: Estimator,
    waiting: Waiting,
    counts: Counts,
    begin: Instant,
    video_s: f64,
    /// Why nothing moves, where that is on purpose.
    paused: Option<String>,
    /// The file systems of the outputs' folders and of those above each.
    devices: HashMap<PathBuf, Vec<u64>>,
    journal_fails_since: Option<Instant>,
    said_finishing: bool,
    /// What workers have said of the cache of faces.
    said_of_faces: HashSet<String>,
    last_batch: Option<Instant>,
    last_wishes: Instant,
    last_survey: Option<Instant>,
}

impl<'a> Supervisor<'a> {
    pub fn new(
        journal: &'a Journal,
        begun: Begun,
        options: Options,
        stop: Stop,
        emit: &'a mut dyn FnMut(&Event),
    ) -> Self {
        let (sender, inbox) = mpsc::channel();
        let now = Instant::now();
        Self {
            journal,
            begun,
            options,
            stop,
            emit,
            inbox,
            sender,
            workers: BTreeMap::new(),
            next_serial: 0,
            hiring: Hiring::default(),
            jobs: BTreeMap::new(),
            held: None,
            checks: BTreeMap::new(),
            is_recovering: false,
            background: None,
            errands: VecDeque::new(),
            errand: None,
            positions: BTreeMap::new(),
            changes: Vec::new(),
            announcements: Vec::new(),
            orders: Vec::new(),
            estimator: Estimator::default(),
            waiting: Waiting::default(),
            counts: Counts::default(),
            begin: now,
            video_s: 0.0,
            paused: None,
            devices: HashMap::new(),
            journal_fails_since: None,
            said_finishing: false,
            said_of_faces: HashSet::new(),
            last_batch: None,
            last_wishes: now,
            last_survey: None,
        }
    }

    /// Works until all is done, or as long as `stop` lets it.
    pub fn run(mut self) -> Result<Summary> {
        for (path, media) in self.journal.media()? {
            self.estimator.learn_media(path, media);
        }
        self.counts = self.journal.counts(self.begun.batch)?;
        self.waiting.read(self.journal, self.begun.batch)?;
        self.remember_disks();
        loop {
            self.take_in()?;
            self.watch_limits();
            self.hear_wishes()?;
            self.survey()?;
            // With what is known to wait, and before any of it begins.
            self.watch_disks();
            self.let_go_of_held();
            self.dispatch()?;
            self.run_errands();
            self.tell_batch(false)?;
            self.flush()?;
            if self.is_over()? {
                break;
            }
        }
        // Workers have nothing left to do; the report's pictures may take a moment.
        self.finish_errands();
        self.counts = self.journal.counts(self.begun.batch)?;
        self.tell_batch(true)?;
        self.flush()?;
        Ok(Summary {
            progress: self.progress(),
            is_interrupted: self.stop.haste() != Haste::None && self.counts.open() > 0,
        })
    }

    /// Takes in what workers have said, waiting a little for the first word.
    fn take_in(&mut self) -> Result<()> {
        let mut next = self.inbox.recv_timeout(TICK).ok();
        let mut count = 0;
        while let Some(input) = next.take() {
            match input {
                Input::Answer(worker, answer) => self.answered(worker, *answer),
                Input::Gone(worker) => self.worker_gone(worker),
                Input::Checked(lease, is_there) => self.checked(lease, is_there),
                Input::Recovered(count) => self.recovered(count)?,
            }
            count += 1;
            if count < MOST_INPUTS {
                next = self.inbox.try_recv().ok();
            }
        }
        Ok(())
    }

    /// Announces an event that stays in the journal.
    fn keep(&mut self, event: Event) {
        self.keep_of(None, event);
    }

    /// The same, of an attempt.
    fn keep_of(&mut self, lease: Option<Lease>, event: Event) {
        self.announcements
            .push(Announcement::Kept(self.changes.len()));
        self.changes.push(Change::Event { event, lease });
    }

    fn warn(&mut self, message: String) {
        self.keep(Event::now(Body::Warning {
            message,
            source: None,
        }));
    }

    /// Says how far the batch is, if it is time.
    fn tell_batch(&mut self, is_last: bool) -> Result<()> {
        let now = Instant::now();
        if !is_last && self.last_batch.is_some_and(|at| now - at < BATCH_INTERVAL) {
            return Ok(());
        }
        self.last_batch = Some(now);
        self.count()?;
        if is_last {
            let progress = self.progress();
            self.keep(Event::now(Body::BatchResult(progress)));
        } else {
            let event = Event::now(Body::Batch(self.progress()));
            self.announcements.push(Announcement::Passing(event.into()));
        }
        Ok(())
    }

    fn progress(&self) -> BatchProgress {
        let elapsed = self.begin.elapsed();
        let running: f64 = self.jobs.values().map(|j| j.progress.position_s).sum();
        let video_s = self.video_s + running;
        BatchProgress {
            total: self.counts.total(),
            done: self.counts.done,
            failed: self.counts.failed,
            cancelled: self.counts.cancelled,
            running: self.counts.running,
            queued: self.counts.queued,
            already_done: self.begun.already_done,
            elapsed_s: seconds(elapsed),
            video_s: (video_s * 1e3).round() / 1e3,
            speed: (video_s > 0.0 && elapsed.as_secs_f64() > 1.0)
                .then(|| video_s / elapsed.as_secs_f64()),
            eta_s: self.time_left(),
            paused: self.paused.clone().or_else(|| self.hiring.paused()),
        }
    }

    fn time_left(&self) -> Option<f64> {
        let waiting = self.estimator.seconds(self.waiting.jobs())?;
        let mut running = 0.0;
        for job in self.jobs.values() {
            running += match job.progress.eta_s {
                Some(eta) => eta,
                None => self.estimator.seconds([&job.claim.spec])?,
            };
        }
        let places = (self.options.workers * self.options.jobs_per_worker).max(1);
        let at_once = places.min(self.waiting.len() + self.jobs.len()).max(1);
        Some((waiting + running) / at_once as f64)
    }

    fn is_over(&mut self) -> Result<bool> {
        let is_busy = !self.jobs.is_empty() || self.held.is_some() || !self.checks.is_empty();
        if is_busy || !self.changes.is_empty() {
            return Ok(false);
        }
        if self.stop.haste() != Haste::None {
            return Ok(true);
        }
        // Jobs that another controller works on are waited for: they may come back.
        self.count()?;
        Ok(self.counts.open() == 0)
    }
}

#[cfg(test)]
mod tests;
