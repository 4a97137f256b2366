//! SECTION:element-facelearn
//!
//! Since: 0.1.0
//!
//! `facelearn` looks at the faces that `facetrack` has found and, at the end of the stream, writes a
//! face file: the points of the frames and a bank of the person's own mouths (see [`crate::bank`]).
//! `facetrack` and `lipsync` take that file as their property `face-file`. It touches no pixel and
//! adds no latency.
//!
//! ```text
//! gst-launch-1.0 facesource uri=file:///tmp/face.mp4 loop-mode=none ! facetrack smooth=false ! facelearn location=/tmp/me.face ! fakesink
//! ```
//!
//! Frames are told apart by their time in the file (see [`crate::source_time`]). A flush or a seek
//! does not make it forget: so parts of a long file can be learnt. Of the faces in a frame the first
//! one with points is learnt.
//!
//! A few times a second it posts an element message `facelearn-progress` with `frames`,
//! `frames-with-face`, `mouths` (guint64), `position` (guint64, ns) and `phase` (`looking`,
//! `writing`).
//!
//! Pads: `sink` (sink), `src` (source).
//! Properties, which `gst-inspect-1.0` describes: `location`, `source-id`, `max-bytes`.
//! Messages: ELEMENT `facelearn-progress`, as above.

use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::subclass::prelude::*;
use gst_video::{VideoCapsBuilder, VideoFrameRef, VideoInfo};

use crate::bank::{self, Learner};
use crate::fault::Fault;
use crate::sync::lock;
use crate::{pads, property, roi, source_time, video};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "facelearn",
        gst::DebugColorFlags::empty(),
        Some("Face learner"),
    )
});

/// Time between two messages.
const INTERVAL: Duration = Duration::from_millis(250);

#[derive(Clone)]
struct Settings {
    location: Option<PathBuf>,
    source_id: String,
    max_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            location: None,
            source_id: String::new(),
            max_bytes: bank::DEFAULT_BYTES,
        }
    }
}

#[derive(Default)]
struct State {
    /// Taken out while a frame is looked at, so that no lock is held meanwhile.
    learner: Option<Learner>,
    info: Option<VideoInfo>,
    position: gst::ClockTime,
    told: Option<Instant>,
}

#[derive(Default)]
pub struct FaceLearn {
    settings: Mutex<Settings>,
    state: Mutex<State>,
}

#[glib::object_subclass]
impl ObjectSubclass for FaceLearn {
    const NAME: &'static str = "GstFaceLearn";
    type Type = super::FaceLearn;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for FaceLearn {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            let default = Settings::default();
            vec![
                glib::ParamSpecString::builder("location")
                    .nick("Location")
                    .blurb("The face file to write at the end of the stream")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecString::builder("source-id")
                    .nick("Source id")
                    .blurb("What identifies the content of the video, such as its sha256; kept in the face file")
                    .default_value(default.source_id.as_str())
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt64::builder("max-bytes")
                    .nick("Maximum of bytes")
                    .blurb("What the face file, and the memory while it is made, may take")
                    .minimum(1 << 20)
                    .maximum(1 << 36)
                    .default_value(default.max_bytes)
                    .mutable_ready()
                    .build(),
            ]
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = lock(&self.settings);
        let set = match pspec.name() {
            "location" => property::path(value).map(|path| settings.location = path),
            "source-id" => value
                .get::<Option<String>>()
                .map(|id| settings.source_id = id.unwrap_or_default()),
            _ => value.get().map(|bytes| settings.max_bytes = bytes),
        };
        if let Err(error) = set {
            gst::error!(CAT, imp = self, "Property {}: {error}", pspec.name());
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = lock(&self.settings);
        match pspec.name() {
            "location" => property::path_value(settings.location.as_deref()),
            "source-id" => settings.source_id.to_value(),
            _ => settings.max_bytes.to_value(),
        }
    }
}

impl GstObjectImpl for FaceLearn {}

impl ElementImpl for FaceLearn {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Face learner",
                "Filter/Analyzer/Video",
                "Learns a face from its video and writes it to a file that facetrack and lipsync use",
                "The lipflow authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = VideoCapsBuilder::new().format_list(video::FORMATS).build();
            pads::sink_and_src(&caps)
        });
        &TEMPLATES
    }
}

impl BaseTransformImpl for FaceLearn {
    const MODE: gst_base::subclass::BaseTransformMode =
        gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = true;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = true;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let settings = lock(&self.settings).clone();
        if settings.location.is_none() {
            return Err(gst::error_msg!(
                gst::ResourceError::Settings,
                ["facelearn writes a file: say which with its property location"]
            ));
        }
        *lock(&self.state) = State {
            learner: Some(Learner::new(settings.max_bytes)),
            ..State::default()
        };
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.state) = State::default();
        Ok(())
    }

    fn set_caps(&self, incaps: &gst::Caps, _outcaps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let info = VideoInfo::from_caps(incaps)
            .map_err(|_| gst::loggable_error!(CAT, "{incaps} is no video that can be read"))?;
        lock(&self.state).info = Some(info);
        Ok(())
    }

    fn transform_ip_passthrough(
        &self,
        buffer: &gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        if let Err(remedy) = video::check_rows(buffer) {
            gst::element_imp_error!(self, gst::StreamError::Format, ("{remedy}"));
            return Err(gst::FlowError::Error);
        }
        let (learner, info) = {
            let mut state = lock(&self.state);
            (state.learner.take(), state.info.clone())
        };
        let (Some(mut learner), Some(info)) = (learner, info) else {
            return Err(gst::FlowError::NotNegotiated);
        };
        let time = source_time::of(buffer);
        match (VideoFrameRef::from_buffer_ref_readable(buffer, &info), time) {
            (Ok(mapped), Some(time)) => {
                let faces = roi::faces_in(buffer, &info);
                let face = faces.iter().find(|face| face.mesh.is_some());
                learner.look(&video::frame(&mapped), face, time.nseconds());
            }
            // Such as the empty buffers that stand for a gap.
            _ => gst::debug!(
                CAT,
                imp = self,
                "{buffer:?} holds no picture or has no time"
            ),
        }
        let mut state = lock(&self.state);
        state.learner = Some(learner);
        state.position = time.unwrap_or(state.position);
        drop(state);
        self.tell("looking", false);
        Ok(gst::FlowSuccess::Ok)
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        if event.type_() == gst::EventType::Eos && !self.write() {
            // The error is on the bus; who waits for the end must not take it for success.
            return false;
        }
        self.parent_sink_event(event)
    }
}

impl FaceLearn {
    /// Writes the file. False where that failed, and the bus was told.
    fn write(&self) -> bool {
        let settings = lock(&self.settings).clone();
        let (Some(mut learner), Some(location)) =
            (lock(&self.state).learner.take(), settings.location)
        else {
            return true;
        };
        let written = learner.write(&location, &settings.source_id);
        gst::info!(
            CAT,
            imp = self,
            "{} of {} frames have a face, {} mouths kept: {written:?}",
            learner.frames_with_face(),
            learner.frames_seen(),
            learner.mouths().len()
        );
        lock(&self.state).learner = Some(learner);
        self.tell("writing", true);
        let Err(error) = written else {
            return true;
        };
        let fault = match error {
            bank::Error::NoFace => {
                let text = format!(
                    "{error}. Put facetrack before facelearn, and give it a video of a face"
                );
                let error = glib::Error::new(gst::StreamError::WrongType, &text);
                Fault::new(error, "no-face", "no frame has a face meta with points")
            }
            error => {
                let error = glib::Error::new(gst::ResourceError::Write, &error.to_string());
                Fault::new(error, "face-file", "property location")
            }
        };
        fault.path(&location).post(&*self.obj());
        false
    }

    /// Posts how far it is, if the last time is long enough ago.
    fn tell(&self, phase: &str, at_once: bool) {
        let mut state = lock(&self.state);
        let due = state.told.is_none_or(|told| told.elapsed() >= INTERVAL);
        let (true, Some(learner)) = (due || at_once, &state.learner) else {
            return;
        };
        let structure = gst::Structure::builder("facelearn-progress")
            .field("frames", learner.frames_seen())
            .field("frames-with-face", learner.frames_with_face())
            .field("mouths", learner.mouths().len() as u64)
            .field("position", state.position.nseconds())
            .field("phase", phase)
            .build();
        state.told = Some(Instant::now());
        drop(state);
        let obj = self.obj();
        let message = gst::message::Element::builder(structure).src(&*obj).build();
        if obj.post_message(message).is_err() {
            gst::debug!(CAT, imp = self, "No bus to tell how far it is");
        }
    }
}
