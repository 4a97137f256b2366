//! Looks into a file from a process of its own: what a decoder makes of it can take down that one, and
//! nothing else.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use gst::prelude::*;

use super::limits::{Confinement, usual_memory};
use super::protocol::{Answer, Order};
use super::start;
use crate::error::{Failure, FailureKind};
use crate::job::uri_of;
use crate::pipeline::probe::{self, Probe, Role};
use crate::reach::{Named, Reach};

/// More than starting a process, probing and decoding a little may take.
const LIMIT: Duration = Duration::from_secs(40);
/// So long a face is decoded to see that it can be.
const DECODING: Duration = Duration::from_secs(2);

/// What is in the file, found out by a worker that reaches nothing but this file.
pub fn in_worker(path: &Path, role: Role) -> Result<Probe, Failure> {
    ask(start::command(true), path, role, LIMIT)
}

fn ask(mut command: Command, path: &Path, role: Role, limit: Duration) -> Result<Probe, Failure> {
    let internal = |e: std::io::Error| Failure::new(FailureKind::Internal).detail(e);
    let confinement = Confinement {
        memory: Some(usual_memory()),
        no_network: true,
        files: Some(Reach::to_read(&Named::file(path))),
    };
    let order = Order::Look {
        path: path.to_owned(),
        role,
    };
    let mut lines = serde_json::to_vec(&confinement)
        .and_then(|mut lines| {
            lines.push(b'\n');
            lines.extend(serde_json::to_vec(&order)?);
            lines.push(b'\n');
            Ok(lines)
        })
        .map_err(|e| Failure::new(FailureKind::Internal).detail(e))?;
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // Ctrl-C at the terminal is for the one who asks.
        .process_group(0)
        .spawn()
        .map_err(internal)?;
    let mut looker = Looker(child);
    let stdin = looker.0.stdin.take();
    let stdout = looker.0.stdout.take();
    let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else {
        return Err(Failure::new(FailureKind::Internal).detail("a worker without pipes"));
    };
    // That it is dead already is heard below.
    let _ = stdin.write_all(&lines);
    lines.clear();
    let (sender, answers) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Ok(Answer::Looked { found }) = serde_json::from_str(&line) {
                // Who does not wait any more needs no answer.
                let _ = sender.send(found);
                return;
            }
        }
    });
    match answers.recv_timeout(limit) {
        Ok(found) => found,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            Err(
                Failure::of(FailureKind::InputUnreadable, path).detail(format_args!(
                    "it could not be read within {} s",
                    limit.as_secs()
                )),
            )
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(Failure::of(FailureKind::WorkerDied, path).detail(looker.ending()))
        }
    }
}

/// The process, which ends with whoever waits for it.
struct Looker(Child);

impl Looker {
    fn ending(&mut self) -> String {
        let status = self.0.wait().ok();
        match status.and_then(|status| status.signal()) {
            Some(signal) => format!("killed by signal {signal} while looking into it"),
            None => "it ended while looking into it".into(),
        }
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The worker's side: probes the file, and decodes some of a face.
pub(super) fn look(path: &Path, role: Role) -> Result<Probe, Failure> {
    let probe = probe::probe(path, role)?;
    if role == Role::Face {
        decode(path)?;
    }
    Ok(probe)
}

/// Decodes the beginning. Whatever kills a decoder does so here.
fn decode(path: &Path) -> Result<(), Failure> {
    let failed = |kind, detail: &dyn std::fmt::Display| Failure::of(kind, path).detail(detail);
    let element = |name: &str| {
        gst::ElementFactory::make(name)
            .build()
            .map_err(|e| failed(FailureKind::PluginMissing, &e))
    };
    let (source, sink) = (element("facesource")?, element("fakesink")?);
    source.set_property("uri", uri_of(path)?);
    source.set_property_from_str("loop-mode", "none");
    let pipeline = gst::Pipeline::new();
    let built = pipeline
        .add_many([&source, &sink])
        .and_then(|()| source.link(&sink));
    built.map_err(|e| failed(FailureKind::Internal, &e))?;
    // What fails is on the bus.
    let _ = pipeline.set_state(gst::State::Playing);
    let end = Instant::now() + DECODING;
    let mut found = Ok(());
    if let Some(bus) = pipeline.bus() {
        let left = end.saturating_duration_since(Instant::now());
        let message = bus.timed_pop_filtered(
            gst::ClockTime::try_from(left).ok(),
            &[gst::MessageType::Eos, gst::MessageType::Error],
        );
        if let Some(gst::MessageView::Error(error)) = message.as_ref().map(|m| m.view()) {
            found = Err(failed(FailureKind::InputDamaged, &error.error().message()));
        }
    }
    let _ = pipeline.set_state(gst::State::Null);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn failure(script: &str, limit: Duration) -> Failure {
        ask(shell(script), Path::new("face.mp4"), Role::Face, limit).unwrap_err()
    }

    #[test]
    fn a_process_that_dies_of_a_file_or_never_answers_is_a_failure_of_the_file() {
        let long = Duration::from_secs(20);
        let died = failure("kill -SEGV $$", long);
        assert_eq!(died.kind, FailureKind::WorkerDied);
        assert!(died.reason().contains("signal 11"), "{died}");
        let begin = Instant::now();
        let silent = failure("exec sleep 60", Duration::from_millis(200));
        assert_eq!(silent.kind, FailureKind::InputUnreadable);
        assert!(begin.elapsed() < Duration::from_secs(10), "it was ended");
        let odd = failure("echo nonsense", long);
        assert_eq!(odd.kind, FailureKind::WorkerDied);
    }

    #[test]
    fn what_was_found_comes_back_whole() {
        let found = Failure::of(FailureKind::NoPicture, Path::new("a.wav")).advice("Try another");
        let answer = Answer::Looked {
            found: Err(found.clone()),
        };
        let line = serde_json::to_string(&answer).unwrap();
        let script = format!("read a; read b; echo '{line}'");
        let mut command = shell(&script);
        command.env("LC_ALL", "C");
        let limit = Duration::from_secs(20);
        let back = ask(command, Path::new("a.wav"), Role::Face, limit).unwrap_err();
        assert_eq!(back, found);
    }
}
