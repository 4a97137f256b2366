//! A clip's frames with their faces.

use std::error::Error;

use gst::prelude::*;
use gstlipsync::face::{Face, Mesh};
use gstlipsync::picture::frame::{Frame, FrameMut, Layout};
use gstlipsync::{bank, roi, video};

pub struct Shot {
    pub planes: [Vec<u8>; 3],
    pub layout: Layout,
    pub face: Option<Face>,
    pub time: u64,
}

impl Shot {
    pub fn frame(&self) -> Frame<'_> {
        view(&self.layout, &self.planes)
    }

    pub fn mesh(&self) -> Option<&Mesh> {
        self.face.as_ref()?.mesh.as_ref()
    }
}

pub fn view<'a>(layout: &Layout, [a, b, c]: &'a [Vec<u8>; 3]) -> Frame<'a> {
    Frame {
        layout: *layout,
        planes: [a, b, c],
    }
}

pub fn view_mut<'a>(layout: &Layout, [a, b, c]: &'a mut [Vec<u8>; 3]) -> FrameMut<'a> {
    FrameMut {
        layout: *layout,
        planes: [a, b, c],
    }
}

pub fn read(clip: &str) -> Result<Vec<Shot>, Box<dyn Error>> {
    gst::init()?;
    gstlipsync::plugin_register_static()?;
    let pipeline = gst::parse::launch(
        "filesrc name=file ! decodebin ! videoconvert ! video/x-raw,format=I420 ! facetrack smooth=false \
         ! appsink name=sink sync=false max-buffers=4",
    )?;
    let pipeline = pipeline
        .downcast::<gst::Pipeline>()
        .map_err(|_| "no pipeline")?;
    pipeline
        .by_name("file")
        .ok_or("no file")?
        .set_property("location", clip);
    let sink = pipeline
        .by_name("sink")
        .and_then(|s| s.downcast::<gst_app::AppSink>().ok());
    let sink = sink.ok_or("no sink")?;
    pipeline.set_state(gst::State::Playing)?;
    let mut shots = Vec::new();
    while let Ok(sample) = sink.pull_sample() {
        let info = gst_video::VideoInfo::from_caps(sample.caps().ok_or("no caps")?)?;
        let buffer = sample.buffer_owned().ok_or("no buffer")?;
        let mapped = gst_video::VideoFrameRef::from_buffer_ref_readable(&buffer, &info)?;
        let frame = video::frame(&mapped);
        shots.push(Shot {
            planes: frame.planes.map(<[u8]>::to_vec),
            layout: frame.layout,
            face: roi::faces(&buffer).into_iter().find(|f| f.mesh.is_some()),
            time: buffer.pts().unwrap_or_default().nseconds(),
        });
    }
    pipeline.set_state(gst::State::Null)?;
    Ok(shots)
}

/// The shots with points as a face file has them.
pub fn steadied(mut shots: Vec<Shot>) -> Vec<Shot> {
    let meshes: Vec<Option<Mesh>> = shots.iter().map(|shot| shot.mesh().cloned()).collect();
    for (shot, near) in shots.iter_mut().skip(1).zip(meshes.windows(3)) {
        if let ([Some(a), Some(b), Some(c)], Some(face)) = (near, &mut shot.face) {
            face.mesh = Some(bank::steadied(a, b, c));
        }
    }
    shots
}
