//! `lipflow batch` on the binary, with real media.

mod run_support;

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use run_support::batch::{
    LIMIT, SLOW, batch, events, left_over, made, outputs, short_jobs, short_speech, signal,
    slow_jobs, start, wait, wait_for, wait_until_moving,
};
use run_support::{TestDir, face, finish, lipflow, schema, stderr};
use serde_json::Value;

#[test]
fn a_batch_makes_all_and_a_second_start_makes_nothing() {
    let dir = TestDir::new();
    let output = finish(short_jobs(&dir, 3).args(["--progress", "json", "--zip", "all.zip"]));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let expected = made(3);
    assert_eq!(outputs(&dir), expected);
    assert!(dir.file("all.zip").is_file());

    // The events follow the schema, are never a second apart, and end with the batch's result.
    let events = events(&output);
    let printed = finish(lipflow().arg("schema"));
    let schema: Value = serde_json::from_slice(&printed.stdout).unwrap();
    for event in &events {
        assert_eq!(schema::violation(&schema, event, &schema), None, "{event}");
    }
    let last = events.last().unwrap();
    assert_eq!(last["event"], "batch-result");
    assert_eq!((&last["done"], &last["total"]), (&3.into(), &3.into()));
    let results = events.iter().filter(|e| e["event"] == "result").count();
    assert_eq!(results, 3);

    let pids: std::collections::BTreeSet<_> = events
        .iter()
        .filter(|e| e["event"] == "started")
        .map(|e| e["worker"].as_u64().unwrap())
        .collect();
    assert_eq!(pids.len(), 1, "one worker did all");

    let manifest: Value =
        serde_json::from_slice(&fs::read(dir.file("out/manifest.json")).unwrap()).unwrap();
    let sha256 = manifest[0]["sha256"].as_str().unwrap();
    let printed = Command::new("sha256sum")
        .arg(
            dir.file("out")
                .join(manifest[0]["output"].as_str().unwrap()),
        )
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&printed.stdout).starts_with(sha256));
    let report = fs::read_to_string(dir.file("out/report.html")).unwrap();
    assert_eq!(report.matches("data:image/jpeg;base64,").count(), 3);

    let before = fs::metadata(dir.file("out/0.mp4"))
        .unwrap()
        .modified()
        .unwrap();
    let again = finish(short_jobs(&dir, 3).args(["--progress", "plain"]));
    assert_eq!(again.status.code(), Some(0));
    assert!(
        stderr(&again).contains("3 jobs, 3 of them done already"),
        "{}",
        stderr(&again)
    );
    let after = fs::metadata(dir.file("out/0.mp4"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(before, after);

    // The same content by any other time is the same job; another parameter is another.
    let forced = finish(short_jobs(&dir, 3).args(["--set", "crf=30", "--progress", "plain"]));
    assert_eq!(forced.status.code(), Some(0), "{}", stderr(&forced));
    assert!(
        stderr(&forced).contains("3 jobs, 0 of them done already"),
        "{}",
        stderr(&forced)
    );
}

#[test]
fn bad_files_have_reasons_and_the_rest_is_made() {
    let dir = TestDir::new();
    let sound = short_speech(&dir);
    dir.write("text.mp4", "Once upon a time.\n".repeat(99));
    let list = format!(
        "{{\"face\": {face:?}, \"speech\": {sound:?}, \"output\": \"out/a.mp4\"}}\n\
         {{\"face\": \"text.mp4\", \"speech\": {sound:?}, \"output\": \"out/b.mp4\"}}\n\
         {{\"face\": \"none.mp4\", \"speech\": {sound:?}, \"output\": \"out/c.mp4\"}}\n",
        face = face(),
    );
    dir.write("jobs.jsonl", list);
    let mut command = lipflow();
    command.current_dir(dir.path());
    command.args([
        "batch",
        "jobs.jsonl",
        "--min-free",
        "0",
        "--progress",
        "plain",
    ]);
    let output = finish(&mut command);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let text = stderr(&output);
    assert!(text.contains("text.mp4: this is not a video"), "{text}");
    assert!(text.contains("none.mp4: there is no such file"), "{text}");
    assert!(
        !text.contains("Attempt 2"),
        "a bad file is not tried again: {text}"
    );
    assert!(dir.file("out/a.mp4").is_file());

    let listed = finish(
        lipflow()
            .arg("jobs")
            .arg(dir.file("out"))
            .args(["--only", "failed"]),
    );
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let status = finish(lipflow().arg("status").arg(dir.file("out")).arg("--json"));
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["counts"]["done"], 1);
    assert_eq!(status["counts"]["failed"], 2);
    assert_eq!(status["attended"], false);
}

#[test]
fn mistakes_are_told_before_anything_starts() {
    let dir = TestDir::new();
    let cases = [
        (
            "face,speech,output\na.mp4,s.wav,o.mp4\nb.mp4,s.wav,./o.mp4\n",
            "jobs 1 and 2 have the same output",
        ),
        ("face,speech\na.mp4,s.wav\n", "line 2: it has no output"),
        (
            "face,speech,output,speed\na.mp4,s.wav,o.mp4,2\n",
            "line 2: `speed` is none of",
        ),
        ("face,speech,output\n", "no jobs"),
    ];
    for (list, expected) in cases {
        dir.write("jobs.csv", list);
        let output = finish(&mut batch(&dir));
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
        assert_eq!(dir.names(), ["jobs.csv"]);
    }
}

#[test]
fn a_batch_that_is_killed_goes_on_where_it_was() {
    let dir = TestDir::new();
    let (mut child, mut reader) = start(short_jobs(&dir, 4).args(["--progress", "json"]));
    wait_for(&mut reader, |event| event["event"] == "result");
    wait_until_moving(&mut reader);
    child.kill().unwrap();
    child.wait().unwrap();

    let status = finish(lipflow().arg("status").arg(dir.file("out")));
    let text = String::from_utf8(status.stdout).unwrap();
    assert!(text.contains("nobody works on it; go on with:\n"), "{text}");

    let output = finish(short_jobs(&dir, 4).args(["--progress", "plain"]));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stderr(&output);
    assert!(!text.contains(" 0 of them done already"), "{text}");
    let expected = made(4);
    assert_eq!(outputs(&dir), expected, "nothing temporary is left");
}

#[test]
fn the_first_interrupt_finishes_the_file_the_second_stops_it() {
    let dir = TestDir::new();
    let begin = |command: &mut Command| {
        let (child, mut reader) = start(command.args(["--progress", "json"]));
        wait_until_moving(&mut reader);
        assert!(!dir.file("out/1.mp4").exists());
        (child, reader)
    };
    let (child, mut reader) = begin(&mut short_jobs(&dir, 2));
    signal(&child, libc::SIGINT);
    wait_for(&mut reader, |event| event["event"] == "batch-result");
    assert_eq!(wait(child).status.code(), Some(130));
    assert!(dir.file("out/0.mp4").is_file());
    assert!(!dir.file("out/1.mp4").exists());

    let template = dir.template_with("identity sleep-time=100000");
    let mut command = short_jobs(&dir, 2);
    command.arg("--force").arg("--template").arg(&template);
    let (child, mut reader) = begin(&mut command);
    signal(&child, libc::SIGTERM);
    wait_for(&mut reader, |event| {
        event["event"] == "message" && event["job"].is_null()
    });
    signal(&child, libc::SIGTERM);
    let begin = Instant::now();
    wait_for(&mut reader, |event| event["event"] == "batch-result");
    assert_eq!(wait(child).status.code(), Some(130));
    assert!(
        begin.elapsed() < Duration::from_secs(4),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(left_over(&dir), [""; 0]);
}

#[test]
fn a_job_is_cancelled_from_another_terminal() {
    let dir = TestDir::new();
    let template = dir.template_with("identity sleep-time=200000");
    let (child, mut reader) = start(
        short_jobs(&dir, 2)
            .args(["--progress", "json", "--template"])
            .arg(template),
    );
    let event = wait_until_moving(&mut reader);
    let job = event["job"].to_string();
    let begin = Instant::now();
    let mut cancel = lipflow();
    cancel
        .arg("cancel")
        .arg(dir.file("out"))
        .args(["--job", &job]);
    assert_eq!(finish(&mut cancel).status.code(), Some(0));
    let result = wait_for(&mut reader, |event| event["event"] == "result");
    assert_eq!(result["state"], "cancelled");
    assert_eq!(result["job"].to_string(), job);
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );
    let mut all = lipflow();
    all.arg("cancel").arg(dir.file("out")).arg("--all");
    finish(&mut all);
    std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
    assert_eq!(wait(child).status.code(), Some(1));
    let expected = [".lipflow", "manifest.json", "report.html"];
    assert_eq!(outputs(&dir), expected);

    let mut retry = lipflow();
    retry.arg("retry").arg(dir.file("out")).arg("--all");
    let output = finish(&mut retry);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("2 put back into the queue\n"), "{text}");
    assert!(
        text.contains("lipflow batch jobs.csv") || text.contains("batch jobs.csv"),
        "{text}"
    );
}

#[test]
fn a_worker_that_dies_is_replaced_and_its_job_is_tried_again() {
    let dir = TestDir::new();
    let (child, mut reader) = start(&mut slow_jobs(&dir, 2));
    let started = wait_for(&mut reader, |event| event["event"] == "started");
    wait_until_moving(&mut reader);
    let worker = started["worker"].as_i64().unwrap() as i32;
    // SAFETY: the supervisor has not been told of its end, so the process id is still the worker's.
    unsafe { libc::kill(worker, libc::SIGABRT) };
    let retry = wait_for(&mut reader, |event| event["event"] == "retry");
    assert_eq!(retry["error"]["code"], "worker-died");
    let reason = retry["error"]["reason"].as_str().unwrap();
    assert!(reason.contains("killed by signal 6 (SIGABRT)"), "{reason}");
    let last = wait_for(&mut reader, |event| event["event"] == "batch-result");
    assert_eq!(last["done"], 2);
    assert_eq!(wait(child).status.code(), Some(0));
}

#[test]
fn a_program_that_is_deleted_goes_on() {
    let dir = TestDir::new();
    let template = dir.template_with(SLOW);
    let own = dir.file("lipflow");
    fs::copy(env!("CARGO_BIN_EXE_lipflow"), &own).unwrap();
    short_jobs(&dir, 2);
    let (child, mut reader) = start(
        Command::new(&own)
            .current_dir(dir.path())
            .env("LIPFLOW_FACES", run_support::faces())
            .args(["batch", "jobs.csv", "--min-free", "0", "--workers", "1"])
            .args(["--progress", "json", "--template"])
            .arg(template)
            .stdin(Stdio::null()),
    );
    let started = wait_for(&mut reader, |event| event["event"] == "started");
    fs::remove_file(&own).unwrap();
    let worker = started["worker"].as_i64().unwrap() as i32;
    // SAFETY: the supervisor has not been told of its end, so the process id is still the worker's.
    unsafe { libc::kill(worker, libc::SIGKILL) };
    let last = wait_for(&mut reader, |event| event["event"] == "batch-result");
    assert_eq!(last["done"], 2);
    assert_eq!(wait(child).status.code(), Some(0));
}

#[test]
fn events_are_served_live_and_from_the_beginning() {
    let dir = TestDir::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let address = format!("127.0.0.1:{port}");
    let (child, mut reader) =
        start(short_jobs(&dir, 3).args(["--progress", "json", "--serve-events", &address]));
    wait_for(&mut reader, |event| event["event"] == "result");
    let ask = |header: &str| {
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        write!(stream, "GET /events HTTP/1.0\r\n{header}\r\n").unwrap();
        stream
    };
    // One that never reads holds nobody up.
    let _lazy = ask("");
    let mut late = ask("");
    let drain = std::thread::spawn(move || {
        std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
    });
    let mut text = String::new();
    late.read_to_string(&mut text).unwrap();
    drain.join().unwrap();
    assert_eq!(wait(child).status.code(), Some(0));
    let events: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|json| serde_json::from_str(json).unwrap())
        .collect();
    let count = |kind: &str| events.iter().filter(|e| e["event"] == kind).count();
    assert_eq!(count("started"), 3, "{text}");
    assert_eq!(count("result"), 3, "each once, the first from the journal");
    assert_eq!(count("batch-result"), 1);
    let ids: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .map(|id| id.parse::<i64>().unwrap())
        .collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
}

#[test]
fn two_controllers_share_a_batch() {
    let dir = TestDir::new();
    let mut first = short_jobs(&dir, 4);
    let mut second = batch(&dir);
    let start = |command: &mut Command| {
        let command = command.args(["--progress", "json"]);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let (first, second) = (start(&mut first), start(&mut second));
    let (first, second) = (wait(first), wait(second));
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    assert_eq!(second.status.code(), Some(0), "{}", stderr(&second));
    let done = |output: &Output| {
        let events = events(output);
        events.iter().filter(|e| e["event"] == "result").count()
    };
    let counts = (done(&first), done(&second));
    assert_eq!(counts.0 + counts.1, 4, "{counts:?}");
    let expected = made(4);
    assert_eq!(outputs(&dir), expected);
}

#[test]
fn a_dry_run_tells_and_does_nothing() {
    let dir = TestDir::new();
    let mut command = short_jobs(&dir, 2);
    fs::write(
        dir.file("jobs.csv"),
        fs::read_to_string(dir.file("jobs.csv")).unwrap() + "none.mp4,short.wav,out/x.mp4\n",
    )
    .unwrap();
    let output = finish(command.arg("--dry-run"));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("2 will run\n0 done already\n1 can't work\n"),
        "{text}"
    );
    assert!(text.contains("none.mp4: there is no such file"), "{text}");
    assert!(!Path::new(&dir.file("out")).exists());
}

#[test]
fn nothing_begins_while_a_disk_is_below_its_floor() {
    let dir = TestDir::new();
    short_jobs(&dir, 1);
    let (child, mut reader) = start(
        lipflow()
            .current_dir(dir.path())
            // Nobody has as much.
            .args(["batch", "jobs.csv", "--min-free", "1000000000"])
            .args(["--progress", "json"]),
    );
    let event = wait_for(&mut reader, |event| {
        assert_ne!(event["event"], "started");
        event["event"] == "batch" && event["paused"].is_string()
    });
    let reason = event["paused"].as_str().unwrap();
    assert!(reason.contains("--min-free"), "{reason}");
    signal(&child, libc::SIGTERM);
    let last = wait_for(&mut reader, |event| event["event"] == "batch-result");
    assert_eq!(last["queued"], 1);
    assert_eq!(wait(child).status.code(), Some(130));
}
