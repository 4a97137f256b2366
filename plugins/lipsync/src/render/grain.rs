//! The picture's grain: how strong and how coarse the noise of the skin around the mouth is, and noise like it for what
//! is painted.
//!
//! The same picture has the same grain: where the pattern lies is decided by the samples that were measured.

use std::sync::OnceLock;

use super::{frame::Channel, lips::Lips};

/// Side of the pattern, a power of two.
const SIZE: usize = 128;
/// Rows and columns of samples that are measured, up to so far from the middle of the lips.
const ROWS: usize = 30;
const OUTWARDS: f32 = 0.85;
/// The lips and what is next to them are no skin.
const MARGIN: f32 = 0.07;
/// Variance of rounding to whole numbers, and what is too little to see.
const ROUNDING: f32 = 1.0 / 12.0;
const LEAST: f32 = 0.12;
/// No picture that is watched is noisier: it is a beard then.
const MOST: f32 = 5.0;
/// Grain is weaker in the dark.
const IN_THE_DARK: f32 = 0.55;
/// So many of the differences count, from the smallest: edges and hairs are few. Of a normal distribution these have
/// this part of its variance.
const COUNTED: f32 = 0.75;
const OF_VARIANCE: f32 = 0.369;

/// Noise of one channel, in its levels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Grain {
    /// Standard deviation.
    strength: f32,
    /// 0 for noise that differs from sample to sample, 1 for one that is blurred over three.
    soft: f32,
    /// Where the pattern lies.
    shift: [usize; 2],
}

impl Grain {
    /// Measures a plane of `width` by `height` samples at `places`, which `places` gave.
    pub fn of(plane: &[u8], channel: &Channel, size: [usize; 2], places: &[[f32; 2]]) -> Self {
        let mut fine = Vec::with_capacity(places.len());
        let mut coarse = Vec::with_capacity(places.len());
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for place in places {
            let Some([x, y]) = sample(channel, *place, size) else {
                continue;
            };
            let value = |by: usize| channel.get(plane, x + by - 2, y).unwrap_or_default();
            let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(value);
            for v in [a, c, e] {
                hash = (hash ^ v as u64).wrapping_mul(0x0100_0000_01b3);
            }
            // Second differences: slopes are no noise.
            let bend = |a: f32, b: f32, c: f32| (a - 2.0 * b + c).powi(2);
            fine.push(bend(b, c, d));
            coarse.push(bend(a, c, e));
        }
        let shift = [hash >> 20, hash >> 40].map(|v| v as usize % SIZE);
        // Of white noise both have six times its variance.
        let [fine, coarse] = [fine, coarse].map(|mut squares| variance(&mut squares) / 6.0);
        let variance = coarse.min(2.5 * fine) - ROUNDING * channel.depth.step().powi(2);
        if variance < LEAST {
            return Self::default();
        }
        Self {
            strength: variance.sqrt().min(MOST),
            // Blurred noise has little in its finest differences.
            soft: ((1.0 - fine / coarse.max(1e-3)) / 0.7).clamp(0.0, 1.0),
            shift,
        }
    }

    pub fn is_none(&self) -> bool {
        self.strength == 0.0
    }

    /// The same grain in the places of `other`'s: noise of brightness is in all of R, G and B.
    pub fn with(self, other: &Self) -> Self {
        Self {
            shift: other.shift,
            ..self
        }
    }

    /// Noise for a sample of brightness `light` (1 for the skin's).
    #[inline]
    pub fn at(&self, x: usize, y: usize, light: f32) -> f32 {
        let pattern = pattern();
        let at =
            |x: usize, y: usize| ((y + self.shift[1]) % SIZE) * SIZE + (x + self.shift[0]) % SIZE;
        let [white, blurred] = pattern[at(x, y)];
        let strength = self.strength * (IN_THE_DARK + (1.0 - IN_THE_DARK) * light.min(1.0));
        strength * (white + (blurred - white) * self.soft)
    }
}

/// Where there is skin around the mouth, in pixels.
pub fn places(lips: &Lips, to: &mut Vec<[f32; 2]>) {
    to.clear();
    let step = |k: usize| (2.0 * (k as f32 + 0.5) / ROWS as f32 - 1.0) * OUTWARDS;
    for i in 0..ROWS {
        let x = step(i);
        let [top, .., bottom] = lips.contours(x.clamp(lips.left, lips.right));
        let beside = (lips.left - x).max(x - lips.right).max(0.0);
        for j in 0..ROWS {
            let y = step(j);
            let apart = (top - y).max(y - bottom).max(0.0);
            let off_lips = beside.hypot(apart) > MARGIN;
            if off_lips && y > lips.nose + 0.05 && y < lips.chin[1] - 0.05 {
                to.push(lips.frame.to_pixel([x, y]));
            }
        }
    }
}

/// The sample at a place, two of its row to each side being there.
fn sample(channel: &Channel, [x, y]: [f32; 2], [width, height]: [usize; 2]) -> Option<[usize; 2]> {
    let x = (x / f32::from(1u8 << channel.sub_x)).floor();
    let y = (y / f32::from(1u8 << channel.sub_y)).floor();
    (x >= 2.0 && y >= 0.0 && x + 2.0 < width as f32 && y < height as f32)
        .then_some([x as usize, y as usize])
}

/// The variance of the values whose squares these are.
fn variance(squares: &mut [f32]) -> f32 {
    let count = (squares.len() as f32 * COUNTED) as usize;
    if count == 0 {
        return 0.0;
    }
    squares.select_nth_unstable_by(count, f32::total_cmp);
    squares[..count].iter().sum::<f32>() / count as f32 / OF_VARIANCE
}

/// White noise and the same noise blurred, both of variance one.
fn pattern() -> &'static [[f32; 2]] {
    static PATTERN: OnceLock<Vec<[f32; 2]>> = OnceLock::new();
    PATTERN.get_or_init(|| {
        let mut state = 1u64;
        let mut uniform = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u32 << 24) as f32
        };
        let white: Vec<f32> = (0..SIZE * SIZE)
            // The sum of four has a third of one's variance each.
            .map(|_| ((0..4).map(|_| uniform()).sum::<f32>() - 2.0) * 3.0f32.sqrt())
            .collect();
        let at = |x: usize, y: usize| white[(y % SIZE) * SIZE + x % SIZE];
        (0..SIZE * SIZE)
            .map(|k| {
                let (x, y) = (k % SIZE + SIZE, k / SIZE + SIZE);
                let row = |y: usize| at(x - 1, y) + 2.0 * at(x, y) + at(x + 1, y);
                let blurred = row(y - 1) + 2.0 * row(y) + row(y + 1);
                // Of the kernel's squares.
                [white[k], blurred / 6.0]
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{
        frame::Layout,
        testing::{self, AT, UNIT},
    };

    const SIZE: [usize; 2] = [301, 247];

    /// Measures a smooth picture to which `noise` is added.
    fn measured(noise: impl Fn(usize, usize) -> f32) -> Grain {
        let layout = Layout::rgb(SIZE[0], SIZE[1]);
        let channel = &layout.channels[0];
        let mut planes = testing::picture(&layout);
        for y in 0..SIZE[1] {
            for x in 0..SIZE[0] {
                let to = &mut planes[0][channel.index(x, y)];
                *to = (f32::from(*to) + noise(x, y)).round().clamp(0.0, 255.0) as u8;
            }
        }
        let lips = Lips::of(&testing::face(AT, UNIT)).unwrap();
        let mut skin = Vec::new();
        places(&lips, &mut skin);
        Grain::of(&planes[0], channel, SIZE, &skin)
    }

    /// Independent of the pattern that is drawn with: values from -1.7 to 1.7, variance one.
    fn hashed(x: usize, y: usize, frame: usize) -> f32 {
        let mut v = (x * 7919 + y * 104_729 + frame * 15_485_863) as u32;
        for _ in 0..3 {
            v = (v ^ (v >> 16)).wrapping_mul(0x45d9_f3b5);
        }
        (f32::from((v >> 16) as u16) / 65_535.0 - 0.5) * 12.0f32.sqrt()
    }

    #[test]
    fn a_picture_without_noise_has_no_grain() {
        assert!(measured(|_, _| 0.0).is_none());
        assert_eq!(measured(|_, _| 0.0).at(3, 4, 1.0), 0.0);
    }

    #[test]
    fn grain_is_as_strong_and_as_coarse_as_the_noise_of_the_skin() {
        for strength in [1.0, 2.0, 4.0] {
            let white = measured(|x, y| strength * hashed(x, y, 0));
            let ratio = white.strength / strength;
            // This noise is even, for which the trimmed mean of normal noise is a little much.
            assert!((0.75..1.35).contains(&ratio), "{ratio} of {strength}");
            assert!(white.soft < 0.3, "{}", white.soft);
            let coarse = measured(|x, y| strength * hashed(x / 2, y / 2, 0));
            assert!(coarse.soft > white.soft + 0.3, "{}", coarse.soft);
        }
        // What is drawn is that strong, and weaker in the dark.
        let grain = measured(|x, y| 3.0 * hashed(x, y, 0));
        let drawn = |light: f32| {
            let values = (0..4000).map(|k| grain.at(k % 80, k / 80, light));
            (values.map(|v| v * v).sum::<f32>() / 4000.0).sqrt()
        };
        assert!((drawn(1.0) / grain.strength - 1.0).abs() < 0.25);
        assert!((drawn(0.0) / drawn(1.0) - IN_THE_DARK).abs() < 0.01);
    }

    #[test]
    fn grain_moves_as_the_noise_does_and_stays_as_it_stays() {
        let frame = |frame: usize| measured(|x, y| 2.0 * hashed(x, y, frame));
        assert_eq!(frame(1), frame(1));
        assert_ne!(frame(1).shift, frame(2).shift);
    }
}
