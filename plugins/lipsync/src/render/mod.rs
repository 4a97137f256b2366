//! Drawing into pictures: crops, paste-back, the mouth warp and the mouth's interior.
//! No GStreamer types here.

pub mod crop;
pub mod frame;
