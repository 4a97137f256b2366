//! What is said on air.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::KEY;
use crate::live_support::*;
use crate::run_support::{TestDir, face, lipflow, speech};
use serde_json::Value;

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
