//! The properties of `facesource`, and the settings behind them.

use gst::glib;
use gst::prelude::*;

use super::{Background, LoopMode};
use crate::decode::limits::{MOST_DURATION, MOST_FRAMES, MOST_PIXELS, MOST_STREAMS};
use crate::property;
use crate::repeat::LONGEST_FRAME;

#[derive(Debug, Clone)]
pub struct Settings {
    pub uri: Option<String>,
    pub loop_mode: LoopMode,
    pub fps: gst::Fraction,
    pub max_pixels: u64,
    pub max_frames: u64,
    pub max_duration: gst::ClockTime,
    pub max_streams: u64,
    pub even_size: bool,
    pub background: Background,
    pub longest_frame: gst::ClockTime,
    pub cache_memory: u64,
    pub cache_file: u64,
    pub prefetch: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            uri: None,
            loop_mode: LoopMode::default(),
            fps: gst::Fraction::new(0, 1),
            max_pixels: MOST_PIXELS,
            max_frames: MOST_FRAMES,
            max_duration: MOST_DURATION,
            max_streams: MOST_STREAMS,
            even_size: false,
            background: Background::default(),
            longest_frame: LONGEST_FRAME,
            cache_memory: 128 << 20,
            // Ten seconds between key frames at 3840x2160, and some room.
            cache_file: 4 << 30,
            prefetch: false,
        }
    }
}

/// The most that is read of a file.
#[derive(Clone, Copy)]
pub struct Most {
    pub pixels: u64,
    pub frames: u64,
    pub duration: gst::ClockTime,
    pub streams: u64,
}

impl Settings {
    pub fn most(&self) -> Most {
        Most {
            pixels: self.max_pixels,
            frames: self.max_frames,
            duration: self.max_duration,
            streams: self.max_streams,
        }
    }

    pub fn set(
        &mut self,
        property: &str,
        value: &glib::Value,
    ) -> Result<(), glib::value::ValueTypeMismatchError> {
        match property {
            "uri" => self.uri = value.get()?,
            "loop-mode" => self.loop_mode = value.get()?,
            "fps" => self.fps = value.get()?,
            "max-pixels" => self.max_pixels = value.get()?,
            "max-frames" => self.max_frames = value.get()?,
            "max-duration" => self.max_duration = property::time(value)?,
            "max-streams" => self.max_streams = value.get()?,
            "even-size" => self.even_size = value.get()?,
            "background" => self.background = value.get()?,
            "longest-frame" => self.longest_frame = property::time(value)?,
            "cache-memory" => self.cache_memory = value.get()?,
            "cache-file" => self.cache_file = value.get()?,
            "prefetch" => self.prefetch = value.get()?,
            _ => {}
        }
        Ok(())
    }

    pub fn get(&self, property: &str) -> Option<glib::Value> {
        Some(match property {
            "uri" => self.uri.to_value(),
            "loop-mode" => self.loop_mode.to_value(),
            "fps" => self.fps.to_value(),
            "max-pixels" => self.max_pixels.to_value(),
            "max-frames" => self.max_frames.to_value(),
            "max-duration" => self.max_duration.nseconds().to_value(),
            "max-streams" => self.max_streams.to_value(),
            "even-size" => self.even_size.to_value(),
            "background" => self.background.to_value(),
            "longest-frame" => self.longest_frame.nseconds().to_value(),
            "cache-memory" => self.cache_memory.to_value(),
            "cache-file" => self.cache_file.to_value(),
            "prefetch" => self.prefetch.to_value(),
            _ => return None,
        })
    }
}

/// All properties; `stats` is the element's own.
pub fn properties() -> Vec<glib::ParamSpec> {
    let defaults = Settings::default();
    vec![
        glib::ParamSpecString::builder("uri")
            .nick("URI")
            .blurb("The picture or video, such as file:///home/me/face.mp4")
            .mutable_ready()
            .build(),
        glib::ParamSpecEnum::builder_with_default("loop-mode", defaults.loop_mode)
            .nick("Loop mode")
            .blurb("What comes after the end of the file")
            .mutable_ready()
            .build(),
        gst::ParamSpecFraction::builder("fps")
            .nick("Frame rate")
            .blurb("Frames per second of the output (0/1 = as the file; a picture has 25/1)")
            .minimum(gst::Fraction::new(0, 1))
            .maximum(gst::Fraction::new(i32::MAX, 1))
            .default_value(defaults.fps)
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt64::builder("max-pixels")
            .nick("Most pixels")
            .blurb("A picture, or a video's frame, with more pixels than this is refused before it is decoded")
            .minimum(1)
            .default_value(defaults.max_pixels)
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt64::builder("max-frames")
            .nick("Most frames")
            .blurb("A video file with more frames than this is an error when they are reached")
            .minimum(1)
            .default_value(defaults.max_frames)
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt64::builder("max-duration")
            .nick("Longest duration")
            .blurb("A video file that lasts longer than this, in nanoseconds, is an error when that is reached")
            .minimum(1)
            .maximum(gst::ClockTime::MAX.nseconds())
            .default_value(defaults.max_duration.nseconds())
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt64::builder("max-streams")
            .nick("Most streams")
            .blurb("A file with more streams than this is refused before they are decoded")
            .minimum(1)
            .default_value(defaults.max_streams)
            .mutable_ready()
            .build(),
        glib::ParamSpecBoolean::builder("even-size")
            .nick("Even size")
            .blurb("Leave out the last column and row of a picture of odd size, which many encoders can't take")
            .default_value(defaults.even_size)
            .mutable_ready()
            .build(),
        glib::ParamSpecEnum::builder_with_default("background", defaults.background)
            .nick("Background")
            .blurb("What is behind a picture that can be seen through")
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt64::builder("longest-frame")
            .nick("Longest frame")
            .blurb("A frame that stays for longer than this, in nanoseconds, is sent several times, so that a mouth can move meanwhile (0 = as the file)")
            .maximum(gst::ClockTime::MAX.nseconds())
            .default_value(defaults.longest_frame.nseconds())
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt64::builder("cache-memory")
            .nick("Cache memory")
            .blurb("With loop-mode=ping-pong: bytes of decoded frames that are kept in memory on the way back")
            .default_value(defaults.cache_memory)
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt64::builder("cache-file")
            .nick("Cache file")
            .blurb("With loop-mode=ping-pong: bytes of decoded frames that are kept in a temporary file where cache-memory is full (0 = none; in $TMPDIR, else /var/tmp); what fits nowhere is decoded again")
            .default_value(defaults.cache_file)
            .mutable_ready()
            .build(),
        glib::ParamSpecBoolean::builder("prefetch")
            .nick("Prefetch")
            .blurb("With loop-mode=ping-pong: decode what comes after the end before it is reached, so that a live stream does not stall when it turns")
            .default_value(defaults.prefetch)
            .mutable_ready()
            .build(),
        glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
            .nick("Statistics")
            .blurb("frames: frames sent; decoded: frames that decoders were given; loops: how often the file's end (going backwards, its start) was passed")
            .read_only()
            .build(),
    ]
}
