//! GIF: GStreamer's demuxer gives its frames no times, and never ends.

use std::path::Path;
use std::time::Duration;

use gstlipsync::decode::still;

use super::{Kind, Picture, Reading, Shown, Stream};
use crate::error::{Failure, FailureKind};

/// Larger ones are not read into memory.
const LARGEST: u64 = 256 << 20;

/// Nothing where it is another file.
pub fn read(path: &Path) -> Result<Option<Reading>, Failure> {
    let unreadable = |e| Failure::of(FailureKind::InputUnreadable, path).detail(e);
    let mut head = [0; 4];
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let is_gif = std::io::Read::read_exact(&mut file, &mut head).is_ok() && head == *b"GIF8";
    if !is_gif || size > LARGEST {
        return Ok(None);
    }
    let data = std::fs::read(path).map_err(unreadable)?;
    let damaged = || Failure::of(FailureKind::InputDamaged, path);
    let durations = still::gif_durations(&data).ok_or_else(damaged)?;
    let (width, height) = still::size(&data).ok_or_else(damaged)?;
    let mut stream = Stream::new(Kind::Video);
    stream.codec = "GIF".into();
    stream.picture = Some(Picture {
        width,
        height,
        aspect: (1, 1),
        fps: None,
        rotation: 0,
        is_mirrored: false,
        colorimetry: None,
    });
    let mut start = Duration::ZERO;
    for duration in durations {
        let end = start + Duration::from(duration);
        stream.times.push(Shown { start, end });
        start = end;
    }
    Ok(Some(Reading {
        container: Some("GIF".into()),
        streams: vec![stream],
        ..Reading::default()
    }))
}
