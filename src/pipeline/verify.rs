//! Is the finished file right? It is opened again and read as a player reads it, without decoding:
//! both streams must be there, every frame shown, and both of the expected length.

use std::path::Path;
use std::time::Duration;

use super::reading::{self, Kind, Stream};
use super::runner::Watch;
use crate::cancel::Cancel;
use crate::error::{Failure, FailureKind};

/// What the file should hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected {
    /// Absent where no `lipsync` counted them.
    pub frames: Option<u64>,
    pub duration: Option<Duration>,
}

/// What the file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Found {
    pub video: Track,
    pub audio: Track,
}

/// Where there are several of a kind, the longest stands for it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Track {
    pub buffers: u64,
    pub duration: Duration,
    /// How far the true length may be from that.
    slack: Duration,
}

impl Track {
    fn of(stream: Option<&Stream>) -> Self {
        stream.map_or(Self::default(), |stream| Self {
            buffers: stream.times.len() as u64,
            duration: stream.duration(),
            slack: stream.slack(),
        })
    }
}

/// Opens the file at `location` and checks it; `name` is the name it will have.
pub fn verify(
    location: &str,
    name: &Path,
    expected: Expected,
    watch: &Watch,
    cancel: &Cancel,
) -> Result<Found, Failure> {
    let wrong = |reason: String| Failure::of(FailureKind::OutputWrong, name).detail(reason);
    let read = reading::times(Path::new(location), watch, cancel).map_err(|failure| {
        if failure.is_cancellation() || failure.kind == FailureKind::Stuck {
            failure
        } else {
            wrong(failure.reason().to_owned())
        }
    })?;
    let found = Found {
        video: Track::of(read.longest(Kind::Video)),
        audio: Track::of(read.longest(Kind::Audio)),
    };
    judge(&found, expected).map_err(wrong)?;
    Ok(found)
}

fn judge(found: &Found, expected: Expected) -> Result<(), String> {
    let Found { video, audio } = found;
    if video.buffers == 0 {
        return Err("it has no picture".into());
    }
    if audio.buffers == 0 {
        return Err("it has no sound".into());
    }
    if let Some(frames) = expected.frames
        && frames != video.buffers
    {
        return Err(format!(
            "{frames} frames were made, {} are in it",
            video.buffers
        ));
    }
    let differ = |a: Duration, b: Duration, slack: Duration| a.abs_diff(b) > slack;
    let (picture, sound) = (video.duration, audio.duration);
    if differ(picture, sound, video.slack + audio.slack) {
        return Err(format!(
            "the picture lasts {:.3} s, the sound {:.3} s",
            picture.as_secs_f64(),
            sound.as_secs_f64()
        ));
    }
    match expected.duration {
        Some(duration) if differ(duration, picture, video.slack) => Err(format!(
            "it should last {:.3} s and lasts {:.3} s",
            duration.as_secs_f64(),
            picture.as_secs_f64()
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use gst::prelude::*;

    use super::*;
    use crate::pipeline::classify::Files;
    use crate::pipeline::runner;

    const WATCH: Watch = Watch {
        stuck_after: Duration::from_secs(20),
        graph: None,
    };

    fn track(buffers: u64, step_ms: u64) -> Track {
        Track {
            buffers,
            duration: Duration::from_millis(buffers * step_ms),
            slack: Duration::from_millis(step_ms),
        }
    }

    fn expected(frames: u64, seconds: f64) -> Expected {
        Expected {
            frames: Some(frames),
            duration: Some(Duration::from_secs_f64(seconds)),
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let whole = Found {
            video: track(50, 40),
            audio: track(94, 21),
        };
        assert_eq!(judge(&whole, expected(50, 2.0)), Ok(()));
        assert_eq!(judge(&whole, Expected::default()), Ok(()));
        let said = |found: &Found, expected| judge(found, expected).unwrap_err();
        assert!(said(&whole, expected(51, 2.0)).contains("51 frames"));
        assert!(said(&whole, expected(50, 2.2)).contains("should last"));
        let silent = Found {
            audio: Track::default(),
            ..whole
        };
        assert!(said(&silent, expected(50, 2.0)).contains("no sound"));
        let blind = Found {
            video: Track::default(),
            ..whole
        };
        assert!(said(&blind, expected(50, 2.0)).contains("no picture"));
        let uneven = Found {
            audio: track(80, 21),
            ..whole
        };
        assert!(said(&uneven, expected(50, 2.0)).contains("the sound 1.680 s"));
    }

    #[test]
    fn a_real_file_is_counted() {
        gst::init().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two seconds.mp4");
        let text = "videotestsrc num-buffers=50 ! video/x-raw,framerate=25/1,width=64,height=64 \
                    ! x264enc speed-preset=ultrafast ! h264parse ! queue ! m. \
                    audiotestsrc num-buffers=86 samplesperbuffer=1024 \
                    ! audio/x-raw,rate=44100 ! avenc_aac ! aacparse ! queue ! m. \
                    mp4mux name=m ! filesink name=out";
        let pipeline: gst::Pipeline = gst::parse::launch(text).unwrap().downcast().unwrap();
        let sink = pipeline.by_name("out").unwrap();
        sink.set_property("location", path.to_str().unwrap());
        let cancel = Cancel::default();
        runner::run(&pipeline, &Files::default(), &WATCH, &cancel, &mut |_| {}).unwrap();

        let location = path.to_str().unwrap();
        let found = verify(location, &path, expected(50, 2.0), &WATCH, &cancel).unwrap();
        assert_eq!(found.video.buffers, 50);
        assert_eq!(found.video.duration, Duration::from_secs(2));

        let failure = verify(location, &path, expected(49, 2.0), &WATCH, &cancel).unwrap_err();
        assert_eq!(failure.kind, FailureKind::OutputWrong);
        std::fs::write(&path, "not a video").unwrap();
        let failure = verify(location, &path, expected(50, 2.0), &WATCH, &cancel).unwrap_err();
        assert_eq!(failure.kind, FailureKind::OutputWrong);
        assert_eq!(failure.file.as_deref(), Some(path.as_path()));
    }
}
