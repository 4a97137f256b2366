//! The main loop of a broadcast.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::cancel::{Shutdown, Stop};
use crate::error::{Failure, FailureKind};
use crate::event::{Body, DestinationState, DestinationStatus, Event, LiveStatus, display};
use crate::worker::look;

use super::address::Address;
use super::control::{ControlCommand, Reply, Request, refused};
use super::destination::{Destination, Surroundings};
use super::engine::Engine;
use super::face::{Face, Pace, Picture};
use super::learn::Learner;
use super::must::Must;
use super::queue::SharedQueue;
use super::shed::Shedder;
use super::speech::Speech;
use super::stall::Stall;
use crate::event::Effort;
use crate::sync::lock;

use super::ready::{Prepared, open_face};
use super::{
    Notice, Ready, STATUS_INTERVAL, TICK, WARM_UP, engine_failure, face, milliseconds, stall,
    tell_warning, usage,
};

/// A broadcast that runs: what it shows, says and sends.
pub(super) struct Studio {
    pub engine: Arc<Engine>,
    pub picture: Picture,
    pub learner: Option<Learner>,
    pub queue: SharedQueue,
    pub destinations: Vec<Destination>,
    /// The last that each destination said.
    pub states: Vec<DestinationStatus>,
    pub surroundings: Surroundings,
    pub new_faces: Option<mpsc::Sender<Face>>,
    pub face: face::Watch,
    pub begin: Instant,
    /// Bytes that had been sent at a moment.
    pub sent_before: (u64, Instant),
    pub bitrate_kbps: f64,
    /// How long after the beginning everything had been said.
    pub quiet_since: Option<Duration>,
    pub shedder: Shedder,
    pub pace: Arc<Pace>,
    /// How far sound was ahead of the picture when both had settled, in seconds: it is encoded sooner.
    pub lead: Option<f64>,
    pub must: Must,
}

impl Studio {
    pub fn run(
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

    pub fn destination_said(&mut self, status: DestinationStatus, emit: &mut dyn FnMut(&Event)) {
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

    pub fn add(&mut self, address: Address, must: bool) -> std::io::Result<()> {
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
    pub fn say(&mut self, prepared: Prepared) {
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
                    Prepared::new(Speech::File(file), look::in_worker).map(Ready::Speech)
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
        if self.lead.is_none() && video > WARM_UP {
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
        if elapsed < WARM_UP {
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
