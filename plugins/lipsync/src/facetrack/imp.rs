//! SECTION:element-facetrack
//!
//! Since: 0.1.0
//!
//! `facetrack` finds faces, follows them from frame to frame and attaches each to the buffer as a
//! `GstVideoRegionOfInterestMeta` of type `face`, with its 468 mesh points where it is followed
//! (see [`crate::roi`]). It touches no pixel and adds no latency.
//!
//! ```text
//! gst-launch-1.0 videotestsrc num-buffers=50 ! facetrack ! progressreport ! fakesink
//! ```
//!
//! How tracks live, get lost and return is described in [`crate::face::tracker`].
//!
//! Pads: `sink` (sink), `src` (source).
//! Properties, which `gst-inspect-1.0` describes: `face-select`, `face-index`, `max-faces`,
//! `redetect-interval`, `min-score`, `detector-size`, `mesh-interval`, `smooth`, `face-file`, `threads`,
//! `detector-model`, `mesh-model`, `stats`.
//! Messages: PROGRESS `load-model` while the networks are loaded.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use gst_video::{VideoCapsBuilder, VideoFrameRef, VideoInfo, VideoRegionOfInterestMeta};

use super::QUERY;
use super::settings::{self, Settings};
use crate::bank::FaceFile;
use crate::face::tracker::{Models, Options, Tracker};
use crate::face::{Error, Face};
use crate::runtime::{self, lock};
use crate::{roi, source_time, video};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "facetrack",
        gst::DebugColorFlags::empty(),
        Some("Face tracker"),
    )
});

#[derive(Default)]
struct State {
    /// Taken out while a frame is looked at, so that no lock is held meanwhile.
    tracker: Option<Tracker<Models>>,
    /// What was learnt of the video, if anything.
    learnt: Option<Arc<FaceFile>>,
    info: Option<VideoInfo>,
    stats: Stats,
}

#[derive(Clone, Copy, Default)]
struct Stats {
    frames: u64,
    frames_with_face: u64,
    detector_runs: u64,
    detector_time: u64,
    mesh_runs: u64,
    mesh_time: u64,
}

impl Stats {
    fn structure(&self) -> gst::Structure {
        gst::Structure::builder("facetrack-stats")
            .field("frames", self.frames)
            .field("frames-with-face", self.frames_with_face)
            .field("frames-without-face", self.frames - self.frames_with_face)
            .field("detector-runs", self.detector_runs)
            .field("detector-time", self.detector_time)
            .field("mesh-runs", self.mesh_runs)
            .field("mesh-time", self.mesh_time)
            .build()
    }
}

#[derive(Default)]
pub struct FaceTrack {
    settings: Mutex<Settings>,
    state: Mutex<State>,
}

#[glib::object_subclass]
impl ObjectSubclass for FaceTrack {
    const NAME: &'static str = "GstFaceTrack";
    type Type = super::FaceTrack;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for FaceTrack {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(settings::properties);
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let result = lock(&self.settings).set(pspec.name(), value);
        if let Err(e) = result {
            gst::error!(CAT, imp = self, "{}: {e}", pspec.name());
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match pspec.name() {
            "stats" => lock(&self.state).stats.structure().to_value(),
            name => lock(&self.settings)
                .get(name)
                .unwrap_or_else(|| pspec.default_value().clone()),
        }
    }
}

impl GstObjectImpl for FaceTrack {}

impl ElementImpl for FaceTrack {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Face tracker",
                "Filter/Analyzer/Video",
                "Finds and follows faces and attaches them with their mesh to the buffers",
                "The lipflow authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = VideoCapsBuilder::new().format_list(video::FORMATS).build();
            [
                ("sink", gst::PadDirection::Sink),
                ("src", gst::PadDirection::Src),
            ]
            .into_iter()
            .filter_map(|(name, direction)| {
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps).ok()
            })
            .collect()
        });
        &TEMPLATES
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        // Here and not in start(), whose errors can't carry details.
        if transition == gst::StateChange::ReadyToPaused {
            self.load()?;
        }
        self.parent_change_state(transition)
    }
}

impl BaseTransformImpl for FaceTrack {
    const MODE: gst_base::subclass::BaseTransformMode =
        gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        let mut state = lock(&self.state);
        state.tracker = None;
        state.learnt = None;
        state.info = None;
        Ok(())
    }

    fn set_caps(&self, incaps: &gst::Caps, _outcaps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let info = VideoInfo::from_caps(incaps)
            .map_err(|_| gst::loggable_error!(CAT, "{incaps} is no video that can be read"))?;
        if let Err(remedy) = video::check(&info) {
            gst::element_imp_error!(self, gst::StreamError::Format, ("{remedy}"));
            return Err(gst::loggable_error!(CAT, "{remedy}"));
        }
        let mut state = lock(&self.state);
        let size = |info: &VideoInfo| (info.width(), info.height());
        if state
            .info
            .as_ref()
            .is_some_and(|old| size(old) != size(&info))
            && let Some(tracker) = &mut state.tracker
        {
            tracker.reset();
        }
        state.info = Some(info);
        Ok(())
    }

    fn propose_allocation(
        &self,
        _decide_query: Option<&gst::query::Allocation>,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        // Buffers go through as they are, so what downstream offers is what upstream gets. Nobody
        // answering is no failure: upstream then allocates on its own.
        if !self.obj().src_pad().peer_query(query) {
            gst::debug!(CAT, imp = self, "Downstream proposes no allocation");
        }
        Ok(())
    }

    fn query(&self, direction: gst::PadDirection, query: &mut gst::QueryRef) -> bool {
        // `lipsync` asks whether anybody looks for faces.
        let is_ours = query.structure().is_some_and(|s| s.has_name(QUERY));
        is_ours || BaseTransformImplExt::parent_query(self, direction, query)
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        if event.type_() == gst::EventType::FlushStop
            && let Some(tracker) = &mut lock(&self.state).tracker
        {
            tracker.reset();
        }
        self.parent_sink_event(event)
    }

    fn prepare_output_buffer(
        &self,
        inbuf: gst_base::subclass::base_transform::InputBuffer,
    ) -> Result<gst_base::subclass::base_transform::PrepareOutputBufferSuccess, gst::FlowError>
    {
        use gst_base::subclass::base_transform::{InputBuffer, PrepareOutputBufferSuccess};
        // A new buffer around the same memory: only the metas are ours to change.
        Ok(match inbuf {
            InputBuffer::Writable(_) => PrepareOutputBufferSuccess::InputBuffer,
            InputBuffer::Readable(buffer) => PrepareOutputBufferSuccess::Buffer(buffer.copy()),
        })
    }

    fn transform_ip(
        &self,
        buffer: &mut gst::BufferRef,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        if let Err(remedy) = video::check_rows(buffer) {
            gst::element_imp_error!(self, gst::StreamError::Format, ("{remedy}"));
            return Err(gst::FlowError::Error);
        }
        let options = lock(&self.settings).options();
        let (tracker, learnt, info) = {
            let mut state = lock(&self.state);
            (
                state.tracker.take(),
                state.learnt.clone(),
                state.info.clone(),
            )
        };
        let info = info.ok_or(gst::FlowError::NotNegotiated)?;
        let known = learnt.and_then(|learnt| self.known(&learnt, buffer, &info));
        let (tracker, faces) = match (known, tracker) {
            (Some(face), tracker) => (tracker, Ok(vec![face])),
            (None, tracker) => {
                // With a face file the networks are loaded when they are first needed.
                let tracker = tracker.map_or_else(|| self.load_tracker(), Ok);
                let mut tracker = tracker.map_err(|_| gst::FlowError::Error)?;
                let faces = self.look(&mut tracker, buffer, &info, options);
                (Some(tracker), faces)
            }
        };
        let mut state = lock(&self.state);
        let found = faces
            .as_ref()
            .is_ok_and(|faces| faces.iter().any(|face| face.mesh.is_some()));
        state.stats.count(tracker.as_ref(), found);
        state.tracker = tracker;
        drop(state);

        let faces = faces.map_err(|e| {
            self.post_error(&e);
            gst::FlowError::Error
        })?;
        remove_covered(buffer, &faces);
        roi::attach(buffer, &faces, &info);
        Ok(gst::FlowSuccess::Ok)
    }
}

impl Stats {
    fn count(&mut self, tracker: Option<&Tracker<Models>>, found: bool) {
        self.frames += 1;
        self.frames_with_face += u64::from(found);
        let Some(counters) = tracker.map(|tracker| tracker.counters) else {
            return;
        };
        self.detector_runs = counters.detector_runs;
        self.detector_time = counters.detector_time.as_nanos() as u64;
        self.mesh_runs = counters.mesh_runs;
        self.mesh_time = counters.mesh_time.as_nanos() as u64;
    }
}

impl FaceTrack {
    /// Opens the face file, or else loads the networks.
    fn load(&self) -> Result<(), gst::StateChangeError> {
        let face_file = lock(&self.settings).face_file.clone();
        let learnt = face_file.and_then(|path| match FaceFile::shared(&path) {
            Ok(learnt) => Some(learnt),
            Err(error) => {
                gst::element_imp_warning!(
                    self,
                    gst::ResourceError::Read,
                    ("{error}. The faces are found without it"),
                    ["property face-file"]
                );
                None
            }
        });
        let tracker = match learnt {
            Some(_) => None,
            None => Some(self.load_tracker()?),
        };
        let mut state = lock(&self.state);
        state.tracker = tracker;
        state.learnt = learnt;
        state.stats = Stats::default();
        Ok(())
    }

    fn load_tracker(&self) -> Result<Tracker<Models>, gst::StateChangeError> {
        let settings = lock(&self.settings).clone();
        self.post_progress(gst::ProgressType::Start, "Loading the face models");
        match settings.load() {
            Ok(models) => {
                self.post_progress(gst::ProgressType::Complete, "Loaded the face models");
                Ok(Tracker::new(models))
            }
            Err(e) => {
                self.post_progress(gst::ProgressType::Error, &e.to_string());
                self.post_error(&e);
                Err(gst::StateChangeError)
            }
        }
    }

    /// The face of a frame that was learnt.
    fn known(&self, learnt: &FaceFile, buffer: &gst::BufferRef, info: &VideoInfo) -> Option<Face> {
        let time = source_time::of(buffer)?.nseconds();
        let mapped = VideoFrameRef::from_buffer_ref_readable(buffer, info).ok()?;
        let Some(points) = learnt.points_of(&video::frame(&mapped), time) else {
            gst::log!(CAT, imp = self, "The frame at {time} ns was not learnt");
            return None;
        };
        Some(Face {
            id: 0,
            bounds: points.mesh.bounds(),
            score: points.score,
            mesh: Some(points.mesh),
        })
    }

    fn look(
        &self,
        tracker: &mut Tracker<Models>,
        buffer: &gst::BufferRef,
        info: &VideoInfo,
        options: Options,
    ) -> Result<Vec<Face>, Error> {
        // Such as the empty buffers that stand for a gap.
        let Ok(mapped) = VideoFrameRef::from_buffer_ref_readable(buffer, info) else {
            gst::debug!(CAT, imp = self, "{buffer:?} holds no picture");
            return Ok(Vec::new());
        };
        let time = buffer.pts().map(|pts| pts.nseconds() as f64 / 1e9);
        tracker.update(&video::frame(&mapped), time, options)
    }

    fn post_progress(&self, progress: gst::ProgressType, text: &str) {
        let obj = self.obj();
        let message = gst::message::Progress::builder(progress, "load-model", text)
            .src(&*obj)
            .build();
        if obj.post_message(message).is_err() {
            gst::debug!(CAT, imp = self, "No bus to say: {text}");
        }
    }

    fn post_error(&self, error: &Error) {
        let (kind, path) = describe(error);
        let mut details = gst::Structure::builder("details")
            .field("kind", kind)
            .build();
        if let Some(path) = path {
            details.set("path", path.display().to_string());
        }
        match error {
            Error::Missing(_) => {
                gst::element_imp_error!(self, gst::ResourceError::NotFound, ("{error}"), ["{error:?}"], details: details);
            }
            Error::Corrupt { .. } | Error::WrongModel { .. } => {
                gst::element_imp_error!(self, gst::ResourceError::Read, ("{error}"), ["{error:?}"], details: details);
            }
            Error::Runtime(runtime::Error::Inference { .. }) => {
                gst::element_imp_error!(self, gst::LibraryError::Failed, ("{error}"), ["{error:?}"], details: details);
            }
            Error::Runtime(_) => {
                gst::element_imp_error!(self, gst::LibraryError::Init, ("{error}"), ["{error:?}"], details: details);
            }
        }
    }
}

/// The error for machines: its kind and the file that it is about.
fn describe(error: &Error) -> (&'static str, Option<&Path>) {
    match error {
        Error::Missing(path) => ("model-missing", Some(path)),
        Error::Corrupt { path, .. } => ("model-corrupt", Some(path)),
        Error::WrongModel { path, .. } => ("model-shape", Some(path)),
        Error::Runtime(error) => (error.word(), error.path()),
    }
}

/// Removes faces of an earlier element that this one has found too; all other metas stay.
fn remove_covered(buffer: &mut gst::BufferRef, faces: &[Face]) {
    if faces.is_empty() {
        return;
    }
    buffer.foreach_meta_mut(|mut meta| {
        let covered = meta
            .downcast_ref::<VideoRegionOfInterestMeta>()
            .is_some_and(|roi| {
                let (x, y, width, height) = roi.rect();
                let bounds = crate::face::Rect {
                    x: x as f32,
                    y: y as f32,
                    width: width as f32,
                    height: height as f32,
                };
                roi.roi_type() == "face" && faces.iter().any(|f| f.bounds.iou(&bounds) > 0.5)
            });
        ControlFlow::Continue(if covered {
            gst::buffer::BufferMetaForeachAction::Remove
        } else {
            gst::buffer::BufferMetaForeachAction::Keep
        })
    });
}
