//! Runs a batch: claims jobs from the journal, hands them to worker processes, and watches both.
//!
//! Everything that happens is collected as changes to the journal and as announcements; a moment's
//! changes are applied first, then its announcements are made, and what workers are told because of
//! them is told last.

mod endings;
mod estimator;
mod memory;
mod policy;
mod record;
mod watch;
mod worker;

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::cancel::{Haste, Stop};
use crate::digest;
use crate::event::{
    BatchProgress, Body, Event, JobState, Outcome, Phase, Progress, display, seconds,
};
use crate::job::{Job, THREADS};
use crate::journal::{Begun, Change, Claim, Counts, Journal, Result, Stamp};
use crate::pipeline::probe::Role;
use crate::pipeline::template::Template;
use crate::worker::protocol::{Answer, Order};

use estimator::Estimator;
use record::started;
use worker::Worker;

/// How often time-outs are looked at while nobody says anything.
const TICK: Duration = Duration::from_millis(40);
/// How soon a worker that could not be started is tried again.
const HIRE_INTERVAL: Duration = Duration::from_secs(2);
/// How often the batch says how far it is.
const BATCH_INTERVAL: Duration = Duration::from_millis(400);
/// How often the journal is asked for wishes of other processes.
const WISHES_INTERVAL: Duration = Duration::from_millis(250);
/// How often jobs of dead controllers are looked for, and what is left to do is estimated anew.
const SURVEY_INTERVAL: Duration = Duration::from_secs(2);
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

/// What comes in from workers.
pub enum Input {
    Answer(u64, Box<Answer>),
    Gone(u64),
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancellation {
    /// Somebody wants this job cancelled.
    Wish,
    /// The batch is stopped; the job is for the next start.
    Stop,
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
    hire_failed: Option<Instant>,
    jobs: BTreeMap<i64, Active>,
    /// A claimed job that waits for a worker of its own.
    held: Option<Claim>,
    /// The worker that looks into files for estimates and makes pictures for the report.
    background: Option<u64>,
    errands: VecDeque<Order>,
    errand: Option<Order>,
    changes: Vec<Change>,
    announcements: Vec<Announcement>,
    orders: Vec<(u64, Order)>,
    estimator: Estimator,
    waiting: Vec<Job>,
    counts: Counts,
    begin: Instant,
    video_s: f64,
    /// Why nothing moves, where that is on purpose.
    paused: Option<String>,
    journal_fails_since: Option<Instant>,
    said_finishing: bool,
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
            hire_failed: None,
            jobs: BTreeMap::new(),
            held: None,
            background: None,
            errands: VecDeque::new(),
            errand: None,
            changes: Vec::new(),
            announcements: Vec::new(),
            orders: Vec::new(),
            estimator: Estimator::default(),
            waiting: Vec::new(),
            counts: Counts::default(),
            begin: now,
            video_s: 0.0,
            paused: None,
            journal_fails_since: None,
            said_finishing: false,
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
        loop {
            self.take_in();
            self.watch_limits();
            self.hear_wishes()?;
            self.survey()?;
            // With what is known to wait, and before any of it begins.
            self.watch_disks();
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
    fn take_in(&mut self) {
        let mut next = self.inbox.recv_timeout(TICK).ok();
        let mut count = 0;
        while let Some(input) = next.take() {
            match input {
                Input::Answer(worker, answer) => self.answered(worker, *answer),
                Input::Gone(worker) => self.worker_gone(worker),
            }
            count += 1;
            if count < MOST_INPUTS {
                next = self.inbox.try_recv().ok();
            }
        }
    }

    fn answered(&mut self, worker: u64, answer: Answer) {
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.last_heard = Instant::now();
        }
        match answer {
            Answer::Alive => {}
            Answer::Said { event } => self.job_said(event),
            Answer::Identified {
                job,
                identity,
                digests,
            } => {
                for found in digests {
                    self.changes.push(Change::Digest {
                        path: found.path,
                        stamp: found.stamp,
                        sha256: found.sha256,
                    });
                }
                if let Some(identity) = identity {
                    self.changes.push(Change::Identified { job, identity });
                }
            }
            Answer::Made { job, made } => {
                let sha256 = made.sha256;
                if let Some(active) = self.jobs.get_mut(&job) {
                    active.promised = Some(sha256.clone());
                }
                self.changes.push(Change::Made { job, sha256 });
                self.orders.push((worker, Order::Publish { job }));
            }
            Answer::Ended {
                job,
                outcome,
                stamp,
            } => self.ended(job, outcome, stamp),
            Answer::Probed { path, stamp, media } => {
                self.errand = None;
                if let Some(media) = media {
                    self.estimator.learn_media(path.clone(), media);
                }
                if let Some(stamp) = stamp {
                    self.changes.push(Change::Media { path, stamp, media });
                }
            }
            Answer::Thumbnail { job, jpeg } => {
                self.errand = None;
                if let Some(jpeg) = jpeg {
                    self.changes.push(Change::Thumbnail { job, jpeg });
                }
            }
        }
    }

    fn job_said(&mut self, event: Event) {
        let Some((job, active)) = event
            .job
            .and_then(|job| Some((job, self.jobs.get_mut(&job)?)))
        else {
            return;
        };
        let now = Instant::now();
        match &event.body {
            Body::Progress(progress) => {
                if progress.phase != active.progress.phase
                    || progress.frames != active.progress.frames
                {
                    active.moved = now;
                }
                if progress.frames > 0 && progress.phase <= Phase::Draining {
                    let first = active.ran.map_or(now, |(first, _)| first);
                    active.ran = Some((first, now));
                }
                active.progress = progress.clone();
                if now - active.kept >= PROGRESS_INTERVAL {
                    active.kept = now;
                    let progress = progress.clone();
                    self.changes.push(Change::Progress { job, progress });
                }
                self.announcements.push(Announcement::Passing(event.into()));
            }
            // To the journal it is taken, not waiting.
            Body::State {
                state: JobState::Queued,
            } => {}
            Body::State { state } => {
                let state = *state;
                self.changes.push(Change::State { job, state });
                self.keep(event);
            }
            _ => self.keep(event),
        }
    }

    /// Announces an event that stays in the journal.
    fn keep(&mut self, event: Event) {
        self.announcements
            .push(Announcement::Kept(self.changes.len()));
        self.changes.push(Change::Event { event });
    }

    fn warn(&mut self, message: String) {
        self.keep(Event::now(Body::Warning {
            message,
            source: None,
        }));
    }

    /// Gives jobs to workers that have room.
    fn dispatch(&mut self) -> Result<()> {
        let may_begin = self.stop.haste() == Haste::None
            && self.paused.is_none()
            && self.journal_fails_since.is_none();
        if !may_begin {
            return Ok(());
        }
        while let Some(serial) = self.worker_with_room() {
            let Some(pid) = self.workers.get(&serial).map(Worker::pid) else {
                break;
            };
            let is_empty = self.workers.get(&serial).is_some_and(|w| w.jobs.is_empty());
            let claim = match self.held.take() {
                Some(claim) => {
                    if !claim.alone || is_empty {
                        self.keep(started(&claim, pid));
                    }
                    Some(claim)
                }
                None => self.flush_and_claim(Some((pid, is_empty)))?,
            };
            let Some(claim) = claim else { break };
            if claim.alone && !is_empty {
                self.held = Some(claim);
                break;
            }
            self.start(serial, claim);
        }
        Ok(())
    }

    /// The worker with the fewest jobs, started if there may be one more.
    fn worker_with_room(&mut self) -> Option<u64> {
        let background = self.background;
        let room = self
            .workers
            .iter()
            .filter(|(serial, worker)| {
                Some(**serial) != background && !worker.is_exclusive && !worker.is_retired
            })
            .map(|(serial, worker)| (worker.jobs.len(), *serial))
            .min();
        let count = self.workers.len() - usize::from(background.is_some());
        match room {
            Some((0, serial)) => Some(serial),
            Some((jobs, serial))
                if count >= self.options.workers && jobs < self.options.jobs_per_worker =>
            {
                Some(serial)
            }
            _ if count < self.options.workers && self.counts.queued > 0 => self.hire(false),
            _ => None,
        }
    }

    fn hire(&mut self, is_background: bool) -> Option<u64> {
        if self
            .hire_failed
            .is_some_and(|at| at.elapsed() < HIRE_INTERVAL)
        {
            return None;
        }
        let serial = self.next_serial;
        self.next_serial += 1;
        match Worker::start(serial, is_background, &self.sender) {
            Ok(worker) => {
                self.workers.insert(serial, worker);
                Some(serial)
            }
            Err(error) => {
                self.hire_failed = Some(Instant::now());
                self.warn(format!("No worker could be started: {error}"));
                None
            }
        }
    }

    fn start(&mut self, serial: u64, claim: Claim) {
        let job = claim.job;
        let now = Instant::now();
        let mut spec = claim.spec.clone();
        if let Some(worker) = self.workers.get_mut(&serial) {
            worker.jobs.push(job);
            worker.is_exclusive = claim.alone;
        }
        let (face_digest, speech_digest) = (claim.face_digest.clone(), claim.speech_digest.clone());
        let promised = claim.promised.clone();
        self.jobs.insert(
            job,
            Active {
                claim,
                worker: serial,
                started: now,
                progress: Progress::default(),
                moved: now,
                promised: None,
                ran: None,
                kept: now,
                cancelled: None,
            },
        );
        if let (Some(promised), Some(output)) = (promised, spec.output.as_deref())
            && digest::is_of(output, &promised)
        {
            // An earlier attempt got further than anybody could tell.
            let outcome = Outcome {
                output: Some(display(output)),
                ..Outcome::nothing(JobState::Done, &Progress::default())
            };
            let stamp = Stamp::of(output).ok();
            self.ended(job, outcome, stamp);
            return;
        }
        if let Some(folder) = spec.output.as_deref().and_then(|output| output.parent()) {
            // What is wrong with it is said by the job.
            let _ = std::fs::create_dir_all(folder);
        }
        spec.graph = Some(self.journal.folder().join(format!("stuck-{job}.dot")));
        if let Some(threads) = self.options.threads {
            let template = Template::load(&spec.template).ok();
            for name in THREADS {
                let is_open = template.as_ref().is_some_and(|t| t.param(name).is_some())
                    && spec.parameter(name).is_none();
                if is_open {
                    spec.parameters.push((name.into(), threads.to_string()));
                }
            }
        }
        let order = Order::Run {
            job,
            spec: Box::new(spec),
            face_digest,
            speech_digest,
        };
        self.orders.push((serial, order));
    }

    /// Estimates and pictures are made beside the work, one at a time.
    fn run_errands(&mut self) {
        if self.errand.is_some() || self.paused.is_some() {
            return;
        }
        let Some(order) = self.errands.pop_front() else {
            return;
        };
        let serial = match self.background {
            Some(serial) => serial,
            None => match self.hire(true) {
                Some(serial) => serial,
                None => return,
            },
        };
        self.background = Some(serial);
        self.errand = Some(order.clone());
        self.orders.push((serial, order));
    }

    fn finish_errands(&mut self) {
        const LIMIT: Duration = Duration::from_secs(20);
        let end = Instant::now() + LIMIT;
        // Nobody needs estimates any more.
        self.errands
            .retain(|order| matches!(order, Order::Thumbnail { .. }));
        while Instant::now() < end
            && self.stop.haste() != Haste::Now
            && (self.errand.is_some() || !self.errands.is_empty())
        {
            self.run_errands();
            if self.flush().is_err() {
                return;
            }
            self.take_in();
            let _ = self.tell_batch(false);
        }
    }

    /// Looks at what is left to do.
    fn survey(&mut self) -> Result<()> {
        if self
            .last_survey
            .is_some_and(|at| at.elapsed() < SURVEY_INTERVAL)
        {
            return Ok(());
        }
        let is_first = self.last_survey.is_none();
        self.last_survey = Some(Instant::now());
        if self.journal_fails_since.is_none() && !is_first {
            let recovered = self.journal.recover();
            let recovered = self.unless_it_passes(recovered)?.unwrap_or(0);
            if recovered > 0 {
                self.warn(format!(
                    "Another controller has died; its jobs ({recovered}) go on here"
                ));
            }
        }
        let waiting = self.journal.waiting(self.begun.batch);
        if let Some(waiting) = self.unless_it_passes(waiting)? {
            self.waiting = waiting;
        }
        if self.errands.is_empty() {
            let mut unknown = Vec::new();
            for job in &self.waiting {
                for (path, role) in [(&job.face, Role::Face), (&job.speech, Role::Speech)] {
                    let errand = Order::Probe {
                        path: path.clone(),
                        role,
                    };
                    if !self.estimator.knows(path) && !unknown.contains(&errand) {
                        unknown.push(errand);
                    }
                }
                if unknown.len() > 50 {
                    break;
                }
            }
            for errand in &unknown {
                if let Order::Probe { path, .. } = errand {
                    // Asked once, whatever comes of it.
                    self.estimator.ask(path.clone());
                }
            }
            self.errands.extend(unknown);
        }
        Ok(())
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
            paused: self.paused.clone(),
        }
    }

    fn time_left(&self) -> Option<f64> {
        let waiting = self.estimator.seconds(&self.waiting)?;
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
        if !self.jobs.is_empty() || self.held.is_some() || !self.changes.is_empty() {
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
