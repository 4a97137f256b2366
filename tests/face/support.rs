//! What the tests of faces share.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::run_support::{TestDir, face, finish, lipflow, run, speech, stderr};
use serde_json::Value;

/// Nothing in these tests takes longer.
pub const LIMIT: Duration = Duration::from_secs(40);

/// Where a test keeps its faces, apart from those of all others.
pub fn cache(dir: &TestDir) -> PathBuf {
    dir.file("faces")
}

/// Two seconds of the face, which are learnt in a moment.
pub fn short_face(dir: &TestDir) -> PathBuf {
    cut(dir, "short.mp4", &["-t", "2", "-c:v", "libx264"])
}

pub fn cut(dir: &TestDir, name: &str, arguments: &[&str]) -> PathBuf {
    let path = dir.file(name);
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(face())
        .args(arguments)
        .arg(&path)
        .status();
    assert!(status.unwrap().success());
    path
}

/// A job on `face` with the faces of this test.
pub fn job(dir: &TestDir, face: &Path, output: &str) -> Command {
    let mut command = run(face, speech(), dir.file(output));
    command
        .env("LIPFLOW_FACES", cache(dir))
        .args(["--progress", "json", "--overwrite"]);
    command
}

pub fn faces(dir: &TestDir, arguments: &[&str]) -> Output {
    let mut command = lipflow();
    command.env("LIPFLOW_FACES", cache(dir)).arg("face");
    finish(command.args(arguments))
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub fn events(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", stderr(output));
    let lines = output.stdout.split(|b| *b == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// The events of learning, in order.
pub fn learning(events: &[Value]) -> Vec<Value> {
    events
        .iter()
        .filter(|event| event["phase"] == "learning")
        .map(|event| event["learning"].clone())
        .collect()
}

pub fn warnings(events: &[Value]) -> Vec<String> {
    events
        .iter()
        .filter(|event| event["event"] == "warning" && event["source"] == "faces")
        .map(|event| event["message"].as_str().unwrap().to_owned())
        .collect()
}

pub fn kept(dir: &TestDir, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(cache(dir)).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == ending))
        .collect();
    paths.sort();
    paths
}

/// A process that ends with its test, however that ends: one that is stopped would stay for ever.
pub struct Running {
    pub child: Child,
    events: Option<BufReader<ChildStdout>>,
    pub seen: Vec<Value>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        Self {
            events: child.stdout.take().map(BufReader::new),
            child,
            seen: Vec::new(),
        }
    }

    /// Reads events until one fits.
    pub fn next(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        let events = self.events.as_mut().unwrap();
        let mut line = String::new();
        loop {
            line.clear();
            let length = events.read_line(&mut line).unwrap();
            assert!(length > 0, "it ended: {:?}", self.seen.last());
            assert!(begin.elapsed() < LIMIT, "{:?}", self.seen.last());
            let event: Value = serde_json::from_str(&line).unwrap();
            self.seen.push(event.clone());
            if fits(&event) {
                return event;
            }
        }
    }

    pub fn signal(&self, number: i32) {
        // SAFETY: the process is a child of this one that was not waited for yet.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, number) }, 0);
    }

    /// Waits for its end; gives the exit code and how long that took.
    pub fn end(&mut self) -> (Option<i32>, Duration) {
        // Nobody reads any more what it says.
        self.events = None;
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), begin.elapsed());
            }
            assert!(begin.elapsed() < LIMIT, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A batch of `jobs.csv` with the faces of this test.
pub fn batch(dir: &TestDir) -> Output {
    let mut command = lipflow();
    command
        .current_dir(dir.path())
        .env("LIPFLOW_FACES", cache(dir))
        .args(["batch", "jobs.csv", "--workers", "2", "--min-free", "0"])
        .args(["--progress", "json"]);
    finish(&mut command)
}
