//! Pictures in memory: frames in planes, rectangles, crops. No GStreamer types here.
//!
//! Coordinates are continuous frame pixels: (0, 0) is the top left corner of the first pixel.

pub(crate) mod crop;
pub mod frame;
pub(crate) mod outline;
pub(crate) mod patch;
pub(crate) mod sample;
pub(crate) mod smooth;

/// An upright rectangle in frame pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    /// Of the left edge.
    pub x: f32,
    /// Of the upper edge.
    pub y: f32,
    /// To the right edge.
    pub width: f32,
    /// To the lower edge.
    pub height: f32,
}

impl Rect {
    /// The smallest one that has all of `points` in it; nothing around no points.
    pub fn around(points: &[[f32; 2]]) -> Self {
        let Some(&first) = points.first() else {
            return Self::default();
        };
        let (mut low, mut high) = (first, first);
        for point in points {
            for axis in 0..2 {
                low[axis] = low[axis].min(point[axis]);
                high[axis] = high[axis].max(point[axis]);
            }
        }
        Self {
            x: low[0],
            y: low[1],
            width: high[0] - low[0],
            height: high[1] - low[1],
        }
    }

    /// The point in the middle.
    pub fn centre(&self) -> [f32; 2] {
        [self.x + self.width / 2.0, self.y + self.height / 2.0]
    }

    /// Width times height.
    pub fn area(&self) -> f32 {
        self.width.max(0.0) * self.height.max(0.0)
    }

    /// The longer side.
    pub fn size(&self) -> f32 {
        self.width.max(self.height)
    }

    /// Intersection over union, 0 to 1.
    pub fn iou(&self, other: &Self) -> f32 {
        let overlap = Self {
            x: 0.0,
            y: 0.0,
            width: (self.x + self.width).min(other.x + other.width) - self.x.max(other.x),
            height: (self.y + self.height).min(other.y + other.height) - self.y.max(other.y),
        }
        .area();
        let union = self.area() + other.area() - overlap;
        if union > 0.0 { overlap / union } else { 0.0 }
    }
}

/// The rectangle of pixels that a drawing may have changed; everything outside is as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Region {
    /// Of the first column.
    pub x: usize,
    /// Of the first row.
    pub y: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
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

    /// Whether no pixel is in it.
    pub fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// Whether the pixel is in it.
    pub fn contains(&self, x: usize, y: usize) -> bool {
        (self.x..self.x + self.width).contains(&x) && (self.y..self.y + self.height).contains(&y)
    }

    /// The part of the box from `min` to `max` (pixels, any finite values) that lies in a picture of
    /// `width` by `height`, grown to whole chroma samples.
    pub(crate) fn covering(min: [f32; 2], max: [f32; 2], width: usize, height: usize) -> Self {
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
    pub(crate) fn subsampled(&self, sub_x: u8, sub_y: u8, width: usize, height: usize) -> Self {
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
