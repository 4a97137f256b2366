//! The README is the program's own word: what it says of exit codes must be so, and its command lines
//! must run.

use std::path::Path;

use gst::prelude::*;
use lipflow::error::FailureKind;

#[test]
fn the_readme_lists_every_exit_code() {
    let readme = include_str!("../README.md");
    let rows: Vec<_> = readme
        .lines()
        .skip_while(|line| *line != "| code | meaning |")
        .skip(3)
        .take_while(|line| line.starts_with('|'))
        .collect();
    let expected: Vec<_> = FailureKind::ALL
        .iter()
        .map(|kind| format!("| {} | {} |", kind.exit_code(), kind.reason()))
        .collect();
    assert_eq!(rows, expected);
}

/// Commands of the README that run `gst-launch-1.0`, each in one line, without that word.
fn launch_lines() -> Vec<String> {
    let readme = include_str!("../README.md").replace("\\\n", " ");
    let lines = readme.lines().filter_map(|line| {
        let line = line.strip_prefix("gst-launch-1.0 ")?;
        Some(line.to_owned())
    });
    lines.collect()
}

fn run(text: &str) -> gst::Pipeline {
    let pipeline = gst::parse::launch(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    pipeline.set_auto_flush_bus(false);
    pipeline.set_state(gst::State::Playing).unwrap();
    let end = [gst::MessageType::Eos, gst::MessageType::Error];
    let limit = gst::ClockTime::from_seconds(60);
    let end = pipeline.bus().unwrap().timed_pop_filtered(limit, &end);
    let end = end.unwrap_or_else(|| panic!("{text}: it does not end"));
    assert_eq!(end.type_(), gst::MessageType::Eos, "{text}: {end:?}");
    pipeline.set_state(gst::State::Null).unwrap();
    pipeline
}

/// Media of the names that the README has, in `folder`.
fn make_media(folder: &Path) {
    let clip = gstlipsync::runtime::data_dir().join("media/cap13_edit2.mp4");
    let clip = gst::glib::filename_to_uri(clip, None).unwrap();
    let to = |name: &str| format!("filesink location={}", folder.join(name).display());
    let frames = format!("facesource uri={clip} ! identity eos-after=26 ! videoconvert");
    let encode = "x264enc speed-preset=ultrafast tune=zerolatency ! mp4mux";
    run(&format!("{frames} ! {encode} ! {}", to("face.mp4")));
    run(&format!(
        "{frames} ! tee name=t t. ! queue ! c. t. ! queue ! c.sink_1 \
         compositor name=c sink_1::xpos=400 ! video/x-raw,format=I420,width=800,height=300 ! \
         {encode} ! {}",
        to("two.mp4")
    ));
    for name in ["a.mp4", "b.mp4"] {
        std::fs::copy(folder.join("face.mp4"), folder.join(name)).unwrap();
    }
    for (name, pitch) in [
        ("speech", 130),
        ("left", 110),
        ("right", 190),
        ("a", 120),
        ("b", 180),
    ] {
        run(&format!(
            "audiotestsrc wave=saw freq={pitch} num-buffers=40 ! audio/x-raw,rate=16000 ! wavenc ! {}",
            to(&format!("{name}.wav"))
        ));
    }
}

#[test]
fn the_gst_launch_lines_of_the_readme_run_and_draw() {
    lipflow::init().unwrap();
    let folder = tempfile::tempdir().unwrap();
    make_media(folder.path());
    let lines = launch_lines();
    assert!(lines.len() > 3, "{lines:?}");
    // A network that may be shipped.
    let generator = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/plugins/lipsync/tests/models/generator_8.onnx"
    );
    for line in lines {
        // What no test machine has.
        let text = line
            .replace(
                "v4l2src",
                "facesource uri=file:///tmp/face.mp4 ! identity sync=true",
            )
            .replace("autoaudiosrc", "audiotestsrc is-live=true num-buffers=60")
            .replace("autovideosink", "fakesink")
            .replace("wav2lip.onnx", generator)
            .replace(
                "file:///tmp/",
                &format!("file://{}/", folder.path().display()),
            );
        let pipeline = run(&text);
        let elements = pipeline.iterate_elements().into_iter().flatten();
        let is_lipsync = |e: &gst::Element| e.factory().is_some_and(|f| f.name() == "lipsync");
        let mut speakers = 0;
        for lipsync in elements.filter(is_lipsync) {
            let stats: gst::Structure = lipsync.property("stats");
            let count = |name: &str| stats.get::<u64>(name).unwrap();
            assert!(count("frames") >= 20, "{line}: {stats}");
            assert_eq!(count("frames-without-face"), 0, "{line}: {stats}");
            for speaker in stats.get::<gst::Array>("speakers").unwrap().iter() {
                let speaker = speaker.get::<gst::Structure>().unwrap();
                assert!(
                    speaker.get::<u64>("frames").unwrap() >= 20,
                    "{line}: {stats}"
                );
                speakers += 1;
            }
        }
        assert_eq!(speakers, line.matches("l.audio_").count());
    }
}
