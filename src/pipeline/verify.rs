//! Is the finished file right? It is opened again and read as a player reads it, without decoding:
//! both streams must be there, every frame shown, and both of the expected length.
//!
//! Times are those of the container. A parser behind the demuxer would put its own in their place,
//! which for a last frame that lasts longer than the others is too short.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gst::prelude::*;

use super::classify::Files;
use super::mp4;
use super::runner::{self, Watch};
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

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Track {
    pub buffers: u64,
    /// First moment and last, in running time.
    pub start: Option<Duration>,
    pub end: Duration,
    /// How far the true end may be from that, for all that the container says.
    slack: Duration,
    last_start: Duration,
    longest: Duration,
}

/// Containers that count in milliseconds are off by as much at both ends.
const ROUNDING: Duration = Duration::from_millis(2);

impl Track {
    pub fn duration(&self) -> Duration {
        self.end.saturating_sub(self.start.unwrap_or_default())
    }

    fn note(&mut self, buffer: &gst::BufferRef, segment: &gst::FormattedSegment<gst::ClockTime>) {
        self.buffers += 1;
        let Some(start) = segment.to_running_time(buffer.pts()) else {
            return;
        };
        let start = Duration::from(start);
        let length = buffer.duration().map(Duration::from);
        self.longest = self.longest.max(length.unwrap_or_default());
        self.start = Some(self.start.map_or(start, |first| first.min(start)));
        if start + length.unwrap_or_default() < self.end {
            return;
        }
        self.end = start + length.unwrap_or_default();
        // What has no duration may last as long as what was before it.
        self.slack = match length {
            Some(_) => ROUNDING,
            None => ROUNDING + start.saturating_sub(self.last_start),
        };
        self.last_start = start;
    }

    fn of_shown(shown: &mp4::Shown) -> Self {
        let starts = shown.frames.iter().map(|(start, _)| *start);
        let ends = shown.frames.iter().map(|(_, end)| *end);
        let lengths = shown.frames.iter().map(|(start, end)| *end - *start);
        let packet = match shown.kind {
            mp4::Kind::Video => Duration::ZERO,
            mp4::Kind::Audio => lengths.max().unwrap_or_default(),
        };
        Self {
            buffers: shown.frames.len() as u64,
            start: starts.min(),
            end: ends.max().unwrap_or_default(),
            slack: ROUNDING + packet,
            ..Self::default()
        }
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
    let found = read(location, watch, cancel).map_err(|failure| {
        if failure.is_cancellation() || failure.kind == FailureKind::Stuck {
            failure
        } else {
            wrong(failure.reason().to_owned())
        }
    })?;
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
    let (picture, sound) = (video.duration(), audio.duration());
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

fn read(location: &str, watch: &Watch, cancel: &Cancel) -> Result<Found, Failure> {
    let unreadable = |e: std::io::Error| Failure::new(FailureKind::InputUnreadable).detail(e);
    if let Some(tracks) = mp4::timeline(Path::new(location)).map_err(unreadable)? {
        let mut found = Found::default();
        for shown in &tracks {
            found.offer(shown.kind == mp4::Kind::Audio, Track::of_shown(shown));
        }
        return Ok(found);
    }
    let make = |factory: &str| {
        gst::ElementFactory::make(factory)
            .build()
            .map_err(|e| Failure::new(FailureKind::PluginMissing).detail(e))
    };
    let internal = |e: gst::glib::BoolError| Failure::new(FailureKind::Internal).detail(e);
    let pipeline = gst::Pipeline::new();
    let (source, parser) = (make("filesrc")?, make("parsebin")?);
    source.set_property("location", location);
    pipeline.add_many([&source, &parser]).map_err(internal)?;
    source.link(&parser).map_err(internal)?;

    let found: Arc<Mutex<Found>> = Arc::default();
    let is_demuxed = Arc::new(AtomicBool::new(false));
    if let Some(bin) = parser.downcast_ref::<gst::Bin>() {
        let (found, is_demuxed) = (found.clone(), is_demuxed.clone());
        bin.connect_deep_element_added(move |_, _, element| {
            let klass = element.metadata("klass").unwrap_or_default();
            if klass.contains("Demux") {
                is_demuxed.store(true, Ordering::Relaxed);
                let found = found.clone();
                element.connect_pad_added(move |_, pad| count(pad, &found));
            }
        });
    }
    let weak = pipeline.downgrade();
    parser.connect_pad_added({
        let found = found.clone();
        move |_, pad| {
            // A pad that can't be linked stops the pipeline with an error of its own.
            if let Some(pipeline) = weak.upgrade() {
                let _ = swallow(&pipeline, pad);
            }
            if !is_demuxed.load(Ordering::Relaxed) {
                count(pad, &found);
            }
        }
    });
    runner::run(&pipeline, &Files::default(), watch, cancel, &mut |_| {})?;
    Ok(*found.lock().unwrap_or_else(|e| e.into_inner()))
}

impl Found {
    /// Where there are several of a kind, the longest stands for it.
    fn offer(&mut self, is_audio: bool, track: Track) {
        let slot = if is_audio {
            &mut self.audio
        } else {
            &mut self.video
        };
        if track.buffers > slot.buffers {
            *slot = track;
        }
    }
}

fn swallow(pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<(), gst::glib::BoolError> {
    let sink = gst::ElementFactory::make("fakesink")
        .property("sync", false)
        .property("async", false)
        .build()?;
    pipeline.add(&sink)?;
    sink.sync_state_with_parent()?;
    if let Some(target) = sink.static_pad("sink") {
        pad.link(&target)
            .map_err(|e| gst::glib::bool_error!("{e}"))?;
    }
    Ok(())
}

/// Counts what comes out of `pad`.
fn count(pad: &gst::Pad, found: &Arc<Mutex<Found>>) {
    let found = found.clone();
    let own = Mutex::new(Track::default());
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let caps = pad.current_caps();
        let media = caps.as_ref().and_then(|c| c.structure(0)).map(|s| s.name());
        let is_audio = match media.map(|name| name.as_str()) {
            Some(name) if name.starts_with("audio/") => true,
            Some(name) if name.starts_with("video/") || name.starts_with("image/") => false,
            _ => return gst::PadProbeReturn::Ok,
        };
        if let (Some(buffer), Some(event)) =
            (info.buffer(), pad.sticky_event::<gst::event::Segment>(0))
            && let Some(segment) = event.segment().downcast_ref::<gst::ClockTime>()
        {
            let mut own = own.lock().unwrap_or_else(|e| e.into_inner());
            own.note(buffer, segment);
            if is_audio {
                // Sound comes in packets, so its end can't be had more exactly than to one of them.
                own.slack = ROUNDING + own.longest;
            }
            found
                .lock()
                .unwrap_or_else(|e| e.into_inner())
                .offer(is_audio, *own);
        }
        gst::PadProbeReturn::Ok
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const WATCH: Watch = Watch {
        stuck_after: Duration::from_secs(20),
        graph: None,
    };

    fn track(buffers: u64, step_ms: u64) -> Track {
        Track {
            buffers,
            start: Some(Duration::ZERO),
            end: Duration::from_millis(buffers * step_ms),
            slack: Duration::from_millis(step_ms),
            ..Track::default()
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
        assert_eq!(found.video.duration(), Duration::from_secs(2));

        let failure = verify(location, &path, expected(49, 2.0), &WATCH, &cancel).unwrap_err();
        assert_eq!(failure.kind, FailureKind::OutputWrong);
        std::fs::write(&path, "not a video").unwrap();
        let failure = verify(location, &path, expected(50, 2.0), &WATCH, &cancel).unwrap_err();
        assert_eq!(failure.kind, FailureKind::OutputWrong);
        assert_eq!(failure.file.as_deref(), Some(path.as_path()));
    }
}
