//! Runs a batch: claims jobs from the ledger, hands them to workers, and watches both.
//!
//! It is a state machine over four seams: the [`Ledger`], the [`Store`], the [`Hands`] and the
//! [`Clock`]. [`Supervisor::step`] takes in what has happened and decides what is to happen; nothing in
//! it waits for long, starts a process by itself or asks what time it is, so that a test can run a batch
//! of hours in a moment and again from its seed.
//!
//! Everything that happens is collected as changes to the journal and as announcements; a moment's
//! changes are applied first, then its announcements are made, and what workers are told because of
//! them is told last.

mod active;
mod answers;
mod background;
mod checks;
mod dispatch;
mod endings;
mod estimator;
mod finish;
mod hands;
mod memory;
mod policy;
mod processes;
mod progress;
mod publisher;
mod record;
mod waiting;
mod watch;

pub use hands::{Aside, Exit, Hands, Input};
pub use processes::Processes;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::cancel::Stop;
use crate::clock::Clock;
use crate::event::{BatchProgress, Event, Progress};
use crate::journal::{Begun, Change, Claim, Counts, Lease, Ledger, Result};
use crate::reach::Named;
use crate::store::Store;
use crate::worker::limits::Limits;
use crate::worker::protocol::Order;

use active::{Active, Cancellation};
use checks::Check;
use dispatch::Hiring;
use estimator::Estimator;
use hands::Worker;
use record::Announcement;
use waiting::Waiting;

/// How often time-outs are looked at while nobody says anything.
const TICK: Duration = Duration::from_millis(40);
/// How often the journal is asked for wishes of other processes.
const CANCELLATIONS_INTERVAL: Duration = Duration::from_millis(250);
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
    /// What workers may not do. The network is theirs from the first job on that needs it.
    pub limits: Limits,
}

/// How a batch ended.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Its last figures.
    pub progress: BatchProgress,
    /// It was stopped with jobs still to do.
    pub is_interrupted: bool,
}

/// The world that a supervisor works in.
pub struct Seams {
    pub ledger: Rc<dyn Ledger>,
    pub store: Rc<dyn Store>,
    pub hands: Box<dyn Hands>,
    pub clock: Rc<dyn Clock>,
}

/// Where a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// There are jobs.
    Working,
    /// The report's pictures are made; not longer than until then.
    Pictures { until: Instant },
    /// The last word is to be written, and said.
    LastWord,
}

pub struct Supervisor<'a> {
    ledger: Rc<dyn Ledger>,
    store: Rc<dyn Store>,
    hands: Box<dyn Hands>,
    clock: Rc<dyn Clock>,
    stage: Stage,
    begun: Begun,
    options: Options,
    stop: Stop,
    emit: Box<dyn FnMut(&Event) + 'a>,
    workers: BTreeMap<u64, Worker>,
    next_serial: u64,
    hiring: Hiring,
    jobs: BTreeMap<i64, Active>,
    /// A claimed job that waits for a worker of its own, or for this supervisor.
    held: Option<Claim>,
    /// Ended attempts whose outputs are being read.
    checks: BTreeMap<Lease, Check>,
    /// Outputs that nobody could be found to read.
    unchecked: Vec<Lease>,
    is_recovering: bool,
    /// The worker that looks into files for estimates and makes pictures for the report.
    background: Option<u64>,
    /// What it is to do; pictures with the attempt that they are of.
    background_tasks: VecDeque<(Order, Option<Lease>)>,
    background_task: Option<Option<Lease>>,
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
    /// The ledger may have entered a claim of which nobody heard.
    is_to_reconcile: bool,
    said_finishing: bool,
    /// The files that the jobs name, as far as they are known.
    named: Named,
    /// What workers have said of the cache of faces.
    said_of_faces: HashSet<String>,
    last_batch: Option<Instant>,
    last_cancellations: Instant,
    last_survey: Option<Instant>,
}

impl<'a> Supervisor<'a> {
    pub fn new(
        seams: Seams,
        begun: Begun,
        options: Options,
        stop: Stop,
        emit: impl FnMut(&Event) + 'a,
    ) -> Self {
        let Seams {
            ledger,
            store,
            hands,
            clock,
        } = seams;
        let now = clock.now();
        Self {
            ledger,
            store,
            hands,
            clock,
            stage: Stage::Working,
            begun,
            options,
            stop,
            emit: Box::new(emit),
            workers: BTreeMap::new(),
            next_serial: 0,
            hiring: Hiring::default(),
            jobs: BTreeMap::new(),
            held: None,
            checks: BTreeMap::new(),
            unchecked: Vec::new(),
            is_recovering: false,
            background: None,
            background_tasks: VecDeque::new(),
            background_task: None,
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
            is_to_reconcile: false,
            said_finishing: false,
            named: Named::default(),
            said_of_faces: HashSet::new(),
            last_batch: None,
            last_cancellations: now,
            last_survey: None,
        }
    }

    /// Works until all is done, or as long as `stop` lets it.
    pub fn run(mut self) -> Result<Summary> {
        self.prepare()?;
        loop {
            if let Some(summary) = self.step()? {
                return Ok(summary);
            }
        }
    }

    /// Looks at what there is to do, before the first step.
    pub fn prepare(&mut self) -> Result<()> {
        for (path, media) in self.ledger.media()? {
            self.estimator.learn_media(path, media);
        }
        self.counts = self.ledger.counts(self.begun.batch)?;
        self.waiting.read(&*self.ledger, self.begun.batch)?;
        self.name_files();
        self.remember_disks();
        Ok(())
    }

    /// Takes in what has happened, waiting a little for it, and does what follows. Gives the summary
    /// when all is over.
    pub fn step(&mut self) -> Result<Option<Summary>> {
        self.take_in()?;
        for lease in std::mem::take(&mut self.unchecked) {
            self.checked(lease, false);
        }
        match self.stage {
            Stage::Working => self.work()?,
            Stage::Pictures { until } => self.finish_pictures(until)?,
            Stage::LastWord => return self.last_word(),
        }
        Ok(None)
    }

    fn work(&mut self) -> Result<()> {
        self.watch_limits();
        self.read_cancellations()?;
        self.survey()?;
        self.reconcile()?;
        // With what is known to wait, and before any of it begins.
        self.watch_disks();
        self.let_go_of_held();
        self.dispatch()?;
        self.run_background();
        self.tell_batch()?;
        self.flush()?;
        if self.is_over()? {
            self.end_work();
        }
        Ok(())
    }

    /// Takes in what workers have said, waiting a little for the first word.
    fn take_in(&mut self) -> Result<()> {
        let mut wait = TICK;
        for _ in 0..MOST_INPUTS {
            match self.hands.next(wait) {
                Some(Input::Answer(worker, answer)) => self.answered(worker, *answer),
                Some(Input::Gone(worker)) => self.worker_gone(worker),
                Some(Input::Checked(lease, is_there)) => self.checked(lease, is_there),
                Some(Input::Recovered(count)) => self.recovered(count)?,
                None => break,
            }
            wait = Duration::ZERO;
        }
        Ok(())
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
