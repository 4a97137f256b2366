//! The colours of a face that what is painted into it must fit.

use super::light::Light;

/// Colours of the face that the inside must fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Complexion {
    pub skin: [f32; 3],
    pub lip: [f32; 3],
    pub light: Light,
}

pub fn luma([r, g, b]: [f32; 3]) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}
