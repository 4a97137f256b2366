//! A picture as three channels, whatever its memory layout.
//!
//! Everything that reads or draws pixels works on this view, so that planar, semi-planar and packed
//! formats share one code path and only the touched region is ever converted.

use super::sample::Depth;

/// Where the samples of one channel lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Index of the plane that holds the samples.
    pub plane: usize,
    /// Byte offset of sample (0, 0) in the plane.
    pub offset: usize,
    /// Bytes between horizontal neighbours.
    pub step: usize,
    /// Bytes between rows.
    pub stride: usize,
    /// log2 of the horizontal subsampling.
    pub sub_x: u8,
    /// log2 of the vertical subsampling.
    pub sub_y: u8,
    /// Bits of a sample, and how it is stored.
    pub depth: Depth,
}

impl Channel {
    /// Width in samples for a picture of `width` pixels.
    pub fn width(&self, width: usize) -> usize {
        (width + (1 << self.sub_x) - 1) >> self.sub_x
    }

    /// Height in samples for a picture of `height` pixels.
    pub fn height(&self, height: usize) -> usize {
        (height + (1 << self.sub_y) - 1) >> self.sub_y
    }

    /// The value of sample (x, y), in levels of 8 bits; `None` beyond the plane's end.
    #[inline]
    pub fn get(&self, plane: &[u8], x: usize, y: usize) -> Option<f32> {
        self.depth.get(plane, self.index(x, y))
    }

    /// Byte index of sample (x, y) in its plane.
    pub fn index(&self, x: usize, y: usize) -> usize {
        self.offset + y * self.stride + x * self.step
    }
}

/// What the three channels mean. Of 10 bits in full range the largest number is 255.75 here and not 255: less
/// than a level of 8 bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Colour {
    /// Channels are R, G, B, 0 to 255.
    Rgb,
    /// Channels are Y', Cb, Cr with the luma coefficients of the picture's matrix.
    Yuv {
        /// What red adds to luma.
        kr: f32,
        /// What blue adds to luma.
        kb: f32,
        /// Luma reaches from 0 to 255, and not from 16 to 235.
        full_range: bool,
    },
}

impl Colour {
    /// BT.601, limited range.
    pub const BT601: Self = Self::Yuv {
        kr: 0.299,
        kb: 0.114,
        full_range: false,
    };

    /// Converts R'G'B' (0 to 255) to the channels' values (0 to 255), after ITU-R BT.601/709 with
    /// the matrix coefficients `kr`, `kb`.
    pub fn from_rgb(self, [r, g, b]: [f32; 3]) -> [f32; 3] {
        match self {
            Self::Rgb => [r, g, b],
            Self::Yuv { kr, kb, full_range } => {
                let y = kr * r + (1.0 - kr - kb) * g + kb * b;
                let cb = (b - y) / (2.0 * (1.0 - kb));
                let cr = (r - y) / (2.0 * (1.0 - kr));
                if full_range {
                    [y, cb + 128.0, cr + 128.0]
                } else {
                    [
                        y * (219.0 / 255.0) + 16.0,
                        cb * (224.0 / 255.0) + 128.0,
                        cr * (224.0 / 255.0) + 128.0,
                    ]
                }
            }
        }
    }

    /// The inverse of [`Self::from_rgb`]; values outside 0 to 255 are left as they come.
    pub fn to_rgb(self, [c0, c1, c2]: [f32; 3]) -> [f32; 3] {
        match self {
            Self::Rgb => [c0, c1, c2],
            Self::Yuv { kr, kb, full_range } => {
                let (y, cb, cr) = if full_range {
                    (c0, c1 - 128.0, c2 - 128.0)
                } else {
                    (
                        (c0 - 16.0) * (255.0 / 219.0),
                        (c1 - 128.0) * (255.0 / 224.0),
                        (c2 - 128.0) * (255.0 / 224.0),
                    )
                };
                let r = y + 2.0 * (1.0 - kr) * cr;
                let b = y + 2.0 * (1.0 - kb) * cb;
                let g = (y - kr * r - kb * b) / (1.0 - kr - kb);
                [r, g, b]
            }
        }
    }
}

/// The memory layout and meaning of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layout {
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Where the samples of each channel are.
    pub channels: [Channel; 3],
    /// What the channels mean.
    pub colour: Colour,
}

impl Layout {
    /// Packed RGB without padding, for tests and tools.
    pub fn rgb(width: usize, height: usize) -> Self {
        let channel = |offset| Channel {
            plane: 0,
            offset,
            step: 3,
            stride: width * 3,
            sub_x: 0,
            sub_y: 0,
            depth: Depth::Eight,
        };
        Self {
            width,
            height,
            channels: [channel(0), channel(1), channel(2)],
            colour: Colour::Rgb,
        }
    }
}

/// A picture that is only read.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    /// Where the samples are.
    pub layout: Layout,
    /// The planes; those that a format lacks are empty.
    pub planes: [&'a [u8]; 3],
}

impl Frame<'_> {
    /// R'G'B' at a place in pixels, between samples; `None` outside the picture.
    pub fn rgb_at(&self, place: [f32; 2]) -> Option<[f32; 3]> {
        Some(self.layout.colour.to_rgb(self.values_at(place)?))
    }

    /// The channels' values at a place in pixels, between samples; `None` outside the picture.
    pub fn values_at(&self, place: [f32; 2]) -> Option<[f32; 3]> {
        Some([
            self.channel_at(0, place)?,
            self.channel_at(1, place)?,
            self.channel_at(2, place)?,
        ])
    }

    /// A channel's value at a place in pixels, between samples; `None` outside the picture.
    pub fn channel_at(&self, c: usize, [x, y]: [f32; 2]) -> Option<f32> {
        let Layout { width, height, .. } = self.layout;
        if !(x >= 0.0 && y >= 0.0 && x < width as f32 && y < height as f32) {
            return None;
        }
        let channel = &self.layout.channels[c];
        let plane = self.planes[channel.plane];
        let along = |v: f32, sub: u8, size: usize| {
            let v = (v / f32::from(1u8 << sub) - 0.5).max(0.0);
            // By way of i32: the direct conversion is much slower.
            let i = (v as i32 as usize).min(size - 1);
            (i, (i + 1).min(size - 1), v - i as f32)
        };
        let (i, next_i, fx) = along(x, channel.sub_x, channel.width(width));
        let (j, next_j, fy) = along(y, channel.sub_y, channel.height(height));
        let sample = |i, j| channel.get(plane, i, j);
        let top = super::smooth::mix(sample(i, j)?, sample(next_i, j)?, fx);
        let bottom = super::smooth::mix(sample(i, next_j)?, sample(next_i, next_j)?, fx);
        Some(super::smooth::mix(top, bottom, fy))
    }
}

impl Frame<'_> {
    /// Brightness of a pixel, 0 to 255 as in R'G'B'; beyond the picture its last pixels repeat.
    #[inline]
    pub fn luma_at(&self, x: usize, y: usize) -> f32 {
        let layout = &self.layout;
        let (x, y) = (
            x.min(layout.width.saturating_sub(1)),
            y.min(layout.height.saturating_sub(1)),
        );
        let value = |c: usize| {
            let channel = &layout.channels[c];
            let plane = self.planes[channel.plane];
            channel.get(plane, x, y).unwrap_or_default()
        };
        match layout.colour {
            Colour::Rgb => 0.299 * value(0) + 0.587 * value(1) + 0.114 * value(2),
            Colour::Yuv {
                full_range: true, ..
            } => value(0),
            Colour::Yuv { .. } => (value(0) - 16.0) * (255.0 / 219.0),
        }
    }
}

/// A picture that is drawn into. Planes that the layout does not name are empty.
pub struct FrameMut<'a> {
    /// Where the samples are.
    pub layout: Layout,
    /// The planes; those that a format lacks are empty.
    pub planes: [&'a mut [u8]; 3],
}

impl FrameMut<'_> {
    /// The same picture, to read.
    pub fn as_ref(&self) -> Frame<'_> {
        Frame {
            layout: self.layout,
            planes: [&*self.planes[0], &*self.planes[1], &*self.planes[2]],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_survive_the_round_trip() {
        let bt709_full = Colour::Yuv {
            kr: 0.2126,
            kb: 0.0722,
            full_range: true,
        };
        for colour in [Colour::Rgb, Colour::BT601, bt709_full] {
            for rgb in [[0.0, 0.0, 0.0], [255.0, 255.0, 255.0], [200.0, 30.0, 90.0]] {
                let back = colour.to_rgb(colour.from_rgb(rgb));
                for (a, b) in rgb.iter().zip(back) {
                    assert!((a - b).abs() < 1e-2, "{colour:?}: {rgb:?} became {back:?}");
                }
            }
        }
    }

    #[test]
    fn bt601_limited_range_has_its_known_anchor_points() {
        let [y, cb, cr] = Colour::BT601.from_rgb([255.0, 255.0, 255.0]);
        assert!((y - 235.0).abs() < 1e-3 && (cb - 128.0).abs() < 1e-3 && (cr - 128.0).abs() < 1e-3);
        let [y, _, cr] = Colour::BT601.from_rgb([255.0, 0.0, 0.0]);
        assert!((y - 81.481).abs() < 1e-2 && (cr - 240.0).abs() < 1e-2);
    }
}
