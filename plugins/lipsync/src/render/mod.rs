//! Drawing into pictures: crops, paste-back, the mouth warp and the mouth's interior.
//! No GStreamer types here.

pub mod crop;
mod edge;
mod fit;
pub mod frame;
mod gallery;
mod interior;
mod known;
mod line;
mod lips;
mod mouth;
pub mod paste;
mod patch;
#[cfg(test)]
mod testing;
mod warp;

pub use mouth::MouthRenderer;

/// The rectangle of pixels that a drawing may have changed; everything outside is as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Region {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

impl Region {
    /// No pixel at all.
    pub const EMPTY: Self = Self {
        x: 0,
        y: 0,
        width: 0,
        height: 0,
    };

    pub fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0
    }

    pub fn contains(&self, x: usize, y: usize) -> bool {
        (self.x..self.x + self.width).contains(&x) && (self.y..self.y + self.height).contains(&y)
    }

    /// The part of the box from `min` to `max` (pixels, any finite values) that lies in a picture of
    /// `width` by `height`, grown to whole chroma samples.
    fn covering(min: [f32; 2], max: [f32; 2], width: usize, height: usize) -> Self {
        let range = |lo: f32, hi: f32, size: usize| {
            // Casting saturates, so that boxes far outside the picture end up empty.
            let lo = lo.floor().max(0.0) as usize & !1;
            let hi = (hi.ceil().max(-1.0) + 1.0) as usize;
            (lo.min(size), hi.next_multiple_of(2).min(size))
        };
        let (x0, x1) = range(min[0], max[0], width);
        let (y0, y1) = range(min[1], max[1], height);
        if x0 >= x1 || y0 >= y1 {
            return Self::EMPTY;
        }
        Self {
            x: x0,
            y: y0,
            width: x1 - x0,
            height: y1 - y0,
        }
    }

    /// The same region on the grid of a channel with the given subsampling, in a plane of `width`
    /// by `height` samples.
    fn subsampled(&self, sub_x: u8, sub_y: u8, width: usize, height: usize) -> Self {
        let end = |v: usize, sub: u8| (v + (1 << sub) - 1) >> sub;
        let (x, y) = (self.x >> sub_x, self.y >> sub_y);
        Self {
            x,
            y,
            width: end(self.x + self.width, sub_x).min(width) - x,
            height: end(self.y + self.height, sub_y).min(height) - y,
        }
    }
}

/// Rises from 0 to 1 while `x` goes from `a` to `b`, level at both ends.
fn smoothstep(a: f32, b: f32, x: f32) -> f32 {
    ease((x - a) / (b - a))
}

/// `smoothstep` from 0 to 1.
#[inline]
fn ease(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}
