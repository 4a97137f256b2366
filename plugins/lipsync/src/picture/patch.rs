//! A copied rectangle of one channel, to sample from while the picture is overwritten.

use super::sample::{Sample, by_depth};
use super::{Region, frame::Channel};

/// Samples around the rectangle that the cubic filter needs.
const PAD: usize = 2;

/// Keeps its memory from frame to frame.
#[derive(Default)]
pub struct Patch {
    data: Vec<f32>,
    stride: usize,
    x: f32,
    y: f32,
    max_x: f32,
    max_y: f32,
}

impl Patch {
    /// Copies `region` (in samples of the channel, within `width` by `height`) of a plane. Beyond
    /// the plane's border its last samples repeat.
    pub fn load(
        &mut self,
        channel: &Channel,
        plane: &[u8],
        region: Region,
        width: usize,
        height: usize,
    ) {
        let (w, h) = (region.width + 2 * PAD, region.height + 2 * PAD);
        self.data.resize(w * h, 0.0);
        self.stride = w;
        self.x = region.x as f32;
        self.y = region.y as f32;
        self.max_x = (region.width.max(1) - 1) as f32;
        self.max_y = (region.height.max(1) - 1) as f32;
        by_depth!(channel.depth, S => self.copy::<S>(channel, plane, region, [width, height]));
    }

    fn copy<S: Sample>(
        &mut self,
        channel: &Channel,
        plane: &[u8],
        region: Region,
        [width, height]: [usize; 2],
    ) {
        for (row, out) in self.data.chunks_exact_mut(self.stride).enumerate() {
            let y = (region.y + row).saturating_sub(PAD).min(height - 1);
            let start = channel.index(0, y);
            let line = &plane[start..];
            let first = region.x.saturating_sub(PAD);
            let last = (region.x + region.width + PAD).min(width);
            let lead = first + PAD - region.x;
            let middle = last - first;
            let samples = S::values(&line[first * channel.step..], channel.step);
            for (to, from) in out[lead..lead + middle].iter_mut().zip(samples) {
                *to = from;
            }
            let (a, b) = (out[lead], out[lead + middle - 1]);
            out[..lead].fill(a);
            out[lead + middle..].fill(b);
        }
    }

    /// Takes a picture of `size` by `size` whose samples `value` gives.
    pub fn fill(&mut self, size: usize, value: impl Fn(usize, usize) -> f32) {
        self.stride = size + 2 * PAD;
        self.data.resize(self.stride * self.stride, 0.0);
        (self.x, self.y) = (0.0, 0.0);
        self.max_x = (size - 1) as f32;
        self.max_y = self.max_x;
        let within = |v: usize| v.saturating_sub(PAD).min(size - 1);
        for (row, out) in self.data.chunks_exact_mut(self.stride).enumerate() {
            for (col, to) in out.iter_mut().enumerate() {
                *to = value(within(col), within(row));
            }
        }
    }

    /// Position in the patch: index of the sample above and to the left, and the remainders.
    #[inline]
    fn locate(&self, x: f32, y: f32) -> (usize, f32, f32) {
        let x = (x - self.x).clamp(0.0, self.max_x);
        let y = (y - self.y).clamp(0.0, self.max_y);
        // By way of i32: the direct conversion is much slower.
        let (i, j) = (x as i32 as usize, y as i32 as usize);
        (
            (j + PAD) * self.stride + i + PAD,
            x - i as f32,
            y - j as f32,
        )
    }

    /// Sharpened Catmull-Rom interpolation: keeps the sharpness that bilinear sampling would lose.
    #[inline]
    pub fn cubic(&self, x: f32, y: f32) -> f32 {
        let (at, fx, fy) = self.locate(x, y);
        let (wx, wy) = (weights(fx), weights(fy));
        let mut sum = [0.0f32; 4];
        let first = at - self.stride - 1;
        for (k, w) in wy.into_iter().enumerate() {
            let start = first + k * self.stride;
            let row = &self.data[start..start + 4];
            for (sum, v) in sum.iter_mut().zip(row) {
                *sum += v * w;
            }
        }
        sum[0] * wx[0] + sum[1] * wx[1] + sum[2] * wx[2] + sum[3] * wx[3]
    }

    /// [`Patch::cubic`] along a straight line: the first sample at `start`, each next one `step` further.
    pub fn cubic_line(&self, start: [f32; 2], step: [f32; 2], to: &mut [f32]) {
        let mut first = 0;
        for to in to.chunks_mut(LANES) {
            let places = self.places(start, step, first);
            first += LANES as i32;
            let (wx, wy) = (weights_of(&places.x), weights_of(&places.y));
            for (k, to) in to.iter_mut().enumerate() {
                let above = &self.data[places.at[k] - self.stride - 1..];
                let mut sum = [0.0f32; 4];
                for (row, wy) in wy.iter().enumerate() {
                    let taps = &above[row * self.stride..][..4];
                    for (sum, v) in sum.iter_mut().zip(taps) {
                        *sum += v * wy[k];
                    }
                }
                *to = sum[0] * wx[0][k] + sum[1] * wx[1][k] + sum[2] * wx[2][k] + sum[3] * wx[3][k];
            }
        }
    }

    /// [`Patch::linear`] along a straight line.
    pub fn linear_line(&self, start: [f32; 2], step: [f32; 2], to: &mut [f32]) {
        let mut first = 0;
        for to in to.chunks_mut(LANES) {
            let places = self.places(start, step, first);
            first += LANES as i32;
            for (k, to) in to.iter_mut().enumerate() {
                *to = self.between(places.at[k], places.x[k], places.y[k]);
            }
        }
    }

    /// [`LANES`] places along a line from the `first` on: arrays, so that the compiler uses vectors.
    #[inline(always)]
    fn places(&self, start: [f32; 2], step: [f32; 2], first: i32) -> Places {
        let along = |start: f32, step: f32, most: f32| -> [f32; LANES] {
            std::array::from_fn(|k| (start + (first + k as i32) as f32 * step).clamp(0.0, most))
        };
        let x = along(start[0] - self.x, step[0], self.max_x);
        let y = along(start[1] - self.y, step[1], self.max_y);
        let (i, j) = (x.map(|x| x as i32), y.map(|y| y as i32));
        let at = |k: usize| (j[k] as usize + PAD) * self.stride + i[k] as usize + PAD;
        Places {
            at: std::array::from_fn(at),
            x: std::array::from_fn(|k| x[k] - i[k] as f32),
            y: std::array::from_fn(|k| y[k] - j[k] as f32),
        }
    }

    #[inline]
    pub fn linear(&self, x: f32, y: f32) -> f32 {
        let (at, fx, fy) = self.locate(x, y);
        self.between(at, fx, fy)
    }

    #[inline]
    fn between(&self, at: usize, fx: f32, fy: f32) -> f32 {
        let a = &self.data[at..at + 2];
        let b = &self.data[at + self.stride..at + self.stride + 2];
        let top = a[0] + (a[1] - a[0]) * fx;
        let bottom = b[0] + (b[1] - b[0]) * fx;
        top + (bottom - top) * fy
    }
}

/// Samples along a line are taken so many at once.
const LANES: usize = 8;

/// For each sample of some along a line, the index above and to the left, and the remainders.
struct Places {
    at: [usize; LANES],
    x: [f32; LANES],
    y: [f32; LANES],
}

/// What is added between the samples, where the cubic alone blurs.
const LIFT: f32 = 0.18;

/// Keys' cubic convolution with a = -1/2, and between the samples a little of a second difference,
/// which leaves slopes as they are and gives fine detail back its strength.
#[inline(always)]
fn weights(t: f32) -> [f32; 4] {
    let t2 = t * t;
    let t3 = t2 * t;
    let lift = LIFT * (t - t2);
    [
        -0.5 * t + t2 - 0.5 * t3 - lift,
        1.0 - 2.5 * t2 + 1.5 * t3 + lift,
        0.5 * t + 2.0 * t2 - 1.5 * t3 + lift,
        -0.5 * t2 + 0.5 * t3 - lift,
    ]
}

/// The four weights, each for all remainders.
#[inline(always)]
fn weights_of(t: &[f32; LANES]) -> [[f32; LANES]; 4] {
    let mut of = [[0.0; LANES]; 4];
    for (k, t) in t.iter().enumerate() {
        for (of, weight) in of.iter_mut().zip(weights(*t)) {
            of[k] = weight;
        }
    }
    of
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::sample::Depth;

    const CHANNEL: Channel = Channel {
        plane: 0,
        offset: 1,
        step: 2,
        stride: 23,
        sub_x: 0,
        sub_y: 0,
        depth: Depth::Eight,
    };

    /// 10 by 8 samples and bytes of others between and behind them.
    fn plane(value: impl Fn(usize, usize) -> u8) -> Vec<u8> {
        let mut plane = vec![255; 23 * 8];
        for y in 0..8 {
            for x in 0..10 {
                plane[CHANNEL.index(x, y)] = value(x, y);
            }
        }
        plane
    }

    fn whole(plane: &[u8]) -> Patch {
        let mut patch = Patch::default();
        let region = Region {
            x: 0,
            y: 0,
            width: 10,
            height: 8,
        };
        patch.load(&CHANNEL, plane, region, 10, 8);
        patch
    }

    #[test]
    fn samples_themselves_come_back_unchanged() {
        let value = |x: usize, y: usize| ((x * 37 + y * 91) % 200) as u8;
        let plane = plane(value);
        let mut patch = Patch::default();
        for (x, y, width, height) in [(0, 0, 10, 8), (3, 2, 4, 3), (9, 7, 1, 1)] {
            let region = Region {
                x,
                y,
                width,
                height,
            };
            patch.load(&CHANNEL, &plane, region, 10, 8);
            for j in y..y + height {
                for i in x..x + width {
                    let want = f32::from(value(i, j));
                    assert_eq!(patch.cubic(i as f32, j as f32), want);
                    assert_eq!(patch.linear(i as f32, j as f32), want);
                }
            }
        }
    }

    #[test]
    fn a_straight_slope_stays_straight_and_the_border_repeats() {
        let patch = whole(&plane(|x, y| (20 * x + 3 * y) as u8));
        for (x, y) in [(3.25, 2.5), (5.5, 4.75), (2.0, 3.125)] {
            let want = 20.0 * x + 3.0 * y;
            assert!((patch.cubic(x, y) - want).abs() < 1e-3);
            assert!((patch.linear(x, y) - want).abs() < 1e-3);
        }
        for (x, y, want) in [(12.0, 3.0, 189.0), (-4.0, 3.0, 9.0), (4.0, 99.0, 101.0)] {
            assert_eq!(patch.cubic(x, y), want);
            assert_eq!(patch.linear(x, y), want);
        }
        // Keys' kernel between 160 and 180, its right neighbour repeated: the textbook value, and a
        // quarter of the lift times the second difference.
        let want = -0.0625 * 140.0 + 0.5625 * 160.0 + 0.5625 * 180.0 - 0.0625 * 180.0;
        let want = want + 0.25 * LIFT * (160.0 + 180.0 - 140.0 - 180.0);
        assert!((patch.cubic(8.5, 0.0) - want).abs() < 1e-3);
    }

    #[test]
    fn a_line_is_its_samples() {
        let patch = whole(&plane(|x, y| ((x * 37 + y * 91) % 200) as u8));
        // Straight, slanting, backwards, and over the border; 1 to 21 samples.
        for (start, step) in [
            ([0.25, 3.0], [0.5, 0.0]),
            ([8.0, 1.0], [-0.43, 0.31]),
            ([-2.0, 6.5], [1.1, 0.2]),
        ] {
            for count in [1, 7, 8, 9, 21] {
                let (mut cubic, mut linear) = (vec![0.0; count], vec![0.0; count]);
                patch.cubic_line(start, step, &mut cubic);
                patch.linear_line(start, step, &mut linear);
                for (k, (cubic, linear)) in cubic.iter().zip(&linear).enumerate() {
                    let [x, y] = [0, 1].map(|i| start[i] + k as f32 * step[i]);
                    assert!((cubic - patch.cubic(x, y)).abs() < 1e-3);
                    assert!((linear - patch.linear(x, y)).abs() < 1e-3);
                }
            }
        }
    }

    #[test]
    fn fine_detail_keeps_its_strength_between_the_samples() {
        // Waves of 5 samples: what a half-sample shift leaves of their energy.
        let wave = |v: usize| 127.0 + 100.0 * (v as f32 * std::f32::consts::TAU / 5.0).sin();
        let mut patch = Patch::default();
        patch.fill(40, |x, _| wave(x));
        let energy =
            |at: &dyn Fn(usize) -> f32| -> f32 { (5..35).map(|i| (at(i) - 127.0).powi(2)).sum() };
        let kept = energy(&|i| patch.cubic(i as f32 + 0.5, 20.0)) / energy(&wave);
        assert!((0.9..1.15).contains(&kept), "{kept}");
    }
}
