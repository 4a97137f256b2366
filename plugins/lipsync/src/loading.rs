//! How the bus hears of models that are loaded beside the streaming threads.

use gst::glib;
use gst::prelude::*;

/// Name of the category in PROGRESS messages.
const CODE: &str = "load-model";

/// Says how far loading is, where the element is still there.
pub(crate) fn progress(
    element: &glib::WeakRef<impl IsA<gst::Element>>,
    kind: gst::ProgressType,
    text: &str,
) {
    let Some(element) = element.upgrade() else {
        return;
    };
    let message = gst::message::Progress::builder(kind, CODE, text)
        .src(element.upcast_ref::<gst::Element>())
        .build();
    // Without a bus nobody wants to know.
    let _ = element.post_message(message);
}
