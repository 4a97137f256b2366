//! SECTION:element-labeloverlay
//!
//! Since: 0.2.0
//!
//! `labeloverlay` writes a line of text onto a video, such as the laws ask for that say how a synthetic video
//! has to be marked: white in a dark box, at least a twentieth of the picture's shorter side high, for as long
//! as is said, and never before the mouth of a face that `facetrack` has found.
//!
//! ```sh
//! gst-launch-1.0 videotestsrc num-buffers=100 ! labeloverlay text=AI-generated duration=2000000000 ! videoconvert ! autovideosink
//! ```
//!
//! The first frame shows it, and `duration` counts from there. With `interval` it comes again, as somebody
//! who tunes in late has not seen it. Where the face moves behind it, it goes to another corner. Frames
//! that do not show it pass untouched, and the others are changed in the box only, to the bit. Without a
//! `text` all pass.
//!
//! A text that no installed font can show, one that is wider than the picture, and one that finds no place
//! are errors: nothing is made smaller or left out. The latency is zero.
//!
//! Pads: `sink` (sink), `src` (source).
//! Properties, which `gst-inspect-1.0` describes: `text`, `position`, `opacity`, `height`, `duration`,
//! `interval`.
//! Messages: ERROR where the text can't be shown.

mod imp;

use gst::glib;
use gst::prelude::*;

use crate::label::Corner;

/// Where the label is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, glib::Enum)]
#[enum_type(name = "GstLipflowLabelPosition")]
#[repr(i32)]
pub enum Position {
    /// Wherever no mouth is.
    #[default]
    #[enum_value(
        name = "The first corner that no mouth is in, from the lower right one",
        nick = "auto"
    )]
    Auto,
    /// The corner on the lower right.
    #[enum_value(name = "Lower right", nick = "bottom-right")]
    BottomRight,
    /// The corner on the lower left.
    #[enum_value(name = "Lower left", nick = "bottom-left")]
    BottomLeft,
    /// The corner on the upper right.
    #[enum_value(name = "Upper right", nick = "top-right")]
    TopRight,
    /// The corner on the upper left.
    #[enum_value(name = "Upper left", nick = "top-left")]
    TopLeft,
    /// The middle of the lower edge.
    #[enum_value(name = "In the middle of the lower edge", nick = "bottom")]
    Bottom,
    /// The middle of the upper edge.
    #[enum_value(name = "In the middle of the upper edge", nick = "top")]
    Top,
}

impl Position {
    const fn corner(self) -> Option<Corner> {
        match self {
            Self::Auto => None,
            Self::BottomRight => Some(Corner::BottomRight),
            Self::BottomLeft => Some(Corner::BottomLeft),
            Self::TopRight => Some(Corner::TopRight),
            Self::TopLeft => Some(Corner::TopLeft),
            Self::Bottom => Some(Corner::Bottom),
            Self::Top => Some(Corner::Top),
        }
    }
}

glib::wrapper! {
    pub struct LabelOverlay(ObjectSubclass<imp::LabelOverlay>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    Position::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    gst::Element::register(
        Some(plugin),
        "labeloverlay",
        gst::Rank::NONE,
        LabelOverlay::static_type(),
    )
}
