//! How much of a file is decoded: a small one may ask for more memory, or more time, than there is.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use gst::ClockTime;
use gst::prelude::*;

use super::on_any_element;
use crate::sync::lock;

/// Most pixels of a picture, or of a video's frame, that are decoded unless somebody asks for more: 8K,
/// and any photograph of a telephone as it usually takes them.
pub const MOST_PIXELS: u64 = 8192 * 8192;
/// Longest video or speech that is read unless somebody asks for more: a day.
pub const MOST_DURATION: ClockTime = ClockTime::from_seconds(24 * 60 * 60);
/// Most frames of a video that are read unless somebody asks for more: a day of 120 in a second.
pub const MOST_FRAMES: u64 = 24 * 60 * 60 * 120;
/// Most streams of a file that is read unless somebody asks for more: films have some dozens of subtitles.
pub const MOST_STREAMS: u64 = 100;

/// Of so many at most the first that can be decoded is the face. The file itself may count as one.
const PICTURES: usize = 8;

/// Streams of larger pictures stay as they are in the file, and are exposed so.
pub fn no_larger_than(decode: &gst::Element, most_pixels: u64) {
    decode.connect("autoplug-continue", false, move |args| {
        let caps = args.get(2)?.get::<gst::Caps>().ok()?;
        Some((pixels(&caps) <= most_pixels).to_value())
    });
}

fn pixels(caps: &gst::CapsRef) -> u64 {
    let structure = caps.structure(0);
    let number = |name: &str| structure.and_then(|s| s.get::<i32>(name).ok()).unwrap_or(0);
    u64::from(number("width").unsigned_abs()) * u64::from(number("height").unsigned_abs())
}

/// Tells `excess` of a file with more streams, of which no more are decoded then. Of many pictures only the
/// first are, as each takes a decoder with its threads and frames.
pub fn no_more_streams_than(
    decode: &gst::Element,
    most: u64,
    excess: impl Fn() + Send + Sync + 'static,
) {
    let streams = Arc::new(AtomicU64::new(0));
    let (counted, excess) = (streams.clone(), Arc::new(excess));
    on_any_element(decode, move |factory, element| {
        if !factory.has_type(gst::ElementFactoryType::DEMUXER) {
            return;
        }
        let (counted, excess) = (counted.clone(), excess.clone());
        element.connect_pad_added(move |_, pad| {
            if pad.direction() == gst::PadDirection::Src
                && counted.fetch_add(1, Ordering::Relaxed) == most
            {
                excess();
            }
        });
    });
    let pictures: Mutex<BTreeSet<String>> = Mutex::default();
    decode.connect("autoplug-continue", false, move |args| {
        let pad = args.get(1)?.get::<gst::Pad>().ok()?;
        let caps = args.get(2)?.get::<gst::Caps>().ok()?;
        let is_picture = caps
            .structure(0)
            .is_some_and(|s| s.name().starts_with("video/") || s.name().starts_with("image/"));
        // A stream is asked about once as it is in the file, and once more behind its parser.
        let id = pad.stream_id().or_else(|| {
            let ghost = pad.downcast_ref::<gst::GhostPad>()?;
            ghost.target()?.stream_id()
        });
        let is_one_of_few = match id.filter(|_| is_picture) {
            Some(id) => {
                let mut pictures = lock(&pictures);
                let is_known = pictures.contains(id.as_str());
                is_known || (pictures.len() < PICTURES && pictures.insert(id.into()))
            }
            None => true,
        };
        Some((is_one_of_few && streams.load(Ordering::Relaxed) <= most).to_value())
    });
}
