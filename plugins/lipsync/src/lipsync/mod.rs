//! The element `lipsync`.

mod animator;
mod background;
mod flow;
mod frames;
mod generator;
mod imp;
mod known_face;
mod latency;
mod lateness;
mod loader;
mod mouth_shape;
mod negotiate;
mod progress;
mod properties;
mod settings;
mod stream;

use gst::glib;
use gst::prelude::*;

glib::wrapper! {
    /// Draws the mouth that the speech asks for.
    pub struct LipSync(ObjectSubclass<imp::LipSync>)
        @extends gst_base::Aggregator, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "lipsync",
        gst::Rank::NONE,
        LipSync::static_type(),
    )
}
