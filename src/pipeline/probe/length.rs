//! How long an input is, where its header does not say, or claims what can't be.

use std::path::Path;
use std::time::Duration;

use super::Role;
use crate::cancel::Cancel;
use crate::error::{Failure, FailureKind};
use crate::job::{self, Length};
use crate::pipeline::reading::odd::seconds;
use crate::pipeline::reading::{self, Kind, Stream};
use crate::pipeline::runner::Watch;

/// Bytes a second of the smallest speech and of a video that stands still: a file with fewer claims too much.
const SLOWEST: f64 = 250.0;
/// Larger files are not read to find out. So large a one is read in a second.
const LARGEST: u64 = 64 << 20;
/// For a demuxer that is lost.
const STUCK_AFTER: Duration = Duration::from_secs(5);

/// What is believed of a length that was found: a file with too few bytes for it claims too much.
pub fn is_believed(path: &Path, found: Length, is_told: bool) -> bool {
    match found {
        Length::Endless => true,
        Length::Known(length) => {
            let size = std::fs::metadata(path).map_or(0, |about| about.len());
            is_told && size as f64 >= length.as_secs_f64() * SLOWEST
        }
        Length::Unknown => false,
    }
}

/// Reads all packets of a small file, without decoding them, for what its header does not say: browsers record
/// WebM without a length, of a bare stream GStreamer estimates it, and a rate is a claim.
pub fn read(path: &Path, role: Role) -> Option<Stream> {
    let size = std::fs::metadata(path).ok()?.len();
    (size <= LARGEST).then_some(())?;
    let watch = Watch {
        stuck_after: STUCK_AFTER,
        graph: None,
    };
    let kind = match role {
        Role::Face => Kind::Video,
        Role::Speech => Kind::Audio,
    };
    // What is wrong with the file is found, and told, when it is decoded.
    let reading = reading::times(path, &watch, &Cancel::default()).ok()?;
    let streams = reading.streams.into_iter();
    streams
        .filter(|stream| stream.kind == kind)
        .max_by_key(|stream| stream.times.len())
        .filter(|stream| !stream.duration().is_zero())
}

/// The length of a file of which another is not believed. What says so, and is much shorter, has lost its end;
/// a claim of more than the `longest` is none.
pub fn of_stream(
    stream: Option<&Stream>,
    found: Length,
    is_told: bool,
    longest: Duration,
) -> Result<Length, Failure> {
    Ok(match (found, stream) {
        // What was found may be exact to the sample.
        (Length::Known(length), Some(stream))
            if length.abs_diff(stream.duration()) <= stream.slack() =>
        {
            found
        }
        (Length::Known(length), Some(stream))
            if is_told && length <= longest && job::is_cut_short(length, stream.duration()) =>
        {
            return Err(Failure::new(FailureKind::InputDamaged).detail(format_args!(
                "it says that it lasts {}, but what is in it ends after {}",
                seconds(length),
                seconds(stream.duration())
            )));
        }
        (_, Some(stream)) => Length::Known(stream.duration()),
        (_, None) if is_told => found,
        (_, None) => Length::Unknown,
    })
}
