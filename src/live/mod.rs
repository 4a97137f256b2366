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
mod mix;
mod must;
pub mod shed;
pub mod speech;
mod voice;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::cancel::{Haste, Stop};
use crate::error::{Failure, FailureKind};
use crate::event::{Body, DestinationState, DestinationStatus, Event, LiveStatus, display};
use crate::journal::Stamp;
use crate::pipeline::probe::{self, Probe, Role};
use crate::pipeline::template::Values;

use address::Address;
use control::{Listener, Reply, Request, Wish};
use destination::{Destination, Surroundings};
use engine::Engine;
use face::{Face, Feeder, Pace, Picture};
use must::Must;
use shed::{Effort, Shedder};
use speech::Speech;
use voice::{SharedQueue, Voice};

/// How often figures are told.
const STATUS_INTERVAL: Duration = Duration::from_millis(500);
const TICK: Duration = Duration::from_millis(50);
/// How often a watched folder is looked at.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);
/// How long the streams take to settle; drift is counted from then.
const SETTLED: Duration = Duration::from_secs(5);

/// What a broadcast begins with.
pub struct Options {
    pub face: PathBuf,
    pub size: Option<(u32, u32)>,
    pub fps: (u32, u32),
    pub to: Vec<(Address, bool)>,
    pub speech: Vec<Speech>,
    /// What speaks while nothing else does.
    pub line: Option<Speech>,
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
pub enum Said {
    Destination(DestinationStatus),
    Request(Request),
    /// Something to say has arrived.
    Speech(Speech),
    Warning(String),
    Message(String),
}

/// Broadcasts until it is stopped.
pub fn run(options: Options, stop: &Stop, emit: &mut dyn FnMut(&Event)) -> Result<(), Failure> {
    let internal = |e: std::io::Error| Failure::new(FailureKind::Internal).detail(e);
    let probe = probe::probe(&options.face, Role::Face)?;
    let picture = picture_of(&options, &probe)?;
    let face = Face::open(&options.face, &probe, &picture)?;
    let begin = Instant::now();
    let engine = Arc::new(Engine::build(&options.values, begin)?);
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
        queue: SharedQueue::default(),
        destinations: Vec::new(),
        states: Vec::new(),
        surroundings,
        new_faces: None,
        face: face::Watch::new(&options.face),
        begin,
        bytes_before: 0,
        shedder: Shedder::default(),
        pace: pace.clone(),
        lead: None,
        must: Must::default(),
    };
    for speech in options.speech {
        studio.say(speech)?;
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
        .map_err(|e| Failure::new(FailureKind::Internal).detail(e))?;
    std::thread::scope(|scope| {
        let feeding = engine.clone();
        let warn = sender.clone();
        scope.spawn(move || {
            let warn = |text| drop(warn.send(Said::Warning(text)));
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
            scope.spawn(move || watch(&folder, &sender, &is_over));
        }
        let result = studio.run(&said, stop, options.until_said, emit);
        is_over.store(true, Relaxed);
        // Both feeders end when the engine takes no more.
        let stopped = crate::pipeline::runner::stop(&engine.pipeline);
        engine.fan.close();
        studio.destinations.clear();
        result.and(stopped)
    })
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
    queue: SharedQueue,
    destinations: Vec<Destination>,
    /// The last that each destination said.
    states: Vec<DestinationStatus>,
    surroundings: Surroundings,
    new_faces: Option<mpsc::Sender<Face>>,
    face: face::Watch,
    begin: Instant,
    bytes_before: u64,
    shedder: Shedder,
    pace: Arc<Pace>,
    /// How far sound was ahead of the picture when both had settled, in seconds: it is encoded sooner.
    lead: Option<f64>,
    must: Must,
}

impl Studio {
    fn run(
        &mut self,
        said: &mpsc::Receiver<Said>,
        stop: &Stop,
        until_said: bool,
        emit: &mut dyn FnMut(&Event),
    ) -> Result<(), Failure> {
        let bus =
            self.engine.pipeline.bus().ok_or_else(|| {
                Failure::new(FailureKind::Internal).detail("the pipeline has no bus")
            })?;
        let mut last_status = Instant::now();
        loop {
            let mut next = said.recv_timeout(TICK).ok();
            while let Some(item) = next.take() {
                match item {
                    Said::Destination(status) => self.destination_said(status, emit),
                    Said::Request(Request { wish, reply }) => {
                        let is_stop = wish == Wish::Stop;
                        let answer = self.grant(wish, emit);
                        let _ = reply.send(answer);
                        if is_stop {
                            return Ok(());
                        }
                    }
                    Said::Speech(speech) => {
                        if let Err(failure) = self.say(speech) {
                            tell_warning(failure.to_string(), emit);
                        }
                    }
                    Said::Warning(message) => tell_warning(message, emit),
                    Said::Message(message) => emit(&Event::now(Body::Message { message })),
                }
                next = said.try_recv().ok();
            }
            while let Some(message) = bus.pop() {
                if let gst::MessageView::Error(error) = message.view() {
                    return Err(Failure::new(FailureKind::Internal).detail(error.error().message()));
                }
            }
            if stop.haste() != Haste::None {
                return Ok(());
            }
            if let Some(reason) = self.must.given_up(Instant::now()) {
                return Err(Failure::new(FailureKind::DestinationFailed).because(reason));
            }
            if last_status.elapsed() >= STATUS_INTERVAL {
                last_status = Instant::now();
                let status = self.status();
                self.shed(emit);
                if let Some(text) = self.face.look() {
                    tell_warning(text, emit);
                }
                let is_done = until_said && lock(&self.queue).is_said();
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
        let destination = Destination::start(address, must, self.surroundings.clone())?;
        self.destinations.push(destination);
        Ok(())
    }

    /// Puts something to say into the queue.
    fn say(&mut self, speech: Speech) -> Result<(), Failure> {
        let arrived = Instant::now();
        let seconds = match &speech {
            Speech::File(path) => {
                let probe = probe::probe(path, Role::Speech)?;
                probe.duration.known().map_or(0.0, |d| d.as_secs_f64())
            }
            _ => 0.0,
        };
        lock(&self.queue).push(speech, seconds, arrived);
        Ok(())
    }

    fn grant(&mut self, wish: Wish, emit: &mut dyn FnMut(&Event)) -> Reply {
        let result = match wish {
            Wish::Say { file } => self.say(Speech::File(file)),
            Wish::Skip => {
                lock(&self.queue).skip();
                Ok(())
            }
            Wish::Clear => {
                lock(&self.queue).clear();
                Ok(())
            }
            Wish::Pause | Wish::Resume => {
                lock(&self.queue).pause(wish == Wish::Pause);
                Ok(())
            }
            Wish::Face { file } => self.change_face(&file),
            Wish::Add { to } => self.add_named(&to),
            Wish::Drop { to } => self.drop_named(&to),
            Wish::Status | Wish::Stop => Ok(()),
        };
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

    fn change_face(&mut self, file: &Path) -> Result<(), Failure> {
        let probe = probe::probe(file, Role::Face)?;
        let face = Face::open(file, &probe, &self.picture)?;
        self.face = face::Watch::new(file);
        if let Some(faces) = &self.new_faces {
            let _ = faces.send(face);
        }
        Ok(())
    }

    fn add_named(&mut self, to: &str) -> Result<(), Failure> {
        let address: Address = to.parse().map_err(|e: String| usage(&e))?;
        if self.destinations.iter().any(|d| d.address == address) {
            return Err(usage(&format_args!("{address} is a destination already")));
        }
        self.add(address, false)
            .map_err(|e| Failure::new(FailureKind::Internal).detail(e))
    }

    fn drop_named(&mut self, to: &str) -> Result<(), Failure> {
        let address = to.parse::<Address>().ok();
        let found = self.destinations.iter().position(|destination| {
            Some(&destination.address) == address.as_ref() || destination.address.to_string() == to
        });
        let index = found.ok_or_else(|| usage(&"there is no such destination"))?;
        let dropped = self.destinations.remove(index);
        // Closing it may take a moment, and the others go on.
        std::thread::spawn(move || drop(dropped));
        Ok(())
    }

    fn status(&mut self) -> LiveStatus {
        let figures = &self.engine.figures;
        let nanoseconds = |value: u64| value as f64 / 1e9;
        let queue = lock(&self.queue);
        let bytes = figures.bytes.load(Relaxed);
        let rate = (bytes - self.bytes_before) as f64 * 8.0 / STATUS_INTERVAL.as_secs_f64();
        self.bytes_before = bytes;
        let (video, sound) = (
            nanoseconds(figures.video_end.load(Relaxed)),
            nanoseconds(figures.sound_end.load(Relaxed)),
        );
        let elapsed = self.begin.elapsed();
        if elapsed > SETTLED && self.lead.is_none() {
            self.lead = Some(sound - video);
        }
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
            bitrate_kbps: (rate / 1e3).round(),
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

pub(crate) fn refused(failure: &Failure) -> Reply {
    Reply {
        ok: false,
        error: Some(failure.into()),
        status: None,
    }
}

/// Passes on files that appear in `folder`, in the order of their names, once they don't grow any more.
fn watch(folder: &Path, said: &mpsc::Sender<Said>, is_over: &AtomicBool) {
    let list = || -> Vec<(PathBuf, Stamp)> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries
            .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
            .filter_map(|entry| Some((entry.path(), Stamp::of(&entry.path()).ok()?)))
            .collect();
        files.sort_by(|(a, _), (b, _)| a.cmp(b));
        files
    };
    // What is there at the start was said before, or is not meant.
    let mut known: HashSet<_> = list().into_iter().map(|(path, ..)| path).collect();
    let mut before = Vec::new();
    while !is_over.load(Relaxed) {
        let now = list();
        for file in &now {
            if file.1.size > 0 && before.contains(file) && known.insert(file.0.clone()) {
                let _ = said.send(Said::Speech(Speech::File(file.0.clone())));
            }
        }
        before = now;
        std::thread::sleep(WATCH_INTERVAL);
    }
}
