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

/// Least opacity of the box. White on black of which so much is over white has a contrast of
/// 4.5 to 1, the least that WCAG 2.1 asks of text (success criterion 1.4.3).
pub const LEAST_OPACITY: f64 = 0.55;
