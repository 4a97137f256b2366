//! Runs one `lipflow run` and follows its events.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{process, workspace};

/// What is known when a job is over.
pub struct Finished {
    /// From the start of the process to its end.
    pub wall: Duration,
    /// The most memory that was resident at once, in bytes.
    pub peak_memory: u64,
    /// The `result` event.
    pub result: Value,
}

/// Builds the controller and the plugin, optimised.
pub fn build() -> Result<()> {
    let packages = ["-p", "lipflow", "-p", "gst-plugin-lipsync"];
    process::run(
        workspace::cargo()
            .args(["build", "--release"])
            .args(packages),
    )
}

/// From now on the build of the tests is meant.
pub fn use_test_build() {
    IS_TEST_BUILD.store(true, Ordering::Relaxed);
}

pub fn is_test_build() -> bool {
    IS_TEST_BUILD.load(Ordering::Relaxed)
}

static IS_TEST_BUILD: AtomicBool = AtomicBool::new(false);

/// The folder with the release builds of `lipflow` and the plugin, or those of the tests.
pub fn binaries() -> PathBuf {
    workspace::target().join(match is_test_build() {
        true => "debug",
        false => "release",
    })
}

/// With faces of its own: those of the user are not to be measured, nor mixed with what is made up here.
pub fn lipflow() -> Command {
    let mut lipflow = Command::new(binaries().join("lipflow"));
    lipflow.env("LIPFLOW_FACES", workspace::target().join("faces"));
    lipflow
}

/// `lipflow run` for these files.
pub fn command(face: &Path, speech: &Path, output: &Path) -> Command {
    let mut command = lipflow();
    command.arg("run").arg("--face").arg(face);
    command.arg("--speech").arg(speech);
    command.arg("--output").arg(output);
    command.args(["--overwrite", "--progress", "json"]);
    command
}

/// The arguments that give a template's parameter a value.
pub fn set(parameter: &str, value: impl AsRef<OsStr>) -> [OsString; 2] {
    let mut setting = OsString::from(parameter);
    setting.push("=");
    setting.push(value);
    ["--set".into(), setting]
}

/// Runs the job to its end and hands every event to `on_event`.
pub fn run(command: &mut Command, mut on_event: impl FnMut(&Value)) -> Result<Finished> {
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("can't start `{}`", process::shown(command)))?;
    let output = child.stdout.take().context("the job has no output")?;
    let pid = child.id();
    let watch = MemoryWatch::default();
    let result = thread::scope(|scope| {
        scope.spawn(|| watch.follow(pid));
        let result = read_events(output, &mut on_event);
        watch.stop();
        result
    });
    let status = child.wait()?;
    let wall = started.elapsed();
    let result = result?;
    if !status.success() {
        let reason = &result["error"]["reason"];
        bail!("`{}` failed ({status}): {reason}", process::shown(command));
    }
    Ok(Finished {
        wall,
        peak_memory: watch.peak(),
        result,
    })
}

/// Reads to the end of the output and gives the `result` event.
fn read_events(output: impl Read, on_event: &mut impl FnMut(&Value)) -> Result<Value> {
    let mut result = Value::Null;
    for line in BufReader::new(output).lines() {
        let line = line?;
        let event: Value =
            serde_json::from_str(&line).with_context(|| format!("not an event: {line}"))?;
        on_event(&event);
        if event["event"] == "result" {
            result = event;
        }
    }
    Ok(result)
}

/// Reads a process's high-water mark while it lives; it is gone with the process.
#[derive(Default)]
struct MemoryWatch {
    peak: AtomicU64,
    over: AtomicBool,
}

impl MemoryWatch {
    fn follow(&self, pid: u32) {
        let status = PathBuf::from(format!("/proc/{pid}/status"));
        while !self.over.load(Ordering::Relaxed) {
            if let Some(bytes) = fs::read_to_string(&status)
                .ok()
                .and_then(|s| high_water(&s))
            {
                self.peak.fetch_max(bytes, Ordering::Relaxed);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn stop(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_in_bytes() {
        let status = "Name:\tx\nVmPeak:\t  999 kB\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(high_water(status), Some(2 << 20));
        assert_eq!(high_water("Name:\tx\n"), None);
    }

    #[test]
    fn the_last_result_and_the_peak_of_a_job_are_kept() {
        let script = r#"echo '{"event":"state","state":"running"}'; sleep 0.2
            echo '{"event":"result","state":"done","frames":3}'"#;
        let mut seen = 0;
        let finished = run(Command::new("sh").args(["-c", script]), |_| seen += 1).unwrap();
        assert_eq!(seen, 2);
        assert_eq!(finished.result["frames"], 3);
        assert!(finished.wall >= Duration::from_millis(200));
        assert!(finished.peak_memory > 100_000, "{}", finished.peak_memory);
    }

    #[test]
    fn a_failed_job_is_an_error_with_its_reason() {
        let script = r#"echo '{"event":"result","error":{"reason":"no face"}}'; exit 19"#;
        let Err(error) = run(Command::new("sh").args(["-c", script]), |_| ()) else {
            panic!("it should fail");
        };
        assert!(error.to_string().contains("no face"), "{error}");
    }
}
