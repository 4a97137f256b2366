//! How much of an input there may be: a small file may ask for more memory, or more time, than there is.

use std::time::Duration;

use gstlipsync::decode::limits;
use serde::{Deserialize, Serialize};

use crate::error::{Failure, FailureKind};
use crate::job::Job;
use crate::pipeline::template::nanoseconds;

/// More than this is refused before it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limits {
    /// Of a picture, or a frame of a video.
    pub pixels: u64,
    /// Of a video.
    pub frames: u64,
    /// Of a video or of sound.
    pub duration: Duration,
    /// Of one file.
    pub streams: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pixels: limits::MOST_PIXELS,
            frames: limits::MOST_FRAMES,
            duration: limits::MOST_DURATION.into(),
            streams: limits::MOST_STREAMS,
        }
    }
}

impl Limits {
    /// Those of a job, whose parameters may say others.
    pub fn of(job: &Job) -> Self {
        let usual = Self::default();
        let number = |name| job.parameter(name)?.parse().ok();
        let time = |name| u64::try_from(nanoseconds(job.parameter(name)?)?).ok();
        Self {
            pixels: number("max-pixels").unwrap_or(usual.pixels),
            frames: number("max-frames").unwrap_or(usual.frames),
            duration: time("max-duration").map_or(usual.duration, Duration::from_nanos),
            streams: number("max-streams").unwrap_or(usual.streams),
        }
    }

    pub fn check_size(&self, width: u32, height: u32) -> Result<(), Failure> {
        let (size, most) = (u64::from(width) * u64::from(height), self.pixels);
        check(size <= most, || {
            (
                format!(
                    "the picture has {width}x{height} pixels, and {most} in all are the most that is decoded"
                ),
                format!("Make it smaller, or allow it with --set max-pixels={size}"),
            )
        })
    }

    pub fn check_frames(&self, frames: u64) -> Result<(), Failure> {
        let most = self.frames;
        check(frames <= most, || {
            (
                format!("the video has {frames} frames, and {most} are the most that is read"),
                format!(
                    "Cut it, for example with `ffmpeg -t 600 -i IN -c copy OUT`, or allow it with --set max-frames={frames}"
                ),
            )
        })
    }

    pub fn check_duration(&self, duration: Duration) -> Result<(), Failure> {
        let hours = |time: Duration| time.as_secs_f64() / 3600.0;
        check(duration <= self.duration, || {
            (
                format!(
                    "by its time stamps it lasts {:.1} hours, and {:.1} are the most that is read",
                    hours(duration),
                    hours(self.duration)
                ),
                format!(
                    "Cut it, for example with `ffmpeg -t 600 -i IN -c copy OUT`, or allow it with --set max-duration={}h",
                    hours(duration).ceil()
                ),
            )
        })
    }

    pub fn check_streams(&self, streams: u64) -> Result<(), Failure> {
        let most = self.streams;
        check(streams <= most, || {
            (
                format!("the file has {streams} streams, and {most} are the most that is read"),
                format!(
                    "Take out what is needed, for example with `ffmpeg -i IN -c copy OUT`, or allow it with --set max-streams={streams}"
                ),
            )
        })
    }
}

/// What is wrong and what to do, where something is.
fn check(is_within: bool, excess: impl FnOnce() -> (String, String)) -> Result<(), Failure> {
    if is_within {
        return Ok(());
    }
    let (reason, remedy) = excess();
    Err(Failure::new(FailureKind::InputTooLarge)
        .because(reason)
        .advice(remedy))
}
