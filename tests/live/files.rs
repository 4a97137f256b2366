//! Recordings and other files of a broadcast.

use std::fs;

use super::KEY;
use crate::live_support::*;
use crate::run_support::{TestDir, speech};

#[test]
fn one_encode_goes_to_every_kind_of_file_and_silence_is_regular_too() {
    let dir = TestDir::new();
    let speech = speech();
    let mut on_air = OnAir::start(
        &dir,
        &[
            "--to",
            "tape.mkv",
            "--to",
            "tape.mp4",
            "--to",
            "air/index.m3u8",
            "--set",
            "live-hls.seconds=1",
            "--set",
            "live-hls.kept=3",
            "--set",
            "live-hls.listed=3",
            "--speech",
            speech.to_str().unwrap(),
        ],
    );
    on_air.wait_until(9.0);
    let events = on_air.stop();
    for name in ["tape.mkv", "tape.mp4"] {
        assert_regular(&dir.file(name));
    }
    let playlist = fs::read_to_string(dir.file("air/index.m3u8")).unwrap();
    let segments = fs::read_dir(dir.file("air")).unwrap().count() - 1;
    assert!((3..=4).contains(&segments), "{segments} are kept");
    assert!(!playlist.contains("-00000.ts"), "{playlist}");
    assert!(times(dir.file("air/index.m3u8").to_str().unwrap(), "v").len() > 100);
    let last = events.iter().rfind(|e| e["event"] == "live").unwrap();
    let (video, sound) = (
        last["video_s"].as_f64().unwrap(),
        last["sound_s"].as_f64().unwrap(),
    );
    assert!(sound >= video && sound - video < 0.6, "{last}");
    assert!(
        events
            .iter()
            .any(|e| e["event"] == "live" && e["speaking"].is_null())
    );
}

#[test]
fn recordings_are_kept_and_secrets_too() {
    let dir = TestDir::new();
    dir.write("tape.mkv", "yesterday's");
    let url = format!(
        "srt://127.0.0.1:{}?mode=listener&streamid={KEY}",
        free_port()
    );
    let other = url.replace(KEY, "another-s3cret");
    let mut on_air = OnAir::start(&dir, &["--to", "tape.mkv", "--to", &url]);
    on_air.wait_for("it is told", |event| {
        event["message"]
            .as_str()
            .is_some_and(|m| m.contains("tape-2.mkv"))
    });
    on_air.wait_for_state("tape.mkv", "on-air");
    on_air.ask(&["add", &other]);
    on_air.wait_for("two that look alike are told apart", |event| {
        event["destination"]
            .as_str()
            .is_some_and(|name| name.ends_with(" (2)"))
    });
    on_air.wait_until(2.0);
    let events = on_air.stop();
    let text = serde_json::to_string(&events).unwrap();
    assert!(!text.contains("s3cret"), "{text}");
    assert_eq!(
        fs::read_to_string(dir.file("tape.mkv")).unwrap(),
        "yesterday's"
    );
    assert_regular(&dir.file("tape-2.mkv"));
    let ended = events.iter().filter(|e| e["state"] == "ended").count();
    assert_eq!(ended, 3, "how each ended is told");
}

#[test]
fn files_survive_a_kill() {
    let dir = TestDir::new();
    let mut on_air = OnAir::start(&dir, &["--to", "tape.mkv", "--to", "tape.mp4"]);
    on_air.wait_until(4.0);
    drop(on_air);
    for name in ["tape.mkv", "tape.mp4"] {
        let frames = times(dir.file(name).to_str().unwrap(), "v").len();
        assert!(frames >= 60, "{name}: {frames} frames");
    }
}
