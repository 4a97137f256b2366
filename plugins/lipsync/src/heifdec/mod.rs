//! SECTION:element-heifdec
//!
//! Since: 0.1.0
//!
//! Element `heifdec`: HEIC and AVIF pictures, as telephones and web pages have them.
//!
//! GStreamer 1.22 knows neither, so the plugin also brings a type finder for them, and `uridecodebin` and
//! `facesource` take such files like any other picture. libheif decodes them. It is loaded when the first of
//! them comes: without it all other pictures work.
//!
//! The picture is upright, as the file says (`irot`, `imir`), cropped (`clap`), put together from its tiles,
//! and of 8 bits a channel in R'G'B', with alpha where it has it. Transfer and primaries are those that the
//! file states by number; an ICC profile is not applied. Of a sequence, and of several pictures, the primary
//! one is given.
//!
//! ```sh
//! gst-launch-1.0 filesrc location=photo.heic ! heifdec ! videoconvert ! pngenc ! filesink location=photo.png
//! ```
//!
//! The latency is zero: one picture comes when its file has ended.
//!
//! Pads: `sink` (sink), `src` (source).
//! Properties: none of its own.
//! Messages: none of its own.

mod imp;
mod library;

use gst::glib;
use gst::prelude::*;

use crate::decode::heif::{self, Coding};

glib::wrapper! {
    pub struct HeifDec(ObjectSubclass<imp::HeifDec>)
        @extends gst_video::VideoDecoder, gst::Element, gst::Object;
}

/// Whether pictures of that coding can be decoded on this machine; looks for libheif.
pub fn reads(coding: Coding) -> bool {
    library::library().is_ok_and(|library| library.reads(coding))
}

/// Of a coding in caps.
fn media_type(coding: Coding) -> &'static str {
    match coding {
        Coding::Hevc => "image/heif",
        Coding::Av1 => "image/avif",
    }
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    let caps = [Coding::Hevc, Coding::Av1].map(|c| gst::Structure::new_empty(media_type(c)));
    gst::TypeFind::register(
        Some(plugin),
        "image/heif",
        // Before that of QuickTime, which takes all that begins so.
        gst::Rank::PRIMARY + 1,
        Some("heic,heif,avif"),
        Some(&caps.into_iter().collect()),
        |find| {
            let head = find.peek(0, heif::BRANDS as u32).map(<[u8]>::to_vec);
            if let Some(coding) = head.as_deref().and_then(heif::coding) {
                let caps = gst::Caps::new_empty_simple(media_type(coding));
                find.suggest(gst::TypeFindProbability::Maximum, &caps);
            }
        },
    )?;
    gst::Element::register(
        Some(plugin),
        "heifdec",
        gst::Rank::PRIMARY,
        HeifDec::static_type(),
    )
}
