//! `lipflow face`.

use std::fs;
use std::io::BufReader;
use std::process::Command;

use crate::run_support::{TestDir, finish, lipflow, stderr};
use serde_json::Value;

use super::support::*;

#[test]
fn a_face_is_learnt_shown_listed_and_removed() {
    let dir = TestDir::new();
    let face = short_face(&dir);
    let unknown = faces(&dir, &["show", text(&face)]);
    assert_eq!(unknown.status.code(), Some(25));
    assert!(
        stderr(&unknown).contains("face learn"),
        "{}",
        stderr(&unknown)
    );

    let learnt = faces(&dir, &["learn", text(&face)]);
    assert!(learnt.status.success(), "{}", stderr(&learnt));
    let said = String::from_utf8(learnt.stdout).unwrap();
    assert!(said.contains("mouths of 50 frames"), "{said}");

    let sheet = dir.file("sheet.png");
    let shown = faces(&dir, &["show", text(&face), "--sheet", text(&sheet)]);
    let said = String::from_utf8(shown.stdout).unwrap();
    for part in [
        "all of the video: 50 frames",
        "mouths: ",
        "expect   ",
        "few frames",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let mut decoder = png::Decoder::new(BufReader::new(fs::File::open(&sheet).unwrap()));
    let header = decoder.read_header_info().unwrap();
    assert!(header.width > 90 && header.height > 70, "{header:?}");

    let shown = faces(&dir, &["show", text(&face), "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["whole"], true);
    assert_eq!(shown["frames"], 50);
    let reasons = shown["obstacles"].as_array().unwrap();
    assert!(reasons.iter().all(|o| o["remedy"].is_string()), "{shown}");

    let listed = faces(&dir, &["list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed[0]["face"], text(&face));
    assert_eq!(listed[0]["whole"], true);

    // Under another name it is the same face.
    let renamed = dir.file("renamed.mp4");
    fs::rename(&face, &renamed).unwrap();
    assert!(faces(&dir, &["show", text(&renamed)]).status.success());
    // And the one that is gone is known by its name.
    let pruned = faces(&dir, &["prune", "--face", text(&face)]);
    assert_eq!(stderr(&pruned), "");
    assert_eq!(pruned.stdout, b"1 face removed\n");
    assert_eq!(fs::read_dir(cache(&dir)).unwrap().count(), 0);
    let again = faces(&dir, &["prune", "--face", text(&face)]);
    assert_eq!(again.status.code(), Some(10), "{}", stderr(&again));
}

#[test]
fn what_can_not_be_learnt_says_why() {
    let dir = TestDir::new();
    let picture = gstlipsync::runtime::data_dir().join("media/astronaut.png");
    let refused = faces(&dir, &["learn", text(&picture)]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("it is a picture"),
        "{}",
        stderr(&refused)
    );

    let faceless = dir.file("faceless.mp4");
    let noise = "videotestsrc num-buffers=50 ! video/x-raw,width=320,height=240 ! x264enc ! mp4mux \
                 ! filesink name=out";
    crate::run_support::make(&faceless, noise);
    let refused = faces(&dir, &["learn", text(&faceless)]);
    assert_eq!(refused.status.code(), Some(19), "{}", stderr(&refused));
    // As for a job that found that out by itself.
    let failed = finish(&mut job(&dir, &faceless, "a.mp4"));
    assert_eq!(failed.status.code(), Some(19));
    let said = String::from_utf8(failed.stdout).unwrap();
    assert!(!said.contains("\"running\""), "it was known before: {said}");
    assert_eq!(fs::read_dir(cache(&dir)).unwrap().count(), 0);
}

#[test]
fn the_limit_holds_and_what_is_about_to_be_used_stays() {
    let dir = TestDir::new();
    let first = short_face(&dir);
    let second = cut(
        &dir,
        "other.mp4",
        &["-ss", "5", "-t", "2", "-c:v", "libx264"],
    );
    events(&finish(
        job(&dir, &first, "a.mp4").env("LIPFLOW_FACES_MB", "0"),
    ));
    let before = kept(&dir, "face");
    assert_eq!(before.len(), 1);
    events(&finish(
        job(&dir, &second, "a.mp4").env("LIPFLOW_FACES_MB", "0"),
    ));
    let after = kept(&dir, "face");
    assert_eq!(after.len(), 1);
    assert_ne!(before, after);
    let wrong = events(&finish(
        job(&dir, &first, "a.mp4").env("LIPFLOW_FACES_MB", "much"),
    ));
    assert!(warnings(&wrong)[0].contains("LIPFLOW_FACES_MB"));
}

/// As a shell would read it, and without lipflow's own hand in it.
#[test]
fn the_printed_line_learns_a_face() {
    use gst::prelude::*;
    let dir = TestDir::new();
    let output = dir.file("of-its-own.face");
    let shown = finish(
        lipflow()
            .args(["pipeline", "show", "learn", "--face"])
            .arg(short_face(&dir))
            .arg("-o")
            .arg(&output),
    );
    let line = String::from_utf8(shown.stdout).unwrap();
    let (_, pipeline) = line.split_once("gst-launch-1.0 -e ").unwrap();
    let words = Command::new("sh")
        .args(["-c", &format!("printf '%s\\n' {pipeline}")])
        .output()
        .unwrap();
    let words = String::from_utf8(words.stdout).unwrap();
    let words: Vec<&str> = words.lines().collect();
    lipflow::init().unwrap();
    let pipeline = gst::parse::launchv(&words).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let message = pipeline.bus().unwrap().timed_pop_filtered(
        gst::ClockTime::from_seconds(30),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(message.unwrap().type_(), gst::MessageType::Eos);
    let shown = faces(&dir, &["show", text(&output)]);
    assert!(shown.status.success(), "{}", stderr(&shown));
}
