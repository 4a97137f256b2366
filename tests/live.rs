//! `lipflow live` on the binary: real media, real servers, and ffprobe as the viewer.

mod live_support;
mod run_support;

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use live_support::*;
use run_support::{TestDir, face, finish, lipflow, speech};
use serde_json::Value;

const KEY: &str = "a-very-s3cret-key";

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

/// The template needs nothing of `lipflow live`: its gst-launch line does the same.
#[test]
fn one_speech_is_streamed_by_the_clock() {
    let dir = TestDir::new();
    let server = start_server(&dir, free_port());
    let url = server.url(KEY);
    let begin = Instant::now();
    let mut run = lipflow()
        .args(["run", "--template", "stream", "--face"])
        .arg(face())
        .arg("--speech")
        .arg(speech())
        .args(["--set", &format!("url={url}")])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    assert_viewed(&url);
    assert!(run.wait().unwrap().success());
    // The speech is three seconds long, and takes them.
    assert!(begin.elapsed() > Duration::from_millis(2900));
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
fn raw_sound_in_bursts_and_cut_off_leaves_the_output_regular() {
    let dir = TestDir::new();
    let arguments = [
        "--to",
        "tape.mkv",
        "--pcm",
        "-",
        "--pcm-format",
        "s16le,11025,2",
    ];
    let mut on_air = OnAir::with(&dir, &face(), &arguments, Stdio::piped());
    let mut stdin = on_air.child.stdin.take().unwrap();
    let tone = |seconds: f64| -> Vec<u8> {
        let samples = (seconds * 11025.0) as u32;
        let sample = |n: u32| (f64::from(n) * 0.2).sin() * 8000.0;
        (0..samples)
            .flat_map(|n| {
                let bytes = (sample(n) as i16).to_le_bytes();
                [bytes[0], bytes[1], bytes[0], bytes[1]]
            })
            .collect()
    };
    on_air.wait_until(0.6);
    stdin.write_all(&tone(1.0)).unwrap();
    on_air.wait_until(2.4);
    // An odd number of bytes, and then no more for good.
    stdin.write_all(&tone(0.5)[..10_001]).unwrap();
    drop(stdin);
    on_air.wait_until(4.0);
    on_air.stop();
    assert_regular(&dir.file("tape.mkv"));

    // As long as there was sound, and no longer, it is loud: 1 s, and 10 001 bytes of 44 100 a second.
    let sound = samples_of(&dir.file("tape.mkv"));
    let loud = loud_windows(&sound);
    let seconds = loud as f64 * 0.02;
    assert!((seconds - 1.227).abs() < 0.1, "{seconds} s are loud");
    let end = sound[sound.len() - 4000..].iter();
    assert!(
        end.map(|s| s.unsigned_abs()).max() < Some(100),
        "and then silence"
    );
}

#[test]
fn how_long_speech_takes_to_the_air_counts_from_its_turn() {
    let dir = TestDir::new();
    let arguments = [
        "--to",
        "tape.mkv",
        "--pcm",
        "-",
        "--pcm-format",
        "s16le,16000,1",
    ];
    let mut on_air = OnAir::with(&dir, &face(), &arguments, Stdio::piped());
    let mut stdin = on_air.child.stdin.take().unwrap();
    on_air.wait_until(0.6);
    // Five seconds of a tone at once, into which a file of three seconds breaks.
    let tone = tone_file(16_000, 5.0);
    let writer = std::thread::spawn(move || stdin.write_all(&tone[44..]).map(|()| stdin));
    let speaks = |name: &'static str| {
        move |event: &Value| event["speaking"].as_str().is_some_and(|s| s.contains(name))
    };
    let raw = on_air.wait_for("raw sound speaks", speaks("raw sound"));
    on_air.wait_until(raw["video_s"].as_f64().unwrap() + 0.5);
    on_air.ask(&["say", speech().to_str().unwrap()]);
    on_air.wait_for("the file speaks", speaks(".wav"));
    let again = on_air.wait_for("the rest is said", speaks("raw sound"));
    on_air.wait_until(again["video_s"].as_f64().unwrap() + 0.6);
    writer.join().unwrap().unwrap();
    let events = on_air.stop();
    let responses: Vec<_> = events
        .iter()
        .filter_map(|event| event["response_ms"].as_f64())
        .collect();
    // The model needs 200 ms of what follows; what waited three seconds did so behind a file.
    let all_are_sane = responses.iter().all(|r| (100.0..2500.0).contains(r));
    assert!(all_are_sane && responses.len() > 3, "{responses:?}");
    let mut different = responses;
    different.dedup();
    assert!(different.len() >= 3, "raw, file, raw: {different:?}");
}

#[test]
fn what_is_asked_for_comes_before_what_speaks_anyhow() {
    let dir = TestDir::new();
    let line = "audiotestsrc is-live=true volume=0.2";
    let mut on_air = OnAir::start(&dir, &["--to", "tape.mkv", "--speech-pipeline", line]);
    let speaks = |name: &'static str| {
        move |event: &Value| {
            let speaking = event["speaking"].as_str().unwrap_or("");
            event["event"] == "live" && speaking.contains(name)
        }
    };
    on_air.wait_for("the line speaks", speaks("the speech pipeline"));
    on_air.ask(&["say", speech().to_str().unwrap()]);
    on_air.wait_for("the file speaks", speaks(".wav"));
    on_air.ask(&["skip"]);
    on_air.wait_for("the line speaks again", speaks("the speech pipeline"));
    on_air.ask(&["pause"]);
    on_air.wait_for("nobody speaks", |event| {
        event["event"] == "live" && event["speaking"].is_null() && event["paused"] == true
    });
    on_air.stop();
    assert_regular(&dir.file("tape.mkv"));
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
fn two_hundred_short_files_are_one_flow_of_speech() {
    let dir = TestDir::new();
    // A tone of 60 ms each, at one of several odd rates.
    let names: Vec<_> = (0..200)
        .map(|n| {
            let rate = [8000, 11_025, 22_050, 37_000, 48_000][n % 5];
            let name = format!("{n}.wav");
            dir.write(&name, tone_file(rate, 0.06));
            name
        })
        .collect();
    let mut arguments = vec!["--to", "tape.mkv", "--until-said"];
    for name in &names {
        arguments.extend(["--speech", name]);
    }
    let mut on_air = OnAir::start(&dir, &arguments);
    on_air.wait_for("all is said", |event| {
        event["event"] == "result" || event["queued"] == 0
    });
    assert!(on_air.child.wait().unwrap().success());
    assert_regular(&dir.file("tape.mkv"));
    // 200 times 60 ms and a pause of a block or so: nothing was lost, and nobody waited.
    let sound = samples_of(&dir.file("tape.mkv"));
    let loud = loud_windows(&sound) as f64 * 0.02;
    assert!((12.0..17.0).contains(&loud), "{loud} s are loud");
    let length = sound.len() as f64 / 8000.0;
    assert!(length < 24.0, "{length} s");
    // The last of it is not cut off, nor is its picture.
    let last_loud = sound.iter().rposition(|s| s.unsigned_abs() > 3000).unwrap() as f64 / 8000.0;
    let pictures = times(dir.file("tape.mkv").to_str().unwrap(), "v");
    assert!(
        pictures[pictures.len() - 1] > last_loud - 0.05,
        "{last_loud} s"
    );
}

#[test]
fn a_watched_folder_speaks_and_bad_files_are_named() {
    let dir = TestDir::new();
    let folder = dir.file("in");
    fs::create_dir(&folder).unwrap();
    fs::copy(speech(), folder.join("old.wav")).unwrap();
    let mut on_air = OnAir::start(&dir, &["--to", "tape.mkv", "--watch", "in"]);
    on_air.wait_until(0.6);
    fs::write(folder.join("bad.wav"), "words").unwrap();
    fs::write(folder.join("late.wav"), "words").unwrap();
    fs::copy(speech(), folder.join("new.wav")).unwrap();
    on_air.wait_for("the bad one is named", |event| {
        event["event"] == "warning" && event["message"].as_str().unwrap().contains("bad.wav")
    });
    let said = on_air.wait_for("the new one is said", |event| {
        event["event"] == "message" && event["message"].as_str().unwrap().starts_with("saying")
    });
    assert!(
        said["message"].as_str().unwrap().contains("new.wav"),
        "{said}"
    );
    // Its writer had only paused.
    fs::copy(speech(), folder.join("late.wav")).unwrap();
    on_air.wait_for("the late one is said", |event| {
        event["event"] == "message" && event["message"].as_str().unwrap().contains("late.wav")
    });
    on_air.stop();
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
