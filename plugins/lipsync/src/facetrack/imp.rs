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
//! `redetect-interval`, `min-score`, `detector-size`, `mesh-interval`, `smooth`, `face-file`,
//! `execution-provider`, `device`, `threads`, `model-instance-id`,
//! `detector-model`, `mesh-model`, `stats`.
//! Messages: PROGRESS `load-model` while the networks are loaded.

use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use gst_video::{VideoCapsBuilder, VideoFrameRef, VideoInfo, VideoRegionOfInterestMeta};

use super::QUERY;
use super::loader;
use super::settings::{self, Settings};
use crate::bank::FaceFile;
use crate::face::tracker::{Models, Options, Tracker};
use crate::face::{Error, Face};
use crate::fault::Fault;
use crate::loading;
use crate::runtime::{Interrupt, Loader};
use crate::sync::lock;
use crate::{pads, roi, source_time, video};

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
    /// It is to forget its faces when it is back.
    reset: bool,
    /// Gives the tracker, once.
    loader: Option<Arc<Loader<Models>>>,
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
    /// Raised while the streaming thread is to give up what it does.
    interrupt: Arc<Interrupt>,
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
            pads::sink_and_src(&caps)
        });
        &TEMPLATES
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        match transition {
            // Here and not in start(), whose errors can't carry details.
            gst::StateChange::ReadyToPaused => self.prepare()?,
            // The pads wait for the streaming thread, which may wait for the models or run them.
            gst::StateChange::PausedToReady => self.interrupt.raise(),
            _ => {}
        }
        self.parent_change_state(transition)
    }
}

impl BaseTransformImpl for FaceTrack {
    const MODE: gst_base::subclass::BaseTransformMode =
        gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        self.interrupt.clear();
        // With a face file the networks are loaded when they are first needed.
        let is_learnt = lock(&self.state).learnt.is_some();
        if !is_learnt {
            self.start_loader()?;
        }
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        let state = std::mem::take(&mut *lock(&self.state));
        if state.loader.as_ref().is_some_and(|loader| !loader.end()) {
            gst::debug!(
                CAT,
                imp = self,
                "The models are still being loaded; the thread goes on"
            );
        }
        // What was counted may be asked for afterwards.
        lock(&self.state).stats = state.stats;
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
        {
            state.forget_faces();
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
        match event.type_() {
            gst::EventType::FlushStart => self.interrupt.raise(),
            gst::EventType::FlushStop => {
                lock(&self.state).forget_faces();
                self.interrupt.clear();
            }
            _ => {}
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
                let mut tracker = match tracker {
                    Some(tracker) => tracker,
                    None => self.take_tracker()?,
                };
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
        if state.reset {
            state.forget_faces();
        }
        drop(state);

        let faces = faces.map_err(|e| {
            if self.interrupt.is_raised() {
                gst::debug!(CAT, imp = self, "Interrupted: {e}");
                return gst::FlowError::Flushing;
            }
            Fault::from(e).post(&*self.obj());
            gst::FlowError::Error
        })?;
        remove_covered(buffer, &faces);
        roi::attach(buffer, &faces, &info);
        Ok(gst::FlowSuccess::Ok)
    }
}

impl State {
    /// Now, or when the tracker is back.
    fn forget_faces(&mut self) {
        self.reset = self.tracker.is_none();
        if let Some(tracker) = &mut self.tracker {
            tracker.reset();
        }
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
    /// Opens the face file, or else looks whether there are networks.
    fn prepare(&self) -> Result<(), gst::StateChangeError> {
        let settings = lock(&self.settings).clone();
        let learnt = settings
            .face_file
            .as_ref()
            .and_then(|path| match FaceFile::shared(path) {
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
        if learnt.is_none() {
            loading::refuse(&*self.obj(), loader::check(&settings))?;
        }
        *lock(&self.state) = State {
            learnt,
            ..State::default()
        };
        Ok(())
    }

    /// Begins to load the networks.
    fn start_loader(&self) -> Result<Arc<Loader<Models>>, gst::ErrorMessage> {
        let settings = lock(&self.settings).clone();
        let loader = loader::start(&self.obj(), settings, self.interrupt.clone())?;
        let loader = Arc::new(loader);
        lock(&self.state).loader = Some(loader.clone());
        Ok(loader)
    }

    /// The tracker, to work with; waits for the networks.
    fn take_tracker(&self) -> Result<Tracker<Models>, gst::FlowError> {
        let loader = lock(&self.state).loader.clone();
        let loader = match loader {
            Some(loader) => loader,
            None => self.start_loader().map_err(|error| {
                self.post_error_message(error);
                gst::FlowError::Error
            })?,
        };
        match loader.take() {
            Some(models) => Ok(Tracker::new(models)),
            None if self.interrupt.is_raised() => Err(gst::FlowError::Flushing),
            // Why was told.
            None => Err(gst::FlowError::Error),
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
