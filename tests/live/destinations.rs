//! Servers, and what becomes of a broadcast when they go.

use std::fs;
use std::io::Read;
use std::process::Command;
use std::time::{Duration, Instant};

use super::KEY;
use crate::live_support::*;
use crate::run_support::{TestDir, face, finish, lipflow, speech};
use serde_json::Value;

#[test]
fn a_server_that_dies_and_comes_back_is_reached_again_and_nobody_else_notices() {
    let dir = TestDir::new();
    let port = free_port();
    let server = start_server(&dir, port);
    let url = server.url(KEY);
    let mut on_air = OnAir::start(&dir, &["--to", &url, "--to", "tape.mkv"]);
    on_air.wait_for_state("rtmp://", "on-air");
    assert_viewed(&url);

    drop(server);
    let lost = on_air.wait_for_state("rtmp://", "waiting");
    assert_eq!(lost["retry_in_s"], 1.0);
    let again = on_air.wait_for_state("rtmp://", "waiting");
    assert_eq!(again["retry_in_s"], 2.0, "the server is still away");
    let _server = start_server(&dir, port);
    on_air.wait_for_state("rtmp://", "on-air");
    assert_viewed(&url);
    let events = on_air.stop();
    assert_regular(&dir.file("tape.mkv"));
    let text = serde_json::to_string(&events).unwrap();
    assert!(!text.contains(KEY), "the key is in an event");
}

#[test]
fn a_destination_that_must_be_there_ends_the_broadcast_with_a_reason() {
    let dir = TestDir::new();
    let url = format!("rtmp://127.0.0.1:{}/live/{KEY}", free_port());
    let begin = Instant::now();
    let mut on_air = OnAir::start(&dir, &["--must", &url]);
    let result = on_air.wait_for("the result", |event| event["event"] == "result");
    assert_eq!(result["error"]["code"], "destination-failed");
    let reason = result["error"]["reason"].as_str().unwrap();
    assert!(reason.contains("refused"), "{reason}");
    let told = on_air
        .seen
        .iter()
        .find(|e| e["state"] == "waiting")
        .unwrap();
    assert_eq!(told["cause"], "refused");
    assert!(
        told["remedy"].as_str().unwrap().contains("server runs"),
        "{told}"
    );
    assert!(!reason.contains(KEY), "{reason}");
    assert_eq!(on_air.child.wait().unwrap().code(), Some(60));
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_stream_that_the_server_does_not_want_says_so() {
    let dir = TestDir::new();
    let server = start_server(&dir, free_port());
    let wrong = server.url(KEY).replace("/live/", "/no-such-application/");
    let mut on_air = OnAir::start(&dir, &["--to", &wrong]);
    let told = on_air.wait_for_state("rtmp://", "waiting");
    assert_eq!(told["cause"], "rejected", "{told}");
    assert!(told["remedy"].as_str().unwrap().contains("key"), "{told}");
}

#[test]
fn a_wrong_key_and_a_wrong_host_say_so() {
    let dir = TestDir::new();
    let server = start_server(&dir, free_port());
    let wrong = server.url(WRONG_KEY);
    let host = "rtmp://no-such-host.invalid/live/key";
    let mut on_air = OnAir::start(&dir, &["--to", &wrong, "--to", host]);
    let told = on_air.wait_for_state("127.0.0.1", "waiting");
    assert_eq!(told["cause"], "rejected", "{told}");
    assert!(told["remedy"].as_str().unwrap().contains("key"), "{told}");
    let of_host = |event: &Value| event["destination"] == "rtmp://no-such-host.invalid/live/...";
    let is_told = |event: &Value| of_host(event) && event["state"] == "waiting";
    let told = match on_air.seen.iter().find(|event| is_told(event)) {
        Some(told) => told.clone(),
        None => on_air.wait_for("the host is told", is_told),
    };
    assert_eq!(told["cause"], "address", "{told}");
    let text = serde_json::to_string(&on_air.stop()).unwrap();
    assert!(!text.contains(WRONG_KEY), "the key is in an event");
}

#[test]
fn an_rtsp_server_records_it() {
    let dir = TestDir::new();
    let server = RtspServer::start();
    let mut on_air = OnAir::start(
        &dir,
        &["--to", &server.url, "--speech", speech().to_str().unwrap()],
    );
    on_air.wait_for_state("rtsp://", "on-air");
    let begin = on_air.wait_for("a figure", |event| event["event"] == "live");
    on_air.wait_until(begin["video_s"].as_f64().unwrap() + 3.0);
    let events = on_air.stop();
    let (video, sound) = (server.times("video"), server.times("audio"));
    for (times, step) in [(&video, 0.04), (&sound, 1024.0 / 48_000.0)] {
        assert!(times.len() > 50, "{} packets", times.len());
        let length = times[times.len() - 1] - times[0];
        let expected = step * (times.len() - 1) as f64;
        assert!((length - expected).abs() < 0.002, "{length} {expected}");
    }
    let failed = |event: &&Value| event["state"] == "waiting";
    assert_eq!(events.iter().find(failed), None);
}

#[test]
fn an_rtsp_server_that_does_not_know_the_path_or_is_not_there_says_so() {
    let dir = TestDir::new();
    let server = RtspServer::start();
    let wrong = server.url.replace("/face", "/no-such-path");
    let away = format!("rtsp://127.0.0.1:{}/away", free_port());
    for (url, cause) in [(wrong, "rejected"), (away, "refused")] {
        let mut on_air = OnAir::start(&dir, &["--to", &url]);
        let told = on_air.wait_for_state("rtsp://", "waiting");
        assert_eq!(told["cause"], cause, "{told}");
    }
}

#[test]
fn srt_can_be_called() {
    let dir = TestDir::new();
    let url = format!("srt://127.0.0.1:{}", free_port());
    let mut on_air = OnAir::start(&dir, &["--to", &format!("{url}?mode=listener")]);
    on_air.wait_until(1.0);
    assert_viewed(&url);
    on_air.stop();
}

/// What is too slow loses pictures; it neither makes the others wait nor fills the memory.
#[test]
fn a_destination_that_is_too_slow_says_so() {
    let dir = TestDir::new();
    let made = Command::new("mkfifo").arg(dir.file("slow.mkv")).status();
    assert!(made.unwrap().success());
    let pipe = dir.file("slow.mkv");
    std::thread::spawn(move || {
        let mut pipe = fs::File::open(pipe).unwrap();
        let mut part = [0; 2048];
        while pipe.read(&mut part).is_ok_and(|count| count > 0) {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let mut on_air = OnAir::start(&dir, &["--to", "slow.mkv", "--to", "tape.mkv"]);
    let told = on_air.wait_for("it is told", |event| event["cause"] == "lost");
    assert_eq!(told["destination"], "slow.mkv");
    assert_eq!(told["state"], "on-air", "{told}");
    assert!(told["packets_dropped"].as_u64() > Some(0), "{told}");
    on_air.wait_until(1.0);
    on_air.stop();
    assert_regular(&dir.file("tape.mkv"));
}

#[test]
fn wrong_settings_of_a_destination_are_told_before_it_is_on_air() {
    let dir = TestDir::new();
    for (setting, code, word) in [
        ("live-hls.kept=many", 40, "kept"),
        ("live-hls.keep=9", 40, "keep"),
        ("file.crf=20", 2, "file"),
    ] {
        let mut command = lipflow();
        command
            .args(["live", "--to", "x.mkv", "--set", setting, "--face"])
            .arg(face())
            .current_dir(dir.path());
        let output = finish(&mut command);
        assert_eq!(output.status.code(), Some(code), "{setting}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(word), "{text}");
    }
    assert!(dir.names().is_empty());
}
