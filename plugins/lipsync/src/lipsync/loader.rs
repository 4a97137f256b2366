//! Loads the model beside the streaming threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gst::prelude::*;

use super::LipSync;
use super::animator::Animator;
use super::settings::Settings;
use crate::fault::Fault;
use crate::loading;
use crate::model::{self, Model};
use crate::runtime::{self, Interrupt, Loader, Provider};

/// A model on its way.
pub type ModelLoader = Loader<Box<Animator>>;

/// What is known at once of what `settings` name.
pub fn check(settings: &Settings) -> Result<(), Fault> {
    Model::resolve(settings.model_file.as_deref())?;
    settings.execution_provider.parse::<Provider>()?;
    runtime::environment()?;
    Ok(())
}

/// Begins to load what `settings` name. `interrupt` ends waits and runs.
pub fn start(
    element: &LipSync,
    settings: Arc<Settings>,
    interrupt: Arc<Interrupt>,
) -> Result<ModelLoader, gst::ErrorMessage> {
    let name = settings.model_file.as_deref().map_or_else(
        || "the embedded model".to_string(),
        |path| path.display().to_string(),
    );
    let weak = element.downgrade();
    let stop = interrupt.clone();
    loading::start(element, "lipsync-load", name, interrupt, move || {
        let animator = Animator::load(&settings, &stop)?;
        if let Some(element) = weak.upgrade() {
            warn_of_lacking(&element, &animator);
        }
        let place = animator.place().to_owned();
        Ok::<_, model::Error>((Box::new(animator), place))
    })
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
