//! Loads the face models beside the streaming thread.

use std::sync::Arc;

use super::FaceTrack;
use super::settings::Settings;
use crate::face;
use crate::face::tracker::Models;
use crate::fault::Fault;
use crate::loading;
use crate::runtime::{self, Interrupt, Loader};

/// What is known at once of what `settings` name.
pub fn check(settings: &Settings) -> Result<(), Fault> {
    for path in settings.model_files() {
        face::check_file(&path)?;
    }
    settings.provider()?;
    runtime::environment()?;
    Ok(())
}

/// Begins to load what `settings` name. `interrupt` ends waits and runs.
pub fn start(
    element: &FaceTrack,
    settings: Settings,
    interrupt: Arc<Interrupt>,
) -> Result<Loader<Models>, gst::ErrorMessage> {
    let name = "the face models".to_owned();
    let stop = interrupt.clone();
    loading::start(element, "facetrack-load", name, interrupt, move || {
        let models = settings.load(stop)?;
        let place = loading::place([models.detector.session(), models.mesher.session()]);
        Ok::<_, face::Error>((models, place))
    })
}
