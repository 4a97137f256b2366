//! SECTION:element-soundfit
//!
//! Since: 0.1.0
//!
//! Element `soundfit`: makes the sound exactly as long as the picture.
//!
//! The picture passes untouched and never waits. Sound waits until the picture has covered it, so
//! that at the picture's end not one sample too many has gone out: what is left is dropped. Where
//! there is no sound — before its start, in its gaps, after its end — there is silence. The sound
//! that leaves starts with the first frame, ends with the last one, has no gaps, and its number of
//! samples is that of the picture's duration, rounded to one.
//!
//! Times are compared as running time, so each side may have its own segment. The last frame ends
//! after its duration, or where it has none, after as long as the frame before it lasted. GAP events
//! count as picture.
//!
//! ```sh
//! gst-launch-1.0 videotestsrc num-buffers=100 ! queue ! fit.video \
//!     audiotestsrc num-buffers=20 ! queue ! fit.sound \
//!     soundfit name=fit \
//!     fit.video_src ! x264enc ! queue ! mux. \
//!     fit.sound_src ! audioconvert ! avenc_aac ! queue ! mux. \
//!     mp4mux name=mux ! filesink location=/tmp/fitted.mp4
//! ```
//!
//! Each of the four pads needs a thread of its own, as in the example: a `queue` (or a source) before
//! `video` and `sound`, because a sound that waits must not hold up the picture it waits for, and a
//! `queue` behind both encoders, because a muxer that waits for the one must go on taking the other.
//! Where picture and sound come from one demuxer, the queue before `sound` must hold what the picture
//! is behind by: the latency of the elements before `video` (look-ahead and batch of `lipsync`), for
//! example `queue max-size-time=10000000000 max-size-buffers=0 max-size-bytes=0`.
//!
//! Sound waits for the picture, and behind `lipsync` the picture waits for the sound. That is no circle as
//! long as sound can go on to `lipsync` while it waits here: what comes before the queue in front of
//! `sound` must never wait for that queue to become empty. A full one is made large enough, as above. A
//! serialised query (ALLOCATION) would wait so, behind a `tee`, for all the sound before it: it must end
//! before the `tee`, as it does in `speechsource`.
//!
//! Latency of the sound is the larger of the two sides'; the picture's is its own.
//!
//! Pads: `video` (sink), `video_src` (source), `sound` (sink), `sound_src` (source).
//! Properties: none.
//! Messages: none of its own.

mod imp;
mod picture;
mod sound;
mod track;

use gst::glib;
use gst::prelude::*;

glib::wrapper! {
    pub struct SoundFit(ObjectSubclass<imp::SoundFit>) @extends gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "soundfit",
        gst::Rank::NONE,
        SoundFit::static_type(),
    )
}
