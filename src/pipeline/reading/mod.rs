//! What a player shows of a file, and when: every stream with the times of all its frames. Nothing is
//! decoded.
//!
//! `lipflow verify` prints it, a job holds its output against it, and so do the tests.

mod animation;
pub mod odd;
mod tap;

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::mp4;
pub use super::mp4::Trim;
use super::runner::Watch;
use crate::cancel::Cancel;
use crate::error::{Failure, FailureKind};

/// Containers that count in milliseconds are off by as much at both ends.
pub const ROUNDING: Duration = Duration::from_millis(2);

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// In words; absent for a stream without a container.
    pub container: Option<String>,
    /// How long the container says that it lasts.
    pub claimed: Option<Duration>,
    pub streams: Vec<Stream>,
    /// What says who made it, when and where.
    pub tags: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Video,
    Audio,
    Other,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    pub kind: Kind,
    /// In words.
    pub codec: String,
    pub picture: Option<Picture>,
    pub sound: Option<Sound>,
    /// Chosen by a player that is not told which; absent where the container can't say.
    pub is_default: Option<bool>,
    /// The edit list of an MP4 file leaves so much out at the beginning, or waits so long before it.
    pub trim: Option<Trim>,
    /// Frames, or packets of sound, in the order in which they are shown.
    pub times: Vec<Shown>,
    /// Whether the end of the last one is known, and not taken from the one before it.
    pub has_end: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    pub start: Duration,
    pub end: Duration,
}

/// As the file states it.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Of the picture as it is stored, before it is turned.
    pub width: u32,
    pub height: u32,
    /// Width of a pixel to its height.
    pub aspect: (u32, u32),
    pub fps: Option<(u32, u32)>,
    /// Degrees clockwise by which a player turns it.
    pub rotation: u32,
    pub is_mirrored: bool,
    /// As GStreamer writes it (`bt709`, `1:4:0:1`); absent where the file does not say.
    pub colorimetry: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sound {
    pub rate: u32,
    pub channels: u32,
}

impl Reading {
    /// The stream of that kind with the most frames: covers and comments are shorter.
    pub fn longest(&self, kind: Kind) -> Option<&Stream> {
        let of_kind = self.streams.iter().filter(|s| s.kind == kind);
        of_kind.max_by_key(|s| s.times.len())
    }
}

impl Stream {
    pub fn start(&self) -> Duration {
        self.times.first().map(|t| t.start).unwrap_or_default()
    }

    pub fn end(&self) -> Duration {
        self.times.iter().map(|t| t.end).max().unwrap_or_default()
    }

    /// From the first moment to the last.
    pub fn duration(&self) -> Duration {
        self.end().saturating_sub(self.start())
    }

    /// How long each frame stays: until the next one comes.
    pub fn stays(&self) -> impl Iterator<Item = Duration> {
        let next = self.times.iter().skip(1).map(|t| t.start);
        let last = self.times.last().map(|t| t.end);
        let ends = next.chain(last);
        self.times
            .iter()
            .zip(ends)
            .map(|(t, end)| end.saturating_sub(t.start))
    }

    /// Frames a second, measured.
    pub fn rate(&self) -> Option<f64> {
        let seconds = self.duration().as_secs_f64();
        (self.times.len() > 1 && seconds > 0.0).then(|| self.times.len() as f64 / seconds)
    }

    /// How far the true end may be from [`end`](Self::end), for all that the container says.
    pub fn slack(&self) -> Duration {
        // Sound comes in packets, so its end can't be had more exactly than to one of them.
        let packet = match self.kind {
            Kind::Audio => self.times.iter().map(|t| t.end - t.start).max(),
            _ => None,
        };
        let guess = match (self.has_end, self.times.as_slice()) {
            // It may last as long as the one before it.
            (false, [.., before, last]) => last.start - before.start,
            _ => Duration::ZERO,
        };
        ROUNDING + packet.unwrap_or_default().max(guess)
    }
}

/// Reads all that the file says of itself and its frames.
pub fn read(path: &Path, watch: &Watch, cancel: &Cancel) -> Result<Reading, Failure> {
    if let Some(animation) = animation::read(path)? {
        return Ok(animation);
    }
    let mut reading = tap::read(path, watch, cancel)?;
    if let Some(tracks) = index(path)? {
        for kind in [Kind::Video, Kind::Audio] {
            let shown = tracks.iter().filter(|t| kind_of(t.kind) == kind);
            let streams = reading.streams.iter_mut().filter(|s| s.kind == kind);
            for (stream, shown) in streams.zip(shown) {
                stream.take(shown);
            }
        }
    }
    Ok(reading)
}

/// Only the times, for which the index of an MP4 file is enough.
pub fn times(path: &Path, watch: &Watch, cancel: &Cancel) -> Result<Reading, Failure> {
    if let Some(animation) = animation::read(path)? {
        return Ok(animation);
    }
    let Some(tracks) = index(path)? else {
        return tap::read(path, watch, cancel);
    };
    let streams = tracks.iter().map(|shown| {
        let mut stream = Stream::new(kind_of(shown.kind));
        stream.take(shown);
        stream
    });
    Ok(Reading {
        streams: streams.collect(),
        ..Reading::default()
    })
}

/// The degrees in a GStreamer orientation tag such as `rotate-90` or `flip-rotate-90`.
pub fn rotation_of(orientation: &str) -> u32 {
    orientation
        .rsplit('-')
        .next()
        .and_then(|degrees| degrees.parse().ok())
        .unwrap_or(0)
}

/// A rate as a number.
pub fn fps_of((numerator, denominator): (u32, u32)) -> f64 {
    f64::from(numerator) / f64::from(denominator)
}

fn index(path: &Path) -> Result<Option<Vec<mp4::Shown>>, Failure> {
    mp4::timeline(path).map_err(|e| Failure::of(FailureKind::InputUnreadable, path).detail(e))
}

fn kind_of(kind: mp4::Kind) -> Kind {
    match kind {
        mp4::Kind::Video => Kind::Video,
        mp4::Kind::Audio => Kind::Audio,
    }
}

impl Stream {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            codec: String::new(),
            picture: None,
            sound: None,
            is_default: None,
            trim: None,
            times: Vec::new(),
            has_end: true,
        }
    }

    /// What the index says of the times is exact; demuxers round, and know nothing of some edit lists.
    fn take(&mut self, shown: &mp4::Shown) {
        let times = shown.frames.iter();
        self.times = times.map(|&(start, end)| Shown { start, end }).collect();
        self.trim = shown.trim;
        self.has_end = true;
    }
}

#[cfg(test)]
pub mod testing {
    use super::*;

    /// Frames or packets that last so many milliseconds each.
    pub fn stream(kind: Kind, lengths_ms: &[u64]) -> Stream {
        let mut stream = Stream::new(kind);
        let mut start = Duration::ZERO;
        for length in lengths_ms {
            let end = start + Duration::from_millis(*length);
            stream.times.push(Shown { start, end });
            start = end;
        }
        stream
    }
}

#[cfg(test)]
mod tests {
    use super::testing::stream;
    use super::*;

    #[test]
    fn a_frame_stays_until_the_next_one_comes() {
        let mut video = stream(Kind::Video, &[40, 40, 40]);
        video.times[2].start += Duration::from_millis(100);
        video.times[2].end += Duration::from_millis(100);
        let stays: Vec<u128> = video.stays().map(|d| d.as_millis()).collect();
        assert_eq!(stays, [40, 140, 40]);
        assert_eq!(video.duration(), Duration::from_millis(220));
        assert_eq!(video.slack(), ROUNDING);
        video.has_end = false;
        assert_eq!(video.slack(), ROUNDING + Duration::from_millis(140));
        let audio = stream(Kind::Audio, &[21, 21]);
        assert_eq!(audio.slack(), ROUNDING + Duration::from_millis(21));
    }

    #[test]
    fn orientations_turn_by_degrees() {
        assert_eq!(rotation_of("rotate-90"), 90);
        assert_eq!(rotation_of("flip-rotate-270"), 270);
        assert_eq!(rotation_of("rotate-0"), 0);
    }
}
