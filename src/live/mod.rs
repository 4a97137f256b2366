//! A speaking face on air.
//!
//! One pipeline makes the picture (`engine`); what it encodes is handed to every destination (`fan`,
//! `destination`), each a pipeline of its own. Sound is pushed by the clock, 20 ms at a time, whether
//! somebody speaks or not (`mix`, `speech`); the engine takes a frame of the face (`face`) when it
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
pub(crate) mod pcm;
mod queue;
pub(crate) mod raw_sound;
pub(crate) mod ready;
pub(crate) mod shed;
pub(crate) mod socket;
pub(crate) mod speech;
mod stall;
mod studio;
mod voice;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::cancel::{Shutdown, Stop};
use crate::error::{Failure, FailureKind};
use crate::event::{Body, DestinationStatus, Event};
use crate::job::Learn;
use crate::job::check_input;
use crate::pipeline::classify::{self, Files};
use crate::pipeline::probe::{self, Probe, Role};
use crate::pipeline::template::Values;
use crate::sync::lock;

use address::Address;
use control::{Listener, Reply, Request};
use destination::Surroundings;
use engine::Engine;
use face::{Face, Feeder, Pace, Picture};
use learn::Learner;
use must::Must;
use queue::SharedQueue;
use ready::Prepared;
use shed::Shedder;
use socket::Socket;
use speech::Speech;
use studio::Studio;
use voice::Voice;

/// How often figures are told.
const STATUS_INTERVAL: Duration = Duration::from_millis(500);
const TICK: Duration = Duration::from_millis(50);
/// How long the streams take to settle; drift is counted from then.
const WARM_UP: Duration = Duration::from_secs(5);

/// What a broadcast begins with.
pub(crate) struct Options {
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
pub(crate) enum Notice {
    Destination(DestinationStatus),
    Request(Request),
    /// What was asked for has been looked into, which takes a while, and somebody may wait for the answer.
    Ready(Result<Ready, Failure>, Option<mpsc::SyncSender<Reply>>),
    Warning(String),
    Message(String),
}

/// What is fit to go on air.
pub(crate) enum Ready {
    Speech(Prepared),
    /// With what was learnt of it.
    Face(PathBuf, Face, Option<PathBuf>),
}

/// Broadcasts until it is stopped.
pub(crate) fn run(
    mut options: Options,
    stop: &Stop,
    emit: &mut dyn FnMut(&Event),
) -> Result<(), Failure> {
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
        studio.say(Prepared::new(speech, probe::probe)?);
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
