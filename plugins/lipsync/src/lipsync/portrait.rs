//! Pictures that say whose speech it is: read once, and held against the faces in a frame.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gst::prelude::*;
use gst_video::{VideoFrameRef, VideoInfo};

use crate::face::cut::Glance;
use crate::face::detector::{self, Detector};
use crate::face::mesh::{self, Mesher, Roi};
use crate::face::{self, Face};
use crate::picture::frame::Frame;
use crate::{decode, runtime, video};

/// The longest that a picture is waited for.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(20);
/// Long side of the picture that the detector sees, and the least confidence that it is a face.
const DETECTOR_SIZE: usize = 640;
const LEAST_SCORE: f32 = 0.6;
/// Runs of the mesh until it is settled.
const RUNS: usize = 3;
/// A picture of a face was taken at another moment than the frame: so many seconds off.
const OFF: Duration = Duration::from_secs(60);
/// The face that is most like the picture is its own if the next one is so many times as unlike.
const CLEARLY: f32 = 1.3;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path} can't be read as a picture: {reason}. Give a PNG or JPEG of the face")]
    Unreadable { path: String, reason: String },
    #[error("no face is in {path}. Give a picture in which the face looks at the camera")]
    NoFace { path: String },
    #[error(transparent)]
    Face(#[from] face::Error),
}

/// The pictures that were read.
#[derive(Default)]
pub struct Portraits(HashMap<Arc<Path>, Glance>);

impl Portraits {
    /// Reads the picture at `path`, if that was not done before.
    pub fn read(&mut self, path: &Arc<Path>) -> Result<(), Error> {
        if !self.0.contains_key(path) {
            self.0.insert(path.clone(), read(path)?);
        }
        Ok(())
    }

    /// Which of the faces in a frame looks like the one in the picture at `path`, if one does.
    pub fn find(&self, path: &Path, frame: &Frame, faces: &[Face]) -> Option<usize> {
        let portrait = self.0.get(path)?;
        let mut alike: Vec<(f32, usize)> = faces
            .iter()
            .enumerate()
            .filter_map(|(index, face)| {
                let glance = Glance::of(frame, face.mesh.as_ref()?)?;
                let is_like = glance.follows(portrait, OFF.as_secs_f32());
                is_like.then(|| (glance.unlikeness(portrait), index))
            })
            .collect();
        alike.sort_by(|a, b| a.0.total_cmp(&b.0));
        gst::trace!(
            super::category::CAT,
            "{}: (how unlike, which face) {alike:?}",
            path.display()
        );
        match alike[..] {
            [(best, _), (next, _), ..] if next < best * CLEARLY => None,
            [(_, index), ..] => Some(index),
            [] => None,
        }
    }
}

fn read(path: &Path) -> Result<Glance, Error> {
    let name = || path.display().to_string();
    let (buffer, info) = decode(path).map_err(|reason| Error::Unreadable {
        path: name(),
        reason,
    })?;
    let mapped = VideoFrameRef::from_buffer_ref_readable(&buffer, &info);
    let mapped = mapped.map_err(|e| Error::Unreadable {
        path: name(),
        reason: e.to_string(),
    })?;
    let frame = video::frame(&mapped);
    let models = runtime::data_dir().join("models");
    let mut detector = Detector::load(&models.join(detector::FILE), face::OPTIONS)?;
    let mut mesher = Mesher::load(&models.join(mesh::FILE), face::OPTIONS)?;
    let no_face = || Error::NoFace { path: name() };
    let faces = detector.detect(&frame, DETECTOR_SIZE, LEAST_SCORE, None)?;
    let largest = faces
        .iter()
        .max_by(|a, b| a.bounds.area().total_cmp(&b.bounds.area()));
    let mut roi = Roi::from_detection(largest.ok_or_else(no_face)?);
    let mut found = None;
    for _ in 0..RUNS {
        let (mesh, _) = mesher.find(&frame, &roi, None)?.ok_or_else(no_face)?;
        roi = Roi::from_mesh(&mesh);
        found = Some(mesh);
    }
    found
        .and_then(|mesh| Glance::of(&frame, &mesh))
        .ok_or_else(no_face)
}

/// The picture, or the first of a video, the right way up.
fn decode(path: &Path) -> Result<(gst::Buffer, VideoInfo), String> {
    let absolute = std::path::absolute(path).map_err(|e| e.to_string())?;
    let uri = gst::glib::filename_to_uri(absolute, None).map_err(|e| e.to_string())?;
    let pipeline = gst::parse::launch(
        "uridecodebin name=decode ! videoconvert ! videoflip video-direction=auto ! \
         video/x-raw,format=RGB ! appsink name=sink sync=false max-buffers=1",
    );
    let pipeline = pipeline.map_err(|e| e.to_string())?;
    let pipeline: gst::Pipeline = pipeline.downcast().map_err(|_| "no pipeline was built")?;
    let element = |name: &str| pipeline.by_name(name).ok_or("no pipeline was built");
    let (source, sink) = (element("decode")?, element("sink")?);
    decode::only_this_file(&source, |_| {});
    decode::limits::no_larger_than(&source, decode::limits::MOST_PIXELS);
    source.set_property("uri", uri);
    let sink: gst_app::AppSink = sink.downcast().map_err(|_| "no pipeline was built")?;
    let _ = pipeline.set_state(gst::State::Playing);
    let bus = pipeline.bus().ok_or("no pipeline was built")?;
    let sample = wait(&sink, &bus);
    let _ = pipeline.set_state(gst::State::Null);
    let sample = sample?;
    let info = sample
        .caps()
        .and_then(|caps| VideoInfo::from_caps(caps).ok());
    sample
        .buffer_owned()
        .zip(info)
        .ok_or_else(|| "it holds nothing".into())
}

fn wait(sink: &gst_app::AppSink, bus: &gst::Bus) -> Result<gst::Sample, String> {
    let step = gst::ClockTime::from_mseconds(20);
    for _ in 0..PATIENCE.nseconds() / step.nseconds() {
        if let Some(sample) = sink.try_pull_sample(step) {
            return Ok(sample);
        }
        if let Some(message) = bus.pop_filtered(&[gst::MessageType::Error])
            && let gst::MessageView::Error(error) = message.view()
        {
            return Err(error.error().to_string());
        }
        if sink.is_eos() {
            return Err("no picture is in it".into());
        }
    }
    Err(format!("nothing came of it in {PATIENCE}"))
}
