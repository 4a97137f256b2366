//! What one track of an MP4 or QuickTime file says of its times.

use super::boxes::{Node, u32_at, u64_at};

/// More samples than a day of 120 frames a second are not believed.
const MOST_SAMPLES: u64 = 16_000_000;

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// An entry of the edit list: so much of the track, from a time in its media or from nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// In the movie's time scale.
    pub duration: u64,
    /// In the track's time scale; nothing is shown where it is absent.
    pub media_time: Option<u64>,
}

/// The times of one track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// What it carries.
    pub kind: Kind,
    /// Units a second of all its times but those of [`Edit::duration`].
    pub timescale: u32,
    /// Of samples in decoding order: how long after the one before it each is decoded.
    pub deltas: Vec<u32>,
    /// How much later each is shown; empty where all are shown when they are decoded.
    pub offsets: Vec<i32>,
    /// The edit list; empty where there is none, and then all of the media is shown from its beginning.
    pub edits: Vec<Edit>,
}

impl Track {
    /// Nothing where the box is no picture or sound, or contradicts itself.
    pub fn read(trak: &Node) -> Option<Self> {
        let handler = trak.data(&[b"mdia", b"hdlr"])?;
        let kind = match handler.get(8..12)? {
            b"vide" => Kind::Video,
            b"soun" => Kind::Audio,
            _ => return None,
        };
        let header = trak.data(&[b"mdia", b"mdhd"])?;
        let timescale = u32_at(header, if *header.first()? == 1 { 20 } else { 12 })?;
        let table = |name| trak.data(&[b"mdia", b"minf", b"stbl", name]);
        Some(Self {
            kind,
            timescale: (timescale > 0).then_some(timescale)?,
            deltas: runs(table(b"stts")?)?,
            offsets: match table(b"ctts") {
                // Version 0 has unsigned offsets, which writers fill with signed ones all the same.
                Some(data) => runs(data)?.into_iter().map(u32::cast_signed).collect(),
                None => Vec::new(),
            },
            edits: match trak.data(&[b"edts", b"elst"]) {
                Some(data) => edits(data)?,
                None => Vec::new(),
            },
        })
    }

    /// When each sample is shown, in decoding order and in the track's own time.
    pub fn shown_at(&self) -> impl Iterator<Item = i64> {
        let mut decoded = 0;
        self.deltas.iter().enumerate().map(move |(i, delta)| {
            let offset = self.offsets.get(i).copied().unwrap_or(0);
            let shown = decoded + i64::from(offset);
            decoded += i64::from(*delta);
            shown
        })
    }

    /// Length of all samples together, in units of [`Self::timescale`].
    pub fn media_duration(&self) -> u64 {
        self.deltas.iter().copied().map(u64::from).sum()
    }
}

/// A table of runs: how many times, which value.
fn runs(table: &[u8]) -> Option<Vec<u32>> {
    let entries = u32_at(table, 4)? as usize;
    let mut values = Vec::new();
    for entry in 0..entries {
        let count = u32_at(table, 8 + 8 * entry)?;
        let value = u32_at(table, 12 + 8 * entry)?;
        if values.len() as u64 + u64::from(count) > MOST_SAMPLES {
            return None;
        }
        values.extend(std::iter::repeat_n(value, count as usize));
    }
    Some(values)
}

/// A table of runs for those values.
pub fn write_runs(values: &[u32]) -> Vec<u8> {
    let runs: Vec<&[u32]> = values.chunk_by(|a, b| a == b).collect();
    let mut table = vec![0; 4];
    table.extend((runs.len() as u32).to_be_bytes());
    for run in runs {
        table.extend((run.len() as u32).to_be_bytes());
        table.extend(run.first().copied().unwrap_or(0).to_be_bytes());
    }
    table
}

fn edits(list: &[u8]) -> Option<Vec<Edit>> {
    let is_large = *list.first()? == 1;
    let entries = u32_at(list, 4)? as usize;
    let size = if is_large { 20 } else { 12 };
    (0..entries)
        .map(|entry| {
            let at = 8 + size * entry;
            Some(if is_large {
                Edit {
                    duration: u64_at(list, at)?,
                    media_time: u64_at(list, at + 8).filter(|t| *t != u64::MAX),
                }
            } else {
                let media_time = u32_at(list, at + 4)?;
                Edit {
                    duration: u32_at(list, at)?.into(),
                    media_time: (media_time != u32::MAX).then_some(media_time.into()),
                }
            })
        })
        .collect()
}

/// The edit list as a box's content, with numbers of 64 bits.
pub fn write_edits(edits: &[Edit]) -> Vec<u8> {
    let mut list = vec![1, 0, 0, 0];
    list.extend((edits.len() as u32).to_be_bytes());
    for edit in edits {
        list.extend(edit.duration.to_be_bytes());
        list.extend(edit.media_time.unwrap_or(u64::MAX).to_be_bytes());
        // Played at normal speed.
        list.extend([0, 1, 0, 0]);
    }
    list
}
