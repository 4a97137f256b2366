//! Drawing into pictures: a generator's crops, the mouth warp and the mouth's interior.
//! No GStreamer types here.

pub mod blend;
mod interior;
mod lips;
mod mouth;
mod person;
mod teeth;
#[cfg(test)]
mod testing;
mod warp;

// What drawing is made of, at hand in every module of it.
use crate::picture::{
    Region, frame, patch,
    smooth::{ease, mix, smoothstep},
};

pub use mouth::MouthRenderer;
