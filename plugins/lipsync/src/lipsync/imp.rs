//! SECTION:element-lipsync
//!
//! Since: 0.1.0
//!
//! `lipsync` takes frames with faces on them (see `facetrack`) and speech, and gives the same
//! frames with mouths that say it.
//!
//! ```text
//! gst-launch-1.0 facesource uri=file:///tmp/face.mp4 loop-mode=ping-pong ! facetrack ! queue ! lipsync name=l end-mode=speech ! queue ! videoconvert ! autovideosink \
//!     uridecodebin uri=file:///tmp/speech.wav ! audioconvert ! audioresample ! tee name=t \
//!     t. ! queue ! audioconvert ! audioresample ! l.audio  t. ! queue max-size-time=5000000000 max-size-bytes=0 max-size-buffers=0 ! autoaudiosink
//! ```
//!
//! **Several speakers.** A request pad `audio_%u` is the speech of one face, and its properties say of
//! which: `position` from the left (or from the right, below zero), which begins with the number of the
//! pad, `track`, or `picture`. It has a `strength`, an `audio-offset` and a `face-file` of its own; those
//! of the element are those of the pad `audio`, which speaks for all faces that no other pad speaks for.
//! Where nothing is linked to `audio` while a request pad is there, it is gone from READY to READY, and
//! faces without a speech stay as they are, to the bit. `facetrack` must follow as many: `max-faces`.
//!
//! ```text
//! gst-launch-1.0 facesource uri=file:///tmp/two.mp4 ! facetrack face-select=leftmost max-faces=2 ! queue ! \
//!     lipsync name=l audio_0::strength=0.9 audio_1::position=-1 ! queue ! videoconvert ! autovideosink \
//!     uridecodebin uri=file:///tmp/left.wav ! audioconvert ! audioresample ! queue ! l.audio_0 \
//!     uridecodebin uri=file:///tmp/right.wav ! audioconvert ! audioresample ! queue ! l.audio_1
//! ```
//!
//! A speech stays with its face wherever that goes. While the face is gone nobody else gets its speech,
//! but where as many faces are in the picture as when it was chosen, as after a cut; after 5 s it is given
//! anew (see `cast`). Pads come and go while frames flow. A flush of one pad, its gaps, its end and its
//! lateness are its own; speech is over when all of it is, and a frame waits for the latest.
//!
//! **Latency.** A frame at running time t waits for the speech up to t + look-ahead of the model: a quarter of a
//! second at most with `look=stream`, some seconds with `look=whole` and a model that has that look,
//! as the default one has (8 s). `whole` is for speech that is there already. Latency = that look-ahead, the
//! largest negative `audio-offset` and, with a mouth-shape model, as many frames as the property `look-ahead` says, in
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
//! out as went in. `GST_DEBUG=lipsync:6` tells for each frame why a mouth did not move.
//!
//! Pads: `video` (sink), `audio` (sink), `audio_%u` (sink, on request), `src` (source).
//! Properties, which `gst-inspect-1.0` describes: `model-file`, `execution-provider`, `device`, `threads`,
//! `batch-size`, `model-instance-id`, `audio-offset`, `strength`, `passthrough`, `end-mode`, `look`, `face-file`,
//! `look-ahead`, `stats`.
//! Messages: PROGRESS `load-model`; WARNING where a mouth will not move and why; ELEMENT `lipsync-progress`, a
//! few a second: `phase` (`loading`, `running`, `draining`), `frames`, `frames-without-face`,
//! `frames-without-speech`, `most-faces`, `position`, `audio-position` (ns), the times spent, and `speakers`: of
//! each request pad its name (`pad`) and the `frames` in which it moved a face.

use std::sync::atomic::{
    AtomicBool,
    Ordering::{Relaxed, Release},
};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::subclass::prelude::*;

use super::category::CAT;
use super::frames::Frames;
use super::latency::Latency;
use super::loader::{self, ModelLoader};
use super::progress::{self, Counters, Phase, Reporter};
use super::properties;
use super::settings::Settings;
use super::stream::{Resets, Stream};
use super::voice::SAMPLE_RATE;
use crate::loading;
use crate::runtime::Interrupt;
use crate::sync::lock;

/// Name of the template of the pads that can be requested.
const SPEAKERS: &str = "audio_%u";

/// Between two looks at whether an interrupt is over.
const PAUSE: Duration = Duration::from_millis(2);

#[derive(Default)]
pub(super) struct State {
    pub(super) loader: Option<Arc<ModelLoader>>,
    /// Absent before the model is loaded, and while the streaming thread works with it.
    pub(super) stream: Option<Box<Stream>>,
    /// Running time of the frame that waits longest in the stream.
    pub(super) oldest: Option<gst::ClockTime>,
    /// As it was declared last.
    pub(super) latency: Option<Latency>,
    /// Came while the streaming thread had the stream.
    resets: Resets,
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
    /// Pads that take speech have come or gone.
    pub(super) have_pads_changed: AtomicBool,
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
        let mut stream = Box::new(Stream::new(*animator));
        {
            let mut state = lock(&self.state);
            // What was flushed before was nothing to it.
            state.resets = Resets::default();
            stream.frames = state.video_info.clone().map(Frames::new);
        }
        self.renew_voices(&mut stream).ok()?;
        self.declare_latency(&mut stream, &self.settings());
        // Who sees it run may ask for the latency.
        self.counters.set_phase(Phase::Running);
        Some(stream)
    }

    pub(super) fn put_back(&self, mut stream: Box<Stream>) {
        loop {
            let resets = {
                let mut state = lock(&self.state);
                let resets = std::mem::take(&mut state.resets);
                if resets.is_empty() {
                    state.oldest = stream.oldest();
                    if state.loader.is_some() {
                        state.stream = Some(stream);
                    }
                    return;
                }
                resets
            };
            // Not under the lock: a batch in work is waited for.
            stream.reset(&resets);
        }
    }

    pub(super) fn reset(&self, resets: Resets) {
        let stream = {
            let mut state = lock(&self.state);
            state.resets.video |= resets.video;
            state.resets.speech.extend(resets.speech);
            state.stream.take()
        };
        if let Some(stream) = stream {
            self.put_back(stream);
        }
    }

    /// Does what a flush wanted while the streaming thread has had the stream. Tells whether there was any.
    pub(super) fn reset_as_told(&self, stream: &mut Stream) -> bool {
        let resets = std::mem::take(&mut lock(&self.state).resets);
        let is_any = !resets.is_empty();
        if is_any {
            stream.reset(&resets);
        }
        is_any
    }

    /// Makes the streaming thread give up what it does, until the interrupt is cleared.
    pub(super) fn interrupt(&self) {
        self.interrupt.raise();
    }
}

#[glib::object_subclass]
impl ObjectSubclass for LipSync {
    const NAME: &'static str = "GstLipSync";
    type Type = super::LipSync;
    type ParentType = gst_base::Aggregator;
    type Interfaces = (gst::ChildProxy,);

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
            have_pads_changed: AtomicBool::new(true),
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
            use gst::PadDirection::{Sink, Src};
            use gst::PadPresence::{Always, Request};
            let pad = gst_base::AggregatorPad::static_type();
            let speaker = super::LipSyncAudioPad::static_type();
            let template = gst::PadTemplate::with_gtype;
            [
                template("video", Sink, Always, &video, pad),
                template("audio", Sink, Always, &audio, pad),
                template(SPEAKERS, Sink, Request, &audio, speaker),
                template("src", Src, Always, &video, pad),
            ]
            .into_iter()
            .flatten()
            .collect()
        });
        &TEMPLATES
    }

    fn request_new_pad(
        &self,
        template: &gst::PadTemplate,
        name: Option<&str>,
        caps: Option<&gst::Caps>,
    ) -> Option<gst::Pad> {
        let pad = self.parent_request_new_pad(template, name, caps)?;
        self.have_pads_changed.store(true, Release);
        self.obj().child_added(&pad, &pad.name());
        Some(pad)
    }

    fn release_pad(&self, pad: &gst::Pad) {
        gst::debug!(CAT, imp = self, "{} is released", pad.name());
        self.obj().child_removed(pad, &pad.name());
        self.parent_release_pad(pad);
        self.have_pads_changed.store(true, Release);
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        let obj = self.obj();
        if transition == gst::StateChange::ReadyToPaused {
            loading::refuse(&*obj, loader::check(&self.settings()))?;
        }
        // The base class would wait for it for ever.
        if transition == gst::StateChange::ReadyToPaused
            && !self.audio.is_linked()
            && self.speech_pads().len() > 1
        {
            gst::debug!(CAT, imp = self, "All speech comes on request pads");
            let _ = obj.remove_pad(&self.audio);
        }
        let result = self.parent_change_state(transition);
        if transition == gst::StateChange::PausedToReady && self.audio.parent().is_none() {
            let _ = obj.add_pad(&self.audio);
        }
        result
    }
}

impl ChildProxyImpl for LipSync {
    fn children_count(&self) -> u32 {
        self.request_pads().count() as u32
    }

    fn child_by_index(&self, index: u32) -> Option<glib::Object> {
        let pad = self.request_pads().nth(index as usize);
        pad.map(|pad| pad.upcast())
    }

    fn child_by_name(&self, name: &str) -> Option<glib::Object> {
        let pad = self.request_pads().find(|pad| pad.name() == name);
        pad.map(|pad| pad.upcast())
    }
}

impl AggregatorImpl for LipSync {
    fn create_new_pad(
        &self,
        template: &gst::PadTemplate,
        name: Option<&str>,
        _caps: Option<&gst::Caps>,
    ) -> Option<gst_base::AggregatorPad> {
        if template.name_template() != SPEAKERS {
            gst::error!(CAT, imp = self, "{} can't be requested", template.name());
            return None;
        }
        let obj = self.obj();
        let is_free = |name: &String| obj.static_pad(name).is_none();
        let asked = name.filter(|name| name.strip_prefix("audio_").is_some_and(is_number));
        let name = match asked {
            Some(name) => Some(name.to_string()).filter(is_free),
            None => (0..).map(|n: u32| format!("audio_{n}")).find(is_free),
        };
        let Some(name) = name else {
            gst::error!(CAT, imp = self, "The pad {asked:?} is there already");
            return None;
        };
        let pad = gst::PadBuilder::<super::LipSyncAudioPad>::from_template(template);
        let pad = pad.name(name).build();
        pad.imp().count();
        Some(pad.upcast())
    }

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        self.parent_start()?;
        let settings = self.settings();
        self.counters.reset();
        let failed = |e: std::io::Error| {
            gst::error_msg!(gst::ResourceError::Failed, ["Can't start a thread: {e}"])
        };
        let weak = self.obj().downgrade();
        let reporter = Reporter::start(weak, self.counters.clone()).map_err(failed)?;
        self.interrupt.clear();
        for told in [&self.has_warned, &self.has_told_of_channels] {
            told.store(false, Relaxed);
        }
        self.have_pads_changed.store(true, Release);
        let loader = loader::start(&self.obj(), settings, self.interrupt.clone())?;
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
        if state.loader.as_ref().is_some_and(|loader| !loader.end()) {
            gst::debug!(
                CAT,
                imp = self,
                "The model is still being loaded; its thread goes on"
            );
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
    fn request_pads(&self) -> impl Iterator<Item = super::LipSyncAudioPad> + use<> {
        let pads = self.obj().sink_pads().into_iter();
        pads.filter_map(|pad| pad.downcast().ok())
    }

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

fn is_number(text: &str) -> bool {
    text.parse::<u32>().is_ok()
}
