//! How much of the speech a frame waits for.

use gst::prelude::*;

use crate::rig::*;

/// A model of two looks: of blocks of 4 rows of 20 ms, and of 30.
fn two_looks() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models");
    for (from, to) in [
        ("front", "front"),
        ("head_free", "two"),
        ("head_free", "whole"),
    ] {
        let to = folder.path().join(to).with_extension("onnx");
        std::fs::copy(format!("{models}/{from}.onnx"), to).unwrap();
    }
    let manifest = folder.path().join("two.toml");
    let text = "name = 'two'\nkind = 'mouth-shape'\nlicence = 'MIT'\nsource = 'the test'\n\
        [mel]\nhop = 160\n[front]\nfile = 'front.onnx'\ncolumns = 2\nfeatures = 3\n\
        [mouth-shape]\ncontext-before = 3\ncontext-after = 2\nblock = 4\n\
        [mouth-shape.whole]\nfile = 'whole.onnx'\ncontext-before = 20\ncontext-after = 10\nblock = 30\n";
    std::fs::write(&manifest, text).unwrap();
    let path = manifest.to_str().unwrap().to_string();
    (folder, path)
}

#[test]
fn the_latency_is_that_of_the_look_and_no_frame_waits_longer() {
    let (_folder, model) = two_looks();
    // Rows of a block and ahead, 20 ms each, a column, half a mel window; and a frame more.
    for (look, speech_ms) in [("stream", 6 * 20 + 10 + 25), ("whole", 40 * 20 + 10 + 25)] {
        let rig = Rig::new(&format!("model-file={model} look={look} look-ahead=1"));
        rig.pipeline.set_state(gst::State::Playing).unwrap();
        // As much speech as the frame at 200 ms may wait for, and no more.
        let enough = speech(0.2 + speech_ms as f64 * 1e-3, 160);
        let (audio, video) = (rig.audio.clone(), rig.video.clone());
        let feeding = std::thread::spawn(move || {
            enough
                .into_iter()
                .all(|buffer| audio.push_buffer(buffer).is_ok())
        });
        std::thread::spawn(move || {
            frames(8)
                .into_iter()
                .all(|buffer| video.push_buffer(buffer).is_ok())
        });
        // One frame is held back: with the one at 200 ms, the one at 160 ms comes.
        let mut last = gst::ClockTime::ZERO;
        while last < 4 * FRAME {
            let sample = rig
                .sink
                .try_pull_sample(LIMIT)
                .expect("a frame waits longer");
            last = sample.buffer().unwrap().pts().unwrap();
        }
        let mut query = gst::query::Latency::new();
        assert!(rig.lipsync.query(&mut query));
        let expected = gst::ClockTime::from_mseconds(speech_ms) + FRAME;
        assert_eq!(query.result().1, expected, "{look}");
        rig.pipeline.set_state(gst::State::Null).unwrap();
        feeding.join().unwrap();
    }
}
