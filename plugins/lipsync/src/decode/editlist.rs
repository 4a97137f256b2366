//! Edit lists, and tracks that are much shorter than their movie.
//!
//! `qtdemux` of GStreamer 1.22 holds the end of the movie against times in the media: of what was trimmed
//! at its start as much is lost at its end, of a picture from the next whole one on. So the movie is given
//! an end that no track passes, and only asked for its length it says the old one. Those of sound are not
//! shown at all: they are read out of the index as it passes, and put into the segments of the tracks.
//!
//! It also leaves out a track that lasts for less than a fifth of the movie, as if it were a preview: a
//! picture that stays, or a few words in a long video. The only one of its kind is told to be longer.

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

/// What was changed in an index.
#[derive(Default)]
struct Hidden {
    /// In the order of the file's sound tracks.
    trims: Vec<Option<Trim>>,
    /// How long the movie says that it lasts.
    claimed: Option<gst::ClockTime>,
}

/// Takes the edit lists of sound upon us and sees that pictures come to their end, for a demuxer that has not
/// begun to read.
pub fn apply(demuxer: &gst::Element) {
    let changed = Arc::<Mutex<Hidden>>::default();
    let Some(sink) = demuxer.static_pad("sink") else {
        return;
    };
    let found = changed.clone();
    let pulled = gst::PadProbeType::PULL | gst::PadProbeType::BUFFER;
    sink.add_probe(pulled, move |_, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data
            && let Some((index, hidden)) = hide(buffer)
        {
            *buffer = index;
            *found.lock().unwrap() = hidden;
            return gst::PadProbeReturn::Ok;
        }
        gst::PadProbeReturn::Ok
    });
    demuxer.connect_pad_added(move |_, pad| {
        let hidden = changed.lock().unwrap();
        if let Some(claimed) = hidden.claimed {
            answer(pad, claimed);
        }
        let number = pad.name().strip_prefix("audio_").map(str::parse::<usize>);
        let Some(Ok(number)) = number else { return };
        let Some(trim) = hidden.trims.get(number).copied().flatten() else {
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

/// Lets the pad say that the file lasts so long.
fn answer(pad: &gst::Pad, claimed: gst::ClockTime) {
    let answered = gst::PadProbeType::QUERY_UPSTREAM | gst::PadProbeType::PULL;
    pad.add_probe(answered, move |_, info| {
        if let Some(gst::PadProbeData::Query(query)) = &mut info.data
            && let gst::QueryViewMut::Duration(query) = query.view_mut()
            && query.format() == gst::Format::Time
        {
            query.set(claimed);
        }
        gst::PadProbeReturn::Ok
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

/// The buffer with the edit lists of sound made free space and a later end of the movie, if it is an index
/// in which there are such.
fn hide(buffer: &gst::Buffer) -> Option<(gst::Buffer, Hidden)> {
    let map = buffer.map_readable().ok()?;
    let content = map.get(8..).filter(|_| map.get(4..8) == Some(b"moov"))?;
    let mut index = boxes::parse(*b"moov", content)?;
    if index.each(b"mvex").next().is_some() {
        return None;
    }
    let header = index.data(&[b"mvhd"])?;
    let is_large = *header.first()? == 1;
    let scale = u32_at(header, if is_large { 20 } else { 12 }).filter(|s| *s > 0)?;
    let claimed = match is_large {
        true => boxes::u64_at(header, 24)?,
        false => u32_at(header, 16)?.into(),
    };
    let kinds = index.each(b"trak").filter_map(Track::read);
    let kinds: Vec<Kind> = kinds.map(|track| track.kind).collect();
    let is_alone = |kind: Kind| kinds.iter().filter(|k| **k == kind).count() == 1;
    let mut trims = Vec::new();
    let mut end = claimed;
    let mut is_changed = false;
    for trak in index.children_mut().iter_mut() {
        let Some(track) = (trak.kind == *b"trak").then(|| Track::read(trak)).flatten() else {
            continue;
        };
        let trim = of_edits(&track, scale);
        if track.kind == Kind::Audio {
            trims.push(trim);
        }
        if is_alone(track.kind) {
            is_changed |= lengthen(trak, &track, claimed, scale).is_some();
        }
        let Some(trim) = trim else { continue };
        if track.kind == Kind::Audio {
            free_edits(trak);
            is_changed = true;
        }
        if track.kind == Kind::Audio || !trim.start.is_zero() {
            end = end.max(last_end(&track, scale)?);
        }
    }
    if !is_changed && end == claimed {
        return None;
    }
    let header = index.data_mut(&[b"mvhd"])?;
    match is_large {
        true => put(header, 24, &end.to_be_bytes())?,
        false => put(header, 16, &u32::try_from(end).ok()?.to_be_bytes())?,
    }
    let bytes = index.write();
    let same_size = bytes.len() == map.len();
    drop(map);
    let hidden = Hidden {
        trims,
        claimed: time(claimed, scale),
    };
    same_size.then(|| (gst::Buffer::from_slice(bytes), hidden))
}

/// Lets a track that is taken for a preview say that it lasts a quarter of the movie.
fn lengthen(trak: &mut Node, track: &Track, movie: u64, movie_scale: u32) -> Option<()> {
    let header = trak.data_mut(&[b"mdia", b"mdhd"])?;
    let is_large = *header.first()? == 1;
    let own = match is_large {
        true => boxes::u64_at(header, 24)?,
        false => u32_at(header, 16)?.into(),
    };
    let movie = u128::from(movie) * u128::from(track.timescale) / u128::from(movie_scale);
    let quarter = u64::try_from(movie / 4)
        .ok()
        .filter(|quarter| own < *quarter)?;
    match is_large {
        true => put(header, 24, &quarter.to_be_bytes()),
        false => put(header, 16, &u32::try_from(quarter).ok()?.to_be_bytes()),
    }
}

/// When the last sample of the track ends, in the time scale of the movie, rounded up.
fn last_end(track: &Track, movie_scale: u32) -> Option<u64> {
    let samples = track.shown_at().zip(&track.deltas);
    let last = samples
        .map(|(start, delta)| start + i64::from(*delta))
        .max();
    let ticks = u128::try_from(last?).ok()? * u128::from(movie_scale);
    u64::try_from(ticks.div_ceil(u128::from(track.timescale))).ok()
}

fn time(ticks: u64, scale: u32) -> Option<gst::ClockTime> {
    let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(scale);
    let nanos = u64::try_from(nanos).ok()?;
    (nanos < u64::MAX / 4).then(|| gst::ClockTime::from_nseconds(nanos))
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
