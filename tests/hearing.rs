//! What hears the speech: the front end where it is there, and what serves where it is not.

mod run_support;

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use run_support::{TestDir, face, finish, lipflow, run, speech, stderr};
use serde_json::Value;

/// A data folder with all that set-up makes but the front end.
fn without_front(dir: &TestDir) -> PathBuf {
    let from = gstlipsync::runtime::data_dir();
    let to = dir.file("data/lipflow");
    std::fs::create_dir_all(to.join("models")).unwrap();
    symlink(from.join("onnxruntime"), to.join("onnxruntime")).unwrap();
    for model in ["face_detection_yunet.onnx", "face_landmark.onnx"] {
        symlink(
            from.join("models").join(model),
            to.join("models").join(model),
        )
        .unwrap();
    }
    dir.file("data")
}

fn short(command: &mut Command) -> &mut Command {
    command.args(["--learn", "off"])
}

#[test]
fn without_its_front_end_the_simpler_model_serves_and_says_so_once() {
    let dir = TestDir::new();
    let data = without_front(&dir);
    let output = dir.file("out.mp4");
    let mut command = run(face(), speech(), &output);
    let done = finish(short(&mut command).env("XDG_DATA_HOME", &data));
    let said = stderr(&done);
    assert!(done.status.success(), "{said}");
    assert!(output.is_file());
    let warnings: Vec<_> = said
        .lines()
        .filter(|line| line.contains("warning"))
        .collect();
    assert_eq!(warnings.len(), 1, "{said}");
    let warned =
        warnings[0].contains("whisper_front.onnx") && warnings[0].contains("cargo xtask setup");
    assert!(warned, "{said}");

    // Asked for by its name, it is an error and not another model.
    let mut command = run(face(), speech(), dir.file("named.mp4"));
    let failed = finish(
        command
            .args(["--model", "hearing"])
            .env("XDG_DATA_HOME", &data),
    );
    assert_eq!(failed.status.code(), Some(20), "{}", stderr(&failed));
    assert!(
        stderr(&failed).contains("whisper_front.onnx"),
        "{}",
        stderr(&failed)
    );
    assert!(!dir.file("named.mp4").exists());
}

#[test]
fn a_plan_and_the_doctor_say_what_is_lacking() {
    let dir = TestDir::new();
    let data = without_front(&dir);
    let plan = |data: Option<&PathBuf>| -> Value {
        let mut command = run(face(), speech(), dir.file("out.mp4"));
        command.args(["--dry-run", "--progress", "json"]);
        if let Some(data) = data {
            command.env("XDG_DATA_HOME", data);
        }
        let output = finish(&mut command);
        let text = String::from_utf8(output.stdout).unwrap();
        let mut events = text.lines().map(|line| serde_json::from_str(line).unwrap());
        events
            .find(|event: &Value| event["event"] == "plan")
            .unwrap()
    };
    let [there, lacking] = [plan(None), plan(Some(&data))];
    assert_eq!(there["model"], "hearing", "{there}");
    assert!(there["model_lacks"].is_null(), "{there}");
    assert_eq!(lacking["model"], "mouth", "{lacking}");
    let lacks = lacking["model_lacks"].as_str().unwrap();
    assert!(lacks.ends_with("whisper_front.onnx"), "{lacks}");

    let output = finish(lipflow().arg("doctor").env("XDG_DATA_HOME", &data));
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text
        .lines()
        .find(|line| line.contains("default model"))
        .unwrap();
    assert!(
        line.starts_with("WARN") && line.contains("whisper_front.onnx"),
        "{text}"
    );
}

/// A recording is heard whole, and both looks make the same number of frames.
#[test]
fn a_job_looks_at_the_whole_speech_and_a_stream_ahead_if_asked() {
    let dir = TestDir::new();
    let make = |name: &str, more: &[&str]| {
        let output = dir.file(name);
        let mut command = run(face(), speech(), &output);
        let done = finish(
            short(&mut command)
                .args(["--template", "lossless"])
                .args(more),
        );
        assert!(done.status.success(), "{}", stderr(&done));
        let md5 = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(&output)
            .args(["-map", "0:v", "-f", "framemd5", "-"])
            .output()
            .unwrap();
        let text = String::from_utf8(md5.stdout).unwrap();
        let frames: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        frames
            .iter()
            .map(|line| line.to_string())
            .collect::<Vec<_>>()
    };
    let job = make("job.mkv", &[]);
    let whole = make("whole.mkv", &["--set", "look=whole"]);
    let stream = make("stream.mkv", &["--set", "look=stream"]);
    assert!(job == whole, "a job does not look at the whole");
    assert_eq!(whole.len(), stream.len());
    assert!(whole != stream, "both looks hear the same");
}
