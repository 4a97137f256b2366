//! The face on air: a file as endless frames of one size, which can be exchanged for another.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::error::{Failure, FailureKind};
use crate::pipeline::probe::{Kind, Probe};
use crate::stamp::Stamp;

/// How long a new face may take to give its first frame.
const OPEN_LIMIT: Duration = Duration::from_secs(15);
/// How long one frame may take before the last one is shown again.
const FRAME_LIMIT: gst::ClockTime = gst::ClockTime::from_mseconds(500);

/// What the numbers of the pictures on air mean.
pub const COLORIMETRY: &str = "bt709";

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
            // Fixed: the face on air may be exchanged for one of other colours.
            .field("colorimetry", COLORIMETRY)
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
    /// What is read: nobody else knows of it.
    _file: File,
}

/// A copy without a name: the file itself may be overwritten while it is on air.
fn private_copy(file: &File) -> std::io::Result<File> {
    // Not in /tmp, which may be memory.
    let mut copy = tempfile::tempfile_in("/var/tmp")?;
    std::io::copy(&mut &*file, &mut copy)?;
    Ok(copy)
}

/// Tells when the file of the face on air is not any more what it was.
pub struct Watch {
    path: PathBuf,
    seen: Option<Stamp>,
}

impl Watch {
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.into(),
            seen: Stamp::of(path).ok(),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What to say about it, once for each change.
    pub fn look(&mut self) -> Option<String> {
        let now = Stamp::of(&self.path).ok();
        if now == self.seen {
            return None;
        }
        let what = match now {
            Some(_) => "was changed",
            None => "was deleted",
        };
        self.seen = now;
        Some(format!(
            "{}: the face's file {what}. It stays on air as it was read; `lipflow control face FILE` shows another",
            self.path.display()
        ))
    }
}

impl Face {
    /// Opens the file, of which `probe` knows, and waits for its first frame.
    pub fn open(path: &Path, probe: &Probe, picture: &Picture) -> Result<Self, Failure> {
        let failed = |kind, detail: &dyn std::fmt::Display| Failure::of(kind, path).detail(detail);
        let file = File::open(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Failure::of(FailureKind::InputMissing, path),
            _ => failed(FailureKind::InputUnreadable, &e),
        })?;
        // Without room for a copy, the file stays open at least: it may be deleted or replaced.
        let file = private_copy(&file).unwrap_or(file);
        let loop_mode = match probe.kind {
            Kind::Picture => "hold",
            Kind::Video | Kind::Sound => "ping-pong",
        };
        // What comes behind videoscale is not asked which colours it takes, so colorconvert stands there.
        let pipeline = gst::parse::launch(&format!(
            "facesource uri=file:///proc/self/fd/{} loop-mode={loop_mode} prefetch=true \
             ! videoconvert ! video/x-raw,format={{I420,I420_10LE}} \
             ! videoscale add-borders=true ! colorconvert ! videorate ! appsink name=frames sync=false max-buffers=4",
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

/// What the feeder is told while it works.
#[derive(Debug)]
pub struct Pace {
    /// Time zero of the broadcast.
    pub begin: Instant,
    /// Frames from one picture to the next; above 1 where the machine can't keep up.
    pub stride: AtomicU64,
}

/// So far behind the clock, pictures that come too late anyhow are left out.
const TOO_LATE: Duration = Duration::from_millis(500);

impl Pace {
    /// The frame to give after `number`.
    fn after(&self, number: u64, picture: &Picture) -> u64 {
        let stride = self.stride.load(Ordering::Relaxed);
        let next = number + stride;
        if stride <= 1 {
            return next;
        }
        let late = self.begin.elapsed().saturating_sub(TOO_LATE);
        next.max((late.as_secs_f64() * f64::from(picture.fps.0) / f64::from(picture.fps.1)) as u64)
    }
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
        pace: &Pace,
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
            number = pace.after(number, &self.picture);
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

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: Picture = Picture {
        width: 320,
        height: 240,
        fps: (30_000, 1001),
    };

    #[test]
    fn frames_of_an_odd_rate_do_not_drift() {
        assert_eq!(PICTURE.time(0), gst::ClockTime::ZERO);
        assert_eq!(PICTURE.time(30_000), gst::ClockTime::from_seconds(1001));
    }

    #[test]
    fn a_file_that_changes_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("face.mp4");
        std::fs::write(&path, "one").unwrap();
        let mut watch = Watch::new(&path);
        assert_eq!(watch.look(), None);
        std::fs::write(&path, "another").unwrap();
        assert!(watch.look().unwrap().contains("was changed"));
        assert_eq!(watch.look(), None);
        std::fs::remove_file(&path).unwrap();
        assert!(watch.look().unwrap().contains("was deleted"));
        assert_eq!(watch.look(), None);
    }

    #[test]
    fn late_pictures_are_left_out_only_where_some_are_anyhow() {
        let pace = Pace {
            begin: Instant::now() - Duration::from_secs(10),
            stride: AtomicU64::new(1),
        };
        assert_eq!(pace.after(20, &PICTURE), 21, "full effort shows all");
        pace.stride.store(2, Ordering::Relaxed);
        let next = pace.after(20, &PICTURE);
        assert!((284..=286).contains(&next), "9.5 s on: {next}");
        assert_eq!(pace.after(400, &PICTURE), 402, "in time");
    }
}
