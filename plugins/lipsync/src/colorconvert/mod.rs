//! SECTION:element-colorconvert
//!
//! Since: 0.1.0
//!
//! Element `colorconvert`: pictures of any range, matrix and dynamic range as those that downstream takes.
//!
//! What downstream can show as it is passes untouched. Else range, matrix, primaries and transfer are
//! converted in one pass: HLG and PQ become BT.709 by a tone map (see `colour::light`), which also happens
//! where they would have to be shown in 8 bits. The colorimetry in downstream's caps says what is wanted;
//! without one it is that of the input.
//!
//! It stands beside `videoconvert`, which in GStreamer 1.22 changes the name of a range and leaves the
//! samples as they are where the matrix stays, and shows HLG and PQ as if they were BT.709. Subsampling
//! and layout are left to it.
//!
//! ```sh
//! gst-launch-1.0 videotestsrc num-buffers=50 ! video/x-raw,format=I420_10LE,colorimetry=bt2100-hlg \
//!     ! colorconvert ! x264enc ! mp4mux ! filesink location=/tmp/standard.mp4
//! ```
//!
//! Planar YUV (I420, Y42B, Y444 of 8 and of 10 bits) is converted. Other formats pass as they are; where
//! these are of high dynamic range, put `videoconvert ! video/x-raw,format=I420_10LE` before. `depth` is the
//! most bits a channel that leave: with 8, 10 bits are dithered; with 10, high dynamic range is kept, unless
//! downstream asks for another. `codec` says what will encode them: VP8 can't say which matrix and range its
//! pictures have, so that they have to be those of BT.601.
//!
//! The latency is zero.
//!
//! Pads: `sink` (sink), `src` (source).
//! Properties, which `gst-inspect-1.0` describes: `depth`, `codec`.
//! Messages: none of its own.

mod imp;
pub mod meaning;

use gst::glib;
use gst::prelude::*;

/// What the pictures will be encoded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, glib::Enum)]
#[enum_type(name = "GstLipflowColorConvertCodec")]
#[repr(i32)]
pub enum Codec {
    /// Nothing is kept from it.
    #[default]
    #[enum_value(name = "One that can say any colorimetry", nick = "any")]
    Any,
    /// VP8, whose stream says nothing of colours.
    #[enum_value(name = "VP8: always BT.601 in limited range, 8 bits", nick = "vp8")]
    Vp8,
    /// VP9, whose stream says matrix and range.
    #[enum_value(name = "VP9", nick = "vp9")]
    Vp9,
}

glib::wrapper! {
    pub struct ColorConvert(ObjectSubclass<imp::ColorConvert>)
        @extends gst_video::VideoFilter, gst_base::BaseTransform, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    Codec::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    gst::Element::register(
        Some(plugin),
        "colorconvert",
        gst::Rank::NONE,
        ColorConvert::static_type(),
    )
}
