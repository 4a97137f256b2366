//! MP4 and QuickTime files (ISO/IEC 14496-12) as far as the times of their tracks go. No GStreamer
//! types in here.

pub mod boxes;
pub mod track;
