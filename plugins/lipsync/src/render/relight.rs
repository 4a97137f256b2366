//! The light that falls on a face against that in which a laid one was seen.

use super::{
    frame::{Colour, Frame},
    lay::Laid,
    lips::{HeadFrame, Lips},
    smoothstep,
};

/// Light is the same within this, in units.
const BLUR: f32 = 0.26;
/// Lips and what is so near to them, in units, say nothing of the light.
const AROUND_LIPS: f32 = 0.08;
/// Bounds of the change as a whole, and in one place against that.
const WHOLE: [f32; 2] = [0.5, 2.0];
const PLACE: [f32; 2] = [0.8, 1.25];
/// Bounds of the change of colour in one place against the whole.
const COLOUR: f32 = 10.0;

/// Weight, then for each channel the frame's own value and the laid one's.
type Sums = [f32; 7];

/// On the grid of [`Laid`]: for brightness a gain, which is one of linear light too, since a
/// picture's transfer is nearly a power; for colour a sum. Keeps its memory.
#[derive(Default)]
pub struct Relight {
    sums: Vec<Sums>,
    scratch: Vec<Sums>,
    /// Gain and sum at each node.
    nodes: [Vec<[f32; 2]>; 3],
    /// How much the two skins differ once they are in the same light, in levels of brightness.
    pub mismatch: f32,
}

impl Relight {
    /// Holds the frame against the laid picture `other`, whose corner is at `corner` of its source.
    pub fn measure(
        &mut self,
        frame: &Frame,
        other: &Frame,
        corner: [f32; 2],
        laid: &Laid,
        lips: [&Lips; 2],
        head: &HeadFrame,
    ) {
        let step = 0.5 * laid.cell;
        let around = [[0.0, 0.0], [step, 0.0], [0.0, step], [step, step]];
        self.sums.clear();
        let mut whole = [0.0; 7];
        for j in 0..laid.rows {
            for i in 0..laid.columns {
                let node = &laid.nodes[j * laid.columns + i];
                let place = laid.place_of(i, j);
                let mut skin = node.face;
                if skin > 0.0 {
                    let local = head.to_local(place);
                    skin *= lips
                        .map(|lips| off_lips(lips, local))
                        .into_iter()
                        .fold(1.0, f32::min);
                }
                let mut sums = [0.0; 7];
                if skin > 0.0 {
                    for [dx, dy] in around {
                        let [bx, by] = laid.back_vector([dx, dy]);
                        let from = [node.from[0] + bx - corner[0], node.from[1] + by - corner[1]];
                        let own = frame.values_at([place[0] + dx, place[1] + dy]);
                        if let (Some(own), Some(other)) = (own, other.values_at(from)) {
                            sums[0] += skin;
                            for c in 0..3 {
                                sums[1 + c] += skin * own[c];
                                sums[4 + c] += skin * other[c];
                            }
                        }
                    }
                    whole
                        .iter_mut()
                        .zip(sums)
                        .for_each(|(whole, v)| *whole += v);
                }
                self.sums.push(sums);
            }
        }
        self.mismatch = self.mismatch(frame, &whole);
        let radius = (BLUR * head.unit / laid.cell).round().max(1.0) as usize;
        for _ in 0..2 {
            blur(&mut self.sums, &mut self.scratch, laid.columns, radius);
        }
        let colour = frame.layout.colour;
        let zero_of_light = zero(colour, 0);
        let brightness = gains(&self.sums, &whole, zero_of_light, 0);
        for (c, nodes) in self.nodes.iter_mut().enumerate() {
            let zero = zero(colour, c);
            nodes.clear();
            match (c, colour) {
                (0, _) => nodes.extend(brightness.iter().map(|gain| [*gain, 0.0])),
                (_, Colour::Rgb) => {
                    let gains = gains(&self.sums, &whole, zero, c);
                    nodes.extend(gains.into_iter().map(|gain| [gain, 0.0]));
                }
                // Colour is as strong as the light, and may have another tint.
                (_, Colour::Yuv { .. }) => {
                    let tint = |sums: &Sums, gain: f32| {
                        let [own, other] = means(sums, zero, c);
                        own - gain * other
                    };
                    let [own, other] = means(&whole, zero_of_light, 0);
                    let all = tint(&whole, own / other.max(1.0));
                    nodes.extend(self.sums.iter().zip(&brightness).map(|(sums, gain)| {
                        let sure = smoothstep(0.0, 0.05, sums[0]);
                        let here = (tint(sums, *gain) - all).clamp(-COLOUR, COLOUR);
                        [*gain, all + here * sure]
                    }));
                }
            }
        }
    }

    fn mismatch(&self, frame: &Frame, whole: &Sums) -> f32 {
        let zero = zero(frame.layout.colour, 0);
        if whole[0] <= 0.0 {
            return 0.0;
        }
        let gain = (whole[1] - zero * whole[0]) / (whole[4] - zero * whole[0]).max(1.0);
        let off = |sums: &Sums| {
            let [own, other] = [sums[1] - zero * sums[0], sums[4] - zero * sums[0]];
            (own - gain * other).abs()
        };
        self.sums.iter().map(off).sum::<f32>() / whole[0]
    }

    /// Gain and sum of a channel at height `y`, for each column of the grid.
    pub fn row(&self, y: f32, laid: &Laid, c: usize, to: &mut Vec<[f32; 2]>) {
        let (j, t) = laid.grid_row(y);
        let (upper, lower) = self.nodes[c][j * laid.columns..].split_at(laid.columns);
        to.clear();
        let between = |a: f32, b: f32| a + (b - a) * t;
        let both = upper.iter().zip(lower);
        to.extend(both.map(|(a, b)| [between(a[0], b[0]), between(a[1], b[1])]));
    }
}

/// The frame's own value and the laid one, against black or no colour.
fn means(sums: &Sums, zero: f32, c: usize) -> [f32; 2] {
    let weight = sums[0].max(1e-4);
    [sums[1 + c] / weight - zero, sums[4 + c] / weight - zero]
}

/// By how much a channel is brighter than the laid one, at each node.
fn gains(sums: &[Sums], whole: &Sums, zero: f32, c: usize) -> Vec<f32> {
    let gain = |sums: &Sums| {
        let [own, other] = means(sums, zero, c);
        (own + 2.0) / (other + 2.0)
    };
    let all = if whole[0] > 0.0 { gain(whole) } else { 1.0 };
    let all = all.clamp(WHOLE[0], WHOLE[1]);
    let here = |sums: &Sums| {
        let sure = smoothstep(0.0, 0.05, sums[0]);
        let here = (gain(sums) / all).clamp(PLACE[0], PLACE[1]);
        all * (1.0 + (here - 1.0) * sure)
    };
    sums.iter().map(here).collect()
}

/// The value of black, or of no colour.
pub fn zero(colour: Colour, channel: usize) -> f32 {
    match colour {
        Colour::Rgb => 0.0,
        Colour::Yuv { full_range, .. } if channel == 0 => {
            if full_range {
                0.0
            } else {
                16.0
            }
        }
        Colour::Yuv { .. } => 128.0,
    }
}

/// 0 on the lips and next to them, 1 on the skin.
pub fn off_lips(lips: &Lips, [x, y]: [f32; 2]) -> f32 {
    let [top, .., bottom] = lips.contours(x.clamp(lips.left, lips.right));
    let beside = (lips.left - x).max(x - lips.right).max(0.0);
    let apart = (top - y).max(y - bottom).max(0.0);
    smoothstep(AROUND_LIPS, 2.0 * AROUND_LIPS, beside.hypot(apart))
}

/// A running mean along rows and then columns.
fn blur(values: &mut [Sums], scratch: &mut Vec<Sums>, columns: usize, radius: usize) {
    let rows = values.len() / columns.max(1);
    scratch.clear();
    scratch.extend_from_slice(values);
    for j in 0..rows {
        let row = j * columns;
        for i in 0..columns {
            let (from, to) = (i.saturating_sub(radius), (i + radius + 1).min(columns));
            scratch[row + i] = mean(values[row + from..row + to].iter(), radius);
        }
    }
    for i in 0..columns {
        for j in 0..rows {
            let (from, to) = (j.saturating_sub(radius), (j + radius + 1).min(rows));
            let column = scratch[from * columns..to * columns].iter();
            values[j * columns + i] = mean(column.skip(i).step_by(columns), radius);
        }
    }
}

fn mean<'a>(values: impl Iterator<Item = &'a Sums>, radius: usize) -> Sums {
    let mut sum = [0.0; 7];
    for value in values {
        sum.iter_mut().zip(value).for_each(|(sum, v)| *sum += v);
    }
    sum.map(|v| v / (2 * radius + 1) as f32)
}
