//! A line of text in a box on a picture, such as a law asks for: read at any brightness, and never before
//! a mouth. No GStreamer types in here.

mod draw;
mod place;
mod text;

pub use draw::draw;
pub use place::{Corner, Place, place};
pub use text::{Error, Mask};

/// Least height of the text, as a share of the shorter side of the picture, that GB 45438-2025 asks for.
pub const LEAST_HEIGHT: f64 = 0.05;

/// Height of the text where nothing else is asked for, likewise.
pub const USUAL_HEIGHT: f64 = 0.055;

/// Whether the text can be shown on a picture of that size, in pixels, at the usual height.
pub fn check(text: &str, picture: [usize; 2]) -> Result<(), Error> {
    let height = USUAL_HEIGHT * picture[0].min(picture[1]) as f64;
    Mask::of(text, height as f32)?.check_fits(text, picture)
}

/// Least opacity of the box. White on black of which so much is over white has a contrast of
/// 4.5 to 1, the least that WCAG 2.1 asks of text (success criterion 1.4.3).
pub const LEAST_OPACITY: f64 = 0.55;
