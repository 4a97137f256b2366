//! Loads the face models beside the streaming thread.

use std::path::Path;
use std::sync::Arc;

use gst::glib;

use super::FaceTrack;
use super::settings::Settings;
use crate::face::Error;
use crate::face::tracker::Models;
use crate::loading::progress;
use crate::runtime::{self, Interrupt, Loader};

/// Begins to load what `settings` name. `interrupt` ends waits and runs.
pub fn start(
    element: glib::WeakRef<FaceTrack>,
    settings: Settings,
    interrupt: Arc<Interrupt>,
) -> std::io::Result<Loader<Models>> {
    let stop = interrupt.clone();
    Loader::start("facetrack-load", interrupt, move || {
        progress(
            &element,
            gst::ProgressType::Start,
            "Loading the face models",
        );
        match settings.load(stop) {
            Ok(models) => {
                let kind = gst::ProgressType::Complete;
                progress(&element, kind, &loaded(&models));
                Some(models)
            }
            Err(error) => {
                // The error first: whoever ends on the progress has the cause by then.
                if let Some(element) = element.upgrade() {
                    post_error(&element, &error);
                }
                progress(&element, gst::ProgressType::Error, &error.to_string());
                None
            }
        }
    })
}

fn loaded(models: &Models) -> String {
    let session = models.mesher.session();
    let mut text = format!("Loaded the face models on {}", session.provider.name());
    if let Some(reason) = &session.fallback {
        text.push_str(&format!(" ({reason})"));
    }
    text
}

/// Tells the bus what went wrong with the models, for people and for machines.
pub fn post_error(element: &FaceTrack, error: &Error) {
    let (kind, path) = describe(error);
    let details = gst::Structure::builder("details")
        .field("kind", kind)
        .field_if_some("path", path.map(|path| path.display().to_string()))
        .build();
    match error {
        Error::Missing(_) => {
            gst::element_error!(element, gst::ResourceError::NotFound, ("{error}"), ["{error:?}"], details: details);
        }
        Error::Corrupt { .. } | Error::WrongModel { .. } => {
            gst::element_error!(element, gst::ResourceError::Read, ("{error}"), ["{error:?}"], details: details);
        }
        Error::Runtime(runtime::Error::Inference { .. } | runtime::Error::Interrupted) => {
            gst::element_error!(element, gst::LibraryError::Failed, ("{error}"), ["{error:?}"], details: details);
        }
        Error::Runtime(_) => {
            gst::element_error!(element, gst::LibraryError::Init, ("{error}"), ["{error:?}"], details: details);
        }
    }
}

/// The error for machines: its kind and the file that it is about.
fn describe(error: &Error) -> (&'static str, Option<&Path>) {
    match error {
        Error::Missing(path) => ("model-missing", Some(path)),
        Error::Corrupt { path, .. } => ("model-corrupt", Some(path)),
        Error::WrongModel { path, .. } => ("model-shape", Some(path)),
        Error::Runtime(error) => (error.word(), error.path()),
    }
}
