//! `lipsync` takes frames with faces on them (see `facetrack`) and speech, and gives the same
//! frames with mouths that say it.
//!
//! ```text
//! gst-launch-1.0 facesource uri=file:///tmp/face.mp4 loop-mode=ping-pong ! facetrack ! queue ! lipsync name=l end-mode=speech ! queue ! videoconvert ! autovideosink \
//!     uridecodebin uri=file:///tmp/speech.wav ! audioconvert ! audioresample ! tee name=t \
//!     t. ! queue ! audioconvert ! audioresample ! l.audio  t. ! queue max-size-time=5000000000 max-size-bytes=0 max-size-buffers=0 ! autoaudiosink
//! ```
//!
//! A frame at running time t waits for the speech up to t + look-ahead of the model. Latency =
//! that look-ahead and, with a mouth-shape model, as many frames as the property `look-ahead` says, in
//! which the face's own mouths are chosen; with a generator (2 * batch size - 1) frames: one batch is
//! being drawn while the next is collected. With `end-mode=speech` it is one frame more, where the last frame must be
//! known to be held. Frames keep their timestamps, durations, flags and metas.
//!
//! Frames without a face pass untouched and are counted. With `end-mode=video`, as many frames come
//! out as went in.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;

use super::loader::{Loader, post_error};
use super::progress::{self, Counters, Phase, Reporter};
use super::properties;
use super::settings::{EndMode, Settings};
use super::stream::{Held, Stream};
use crate::runtime::lock;

pub static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "lipsync",
        gst::DebugColorFlags::empty(),
        Some("Mouth follows speech"),
    )
});

/// Sample rate of the speech that the models hear, in Hz.
pub const SAMPLE_RATE: i32 = 16_000;

#[derive(Default)]
struct State {
    loader: Option<Arc<Loader>>,
    /// Absent before the model is loaded, and while the streaming thread works with it.
    stream: Option<Box<Stream>>,
    /// Resets that came while the streaming thread had the stream.
    reset_video: bool,
    reset_speech: bool,
    /// Caps that came before the stream was there.
    video_info: Option<gst_video::VideoInfo>,
    /// Ends with the state.
    _reporter: Option<Reporter>,
}

pub struct LipSync {
    video: gst_base::AggregatorPad,
    audio: gst_base::AggregatorPad,
    settings: Mutex<Settings>,
    state: Mutex<State>,
    counters: Arc<Counters>,
}

/// What to do after one step.
enum Step {
    Again,
    NeedData,
}

/// Nanoseconds as samples of the speech, rounded to the nearest.
fn samples(ns: i64) -> i64 {
    let scaled = i128::from(ns) * i128::from(SAMPLE_RATE) + 500_000_000;
    scaled.div_euclid(1_000_000_000) as i64
}

impl LipSync {
    fn settings(&self) -> Settings {
        lock(&self.settings).clone()
    }

    /// The stream, to work with; waits for the model the first time.
    fn take_stream(&self) -> Result<Box<Stream>, gst::FlowError> {
        let loader = {
            let mut state = lock(&self.state);
            if let Some(stream) = state.stream.take() {
                return Ok(stream);
            }
            state.loader.clone()
        };
        let animator = loader
            .as_ref()
            .and_then(|loader| loader.take())
            .ok_or(gst::FlowError::Flushing)?;
        let mut stream = Box::new(Stream::new(animator));
        stream.info = lock(&self.state).video_info.clone();
        self.counters.set_phase(Phase::Running);
        self.declare_latency(&stream);
        Ok(stream)
    }

    fn put_back(&self, mut stream: Box<Stream>) {
        let mut state = lock(&self.state);
        if std::mem::take(&mut state.reset_video) {
            stream.reset_video();
        }
        if std::mem::take(&mut state.reset_speech) {
            stream.reset_speech();
        }
        if state.loader.is_some() {
            state.stream = Some(stream);
        }
    }

    fn reset(&self, video: bool, speech: bool) {
        let mut state = lock(&self.state);
        match state.stream.as_mut() {
            Some(stream) => {
                if video {
                    stream.reset_video();
                }
                if speech {
                    stream.reset_speech();
                }
            }
            None => {
                state.reset_video |= video;
                state.reset_speech |= speech;
            }
        }
    }

    /// Frames that wait to be drawn besides the one in work.
    fn frames_held(settings: &Settings, stream: &Stream) -> usize {
        stream.animator.batch_size() - 1 + usize::from(settings.end_mode == EndMode::Speech)
    }

    fn declare_latency(&self, stream: &Stream) {
        let settings = self.settings();
        let frame = stream
            .info
            .as_ref()
            .map(|info| info.fps())
            .filter(|fps| fps.numer() > 0)
            .and_then(|fps| {
                gst::ClockTime::SECOND.mul_div_ceil(fps.denom() as u64, fps.numer() as u64)
            })
            .unwrap_or(40 * gst::ClockTime::MSECOND);
        let later = gst::ClockTime::from_nseconds(settings.audio_offset.min(0).unsigned_abs());
        let frames = Self::frames_held(&settings, stream) + stream.animator.frames_kept();
        let latency = stream.animator.lookahead() + later + frame * frames as u64;
        self.obj().set_latency(latency, None);
    }

    /// Takes speech from the pad until there is enough for `time`. False: wait for more.
    fn collect_speech(&self, stream: &mut Stream, time: i64) -> bool {
        while !stream.speech_finished && !stream.animator.has_speech_for(time) {
            if stream.head_taken {
                self.audio.drop_buffer();
                stream.head_taken = false;
            }
            let Some(buffer) = self.audio.peek_buffer() else {
                if !self.audio.is_eos() {
                    return false;
                }
                stream.animator.finish_speech();
                stream.speech_finished = true;
                break;
            };
            self.take_speech(stream, &buffer);
            stream.head_taken = true;
        }
        true
    }

    fn take_speech(&self, stream: &mut Stream, buffer: &gst::BufferRef) {
        let segment = self.audio.segment();
        let start = segment
            .downcast_ref::<gst::ClockTime>()
            .zip(buffer.pts())
            .and_then(|(segment, pts)| match segment.to_running_time_full(pts)? {
                gst::Signed::Positive(t) => Some(t.nseconds() as i64),
                gst::Signed::Negative(t) => Some(-(t.nseconds() as i64)),
            });
        let position = start.map(samples);
        if buffer.flags().contains(gst::BufferFlags::GAP) && buffer.size() == 0 {
            if let Some((position, duration)) = position.zip(buffer.duration()) {
                let count = samples(duration.nseconds() as i64);
                stream.animator.speech_gap(position, position + count);
            }
        } else if let Ok(map) = buffer.map_readable() {
            let started = std::time::Instant::now();
            stream.animator.push_speech(position, &map);
            self.counters
                .audio_time
                .fetch_add(started.elapsed().as_nanos() as u64, Relaxed);
        }
        self.counters
            .audio_position
            .store(stream.animator.speech_until().max(0) as u64, Relaxed);
    }

    /// Takes one frame further, if it and its speech are there.
    fn step(&self, stream: &mut Stream, timeout: bool) -> Result<Step, gst::FlowError> {
        let settings = self.settings();
        let Some(buffer) = self.video.peek_buffer() else {
            if !self.video.is_eos() {
                return Ok(Step::NeedData);
            }
            return self.finish(stream, &settings);
        };
        if buffer.flags().contains(gst::BufferFlags::GAP) && buffer.size() == 0 {
            self.video.drop_buffer();
            self.push_all(stream, &settings)?;
            if let Some(pts) = buffer.pts() {
                let gap = gst::event::Gap::builder(pts)
                    .duration(buffer.duration())
                    .build();
                self.obj().src_pad().push_event(gap);
            }
            return Ok(Step::Again);
        }
        let time = stream.running_time(&buffer, &self.video.segment());
        if let Some(time) = time {
            let speech_time = settings.speech_time(time);
            if !self.collect_speech(stream, speech_time) {
                if !timeout {
                    return Ok(Step::NeedData);
                }
                self.counters.frames_without_speech.fetch_add(1, Relaxed);
            }
            if self.is_past_speech(stream, &settings, time) {
                self.push_all(stream, &settings)?;
                return Err(gst::FlowError::Eos);
            }
        }
        drop(buffer);
        let Some(buffer) = self.video.pop_buffer() else {
            return Ok(Step::NeedData);
        };
        if let Some(time) = time {
            stream.note_frame(time, buffer.duration());
        }
        stream.held.push_back(Held { buffer, time });
        self.push_full_batch(stream, &settings)?;
        Ok(Step::Again)
    }

    fn is_past_speech(&self, stream: &Stream, settings: &Settings, time: gst::ClockTime) -> bool {
        settings.end_mode != EndMode::Video
            && stream.speech_finished
            && time.nseconds() as i64 >= stream.animator.speech_until()
    }

    /// The video has ended: gives what is held, and holds the last frame while there is speech if
    /// the speech decides.
    fn finish(&self, stream: &mut Stream, settings: &Settings) -> Result<Step, gst::FlowError> {
        self.counters.set_phase(Phase::Draining);
        if settings.end_mode != EndMode::Speech {
            self.push_all(stream, settings)?;
            return Err(gst::FlowError::Eos);
        }
        let next = stream.held.back().and_then(|last| {
            Some((
                last.buffer.clone(),
                stream.video_end?,
                stream.frame_duration?,
            ))
        });
        let Some((last, time, duration)) = next.filter(|(_, _, d)| !d.is_zero()) else {
            self.push_all(stream, settings)?;
            return Err(gst::FlowError::Eos);
        };
        if !self.collect_speech(stream, settings.speech_time(time)) {
            return Ok(Step::NeedData);
        }
        if self.is_past_speech(stream, settings, time) {
            self.push_all(stream, settings)?;
            return Err(gst::FlowError::Eos);
        }
        // A copy with memory of its own: the original is about to be drawn into.
        let mut copy = last.copy_deep().map_err(|_| gst::FlowError::Error)?;
        {
            let copy = copy.make_mut();
            copy.set_pts(last.pts().map(|pts| pts + duration));
            copy.set_dts(gst::ClockTime::NONE);
            copy.set_duration(duration);
        }
        drop(last);
        stream.note_frame(time, Some(duration));
        stream.held.push_back(Held {
            buffer: copy,
            time: Some(time),
        });
        self.push_full_batch(stream, settings)?;
        Ok(Step::Again)
    }

    /// Draws and pushes what is held once it is a batch, but the frame that may have to be repeated.
    fn push_full_batch(
        &self,
        stream: &mut Stream,
        settings: &Settings,
    ) -> Result<(), gst::FlowError> {
        if stream.held.len() <= Self::frames_held(settings, stream) {
            return Ok(());
        }
        let keep = usize::from(settings.end_mode == EndMode::Speech);
        self.draw_and_push(stream, settings, keep, false)
    }

    /// Draws and pushes all that is held.
    fn push_all(&self, stream: &mut Stream, settings: &Settings) -> Result<(), gst::FlowError> {
        self.draw_and_push(stream, settings, 0, true)
    }

    fn draw_and_push(
        &self,
        stream: &mut Stream,
        settings: &Settings,
        keep: usize,
        drain: bool,
    ) -> Result<(), gst::FlowError> {
        let count = stream.held.len().saturating_sub(keep);
        let mut batch: Vec<Held> = stream.held.drain(..count).collect();
        if let Some(info) = &stream.info {
            let drawn = stream
                .animator
                .draw(batch, drain, info, settings, &self.counters);
            batch = drawn.map_err(|error| {
                post_error(&self.obj(), &error);
                gst::FlowError::Error
            })?;
        }
        for Held { buffer, time } in batch {
            if let Some(time) = time {
                let end = time
                    + buffer
                        .duration()
                        .or(stream.frame_duration)
                        .unwrap_or_default();
                self.counters.position.store(end.nseconds(), Relaxed);
            }
            if let Some(pts) = buffer.pts() {
                self.obj().set_position(pts);
            }
            self.obj().finish_buffer(buffer)?;
            self.counters.frames.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    /// Gives what is held before the stream changes its nature.
    fn drain(&self) {
        let Some(mut stream) = lock(&self.state).stream.take() else {
            return;
        };
        let result = self.push_all(&mut stream, &self.settings());
        self.put_back(stream);
        if let Err(error) = result {
            gst::debug!(CAT, imp = self, "Draining gave {error:?}");
        }
    }

    fn video_event(&self, pad: &gst_base::AggregatorPad, event: gst::Event) -> bool {
        use gst::EventView;
        match event.view() {
            EventView::Caps(caps) => {
                self.drain();
                let caps = caps.caps_owned();
                let Ok(info) = gst_video::VideoInfo::from_caps(&caps) else {
                    gst::element_imp_error!(
                        self,
                        gst::CoreError::Negotiation,
                        ("lipsync does not work on {caps}. Put videoconvert before it")
                    );
                    return false;
                };
                let mut state = lock(&self.state);
                state.video_info = Some(info.clone());
                let mut stream = state.stream.take();
                drop(state);
                if let Some(stream) = stream.as_mut() {
                    stream.info = Some(info);
                    self.declare_latency(stream);
                }
                if let Some(stream) = stream {
                    self.put_back(stream);
                }
                self.obj().set_src_caps(&caps);
                self.parent_sink_event(pad, event)
            }
            EventView::Segment(segment) => {
                self.drain();
                match segment.segment().downcast_ref::<gst::ClockTime>() {
                    Some(segment) => {
                        self.obj().update_segment(segment);
                        self.parent_sink_event(pad, event)
                    }
                    None => {
                        gst::element_imp_error!(
                            self,
                            gst::StreamError::Format,
                            ("lipsync needs a segment in time on its video pad")
                        );
                        false
                    }
                }
            }
            EventView::FlushStop(_) => {
                self.reset(true, false);
                self.parent_sink_event(pad, event)
            }
            _ => self.parent_sink_event(pad, event),
        }
    }

    fn audio_event(&self, pad: &gst_base::AggregatorPad, event: gst::Event) -> bool {
        use gst::EventView;
        match event.view() {
            // The tags of the speech don't describe the output, and the parent would merge them in.
            EventView::Tag(_) => true,
            EventView::FlushStop(_) => {
                self.reset(false, true);
                self.parent_sink_event(pad, event)
            }
            _ => self.parent_sink_event(pad, event),
        }
    }
}

#[glib::object_subclass]
impl ObjectSubclass for LipSync {
    const NAME: &'static str = "GstLipSync";
    type Type = super::LipSync;
    type ParentType = gst_base::Aggregator;

    fn with_class(klass: &Self::Class) -> Self {
        let pad = |name: &str| {
            let template = klass.pad_template(name);
            let template = template.expect("the class has its templates");
            gst::PadBuilder::<gst_base::AggregatorPad>::from_template(&template)
                .name(name)
                .build()
        };
        Self {
            video: pad("video"),
            audio: pad("audio"),
            settings: Mutex::default(),
            state: Mutex::default(),
            counters: Arc::default(),
        }
    }
}

impl ObjectImpl for LipSync {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(properties::specs);
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        if let Err(error) = properties::set(&mut lock(&self.settings), pspec.name(), value) {
            gst::error!(CAT, imp = self, "Property {}: {error}", pspec.name());
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match pspec.name() {
            "stats" => self.counters.structure("stats").to_value(),
            name => properties::get(&self.settings(), name)
                .unwrap_or_else(|| pspec.default_value().clone()),
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        for pad in [&self.video, &self.audio] {
            // Only fails for a pad that has a parent already; these are new.
            let _ = obj.add_pad(pad);
        }
    }
}

impl GstObjectImpl for LipSync {}

impl ElementImpl for LipSync {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Lip-sync",
                "Filter/Effect/Video",
                "Makes the mouths in a video follow a speech track with an ONNX model",
                "The lipflow contributors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let video = gst_video::VideoCapsBuilder::new()
                .format_list(crate::video::FORMATS)
                .build();
            let audio = gst_audio::AudioCapsBuilder::new_interleaved()
                .format(gst_audio::AUDIO_FORMAT_F32)
                .rate(SAMPLE_RATE)
                .channels(1)
                .build();
            let template = |name, direction, caps: &gst::Caps| {
                gst::PadTemplate::with_gtype(
                    name,
                    direction,
                    gst::PadPresence::Always,
                    caps,
                    gst_base::AggregatorPad::static_type(),
                )
            };
            [
                template("video", gst::PadDirection::Sink, &video),
                template("audio", gst::PadDirection::Sink, &audio),
                template("src", gst::PadDirection::Src, &video),
            ]
            .into_iter()
            .flatten()
            .collect()
        });
        &TEMPLATES
    }
}

impl AggregatorImpl for LipSync {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        self.parent_start()?;
        let settings = self.settings();
        self.counters.reset();
        let failed = |e: std::io::Error| {
            gst::error_msg!(gst::ResourceError::Failed, ["Can't start a thread: {e}"])
        };
        let weak = self.obj().downgrade();
        let reporter = Reporter::start(weak.clone(), self.counters.clone()).map_err(failed)?;
        let loader = Loader::start(weak, settings).map_err(failed)?;
        *lock(&self.state) = State {
            loader: Some(Arc::new(loader)),
            _reporter: Some(reporter),
            ..State::default()
        };
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        // Dropped outside the lock: it joins the reporting thread.
        let state = std::mem::take(&mut *lock(&self.state));
        if let Some(loader) = &state.loader {
            loader.cancel();
            loader.join();
        }
        drop(state);
        self.parent_stop()
    }

    fn src_activate(&self, mode: gst::PadMode, active: bool) -> Result<(), gst::LoggableError> {
        // Deactivation joins the streaming thread, which may be waiting for the model.
        if !active && let Some(loader) = lock(&self.state).loader.clone() {
            loader.cancel();
        }
        self.parent_src_activate(mode, active)
    }

    fn flush(&self) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.reset(true, true);
        self.parent_flush()
    }

    fn aggregate(&self, timeout: bool) -> Result<gst::FlowSuccess, gst::FlowError> {
        let mut stream = self.take_stream()?;
        let result = loop {
            match self.step(&mut stream, timeout) {
                Ok(Step::Again) => {}
                Ok(Step::NeedData) => break Err(gst_base::AGGREGATOR_FLOW_NEED_DATA),
                Err(error) => break Err(error),
            }
        };
        self.put_back(stream);
        if result == Err(gst::FlowError::Eos) {
            self.counters.set_phase(Phase::Draining);
            progress::post(&self.obj(), &self.counters);
        }
        result
    }

    fn sink_event(&self, pad: &gst_base::AggregatorPad, event: gst::Event) -> bool {
        if *pad == self.video {
            self.video_event(pad, event)
        } else {
            self.audio_event(pad, event)
        }
    }

    fn sink_query(&self, pad: &gst_base::AggregatorPad, query: &mut gst::QueryRef) -> bool {
        if *pad != self.video {
            return self.parent_sink_query(pad, query);
        }
        let src = self.obj().src_pad().clone();
        match query.view_mut() {
            gst::QueryViewMut::Caps(caps) => {
                let mut filter = pad.pad_template_caps();
                if let Some(asked) = caps.filter() {
                    filter = asked.intersect_with_mode(&filter, gst::CapsIntersectMode::First);
                }
                let result = src.peer_query_caps(Some(&filter));
                caps.set_result(&result);
                true
            }
            // Frames go on as they come, so whoever is downstream decides about their memory.
            gst::QueryViewMut::Allocation(_) => src.peer_query(query),
            _ => self.parent_sink_query(pad, query),
        }
    }

    fn src_query(&self, query: &mut gst::QueryRef) -> bool {
        match query.view_mut() {
            gst::QueryViewMut::Caps(caps) => {
                let mut filter = self.obj().src_pad().pad_template_caps();
                if let Some(asked) = caps.filter() {
                    filter = asked.intersect_with_mode(&filter, gst::CapsIntersectMode::First);
                }
                let result = self.video.peer_query_caps(Some(&filter));
                caps.set_result(&result);
                true
            }
            // The parent would ask any pad; the picture is what is being made.
            gst::QueryViewMut::Position(_) | gst::QueryViewMut::Duration(_) => {
                self.video.peer_query(query)
            }
            _ => self.parent_src_query(query),
        }
    }

    fn next_time(&self) -> Option<gst::ClockTime> {
        self.obj().simple_get_next_time()
    }

    fn negotiate(&self) -> bool {
        // The output has the caps of the video, always; they are set when those come.
        true
    }
}
