//! What a header claims: it is measured, or refused at once.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::run_support::{TestDir, finish, run, stderr};
use crate::tools::{Files, ffmpeg, text};

/// Numbers like those of a damaged or a malicious file.
const BILLION: u32 = 1_000_000_000;

/// A copy of the file in which `bytes` stand so far behind the first `mark`.
fn claiming(desk: &TestDir, file: &Path, name: &str, claims: &[(&[u8], usize, &[u8])]) -> PathBuf {
    let mut content = std::fs::read(file).unwrap();
    for (mark, behind, bytes) in claims {
        let at = content.windows(mark.len()).position(|w| w == *mark);
        let at = at.expect("the mark is in the file") + behind;
        content[at..at + bytes.len()].copy_from_slice(bytes);
    }
    desk.write(name, content)
}

fn dry_run(face: &Path, speech: &Path, options: &[&str]) -> Output {
    let output = face.with_file_name("o.mp4");
    let begin = Instant::now();
    let always = ["--dry-run", "--learn", "off", "--progress", "json"];
    let result = finish(run(face, speech, output).args(always).args(options));
    let took = begin.elapsed();
    // A second, on a machine that has others to do.
    assert!(
        took < Duration::from_secs(8),
        "{took:?}: {}",
        stderr(&result)
    );
    result
}

fn plan(result: &Output) -> Value {
    assert!(result.status.success(), "{}", stderr(result));
    String::from_utf8_lossy(&result.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|event| event["event"] == "plan")
        .expect("a plan")
}

#[track_caller]
fn lasts(of: &Value, wanted: f64) {
    let found = of["duration_s"].as_f64().unwrap_or(f64::NAN);
    assert!((found - wanted).abs() < 0.08, "{of}");
}

#[track_caller]
fn refused(result: &Output, words: &str) {
    let said = String::from_utf8_lossy(&result.stdout);
    assert_eq!(result.status.code(), Some(26), "{said}");
    assert!(said.contains(words), "{said}");
}

#[test]
fn a_claimed_length_without_the_bytes_for_it_is_measured() {
    let files = Files::new();
    let (desk, years) = (&files.desk, 1e11_f64.to_be_bytes());
    let clip = files.face("f.mkv", &["-t", "1", "-c:v", "libx264"]);
    let speech = files.speech("s.wav", &["-t", "1.2"]);
    let word = files.speech("s.mka", &["-t", "1.2", "-c:a", "libopus"]);
    let duration = b"\x44\x89";
    for claim in [years, f64::INFINITY.to_be_bytes(), 1e17_f64.to_be_bytes()] {
        let face = claiming(desk, &clip, "y.mkv", &[(duration, 3, &claim)]);
        let sound = claiming(desk, &word, "y.mka", &[(duration, 3, &claim)]);
        let plan = plan(&dry_run(&face, &sound, &[]));
        lasts(&plan["face"], 1.0);
        lasts(&plan["speech"], 1.2);
        assert_eq!(plan["loop_mode"], "ping-pong");
    }
    // The lower 36 bits of its header's second number.
    let flac = files.speech("s.flac", &["-t", "1.2"]);
    let flac = claiming(desk, &flac, "y.flac", &[(b"fLaC", 22, &[0xff; 4])]);
    lasts(&plan(&dry_run(&clip, &flac, &[]))["speech"], 1.2);
    let mp3 = files.speech("s.mp3", &["-t", "1.2"]);
    lasts(&plan(&dry_run(&clip, &mp3, &[]))["speech"], 1.2);
    let frames = BILLION.to_be_bytes();
    let adpcm = files.speech("a.wav", &["-t", "1.2", "-c:a", "adpcm_ms"]);
    lasts(&plan(&dry_run(&clip, &adpcm, &[]))["speech"], 1.22);
    let mp3 = claiming(desk, &mp3, "y.mp3", &[(b"Info", 8, &frames)]);
    lasts(&plan(&dry_run(&clip, &mp3, &[]))["speech"], 1.25);
    // The job itself has nothing to complain of.
    files.made(&files.desk.file("y.mkv"), &speech, "o.mp4", &[]);
}

/// Not what its writer could not know, but the end of the file.
#[test]
fn a_file_that_has_lost_its_end_is_not_taken_for_a_shorter_one() {
    let files = Files::new();
    let clip = files.face("f.mp4", &["-t", "1", "-c:v", "libx264"]);
    let ten_hours = 36e6_f64.to_be_bytes();
    let word = files.speech("s.mka", &["-t", "1.2", "-c:a", "libopus"]);
    let sound = claiming(&files.desk, &word, "h.mka", &[(b"\x44\x89", 3, &ten_hours)]);
    files.refused(&clip, &sound, 15, "it says that it lasts 36000.000 s");
    let whole = std::fs::read(files.speech("s.flac", &[])).unwrap();
    let cut = files.desk.write("cut.flac", &whole[..whole.len() / 2]);
    files.refused(&clip, &cut, 15, "it says that it lasts 2.000 s");
}

/// Browsers record so; of a bare stream GStreamer estimates the length.
#[test]
fn a_recording_that_does_not_say_how_long_it_is_is_measured() {
    let files = Files::new();
    let clip = files.face("f.mp4", &["-t", "1", "-c:v", "libx264", "-bf", "0"]);
    let live = ["-live", "1", "-f", "matroska"];
    let webm = files.face(
        "live.mkv",
        &[&["-t", "1", "-c:v", "libx264"], &live[..]].concat(),
    );
    let word = files.speech(
        "live.mka",
        &[&["-t", "1.2", "-c:a", "libopus"], &live[..]].concat(),
    );
    let plan_of = plan(&dry_run(&webm, &word, &[]));
    lasts(&plan_of["face"], 1.0);
    lasts(&plan_of["speech"], 1.2);
    let adts = files.speech("s.aac", &["-t", "1.2", "-c:a", "aac", "-f", "adts"]);
    lasts(&plan(&dry_run(&clip, &adts, &[]))["speech"], 1.25);
}

#[test]
fn a_billion_frames_are_refused_and_so_are_years_that_the_file_has() {
    let files = Files::new();
    let arguments = ["-t", "1", "-c:v", "libx264", "-bf", "0"];
    let clip = files.face("f.mp4", &arguments);
    let speech = files.speech("s.wav", &["-t", "1.2"]);
    let billion = BILLION.to_be_bytes();
    let claims: [(&[u8], usize, &[u8]); 2] = [(b"stts", 12, &billion), (b"stsz", 12, &billion)];
    let face = claiming(&files.desk, &clip, "b.mp4", &claims);
    refused(&dry_run(&face, &speech, &[]), "1000000000 frames");
    // One sample for each of these, each of which lasts a day and more.
    let claims: [(&[u8], usize, &[u8]); 2] = [(b"stts", 16, &[0x7f; 4]), (b"edts", 0, b"free")];
    let face = claiming(&files.desk, &clip, "y.mp4", &claims);
    let result = dry_run(&face, &speech, &[]);
    refused(&result, "--set max-duration=");
    plan(&dry_run(&face, &speech, &["--set", "max-duration=2000h"]));

    let limited = |limit: &str| dry_run(&clip, &speech, &["--set", limit]);
    refused(&limited("max-frames=24"), "--set max-frames=25");
    plan(&limited("max-frames=25"));
    refused(&limited("max-duration=1.1s"), "--set max-duration=1h");
    plan(&limited("max-duration=1.3s"));
}

#[test]
fn two_hundred_streams_are_refused_before_they_are_decoded() {
    let files = Files::new();
    let clip = files.face("f.mp4", &["-t", "1", "-c:v", "libx264"]);
    let speech = files.speech("s.wav", &["-t", "1.2"]);
    let many = |input: &Path, map: &str, name: &str| {
        let maps = std::iter::repeat_n(["-map", map], 200).flatten();
        let mut arguments = vec!["-i", text(input)];
        arguments.extend(maps);
        arguments.extend(["-c", "copy"]);
        let path = files.desk.file(name);
        ffmpeg(&arguments, &path);
        path
    };
    for name in ["v.mkv", "v.mp4"] {
        let face = many(&clip, "0:v", name);
        refused(&dry_run(&face, &speech, &[]), "200 streams");
    }
    let sound = many(&speech, "0:a", "a.mkv");
    refused(&dry_run(&clip, &sound, &[]), "--set max-streams=200");
    let allowed = ["--set", "max-streams=200"];
    files.made(&clip, &sound, "o.mp4", &allowed);
}
