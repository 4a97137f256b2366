//! How long an input is, where its header does not say, or claims what can't be.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use gstlipsync::decode::gapless;

use super::Role;
use crate::cancel::Cancel;
use crate::job::Length;
use crate::pipeline::reading::{self, Kind};
use crate::pipeline::runner::Watch;

/// Bytes a second of the smallest speech and of a video that stands still: a file with fewer claims too much.
const SLOWEST: f64 = 250.0;
/// Larger files are not read to find out. So large a one is read in a second.
const LARGEST: u64 = 64 << 20;
/// For a demuxer that is lost.
const STUCK_AFTER: Duration = Duration::from_secs(5);

/// How long the sound of an MP3 file is, by the note that its encoder has put before it: what GStreamer says
/// counts what the encoder has added, too.
pub fn noted(path: &Path) -> Option<Duration> {
    /// The note is in the first frame.
    const FRAME: u64 = 4096;
    let mut file = File::open(path).ok()?;
    let mut head = Vec::new();
    file.by_ref().take(FRAME).read_to_end(&mut head).ok()?;
    if let start @ 1.. = gapless::start_of_sound(&head) {
        head.clear();
        file.seek(SeekFrom::Start(start as u64)).ok()?;
        file.take(FRAME).read_to_end(&mut head).ok()?;
    }
    // Other sound than MPEG's does not begin so.
    let is_mpeg = matches!(head[..], [0xff, second, ..] if second & 0xe0 == 0xe0);
    gapless::length(&head)
        .filter(|_| is_mpeg)
        .map(Duration::from)
}

/// Reads all packets of a small file, without decoding them, where what was found of its length is not to be
/// believed: browsers record WebM without a length, and of a bare stream GStreamer estimates it.
pub fn measured(path: &Path, role: Role, found: Length, is_told: bool) -> Length {
    let size = std::fs::metadata(path).map_or(0, |about| about.len());
    let is_believed = match found {
        Length::Endless => true,
        Length::Known(length) => is_told && size as f64 >= length.as_secs_f64() * SLOWEST,
        Length::Unknown => false,
    };
    if is_believed {
        return found;
    }
    let otherwise = if is_told { found } else { Length::Unknown };
    if size > LARGEST {
        return otherwise;
    }
    let watch = Watch {
        stuck_after: STUCK_AFTER,
        graph: None,
    };
    let kind = match role {
        Role::Face => Kind::Video,
        Role::Speech => Kind::Audio,
    };
    // What is wrong with the file is found, and told, when it is decoded.
    let reading = reading::times(path, &watch, &Cancel::default()).ok();
    let stream = reading.as_ref().and_then(|reading| reading.longest(kind));
    match (
        found,
        stream.map(|stream| (stream.duration(), stream.slack())),
    ) {
        // What was found may be exact to the sample.
        (Length::Known(length), Some((read, slack))) if length.abs_diff(read) <= slack => found,
        (_, Some((read, _))) if !read.is_zero() => Length::Known(read),
        _ => otherwise,
    }
}
