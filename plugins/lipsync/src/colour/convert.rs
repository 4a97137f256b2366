//! Makes the numbers of one meaning of those of another, frame by frame.
//!
//! Where matrix and light stay, each channel has a table; where the light stays, the way is straight; else it
//! leads through light (see [`super::light`]), sample by sample. Fewer bits are reached by ordered dither, so
//! that a sky has no steps.

use super::light::{Conversion, Tabulated};
use super::{Coding, Meaning};

/// What is added before the fraction is cut off; for fewer bits, by place.
const ROUND: [[f32; 2]; 2] = [[0.5; 2]; 2];
const DITHER: [[f32; 2]; 2] = [[0.125, 0.625], [0.875, 0.375]];

/// Samples of a plane, and how they lie in its bytes.
pub struct Source<'a> {
    pub bytes: &'a [u8],
    pub stride: usize,
}

pub struct Target<'a> {
    pub bytes: &'a mut [u8],
    pub stride: usize,
}

/// How large the planes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub width: usize,
    pub height: usize,
    /// log2 of the subsampling of Cb and Cr.
    pub sub_x: u32,
    pub sub_y: u32,
}

impl Size {
    fn chroma(&self) -> (usize, usize) {
        let along = |v: usize, sub: u32| (v + (1 << sub) - 1) >> sub;
        (
            along(self.width, self.sub_x),
            along(self.height, self.sub_y),
        )
    }
}

/// A conversion, ready to be used on any number of frames.
pub struct Converter {
    steps: Steps,
    from: u32,
    to: u32,
    thresholds: [[f32; 2]; 2],
}

enum Steps {
    /// By number of the source, for Y' and for the differences.
    Tables([Vec<f32>; 2]),
    Straight(Straight),
    Light {
        from: Coding,
        tabulated: Box<Tabulated>,
        to: Coding,
    },
}

/// Of three numbers three others: a matrix, and what is added.
struct Straight([[f32; 4]; 3]);

impl Straight {
    fn new(from: Coding, to: Coding) -> Self {
        let go = |numbers| to.encode(from.decode(numbers));
        let zero = go([0.0; 3]);
        let unit = [0, 1, 2].map(|i| {
            let mut numbers = [0.0; 3];
            numbers[i] = 1.0;
            go(numbers)
        });
        Self([0, 1, 2].map(|k| {
            let [a, b, c] = unit.map(|u| u[k] - zero[k]);
            [a, b, c, zero[k]]
        }))
    }

    #[inline(always)]
    fn go(&self, [x, y, z]: [f32; 3]) -> [f32; 3] {
        self.0.map(|[a, b, c, add]| a * x + b * y + c * z + add)
    }
}

impl Converter {
    /// `None` where both mean the same.
    pub fn new(from: Meaning, to: Meaning) -> Option<Self> {
        if from == to {
            return None;
        }
        let conversion = Conversion::between(from.light, to.light);
        let (a, b) = (from.coding, to.coding);
        let steps = match conversion {
            Some(conversion) => Steps::Light {
                from: a,
                tabulated: Box::new(Tabulated::new(conversion)),
                to: b,
            },
            None if (a.kr, a.kb) == (b.kr, b.kb) => Steps::Tables(channels(a, b)),
            None => Steps::Straight(Straight::new(a, b)),
        };
        Some(Self {
            steps,
            from: a.bits,
            to: b.bits,
            thresholds: if b.bits < a.bits { DITHER } else { ROUND },
        })
    }

    /// Converts the planes of a frame; those of both have the same size.
    pub fn run(&self, size: Size, from: [Source; 3], to: [Target; 3]) {
        match (self.from, self.to) {
            (8, 8) => self.run_on::<u8, u8>(size, from, to),
            (8, _) => self.run_on::<u8, u16>(size, from, to),
            (_, 8) => self.run_on::<u16, u8>(size, from, to),
            _ => self.run_on::<u16, u16>(size, from, to),
        }
    }

    fn run_on<A: Number, B: Number>(&self, size: Size, from: [Source; 3], to: [Target; 3]) {
        match &self.steps {
            Steps::Tables([luma, chroma]) => {
                let (w, h) = size.chroma();
                let sizes = [(size.width, size.height), (w, h), (w, h)];
                let tables = [luma, chroma, chroma];
                for (((from, mut to), size), table) in from.iter().zip(to).zip(sizes).zip(tables) {
                    self.look_up::<A, B>(table, size, from, &mut to);
                }
            }
            Steps::Straight(straight) => {
                self.each::<A, B>(size, &from, to, |numbers| straight.go(numbers));
            }
            Steps::Light {
                from: coding,
                tabulated,
                to: wanted,
            } => {
                let (decode, encode) = (coding.decoder(), wanted.encoder());
                self.each::<A, B>(size, &from, to, |numbers| {
                    encode(tabulated.go(decode(numbers)))
                });
            }
        }
    }

    fn look_up<A: Number, B: Number>(
        &self,
        table: &[f32],
        (width, height): (usize, usize),
        from: &Source,
        to: &mut Target,
    ) {
        let top = ((1u32 << self.to) - 1) as f32;
        let rows = from
            .bytes
            .chunks(from.stride)
            .zip(to.bytes.chunks_mut(to.stride));
        for (y, (from, to)) in rows.take(height).enumerate() {
            let add = self.thresholds[y & 1];
            for x in 0..width {
                let value = table.get(A::get(from, x)).copied().unwrap_or(0.0);
                B::put(to, x, (value + add[x & 1]).clamp(0.0, top) as u16);
            }
        }
    }

    /// Converts sample by sample; the differences are the mean of those of the samples that share them.
    fn each<A: Number, B: Number>(
        &self,
        size: Size,
        [luma, cb, cr]: &[Source; 3],
        [to_luma, mut to_cb, mut to_cr]: [Target; 3],
        go: impl Fn([f32; 3]) -> [f32; 3],
    ) {
        let top = ((1u32 << self.to) - 1) as f32;
        let (width, height) = size.chroma();
        let put = |value: f32, x: usize, y: usize| {
            (value + self.thresholds[y & 1][x & 1]).clamp(0.0, top) as u16
        };
        for cy in 0..height {
            let rows = cy << size.sub_y..((cy + 1) << size.sub_y).min(size.height);
            let (cb, cr) = (row(cb, cy), row(cr, cy));
            for cx in 0..width {
                let columns = cx << size.sub_x..((cx + 1) << size.sub_x).min(size.width);
                let shared = [A::get(cb, cx) as f32, A::get(cr, cx) as f32];
                let mut sum = [0.0; 2];
                for y in rows.clone() {
                    let from = row(luma, y);
                    let Some(to) = to_luma.bytes.get_mut(y * to_luma.stride..) else {
                        continue;
                    };
                    for x in columns.clone() {
                        let [v, b, r] = go([A::get(from, x) as f32, shared[0], shared[1]]);
                        B::put(to, x, put(v, x, y));
                        sum = [sum[0] + b, sum[1] + r];
                    }
                }
                let count = (rows.len() * columns.len()).max(1) as f32;
                for (to, sum) in [&mut to_cb, &mut to_cr].into_iter().zip(sum) {
                    if let Some(to) = to.bytes.get_mut(cy * to.stride..) {
                        B::put(to, cx, put(sum / count, cx, cy));
                    }
                }
            }
        }
    }
}

fn row<'a>(source: &Source<'a>, y: usize) -> &'a [u8] {
    source.bytes.get(y * source.stride..).unwrap_or_default()
}

/// A sample's number in bytes; there is none beyond them.
trait Number {
    fn get(row: &[u8], x: usize) -> usize;
    fn put(row: &mut [u8], x: usize, number: u16);
}

impl Number for u8 {
    #[inline(always)]
    fn get(row: &[u8], x: usize) -> usize {
        row.get(x).copied().unwrap_or_default().into()
    }

    #[inline(always)]
    fn put(row: &mut [u8], x: usize, number: u16) {
        if let Some(to) = row.get_mut(x) {
            *to = number as Self;
        }
    }
}

impl Number for u16 {
    #[inline(always)]
    fn get(row: &[u8], x: usize) -> usize {
        let bytes = row.get(2 * x..2 * x + 2).and_then(|b| b.first_chunk());
        Self::from_le_bytes(bytes.copied().unwrap_or_default()).into()
    }

    #[inline(always)]
    fn put(row: &mut [u8], x: usize, number: u16) {
        if let Some(to) = row.get_mut(2 * x..2 * x + 2) {
            to.copy_from_slice(&number.to_le_bytes());
        }
    }
}

/// The tables of Y' and of the differences.
fn channels(from: Coding, to: Coding) -> [Vec<f32>; 2] {
    let ((at, of), (to_at, to_of)) = (from.scale(), to.scale());
    [0, 1].map(|c| {
        let one = |number: u32| (number as f32 - at[c]) / of[c] * to_of[c] + to_at[c];
        (0..1 << from.bits).map(one).collect()
    })
}

#[cfg(test)]
mod tests;
