//! What has to be put right at `uridecodebin`, wherever one opens a user's file.

pub mod alpha;
mod editlist;
mod events;
pub mod gapless;
pub mod heif;
mod index;
mod leftover;
pub mod limits;
mod png;
pub mod range;
pub mod still;

use std::sync::Arc;

use gst::glib;
use gst::prelude::*;

/// A file must not make the machine fetch others: what a playlist names is not what the user named.
/// `refused` is told the type of what would have been opened so.
pub fn only_this_file(decode: &gst::Element, refused: impl Fn(&str) + Send + Sync + 'static) {
    decode.connect("autoplug-select", false, move |args| {
        let select = glib::EnumClass::with_type(glib::Type::from_name("GstAutoplugSelectResult")?)?;
        let caps = args.get(2)?.get::<gst::Caps>().ok()?;
        let factory = args.get(3)?.get::<gst::ElementFactory>().ok()?;
        if !fetches(&factory) {
            return select.to_value_by_nick("try");
        }
        refused(caps.structure(0).map_or("", |s| s.name()));
        select.to_value_by_nick("skip")
    });
}

/// Demuxers of playlists, manifests and session descriptions open what these name.
fn fetches(factory: &gst::ElementFactory) -> bool {
    let klass = factory.metadata("klass").unwrap_or_default();
    klass.contains("Adaptive") || klass.contains("Network")
}

/// Whether the URI is that of a local file.
pub fn is_file(uri: &str) -> bool {
    uri.split_once(':')
        .is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("file"))
}

/// Sees that of an MP4 or QuickTime file all is played, for its time and in its shape.
pub fn whole_movie(decode: &gst::Element) {
    on_element(decode, "qtdemux", index::apply);
}

/// Sees that the sound of a file comes whole and at its time: applies the edit lists of MP4 files, cuts
/// what an encoder of MP3 has added, and reports how many bytes of the file a parser did not use.
pub fn whole_sound(decode: &gst::Element, unused: impl Fn(u64) + Send + Sync + 'static) {
    let unused = Arc::new(unused);
    whole_movie(decode);
    on_element(decode, "mpegaudioparse", gapless::apply);
    on_any_element(decode, move |factory, element| {
        let klass = factory.metadata("klass").unwrap_or_default();
        if klass.contains("Parser") && klass.contains("Audio") {
            let unused = unused.clone();
            leftover::watch(element, move |bytes| unused(bytes));
        }
    });
}

/// Sees that pictures are called what they are: of the range that their stream has, and with the channels of
/// 16 bits in the order in which they come.
pub fn true_colours(decode: &gst::Element) {
    on_element(decode, "qtdemux", range::apply);
    on_element(decode, "pngparse", png::carry_shape);
    on_element(decode, "pngdec", png::apply);
}

/// Calls `found` for each element of that kind that the decoder makes, before it works.
pub fn on_element(
    decode: &gst::Element,
    kind: &'static str,
    found: impl Fn(&gst::Element) + Send + Sync + 'static,
) {
    on_any_element(decode, move |factory, element| {
        if factory.name() == kind {
            found(element);
        }
    });
}

/// As [`on_element`], for elements of all kinds.
pub fn on_any_element(
    decode: &gst::Element,
    found: impl Fn(&gst::ElementFactory, &gst::Element) + Send + Sync + 'static,
) {
    if let Some(bin) = decode.downcast_ref::<gst::Bin>() {
        bin.connect_deep_element_added(move |_, _, element| {
            if let Some(factory) = element.factory() {
                found(&factory, element);
            }
        });
    }
}
