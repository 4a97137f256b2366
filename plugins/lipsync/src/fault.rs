//! Errors of elements on the bus, told in one way: a sentence for people, and details named `details` with the
//! word `kind`, for programs, and the `path` or `uri` of what it is about.

use std::path::Path;

use gst::glib;
use gst::prelude::*;

/// What went wrong with an element.
#[derive(Debug)]
pub(crate) struct Fault {
    error: glib::Error,
    debug: String,
    details: gst::Structure,
}

impl Fault {
    /// `debug` is the property that it is about, or what was done.
    pub fn new(error: glib::Error, kind: &str, debug: &str) -> Self {
        Self {
            error,
            debug: debug.into(),
            details: gst::Structure::builder("details")
                .field("kind", kind)
                .build(),
        }
    }

    /// Names the file.
    pub fn path(mut self, path: &Path) -> Self {
        self.details.set("path", path.display().to_string());
        self
    }

    /// Names the file as the user has.
    pub fn uri(mut self, uri: Option<String>) -> Self {
        self.details.set("uri", uri.unwrap_or_default());
        self
    }

    /// Tells the bus.
    pub fn post(self, element: &impl IsA<gst::Element>) {
        let message = gst::message::Error::builder_from_error(self.error)
            .src(element.upcast_ref::<gst::Element>())
            .debug(&self.debug)
            .details(self.details)
            .build();
        // Without a bus nobody wants to know.
        let _ = element.post_message(message);
    }
}
