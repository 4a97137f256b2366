//! What a player shows of a file, and when.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use gstlipsync::isobmff::boxes::{self, Node, u32_at};
use gstlipsync::isobmff::track::{Kind, Track};

/// One track as it is played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Picture or sound.
    pub kind: Kind,
    /// Begin and end of each frame, or packet of sound, in the order in which they are shown.
    pub frames: Vec<(Duration, Duration)>,
    /// What the edit list changes at the beginning.
    pub trim: Option<Trim>,
}

/// What an edit list does to the beginning of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trim {
    /// So much of the media is skipped.
    Skips(Duration),
    /// Nothing is shown for so long.
    Waits(Duration),
}

/// The index of an MP4 or QuickTime file.
pub struct Index(Node);

impl Index {
    /// Nothing for a file of another kind.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let places = boxes::outermost(&mut file, size)?;
        let Some(place) = places.iter().find(|p| p.kind == *b"moov") else {
            return Ok(None);
        };
        Ok(boxes::read(&mut file, *place)?.map(Self))
    }

    /// How many tracks of all kinds it names.
    pub fn tracks(&self) -> u64 {
        self.0.each(b"trak").count() as u64
    }

    /// How many samples it claims of the track of pictures that has the most.
    pub fn most_samples_of_a_picture(&self) -> u64 {
        let samples = |track: &Node| {
            let handler = track.data(&[b"mdia", b"hdlr"])?;
            (handler.get(8..12)? == b"vide").then_some(())?;
            // Behind the version and the size that all have.
            let sizes = track.data(&[b"mdia", b"minf", b"stbl", b"stsz"])?;
            u32_at(sizes, 8)
        };
        let most = self.0.each(b"trak").filter_map(samples).max();
        most.unwrap_or(0).into()
    }

    /// The tracks of picture and sound; nothing where they are in fragments.
    pub fn timeline(&self) -> Option<Vec<Shown>> {
        of_index(&self.0)
    }
}

/// The tracks of picture and sound; nothing for a file of another kind, or one in fragments.
pub fn timeline(path: &Path) -> io::Result<Option<Vec<Shown>>> {
    Ok(Index::read(path)?.and_then(|index| index.timeline()))
}

fn of_index(index: &Node) -> Option<Vec<Shown>> {
    if index.each(b"mvex").next().is_some() {
        return None;
    }
    let header = index.data(&[b"mvhd"])?;
    let movie_scale = u32_at(header, if *header.first()? == 1 { 20 } else { 12 })?;
    let tracks = index.each(b"trak").filter_map(Track::read);
    Some(tracks.map(|track| of_track(&track, movie_scale)).collect())
}

fn of_track(track: &Track, movie_scale: u32) -> Shown {
    let mut samples: Vec<(i64, i64)> = track
        .shown_at()
        .zip(&track.deltas)
        .map(|(start, delta)| (start, start + i64::from(*delta)))
        .collect();
    samples.sort_unstable();
    // A frame stays until the next one comes.
    for i in 1..samples.len() {
        samples[i - 1].1 = samples[i].0;
    }
    let scale = i128::from(track.timescale);
    let time = |ticks: i128| {
        let nanos = (ticks.max(0) * 1_000_000_000 + scale / 2) / scale;
        Duration::from_nanos(nanos as u64)
    };
    let mut frames = Vec::new();
    if track.edits.is_empty() {
        frames.extend(
            samples
                .iter()
                .map(|&(a, b)| (time(a.into()), time(b.into()))),
        );
    }
    // In the movie's time scale.
    let mut played = 0_i128;
    for edit in &track.edits {
        let begin = played * scale / i128::from(movie_scale.max(1));
        played += i128::from(edit.duration);
        let length = match edit.duration {
            // To the end of the media.
            0 => i128::MAX / 2,
            duration => {
                // Rounded up: half a tick of the movie is no frame that is lost.
                let movie_scale = i128::from(movie_scale.max(1));
                (i128::from(duration) * scale + movie_scale - 1) / movie_scale
            }
        };
        let Some(media_time) = edit.media_time.map(i128::from) else {
            continue;
        };
        for &(start, end) in &samples {
            let (start, end) = (i128::from(start) - media_time, i128::from(end) - media_time);
            // What lasts for less than a tick is there all the same.
            if start < length && (end > 0 || start >= 0) {
                let (start, end) = (start.max(0), end.min(length));
                frames.push((time(begin + start), time(begin + end)));
            }
        }
    }
    let first = samples.first().map_or(0, |(start, _)| i128::from(*start));
    Shown {
        kind: track.kind,
        frames,
        trim: trim(track, |ticks| time(ticks - first), movie_scale),
    }
}

/// `skipped` gives how much of the media is before a time in it.
fn trim(track: &Track, skipped: impl Fn(i128) -> Duration, movie_scale: u32) -> Option<Trim> {
    let waits = track.edits.iter().take_while(|e| e.media_time.is_none());
    let ticks: u64 = waits.map(|edit| edit.duration).sum();
    if ticks > 0 {
        let seconds = ticks as f64 / f64::from(movie_scale.max(1));
        return Some(Trim::Waits(Duration::from_secs_f64(seconds)));
    }
    let media_time = track.edits.first()?.media_time?;
    let skipped = skipped(media_time.into());
    (!skipped.is_zero()).then_some(Trim::Skips(skipped))
}

#[cfg(test)]
mod tests {
    use gstlipsync::isobmff::track::Edit;

    use super::*;

    fn ms(v: u64) -> Duration {
        Duration::from_millis(v)
    }

    /// Four frames of 40 ms, the last of 120; the third is decoded before the second.
    fn track(edits: Vec<Edit>) -> Track {
        Track {
            kind: Kind::Video,
            timescale: 1000,
            deltas: vec![40, 40, 40, 120],
            offsets: vec![80, 120, 40, 80],
            edits,
        }
    }

    #[test]
    fn frames_are_shown_as_the_edit_list_says() {
        let edit = |duration, media_time| Edit {
            duration,
            media_time,
        };
        let of = |edits| of_track(&track(edits), 100).frames;
        let whole = [(0, 40), (40, 80), (80, 120), (120, 240)];
        let times =
            |list: &[(u64, u64)]| -> Vec<_> { list.iter().map(|&(a, b)| (ms(a), ms(b))).collect() };
        assert_eq!(of(vec![edit(24, Some(80))]), times(&whole));
        // One that ends too early hides the last frame.
        assert_eq!(of(vec![edit(12, Some(80))]), times(&whole[..3]));
        assert_eq!(
            of(vec![edit(5, None), edit(6, Some(120))]),
            times(&[(50, 90), (90, 110)])
        );
        assert_eq!(of(Vec::new()).first(), Some(&(ms(80), ms(120))));

        let trim = |edits| of_track(&track(edits), 100).trim;
        assert_eq!(trim(vec![edit(24, Some(80))]), None);
        assert_eq!(trim(vec![edit(20, Some(120))]), Some(Trim::Skips(ms(40))));
        let waits = vec![edit(5, None), edit(6, Some(80))];
        assert_eq!(trim(waits), Some(Trim::Waits(ms(50))));
    }
}
