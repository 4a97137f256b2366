//! The worker process: runs the jobs that its supervisor orders, and keeps the models from one to the
//! next. It ends with its supervisor.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, Write};
use std::os::fd::FromRawFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::HEARTBEAT;
use super::handed::{Handed, Published};
use super::limits::Confinement;
use super::look;
use super::protocol::{Answer, Digest, Order};
use anyhow::Context;

use crate::batch::identity::{Identifier, digest_of_speeches};
use crate::cancel::Cancel;
use crate::digest;
use crate::error::{Failure, FailureKind};
use crate::event::{Body, Event};
use crate::job::Job;
use crate::journal::{Lease, Media};
use crate::pipeline::{probe, thumbnail};
use crate::publish::Staged;
use crate::stamp::Stamp;
use crate::store::Staging;
use crate::sync::lock;

/// What jobs get to clean up when the supervisor is gone.
const LAST_MOMENTS: Duration = Duration::from_millis(800);
/// Priority of what serves only estimates and reports.
const BACKGROUND: libc::c_int = 10;

/// Answers go to what was standard output. Libraries that print go to standard error instead.
#[derive(Clone)]
struct Answers(Arc<Mutex<File>>);

impl Answers {
    fn take_stdout() -> std::io::Result<Self> {
        // SAFETY: both descriptors are open in every process, and the new one belongs to nobody yet.
        let own = unsafe {
            let own = libc::fcntl(libc::STDOUT_FILENO, libc::F_DUPFD_CLOEXEC, 3);
            if own < 0 || libc::dup2(libc::STDERR_FILENO, libc::STDOUT_FILENO) < 0 {
                return Err(std::io::Error::last_os_error());
            }
            File::from_raw_fd(own)
        };
        Ok(Self(Arc::new(Mutex::new(own))))
    }

    fn send(&self, answer: &Answer) {
        let Ok(mut line) = serde_json::to_vec(answer) else {
            return;
        };
        line.push(b'\n');
        let mut out = lock(&self.0);
        // A supervisor that is gone is noticed on standard input.
        let _ = out.write_all(&line);
    }
}

/// A job that this process works on.
struct Running {
    cancel: Cancel,
    /// Lets the output get its name.
    publish: mpsc::Sender<()>,
    /// Says that it has it.
    published: mpsc::Sender<Result<(), Failure>>,
}

/// Serves the supervisor until it closes standard input. The first line there says what may not be done.
pub fn serve(is_background: bool) -> anyhow::Result<ExitCode> {
    die_with_parent();
    // When memory runs out, a worker is to die and not its supervisor.
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
    let mut first = String::new();
    std::io::stdin().lock().read_line(&mut first)?;
    let confinement: Confinement =
        serde_json::from_str(&first).context("the first line is not what a worker may do")?;
    // One that can't be limited is not started: it would be trusted for what it isn't. Threads that were
    // there before would not be.
    confinement.apply().context("the limits of the worker")?;
    let answers = Answers::take_stdout()?;
    // A service manager sends them to all processes of a group; what becomes of the jobs is for the
    // supervisor to say.
    crate::cancel::disregard_requests()?;
    if is_background {
        // SAFETY: the call has no preconditions; that it fails does no harm.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, BACKGROUND) };
    }
    crate::init()?;
    let alive = answers.clone();
    std::thread::Builder::new()
        .name("alive".into())
        .spawn(move || {
            loop {
                alive.send(&Answer::Alive);
                std::thread::sleep(HEARTBEAT);
            }
        })?;
    let jobs: Arc<Mutex<HashMap<Lease, Running>>> = Arc::default();
    let mut is_paused = false;
    for line in std::io::stdin().lock().lines() {
        let Ok(order) = serde_json::from_str::<Order>(&line?) else {
            tracing::warn!("an order could not be read");
            continue;
        };
        let mut running = lock(&jobs);
        match order {
            Order::Run {
                lease,
                spec,
                face_digest,
                speech_digest,
                replaces,
                staged,
            } => {
                let cancel = Cancel::default();
                cancel.pause(is_paused);
                let (publish, may_publish) = mpsc::channel();
                let (published, is_published) = mpsc::channel();
                running.insert(
                    lease,
                    Running {
                        cancel: cancel.clone(),
                        publish,
                        published,
                    },
                );
                let task = Task {
                    lease,
                    spec: *spec,
                    known: [face_digest, speech_digest],
                    replaces,
                    staged,
                    answers: answers.clone(),
                };
                let (jobs, answers) = (jobs.clone(), answers.clone());
                std::thread::spawn(move || {
                    let ended = task.run(&cancel, may_publish, is_published);
                    // Before it is said: another attempt may be ordered at once.
                    lock(&jobs).remove(&lease);
                    answers.send(&ended);
                    give_memory_back();
                });
            }
            Order::Publish { lease } => {
                if let Some(running) = running.get(&lease) {
                    let _ = running.publish.send(());
                }
            }
            Order::Published { lease, result } => {
                if let Some(running) = running.get(&lease) {
                    let _ = running.published.send(result);
                }
            }
            Order::Cancel { lease } => {
                if let Some(running) = running.get(&lease) {
                    running.cancel.cancel(libc::SIGTERM);
                }
            }
            Order::Pause { pause } => {
                is_paused = pause;
                running.values().for_each(|job| job.cancel.pause(pause));
            }
            Order::Probe { path, role } => {
                drop(running);
                let media = probe::probe(&path, role).ok().map(|p| media_of(&p));
                let stamp = Stamp::of(&path).ok();
                answers.send(&Answer::Probed { path, stamp, media });
            }
            Order::Look {
                path,
                role,
                limits,
                decodes,
            } => {
                drop(running);
                let found = look::look(&path, role, &limits, decodes);
                answers.send(&Answer::Looked { found });
            }
            Order::Thumbnail { job, path } => {
                drop(running);
                let jpeg = thumbnail::of(&path).ok();
                answers.send(&Answer::Thumbnail { job, jpeg });
            }
        }
    }
    let running = || lock(&jobs);
    running()
        .values()
        .for_each(|job| job.cancel.cancel(libc::SIGTERM));
    let end = Instant::now() + LAST_MOMENTS;
    while Instant::now() < end && !running().is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    crate::ending::without_exit_handlers();
    std::process::exit(0);
}

/// One order to run a job.
struct Task {
    lease: Lease,
    spec: Job,
    /// Digests of face and speech.
    known: [Option<String>; 2],
    replaces: Option<Stamp>,
    /// Where the output is written, if this process can't give it its name.
    staged: Option<PathBuf>,
    answers: Answers,
}

impl Task {
    fn run(
        self,
        cancel: &Cancel,
        may_publish: mpsc::Receiver<()>,
        is_published: Published,
    ) -> Answer {
        let Self {
            lease,
            spec,
            known,
            replaces,
            staged,
            answers,
        } = self;
        let output = spec.output.clone();
        let begin = answers.clone();
        let gate = answers.clone();
        let waiting = cancel.clone();
        let identity: Arc<OnceLock<String>> = Arc::default();
        let identified = identity.clone();
        let stage = match staged {
            None => super::Context::default().stage,
            Some(file) => {
                let answers = answers.clone();
                let ready = move || answers.send(&Answer::Ready { lease });
                Box::new(move |output: &Path, replace| {
                    let staged = Staged::at(file, output, replace)?;
                    let handed = Handed::new(staged, ready, is_published);
                    Ok(Box::new(handed) as Box<dyn Staging>)
                })
            }
        };
        let context = super::Context {
            replaces,
            stage,
            begin: Some(Box::new(move |spec, cancel| {
                let (face, identity) = identify(spec, known, cancel, &begin)?;
                if let Some(identity) = identity {
                    let _ = identified.set(identity);
                }
                Ok(Some(face))
            })),
            gate: Some(Box::new(move |made| {
                let identity = identity.get().cloned();
                gate.send(&Answer::Made {
                    lease,
                    made,
                    identity,
                });
                wait_for_leave(&waiting, &may_publish)
            })),
        };
        let outcome = super::run(spec, context, cancel, &mut |body| {
            // How it ended is said below, with what the journal needs.
            if !matches!(body, Body::Result(_)) {
                let event = Event::of_job(lease.job, body);
                answers.send(&Answer::Event { lease, event });
            }
        });
        // One that was left alone is not ours, and neither is its stamp.
        let made = output.filter(|_| outcome.error.is_none() && !outcome.skipped);
        let stamp = made.and_then(|output| Stamp::of(&output).ok());
        Answer::Ended {
            lease,
            outcome,
            stamp,
        }
    }
}

/// Reads the inputs whose digests are not known, and says them. Gives the face's, and what the job
/// comes to.
fn identify(
    spec: &Job,
    known: [Option<String>; 2],
    cancel: &Cancel,
    answers: &Answers,
) -> Result<(String, Option<String>), Failure> {
    let mut digests = Vec::new();
    let mut digest = |path: &Path, known: Option<String>| {
        Ok::<_, Failure>(match known {
            Some(sha256) => sha256,
            None => {
                // Before reading: a file that changes meanwhile does not keep this digest.
                let stamp = Stamp::of(path)
                    .map_err(|e| Failure::of(FailureKind::InputUnreadable, path).detail(e))?;
                let sha256 = digest::of_file(path, cancel)?;
                digests.push(Digest {
                    path: path.to_owned(),
                    stamp,
                    sha256: sha256.clone(),
                });
                sha256
            }
        })
    };
    let [face, speech] = known;
    let face = digest(&spec.face, face)?;
    let mut speech = speech.filter(|_| spec.dialogue.is_empty());
    let speech = digest_of_speeches(spec, |path| digest(path, speech.take()).map(Some))?;
    let speech = speech.unwrap_or_default();
    let identity = Identifier::default().identity(spec, &face, &speech);
    if !digests.is_empty() {
        answers.send(&Answer::Digested { digests });
    }
    Ok((face, identity))
}

/// It was said that the output is whole: waits until the journal has that.
fn wait_for_leave(cancel: &Cancel, may_publish: &mpsc::Receiver<()>) -> Result<(), Failure> {
    loop {
        match may_publish.recv_timeout(Duration::from_millis(50)) {
            Ok(()) => return Ok(()),
            // Without leave nothing is published: the supervisor is gone, or the job is cancelled.
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(Failure::new(FailureKind::Terminated));
            }
            Err(mpsc::RecvTimeoutError::Timeout) => cancel.check()?,
        }
    }
}

fn media_of(probe: &probe::Probe) -> Media {
    Media {
        duration_s: probe.duration.known().map(|d| d.as_secs_f64()),
        is_picture: probe.kind == probe::Kind::Picture,
        pixels: probe
            .video
            .map_or(0, |v| u64::from(v.width) * u64::from(v.height)),
        fps: probe.video.and_then(|v| v.fps).map(probe::fps_of),
    }
}

/// A pipeline has dozens of threads, and each leaves its part of the heap in pieces.
pub(super) fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call may be made at any time; it only returns what nobody uses.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The kernel ends this process when its supervisor dies, however that dies.
fn die_with_parent() {
    // SAFETY: the call sets an attribute of this process and touches no memory.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}
