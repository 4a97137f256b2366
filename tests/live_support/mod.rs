//! What the tests of `lipflow live` share: a broadcast and who asks it, its servers, and its viewers.

mod rtsp;
#[path = "../../xtask/src/soak/server.rs"]
mod server;
mod view;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::run_support::{TestDir, face, finish, lipflow};
pub use rtsp::RtspServer;
pub use server::{Server, WRONG_KEY};
pub use view::*;

/// Nothing in these tests takes longer.
const LIMIT: Duration = Duration::from_secs(40);

/// A broadcast that runs.
pub struct OnAir {
    pub child: Child,
    events: BufReader<ChildStdout>,
    pub seen: Vec<Value>,
    control: PathBuf,
}

impl OnAir {
    pub fn start(dir: &TestDir, arguments: &[&str]) -> Self {
        let face = face();
        Self::with(dir, &face, arguments, Stdio::null())
    }

    pub fn with(dir: &TestDir, face: &Path, arguments: &[&str], stdin: Stdio) -> Self {
        Self::by(&mut lipflow(), dir, face, arguments, stdin)
    }

    /// By another copy of the program.
    pub fn by(
        program: &mut Command,
        dir: &TestDir,
        face: &Path,
        arguments: &[&str],
        stdin: Stdio,
    ) -> Self {
        let control = dir.file("control.sock");
        let mut child = program
            .current_dir(dir.path())
            .args(["live", "--progress", "json", "--size", "320x240", "--face"])
            .arg(face)
            .arg("--control")
            .arg(&control)
            .args(arguments)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            events: BufReader::new(child.stdout.take().unwrap()),
            child,
            seen: Vec::new(),
            control,
        }
    }

    /// Reads events until one fits.
    pub fn wait_for(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        let mut line = String::new();
        loop {
            line.clear();
            let length = self.events.read_line(&mut line).unwrap();
            assert!(
                length > 0,
                "it ended before: {what}\n{:?}",
                self.seen.last()
            );
            assert!(begin.elapsed() < LIMIT, "{what}\n{:?}", self.seen.last());
            let event: Value = serde_json::from_str(&line).unwrap();
            self.seen.push(event.clone());
            if fits(&event) {
                return event;
            }
        }
    }

    pub fn wait_until(&mut self, seconds: f64) {
        self.wait_for("the time has come", |event| {
            event["event"] == "live" && event["video_s"].as_f64().unwrap() >= seconds
        });
    }

    pub fn wait_for_state(&mut self, destination: &str, state: &str) -> Value {
        self.wait_for(&format!("{destination} {state}"), |event| {
            event["event"] == "destination"
                && event["destination"].as_str().unwrap().contains(destination)
                && event["state"] == state
        })
    }

    pub fn control(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = lipflow();
        command.arg("control").arg("--control").arg(&self.control);
        finish(command.args(arguments))
    }

    pub fn ask(&self, arguments: &[&str]) {
        let output = self.control(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    /// Stops it and gives all its events.
    pub fn stop(mut self) -> Vec<Value> {
        self.ask(&["stop"]);
        let mut line = String::new();
        while self.events.read_line(&mut line).unwrap() > 0 {
            self.seen.push(serde_json::from_str(&line).unwrap());
            line.clear();
        }
        assert!(self.child.wait().unwrap().success());
        std::mem::take(&mut self.seen)
    }
}

impl Drop for OnAir {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Debian's nginx with its RTMP module.
pub fn start_server(dir: &TestDir, port: u16) -> Server {
    let data = gstlipsync::runtime::data_dir();
    Server::start(&data, dir.path(), port).expect("run `cargo xtask test` first")
}

pub fn free_port() -> u16 {
    server::free_port().unwrap()
}
