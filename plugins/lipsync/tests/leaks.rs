//! Nothing of GStreamer's is left when pipelines are gone: its own tracer looks.

use std::process::Command;
use std::time::{Duration, Instant};

use gst::prelude::*;

/// How many rounds the child is to play.
const ROUNDS: &str = "LIPFLOW_LEAK_ROUNDS";

/// Objects that are alive at the end of a process that has played each pipeline so many times.
fn alive_after(rounds: u32) -> Vec<String> {
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "play_all",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(ROUNDS, rounds.to_string())
        .env("GST_TRACERS", "leaks")
        .env("GST_DEBUG", "GST_TRACER:7")
        .env("GST_DEBUG_NO_COLOR", "1")
        // What the tracer says at the end is a warning.
        .env_remove("G_DEBUG")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stderr).into_owned();
    assert!(child.status.success(), "{text}");
    let out = String::from_utf8_lossy(&child.stdout);
    assert!(out.contains("1 passed"), "{out}");
    let lines = text.lines().filter(|line| line.contains("object-alive"));
    lines.map(str::to_owned).collect()
}

#[test]
fn what_is_left_does_not_grow_with_what_was_played() {
    // Some things live as long as the process: static caps, for one.
    let (once, often) = (alive_after(1), alive_after(4));
    let grown = often.len().saturating_sub(once.len());
    assert_eq!(grown, 0, "{}", often.join("\n"));
}

/// Run by the test above, in a process of its own.
#[test]
#[ignore = "it ends GStreamer"]
fn play_all() {
    let Ok(rounds) = std::env::var(ROUNDS) else {
        return;
    };
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
    for _ in 0..rounds.parse().unwrap() {
        everything();
    }
    wait_for_threads();
    // SAFETY: nothing of GStreamer is used after this, in a process that ends here.
    unsafe { gst::deinit() };
}

/// Until the number of threads has not changed for a second: some pipelines are taken down beside the one
/// that let go of them, and the tracer must not end before.
fn wait_for_threads() {
    let count = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let begun = Instant::now();
    let mut last = (count(), Instant::now());
    while last.1.elapsed() < Duration::from_secs(1) && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
        if count() != last.0 {
            last = (count(), Instant::now());
        }
    }
}

fn everything() {
    let media = gstlipsync::runtime::data_dir().join("media");
    let face = gst::glib::filename_to_uri(media.join("cap13_edit2.mp4"), None).unwrap();
    let generator = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/models/generator_96.onnx"
    );
    let speech = "audiotestsrc num-buffers=100 ! audio/x-raw,rate=16000 ! queue ! l.audio";
    let folder = tempfile::tempdir().unwrap();
    let short = folder.path().join("short.mp4");
    let sink = "fakesink sync=false";
    play(&format!(
        "videotestsrc num-buffers=30 ! x264enc speed-preset=ultrafast ! mp4mux ! filesink location={}",
        short.display()
    ));
    let short = gst::glib::filename_to_uri(&short, None).unwrap();
    for pipeline in [
        format!(
            "facesource uri={short} loop-mode=ping-pong prefetch=true cache-memory=1000000 num-buffers=100 ! {sink}"
        ),
        format!(
            "facesource uri={face} num-buffers=20 ! facetrack ! queue ! lipsync name=l ! {sink} {speech}"
        ),
        format!(
            "facesource uri={face} num-buffers=20 ! facetrack ! queue ! lipsync name=l model-file={generator} model-instance-id=one ! {sink} {speech}"
        ),
        format!("facesource uri={face} num-buffers=10 ! colorconvert ! {sink}"),
    ] {
        play(&pipeline);
    }
    // Stopped in the midst.
    let pipeline = gst::parse::launch(&format!(
        "facesource uri={face} loop-mode=loop ! facetrack ! queue ! lipsync name=l ! {sink} {speech}"
    ))
    .unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    pipeline.set_state(gst::State::Null).unwrap();
}

fn play(description: &str) {
    let pipeline = gst::parse::launch(description).unwrap();
    let bus = pipeline.bus().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let limit = gst::ClockTime::from_seconds(30);
    let message = bus.timed_pop_filtered(limit, &ends).expect("an end");
    assert_eq!(
        message.type_(),
        gst::MessageType::Eos,
        "{message:?}: {description}"
    );
    pipeline.set_state(gst::State::Null).unwrap();
}
