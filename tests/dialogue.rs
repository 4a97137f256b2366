//! Several speakers in one picture: what `lipflow run` and `lipflow batch` make of them.

mod run_support;

use std::path::{Path, PathBuf};
use std::process::Command;

use gst::prelude::*;
use run_support::{TestDir, face, finish, lipflow, make, stderr};
use serde_json::Value;

/// Two people beside each other, for a second.
fn two(dir: &TestDir) -> PathBuf {
    two_for(dir, 25)
}

/// As [`two`], for so many frames.
fn two_for(dir: &TestDir, frames: u32) -> PathBuf {
    let path = dir.file("two.mp4");
    let clip = gst::glib::filename_to_uri(face(), None).unwrap();
    make(
        &path,
        &format!(
            "facesource uri={clip} num-buffers={frames} ! videoconvert ! tee name=t \
             t. ! queue ! c. t. ! queue ! c.sink_1 \
             compositor name=c sink_1::xpos=400 ! video/x-raw,format=I420,width=800,height=300 ! \
             x264enc speed-preset=ultrafast ! mp4mux ! filesink name=out"
        ),
    );
    path
}

/// Silence, and from `start` on for a second a tone.
fn tone(dir: &TestDir, name: &str, start: f64) -> PathBuf {
    let path = dir.file(name);
    let samples = |seconds: f64| (seconds * 16_000.0 / 160.0) as u32;
    make(
        &path,
        &format!(
            "concat name=c ! wavenc ! filesink name=out \
             audiotestsrc wave=silence samplesperbuffer=160 num-buffers={} ! \
             audio/x-raw,rate=16000,channels=1 ! c. \
             audiotestsrc wave=saw freq=150 samplesperbuffer=160 num-buffers={} ! \
             audio/x-raw,rate=16000,channels=1 ! c.",
            samples(start),
            samples(1.0)
        ),
    );
    path
}

fn run(face: &Path, speeches: &[(&str, &Path)], output: &Path) -> Command {
    let mut command = lipflow();
    command.arg("run").arg("--face").arg(face);
    for (who, file) in speeches {
        command.arg(format!("--speech={who}={}", file.display()));
    }
    command.arg("--output").arg(output);
    command.args(["--progress", "json"]);
    command
}

fn event(stdout: &[u8], kind: &str) -> Value {
    let text = String::from_utf8_lossy(stdout).into_owned();
    let events = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let mut of_kind = events.filter(|event: &Value| event["event"] == kind);
    of_kind
        .next()
        .unwrap_or_else(|| panic!("no {kind} in {text}"))
}

/// How loud it is in the seconds from `from` to `to`.
fn loudness(video: &Path, from: f64, to: f64) -> f64 {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(video)
        .args(["-ac", "1", "-ar", "16000", "-f", "s16le", "-"])
        .output()
        .unwrap();
    let samples: Vec<f64> = output
        .stdout
        .chunks_exact(2)
        .map(|b| f64::from(i16::from_le_bytes([b[0], b[1]])))
        .collect();
    let part = &samples[(from * 16_000.0) as usize..(to * 16_000.0) as usize];
    (part.iter().map(|s| s * s).sum::<f64>() / part.len() as f64).sqrt()
}

#[test]
fn two_speeches_become_a_dialogue_as_long_as_the_longer_one() {
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
    let dir = TestDir::new();
    let (two, left, right) = (
        two(&dir),
        tone(&dir, "l.wav", 0.0),
        tone(&dir, "r.wav", 1.0),
    );
    let speeches: [(&str, &Path); 2] = [("left", &left), ("right", &right)];
    let output = dir.file("out.mp4");
    let result = finish(&mut run(&two, &speeches, &output));
    assert!(result.status.success(), "{}", stderr(&result));
    let plan = event(&result.stdout, "plan");
    assert_eq!(plan["template"], "dialogue");
    assert_eq!(plan["frames"], 50);
    let who: Vec<_> = plan["speakers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["who"])
        .collect();
    assert_eq!(who, ["left", "right"]);
    assert_eq!(event(&result.stdout, "result")["frames"], 50);
    // Both are heard, each in their second.
    assert!(loudness(&output, 0.2, 0.8) > 1000.0);
    assert!(loudness(&output, 1.2, 1.8) > 1000.0);

    let alone = dir.file("alone.mp4");
    let result = finish(run(&two, &speeches, &alone).args(["--sound", "left"]));
    assert!(result.status.success(), "{}", stderr(&result));
    assert!(loudness(&alone, 0.2, 0.8) > 1000.0);
    assert!(loudness(&alone, 1.2, 1.8) < 10.0);
}

/// Brightness of the first frames: the left half and the right one of each.
fn halves(video: &Path, frames: u32) -> Vec<[Vec<u8>; 2]> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(video)
        .args(["-frames:v", &frames.to_string(), "-pix_fmt", "gray"])
        .args(["-f", "rawvideo", "-"])
        .output()
        .unwrap();
    let split = |frame: &[u8]| {
        let rows = frame.chunks_exact(800).map(|row| row.split_at(400));
        let (left, right): (Vec<_>, Vec<_>) = rows.unzip();
        [left.concat(), right.concat()]
    };
    let frames = output.stdout.chunks_exact(800 * 300);
    frames.map(split).collect()
}

/// Pixels that are far from each other.
fn differing(a: &[u8], b: &[u8]) -> usize {
    let pairs = a.iter().zip(b);
    pairs.filter(|(a, b)| a.abs_diff(**b) > 16).count()
}

#[test]
fn a_speaker_is_drawn_from_the_face_file_that_is_named() {
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
    let dir = TestDir::new();
    // Long enough for mouths of many shapes.
    let (two, speech) = (two_for(&dir, 75), tone(&dir, "s.wav", 0.0));
    let learnt = dir.file("left.face");
    let uri = gst::glib::filename_to_uri(&two, None).unwrap();
    let pipeline = gst::parse::launch(&format!(
        "facesource uri={uri} ! videoconvert ! video/x-raw,format=I420 ! \
         facetrack smooth=false face-select=leftmost ! queue ! facelearn location={} ! \
         fakesink sync=false",
        learnt.display()
    ));
    let pipeline = pipeline.unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = pipeline
        .bus()
        .unwrap()
        .timed_pop_filtered(gst::ClockTime::from_seconds(60), &ends);
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(end.expect("an end").type_(), gst::MessageType::Eos);

    let speeches: [(&str, &Path); 2] = [("left", &speech), ("right", &speech)];
    let named = format!("face-file-0={}", learnt.display());
    let [without, with] = [&[][..], &["--set", &named]].map(|more| {
        let output = dir.file(format!("out-{}.mp4", more.len()));
        let result = finish(run(&two, &speeches, &output).args(more));
        assert!(result.status.success(), "{}", stderr(&result));
        halves(&output, 12)
    });
    assert_eq!((without.len(), with.len()), (12, 12));
    let [left, right] = [0, 1].map(|half| {
        let pairs = without.iter().zip(&with);
        pairs
            .map(|(a, b)| differing(&a[half], &b[half]))
            .sum::<usize>()
    });
    assert!(left > 40 && right < left / 10, "{left} and {right} pixels");
}

#[test]
fn speeches_that_no_face_says_are_told() {
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
    let dir = TestDir::new();
    let (two, speech) = (two(&dir), tone(&dir, "s.wav", 0.0));
    let code = |speeches: &[(&str, &Path)], more: &[&str]| {
        let result = finish(run(&two, speeches, &dir.file("o.mp4")).args(more));
        let error = event(&result.stdout, "result")["error"].clone();
        (result.status.code().unwrap(), error["reason"].to_string())
    };
    let three: [(&str, &Path); 3] = [("0", &speech), ("1", &speech), ("2", &speech)];
    let (exit, reason) = code(&three, &[]);
    assert_eq!(exit, 29, "{reason}");
    assert!(reason.contains("3 speak, and the picture shows at most 2 faces"));
    let (exit, reason) = code(&three, &["--dry-run"]);
    assert_eq!(exit, 29, "{reason}");
    // The rightmost one is number 1.
    let (exit, reason) = code(&[("1", &speech), ("right", &speech)], &[]);
    assert_eq!(exit, 29, "{reason}");
    let (exit, reason) = code(&[("left", &speech), ("0", &speech)], &[]);
    assert_eq!(exit, 2, "{reason}");
    let (exit, reason) = code(&[("left", &speech)], &["--template", "webm"]);
    assert_eq!(exit, 2, "{reason}");
    assert!(reason.contains("for one speaker"));
    let nobody = format!("picture:{}", speech.display());
    let (exit, reason) = code(&[(&nobody, &speech)], &[]);
    assert_eq!(exit, 14, "{reason}");
    let faceless = dir.file("faceless.png");
    make(
        &faceless,
        "videotestsrc num-buffers=1 ! pngenc ! filesink name=out",
    );
    let (exit, reason) = code(
        &[(&format!("picture:{}", faceless.display()), &speech)],
        &[],
    );
    assert_eq!(exit, 29, "{reason}");
    assert!(!dir.file("o.mp4").exists());
}

#[test]
fn a_list_says_who_speaks_in_its_columns() {
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
    let dir = TestDir::new();
    two(&dir);
    tone(&dir, "l.wav", 0.0);
    tone(&dir, "r.wav", 0.5);
    dir.write(
        "jobs.csv",
        "face,speech.left,speech.right,sound,output\ntwo.mp4,l.wav,r.wav,right,out/o.mp4\n",
    );
    let batch = |list: &str, more: &[&str]| {
        let mut command = lipflow();
        finish(command.arg("batch").arg(dir.file(list)).args(more))
    };
    let result = batch("jobs.csv", &["--min-free", "1", "--workers", "1"]);
    assert!(result.status.success(), "{}", stderr(&result));
    let output = dir.file("out/o.mp4");
    assert!(loudness(&output, 0.1, 0.4) < 10.0);
    assert!(loudness(&output, 0.7, 1.3) > 1000.0);
    let report = std::fs::read_to_string(dir.file("out/report.html")).unwrap();
    assert!(
        report.contains("left=") && report.contains("right="),
        "{report}"
    );
    let again = batch("jobs.csv", &["--min-free", "1", "--workers", "1"]);
    assert!(stderr(&again).contains("1 already done") || again.status.success());
    for (columns, row, reason) in [
        (
            "speech,speech.left",
            "l.wav,r.wav",
            "others that say whose they are",
        ),
        (
            "speech.up,speech.left",
            "l.wav,r.wav",
            "is none of left, right",
        ),
        (
            "speech.left,speech.0",
            "l.wav,r.wav",
            "two speeches are for one face",
        ),
    ] {
        dir.write(
            "wrong.csv",
            format!("face,output,{columns}\ntwo.mp4,x.mp4,{row}\n"),
        );
        let result = batch("wrong.csv", &[]);
        assert_eq!(result.status.code(), Some(2));
        let said = stderr(&result);
        assert!(said.contains("line 2") && said.contains(reason), "{said}");
    }
}
