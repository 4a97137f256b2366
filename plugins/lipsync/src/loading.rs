//! Models of elements: what can't be is refused, the rest is loaded beside the streaming threads, and the bus
//! hears of both in one way.
//!
//! What is known at once (a file that is not there, a provider that does not exist, a library that can't be
//! loaded) is an ERROR message, and the change from READY to PAUSED fails. What turns out while the model is
//! loaded is an ERROR message from the thread that loads, and then a PROGRESS of type `error`.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;

use crate::fault::Fault;
use crate::runtime::{self, Interrupt, Loader, Session};
use crate::{face, model};

/// Name of the category in PROGRESS messages.
const CODE: &str = "load-model";

/// No error is told before: gst-launch-1.0 misses one that comes before it has begun to listen, and waits for
/// ever.
const FIRST_ERROR: Duration = Duration::from_millis(200);

fn fault(
    code: impl glib::error::ErrorDomain,
    error: &dyn std::error::Error,
    kind: &str,
    path: Option<&Path>,
    debug: &str,
) -> Fault {
    let fault = Fault::new(glib::Error::new(code, &error.to_string()), kind, debug);
    match path {
        Some(path) => fault.path(path),
        None => fault,
    }
}

impl From<model::Error> for Fault {
    fn from(error: model::Error) -> Self {
        use model::Error::{
            Corrupt, FrontMissing, ManifestSyntax, ManifestValue, Mismatch, Missing, Output,
            Runtime, Unreadable, WeightsMissing,
        };
        let unusable = |kind, path| {
            let code = gst::ResourceError::OpenRead;
            fault(code, &error, kind, path, "property model-file")
        };
        match &error {
            Missing(path)
            | WeightsMissing { weights: path, .. }
            | FrontMissing { front: path, .. } => {
                let code = gst::ResourceError::NotFound;
                fault(
                    code,
                    &error,
                    "model-missing",
                    Some(path),
                    "property model-file",
                )
            }
            Unreadable { path, .. } => unusable("model-unreadable", Some(path)),
            Corrupt { path, .. } => unusable("model-corrupt", Some(path)),
            Mismatch(_) => unusable("model-shape", None),
            ManifestSyntax { path, .. } | ManifestValue { path, .. } => {
                unusable("model-manifest", Some(path))
            }
            Output { .. } => {
                let code = gst::StreamError::Failed;
                fault(code, &error, "model-shape", None, "inference")
            }
            Runtime(error) => error.clone().into(),
        }
    }
}

impl From<face::Error> for Fault {
    fn from(error: face::Error) -> Self {
        let of_file = |code, kind, path| {
            let debug = "properties detector-model, mesh-model";
            fault(code, &error, kind, Some(path), debug)
        };
        let unusable = gst::ResourceError::OpenRead;
        match &error {
            face::Error::Missing(path) => {
                of_file(gst::ResourceError::NotFound, "model-missing", path)
            }
            face::Error::Unreadable { path, .. } => of_file(unusable, "model-unreadable", path),
            face::Error::Corrupt { path, .. } => of_file(unusable, "model-corrupt", path),
            face::Error::WrongModel { path, .. } => of_file(unusable, "model-shape", path),
            face::Error::Runtime(error) => error.clone().into(),
        }
    }
}

impl From<runtime::Error> for Fault {
    fn from(error: runtime::Error) -> Self {
        use runtime::Error::{
            Inference, Interrupted, LibraryNotFound, LibraryUnusable, ModelCorrupt, ModelMissing,
            ModelUnreadable, Provider,
        };
        let (kind, path) = (error.word(), error.path());
        match &error {
            LibraryNotFound(_) | LibraryUnusable { .. } => {
                fault(gst::LibraryError::Init, &error, kind, path, "ONNX Runtime")
            }
            Provider { .. } => {
                let code = gst::LibraryError::Init;
                fault(code, &error, kind, path, "property execution-provider")
            }
            Inference { .. } | Interrupted => {
                fault(gst::StreamError::Failed, &error, kind, path, "inference")
            }
            ModelMissing(_) => {
                let code = gst::ResourceError::NotFound;
                fault(code, &error, kind, path, "model file")
            }
            ModelCorrupt { .. } | ModelUnreadable { .. } => {
                let code = gst::ResourceError::OpenRead;
                fault(code, &error, kind, path, "model file")
            }
        }
    }
}

/// Tells the bus of what is known at once; the change of state fails with it.
pub(crate) fn refuse<T>(
    element: &impl IsA<gst::Element>,
    checked: Result<T, impl Into<Fault>>,
) -> Result<T, gst::StateChangeError> {
    checked.map_err(|error| {
        error.into().post(element);
        gst::StateChangeError
    })
}

/// Begins to load `what` in a thread of that name, and tells the bus how it goes. `load` says, with what it
/// has loaded, what that runs on. `interrupt` ends waits for it.
pub(crate) fn start<T: Send + 'static, E: Into<Fault>>(
    element: &impl IsA<gst::Element>,
    thread: &str,
    what: String,
    interrupt: Arc<Interrupt>,
    load: impl FnOnce() -> Result<(T, String), E> + Send + 'static,
) -> Result<Loader<T>, gst::ErrorMessage> {
    let weak = element.upcast_ref::<gst::Element>().downgrade();
    let loader = Loader::start(thread, interrupt, move || {
        let begun = Instant::now();
        progress(&weak, gst::ProgressType::Start, &format!("Loading {what}"));
        match load() {
            Ok((loaded, place)) => {
                let text = format!("Loaded {what} on {place}");
                progress(&weak, gst::ProgressType::Complete, &text);
                Some(loaded)
            }
            Err(error) => {
                std::thread::sleep(FIRST_ERROR.saturating_sub(begun.elapsed()));
                // The error first: whoever ends on the progress has the cause by then.
                if let Some(element) = weak.upgrade() {
                    error.into().post(&element);
                }
                let text = format!("Could not load {what}");
                progress(&weak, gst::ProgressType::Error, &text);
                None
            }
        }
    });
    loader.map_err(|e| {
        gst::error_msg!(
            gst::ResourceError::Failed,
            ("No thread could be started for {thread}: {e}. Close other programs")
        )
    })
}

/// What a model runs on: the provider, and why it is not the first that `auto` tried, where that was not told
/// yet.
pub(crate) fn place<'a>(sessions: impl IntoIterator<Item = &'a Session>) -> String {
    let mut sessions = sessions.into_iter().peekable();
    let mut text = match sessions.peek() {
        Some(first) => first.provider.name().to_owned(),
        None => String::new(),
    };
    for reason in sessions.filter_map(|session| session.untold_fallback()) {
        text.push_str(&format!(" ({reason})"));
    }
    text
}

/// Says how far loading is, where the element is still there.
fn progress(element: &glib::WeakRef<gst::Element>, kind: gst::ProgressType, text: &str) {
    let Some(element) = element.upgrade() else {
        return;
    };
    let message = gst::message::Progress::builder(kind, CODE, text)
        .src(&element)
        .build();
    // Without a bus nobody wants to know.
    let _ = element.post_message(message);
}
