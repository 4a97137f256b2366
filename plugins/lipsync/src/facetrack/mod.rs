//! Element `facetrack`: finds and follows faces and attaches them to the buffers.

use gst::glib;
use gst::prelude::*;

mod imp;
mod loader;
mod settings;

/// Which face is followed where there are several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstFaceTrackSelect")]
#[repr(i32)]
pub enum FaceSelect {
    #[default]
    #[enum_value(name = "The largest face", nick = "largest")]
    Largest,
    #[enum_value(name = "The face furthest to the left", nick = "leftmost")]
    Leftmost,
    #[enum_value(name = "The face nearest to the middle", nick = "centre")]
    Centre,
    #[enum_value(name = "The face that face-index counts from the left", nick = "index")]
    Index,
}

/// The name of a query that goes upstream: who answers it looks for faces.
pub const QUERY: &str = "lipflow-looks-for-faces";

glib::wrapper! {
    pub struct FaceTrack(ObjectSubclass<imp::FaceTrack>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "facetrack",
        gst::Rank::NONE,
        FaceTrack::static_type(),
    )
}
