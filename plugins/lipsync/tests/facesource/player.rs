//! Makes files, plays them, and reads the frames' numbers.

use std::path::{Path, PathBuf};
use std::sync::{RwLock, RwLockReadGuard};

use gst::ClockTime;
use gst::glib;
use gst::prelude::*;
use tempfile::TempDir;

pub const WIDTH: usize = 64;
pub const HEIGHT: usize = 48;
pub const MS: ClockTime = ClockTime::MSECOND;

/// Tests that count threads and memory run alone.
pub static PROCESS: RwLock<()> = RwLock::new(());

pub fn init() -> RwLockReadGuard<'static, ()> {
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
    PROCESS.read().unwrap_or_else(|e| e.into_inner())
}

pub fn uri(path: &Path) -> String {
    glib::filename_to_uri(path, None).unwrap().to_string()
}

pub fn make(description: &str) {
    finish(&gst::parse::launch(description).unwrap());
}

/// Runs a pipeline that makes a file, and waits for its end.
pub fn finish(pipeline: &gst::Element) {
    let bus = pipeline.bus().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let end = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = bus.timed_pop_filtered(ClockTime::from_seconds(20), &end);
    assert_eq!(message.map(|m| m.type_()), Some(gst::MessageType::Eos));
    pipeline.set_state(gst::State::Null).unwrap();
}

/// A grey frame: the units of its number in the upper half, the tens in the lower.
pub fn numbered(n: usize) -> Vec<u8> {
    let mut frame = vec![128; WIDTH * HEIGHT * 3 / 2];
    let (upper, lower) = frame[..WIDTH * HEIGHT].split_at_mut(WIDTH * HEIGHT / 2);
    upper.fill((30 + 20 * (n % 10)) as u8);
    lower.fill((30 + 20 * (n / 10)) as u8);
    frame
}

pub fn number(buffer: &gst::BufferRef) -> usize {
    let map = buffer.map_readable().unwrap();
    let digit = |row: usize| (usize::from(map[row * WIDTH + WIDTH / 2]) - 20) / 20;
    digit(HEIGHT / 4) + 10 * digit(HEIGHT * 3 / 4)
}

/// A clip of numbered frames that last so many milliseconds each.
pub fn clip(path: &Path, framerate: &str, tail: &str, durations: &[u64]) {
    let pipeline = gst::parse::launch(&format!(
        "appsrc name=in format=time caps=video/x-raw,format=I420,width={WIDTH},height={HEIGHT},\
         framerate={framerate},pixel-aspect-ratio=4/3,colorimetry=bt601 ! {tail} ! filesink name=out"
    ))
    .unwrap();
    let bin = pipeline.downcast_ref::<gst::Bin>().unwrap();
    let out = bin.by_name("out").unwrap();
    out.set_property("location", path.to_str().unwrap());
    let source = bin.by_name("in").unwrap();
    let source = source.downcast::<gst_app::AppSrc>().unwrap();
    source.set_max_bytes(0);
    let mut pts = ClockTime::ZERO;
    pipeline.set_state(gst::State::Playing).unwrap();
    for (n, &duration) in durations.iter().enumerate() {
        let duration = ClockTime::from_mseconds(duration);
        let mut buffer = gst::Buffer::from_mut_slice(numbered(n));
        buffer.make_mut().set_pts(pts);
        buffer.make_mut().set_duration(duration);
        source.push_buffer(buffer).unwrap();
        pts += duration;
    }
    source.end_of_stream().unwrap();
    finish(&pipeline);
}

pub const H264: &str = "x264enc key-int-max=30 bframes=2 qp-max=10 ! h264parse";

/// `frames` frames at 25 a second, with B-frames and a key frame every 30.
pub fn mp4(dir: &TempDir, frames: usize) -> PathBuf {
    let path = dir.path().join("face.mp4");
    clip(
        &path,
        "25/1",
        &format!("{H264} ! mp4mux"),
        &vec![40; frames],
    );
    path
}

pub struct Player {
    pub pipeline: gst::Pipeline,
    pub source: gst::Element,
    pub sink: gst_app::AppSink,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown {
    pub pts: ClockTime,
    pub duration: ClockTime,
    pub number: usize,
}

impl Player {
    pub fn new(uri: &str, settings: &str, filter: &str) -> Self {
        let pipeline = gst::parse::launch(&format!(
            "facesource name=face {settings} ! {filter} ! appsink name=out sync=false max-buffers=2"
        ))
        .unwrap()
        .downcast::<gst::Pipeline>()
        .unwrap();
        let source = pipeline.by_name("face").unwrap();
        source.set_property("uri", uri);
        let sink = pipeline.by_name("out").unwrap();
        Self {
            pipeline,
            source,
            sink: sink.downcast().unwrap(),
        }
    }

    pub fn play(path: &Path, settings: &str) -> Self {
        let player = Self::new(&uri(path), settings, "identity");
        player.start();
        player
    }

    /// A file that can't be played may fail now or later; the message says so in both cases.
    pub fn start(&self) {
        let _ = self.pipeline.set_state(gst::State::Playing);
    }

    pub fn sample(&self) -> Option<gst::Sample> {
        self.sink.try_pull_sample(ClockTime::from_seconds(10))
    }

    pub fn samples(&self, n: usize) -> Vec<gst::Sample> {
        (0..n).map_while(|_| self.sample()).collect()
    }

    pub fn caps(&self) -> gst::Caps {
        let pad = self.sink.static_pad("sink").unwrap();
        pad.current_caps().unwrap()
    }

    /// The next frames, at most `n`, after a check that they follow each other without a gap.
    pub fn frames(&self, n: usize) -> Vec<Shown> {
        let frames: Vec<_> = (0..n)
            .map_while(|_| self.sample())
            .map(|sample| {
                let buffer = sample.buffer().unwrap();
                Shown {
                    pts: buffer.pts().unwrap(),
                    duration: buffer.duration().unwrap(),
                    number: number(buffer),
                }
            })
            .collect();
        for pair in frames.windows(2) {
            assert_eq!(pair[0].pts + pair[0].duration, pair[1].pts, "{pair:?}");
        }
        frames
    }

    pub fn numbers(&self, n: usize) -> Vec<usize> {
        self.frames(n).iter().map(|f| f.number).collect()
    }

    pub fn loops(&self) -> u64 {
        let stats = self.source.property::<gst::Structure>("stats");
        stats.get("loops").unwrap()
    }

    /// Kind, URI and text of the error that there must be.
    pub fn error(&self) -> (String, String, glib::Error) {
        let bus = self.pipeline.bus().unwrap();
        let limit = ClockTime::from_seconds(10);
        let message = bus.timed_pop_filtered(limit, &[gst::MessageType::Error]);
        let message = message.expect("an error");
        let gst::MessageView::Error(error) = message.view() else {
            panic!("{message:?}");
        };
        let details = error.details().expect("details");
        (
            details.get("kind").unwrap(),
            details.get("uri").unwrap(),
            error.error(),
        )
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.pipeline.set_state(gst::State::Null).unwrap();
    }
}

pub fn picture(dir: &TempDir, name: &str, encoder: &str) -> PathBuf {
    let path = dir.path().join(name);
    make(&format!(
        "videotestsrc num-buffers=1 pattern=gradient ! video/x-raw,width=80,height=40 \
         ! videoconvert ! {encoder} ! filesink location={}",
        path.display()
    ));
    path
}
