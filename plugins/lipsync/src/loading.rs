//! Models of elements: what can't be is refused, the rest is loaded beside the streaming threads, and the bus
//! hears of both in one way.
//!
//! What is known at once (a file that is not there, a provider that does not exist, a library that can't be
//! loaded) is an ERROR message, and the change from READY to PAUSED fails. What turns out while the model is
//! loaded is an ERROR message from the thread that loads, and then a PROGRESS of type `error`. The details of
//! the error have the word `kind`, for programs, and the `path` of the file that it is about.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;

use crate::runtime::{self, Interrupt, Loader, Session};
use crate::{face, model};

/// Name of the category in PROGRESS messages.
const CODE: &str = "load-model";

/// No error is told before: gst-launch-1.0 misses one that comes before it has begun to listen, and waits for
/// ever.
const FIRST_ERROR: Duration = Duration::from_millis(200);

/// Why a model is not there, or does not work, as the bus is told.
#[derive(Debug)]
pub(crate) struct Fault {
    error: glib::Error,
    kind: &'static str,
    path: Option<PathBuf>,
    about: &'static str,
}

impl Fault {
    /// `about` is the property that it is about, or what was done.
    pub fn new(
        code: impl glib::error::ErrorDomain,
        error: &dyn std::error::Error,
        kind: &'static str,
        path: Option<&Path>,
        about: &'static str,
    ) -> Self {
        Self {
            error: glib::Error::new(code, &error.to_string()),
            kind,
            path: path.map(Path::to_owned),
            about,
        }
    }

    /// Tells the bus, for people and for machines.
    pub fn post(&self, element: &impl IsA<gst::Element>) {
        let details = gst::Structure::builder("details")
            .field("kind", self.kind)
            .field_if_some(
                "path",
                self.path.as_ref().map(|path| path.display().to_string()),
            )
            .build();
        let message = gst::message::Error::builder_from_error(self.error.clone())
            .src(element.upcast_ref::<gst::Element>())
            .debug(self.about)
            .details(details)
            .build();
        // Without a bus nobody wants to know.
        let _ = element.post_message(message);
    }
}

impl From<model::Error> for Fault {
    fn from(error: model::Error) -> Self {
        use model::Error::{
            Corrupt, FrontMissing, ManifestSyntax, ManifestValue, Mismatch, Missing, Output,
            Runtime, Unreadable, WeightsMissing,
        };
        let file = "property model-file";
        let missing = |path| {
            let code = gst::ResourceError::NotFound;
            Self::new(code, &error, "model-missing", Some(path), file)
        };
        let unusable = |kind, path| {
            let code = gst::ResourceError::OpenRead;
            Self::new(code, &error, kind, path, file)
        };
        match &error {
            Missing(path)
            | WeightsMissing { weights: path, .. }
            | FrontMissing { front: path, .. } => missing(path),
            Unreadable { path, .. } => unusable("model-unreadable", Some(path)),
            Corrupt { path, .. } => unusable("model-corrupt", Some(path)),
            Mismatch(_) => unusable("model-shape", None),
            ManifestSyntax { path, .. } | ManifestValue { path, .. } => {
                unusable("model-manifest", Some(path))
            }
            Output { .. } => {
                let code = gst::StreamError::Failed;
                Self::new(code, &error, "model-shape", None, "inference")
            }
            Runtime(error) => error.clone().into(),
        }
    }
}

impl From<face::Error> for Fault {
    fn from(error: face::Error) -> Self {
        let fault = |code, kind, path| {
            let about = "properties detector-model, mesh-model";
            Self::new(code, &error, kind, Some(path), about)
        };
        let unusable = gst::ResourceError::OpenRead;
        match &error {
            face::Error::Missing(path) => {
                fault(gst::ResourceError::NotFound, "model-missing", path)
            }
            face::Error::Unreadable { path, .. } => fault(unusable, "model-unreadable", path),
            face::Error::Corrupt { path, .. } => fault(unusable, "model-corrupt", path),
            face::Error::WrongModel { path, .. } => fault(unusable, "model-shape", path),
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
                let code = gst::LibraryError::Init;
                Self::new(code, &error, kind, path, "ONNX Runtime")
            }
            Provider { .. } => {
                let code = gst::LibraryError::Init;
                Self::new(code, &error, kind, path, "property execution-provider")
            }
            Inference { .. } | Interrupted => {
                let code = gst::StreamError::Failed;
                Self::new(code, &error, kind, path, "inference")
            }
            ModelMissing(_) => {
                let code = gst::ResourceError::NotFound;
                Self::new(code, &error, kind, path, "model file")
            }
            ModelCorrupt { .. } | ModelUnreadable { .. } => {
                let code = gst::ResourceError::OpenRead;
                Self::new(code, &error, kind, path, "model file")
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
