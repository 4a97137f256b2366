//! Sets right what `mp4mux` writes of times: it does not know how long the last frame lasts, nor that
//! an encoder puts a packet of silence before the sound, and it notes when the file was made.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use gstlipsync::isobmff::boxes::{self, Body, Node, Place, put, u32_at};
use gstlipsync::isobmff::track::{Edit, Kind, Track, write_edits, write_runs};

/// What is known of the file that its muxer did not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// From the first frame's begin to the last one's end; the sound is as long.
    pub duration: Option<Duration>,
    /// Samples that the sound's encoder put before the sound.
    pub priming: u32,
}

/// Rewrites the index of the file at `path` so that a player shows every frame for its time and the
/// sound where it belongs. What the muxer noted of the present time goes, so that the same work gives
/// the same bytes. Files of other formats, and those in fragments, stay as they are.
pub fn finish(path: &Path, truth: Truth) -> io::Result<()> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let size = file.metadata()?.len();
    let places = boxes::outermost(&mut file, size)?;
    let Some(place) = places.iter().copied().find(|p| p.kind == *b"moov") else {
        return Ok(());
    };
    let Some(mut index) = boxes::read(&mut file, place)? else {
        return Ok(());
    };
    let before = index.write();
    correct(&mut index, truth);
    if index.write() == before {
        return Ok(());
    }
    match super::index::replace(&mut file, place, index.clone()) {
        Ok(()) => Ok(()),
        Err(super::index::Error::Io(e)) => Err(e),
        // The content stays where it is, since more than the index says where that is.
        Err(super::index::Error::Unknown(_) | super::index::Error::Broken) => {
            move_to_end(&mut file, place, &index.write())
        }
    }
}

/// The index goes to the end, and what it was becomes free space.
fn move_to_end(file: &mut File, place: Place, index: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(place.start + 4))?;
    file.write_all(b"free")?;
    file.seek(SeekFrom::End(0))?;
    file.write_all(index)
}

fn correct(index: &mut Node, truth: Truth) {
    forget_when_made(index);
    let in_fragments = index.each(b"mvex").next().is_some();
    if let Some(duration) = truth.duration.filter(|_| !in_fragments) {
        // An index that can't be read this far is left as it was.
        let mut corrected = index.clone();
        if set_times(&mut corrected, duration, truth.priming).is_some() {
            *index = corrected;
        }
    }
}

fn forget_when_made(node: &mut Node) {
    let is_header = [b"mvhd", b"tkhd", b"mdhd"].contains(&&node.kind);
    match &mut node.body {
        Body::Children(nodes) => nodes.iter_mut().for_each(forget_when_made),
        // A version, three bytes of flags, and the times of creation and of modification.
        Body::Data(data) if is_header => {
            let times = if data.first() == Some(&1) { 16 } else { 8 };
            if let Some(times) = data.get_mut(4..4 + times) {
                times.fill(0);
            }
        }
        Body::Data(_) => {}
    }
}

fn set_times(index: &mut Node, duration: Duration, priming: u32) -> Option<()> {
    let tracks: Vec<Option<Track>> = index.each(b"trak").map(Track::read).collect();
    // Sound is cut to the sample, so its scale is the movie's.
    let scale = tracks
        .iter()
        .flatten()
        .filter(|t| t.kind == Kind::Audio)
        .map(|t| t.timescale)
        .max()
        .unwrap_or(90_000);
    let ticks = ticks(duration, scale);
    set_header(index.data_mut(&[b"mvhd"])?, Some(scale), ticks)?;
    let traks = index
        .children_mut()
        .iter_mut()
        .filter(|n| n.kind == *b"trak");
    for (trak, track) in traks.zip(tracks) {
        if let Some(track) = track {
            set_track(trak, track, duration, ticks, priming)?;
        }
    }
    Some(())
}

fn set_track(
    trak: &mut Node,
    mut track: Track,
    duration: Duration,
    movie_ticks: u64,
    priming: u32,
) -> Option<()> {
    let mut begin = match track.kind {
        Kind::Video => track.shown_at().min()?.max(0) as u64,
        Kind::Audio => priming.into(),
    };
    let end = begin + ticks(duration, track.timescale);
    match track.kind {
        Kind::Video => {
            let length = end - begin;
            begin += u64::from(lengthen(&mut track, end));
            fill(&mut track.deltas, length);
        }
        Kind::Audio => shorten(&mut track.deltas, end),
    }
    let media_duration = track.media_duration();
    let table = |name| [b"mdia", b"minf", b"stbl", name];
    *trak.data_mut(&table(b"stts"))? = write_runs(&track.deltas);
    if let Some(offsets) = trak.data_mut(&table(b"ctts")) {
        let numbers: Vec<u32> = track.offsets.iter().map(|o| o.cast_unsigned()).collect();
        let runs = write_runs(&numbers);
        // Behind the version, which says if they have a sign.
        offsets.truncate(4);
        offsets.extend_from_slice(runs.get(4..)?);
    }
    set_header(trak.data_mut(&[b"mdia", b"mdhd"])?, None, media_duration)?;
    set_track_header(trak.data_mut(&[b"tkhd"])?, movie_ticks)?;
    let edits = write_edits(&[Edit {
        duration: movie_ticks,
        media_time: Some(begin),
    }]);
    let list = Node {
        kind: *b"edts",
        body: Body::Children(vec![Node::leaf(b"elst", edits)]),
    };
    let Body::Children(nodes) = &mut trak.body else {
        return None;
    };
    nodes.retain(|n| n.kind != *b"edts");
    let behind_header = nodes.iter().position(|n| n.kind == *b"tkhd")? + 1;
    nodes.insert(behind_header, list);
    Some(())
}

/// Lets the last sample that is shown last until `end`. Those that are decoded after it are decoded later by
/// as much, and shown when they were; where they would be decoded too late for that, all are shown later by the
/// time that is given back.
fn lengthen(track: &mut Track, end: u64) -> u32 {
    let last = track.shown_at().enumerate().max_by_key(|(_, shown)| *shown);
    let Some((last, shown)) = last else { return 0 };
    let ends = shown + i64::from(track.deltas[last]);
    let missing = i64::try_from(end).unwrap_or(i64::MAX) - ends;
    let Ok(missing @ 1..) = u32::try_from(missing) else {
        return 0;
    };
    let later = track.offsets.get(last + 1..).unwrap_or_default();
    let lacking = later
        .iter()
        .map(|offset| i64::from(missing) - i64::from(*offset));
    let lacking = lacking.max().unwrap_or(0).max(0);
    let Ok(lacking) = u32::try_from(lacking) else {
        return 0;
    };
    for (number, offset) in track.offsets.iter_mut().enumerate() {
        let less = if number > last { missing } else { 0 };
        *offset = offset
            .saturating_add_unsigned(lacking)
            .saturating_sub_unsigned(less);
    }
    track.deltas[last] = track.deltas[last].saturating_add(missing);
    lacking
}

/// Lets the media last for as long as it is shown: some programs take its length from there. The edit list
/// ends the last frame.
fn fill(deltas: &mut [u32], length: u64) {
    let sum: u64 = deltas.iter().copied().map(u64::from).sum();
    if let Some(last) = deltas.last_mut() {
        let missing = length.saturating_sub(sum).min(u32::MAX.into()) as u32;
        *last = last.saturating_add(missing);
    }
}

/// Lets the samples end at `end`: what an encoder fills its last packet with is no sound.
fn shorten(deltas: &mut [u32], end: u64) {
    let sum: u64 = deltas.iter().copied().map(u64::from).sum();
    let mut excess = sum.saturating_sub(end);
    for delta in deltas.iter_mut().rev() {
        // A packet that lasts no time is not played by some.
        let less = excess.min(delta.saturating_sub(1).into()) as u32;
        *delta -= less;
        excess -= u64::from(less);
        if excess == 0 {
            break;
        }
    }
}

fn ticks(duration: Duration, scale: u32) -> u64 {
    let ticks = (duration.as_nanos() * u128::from(scale) + 500_000_000) / 1_000_000_000;
    ticks.min(u64::MAX.into()) as u64
}

/// Scale and duration in `mvhd` or `mdhd`.
fn set_header(data: &mut [u8], scale: Option<u32>, duration: u64) -> Option<()> {
    let is_large = *data.first()? == 1;
    let at = if is_large { 20 } else { 12 };
    u32_at(data, at)?;
    if let Some(scale) = scale {
        put(data, at, &scale.to_be_bytes())?;
    }
    put_duration(data, at + 4, is_large, duration)
}

fn set_track_header(data: &mut [u8], duration: u64) -> Option<()> {
    match *data.first()? {
        1 => put_duration(data, 28, true, duration),
        _ => put_duration(data, 20, false, duration),
    }
}

fn put_duration(data: &mut [u8], at: usize, is_large: bool, duration: u64) -> Option<()> {
    match is_large {
        true => put(data, at, &duration.to_be_bytes()),
        // All ones mean that it can't be said in 32 bits; the edit list says it.
        false => {
            let duration = u32::try_from(duration).unwrap_or(u32::MAX);
            put(data, at, &duration.to_be_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_packet_gives_way_and_the_last_frame_stays() {
        let mut sound = vec![1024; 4];
        shorten(&mut sound, 1024 + 1500);
        assert_eq!(sound, [1024, 1024, 475, 1]);
        shorten(&mut sound, 9000);
        assert_eq!(sound, [1024, 1024, 475, 1]);
        let mut picture = Track {
            kind: Kind::Video,
            timescale: 1000,
            deltas: vec![40; 3],
            offsets: Vec::new(),
            edits: Vec::new(),
        };
        lengthen(&mut picture, 200);
        assert_eq!(picture.deltas, [40, 40, 120]);
        lengthen(&mut picture, 100);
        assert_eq!(picture.deltas, [40, 40, 120]);
        // Shown later than decoded, as with frames that look ahead: the end is where it should be, and the
        // header's rate stays true.
        picture.deltas = vec![40; 3];
        picture.offsets = vec![80, 80, 80];
        lengthen(&mut picture, 200);
        assert_eq!(picture.deltas, [40; 3]);
        fill(&mut picture.deltas, 120);
        assert_eq!(picture.deltas, [40; 3]);
        fill(&mut picture.deltas, 130);
        assert_eq!(picture.deltas, [40, 40, 50]);
        picture.deltas = vec![40; 3];
        // The last that is shown is decoded before another one.
        picture.offsets = vec![40, 100, 40];
        lengthen(&mut picture, 200);
        assert_eq!(picture.deltas, [40, 60, 40]);
        assert_eq!(picture.offsets, [40, 100, 20]);
        assert_eq!(picture.shown_at().collect::<Vec<_>>(), [40, 140, 120]);
        // That one would be decoded after it is shown: all are shown later.
        picture.deltas = vec![40; 3];
        picture.offsets = vec![40, 100, 10];
        assert_eq!(lengthen(&mut picture, 200), 10);
        assert_eq!(picture.deltas, [40, 60, 40]);
        assert_eq!(picture.offsets, [50, 110, 0]);
        assert_eq!(picture.shown_at().collect::<Vec<_>>(), [50, 150, 100]);
    }

    #[test]
    fn only_the_times_of_making_go_where_nothing_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mp4");
        // Version 0 has times of 4 bytes, version 1 of 8, behind the version and three bytes of flags.
        let header = |kind: &[u8; 4], version: u8, time: u8| {
            let times = if version == 0 { 8 } else { 16 };
            Node::leaf(
                kind,
                [vec![version, 9, 9, 9], vec![time; times], vec![7; 20]].concat(),
            )
        };
        let branch = |kind: &[u8; 4], nodes| Node {
            kind: *kind,
            body: Body::Children(nodes),
        };
        let file = |time: u8| {
            let media = branch(b"mdia", vec![header(b"mdhd", 1, time)]);
            let track = branch(b"trak", vec![header(b"tkhd", 0, time), media]);
            let movie = branch(b"moov", vec![header(b"mvhd", 0, time), track]);
            // What only looks like a header is content.
            let content = Node::leaf(b"mdat", header(b"mvhd", 0, 5).write());
            [movie.write(), content.write()].concat()
        };
        std::fs::write(&path, file(5)).unwrap();
        finish(&path, Truth::default()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), file(0));

        let other = b"RIFF, or anything else".to_vec();
        std::fs::write(&path, &other).unwrap();
        finish(&path, Truth::default()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), other);
    }
}
