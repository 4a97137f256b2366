//! MP4 and QuickTime files as a player reads them, and what GStreamer's muxer leaves wrong in them.

mod finish;
pub mod index;
mod timeline;

pub use finish::{Truth, finish};
pub use gstlipsync::isobmff::track::Kind;
pub use timeline::{Index, Shown, Trim, timeline};
