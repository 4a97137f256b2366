//! The controller of lipflow: templates, jobs and the command line.

pub mod application;
pub mod batch;
pub mod cancel;
pub mod cli;
pub(crate) mod clock;
pub mod config;
pub mod digest;
pub mod ending;
pub mod error;
pub mod event;
pub(crate) mod faces;
pub mod job;
pub mod journal;
pub mod live;
pub(crate) mod lock;
pub mod marks;
pub(crate) mod mount;
pub(crate) mod path;
pub mod pipeline;
pub(crate) mod plan;
pub(crate) mod progress;
pub mod provenance;
pub mod publish;
pub mod reach;
pub(crate) mod report;
pub mod secret;
pub(crate) mod serve;
pub mod stamp;
pub mod store;
pub(crate) mod supervisor;
pub(crate) mod sync;
pub(crate) mod terminal;
pub mod worker;

use std::path::PathBuf;
use std::sync::OnceLock;

/// The plugin's file as GStreamer found it by itself, before the linked one took its place.
static SCANNED_PLUGIN: OnceLock<Option<PathBuf>> = OnceLock::new();

/// Starts GStreamer and registers the elements that are linked in. Again is harmless.
pub fn init() -> Result<(), gst::glib::Error> {
    gst::init()?;
    SCANNED_PLUGIN.get_or_init(|| {
        gst::Registry::get()
            .find_plugin("lipsync")
            .and_then(|plugin| plugin.filename())
    });
    gstlipsync::plugin_register_static().map_err(|e| {
        gst::glib::Error::new(gst::CoreError::Failed, &format!("the linked plugin: {e}"))
    })
}

/// Where plain GStreamer, gst-launch-1.0 say, has the plugin from; None where it doesn't find it.
pub fn scanned_plugin() -> Option<PathBuf> {
    SCANNED_PLUGIN.get().cloned().flatten()
}
