//! What can't be done fails with its own exit code, one line of reason and remedy, and no file.

mod run_support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use run_support::{TestDir, face, finish, lipflow, make, run, speech, stderr};

/// Runs what must fail; the dir may hold `left` afterwards and nothing else.
#[track_caller]
fn fails(dir: &TestDir, command: &mut Command, code: i32, words: &[&str]) {
    let before = dir.names();
    let result = finish(command.args(["--progress", "none"]));
    let said = stderr(&result);
    assert_eq!(result.status.code(), Some(code), "{said}");
    assert_eq!(said.lines().count(), 1, "more than a line: {said}");
    for word in words {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
    assert_eq!(dir.names(), before, "something was left behind");
}

#[test]
fn faces_that_are_none() {
    let dir = TestDir::new();
    let whole = fs::read(face()).unwrap();
    let folder = dir.file("folder");
    fs::create_dir(&folder).unwrap();
    let no_face = dir.file("no face.mp4");
    make(
        &no_face,
        "videotestsrc num-buffers=100 pattern=smpte ! video/x-raw,width=320,height=240,framerate=25/1 \
         ! x264enc speed-preset=ultrafast ! h264parse ! mp4mux ! filesink name=out",
    );
    let cases = [
        (dir.file("missing.mp4"), 10, "no such file"),
        (folder, 12, "folder"),
        (dir.write("empty.mp4", ""), 13, "empty"),
        (
            dir.write("text.mp4", "Once upon a time.\n".repeat(99)),
            14,
            "not a video",
        ),
        (
            dir.write("cut.mp4", &whole[..whole.len() / 2]),
            15,
            "damaged",
        ),
        (dir.write("header.mp4", &whole[..36]), 16, "no content"),
        (speech(), 18, "no picture"),
        (no_face, 19, "no face"),
    ];
    for (path, code, word) in cases {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let output = dir.file("out.mp4");
        fails(
            &dir,
            &mut run(&path, speech(), output),
            code,
            &[&name, word],
        );
    }
}

#[test]
fn speeches_that_are_none() {
    let dir = TestDir::new();
    let whole = fs::read(speech()).unwrap();
    let cases = [
        (dir.file("missing.wav"), 10, "no such file"),
        (dir.write("empty.wav", ""), 13, "empty"),
        (
            dir.write("text.wav", "La la la.\n".repeat(99)),
            14,
            "not a video",
        ),
        (
            dir.write("cut.wav", &whole[..whole.len() / 2]),
            15,
            "damaged",
        ),
        (dir.write("header.wav", &whole[..44]), 16, "no content"),
        (face(), 17, "no sound track"),
    ];
    for (path, code, word) in cases {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let output = dir.file("out.mp4");
        fails(&dir, &mut run(face(), &path, output), code, &[&name, word]);
    }
}

#[test]
fn a_cut_file_of_a_format_without_boxes_is_found_by_its_length() {
    let dir = TestDir::new();
    let flac = dir.file("whole.flac");
    make(
        &flac,
        "audiotestsrc num-buffers=200 samplesperbuffer=800 wave=ticks ! audio/x-raw,rate=16000 \
         ! flacenc ! filesink name=out",
    );
    let whole = fs::read(&flac).unwrap();
    let cut = dir.write("cut.flac", &whole[..whole.len() / 2]);
    fails(
        &dir,
        &mut run(face(), cut, dir.file("out.mp4")),
        15,
        &["cut.flac", "damaged"],
    );
}

#[test]
fn models_that_are_none() {
    let dir = TestDir::new();
    let text = dir.write("text.onnx", "not a network");
    let other = gstlipsync::runtime::data_dir().join("models/face_detection_yunet.onnx");
    let cases = [
        (dir.file("missing.onnx"), 20, "no such model"),
        (text, 21, "text.onnx"),
        (other, 22, "face_detection_yunet"),
    ];
    for (path, code, word) in cases {
        let mut command = run(face(), speech(), dir.file("out.mp4"));
        fails(&dir, command.arg("--model").arg(path), code, &[word]);
    }
    let mut command = run(face(), speech(), dir.file("out.mp4"));
    command.env("ORT_DYLIB_PATH", dir.file("libonnxruntime.so"));
    fails(&dir, &mut command, 23, &["ONNX Runtime", "xtask setup"]);
}

#[test]
fn outputs_that_can_not_be() {
    let dir = TestDir::new();
    let (face, speech) = (face(), speech());
    fails(
        &dir,
        &mut run(&face, &speech, dir.file("none/out.mp4")),
        30,
        &["folder does not exist"],
    );
    let own = dir.file("own.mp4");
    fs::copy(&face, &own).unwrap();
    let link = dir.file("link.mp4");
    std::os::unix::fs::symlink(&own, &link).unwrap();
    for output in [&own, &link] {
        let mut command = run(&own, &speech, output);
        fails(&dir, command.arg("--overwrite"), 33, &["one of the inputs"]);
    }
    fails(&dir, &mut run(&face, &speech, &own), 34, &["exists"]);
    let mut command = run(&face, &speech, dir.file("out.mp4"));
    command.args(["--end-mode", "video", "--loop-mode", "loop"]);
    fails(&dir, &mut command, 2, &["never end"]);
}

#[test]
fn what_may_not_be_read_or_written() {
    let dir = TestDir::new();
    // SAFETY: the call has no conditions.
    let is_root = unsafe { libc::geteuid() } == 0;
    let restricted = |command: &mut Command| {
        // Root may do everything, so someone else has to try.
        if is_root {
            command.uid(65534).gid(65534);
        }
    };
    let (face, speech) = (face(), speech());
    let (own_face, own_speech) = (dir.file("face.mp4"), dir.file("speech.wav"));
    fs::copy(&face, &own_face).unwrap();
    fs::copy(&speech, &own_speech).unwrap();
    let mode =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(dir.path(), 0o755);
    mode(&own_face, 0o644);
    mode(&own_speech, 0o644);
    // The binary must be within reach of the one who tries.
    let binary = dir.file("lipflow");
    fs::copy(env!("CARGO_BIN_EXE_lipflow"), &binary).unwrap();
    let command = |output: &Path| {
        let known = run(&own_face, &own_speech, output);
        let mut command = Command::new(&binary);
        command.args(known.get_args()).env("HOME", dir.path());
        restricted(&mut command);
        command
    };
    if !is_root {
        mode(dir.path(), 0o555);
    }
    fails(
        &dir,
        &mut command(&dir.file("out.mp4")),
        31,
        &["can't be written"],
    );
    mode(&own_face, 0o000);
    fails(
        &dir,
        &mut command(&dir.file("out.mp4")),
        11,
        &["face.mp4", "can't be read"],
    );
    mode(dir.path(), 0o755);
}

#[test]
fn a_pipeline_that_stops_is_named_with_the_element() {
    let dir = TestDir::new();
    let template = dir.template_with("identity name=stubborn sleep-time=7000000");
    let mut command = run(face(), speech(), dir.file("out.mp4"));
    command
        .args(["--stuck-after", "1", "--template"])
        .arg(template);
    fails(&dir, &mut command, 50, &["stubborn"]);
}

#[test]
fn the_key_of_a_stream_is_in_no_error() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("rtmp://127.0.0.1:{port}/live/s3cret-key");
    for style in ["plain", "json"] {
        let mut command = lipflow();
        command.arg("run").arg("--face").arg(face());
        command.arg("--speech").arg(speech());
        command.args(["--template", "stream", "--set", "url=env:LIPFLOW_TEST_URL"]);
        command.args(["--progress", style]);
        let output = finish(command.env("LIPFLOW_TEST_URL", &url));
        assert!(!output.status.success());
        let text = stderr(&output) + &String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("refused"), "it was not reached: {text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}
