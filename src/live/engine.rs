//! The pipeline that makes the picture: it runs as fast as speech comes, and speech comes by the clock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gst::prelude::*;
use gst_app::{AppSink, AppSinkCallbacks, AppSrc};

use super::fan::{Fan, Packet, Stream};
use super::mix::{self, BLOCK};
use crate::error::{Failure, FailureKind};
use crate::pipeline::template::{Template, Values};
use crate::sync::lock;

/// What leaves the encoders, counted as it leaves.
#[derive(Debug, Default)]
pub struct Figures {
    pub frames: AtomicU64,
    /// Frames that left later than the latency that was promised.
    pub late: AtomicU64,
    pub bytes: AtomicU64,
    /// From a frame's own moment to its leaving the encoder, in microseconds: the last one.
    pub latency: AtomicU64,
    /// The end of the picture and of the sound so far, in nanoseconds.
    pub video_end: AtomicU64,
    pub sound_end: AtomicU64,
    /// From the arrival of the last speech to the frame with its beginning, in microseconds; 0 before.
    pub response: AtomicU64,
    /// Where that speech begins, and when it arrived.
    expected: Mutex<Option<(gst::ClockTime, Instant)>>,
}

pub struct Engine {
    pub pipeline: gst::Pipeline,
    pub face: AppSrc,
    pub speech: AppSrc,
    pub figures: Arc<Figures>,
    pub fan: Fan,
}

/// The most that a frame may be behind its own moment when it leaves the encoder.
pub const LATENCY: Duration = Duration::from_millis(600);

impl Engine {
    /// Builds the pipeline of the template `live`. Time zero of its streams is `begin`.
    pub fn build(values: &Values, begin: Instant) -> Result<Self, Failure> {
        let invalid =
            |e: &dyn std::fmt::Display| Failure::new(FailureKind::TemplateInvalid).detail(e);
        let template = Template::load("live").map_err(|e| invalid(&e))?;
        let pipeline = template.build(values).map_err(|e| invalid(&e))?;
        let find = |name: &str| {
            let element = pipeline.by_name(name);
            element.ok_or_else(|| invalid(&format_args!("it has no element named `{name}`")))
        };
        let source = |name: &str| {
            let source = find(name)?.downcast::<AppSrc>();
            source.map_err(|_| invalid(&format_args!("`{name}` is no appsrc")))
        };
        let sink = |name: &str| {
            let sink = find(name)?.downcast::<AppSink>();
            sink.map_err(|_| invalid(&format_args!("`{name}` is no appsink")))
        };
        let engine = Self {
            face: source("face")?,
            speech: source("speech")?,
            figures: Arc::default(),
            fan: Fan::default(),
            pipeline: pipeline.clone(),
        };
        engine.listen(&sink("video")?, Stream::Video, begin);
        engine.listen(&sink("sound")?, Stream::Sound, begin);
        Ok(engine)
    }

    fn listen(&self, sink: &AppSink, stream: Stream, begin: Instant) {
        let (fan, figures) = (self.fan.clone(), self.figures.clone());
        let callbacks = AppSinkCallbacks::builder().new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let (Some(mut buffer), Some(caps), Some(segment)) = (
                sample.buffer_owned(),
                sample.caps_owned(),
                sample
                    .segment()
                    .and_then(|s| s.downcast_ref::<gst::ClockTime>()),
            ) else {
                return Ok(gst::FlowSuccess::Ok);
            };
            // Behind this point there is no segment any more, and x264enc counts from 1000 hours.
            let (pts, dts) = (
                segment.to_running_time(buffer.pts()),
                segment.to_running_time(buffer.dts()),
            );
            {
                let buffer = buffer.make_mut();
                buffer.set_pts(pts);
                buffer.set_dts(dts);
            }
            figures.note(stream, &buffer, begin);
            fan.publish(&Packet {
                stream,
                is_key: stream == Stream::Video
                    && !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
                buffer,
                caps,
            });
            Ok(gst::FlowSuccess::Ok)
        });
        sink.set_callbacks(callbacks.build());
    }

    /// Pushes block `number` of the speech.
    pub fn speak(&self, number: u64, block: &[f32; BLOCK]) -> Result<(), gst::FlowError> {
        let bytes: Vec<u8> = block
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect();
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(time_of(number));
            buffer.set_duration(time_of(number + 1) - time_of(number));
        }
        self.speech.push_buffer(buffer).map(drop)
    }

    /// Measures how long it takes from `since` until the frame leaves in which block `number` begins.
    pub fn expect(&self, number: u64, since: Instant) {
        *lock(&self.figures.expected) = Some((time_of(number), since));
    }

    /// Asks the encoder for a whole picture.
    pub fn key_request(&self) -> Arc<dyn Fn() + Send + Sync> {
        let pipeline = self.pipeline.downgrade();
        Arc::new(move || {
            let sink = pipeline.upgrade().and_then(|p| p.by_name("video"));
            if let Some(pad) = sink.and_then(|sink| sink.static_pad("sink")) {
                let event = gst_video::UpstreamForceKeyUnitEvent::builder()
                    .all_headers(true)
                    .build();
                pad.push_event(event);
            }
        })
    }
}

/// When block `number` begins.
fn time_of(number: u64) -> gst::ClockTime {
    gst::ClockTime::try_from(mix::time_of(number)).unwrap_or(gst::ClockTime::MAX)
}

impl Figures {
    fn note(&self, stream: Stream, buffer: &gst::BufferRef, begin: Instant) {
        self.bytes.fetch_add(buffer.size() as u64, Relaxed);
        let Some(start) = buffer.pts() else { return };
        let end = start + buffer.duration().unwrap_or_default();
        match stream {
            Stream::Sound => self.sound_end.store(end.nseconds(), Relaxed),
            Stream::Video => {
                self.frames.fetch_add(1, Relaxed);
                self.video_end.store(end.nseconds(), Relaxed);
                let latency = begin.elapsed().saturating_sub(start.into());
                self.latency.store(latency.as_micros() as u64, Relaxed);
                if latency > LATENCY {
                    self.late.fetch_add(1, Relaxed);
                }
                let arrived = lock(&self.expected).take_if(|(begin, _)| *begin < end);
                if let Some((_, since)) = arrived {
                    let response = since.elapsed().as_micros() as u64;
                    self.response.store(response, Relaxed);
                }
            }
        }
    }
}
