//! SECTION:element-facesource
//!
//! Since: 0.1.0
//!
//! Element `facesource`: a picture or a video as one unbroken stream.
//!
//! The file is decoded by a private pipeline. What comes out has one TIME segment that starts at
//! zero, timestamps without a gap or an overlap, and stands upright: a rotation tag is applied. The
//! pixel aspect ratio, colorimetry and frame rate of the file are kept, and so are the timestamps
//! of a file whose frame rate varies. Frames are only converted where downstream can't take them.
//!
//! `loop-mode` says what comes after the end of the file; the memory needed does not grow with the
//! length of the stream:
//! - `none`: the stream ends;
//! - `loop`: the file starts again;
//! - `ping-pong`: the file is played backwards, then forwards, and so on (the file must be
//!   seekable);
//! - `hold`: the last frame is repeated.
//!
//! On the way back of `ping-pong`, a second decoder reads the file from one key frame to the next, the
//! last first, and what it decodes is kept until it is shown: up to `cache-memory` bytes in memory, then up
//! to `cache-file` bytes in a temporary file without a name (in `$TMPDIR`, else `/var/tmp`), which leaves 1 GiB
//! of the disk free. So each
//! frame is decoded once in each direction; where key frames are so far from each other that neither has
//! room, those that did not fit are decoded again. What comes next is decoded while frames are shown,
//! with `prefetch` also before the end of the file, so that a live stream does not stall when it turns.
//!
//! A frame that stays for longer than `longest-frame` (85 ms, which is fewer than 12 frames a second), at a
//! gap for instance, is sent several times: a mouth must be able to move meanwhile. An INFO message says
//! so once.
//!
//! A picture is decoded once, and all its buffers share that memory. What can be seen through is laid over
//! the plain colour that `background` names, and a warning says so; of an animation that is decoded as one
//! picture (APNG, HEIC, AVIF) as well.
//!
//! ```sh
//! gst-launch-1.0 videotestsrc num-buffers=75 ! x264enc ! mp4mux ! filesink location=/tmp/face.mp4
//! gst-launch-1.0 facesource uri=file:///tmp/face.mp4 loop-mode=ping-pong num-buffers=1000 \
//!     ! videoconvert ! x264enc ! mp4mux ! filesink location=/tmp/long.mp4
//! ```
//!
//! What is opened is the file alone: a playlist that names others is refused, and so is a picture, or
//! a frame of a video, of more than `max-pixels`, before it is decoded, and a file of more than `max-streams`
//! streams. What a file claims to last is not believed: it is an error when more than `max-frames` frames or
//! `max-duration` of it were played.
//!
//! The element is not live: its latency is zero. It can be seeked to any time at normal speed; where
//! `loop-mode` is not `none` or the file can't be searched, it is then decoded from its start, so a
//! far seek takes long.
//!
//! Errors have details with `kind` (see `error.rs`) and `uri`. A file that was cut off gives all
//! frames that are there, and then an error.
//!
//! Pads: `src` (source).
//! Properties, which `gst-inspect-1.0` describes: `uri`, `loop-mode`, `fps`, `max-pixels`, `max-frames`,
//! `max-duration`, `max-streams`, `even-size`, `background`, `longest-frame`, `cache-memory`, `cache-file`, `prefetch`, `stats`.
//! Messages: INFO and WARNING, as above.

mod back;
mod category;
mod coded;
mod decoder;
mod error;
mod frames;
mod imp;
mod inspect;
mod monitor;
mod pieces;
mod playback;
mod reader;
mod schedule;
mod settings;
mod status;
mod store;
mod upright;

use gst::glib;
use gst::prelude::*;

/// What follows the end of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, glib::Enum)]
#[enum_type(name = "GstFaceSourceLoopMode")]
#[repr(i32)]
pub enum LoopMode {
    #[default]
    #[enum_value(name = "End the stream", nick = "none")]
    None,
    #[enum_value(name = "Start the file again", nick = "loop")]
    Loop,
    #[enum_value(name = "Play backwards, then forwards, and so on", nick = "ping-pong")]
    PingPong,
    #[enum_value(name = "Repeat the last frame", nick = "hold")]
    Hold,
}

/// What is behind a picture that can be seen through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, glib::Enum)]
#[enum_type(name = "GstFaceSourceBackground")]
#[repr(i32)]
pub enum Background {
    #[default]
    #[enum_value(name = "Black", nick = "black")]
    Black,
    #[enum_value(name = "White", nick = "white")]
    White,
    #[enum_value(name = "Grey", nick = "grey")]
    Grey,
    #[enum_value(name = "Green, to be keyed out", nick = "green")]
    Green,
}

impl Background {
    /// Of R'G'B'.
    fn rgb(self) -> [u8; 3] {
        match self {
            Self::Black => [0; 3],
            Self::White => [255; 3],
            Self::Grey => [128; 3],
            Self::Green => [0, 255, 0],
        }
    }
}

glib::wrapper! {
    pub struct FaceSource(ObjectSubclass<imp::FaceSource>)
        @extends gst_base::PushSrc, gst_base::BaseSrc, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    Background::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    LoopMode::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    gst::Element::register(
        Some(plugin),
        "facesource",
        gst::Rank::NONE,
        FaceSource::static_type(),
    )
}
