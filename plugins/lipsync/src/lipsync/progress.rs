//! Keeps the application informed, also while no data flows: a thread of its own posts
//! `lipsync-progress` a few times a second.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;

use crate::sync::{lock, wait_while_for};

/// Time between two messages.
const INTERVAL: Duration = Duration::from_millis(250);

/// What the element is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    Loading = 0,
    Running = 1,
    Draining = 2,
}

impl Phase {
    fn name(value: u8) -> &'static str {
        match value {
            0 => "loading",
            1 => "running",
            _ => "draining",
        }
    }
}

/// Figures since the element started. Written by the streaming thread, read by anybody.
#[derive(Debug, Default)]
pub struct Counters {
    pub frames: AtomicU64,
    pub frames_without_face: AtomicU64,
    /// Frames that were drawn before their speech had come, because a live deadline passed.
    pub frames_without_speech: AtomicU64,
    /// The most faces that were in one frame.
    pub most_faces: AtomicU64,
    /// Of each request pad, by its name, the frames in which it moved a face.
    speakers: Mutex<Vec<(String, Arc<AtomicU64>)>>,
    /// Running time in nanoseconds of the end of the last frame that was pushed.
    pub position: AtomicU64,
    /// Running time in nanoseconds up to which speech has come.
    pub audio_position: AtomicU64,
    /// Nanoseconds spent on speech features, in the network, and drawing.
    pub audio_time: AtomicU64,
    pub inference_time: AtomicU64,
    pub render_time: AtomicU64,
    phase: AtomicU8,
}

impl Counters {
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    pub fn reset(&self) {
        for counter in [
            &self.frames,
            &self.frames_without_face,
            &self.frames_without_speech,
            &self.most_faces,
            &self.position,
            &self.audio_position,
            &self.audio_time,
            &self.inference_time,
            &self.render_time,
        ] {
            counter.store(0, Relaxed);
        }
        lock(&self.speakers).clear();
        self.set_phase(Phase::Loading);
    }

    /// The counter of a pad that takes speech; only those of request pads are told.
    pub fn speaker(&self, pad: &str, is_told: bool) -> Arc<AtomicU64> {
        let counter: Arc<AtomicU64> = Arc::default();
        if is_told {
            let mut speakers = lock(&self.speakers);
            speakers.retain(|(name, _)| name != pad);
            speakers.push((pad.into(), counter.clone()));
        }
        counter
    }

    /// The figures as a structure: the message's content and the property `stats`.
    pub fn structure(&self, name: &str) -> gst::Structure {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        let speakers = lock(&self.speakers);
        let speakers = speakers.iter().map(|(pad, frames)| {
            gst::Structure::builder("speaker")
                .field("pad", pad)
                .field("frames", get(frames))
                .build()
        });
        gst::Structure::builder(name)
            .field("phase", Phase::name(self.phase.load(Relaxed)))
            .field("frames", get(&self.frames))
            .field("frames-without-face", get(&self.frames_without_face))
            .field("frames-without-speech", get(&self.frames_without_speech))
            .field("most-faces", get(&self.most_faces))
            .field("speakers", gst::Array::new(speakers))
            .field("position", get(&self.position))
            .field("audio-position", get(&self.audio_position))
            .field("audio-time", get(&self.audio_time))
            .field("inference-time", get(&self.inference_time))
            .field("render-time", get(&self.render_time))
            .build()
    }
}

/// The thread that posts; dropping it ends the thread.
pub struct Reporter {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Reporter {
    pub fn start(
        element: glib::WeakRef<super::LipSync>,
        counters: Arc<Counters>,
    ) -> std::io::Result<Self> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let shared = stop.clone();
        let thread = std::thread::Builder::new()
            .name("lipsync-progress".into())
            .spawn(move || {
                loop {
                    let Some(element) = element.upgrade() else {
                        return;
                    };
                    post(&element, &counters);
                    drop(element);
                    let (stopped, wake) = &*shared;
                    let guard = lock(stopped);
                    if *wait_while_for(wake, guard, INTERVAL, |stopped| !*stopped) {
                        return;
                    }
                }
            })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        *lock(&self.stop.0) = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // The last reference to the element may be the thread's own.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

/// Posts the figures once.
pub fn post(element: &super::LipSync, counters: &Counters) {
    let message = gst::message::Element::builder(counters.structure("lipsync-progress"))
        .src(element)
        .build();
    // Without a bus there is nobody to tell.
    let _ = element.post_message(message);
}

/// Adds the time that `work` takes, in nanoseconds.
pub fn timed<R>(counter: &AtomicU64, work: impl FnOnce() -> R) -> R {
    let started = Instant::now();
    let result = work();
    counter.fetch_add(started.elapsed().as_nanos() as u64, Relaxed);
    result
}
