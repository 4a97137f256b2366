//! SECTION:element-speechsource
//!
//! Since: 0.1.0
//!
//! Element `speechsource`: the sound of a file, as it is meant to be heard.
//!
//! A bin around `uridecodebin` that puts right what a player puts right:
//! - the edit list of an MP4 file is applied, so that a recording that was trimmed is heard whole;
//! - of several tracks the one that the file marks as its default is taken, or the one that `track`
//!   names, counted from 0;
//! - sound follows sound: a time stamp that is wrong by less than 40 ms, or that would have two sounds
//!   at once, gives way to the samples, and so does a gap that only the demuxer of MPEG program streams
//!   sees; any other gap is one;
//! - sample rate and channels stay those of the beginning, whatever comes later;
//! - tags and covers stay in the file;
//! - a file that is a playlist is refused: nothing is opened but the file that was named;
//! - where part of the file can't be read, that is an error and not a shorter speech.
//!
//! ```sh
//! gst-launch-1.0 audiotestsrc num-buffers=200 ! wavenc ! filesink location=/tmp/speech.wav
//! gst-launch-1.0 speechsource uri=file:///tmp/speech.wav ! autoaudiosink
//! ```
//!
//! ALLOCATION queries end here. They are serialised: behind a `tee` one would have to wait until the
//! sound before it has been taken, which `soundfit` does when the picture is there, which `lipsync`
//! makes when it has got the sound behind the query. All sound then stands still for ever.
//!
//! Errors have details with `kind` (`playlist`, `unused`, `no-track`, `too-large`) and `uri`; those of the elements
//! within are as they are.
//!
//! Pads: `src` (source).
//! Properties, which `gst-inspect-1.0` describes: `uri`, `track`, `max-duration`,
//! `max-streams`.
//! Messages: none of its own.

mod imp;
mod retime;

use gst::glib;
use gst::prelude::*;

glib::wrapper! {
    pub struct SpeechSource(ObjectSubclass<imp::SpeechSource>)
        @extends gst::Bin, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "speechsource",
        gst::Rank::NONE,
        SpeechSource::static_type(),
    )
}
