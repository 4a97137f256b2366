//! Edit lists of sound.
//!
//! `qtdemux` of GStreamer 1.22 holds the end of the movie against times in the media: of sound that
//! was trimmed at its start as much is lost at its end. So it is not shown the edit lists. They are
//! read out of the index as it passes, and put into the segments of the tracks.

use std::sync::{Arc, Mutex};

use gst::prelude::*;

use crate::isobmff::boxes::{self, Body, Node, put, u32_at};
use crate::isobmff::track::{Edit, Kind, Track};

/// What an edit list says of one track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Trim {
    /// What is shown nothing for first.
    delay: gst::ClockTime,
    /// The part of the media that is played.
    start: gst::ClockTime,
    stop: Option<gst::ClockTime>,
}

/// In the order of the file's sound tracks.
type Trims = Arc<Mutex<Vec<Option<Trim>>>>;

/// Takes the edit lists of sound upon us, for a demuxer that has not begun to read.
pub fn apply(demuxer: &gst::Element) {
    let trims = Trims::default();
    let Some(sink) = demuxer.static_pad("sink") else {
        return;
    };
    let found = trims.clone();
    let pulled = gst::PadProbeType::PULL | gst::PadProbeType::BUFFER;
    sink.add_probe(pulled, move |_, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data
            && let Some((hidden, lists)) = hide(buffer)
        {
            *buffer = hidden;
            *found.lock().unwrap() = lists;
            return gst::PadProbeReturn::Ok;
        }
        gst::PadProbeReturn::Ok
    });
    demuxer.connect_pad_added(move |_, pad| {
        let number = pad.name().strip_prefix("audio_").map(str::parse::<usize>);
        let Some(Ok(number)) = number else { return };
        let Some(trim) = trims.lock().unwrap().get(number).copied().flatten() else {
            return;
        };
        // The segment is sent after the pad was added.
        pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            if let Some(gst::PadProbeData::Event(event)) = &mut info.data
                && let gst::EventView::Segment(segment) = event.view()
                && let Some(moved) = trim.segment(segment)
            {
                *event = moved;
            }
            gst::PadProbeReturn::Ok
        });
    });
}

impl Trim {
    fn segment(self, event: &gst::event::Segment) -> Option<gst::Event> {
        let mut segment = event.segment().downcast_ref::<gst::ClockTime>()?.clone();
        // A seek's segment is in the time of the movie, which the demuxer takes for that of the media.
        let sought = segment.start()?;
        let start = self.start + sought.saturating_sub(self.delay);
        segment.set_start(start);
        segment.set_stop(self.stop);
        segment.set_position(start);
        segment.set_time(sought.max(self.delay));
        let base = segment.base().unwrap_or_default() + self.delay.saturating_sub(sought);
        segment.set_base(base);
        let moved = gst::event::Segment::builder(&segment).seqnum(event.seqnum());
        Some(moved.build())
    }
}

/// The buffer with its edit lists made free space, if it is an index with such as can be applied here.
fn hide(buffer: &gst::Buffer) -> Option<(gst::Buffer, Vec<Option<Trim>>)> {
    let map = buffer.map_readable().ok()?;
    let content = map.get(8..).filter(|_| map.get(4..8) == Some(b"moov"))?;
    let mut index = boxes::parse(*b"moov", content)?;
    if index.each(b"mvex").next().is_some() {
        return None;
    }
    let header = index.data(&[b"mvhd"])?;
    let is_large = *header.first()? == 1;
    let scale = u32_at(header, if is_large { 20 } else { 12 }).filter(|s| *s > 0)?;
    let mut trims = Vec::new();
    let mut longest = 0;
    for trak in index.children_mut().iter_mut() {
        let Some(track) = (trak.kind == *b"trak").then(|| Track::read(trak)).flatten() else {
            continue;
        };
        if track.kind != Kind::Audio {
            continue;
        }
        let trim = of_edits(&track, scale);
        trims.push(trim);
        if trim.is_some() {
            free_edits(trak);
            let ticks = u128::from(track.media_duration()) * u128::from(scale);
            longest = longest.max(ticks.div_ceil(u128::from(track.timescale)));
        }
    }
    trims.iter().any(Option::is_some).then_some(())?;
    // The movie must not end before the media.
    let header = index.data_mut(&[b"mvhd"])?;
    if is_large {
        let longest = u64::try_from(longest).ok()?;
        let claimed = boxes::u64_at(header, 24)?;
        put(header, 24, &longest.max(claimed).to_be_bytes())?;
    } else {
        let longest = u32::try_from(longest).ok()?;
        let claimed = u32_at(header, 16)?;
        put(header, 16, &longest.max(claimed).to_be_bytes())?;
    }
    let bytes = index.write();
    let same_size = bytes.len() == map.len();
    drop(map);
    same_size.then(|| (gst::Buffer::from_slice(bytes), trims))
}

fn free_edits(trak: &mut Node) {
    for node in trak
        .children_mut()
        .iter_mut()
        .filter(|n| n.kind == *b"edts")
    {
        let content = node.children().iter().flat_map(Node::write).collect();
        *node = Node {
            kind: *b"free",
            body: Body::Data(content),
        };
    }
}

/// Nothing where there is no list, or one of several parts, which is the demuxer's business.
fn of_edits(track: &Track, movie_scale: u32) -> Option<Trim> {
    let time = |ticks: u64, scale: u32| {
        let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(scale);
        let nanos = u64::try_from(nanos).ok()?;
        (nanos < u64::MAX / 4).then(|| gst::ClockTime::from_nseconds(nanos))
    };
    let (delay, edit) = match track.edits[..] {
        [edit] => (0, edit),
        [
            Edit {
                duration,
                media_time: None,
            },
            edit,
        ] => (duration, edit),
        _ => return None,
    };
    let start = time(edit.media_time?, track.timescale)?;
    Some(Trim {
        delay: time(delay, movie_scale)?,
        start,
        stop: match edit.duration {
            0 => None,
            duration => Some(start + time(duration, movie_scale)?),
        },
    })
}
