//! Batches of short jobs, and what they say.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{TestDir, face, lipflow, speech};

/// Nothing in these tests takes longer.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A batch of `count` jobs of half a second.
pub fn short_jobs(dir: &TestDir, count: usize) -> Command {
    let sound = short_speech(dir);
    let mut list = "face,speech,output\n".to_owned();
    for n in 0..count {
        list += &format!("{},{},out/{n}.mp4\n", face().display(), sound.display());
    }
    dir.write("jobs.csv", list);
    batch(dir)
}

/// The same in a template that takes a while over each frame, with events to be read.
pub fn slow_jobs(dir: &TestDir, count: usize) -> Command {
    let template = dir.template_with(SLOW);
    let mut command = short_jobs(dir, count);
    command.args(["--progress", "json", "--template"]);
    command.arg(template);
    command
}

/// Makes 20 frames a second.
pub const SLOW: &str = "identity sleep-time=50000";

/// What is in the folder of the outputs when so many were made.
pub fn made(count: usize) -> Vec<String> {
    let others = [".lipflow", "manifest.json", "report.html"].map(str::to_owned);
    let mut names: Vec<_> = (0..count).map(|n| format!("{n}.mp4")).collect();
    names.extend(others);
    names.sort();
    names
}

/// The first half second of a real speech.
pub fn short_speech(dir: &TestDir) -> PathBuf {
    let mut bytes = fs::read(speech()).unwrap();
    // 16 kHz, 16 bit, mono, behind a header of 44 bytes.
    bytes.truncate(44 + 16_000);
    let length = bytes.len() as u32;
    bytes[4..8].copy_from_slice(&(length - 8).to_le_bytes());
    bytes[40..44].copy_from_slice(&(length - 44).to_le_bytes());
    dir.write("short.wav", bytes)
}

pub fn batch(dir: &TestDir) -> Command {
    let mut command = lipflow();
    command.current_dir(dir.path()).args([
        "batch",
        "jobs.csv",
        "--min-free",
        "0",
        "--workers",
        "1",
    ]);
    command
}

pub fn events(output: &Output) -> Vec<Value> {
    let lines = output.stdout.split(|b| *b == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

pub fn outputs(dir: &TestDir) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir.file("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Files in the folder of the outputs that were to become some.
pub fn left_over(dir: &TestDir) -> Vec<String> {
    let mut left = outputs(dir);
    left.retain(|name| name.ends_with(".tmp"));
    let staging = fs::read_dir(dir.file("out/.lipflow/staging"));
    let staged = staging.into_iter().flatten();
    left.extend(staged.map(|entry| entry.unwrap().file_name().into_string().unwrap()));
    left
}

pub fn signal(child: &Child, signal: i32) {
    // SAFETY: the child has not been waited for, so its process id is its own.
    unsafe { libc::kill(child.id() as i32, signal) };
}

pub fn wait(mut child: Child) -> Output {
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > LIMIT {
            child.kill().unwrap();
            panic!("the batch did not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

/// Starts a batch whose events are read as they come.
pub fn start(command: &mut Command) -> (Child, BufReader<ChildStdout>) {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let reader = BufReader::new(child.stdout.take().unwrap());
    (child, reader)
}

/// Waits for the first frames of a job.
pub fn wait_until_moving(reader: &mut impl BufRead) -> Value {
    wait_for(reader, |event| {
        event["event"] == "progress" && event["frames"] != 0
    })
}

/// Waits for an event that fits, reading the stream of a batch that runs.
pub fn wait_for(reader: &mut impl BufRead, mut fits: impl FnMut(&Value) -> bool) -> Value {
    let mut line = String::new();
    loop {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the batch ended");
        let event: Value = serde_json::from_str(&line).unwrap();
        if fits(&event) {
            return event;
        }
    }
}
