//! A speaking face on air.
//!
//! One pipeline makes the picture ([`engine`]); what it encodes is handed to every destination ([`fan`],
//! [`destination`]), each a pipeline of its own. Sound is pushed by the clock, 20 ms at a time, whether
//! somebody speaks or not ([`mix`], [`speech`]); the engine takes a frame of the face ([`face`]) when it
//! has the sound for it. So sound and picture can't drift apart, nor from the clock.

pub mod address;
pub mod control;
mod destination;
mod engine;
mod face;
mod fan;
mod learn;
mod mix;
mod must;
pub mod raw_sound;
pub mod shed;
pub mod socket;
pub mod speech;
mod stall;
mod voice;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::cancel::{Shutdown, Stop};
use crate::error::{Failure, FailureKind};
use crate::event::{Body, DestinationState, DestinationStatus, Event, LiveStatus, display};
use crate::faces::Learn;
use crate::job::check_input;
use crate::pipeline::classify::{self, Files};
use crate::pipeline::probe::{self, Probe, Role};
use crate::pipeline::template::Values;

use address::Address;
use control::{ControlCommand, Listener, Reply, Request, refused};
use destination::{Destination, Surroundings};
use engine::Engine;
use face::{Face, Feeder, Pace, Picture};
use learn::Learner;
use must::Must;
use shed::{Effort, Shedder};
use socket::Socket;
use speech::Speech;
use stall::Stall;
use voice::{SharedQueue, Voice};

/// How often figures are told.
const STATUS_INTERVAL: Duration = Duration::from_millis(500);
const TICK: Duration = Duration::from_millis(50);
/// How long the streams take to settle; drift is counted from then.
const SETTLED: Duration = Duration::from_secs(5);

/// What a broadcast begins with.
pub struct Options {
    pub face: PathBuf,
    pub learn: Learn,
    pub size: Option<(u32, u32)>,
    pub fps: (u32, u32),
    pub to: Vec<(Address, bool)>,
    pub speech: Vec<Speech>,
    /// What speaks while nothing else does.
    pub line: Option<Speech>,
    /// Where it comes in, if that is to be removed at the end.
    pub socket: Option<Socket>,
    /// Files that appear in it are said.
    pub watch: Option<PathBuf>,
    /// End when everything has been said.
    pub until_said: bool,
    pub control: PathBuf,
    pub values: Values,
    /// By the names of their templates.
    pub destination_values: BTreeMap<String, Values>,
}

/// What the parts of a broadcast tell its main loop.
pub enum Notice {
    Destination(DestinationStatus),
    Request(Request),
    /// What was asked for has been looked into, which takes a while, and somebody may wait for the answer.
    Ready(Result<Ready, Failure>, Option<mpsc::SyncSender<Reply>>),
    Warning(String),
    Message(String),
}

/// What is fit to go on air.
pub enum Ready {
    Speech(Prepared),
    /// With what was learnt of it.
    Face(PathBuf, Face, Option<PathBuf>),
}

/// Something to say, of which is known how long it is, if that can be known.
pub struct Prepared {
    speech: Speech,
    seconds: f64,
    arrived: Instant,
}

impl Prepared {
    /// Looks into files: what can't be said is refused before its turn.
    fn new(speech: Speech) -> Result<Self, Failure> {
        let arrived = Instant::now();
        let seconds = match &speech {
            Speech::File(path) => {
                check_input(path)?;
                let probe = probe::probe(path, Role::Speech)?;
                probe.duration.known().map_or(0.0, |d| d.as_secs_f64())
            }
            _ => 0.0,
        };
        Ok(Self {
            speech,
            seconds,
            arrived,
        })
    }
}

fn open_face(
    path: PathBuf,
    picture: &Picture,
    learner: Option<&Learner>,
    said: &mpsc::Sender<Notice>,
) -> Result<Ready, Failure> {
    check_input(&path)?;
    let probe = probe::probe(&path, Role::Face)?;
    let face = Face::open(&path, &probe, picture)?;
    let learnt = match learner {
        Some(learner) => learner.learn(&path, &probe, &|| false, &mut |event| {
            if let Body::Warning { message, .. } = &event.body {
                let _ = said.send(Notice::Warning(message.clone()));
            }
        })?,
        None => None,
    };
    Ok(Ready::Face(path, face, learnt))
}

/// Broadcasts until it is stopped.
pub fn run(mut options: Options, stop: &Stop, emit: &mut dyn FnMut(&Event)) -> Result<(), Failure> {
    let internal = |e: std::io::Error| Failure::new(FailureKind::Internal).detail(e);
    let _socket = options.socket.take();
    check_input(&options.face)?;
    let probe = probe::probe(&options.face, Role::Face)?;
    let picture = picture_of(&options, &probe)?;
    let face = Face::open(&options.face, &probe, &picture)?;
    let mut values = options.values.clone();
    let learner = Learner::new(options.learn, &values, picture);
    if let Some(learner) = &learner {
        let is_over = || stop.shutdown() != Shutdown::No;
        match learner.learn(&options.face, &probe, &is_over, emit) {
            Ok(Some(path)) => {
                if let Some(path) = path.to_str() {
                    values.insert("face-file", path);
                }
            }
            Ok(None) => {}
            Err(failure) if failure.is_cancellation() => return Ok(()),
            Err(failure) => return Err(failure),
        }
    }
    let begin = Instant::now();
    let engine = Arc::new(Engine::build(&values, begin)?);
    engine.face.set_caps(Some(&picture.caps()));
    let (sender, said) = mpsc::channel();
    let _control = Listener::start(&options.control, sender.clone()).map_err(|e| {
        Failure::of(FailureKind::Usage, &options.control)
            .because(format_args!("it can't be listened at: {e}"))
            .advice("Another broadcast may use it; give another with --control")
    })?;
    let surroundings = Surroundings {
        fan: engine.fan.clone(),
        said: sender.clone(),
        want_key: engine.key_request(),
        values: Arc::new(options.destination_values),
    };
    let pace = Arc::new(Pace {
        begin,
        stride: AtomicU64::new(1),
    });
    let mut studio = Studio {
        engine: engine.clone(),
        picture,
        learner,
        queue: SharedQueue::default(),
        destinations: Vec::new(),
        states: Vec::new(),
        surroundings,
        new_faces: None,
        face: face::Watch::new(&options.face),
        begin,
        sent_before: (0, begin),
        bitrate_kbps: 0.0,
        quiet_since: None,
        shedder: Shedder::default(),
        pace: pace.clone(),
        lead: None,
        must: Must::default(),
    };
    for speech in options.speech {
        studio.say(Prepared::new(speech)?);
    }
    if let Some(folder) = &options.watch
        && let Err(e) = std::fs::read_dir(folder)
    {
        return Err(Failure::of(FailureKind::InputMissing, folder)
            .detail(e)
            .advice("Make the folder first, or give another with --watch"));
    }
    for (address, must) in options.to {
        studio.add(address, must).map_err(internal)?;
    }
    let (faces, new_faces) = mpsc::channel();
    studio.new_faces = Some(faces);
    let is_over = Arc::new(AtomicBool::new(false));
    engine
        .pipeline
        .set_state(gst::State::Playing)
        .map_err(|e| {
            engine_failure(&engine).unwrap_or(Failure::new(FailureKind::Internal).detail(e))
        })?;
    std::thread::scope(|scope| {
        let feeding = engine.clone();
        let warn = sender.clone();
        scope.spawn(move || {
            let warn = |text| drop(warn.send(Notice::Warning(text)));
            Feeder::new(face, picture).run(&feeding.face, &new_faces, &pace, &warn);
        });
        let voice = Voice {
            engine: engine.clone(),
            queue: studio.queue.clone(),
            said: sender.clone(),
            is_over: is_over.clone(),
            begin,
        };
        let line = options.line;
        scope.spawn(move || voice.run(line));
        if let Some(folder) = options.watch {
            let (sender, is_over) = (sender.clone(), is_over.clone());
            scope.spawn(move || watch::watch(&folder, &sender, &is_over));
        }
        let result = studio.run(&said, stop, options.until_said, emit);
        is_over.store(true, Relaxed);
        // Both feeders end when the engine takes no more.
        let stopped = crate::pipeline::runner::stop(&engine.pipeline);
        engine.fan.close();
        studio.destinations.clear();
        // How they ended.
        for item in said.try_iter() {
            match item {
                Notice::Destination(status) => studio.destination_said(status, emit),
                Notice::Warning(message) => tell_warning(message, emit),
                _ => {}
            }
        }
        result.and(stopped)
    })
}

/// Why the engine stopped, if it did.
fn engine_failure(engine: &Engine) -> Option<Failure> {
    let bus = engine.pipeline.bus()?;
    let message = bus.pop_filtered(&[gst::MessageType::Error])?;
    let gst::MessageView::Error(error) = message.view() else {
        return None;
    };
    let source = message
        .src()
        .map_or_else(String::new, |src| src.name().into());
    let debug = error.debug();
    Some(classify::failure_of(
        &error.error(),
        debug.as_deref(),
        &source,
        error.details(),
        &Files::default(),
    ))
}

fn picture_of(options: &Options, probe: &Probe) -> Result<Picture, Failure> {
    let (width, height) = match options.size {
        Some(size) => size,
        None => {
            let video = probe
                .video
                .ok_or_else(|| Failure::of(FailureKind::NoPicture, &options.face))?;
            (video.width, video.height)
        }
    };
    // 4:2:0 has even sizes only.
    Ok(Picture {
        width: (width & !1).max(2),
        height: (height & !1).max(2),
        fps: options.fps,
    })
}

struct Studio {
    engine: Arc<Engine>,
    picture: Picture,
    learner: Option<Learner>,
    queue: SharedQueue,
    destinations: Vec<Destination>,
    /// The last that each destination said.
    states: Vec<DestinationStatus>,
    surroundings: Surroundings,
    new_faces: Option<mpsc::Sender<Face>>,
    face: face::Watch,
    begin: Instant,
    /// Bytes that had been sent at a moment.
    sent_before: (u64, Instant),
    bitrate_kbps: f64,
    /// How long after the beginning everything had been said.
    quiet_since: Option<Duration>,
    shedder: Shedder,
    pace: Arc<Pace>,
    /// How far sound was ahead of the picture when both had settled, in seconds: it is encoded sooner.
    lead: Option<f64>,
    must: Must,
}

impl Studio {
    fn run(
        &mut self,
        said: &mpsc::Receiver<Notice>,
        stop: &Stop,
        until_said: bool,
        emit: &mut dyn FnMut(&Event),
    ) -> Result<(), Failure> {
        let mut last_status = Instant::now();
        let mut pictures = Stall::new(4 * TICK, last_status);
        loop {
            let mut next = said.recv_timeout(TICK).ok();
            while let Some(item) = next.take() {
                match item {
                    Notice::Destination(status) => self.destination_said(status, emit),
                    Notice::Request(Request { command, reply }) => {
                        let is_stop = command == ControlCommand::Stop;
                        self.grant(command, reply, emit);
                        if is_stop {
                            return Ok(());
                        }
                    }
                    Notice::Ready(ready, reply) => {
                        let done = ready.map(|ready| self.take(ready));
                        let answer = self.answer(done, emit);
                        if let Some(reply) = reply {
                            let _ = reply.send(answer);
                        }
                    }
                    Notice::Warning(message) => tell_warning(message, emit),
                    Notice::Message(message) => emit(&Event::now(Body::Message { message })),
                }
                next = said.try_recv().ok();
            }
            if let Some(failure) = engine_failure(&self.engine) {
                return Err(failure);
            }
            if stop.shutdown() != Shutdown::No {
                return Ok(());
            }
            let frames = self.engine.figures.frames.load(Relaxed);
            stall::hung(frames, pictures.waited(frames, true, Instant::now()))?;
            if let Some(reason) = self.must.given_up(Instant::now()) {
                return Err(Failure::new(FailureKind::DestinationFailed).because(reason));
            }
            if last_status.elapsed() >= STATUS_INTERVAL {
                last_status = Instant::now();
                self.measure();
                let status = self.status();
                self.shed(emit);
                if let Some(text) = self.face.look() {
                    tell_warning(text, emit);
                }
                let is_done = until_said && self.is_all_seen();
                emit(&Event::now(Body::Live(status)));
                if is_done {
                    return Ok(());
                }
            }
        }
    }

    fn destination_said(&mut self, status: DestinationStatus, emit: &mut dyn FnMut(&Event)) {
        emit(&Event::now(Body::Destination(status.clone())));
        let name = status.destination.clone();
        if status.must {
            self.must.note(&status, Instant::now());
        }
        self.states.retain(|s| s.destination != name);
        if status.state != DestinationState::Ended {
            self.states.push(status);
        }
    }

    fn add(&mut self, address: Address, must: bool) -> std::io::Result<()> {
        let name = self.free_name(&address);
        let destination = Destination::start(address, name, must, self.surroundings.clone())?;
        self.destinations.push(destination);
        Ok(())
    }

    /// How a destination is shown. Two that differ only in what is secret would look alike.
    fn free_name(&self, address: &Address) -> String {
        let is_taken = |name: &str| {
            let mut names = self.destinations.iter().map(|d| d.name.as_str());
            let mut ending = self.states.iter().map(|s| s.destination.as_str());
            names.any(|n| n == name) || ending.any(|n| n == name)
        };
        let plain = address.to_string();
        let numbered = (2..).map(|number| format!("{plain} ({number})"));
        let mut names = std::iter::once(plain.clone()).chain(numbered);
        names.find(|name| !is_taken(name)).unwrap_or(plain)
    }

    /// Puts something to say into the queue.
    fn say(&mut self, prepared: Prepared) {
        lock(&self.queue).push(prepared.speech, prepared.seconds, prepared.arrived);
    }

    /// Does what is asked, and answers; what takes a while is done elsewhere and answered then.
    fn grant(
        &mut self,
        command: ControlCommand,
        reply: mpsc::SyncSender<Reply>,
        emit: &mut dyn FnMut(&Event),
    ) {
        let result = match command {
            ControlCommand::Say { file } => {
                return self.prepare(reply, move || {
                    Prepared::new(Speech::File(file)).map(Ready::Speech)
                });
            }
            ControlCommand::Face { file } => {
                let (picture, learner) = (self.picture, self.learner.clone());
                let said = self.surroundings.said.clone();
                return self.prepare(reply, move || {
                    open_face(file, &picture, learner.as_ref(), &said)
                });
            }
            ControlCommand::Skip => {
                lock(&self.queue).skip();
                Ok(())
            }
            ControlCommand::Clear => {
                lock(&self.queue).clear();
                Ok(())
            }
            ControlCommand::Pause | ControlCommand::Resume => {
                lock(&self.queue).pause(command == ControlCommand::Pause);
                Ok(())
            }
            ControlCommand::Add { to } => self.add_named(&to),
            ControlCommand::Drop { to } => self.drop_named(&to),
            ControlCommand::Status | ControlCommand::Stop => Ok(()),
        };
        let answer = self.answer(result, emit);
        let _ = reply.send(answer);
    }

    fn prepare(
        &self,
        reply: mpsc::SyncSender<Reply>,
        work: impl FnOnce() -> Result<Ready, Failure> + Send + 'static,
    ) {
        let said = self.surroundings.said.clone();
        std::thread::spawn(move || said.send(Notice::Ready(work(), Some(reply))));
    }

    fn answer(&mut self, result: Result<(), Failure>, emit: &mut dyn FnMut(&Event)) -> Reply {
        match result {
            Ok(()) => Reply {
                ok: true,
                error: None,
                status: Some(self.status()),
            },
            Err(failure) => {
                tell_warning(failure.to_string(), emit);
                refused(&failure)
            }
        }
    }

    fn take(&mut self, ready: Ready) {
        match ready {
            Ready::Speech(prepared) => self.say(prepared),
            Ready::Face(file, face, learnt) => {
                self.face = face::Watch::new(&file);
                // It draws from the new one as soon as it sees the new face.
                if let Some(lipsync) = self.engine.pipeline.by_name("lipsync") {
                    lipsync.set_property("face-file", learnt.as_deref().and_then(Path::to_str));
                }
                if let Some(faces) = &self.new_faces {
                    let _ = faces.send(face);
                }
            }
        }
    }

    fn add_named(&mut self, to: &str) -> Result<(), Failure> {
        let address: Address = to.parse().map_err(|e: String| usage(&e))?;
        if self
            .destinations
            .iter()
            .any(|d| d.address.is_same(&address))
        {
            return Err(usage(&format_args!("{address} is a destination already")));
        }
        self.add(address, false)
            .map_err(|e| Failure::new(FailureKind::Internal).detail(e))
    }

    fn drop_named(&mut self, to: &str) -> Result<(), Failure> {
        let address = to.parse::<Address>().ok();
        let found = self.destinations.iter().position(|destination| {
            let is_it = address
                .as_ref()
                .is_some_and(|a| destination.address.is_same(a));
            is_it || destination.name == to
        });
        let index = found.ok_or_else(|| usage(&"there is no such destination"))?;
        let dropped = self.destinations.remove(index);
        // Closing it may take a moment, and the others go on.
        std::thread::spawn(move || drop(dropped));
        Ok(())
    }

    /// What is counted from one status to the next.
    fn measure(&mut self) {
        let bytes = self.engine.figures.bytes.load(Relaxed);
        let (before, at) = self.sent_before;
        let seconds = at.elapsed().as_secs_f64().max(1e-3);
        self.bitrate_kbps = ((bytes - before) as f64 * 8.0 / seconds / 1e3).round();
        self.sent_before = (bytes, Instant::now());
        let (video, sound) = self.ends();
        if self.lead.is_none() && video > SETTLED {
            self.lead = Some(sound.as_secs_f64() - video.as_secs_f64());
        }
    }

    /// The ends of picture and sound so far.
    fn ends(&self) -> (Duration, Duration) {
        let figures = &self.engine.figures;
        let end = |value: &AtomicU64| Duration::from_nanos(value.load(Relaxed));
        (end(&figures.video_end), end(&figures.sound_end))
    }

    /// Whether everything was said, and all of it has left the encoders.
    fn is_all_seen(&mut self) -> bool {
        if !lock(&self.queue).is_said() {
            self.quiet_since = None;
            return false;
        }
        let since = *self.quiet_since.get_or_insert(self.begin.elapsed());
        let (video, sound) = self.ends();
        video >= since && sound >= since
    }

    fn status(&self) -> LiveStatus {
        let figures = &self.engine.figures;
        let queue = lock(&self.queue);
        let (video, sound) = self.ends();
        let (video, sound) = (video.as_secs_f64(), sound.as_secs_f64());
        let elapsed = self.begin.elapsed();
        LiveStatus {
            effort: self.shedder.effort(),
            drift_ms: self.lead.map(|lead| milliseconds(sound - video - lead)),
            clock_drift_ms: milliseconds(elapsed.as_secs_f64() - sound),
            elapsed_s: crate::event::seconds(elapsed),
            face: display(self.face.path()),
            speaking: queue.speaking(),
            paused: queue.is_paused(),
            queue_s: (queue.seconds() * 1e3).round() / 1e3,
            queued: queue.waiting() as u64,
            frames: figures.frames.load(Relaxed),
            frames_late: figures.late.load(Relaxed),
            response_ms: Some(figures.response.load(Relaxed))
                .filter(|response| *response > 0)
                .map(|response| response as f64 / 1e3),
            latency_ms: figures.latency.load(Relaxed) as f64 / 1e3,
            video_s: video,
            sound_s: sound,
            bitrate_kbps: self.bitrate_kbps,
            destinations: self.states.clone(),
        }
    }

    /// Does less, or more again, and says so.
    fn shed(&mut self, emit: &mut dyn FnMut(&Event)) {
        let end = Duration::from_nanos(self.engine.figures.video_end.load(Relaxed));
        let now = Instant::now();
        let elapsed = now - self.begin;
        if elapsed < SETTLED {
            return;
        }
        let Some(effort) = self.shedder.note(elapsed.saturating_sub(end), now) else {
            return;
        };
        self.pace.stride.store(effort.stride(), Relaxed);
        if let Some(tracker) = self.engine.pipeline.by_name("facetrack") {
            tracker.set_property("mesh-interval", effort.mesh_interval());
        }
        if effort == Effort::Full {
            let message = effort.words().into();
            emit(&Event::now(Body::Message { message }));
        } else {
            tell_warning(effort.words().into(), emit);
        }
    }
}

/// Locks `mutex`; whoever panicked with it left it whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// Seconds as milliseconds, to the microsecond.
fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e3
}

fn tell_warning(message: String, emit: &mut dyn FnMut(&Event)) {
    emit(&Event::now(Body::Warning {
        message,
        source: None,
    }));
}

pub(crate) fn usage(reason: &dyn std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Usage)
        .because(reason)
        .advice("See `lipflow live --help`")
}
