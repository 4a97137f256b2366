//! What an encoder of MP3 puts before and behind the sound.
//!
//! It says so in a note in the first frame (LAME's extension of Xing's header), which `mpegaudioparse` of
//! GStreamer 1.22 does not heed: the speech would come 25 ms late. The note is read as the frame passes,
//! and put into the segment, by which the decoder cuts.

use std::sync::{Arc, Mutex};

use gst::prelude::*;

use super::events::change_segments;
use crate::sync::lock;

/// A decoder gives its first sample so much later than the encoder took it in.
const DECODER_DELAY: u64 = 529;

/// The part of the decoded sound that is sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Trim {
    start: gst::ClockTime,
    stop: gst::ClockTime,
}

/// How long the sound is of a file that has this at its beginning, or behind its tag; nothing where it doesn't
/// say.
pub fn length(head: &[u8]) -> Option<gst::ClockTime> {
    let trim = of_head(head)?;
    trim.stop.checked_sub(trim.start)
}

/// Cuts what `parser`, which has not begun to work, would leave.
pub fn apply(parser: &gst::Element) {
    let (Some(sink), Some(src)) = (parser.static_pad("sink"), parser.static_pad("src")) else {
        return;
    };
    let found = Arc::new(Mutex::new(None));
    let note = found.clone();
    let data = gst::PadProbeType::PUSH | gst::PadProbeType::PULL | gst::PadProbeType::BUFFER;
    sink.add_probe(data, move |_, info| {
        let Some(gst::PadProbeData::Buffer(buffer)) = &info.data else {
            return gst::PadProbeReturn::Ok;
        };
        let trim = buffer.map_readable().ok().and_then(|map| of_head(&map));
        match trim {
            Some(trim) => *lock(&note) = Some(trim),
            // Looked for in what comes first; a seek brings other parts of the file.
            None if buffer.offset() == 0 => return gst::PadProbeReturn::Ok,
            None => {}
        }
        gst::PadProbeReturn::Remove
    });
    change_segments(&src, move |segment| (*lock(&found))?.segment(segment));
}

impl Trim {
    /// The segment from the beginning of the sound, or from where a seek has led.
    fn segment(self, event: &gst::event::Segment) -> Option<gst::Event> {
        let mut segment = event.segment().downcast_ref::<gst::ClockTime>()?.clone();
        let sought = segment.start()?;
        let start = self.start + sought;
        segment.set_start(start);
        segment.set_stop(self.stop);
        segment.set_position(start);
        segment.set_time(sought);
        let cut = gst::event::Segment::builder(&segment).seqnum(event.seqnum());
        Some(cut.build())
    }
}

/// What the note says, if one is in these first bytes.
fn of_head(data: &[u8]) -> Option<Trim> {
    let frame = data.get(start_of_sound(data)..)?;
    let at = frame
        .windows(2)
        .position(|w| w[0] == 0xff && w[1] & 0xe0 == 0xe0)?;
    let frame = frame.get(at..)?;
    let [_, version, rate, mode] = *frame.first_chunk::<4>()?;
    let is_first_version = version & 0x18 == 0x18;
    let rate = [44_100, 48_000, 32_000, 0][usize::from(rate >> 2 & 3)];
    let rate = match version & 0x18 {
        0x18 => rate,
        0x10 => rate / 2,
        _ => rate / 4,
    };
    let is_mono = mode & 0xc0 == 0xc0;
    let side_information = match (is_first_version, is_mono) {
        (true, false) => 32,
        (true, true) | (false, false) => 17,
        (false, true) => 9,
    };
    let note = frame.get(4 + side_information..)?;
    if !(note.starts_with(b"Xing") || note.starts_with(b"Info")) {
        return None;
    }
    let number = |at: usize| Some(u32::from_be_bytes(*note.get(at..)?.first_chunk()?));
    let flags = number(4)?;
    // Without the number of frames it isn't known where the end is.
    let frames = u64::from((flags & 1 != 0).then(|| number(8)).flatten()?);
    let sizes = [(1, 4), (2, 4), (4, 100), (8, 4)];
    let fields = sizes.iter().filter(|(flag, _)| flags & flag != 0);
    let extension = 8 + fields.map(|(_, size)| size).sum::<usize>();
    let [a, b, c] = *note.get(extension + 21..)?.first_chunk::<3>()?;
    let delay = u64::from(a) << 4 | u64::from(b) >> 4;
    let padding = u64::from(b & 0xf) << 8 | u64::from(c);
    if delay == 0 && padding == 0 || rate == 0 {
        return None;
    }
    let samples = frames * if is_first_version { 1152 } else { 576 };
    let time = |samples: u64| gst::ClockTime::SECOND.mul_div_round(samples, rate);
    let end = (samples + DECODER_DELAY)
        .saturating_sub(padding)
        .min(samples);
    Some(Trim {
        start: time(delay + DECODER_DELAY)?,
        stop: time(end)?,
    })
}

/// The byte of a file behind its tag of ID3v2, where there is one.
pub fn start_of_sound(data: &[u8]) -> usize {
    match *data {
        [b'I', b'D', b'3', _, _, _, a, b, c, d, ..] => {
            let digits = [a, b, c, d].map(usize::from);
            10 + digits
                .iter()
                .fold(0, |size, digit| size << 7 | digit & 0x7f)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A first frame of MPEG-1, 44.1 kHz, mono: 100 frames, with 576 samples before and 1000 behind.
    fn head() -> Vec<u8> {
        let mut frame = vec![0xff, 0xfb, 0x90, 0xc4];
        frame.extend([0; 17]);
        frame.extend(b"Info\0\0\0\x0f");
        frame.extend(100_u32.to_be_bytes());
        frame.extend([0; 4 + 100 + 4]);
        frame.extend(b"LAME3.100");
        frame.extend([0; 12]);
        frame.extend([0x24, 0x03, 0xe8]);
        frame.extend([0; 200]);
        frame
    }

    #[test]
    fn the_note_says_where_the_sound_is() {
        let time = |samples: u64| {
            gst::ClockTime::SECOND
                .mul_div_round(samples, 44_100)
                .unwrap()
        };
        let wanted = Trim {
            start: time(576 + 529),
            stop: time(115_200 + 529 - 1000),
        };
        assert_eq!(of_head(&head()), Some(wanted));
        let tagged = [b"ID3\x04\0\0\0\0\0\x05hello".to_vec(), head()].concat();
        assert_eq!(of_head(&tagged), Some(wanted));
        assert_eq!(of_head(&head()[..120]), None, "cut");
        let mut other = head();
        other[21] = b'X';
        assert_eq!(of_head(&other), None, "no such note");
    }
}
