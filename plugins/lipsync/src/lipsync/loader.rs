//! Loads the model beside the streaming threads, so that the bus can speak meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gst::glib;

use super::LipSync;
use super::animator::{Animator, error_kind, error_path};
use super::settings::Settings;
use crate::loading::progress;
use crate::model;
use crate::runtime::{self, Interrupt, Loader};

/// An error is not told before: gst-launch-1.0 misses those that come before it listens.
const FIRST_ERROR: Duration = Duration::from_millis(200);

/// A model on its way.
pub type ModelLoader = Loader<Box<Animator>>;

/// Begins to load what `settings` name. `interrupt` ends waits and runs.
pub fn start(
    element: glib::WeakRef<LipSync>,
    settings: Arc<Settings>,
    interrupt: Arc<Interrupt>,
) -> std::io::Result<ModelLoader> {
    let stop = interrupt.clone();
    Loader::start("lipsync-load", interrupt, move || {
        load(&element, &settings, &stop).map(Box::new)
    })
}

fn load(
    element: &glib::WeakRef<LipSync>,
    settings: &Settings,
    interrupt: &Arc<Interrupt>,
) -> Option<Animator> {
    let name = settings.model_file.as_deref().map_or_else(
        || "the embedded model".to_string(),
        |path| path.display().to_string(),
    );
    progress(
        element,
        gst::ProgressType::Start,
        &format!("Loading {name}"),
    );
    let begin = Instant::now();
    match Animator::load(settings, interrupt) {
        Ok(animator) => {
            if let Some(element) = element.upgrade() {
                warn_of_lacking(&element, &animator);
            }
            let mut text = format!("Loaded {name} on {}", animator.provider().name());
            if let Some(reason) = animator.fallback() {
                text.push_str(&format!(" ({reason})"));
            }
            progress(element, gst::ProgressType::Complete, &text);
            Some(animator)
        }
        Err(error) => {
            std::thread::sleep(FIRST_ERROR.saturating_sub(begin.elapsed()));
            if let Some(element) = element.upgrade() {
                post_error(&element, &error);
            }
            let text = format!("Could not load {name}");
            progress(element, gst::ProgressType::Error, &text);
            None
        }
    }
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
    use runtime::Error::{Inference, Interrupted, LibraryNotFound, LibraryUnusable, Provider};

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
        model::Error::Runtime(Inference { .. } | Interrupted) | model::Error::Output { .. } => {
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
