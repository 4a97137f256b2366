//! `lipsync` takes frames with faces on them (see `facetrack`) and speech, and gives the same
//! frames with mouths that say it.
//!
//! ```text
//! gst-launch-1.0 facesource uri=file:///tmp/face.mp4 loop-mode=ping-pong ! facetrack ! queue ! lipsync name=l end-mode=speech ! queue ! videoconvert ! autovideosink \
//!     uridecodebin uri=file:///tmp/speech.wav ! audioconvert ! audioresample ! tee name=t \
//!     t. ! queue ! audioconvert ! audioresample ! l.audio  t. ! queue max-size-time=5000000000 max-size-bytes=0 max-size-buffers=0 ! autoaudiosink
//! ```
//!
//! A frame at running time t waits for the speech up to t + look-ahead of the model: a quarter of a
//! second at most with `look=stream`, some seconds with `look=whole` and a model that has that look,
//! as the default one has (8 s). `whole` is for speech that is there already. Latency = that look-ahead and, with a mouth-shape model, as many frames as the property `look-ahead` says, in
//! which the face's own mouths are chosen; with a generator (2 * batch size - 1) frames: one batch is
//! being drawn while the next is collected. With `end-mode=speech` it is one frame more, where the last frame must be
//! known to be held. It is one frame at least. Frames keep their timestamps, durations, flags and metas.
//!
//! In a live pipeline a frame goes on when its time and the latency have passed, whatever has come:
//! first those that wait for more than their own speech, then one without its speech, whose mouth
//! keeps the last shape for a moment and then eases to rest. A stalled camera costs nothing. The
//! element holds as many frames as it says in answer to ALLOCATION; where the look-ahead of the
//! speech is longer, a `queue` must stand before the pad `video`, which the maximum of the latency
//! tells.
//!
//! Frames without a face pass untouched and are counted. With `end-mode=video`, as many frames come
//! out as went in.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::subclass::prelude::*;

use super::frames::Frames;
use super::latency::Latency;
use super::loader::{Loader, post_error};
use super::progress::{self, Counters, Phase, Reporter};
use super::properties;
use super::settings::Settings;
use super::stream::Stream;
use crate::model::Model;
use crate::runtime::{Interrupt, lock};

pub static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "lipsync",
        gst::DebugColorFlags::empty(),
        Some("Mouth follows speech"),
    )
});

/// Sample rate of the speech that the models hear, in Hz.
pub const SAMPLE_RATE: i32 = 16_000;

/// Between two looks at whether an interrupt is over.
const PAUSE: Duration = Duration::from_millis(2);

#[derive(Default)]
pub(super) struct State {
    pub(super) loader: Option<Arc<Loader>>,
    /// Absent before the model is loaded, and while the streaming thread works with it.
    pub(super) stream: Option<Box<Stream>>,
    /// Running time of the frame that waits longest in the stream.
    pub(super) oldest: Option<gst::ClockTime>,
    /// As it was declared last.
    pub(super) latency: Option<Latency>,
    /// Resets that came while the streaming thread had the stream.
    reset_video: bool,
    reset_speech: bool,
    /// Caps that came before the stream was there.
    pub(super) video_info: Option<gst_video::VideoInfo>,
    /// Those of the video that came before the output has begun.
    pub(super) tags: Vec<gst::Event>,
    /// Ends with the state.
    _reporter: Option<Reporter>,
}

pub struct LipSync {
    pub(super) video: gst_base::AggregatorPad,
    pub(super) audio: gst_base::AggregatorPad,
    settings: Mutex<Arc<Settings>>,
    pub(super) state: Mutex<State>,
    pub(super) counters: Arc<Counters>,
    /// Raised while the streaming thread is to give up what it does.
    pub(super) interrupt: Arc<Interrupt>,
    /// Of points that were lost on the way.
    pub(super) has_warned: AtomicBool,
    /// Of channels that cancel each other.
    pub(super) has_told_of_channels: AtomicBool,
    /// Whether anything before this looks for faces.
    pub(super) has_looked_for_tracker: AtomicBool,
}

impl LipSync {
    pub(super) fn settings(&self) -> Arc<Settings> {
        lock(&self.settings).clone()
    }

    /// The stream, to work with; waits for the model the first time. None: there will be none, or
    /// the wait was interrupted.
    fn take_stream(&self) -> Option<Box<Stream>> {
        let loader = {
            let mut state = lock(&self.state);
            if let Some(stream) = state.stream.take() {
                return Some(stream);
            }
            state.loader.clone()
        };
        let animator = loader?.take()?;
        let mut stream = Box::new(Stream::new(animator));
        {
            let mut state = lock(&self.state);
            // What was flushed before was nothing to it.
            state.reset_video = false;
            state.reset_speech = false;
            stream.frames = state.video_info.clone().map(Frames::new);
        }
        self.counters.set_phase(Phase::Running);
        self.declare_latency(&mut stream, &self.settings());
        Some(stream)
    }

    pub(super) fn put_back(&self, mut stream: Box<Stream>) {
        loop {
            let (video, speech) = {
                let mut state = lock(&self.state);
                let resets = (
                    std::mem::take(&mut state.reset_video),
                    std::mem::take(&mut state.reset_speech),
                );
                if resets == (false, false) {
                    state.oldest = stream.oldest();
                    if state.loader.is_some() {
                        state.stream = Some(stream);
                    }
                    return;
                }
                resets
            };
            // Not under the lock: a batch in work is waited for.
            stream.reset(video, speech);
        }
    }

    pub(super) fn reset(&self, video: bool, speech: bool) {
        let stream = {
            let mut state = lock(&self.state);
            state.reset_video |= video;
            state.reset_speech |= speech;
            state.stream.take()
        };
        if let Some(stream) = stream {
            self.put_back(stream);
        }
    }

    /// Makes the streaming thread give up what it does, until the interrupt is cleared.
    pub(super) fn interrupt(&self) {
        self.interrupt.raise();
        let loader = lock(&self.state).loader.clone();
        if let Some(loader) = loader {
            loader.wake();
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
            interrupt: Arc::default(),
            has_warned: AtomicBool::default(),
            has_told_of_channels: AtomicBool::new(false),
            has_looked_for_tracker: AtomicBool::new(false),
        }
    }
}

impl ObjectImpl for LipSync {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(properties::specs);
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = lock(&self.settings);
        if let Err(error) = properties::set(Arc::make_mut(&mut settings), pspec.name(), value) {
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
    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        // gst-launch-1.0 misses an error that comes before it listens, and would wait for ever.
        if transition == gst::StateChange::ReadyToPaused
            && let Err(error) = Model::resolve(self.settings().model_file.as_deref())
        {
            post_error(&self.obj(), &error);
            return Err(gst::StateChangeError);
        }
        self.parent_change_state(transition)
    }

    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Lip-sync",
                "Filter/Effect/Video",
                "Makes the mouths in a video follow a speech track with an ONNX model",
                "The lipflow authors",
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
                .channels_range(1..)
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
        self.interrupt.clear();
        for told in [
            &self.has_warned,
            &self.has_told_of_channels,
            &self.has_looked_for_tracker,
        ] {
            told.store(false, Relaxed);
        }
        let loader = Loader::start(weak, settings, self.interrupt.clone()).map_err(failed)?;
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
        // Deactivation joins the streaming thread, which may wait for the model or run it.
        if !active {
            self.interrupt();
        }
        self.parent_src_activate(mode, active)
    }

    fn flush(&self) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.flushed();
        self.parent_flush()
    }

    fn aggregate(&self, timeout: bool) -> Result<gst::FlowSuccess, gst::FlowError> {
        // Before there was a stream, nobody knew what the latency is: that was no time-out.
        let timeout = timeout && lock(&self.state).stream.is_some();
        let Some(mut stream) = self.take_stream() else {
            return self.give_up();
        };
        let result = self.advance(&mut stream, timeout);
        self.put_back(stream);
        match result {
            Err(gst::FlowError::Eos) => {
                gst::debug!(CAT, imp = self, "The output ends");
                self.counters.set_phase(Phase::Draining);
                progress::post(&self.obj(), &self.counters);
                result
            }
            Err(gst::FlowError::Flushing) => self.give_up(),
            _ => result,
        }
    }

    fn sink_event(&self, pad: &gst_base::AggregatorPad, event: gst::Event) -> bool {
        if *pad == self.video {
            self.video_event(pad, event)
        } else {
            self.audio_event(pad, event)
        }
    }

    fn src_event(&self, event: gst::Event) -> bool {
        self.downstream_event(event)
    }

    fn sink_query(&self, pad: &gst_base::AggregatorPad, query: &mut gst::QueryRef) -> bool {
        if *pad == self.video {
            self.video_query(pad, query)
        } else {
            self.parent_sink_query(pad, query)
        }
    }

    fn src_query(&self, query: &mut gst::QueryRef) -> bool {
        self.downstream_query(query)
    }

    fn next_time(&self) -> Option<gst::ClockTime> {
        self.deadline()
    }

    fn negotiate(&self) -> bool {
        // The output has the caps of the video, always; they are set when those come.
        true
    }
}

impl LipSync {
    /// What the streaming thread returns when it got nowhere. Where the video alone is flushed, the
    /// parent goes on calling: then it is not an end, and no reason to spin.
    fn give_up(&self) -> Result<gst::FlowSuccess, gst::FlowError> {
        if !self.interrupt.is_raised() {
            return Err(gst::FlowError::Flushing);
        }
        std::thread::sleep(PAUSE);
        Err(gst_base::AGGREGATOR_FLOW_NEED_DATA)
    }
}
