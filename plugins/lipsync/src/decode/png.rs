//! PNG pictures.
//!
//! `pngparse` and `pngdec` of GStreamer 1.22 do not give on the shape of the pixels that a container has told
//! them. Pixels of 16 bits and three or four channels `pngdec` writes two bytes after where they belong, and
//! where there is an alpha channel, behind the others: it says ARGB64, and its memory has a stray number, then
//! RGBA.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use gst::prelude::*;

use super::events::{change_caps, shaped};

/// Of PNG's header: colour type, with bits of a channel in the byte before.
const COLOUR_TYPE: usize = 25;
const RGB: u8 = 2;
const GREY_ALPHA: u8 = 4;
const RGBA: u8 = 6;

/// Puts the numbers of the pictures that a decoder will give where they belong.
pub fn apply(decoder: &gst::Element) {
    let (Some(sink), Some(src)) = (decoder.static_pad("sink"), decoder.static_pad("src")) else {
        return;
    };
    // 0 where all is right.
    let kind = Arc::new(AtomicU8::new(0));
    let found = kind.clone();
    sink.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &info.data
            && let Ok(map) = buffer.map_readable()
            && map.starts_with(b"\x89PNG")
            && let Some([bits, colour]) = map.get(COLOUR_TYPE - 1..=COLOUR_TYPE)
        {
            found.store(if *bits == 16 { *colour } else { 0 }, Ordering::Relaxed);
        }
        gst::PadProbeReturn::Ok
    });
    carry_shape(decoder);
    src.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let kind = kind.load(Ordering::Relaxed);
        if matches!(kind, RGB | GREY_ALPHA | RGBA)
            && let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data
            && let Ok(mut map) = buffer.make_mut().map_writable()
        {
            mend(&mut map, kind);
        }
        gst::PadProbeReturn::Ok
    });
}

/// Has an element give on the shape of the pixels that it was told.
pub fn carry_shape(element: &gst::Element) {
    let (Some(sink), Some(src)) = (element.static_pad("sink"), element.static_pad("src")) else {
        return;
    };
    let asked = sink.downgrade();
    change_caps(&src, move |caps| {
        let told = asked.upgrade()?.current_caps()?;
        let aspect = told.structure(0)?.get("pixel-aspect-ratio").ok()?;
        Some(shaped(caps, aspect))
    });
}

/// Pixels of eight bytes without gaps. The last number lies behind the end: it is that of the pixel before.
fn mend(pixels: &mut [u8], kind: u8) {
    let end = pixels.len();
    if end < 16 {
        return;
    }
    if kind == RGB {
        pixels.copy_within(2.., 0);
        pixels.copy_within(end - 10..end - 8, end - 2);
        return;
    }
    for at in (0..end - 8).step_by(8) {
        pixels.copy_within(at + 8..at + 10, at);
    }
    pixels.copy_within(end - 16..end - 14, end - 8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_where_they_belong() {
        // Two bytes late: alpha first, of two pixels.
        let mut rgb = [0, 0, 9, 9, 1, 1, 2, 2, 3, 3, 9, 9, 1, 1, 2, 2];
        mend(&mut rgb, RGB);
        assert_eq!(rgb, [9, 9, 1, 1, 2, 2, 3, 3, 9, 9, 1, 1, 2, 2, 3, 3]);
        // Two bytes late: alpha last.
        let mut rgba = [0, 0, 1, 1, 2, 2, 3, 3, 9, 9, 4, 4, 5, 5, 6, 6];
        mend(&mut rgba, RGBA);
        assert_eq!(rgba, [9, 9, 1, 1, 2, 2, 3, 3, 9, 9, 4, 4, 5, 5, 6, 6]);
    }
}
