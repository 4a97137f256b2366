//! The index of a movie, put so that `qtdemux` of GStreamer 1.22 plays what is in it.
//!
//! - It holds the end of the movie against times in the media: of what an edit list trims at its start, as
//!   much is lost at its end, of a picture from the next whole one on. So the movie is given an end that no
//!   track passes, and asked for its length it says the old one. The lists of sound are not shown to it at
//!   all: they are read as the index passes, and put into the segments of the tracks.
//! - It leaves out a track that lasts for less than a fifth of the movie, as if it were a preview: a picture
//!   that stays, or a few words in a long video. The only one of its kind is told to be longer.
//! - It reads the shape of the pixels for some codecs only.

use std::sync::{Arc, Mutex};

use gst::prelude::*;

use super::editlist::{self, Trim, time};
use super::events::{change_caps, change_segments, shaped};
use crate::isobmff::boxes::{self, Node, put, u32_at};
use crate::isobmff::track::{Kind, Track};
use crate::sync::lock;

/// What was found in an index.
#[derive(Default)]
struct Found {
    /// Of each sound track, in the order of the file.
    trims: Vec<Option<Trim>>,
    /// Of each picture, the width of a pixel to its height.
    aspects: Vec<Option<gst::Fraction>>,
    /// How long the movie says that it lasts, if it was told to say something else.
    claimed: Option<gst::ClockTime>,
}

/// Sees that a demuxer that has not begun to read plays all that is there, for its time.
pub fn apply(demuxer: &gst::Element) {
    let found = Arc::<Mutex<Found>>::default();
    let Some(sink) = demuxer.static_pad("sink") else {
        return;
    };
    let on_index = found.clone();
    let pulled = gst::PadProbeType::PULL | gst::PadProbeType::BUFFER;
    sink.add_probe(pulled, move |_, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data
            && let Some((changed, found)) = read(buffer)
        {
            if let Some(changed) = changed {
                *buffer = changed;
            }
            *lock(&on_index) = found;
        }
        gst::PadProbeReturn::Ok
    });
    demuxer.connect_pad_added(move |_, pad| {
        let found = lock(&found);
        if let Some(claimed) = found.claimed {
            answer(pad, claimed);
        }
        if let Some(trim) = of_pad(pad, "audio_", &found.trims) {
            // The segment is sent after the pad was added.
            change_segments(pad, move |segment| trim.segment(segment));
        }
        if let Some(aspect) = of_pad(pad, "video_", &found.aspects) {
            change_caps(pad, move |caps| Some(shaped(caps, aspect)));
        }
    });
}

/// What is known of the track of that pad.
fn of_pad<T: Copy>(pad: &gst::Pad, kind: &str, known: &[Option<T>]) -> Option<T> {
    let number: usize = pad.name().strip_prefix(kind)?.parse().ok()?;
    known.get(number).copied().flatten()
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

/// What is in the buffer, if it is an index, and another one in its place where something must be changed.
fn read(buffer: &gst::Buffer) -> Option<(Option<gst::Buffer>, Found)> {
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
    let mut found = Found::default();
    let mut end = claimed;
    let mut is_changed = false;
    for trak in index.children_mut().iter_mut() {
        let Some(track) = (trak.kind == *b"trak").then(|| Track::read(trak)).flatten() else {
            continue;
        };
        let trim = editlist::of_edits(&track, scale);
        match track.kind {
            Kind::Audio => found.trims.push(trim),
            Kind::Video => found.aspects.push(aspect(trak)),
        }
        if is_alone(track.kind) {
            is_changed |= lengthen(trak, &track, claimed, scale).is_some();
        }
        let Some(trim) = trim else { continue };
        if track.kind == Kind::Audio {
            editlist::free_edits(trak);
            is_changed = true;
        }
        if track.kind == Kind::Audio || !trim.start.is_zero() {
            end = end.max(last_end(&track, scale)?);
        }
    }
    if !is_changed && end == claimed {
        return Some((None, found));
    }
    let header = index.data_mut(&[b"mvhd"])?;
    match is_large {
        true => put(header, 24, &end.to_be_bytes())?,
        false => put(header, 16, &u32::try_from(end).ok()?.to_be_bytes())?,
    }
    let bytes = index.write();
    // What follows lies where the index says.
    if bytes.len() != map.len() {
        return None;
    }
    drop(map);
    found.claimed = time(claimed, scale);
    Some((Some(gst::Buffer::from_slice(bytes)), found))
}

/// The shape of the pixels in the first description of a picture track.
fn aspect(trak: &Node) -> Option<gst::Fraction> {
    let table = trak.data(&[b"mdia", b"minf", b"stbl", b"stsd"])?;
    // Version, number of entries, and of an entry length, name and 78 bytes that each has.
    let length = usize::try_from(u32_at(table, 8)?).ok()?;
    let boxes = boxes::parse(*b"stsd", table.get(8 + 86..8_usize.checked_add(length)?)?)?;
    let pasp = boxes.data(&[b"pasp"])?;
    let number = |at| i32::try_from(u32_at(pasp, at)?).ok().filter(|n| *n > 0);
    let (wide, high) = (number(0)?, number(4)?);
    Some(gst::Fraction::new(wide, high))
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
