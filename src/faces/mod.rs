//! Faces are learnt once: what a video shows of a person's own mouths goes to a *face file*, which
//! `facetrack` and `lipsync` draw from. Here is decided when a face is learnt, how much of its video is
//! read for it, and where the file is kept; what is in the file is the plugin's matter.
//!
//! A face that can't be learnt or kept is no failure of a job: it goes on without.

mod aloud;
pub mod judge;
mod key;
mod learner;
mod lock;
pub mod sheet;
mod store;
mod stretches;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

pub use aloud::aloud;
pub use key::{Form, Key, Selection};
pub use store::{Entry, Found, Known, Note, Store};
pub(crate) use store::{folder, make_folder};
pub use stretches::Amount;

use crate::cancel::Cancel;
use crate::digest;
use crate::error::{Failure, FailureKind};
use crate::event::Learning;
use crate::pipeline::probe::{Kind, Probe, fps_of};
use crate::pipeline::runner::{LearnCounts, Report, Watch};
use crate::stamp::Stamp;
use lock::Lock;
use stretches::Reading;

/// Who says that something is not as it should be, in warnings.
pub const SOURCE: &str = "faces";
/// How often one who waits looks whether the other is done.
const WAIT_INTERVAL: Duration = Duration::from_millis(200);
/// What is lost without a learnt face, for warnings.
const WITHOUT: &str = "The mouth is drawn from each frame alone";

/// A face that is wanted.
#[derive(Clone, Debug)]
pub struct Request {
    pub face: PathBuf,
    pub kind: Kind,
    pub duration: Option<Duration>,
    pub fps: Option<f64>,
    /// SHA-256 of the face's file, where it is known.
    pub content: Option<String>,
    pub selection: Selection,
    pub form: Form,
    pub amount: Amount,
    /// How long reading may take.
    pub limit: Option<Duration>,
    /// That it can't be learnt or kept is a failure; else it is told, and whoever asks does without.
    pub must: bool,
    pub watch: Watch,
}

impl Request {
    /// Of the face that `probe` was made of.
    pub fn new(face: &Path, probe: &Probe, selection: Selection, amount: Amount) -> Self {
        Self {
            face: face.into(),
            kind: probe.kind,
            duration: probe.duration.known(),
            fps: probe.video.and_then(|video| video.fps).map(fps_of),
            content: None,
            selection,
            form: Form::default(),
            amount,
            limit: None,
            must: false,
            watch: Watch {
                stuck_after: Duration::from_secs(30),
                graph: None,
            },
        }
    }
}

/// What is said meanwhile.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Learning(Learning),
    Warning(String),
}

/// What comes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learnt {
    /// This file has it.
    Face(PathBuf),
    /// The whole video was looked at, and there is none.
    NoFace,
    /// It has to go without; why was told.
    Nothing,
}

/// Finds what is known of a face, or learns it. Unless it must be learnt, this fails only of what would make
/// the job fail too, and where it is cancelled.
pub fn ensure(
    request: &Request,
    cancel: &Cancel,
    tell: &mut dyn FnMut(Told),
) -> Result<Learnt, Failure> {
    if request.kind != Kind::Video {
        return Ok(Learnt::Nothing);
    }
    let learnt = Store::of_user().and_then(|store| {
        // Before it is read: a video that changes meanwhile does not keep this digest.
        let stamp = Stamp::of(&request.face).ok();
        let known = || store.content_of(&request.face);
        let content = match request.content.clone().or_else(known) {
            Some(content) => content,
            None => digest::of_file(&request.face, cancel)?,
        };
        let key = Key::new(content, request.selection.clone(), request.form.clone());
        learn_in(&store, &key, request, stamp, cancel, tell)
    });
    match learnt {
        Ok(learnt) => Ok(learnt),
        Err(failure) if request.must || is_the_jobs_too(failure.kind) => Err(failure),
        Err(failure) => {
            if failure.kind == FailureKind::FaceFile || failure.kind.is_lack_of_room() {
                warn_once(&failure, tell);
            } else {
                tell(Told::Warning(format!(
                    "The face can't be learnt: {failure} {WITHOUT}"
                )));
            }
            Ok(Learnt::Nothing)
        }
    }
}

/// Whether a job would meet the same failure, or is to end anyhow.
fn is_the_jobs_too(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::Interrupted
            | FailureKind::Terminated
            | FailureKind::Stuck
            | FailureKind::PluginMissing
            | FailureKind::LibraryMissing
            | FailureKind::ModelMissing
            | FailureKind::ModelCorrupt
            | FailureKind::InputUnreadable
    )
}

/// Says that the cache fails, once in this process: it would fail for every job.
fn warn_once(failure: &Failure, tell: &mut dyn FnMut(Told)) {
    static SAID: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    let message = format!("{failure} {WITHOUT}");
    let is_new = SAID
        .lock()
        .unwrap_or_else(|e| e.into_inner())
        .insert(message.clone());
    if is_new {
        tell(Told::Warning(message));
    }
}

fn learn_in(
    store: &Store,
    key: &Key,
    request: &Request,
    stamp: Option<Stamp>,
    cancel: &Cancel,
    tell: &mut dyn FnMut(Told),
) -> Result<Learnt, Failure> {
    let before = match store.find(key) {
        Found::Face(known) if is_enough(&known, request) => return Ok(use_it(store, &known)),
        Found::Face(known) => Some(known),
        Found::Unusable(_) | Found::Nothing => None,
    };
    let lock = match (wait_for_lock(store, key, cancel, tell), before) {
        (Ok(lock), _) => lock,
        // A part is better than nothing.
        (Err(failure), Some(known)) if failure.kind == FailureKind::FaceFile => {
            warn_once(&failure, tell);
            return Ok(use_it(store, &known));
        }
        (Err(failure), _) => return Err(failure),
    };
    // Somebody may have been faster, and what is damaged is told by who mends it.
    let partly = match store.find(key) {
        Found::Face(known) if is_enough(&known, request) => return Ok(use_it(store, &known)),
        Found::Face(known) => Some(known),
        Found::Unusable(reason) => {
            tell(Told::Warning(format!(
                "{}: what was learnt of the face can't be used: {}. It is learnt anew",
                request.face.display(),
                reason.trim_end_matches('.')
            )));
            None
        }
        Found::Nothing => None,
    };
    let learnt = learn(store, key, request, stamp, &lock, cancel, tell);
    drop(lock);
    match (learnt, partly) {
        (Ok(learnt), _) => {
            store.prune(Some(&key.stem()));
            Ok(learnt)
        }
        (Err(failure), Some(known)) if !is_the_jobs_too(failure.kind) => {
            warn_once(&failure, tell);
            Ok(use_it(store, &known))
        }
        (Err(failure), _) => Err(failure),
    }
}

fn is_enough(known: &Known, request: &Request) -> bool {
    request.amount.is_met(known.seconds(), known.is_whole())
}

fn use_it(store: &Store, known: &Known) -> Learnt {
    store.touch(&known.path);
    tracing::debug!("{}: known", known.path.display());
    Learnt::Face(known.path.clone())
}

/// The right to learn the face, which somebody else may have for a while.
fn wait_for_lock(
    store: &Store,
    key: &Key,
    cancel: &Cancel,
    tell: &mut dyn FnMut(Told),
) -> Result<Lock, Failure> {
    loop {
        if let Some(lock) = store.try_lock(key)? {
            return Ok(lock);
        }
        let mut learning = Lock::heard(&store.lock_path(key)).unwrap_or_default();
        learning.waiting = true;
        tell(Told::Learning(learning));
        std::thread::sleep(WAIT_INTERVAL);
        cancel.check()?;
    }
}

fn learn(
    store: &Store,
    key: &Key,
    request: &Request,
    stamp: Option<Stamp>,
    lock: &Lock,
    cancel: &Cancel,
    tell: &mut dyn FnMut(Told),
) -> Result<Learnt, Failure> {
    let begin = Instant::now();
    let reading = Reading::of(request.amount, request.duration);
    let staged = store.stage(key)?;
    let frames_total = reading
        .length
        .zip(request.fps)
        .map(|(length, fps)| (length.as_secs_f64() * fps).round() as u64);
    let said = |counts: &LearnCounts, tell: &mut dyn FnMut(Told)| {
        let learning = Learning {
            frames: counts.frames,
            frames_total: frames_total.map(|total| total.max(counts.frames)),
            frames_with_face: counts.frames_with_face,
            mouths: counts.mouths,
            eta_s: time_left(counts.frames, frames_total, begin.elapsed()),
            waiting: false,
        };
        lock.tell(&learning);
        tell(Told::Learning(learning));
    };
    said(&LearnCounts::default(), tell);
    tracing::debug!(
        "{}: {} stretches are read, whole: {}",
        request.face.display(),
        reading.stretches.len(),
        reading.is_whole
    );
    let output = staged.path();
    let task = learner::Task {
        face: &request.face,
        key,
        stretches: &reading.stretches,
        deadline: request.limit.map(|limit| begin + limit),
        output: &output,
        watch: &request.watch,
    };
    let learnt = learner::learn(&task, cancel, &mut |item| match item {
        Report::Learnt(counts) => said(&counts, tell),
        Report::Warning { message, .. } => tell(Told::Warning(message)),
        // Of loading, which is a part of it.
        Report::Phase(_) | Report::Counts(_) | Report::Speakers(_) | Report::Message(_) => {}
    });
    let learnt = learnt.map_err(|e| match e.kind {
        kind if kind == FailureKind::FaceFile || kind.is_lack_of_room() => {
            store.unwritable(e.reason())
        }
        _ => e,
    })?;
    // Where nobody knew how long it is, one stretch may have been all.
    let was_all = reading.stretches.len() == 1 && learnt.has_ended;
    let is_whole = (reading.is_whole || was_all) && !learnt.is_cut;
    if learnt.counts.frames_with_face == 0 {
        return Ok(if is_whole && learnt.counts.frames > 0 {
            Learnt::NoFace
        } else {
            Learnt::Nothing
        });
    }
    let read = match (learnt.is_cut, request.fps, reading.length) {
        (false, _, Some(length)) if reading.is_whole == is_whole => length.as_secs_f64(),
        (_, Some(fps), _) => learnt.counts.frames as f64 / fps,
        (_, None, length) => length.unwrap_or_default().as_secs_f64(),
    };
    let note = Note {
        face: std::path::absolute(&request.face).unwrap_or_else(|_| request.face.clone()),
        stamp,
        selection: key.selection.clone(),
        whole: is_whole,
        seconds: (read * 1e3).round() / 1e3,
    };
    staged.publish(key, &note)?;
    match store.find(key) {
        Found::Face(known) => Ok(Learnt::Face(known.path)),
        _ => Ok(Learnt::Nothing),
    }
}

/// Seconds that the rest will take.
fn time_left(frames: u64, total: Option<u64>, elapsed: Duration) -> Option<f64> {
    let total = total.filter(|_| frames > 0 && elapsed > Duration::from_millis(500))?;
    let each = elapsed.as_secs_f64() / frames as f64;
    Some(total.saturating_sub(frames) as f64 * each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_told_once_there_is_something_to_tell_it_by() {
        let second = Duration::from_secs(1);
        assert_eq!(time_left(0, Some(100), second), None);
        assert_eq!(time_left(50, None, second), None);
        assert_eq!(time_left(50, Some(100), Duration::from_millis(10)), None);
        assert_eq!(time_left(50, Some(100), second), Some(1.0));
        assert_eq!(time_left(120, Some(100), second), Some(0.0));
    }

    #[test]
    fn the_cache_s_trouble_is_told_once() {
        let failure = Failure::of(FailureKind::FaceFile, Path::new("told-once"));
        let mut said = Vec::new();
        for _ in 0..2 {
            warn_once(&failure, &mut |told| said.push(told));
        }
        assert_eq!(said.len(), 1, "{said:?}");
    }
}
