//! Looks for faces in a few frames, to say beforehand whether a job is worth starting.

use std::path::Path;
use std::time::{Duration, Instant};

use gst::prelude::*;

use super::classify::{self, Files};
use crate::cancel::Cancel;
use crate::error::{Failure, FailureKind};
use crate::job::{Length, uri_of};

/// How many frames are looked at.
const FRAMES: u32 = 8;
/// For all of them together.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    pub frames: u32,
    pub with_face: u32,
    /// The most in one frame.
    pub most_faces: u32,
}

/// Decodes frames spread over the file and counts their faces.
pub fn sample(path: &Path, duration: Length, cancel: &Cancel) -> Result<Sample, Failure> {
    let internal =
        |e: gst::glib::Error| Failure::new(FailureKind::PluginMissing).detail(e.message());
    let pipeline = gst::parse::launch(
        "uridecodebin name=source \
         ! videoconvert ! video/x-raw,format=I420 ! videoflip video-direction=auto ! facetrack \
         ! appsink name=sink sync=false max-buffers=1",
    )
    .map_err(internal)?
    .downcast::<gst::Pipeline>()
    .map_err(|_| Failure::new(FailureKind::Internal).detail("no pipeline was built"))?;
    if let Some(source) = pipeline.by_name("source") {
        source.set_property("uri", uri_of(path)?);
    }
    let files = Files {
        face: path.to_owned(),
        ..Default::default()
    };
    let sampled = look(&pipeline, duration, &files, cancel);
    super::runner::stop(&pipeline)?;
    sampled
}

fn look(
    pipeline: &gst::Pipeline,
    duration: Length,
    files: &Files,
    cancel: &Cancel,
) -> Result<Sample, Failure> {
    let sink = pipeline
        .by_name("sink")
        .and_then(|sink| sink.downcast::<gst_app::AppSink>().ok())
        .ok_or_else(|| Failure::new(FailureKind::Internal).detail("no sink was built"))?;
    let deadline = Instant::now() + LIMIT;
    // What fails is on the bus, which `next` reads.
    let _ = pipeline.set_state(gst::State::Paused);
    let mut sample = Sample::default();
    let positions = positions(duration);
    for (index, position) in positions.into_iter().enumerate() {
        if index > 0 {
            let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT;
            if pipeline.seek_simple(flags, position).is_err() {
                // What can't be searched is judged by its beginning.
                break;
            }
        }
        let Some(frame) = next(pipeline, &sink, files, deadline, cancel)? else {
            break;
        };
        let faces = frame.buffer().map_or(0, count_faces);
        sample.frames += 1;
        sample.with_face += u32::from(faces > 0);
        sample.most_faces = sample.most_faces.max(faces);
    }
    Ok(sample)
}

fn positions(duration: Length) -> Vec<gst::ClockTime> {
    let Some(duration) = duration.known() else {
        return vec![gst::ClockTime::ZERO];
    };
    (0..FRAMES)
        .filter_map(|n| gst::ClockTime::try_from(duration * n / FRAMES).ok())
        .collect()
}

fn next(
    pipeline: &gst::Pipeline,
    sink: &gst_app::AppSink,
    files: &Files,
    deadline: Instant,
    cancel: &Cancel,
) -> Result<Option<gst::Sample>, Failure> {
    while Instant::now() < deadline {
        cancel.check()?;
        if let Some(frame) = sink.try_pull_preroll(gst::ClockTime::from_mseconds(100)) {
            return Ok(Some(frame));
        }
        if sink.is_eos() {
            return Ok(None);
        }
        if let Some(message) = pipeline
            .bus()
            .and_then(|bus| bus.pop_filtered(&[gst::MessageType::Error]))
            && let gst::MessageView::Error(error) = message.view()
        {
            let source = message.src().map(classify::path_of).unwrap_or_default();
            return Err(classify::failure_of(
                &error.error(),
                error.debug().as_deref(),
                // What decodes here is the face, whatever the element is called.
                &format!("face: {source}"),
                error.details(),
                files,
            ));
        }
    }
    Ok(None)
}

fn count_faces(buffer: &gst::BufferRef) -> u32 {
    let faces = buffer
        .iter_meta::<gst_video::VideoRegionOfInterestMeta>()
        .filter(|meta| meta.roi_type() == "face")
        .count();
    u32::try_from(faces).unwrap_or(u32::MAX)
}
