//! What a parser leaves of a file.
//!
//! A parser that loses its way skips what it does not know, to the end of the file if need be, and
//! ends as if nothing had been there: two recordings of different kind, joined, come out as the first.

use std::sync::atomic::{AtomicU64, Ordering};

use gst::prelude::*;

/// Tags at the end of a sound file, and what encoders fill it up with, are smaller than this.
const MOST_TAGS: u64 = 64 << 10;
/// A second of speech is never smaller.
const LEAST_SOUND: u64 = 1 << 10;

/// Calls `unused` at the end of the stream, if part of it was not used.
pub fn watch(parser: &gst::Element, unused: impl Fn(u64) + Send + Sync + 'static) {
    let (Some(sink), Some(src)) = (parser.static_pad("sink"), parser.static_pad("src")) else {
        return;
    };
    let end = AtomicU64::new(0);
    let weak = sink.downgrade();
    let wanted = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    src.add_probe(wanted, move |_, info| {
        match &info.data {
            Some(gst::PadProbeData::Buffer(buffer)) if buffer.offset() != u64::MAX => {
                // A parser gives the place of what it found.
                let behind = buffer.offset().saturating_add(buffer.size() as u64);
                end.fetch_max(behind, Ordering::Relaxed);
            }
            Some(gst::PadProbeData::Event(event)) if event.type_() == gst::EventType::Eos => {
                let end = end.load(Ordering::Relaxed);
                let size = weak.upgrade().and_then(|sink| {
                    let size = sink.peer_query_duration::<gst::format::Bytes>()?;
                    Some(*size)
                });
                if let Some(left) = size.filter(|_| end > 0).and_then(|s| s.checked_sub(end))
                    && is_sound(left, end)
                {
                    unused(left);
                }
            }
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
}

/// Whether that many bytes behind the last frame are more than tags.
fn is_sound(left: u64, used: u64) -> bool {
    left > MOST_TAGS || (left > LEAST_SOUND && left > used / 10)
}
