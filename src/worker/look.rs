//! Looks into a file from a process of its own: what a decoder makes of it can take down that one, and
//! nothing else.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use gst::prelude::*;
use serde::Serialize;

use super::limits::{Confinement, usual_memory};
use super::protocol::{Answer, Order};
use super::start;
use crate::error::{Failure, FailureKind};
use crate::job::uri_of;
use crate::pipeline::probe::{self, Limits, Probe, Role};
use crate::reach::{Named, Reach};
use crate::sync::lock;

/// More than starting a process, probing and decoding a little may take.
const LIMIT: Duration = Duration::from_secs(40);
/// So long a face is decoded to see that it can be.
const DECODING: Duration = Duration::from_secs(2);

/// What is in the file, and whether it can be decoded, found out by a worker that reaches nothing but this
/// file.
pub fn in_worker(path: &Path, role: Role) -> Result<Probe, Failure> {
    let mut looker = Looker::start(start::command(true), &Named::files([path]))?;
    let order = Order::Look {
        path: path.to_owned(),
        role,
        limits: Limits::default(),
        decodes: true,
    };
    looker.ask(&order, path, LIMIT)?
}

/// Workers that look into the files of a batch, each into one at a time: as many as there are who ask.
pub struct Lookers {
    files: Named,
    start: fn() -> Command,
    idle: Mutex<Vec<Looker>>,
}

impl Lookers {
    /// They reach nothing but these files.
    pub fn at(files: Named) -> Self {
        Self {
            files,
            start: || start::command(false),
            idle: Mutex::default(),
        }
    }

    /// What is in the file. One that takes down its worker is refused like any other that can't be used.
    pub fn probe(&self, path: &Path, role: Role, limits: &Limits) -> Result<Probe, Failure> {
        let idle = lock(&self.idle).pop();
        let mut looker = match idle {
            Some(looker) => looker,
            None => Looker::start((self.start)(), &self.files)?,
        };
        let order = Order::Look {
            path: path.to_owned(),
            role,
            limits: *limits,
            decodes: false,
        };
        let found = looker.ask(&order, path, LIMIT)?;
        // Only one that has answered is asked again.
        lock(&self.idle).push(looker);
        found
    }
}

/// The process, which ends with whoever waits for it.
struct Looker {
    process: Child,
    orders: ChildStdin,
    answers: mpsc::Receiver<Result<Probe, Failure>>,
}

impl Looker {
    fn start(mut command: Command, files: &Named) -> Result<Self, Failure> {
        let internal = |e: std::io::Error| Failure::new(FailureKind::Internal).detail(e);
        let confinement = Confinement {
            memory: Some(usual_memory()),
            no_network: true,
            files: Some(Reach::to_read(files)),
        };
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C at the terminal is for the one who asks.
            .process_group(0)
            .spawn()
            .map_err(internal)?;
        let (Some(orders), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(Failure::new(FailureKind::Internal).detail("a worker without pipes"));
        };
        let (sender, answers) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Ok(Answer::Looked { found }) = serde_json::from_str(&line)
                    && sender.send(found).is_err()
                {
                    return;
                }
            }
        });
        let mut looker = Self {
            process,
            orders,
            answers,
        };
        looker.say(&confinement);
        Ok(looker)
    }

    /// That it is dead already is heard when it is asked.
    fn say(&mut self, line: &impl Serialize) {
        if let Ok(mut line) = serde_json::to_vec(line) {
            line.push(b'\n');
            let _ = self.orders.write_all(&line);
        }
    }

    /// What it has found in the file at `path`; a failure of this is one of the process, which can't be
    /// asked again.
    fn ask(
        &mut self,
        order: &Order,
        path: &Path,
        limit: Duration,
    ) -> Result<Result<Probe, Failure>, Failure> {
        self.say(order);
        self.answers.recv_timeout(limit).map_err(|e| match e {
            mpsc::RecvTimeoutError::Timeout => Failure::of(FailureKind::InputUnreadable, path)
                .detail(format_args!(
                    "it could not be read within {} s",
                    limit.as_secs()
                )),
            mpsc::RecvTimeoutError::Disconnected => {
                Failure::of(FailureKind::WorkerDied, path).detail(self.ending())
            }
        })
    }

    fn ending(&mut self) -> String {
        let status = self.process.wait().ok();
        match status.and_then(|status| status.signal()) {
            Some(signal) => format!("killed by signal {signal} while looking into it"),
            None => "it ended while looking into it".into(),
        }
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The worker's side: probes the file, and decodes some of a face where that is asked.
pub(super) fn look(
    path: &Path,
    role: Role,
    limits: &Limits,
    decodes: bool,
) -> Result<Probe, Failure> {
    let probe = probe::probe_within(path, role, limits)?;
    if role == Role::Face && decodes {
        decode_some(path)?;
    }
    Ok(probe)
}

/// Decodes the beginning. Whatever kills a decoder does so here.
fn decode_some(path: &Path) -> Result<(), Failure> {
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

    /// What comes of asking such a process.
    fn asked(command: Command, file: &str, limit: Duration) -> Result<Probe, Failure> {
        let path = Path::new(file);
        let order = Order::Look {
            path: path.to_owned(),
            role: Role::Face,
            limits: Limits::default(),
            decodes: false,
        };
        let mut looker = Looker::start(command, &Named::default()).unwrap();
        looker.ask(&order, path, limit)?
    }

    fn failure(script: &str, limit: Duration) -> Failure {
        asked(shell(script), "face.mp4", limit).unwrap_err()
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
    fn a_file_that_ends_its_process_is_refused_and_the_next_is_looked_into() {
        // Each process answers once, and dies of the second file.
        let lookers = Lookers {
            start: || {
                let found = Err(Failure::new(FailureKind::NoPicture));
                let line = serde_json::to_string(&Answer::Looked { found }).unwrap();
                shell(&format!(
                    "read a; read b; echo '{line}'; read c; kill -SEGV $$"
                ))
            },
            ..Lookers::at(Named::default())
        };
        let kinds = ["a", "b", "c"].map(|file| {
            let found = lookers.probe(Path::new(file), Role::Face, &Limits::default());
            found.unwrap_err().kind
        });
        use FailureKind::{NoPicture, WorkerDied};
        assert_eq!(kinds, [NoPicture, WorkerDied, NoPicture]);
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
        let back = asked(command, "a.wav", limit).unwrap_err();
        assert_eq!(back, found);
    }
}
