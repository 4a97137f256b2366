//! Drawing into pictures: a generator's crops, the mouth warp and the mouth's interior.
//! No GStreamer types here.

mod arches;
mod bend;
pub(crate) mod blend;
mod complexion;
mod grain;
mod interior;
mod lay;
mod light;
mod mouth;
pub mod own;
mod person;
mod presence;
mod relight;
mod teeth;
#[cfg(test)]
pub(crate) mod testing;
mod warp;

// What drawing is made of, at hand in every module of it.
use crate::face::lips;
use crate::picture::{
    Region, frame, patch,
    smooth::{ease, mix, smoothstep},
};

pub use mouth::{MouthRenderer, tamed};
pub use presence::Presence;
