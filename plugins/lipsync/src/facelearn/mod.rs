//! Element `facelearn`: learns a face and writes a face file.

use gst::glib;
use gst::prelude::*;

mod imp;

glib::wrapper! {
    /// Learns the face that passes through it.
    pub struct FaceLearn(ObjectSubclass<imp::FaceLearn>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "facelearn",
        gst::Rank::NONE,
        FaceLearn::static_type(),
    )
}
