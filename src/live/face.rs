//! The face on air: a file as endless frames of one size, which can be exchanged for another.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::error::{Failure, FailureKind};

/// How long a new face may take to give its first frame.
const OPEN_LIMIT: Duration = Duration::from_secs(15);
/// How long one frame may take before the last one is shown again.
const FRAME_LIMIT: gst::ClockTime = gst::ClockTime::from_mseconds(500);

/// Size and rate of the pictures on air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    pub width: u32,
    pub height: u32,
    pub fps: (u32, u32),
}

impl Picture {
    pub fn caps(&self) -> gst::Caps {
        gst_video::VideoCapsBuilder::new()
            .format(gst_video::VideoFormat::I420)
            .width(self.width as i32)
            .height(self.height as i32)
            .framerate(gst::Fraction::new(self.fps.0 as i32, self.fps.1 as i32))
            .pixel_aspect_ratio(gst::Fraction::new(1, 1))
            .build()
    }

    /// When frame `number` is shown.
    pub fn time(&self, number: u64) -> gst::ClockTime {
        gst::ClockTime::SECOND
            .mul_div_floor(number * u64::from(self.fps.1), u64::from(self.fps.0))
            .unwrap_or(gst::ClockTime::ZERO)
    }
}

/// A face that gives frames.
pub struct Face {
    pub path: PathBuf,
    pipeline: gst::Pipeline,
    sink: gst_app::AppSink,
    /// Kept open: the file may be deleted or replaced while it is on air.
    _file: File,
}

impl Face {
    /// Opens the file and waits for its first frame.
    pub fn open(path: &Path, picture: &Picture) -> Result<Self, Failure> {
        let failed = |kind, detail: &dyn std::fmt::Display| Failure::of(kind, path).detail(detail);
        let file = File::open(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Failure::of(FailureKind::InputMissing, path),
            _ => failed(FailureKind::InputUnreadable, &e),
        })?;
        let loop_mode = match super::is_picture(path)? {
            true => "hold",
            false => "ping-pong",
        };
        let pipeline = gst::parse::launch(&format!(
            "facesource uri=file:///proc/self/fd/{} loop-mode={loop_mode} \
             ! videoconvert ! videoscale add-borders=true ! videorate \
             ! appsink name=frames sync=false max-buffers=4",
            file.as_raw_fd()
        ))
        .map_err(|e| failed(FailureKind::PluginMissing, &e.message()))?
        .downcast::<gst::Pipeline>()
        .map_err(|_| failed(FailureKind::Internal, &"no pipeline was built"))?;
        let sink = pipeline
            .by_name("frames")
            .and_then(|sink| sink.downcast::<gst_app::AppSink>().ok())
            .ok_or_else(|| failed(FailureKind::Internal, &"no sink was built"))?;
        sink.set_caps(Some(&picture.caps()));
        let face = Self {
            path: path.into(),
            pipeline,
            sink,
            _file: file,
        };
        // What fails is on the bus.
        let _ = face.pipeline.set_state(gst::State::Playing);
        let end = Instant::now() + OPEN_LIMIT;
        loop {
            if face
                .sink
                .try_pull_preroll(gst::ClockTime::from_mseconds(100))
                .is_some()
            {
                return Ok(face);
            }
            if let Some(error) = face.error() {
                return Err(failed(FailureKind::InputDamaged, &error));
            }
            if Instant::now() > end {
                return Err(failed(FailureKind::Stuck, &"it gives no frame"));
            }
        }
    }

    fn error(&self) -> Option<String> {
        let message = self
            .pipeline
            .bus()?
            .pop_filtered(&[gst::MessageType::Error])?;
        match message.view() {
            gst::MessageView::Error(error) => Some(error.error().message().into()),
            _ => None,
        }
    }
}

impl Drop for Face {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// Gives the engine one frame after the other until it takes no more.
pub struct Feeder {
    picture: Picture,
    face: Face,
    last: Option<gst::Buffer>,
    is_broken: bool,
}

impl Feeder {
    pub fn new(face: Face, picture: Picture) -> Self {
        Self {
            picture,
            face,
            last: None,
            is_broken: false,
        }
    }

    /// Feeds `engine`, which takes a frame when it has sound for it; faces that come through `faces`
    /// take the place of the one before. `warn` is told what is wrong with a face on air.
    pub fn run(
        mut self,
        engine: &gst_app::AppSrc,
        faces: &mpsc::Receiver<Face>,
        warn: &dyn Fn(String),
    ) {
        let mut number = 0;
        loop {
            if let Ok(face) = faces.try_recv() {
                self.face = face;
                self.is_broken = false;
            }
            let Some(mut frame) = self.next(warn) else {
                continue;
            };
            {
                let time = self.picture.time(number);
                let frame = frame.make_mut();
                frame.set_pts(time);
                frame.set_dts(gst::ClockTime::NONE);
                frame.set_duration(self.picture.time(number + 1) - time);
            }
            number += 1;
            if engine.push_buffer(frame).is_err() {
                return;
            }
        }
    }

    /// The next frame, or the last one again.
    fn next(&mut self, warn: &dyn Fn(String)) -> Option<gst::Buffer> {
        if !self.is_broken {
            let sample = self.face.sink.try_pull_sample(FRAME_LIMIT);
            if let Some(buffer) = sample.and_then(|sample| sample.buffer_owned()) {
                self.last = Some(buffer.clone());
                return Some(buffer);
            }
            if let Some(error) = self.face.error() {
                self.is_broken = true;
                warn(format!(
                    "{}: the face can't be read any more: {error}. Its last frame stays until there is another face",
                    self.face.path.display()
                ));
            }
        }
        self.last.clone()
    }
}
