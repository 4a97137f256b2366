//! Loads the model beside the streaming threads, so that the bus can speak meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;

use super::LipSync;
use super::animator::{Animator, error_kind, error_path};
use super::imp::CAT;
use super::settings::Settings;
use crate::model;
use crate::runtime::{self, Interrupt, lock};

/// Name of the progress category in PROGRESS messages.
const CODE: &str = "load-model";

enum Outcome {
    Loading,
    Loaded(Box<Animator>),
    Taken,
    Failed,
    Cancelled,
}

/// The longest that an element waits for a load that nobody wants any more.
const PATIENCE: Duration = Duration::from_secs(1);

/// An error is not told before: gst-launch-1.0 misses those that come before it listens.
const FIRST_ERROR: Duration = Duration::from_millis(200);

/// A model on its way.
pub struct Loader {
    shared: Arc<(Mutex<Outcome>, Condvar)>,
    interrupt: Arc<Interrupt>,
    /// Says nothing; it ends with the thread's work.
    working: Mutex<mpsc::Receiver<()>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Loader {
    /// Begins to load what `settings` name. `interrupt` ends waits and runs.
    pub fn start(
        element: glib::WeakRef<LipSync>,
        settings: Arc<Settings>,
        interrupt: Arc<Interrupt>,
    ) -> std::io::Result<Self> {
        let shared = Arc::new((Mutex::new(Outcome::Loading), Condvar::new()));
        let (loading, stop) = (shared.clone(), interrupt.clone());
        let (work, working) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("lipsync-load".into())
            .spawn(move || {
                let _work: mpsc::Sender<()> = work;
                let name = settings.model_file.as_deref().map_or_else(
                    || "the embedded model".to_string(),
                    |path| path.display().to_string(),
                );
                progress(
                    &element,
                    gst::ProgressType::Start,
                    &format!("Loading {name}"),
                );
                let begin = Instant::now();
                let result = Animator::load(&settings, &stop);
                let (outcome, kind, text) = match result {
                    Ok(animator) => {
                        if let Some(element) = element.upgrade() {
                            warn_of_lacking(&element, &animator);
                        }
                        let mut text = format!("Loaded {name} on {}", animator.provider().name());
                        if let Some(reason) = animator.fallback() {
                            text.push_str(&format!(" ({reason})"));
                        }
                        (
                            Outcome::Loaded(Box::new(animator)),
                            gst::ProgressType::Complete,
                            text,
                        )
                    }
                    Err(error) => {
                        std::thread::sleep(FIRST_ERROR.saturating_sub(begin.elapsed()));
                        if let Some(element) = element.upgrade() {
                            post_error(&element, &error);
                        }
                        (
                            Outcome::Failed,
                            gst::ProgressType::Error,
                            format!("Could not load {name}"),
                        )
                    }
                };
                progress(&element, kind, &text);
                let (state, wake) = &*loading;
                let mut state = lock(state);
                if matches!(*state, Outcome::Loading) {
                    *state = outcome;
                }
                wake.notify_all();
            })?;
        Ok(Self {
            shared,
            interrupt,
            working: Mutex::new(working),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Waits for the model and takes it; `None` when it failed (the error has been posted), the
    /// element was stopped, or the wait is interrupted.
    pub fn take(&self) -> Option<Animator> {
        let (state, wake) = &*self.shared;
        let mut state = lock(state);
        while matches!(*state, Outcome::Loading) && !self.interrupt.is_raised() {
            state = wake.wait(state).unwrap_or_else(|e| e.into_inner());
        }
        if self.interrupt.is_raised() {
            return None;
        }
        match std::mem::replace(&mut *state, Outcome::Taken) {
            Outcome::Loaded(animator) => Some(*animator),
            other => {
                *state = other;
                None
            }
        }
    }

    /// Has [`Self::take`] look at the interrupt.
    pub fn wake(&self) {
        // Under the lock, or it might come between the look and the wait.
        let _state = lock(&self.shared.0);
        self.shared.1.notify_all();
    }

    /// Makes [`Self::take`] return at once.
    pub fn cancel(&self) {
        *lock(&self.shared.0) = Outcome::Cancelled;
        self.shared.1.notify_all();
    }

    /// Waits for the thread, after [`Self::cancel`]. ONNX Runtime crashes where a process ends while
    /// it loads; a large model may take longer than anybody waits, and is left alone then.
    pub fn join(&self) {
        let waited = lock(&self.working).recv_timeout(PATIENCE);
        if waited == Err(mpsc::RecvTimeoutError::Timeout) {
            gst::debug!(CAT, "The model is still being loaded; its thread goes on");
            return;
        }
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            // What it panicked with was reported by the panic itself.
            let _ = thread.join();
        }
    }
}

fn progress(element: &glib::WeakRef<LipSync>, kind: gst::ProgressType, text: &str) {
    let Some(element) = element.upgrade() else {
        return;
    };
    let message = gst::message::Progress::builder(kind, CODE, text)
        .src(&element)
        .build();
    let _ = element.post_message(message);
}

/// Says once in a process that the default model could be a better one.
fn warn_of_lacking(element: &LipSync, animator: &Animator) {
    static SAID: AtomicBool = AtomicBool::new(false);
    let Some(front) = animator.lacking() else {
        return;
    };
    if SAID.swap(true, Ordering::Relaxed) {
        return;
    }
    gst::element_warning!(
        element,
        gst::ResourceError::NotFound,
        (
            "{} is not there: the mouth follows a simpler model, which knows fewer voices. Run `cargo xtask setup` for the better one",
            front.display()
        )
    );
}

/// Tells the bus what went wrong with the model, for people and for machines.
pub fn post_error(element: &LipSync, error: &model::Error) {
    use runtime::Error::{Inference, LibraryNotFound, LibraryUnusable, Provider};

    let details = gst::Structure::builder("details")
        .field("kind", error_kind(error))
        .field_if_some("path", error_path(error).map(|p| p.display().to_string()))
        .build();
    match error {
        model::Error::Missing(_)
        | model::Error::WeightsMissing { .. }
        | model::Error::FrontMissing { .. } => gst::element_error!(
            element,
            gst::ResourceError::NotFound,
            ("{error}"),
            ["property model-file"],
            details: details
        ),
        model::Error::Runtime(LibraryNotFound(_) | LibraryUnusable { .. } | Provider { .. }) => {
            gst::element_error!(
                element,
                gst::LibraryError::Init,
                ("{error}"),
                ["property execution-provider"],
                details: details
            )
        }
        model::Error::Runtime(Inference { .. }) | model::Error::Output { .. } => {
            gst::element_error!(
                element,
                gst::StreamError::Failed,
                ("{error}"),
                ["inference"],
                details: details
            )
        }
        _ => gst::element_error!(
            element,
            gst::ResourceError::OpenRead,
            ("{error}"),
            ["property model-file"],
            details: details
        ),
    }
}
