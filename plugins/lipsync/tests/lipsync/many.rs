//! Several streams in a process, and models that take long to load.

use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::rig::*;

const GENERATOR: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/models/generator_96.onnx"
);

#[test]
fn streams_of_one_instance_draw_what_each_draws_alone() {
    let model = format!("lipsync name=l model-file={GENERATOR}");
    let alone: Vec<_> = real_frames("I420", &model, 1600)
        .iter()
        .map(bytes)
        .collect();
    assert_eq!(alone.len(), 30);
    let threads = [(); 3].map(|()| {
        let shared = format!("{model} batch-size=3 model-instance-id=many");
        std::thread::spawn(move || real_frames("I420", &shared, 1600))
    });
    for thread in threads {
        let frames = thread.join().unwrap();
        assert_eq!(frames.len(), alone.len());
        for (number, (frame, expected)) in frames.iter().zip(&alone).enumerate() {
            assert!(bytes(frame) == *expected, "frame {number}");
        }
    }
}

#[test]
fn small_models_of_one_instance_are_shared_too() {
    let draw = |settings: &str| {
        let elements = format!("lipsync name=l {settings}");
        real_frames("I420", &elements, 1600)
            .iter()
            .map(bytes)
            .collect::<Vec<_>>()
    };
    let alone = draw("");
    let threads = [(); 2].map(|()| {
        std::thread::spawn(|| {
            let elements = "lipsync name=l model-instance-id=small";
            let frames = real_frames("I420", elements, 1600);
            frames.iter().map(bytes).collect::<Vec<_>>()
        })
    });
    for thread in threads {
        assert!(thread.join().unwrap() == alone);
    }
}

/// A file that takes as long to read as one wants: a pipe, into which nobody writes yet.
struct SlowFile {
    _folder: tempfile::TempDir,
    path: std::path::PathBuf,
}

impl SlowFile {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slow.onnx");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        Self {
            _folder: folder,
            path,
        }
    }
}

impl Drop for SlowFile {
    fn drop(&mut self) {
        // ONNX Runtime must not be loading while the process ends.
        let _ = std::fs::OpenOptions::new()
            .write(true)
            .read(true)
            .open(&self.path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, b"no network"));
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_seek_or_a_stop_while_a_model_loads_does_not_wait_for_it() {
    init();
    let slow = SlowFile::new();
    let path = slow.path.display();
    for elements in [
        format!("facetrack detector-model={path} ! queue ! lipsync name=l"),
        format!("lipsync name=l model-file={path}"),
    ] {
        let pipeline = gst::parse::launch(&format!(
            "videotestsrc num-buffers=100 ! {elements} ! fakesink name=s \
             audiotestsrc num-buffers=100 ! audio/x-raw,rate=16000 ! queue ! l.audio"
        ))
        .unwrap();
        // A stop waits a second for each element that loads, for ONNX Runtime's sake.
        let quick = |what: &str, act: &dyn Fn()| {
            let begun = Instant::now();
            act();
            let took = begun.elapsed();
            assert!(
                took < Duration::from_secs(3),
                "{what} took {took:?}: {elements}"
            );
        };
        quick("the start", &|| {
            pipeline.set_state(gst::State::Playing).unwrap();
        });
        std::thread::sleep(Duration::from_millis(200));
        let time = gst::ClockTime::from_mseconds(400);
        quick("a seek", &|| {
            let sink = pipeline
                .downcast_ref::<gst::Bin>()
                .unwrap()
                .by_name("s")
                .unwrap();
            // Nothing has come out yet, so the sink itself is asked.
            let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE;
            let seek = gst::event::Seek::new(
                1.0,
                flags,
                gst::SeekType::Set,
                time,
                gst::SeekType::None,
                gst::ClockTime::NONE,
            );
            sink.send_event(seek);
        });
        quick("the stop", &|| {
            pipeline.set_state(gst::State::Null).unwrap();
        });
    }
}
