//! What the numbers in a picture mean, and how they become those of another meaning. No GStreamer types
//! here.
//!
//! A picture's *coding* makes numbers of R'G'B' (matrix, range, bits); its *light* says what R'G'B' look
//! like (transfer, primaries). Between two codings of one light there is a straight way; from high dynamic
//! range to standard there is a tone map (see [`light`]).

pub mod convert;
pub mod light;

/// How R'G'B' become Y', Cb and Cr.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coding {
    /// Luma coefficients of red and blue.
    pub kr: f32,
    pub kb: f32,
    /// From 0 to the largest number, not from 16 to 235 (240) as studios have it.
    pub full_range: bool,
    /// Bits of a sample: 8 or 10.
    pub bits: u32,
}

/// What R'G'B' look like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Light {
    pub transfer: Transfer,
    pub primaries: Primaries,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Transfer {
    /// Standard dynamic range, as a display of BT.1886 shows it.
    Standard,
    /// Hybrid log-gamma of BT.2100, on a display of 1000 cd/m².
    Hlg,
    /// Perceptual quantizer of BT.2100, mastered on a display of so many cd/m².
    Pq { peak: f32 },
}

impl Transfer {
    pub fn is_hdr(self) -> bool {
        self != Self::Standard
    }
}

/// CIE 1931 x and y of red, green, blue and white.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Primaries(pub [[f32; 2]; 4]);

const D65: [f32; 2] = [0.3127, 0.329];

impl Primaries {
    pub const BT709: Self = Self([[0.64, 0.33], [0.3, 0.6], [0.15, 0.06], D65]);
    pub const BT2020: Self = Self([[0.708, 0.292], [0.17, 0.797], [0.131, 0.046], D65]);
}

/// All that is to be known of a picture's numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Meaning {
    pub coding: Coding,
    pub light: Light,
}

impl Coding {
    /// The largest number.
    pub fn top(&self) -> f32 {
        ((1u32 << self.bits) - 1) as f32
    }

    /// What is added to Y' and to the differences, and the numbers from nothing to all.
    fn scale(&self) -> ([f32; 2], [f32; 2]) {
        let unit = (1u32 << (self.bits - 8)) as f32;
        if self.full_range {
            ([0.0, 128.0 * unit], [self.top(); 2])
        } else {
            ([16.0 * unit, 128.0 * unit], [219.0 * unit, 224.0 * unit])
        }
    }

    /// Makes numbers of R'G'B' from 0 to 1, not rounded (ITU-R BT.601, BT.709, BT.2100).
    pub fn encoder(&self) -> impl Fn([f32; 3]) -> [f32; 3] + use<> {
        let ([black, grey], [luma, chroma]) = self.scale();
        let (kr, kg, kb) = (self.kr, 1.0 - self.kr - self.kb, self.kb);
        let (to_cb, to_cr) = (chroma / (2.0 * (1.0 - kb)), chroma / (2.0 * (1.0 - kr)));
        move |[r, g, b]| {
            let y = kr * r + kg * g + kb * b;
            [
                black + luma * y,
                grey + to_cb * (b - y),
                grey + to_cr * (r - y),
            ]
        }
    }

    /// The inverse of [`Self::encoder`]; what is no colour gives values outside 0 to 1.
    pub fn decoder(&self) -> impl Fn([f32; 3]) -> [f32; 3] + use<> {
        let ([black, grey], [luma, chroma]) = self.scale();
        let (kr, kg, kb) = (self.kr, 1.0 - self.kr - self.kb, self.kb);
        let (to_b, to_r) = (2.0 * (1.0 - kb) / chroma, 2.0 * (1.0 - kr) / chroma);
        let (unit, kr, kb) = (1.0 / luma, kr / kg, kb / kg);
        move |[y, cb, cr]| {
            let y = (y - black) * unit;
            let (r, b) = (to_r * (cr - grey), to_b * (cb - grey));
            [y + r, y - kr * r - kb * b, y + b]
        }
    }

    pub fn encode(&self, rgb: [f32; 3]) -> [f32; 3] {
        self.encoder()(rgb)
    }

    pub fn decode(&self, numbers: [f32; 3]) -> [f32; 3] {
        self.decoder()(numbers)
    }
}
