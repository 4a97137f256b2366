//! One job from its inputs to the published output; in this process, or in one of its own.

mod attempt;
mod handed;
mod learning;
mod lengths;
pub(crate) mod limits;
pub(crate) mod look;
pub(crate) mod process;
pub mod protocol;
pub mod start;
mod tracker;

pub(crate) use learning::paints;

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::cancel::Cancel;
use crate::error::{Failure, FailureKind};
use crate::event::{Body, JobState, Outcome, Progress};
use crate::job::Job;
use crate::publish::LocalStore;
use crate::stamp::Stamp;
use crate::store::{Replace, Staging, Store};
use attempt::Attempt;
use tracker::Tracker;

/// The longest that a job is silent; half of what is promised, so that a busy machine keeps it too.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// How long a cancelled job may take to clean up.
const CANCEL_LIMIT: Duration = Duration::from_secs(12);

/// Whoever ordered the job and has a say in it.
pub(crate) struct Context {
    /// Called when the inputs have been found fit, before work on them begins; gives the digest of the
    /// face, where it knows it.
    pub begin: Option<Begin>,
    /// Asked before the output gets its name.
    pub gate: Option<Gate>,
    /// The stamp of what was made earlier under the output's name; a job that overwrites replaces
    /// nothing else then.
    pub replaces: Option<Stamp>,
    /// Where the output is put.
    pub stage: Stage,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            begin: None,
            gate: None,
            replaces: None,
            stage: Box::new(|output, replace| LocalStore.stage(output, replace)),
        }
    }
}

pub(crate) type Begin = Box<dyn FnOnce(&Job, &Cancel) -> Result<Option<String>, Failure> + Send>;
pub(crate) type Stage = Box<dyn FnOnce(&Path, Replace) -> Result<Box<dyn Staging>, Failure> + Send>;
pub(crate) type Gate = Box<dyn FnOnce(Made) -> Result<(), Failure> + Send>;

/// The finished output, by its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// As 64 hexadecimal digits.
    pub sha256: String,
}

/// Runs the job in a thread of its own and gives its events to `emit`, never more than a second
/// apart. The last one is the result, which is returned too.
pub(crate) fn run(
    job: Job,
    context: Context,
    cancel: &Cancel,
    emit: &mut dyn FnMut(Body),
) -> Outcome {
    let (sender, receiver) = mpsc::channel();
    let begin = Instant::now();
    emit(JobState::Queued.into());
    let worker = std::thread::Builder::new().name("job".into()).spawn({
        let cancel = cancel.clone();
        move || {
            let urls = job.parameters.iter().map(|(_, value)| value);
            let urls = urls.filter(|value| value.contains("://")).cloned();
            let mut attempt = Attempt::new(begin, &cancel, sender, urls.collect());
            let outcome = match attempt.run(&job, context) {
                Ok(outcome) => outcome,
                Err(failure) => {
                    attempt.tracker.elapse(Instant::now());
                    Outcome::of_failure(&failure, &attempt.tracker.progress)
                }
            };
            attempt.send(Body::Result(outcome));
        }
    });
    if let Err(e) = worker {
        let failure = Failure::new(FailureKind::Internal).detail(e);
        return finish(Outcome::of_failure(&failure, &Progress::default()), emit);
    }
    let mut last = Tracker::new(begin);
    let mut cancelled_at = None;
    loop {
        match receiver.recv_timeout(HEARTBEAT) {
            Ok(Body::Result(outcome)) => return finish(outcome, emit),
            Ok(body) => {
                if let Body::Progress(progress) = &body {
                    last.progress = progress.clone();
                }
                emit(body);
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                last.elapse(Instant::now());
                emit(last.progress.clone().into());
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let failure =
                    Failure::new(FailureKind::Internal).detail("the job's thread panicked");
                return finish(Outcome::of_failure(&failure, &last.progress), emit);
            }
        }
        if let Err(failure) = cancel.check() {
            let at = *cancelled_at.get_or_insert_with(Instant::now);
            if at.elapsed() > CANCEL_LIMIT {
                return finish(Outcome::of_failure(&failure, &last.progress), emit);
            }
        }
    }
}

fn finish(outcome: Outcome, emit: &mut dyn FnMut(Body)) -> Outcome {
    emit(Body::Result(outcome.clone()));
    outcome
}
