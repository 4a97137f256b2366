//! The element `lipsync`.

mod animator;
mod audio_pad;
mod background;
mod cast;
mod flow;
mod frames;
mod generator;
mod hearing;
mod imp;
mod known_face;
mod latency;
mod lateness;
mod loader;
mod mouth_shape;
mod negotiate;
mod portrait;
mod progress;
mod properties;
mod settings;
mod speaker;
mod stream;
mod voice;

use gst::glib;
use gst::prelude::*;

glib::wrapper! {
    /// Draws the mouth that the speech asks for.
    pub struct LipSync(ObjectSubclass<imp::LipSync>)
        @extends gst_base::Aggregator, gst::Element, gst::Object,
        @implements gst::ChildProxy;
}

glib::wrapper! {
    /// The speech of one of several faces.
    pub struct LipSyncAudioPad(ObjectSubclass<audio_pad::LipSyncAudioPad>)
        @extends gst_base::AggregatorPad, gst::Pad, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "lipsync",
        gst::Rank::NONE,
        LipSync::static_type(),
    )
}
