//! `lipflow run` on real media: what it makes, what it says meanwhile, how it is stopped.

mod run_support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use run_support::{TestDir, face, finish, lipflow, make, run, schema, speech, stderr};
use serde_json::Value;

/// What an independent program says of a file: duration, frames and channels.
fn ffprobe(path: &Path) -> (f64, u64, f64) {
    let ask = |arguments: &[&str]| {
        let output = Command::new("ffprobe")
            .args(["-v", "error", "-of", "csv=p=0"])
            .args(arguments)
            .arg(path)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.trim().trim_end_matches(',').to_owned()
    };
    let video = ask(&[
        "-select_streams",
        "v",
        "-count_packets",
        "-show_entries",
        "stream=duration,nb_read_packets",
    ]);
    let (duration, frames) = video.split_once(',').unwrap();
    let audio = ask(&["-select_streams", "a", "-show_entries", "stream=duration"]);
    (
        duration.parse().unwrap(),
        frames.parse().unwrap(),
        audio.parse().unwrap(),
    )
}

fn events(stdout: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

fn states(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .filter(|event| event["event"] == "state")
        .filter_map(|event| event["state"].as_str())
        .collect()
}

/// All of a short speech is there before the first frame is drawn.
#[test]
fn no_phase_is_left_out_where_the_speech_is_short() {
    let dir = TestDir::new();
    let speech = dir.file("short.wav");
    make(
        &speech,
        "audiotestsrc num-buffers=4 samplesperbuffer=1600 ! audio/x-raw,rate=16000,channels=1 ! wavenc ! filesink name=out",
    );
    let mut job = run(face(), speech, dir.file("out.mp4"));
    let result = finish(job.args(["--learn", "off", "--progress", "json"]));
    assert!(result.status.success(), "{}", stderr(&result));
    let events = events(&result.stdout);
    assert_eq!(
        states(&events),
        ["queued", "probing", "loading", "running", "finishing"]
    );
}

#[test]
fn a_face_and_a_speech_become_a_video_and_every_event_follows_the_schema() {
    let dir = TestDir::new();
    let output = dir.file("out.mp4");
    let result = finish(run(face(), speech(), &output).args(["--progress", "json"]));
    assert!(result.status.success(), "{}", stderr(&result));
    assert_eq!(dir.names(), ["out.mp4"]);

    // 2.99 s of speech are 75 frames.
    let (duration, frames, sound) = ffprobe(&output);
    assert_eq!(frames, 75);
    assert!((duration - 3.0).abs() < 0.001, "{duration}");
    assert!((sound - duration).abs() <= 0.04, "{sound}");

    let events = events(&result.stdout);
    let printed = finish(lipflow().arg("schema"));
    let schema: Value = serde_json::from_slice(&printed.stdout).unwrap();
    for event in &events {
        if let Some(found) = schema::violation(&schema, event, &schema) {
            panic!("{found}");
        }
    }
    assert!(
        schema::violation(&schema, &serde_json::json!({"event": "progress"}), &schema).is_some(),
        "the schema lets everything pass"
    );
    assert_eq!(
        states(&events),
        ["queued", "probing", "loading", "running", "finishing"]
    );
    let last = events.last().unwrap();
    assert_eq!(last["event"], "result");
    assert_eq!(last["state"], "done");
    assert_eq!(last["frames"], 75);
    assert_eq!(last["frames_without_face"], 0);
    assert_eq!(last["output"], output.to_str().unwrap());
    let counts: Vec<_> = events
        .iter()
        .filter(|event| event["event"] == "progress")
        .filter_map(|event| event["frames"].as_u64())
        .collect();
    assert!(counts.is_sorted(), "{counts:?}");
}

/// A job slow enough to be stopped in the middle.
fn slow_job(dir: &TestDir) -> Command {
    job_with_pauses(dir, Duration::from_millis(100))
}

/// A job whose pipeline pauses before each frame is encoded.
fn job_with_pauses(dir: &TestDir, pause: Duration) -> Command {
    let template = dir.template_with(&format!("identity sleep-time={}", pause.as_micros()));
    let mut command = run(face(), speech(), dir.file("out.mp4"));
    command
        .args(["--progress", "json", "--template"])
        .arg(template);
    command
}

/// Reads events until frames have been made.
fn wait_until_running(child: &mut Child) -> BufReader<std::process::ChildStdout> {
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0, "it ended too soon");
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["event"] == "progress" && event["frames"].as_u64() > Some(0) {
            return reader;
        }
    }
}

fn signal(child: &Child, number: i32) {
    // SAFETY: the process is a child of this one that was not waited for yet.
    assert_eq!(unsafe { libc::kill(child.id() as i32, number) }, 0);
}

#[test]
fn a_slow_job_is_never_silent_for_a_second() {
    let dir = TestDir::new();
    let mut child = slow_job(&dir).stdout(Stdio::piped()).spawn().unwrap();
    let reader = BufReader::new(child.stdout.take().unwrap());
    let longest = longest_silence(reader);
    assert!(child.wait().unwrap().success());
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}

fn longest_silence(reader: impl BufRead) -> Duration {
    let mut last = Instant::now();
    let mut longest = Duration::ZERO;
    for line in reader.lines() {
        line.unwrap();
        longest = longest.max(last.elapsed());
        last = Instant::now();
    }
    longest
}

/// The elements are silent then: an element that sleeps lets the pipeline stop only when it wakes.
#[test]
fn a_job_that_takes_long_to_stop_is_not_silent_either() {
    let dir = TestDir::new();
    let mut command = job_with_pauses(&dir, Duration::from_millis(2500));
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let reader = wait_until_running(&mut child);
    signal(&child, libc::SIGTERM);
    let begin = Instant::now();
    let longest = longest_silence(reader);
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(
        begin.elapsed() > Duration::from_secs(1),
        "it stopped at once"
    );
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}

#[test]
fn an_interrupted_job_says_so_and_leaves_nothing() {
    for (number, code, name) in [
        (libc::SIGINT, 130, "interrupted"),
        (libc::SIGTERM, 143, "terminated"),
    ] {
        let dir = TestDir::new();
        let mut child = slow_job(&dir).stdout(Stdio::piped()).spawn().unwrap();
        let reader = wait_until_running(&mut child);
        assert_eq!(dir.names().len(), 2, "the temporary file is there");
        signal(&child, number);
        let last = reader.lines().map_while(Result::ok).last().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        let last: Value = serde_json::from_str(&last).unwrap();
        assert_eq!(last["state"], "cancelled");
        assert_eq!(last["error"]["code"], name);
        assert_eq!(dir.names(), ["own.launch"]);
    }
}

#[test]
fn a_killed_job_leaves_no_output_and_the_next_one_tidies_up() {
    let dir = TestDir::new();
    let mut child = slow_job(&dir).stdout(Stdio::piped()).spawn().unwrap();
    let _reader = wait_until_running(&mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!dir.file("out.mp4").exists());
    assert_eq!(dir.names().len(), 2, "the dead job's temporary file");

    let result = finish(&mut run(face(), speech(), dir.file("out.mp4")));
    assert!(result.status.success(), "{}", stderr(&result));
    assert_eq!(dir.names(), ["out.mp4", "own.launch"]);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let dir = TestDir::new();
    let mut child = slow_job(&dir).stdout(Stdio::piped()).spawn().unwrap();
    let _reader = wait_until_running(&mut child);
    signal(&child, libc::SIGINT);
    std::thread::sleep(Duration::from_millis(5));
    signal(&child, libc::SIGINT);
    let begin = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(begin.elapsed() < Duration::from_secs(1));
    assert!(!dir.file("out.mp4").exists());
}

#[test]
fn an_output_that_exists_is_kept_skipped_or_replaced() {
    let dir = TestDir::new();
    let output = dir.write("out.mp4", "old");
    let refused = finish(&mut run(face(), speech(), &output));
    assert_eq!(refused.status.code(), Some(34), "{}", stderr(&refused));
    let skipped = finish(run(face(), speech(), &output).arg("--skip-existing"));
    assert!(skipped.status.success(), "{}", stderr(&skipped));
    assert_eq!(fs::read(&output).unwrap(), b"old");
    let replaced = finish(run(face(), speech(), &output).arg("--overwrite"));
    assert!(replaced.status.success(), "{}", stderr(&replaced));
    assert_eq!(ffprobe(&output).1, 75);
}

#[test]
fn a_dry_run_says_what_would_be_and_does_nothing() {
    let dir = TestDir::new();
    let output = dir.file("out.mp4");
    let result = finish(run(face(), speech(), &output).args(["--dry-run", "--progress", "json"]));
    assert!(result.status.success(), "{}", stderr(&result));
    assert!(dir.names().is_empty());
    let events = events(&result.stdout);
    let plan = events.iter().find(|e| e["event"] == "plan").unwrap();
    assert_eq!(plan["frames"], 75);
    assert_eq!(plan["face"]["width"], 400);
    assert_eq!(plan["face"]["fps"], 25.0);
    assert_eq!(plan["speech"]["sample_rate"], 16000);
    assert_eq!(plan["estimate"]["frames_sampled"], 8);
    assert_eq!(plan["estimate"]["frames_with_face"], 8);
    assert!(plan["estimate"]["bytes_free"].as_u64() > Some(0));

    let lines = finish(run(face(), speech(), &output).arg("--dry-run"));
    let said = stderr(&lines);
    assert!(said.contains("in 8 of 8 frames"), "{said}");
    assert!(said.contains("nothing was written"), "{said}");
}

#[test]
fn names_are_data_whatever_they_look_like() {
    let dir = TestDir::new();
    let speech = speech();
    for name in [
        "-dash.mp4",
        "a ! filesrc location=b.mp4",
        "quote's \"two\".mp4",
        "口型 😀 100%.mp4",
    ] {
        fs::copy(face(), dir.file(name)).unwrap();
        let output = format!("out {name}");
        let result = finish(run(name, &speech, &output).current_dir(dir.path()));
        assert!(result.status.success(), "{name}: {}", stderr(&result));
        assert!(dir.file(&output).is_file(), "{name}");
    }
    // A name that begins with a dash also as a word of its own, and as an output.
    let result = finish(
        lipflow()
            .args(["run", "--face", "-dash.mp4", "-o", "-out.mp4", "--speech"])
            .arg(&speech)
            .current_dir(dir.path()),
    );
    assert!(result.status.success(), "{}", stderr(&result));
    assert!(dir.file("-out.mp4").is_file());
}

#[test]
fn a_shorter_video_swings_and_a_picture_stays() {
    let dir = TestDir::new();
    let short = dir.file("short.mp4");
    let cut = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(face())
        .args(["-t", "1", "-c:v", "libx264"])
        .arg(&short)
        .status();
    assert!(cut.unwrap().success());
    let picture = gstlipsync::runtime::data_dir().join("media/astronaut.png");
    for (name, face) in [("swing.mp4", &short), ("still.mp4", &picture)] {
        let result = finish(&mut run(face, speech(), dir.file(name)));
        assert!(result.status.success(), "{}", stderr(&result));
        assert_eq!(ffprobe(&dir.file(name)).1, 75, "{name}");
    }
    let ends = finish(run(&short, speech(), dir.file("ends.mp4")).args(["--end-mode", "video"]));
    assert!(ends.status.success(), "{}", stderr(&ends));
    assert_eq!(ffprobe(&dir.file("ends.mp4")).1, 25);
}
