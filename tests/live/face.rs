//! What is shown on air, and who may change it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::live_support::*;
use crate::run_support::{TestDir, binary, face, finish, lipflow, speech};
use serde_json::Value;

#[test]
fn what_is_said_and_shown_changes_on_air() {
    let dir = TestDir::new();
    let speech = speech();
    let speech = speech.to_str().unwrap();
    let mut on_air = OnAir::start(&dir, &["--to", "tape.mkv"]);
    on_air.wait_until(0.5);
    let asked = Instant::now();
    on_air.ask(&["say", speech]);
    on_air.ask(&["say", speech]);
    on_air.wait_for("it speaks", |event| {
        event["event"] == "message" && event["message"].as_str().unwrap().starts_with("saying ")
    });
    assert!(asked.elapsed() < Duration::from_secs(2));
    on_air.ask(&["clear"]);
    on_air.ask(&["skip"]);
    on_air.wait_for("it is silent", |event| {
        event["event"] == "live" && event["speaking"].is_null() && event["queue_s"] == 0.0
    });

    dir.write("broken.mp4", "no video");
    let refused = on_air.control(&["face", dir.file("broken.mp4").to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(14), "{refused:?}");
    let portrait = gstlipsync::runtime::data_dir().join("media/astronaut.png");
    on_air.ask(&["face", portrait.to_str().unwrap()]);
    on_air.ask(&["add", "more.mp4"]);
    on_air.wait_for_state("more.mp4", "on-air");
    let refused = on_air.control(&["add", "more.avi"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    on_air.wait_until(3.5);
    on_air.ask(&["drop", "more.mp4"]);
    on_air.wait_for_state("more.mp4", "ended");
    let status = on_air.control(&["status"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["face"], portrait.to_str().unwrap());
    assert_eq!(status["destinations"].as_array().unwrap().len(), 1);
    on_air.stop();
    assert_regular(&dir.file("tape.mkv"));
    assert_regular(&dir.file("more.mp4"));
}

#[test]
fn a_face_that_is_deleted_stays_on_air() {
    let dir = TestDir::new();
    let short = dir.file("short.mp4");
    // Two seconds, so that the file is read again and again.
    let cut = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(face())
        .args(["-t", "2", "-c", "copy"])
        .arg(&short)
        .status()
        .unwrap();
    assert!(cut.success());
    let mut on_air = OnAir::with(&dir, &short, &["--to", "tape.mkv"], Stdio::null());
    on_air.wait_until(1.0);
    let told = |what: &'static str| {
        move |event: &Value| {
            let message = event["message"].as_str().unwrap_or("");
            event["event"] == "warning" && message.contains(what)
        }
    };
    // Overwritten in its place, then away.
    fs::write(&short, "something else").unwrap();
    on_air.wait_for("it is told", told("was changed"));
    fs::remove_file(&short).unwrap();
    on_air.wait_for("it is told", told("was deleted"));
    on_air.wait_until(6.0);
    let events = on_air.stop();
    let warnings = events.iter().filter(|e| e["event"] == "warning").count();
    assert_eq!(warnings, 2, "{events:?}");
    assert_regular(&dir.file("tape.mkv"));
    // The picture still moves: one that stands is coded in a few bytes.
    let late = picture_sizes(&dir.file("tape.mkv"), "5%+1");
    assert!(late.iter().sum::<f64>() > 20_000.0, "{late:?}");
}

#[test]
fn a_model_that_is_no_model_is_told_as_that() {
    let dir = TestDir::new();
    dir.write("bad.onnx", "no network");
    let arguments = ["--to", "tape.mkv", "--model", "bad.onnx"];
    let mut on_air = OnAir::start(&dir, &arguments);
    let result = on_air.wait_for("the result", |event| event["event"] == "result");
    assert_eq!(result["error"]["code"], "model-corrupt", "{result}");
    assert_eq!(on_air.child.wait().unwrap().code(), Some(21));
}

#[test]
fn nobody_answers_where_there_is_no_broadcast() {
    let dir = TestDir::new();
    let mut command = lipflow();
    command
        .arg("control")
        .arg("--control")
        .arg(dir.file("none.sock"))
        .arg("status");
    let output = finish(&mut command);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("no broadcast answers"), "{text}");
}

/// A file that kills a decoder is not to take the broadcast with it.
#[test]
fn a_new_face_is_looked_into_by_another_process() {
    let dir = TestDir::new();
    let own = dir.file("lipflow");
    fs::copy(binary(), &own).unwrap();
    let mut on_air = OnAir::by(
        &mut Command::new(&own),
        &dir,
        &face(),
        &["--to", "tape.mkv", "--learn", "off"],
        Stdio::null(),
    );
    on_air.wait_until(0.5);
    // So the kernel calls a program whose file is gone: from now on whoever looks into a file is this one,
    // and dies of it.
    fs::remove_file(&own).unwrap();
    let looker = dir.write("lipflow (deleted)", "#!/bin/sh\nkill -SEGV $$\n");
    fs::set_permissions(looker, fs::Permissions::from_mode(0o755)).unwrap();
    let portrait = gstlipsync::runtime::data_dir().join("media/astronaut.png");
    let refused = on_air.control(&["face", portrait.to_str().unwrap()]);
    let reason = String::from_utf8_lossy(&refused.stderr);
    assert!(reason.contains("signal 11"), "{refused:?}");
    on_air.wait_until(2.0);
    on_air.stop();
    assert_regular(&dir.file("tape.mkv"));
}
