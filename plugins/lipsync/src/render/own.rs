//! Draws a mouth from the person's own other frames.
//!
//! The lower face of another frame is laid on this one (see `lay`), bent the rest of the way to
//! what is asked (see `bend`), brought into this frame's light and blended in. Each pixel is
//! sampled once.

use super::{
    Region,
    bend::Bend,
    frame::{Channel, Frame, FrameMut, Layout},
    lay::Laid,
    lips::{HeadFrame, Lips},
    patch::Patch,
    smoothstep,
};
use crate::bank::{Mouth, packed};
use crate::face::Mesh;

/// What is asked of a mouth, in units of the distance between the eyes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    pub opening: f32,
    pub width: f32,
}

/// A mouth to draw, and how much of it is seen where there are several.
#[derive(Clone, Copy)]
pub struct Layer<'a> {
    pub mouth: &'a Mouth,
    pub share: f32,
}

/// What is drawn of a face, in units around the middle of its mouth.
const ABOVE: f32 = 0.62;
const BELOW: f32 = 1.12;
const BESIDE: f32 = 1.14;

/// Cells of the light are so many of the grid's.
const LIGHT_BLUR: f32 = 0.26;
/// Lips and what is so near to them, in units, say nothing of the light.
const AROUND_LIPS: f32 = 0.08;
/// Bounds of the light's change.
const LEAST_GAIN: f32 = 0.6;
const MOST_GAIN: f32 = 1.6;

/// Draws for one face. Keeps its memory.
#[derive(Default)]
pub struct OwnMouth {
    laid: Laid,
    bend: Bend,
    patch: Patch,
    light: Light,
    /// What was drawn so far, by channel, weighted.
    drawn: [Vec<f32>; 3],
}

impl OwnMouth {
    /// How far a mouth whose opening is `own` stays off the one that is asked for.
    pub fn off(own: f32, asked: f32) -> f32 {
        (asked - Bend::most(own)).max(0.0)
    }

    /// Draws the layers, whose samples lie as `source` says, onto the face that `mesh` describes.
    /// Gives the opening that was reached; `None`, and nothing
    /// changed, where there is no face or nothing that fits.
    pub fn draw(
        &mut self,
        frame: &mut FrameMut,
        mesh: &Mesh,
        source: &Layout,
        layers: &[Layer],
        wanted: Wanted,
        strength: f32,
    ) -> Option<f32> {
        let (head, _) = HeadFrame::of(mesh)?;
        let layout = frame.layout;
        let region = target(&head, layout.width, layout.height);
        if region.is_empty() || source.colour != layout.colour {
            return None;
        }
        let sum: f32 = layers.iter().map(|layer| layer.share).sum();
        let mut first = true;
        let mut reached = 0.0;
        for layer in layers {
            reached = self.lay(
                &frame.as_ref(),
                mesh,
                &head,
                region,
                source,
                layer.mouth,
                wanted,
            )?;
            let share = layer.share / sum.max(1e-6);
            for c in 0..3 {
                self.sample(
                    &frame.as_ref(),
                    source,
                    layer.mouth,
                    &head,
                    region,
                    c,
                    share,
                    first,
                );
            }
            first = false;
        }
        for c in 0..3 {
            self.blend(frame, region, c, strength);
        }
        Some(reached)
    }

    /// Lays one mouth: the grid, the bend and the light.
    fn lay(
        &mut self,
        frame: &Frame,
        mesh: &Mesh,
        head: &HeadFrame,
        region: Region,
        source: &Layout,
        mouth: &Mouth,
        wanted: Wanted,
    ) -> Option<f32> {
        self.laid.lay(&mouth.mesh, mesh, head)?;
        let laid = self.laid.mesh()?;
        let mut lips = Lips::of(&laid)?;
        lips.line = mouth.look.line;
        lips.ends = mouth.look.ends;
        let reached = self.bend.prepare(&lips, wanted.opening, wanted.width);
        self.laid.trace(region, mesh, head);
        let own = Lips::of(mesh)?;
        let kept = packed(source, mouth.region);
        let other = Frame {
            layout: kept,
            planes: [mouth.pixels.bytes(), &[], &[]],
        };
        self.light
            .measure(frame, &other, mouth.region, &self.laid, [&own, &lips], head);
        Some(reached)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one channel of one layer of one frame"
    )]
    fn sample(
        &mut self,
        frame: &Frame,
        source: &Layout,
        mouth: &Mouth,
        head: &HeadFrame,
        region: Region,
        c: usize,
        share: f32,
        first: bool,
    ) {
        let channel = &frame.layout.channels[c];
        let target = on_channel(&frame.layout, channel, region);
        let kept = packed(source, mouth.region);
        let from = &kept.channels[c];
        let whole = Region {
            x: 0,
            y: 0,
            width: from.width(kept.width),
            height: from.height(kept.height),
        };
        self.patch
            .load(from, mouth.pixels.bytes(), whole, whole.width, whole.height);
        let drawn = &mut self.drawn[c];
        if first {
            drawn.clear();
            drawn.resize(target.width * target.height, 0.0);
        }
        let fine = c == 0 || (from.sub_x == 0 && from.sub_y == 0);
        // From pixels of the source to samples of the patch.
        let scale = |sub: u8| 1.0 / f32::from(1u8 << sub);
        let (fx, fy) = (scale(from.sub_x), scale(from.sub_y));
        let (ox, oy) = (mouth.region.x as f32, mouth.region.y as f32);
        let (sx, sy) = (
            f32::from(1u8 << channel.sub_x),
            f32::from(1u8 << channel.sub_y),
        );
        let pixel = sx.max(sy) / head.unit;
        let offset = self.light.zero(&frame.layout, c);
        let bend = !self.bend.is_idle();
        let mut line = Vec::new();
        let mut lights = Vec::new();
        for row in 0..target.height {
            let y = (target.y + row) as f32 * sy + 0.5 * sy;
            self.laid.row(y, &mut line);
            self.light.row(y, &self.laid, c, &mut lights);
            let out = &mut drawn[row * target.width..][..target.width];
            for (col, out) in out.iter_mut().enumerate() {
                let x = (target.x + col) as f32 * sx + 0.5 * sx;
                let (i, t) = self.laid.column(x);
                let (a, b) = (&line[i], &line[i + 1]);
                if a.seen <= 0.0 && b.seen <= 0.0 {
                    continue;
                }
                let mut at = [
                    a.from[0] + (b.from[0] - a.from[0]) * t,
                    a.from[1] + (b.from[1] - a.from[1]) * t,
                ];
                let read = |at: [f32; 2]| {
                    let (u, v) = ((at[0] - ox) * fx - 0.5, (at[1] - oy) * fy - 0.5);
                    if fine {
                        self.patch.cubic(u, v)
                    } else {
                        self.patch.linear(u, v)
                    }
                };
                let mut other = None;
                if bend {
                    let local = head.to_local([x, y]);
                    if self.bend.touches(local) {
                        let bent = self.bend.at(local, pixel);
                        other = bent.other.map(|(moved, share)| {
                            let [dx, dy] = self.laid.back_vector(head.vector(moved));
                            ([at[0] + dx, at[1] + dy], share)
                        });
                        let [dx, dy] = self.laid.back_vector(head.vector(bent.moved));
                        at = [at[0] + dx, at[1] + dy];
                    }
                }
                let mut value = read(at);
                if let Some((at, share)) = other {
                    value += (read(at) - value) * share;
                }
                let (a, b) = (lights[i], lights[i + 1]);
                let [gain, add] = [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t];
                *out += share * ((value - offset) * gain + offset + add);
            }
        }
    }

    fn blend(&self, frame: &mut FrameMut, region: Region, c: usize, strength: f32) {
        let layout = frame.layout;
        let channel = &layout.channels[c];
        let target = on_channel(&layout, channel, region);
        let (sx, sy) = (
            f32::from(1u8 << channel.sub_x),
            f32::from(1u8 << channel.sub_y),
        );
        let plane = &mut *frame.planes[channel.plane];
        let mut line = Vec::new();
        for row in 0..target.height {
            let y = (target.y + row) as f32 * sy + 0.5 * sy;
            self.laid.row(y, &mut line);
            let start = channel.index(target.x, target.y + row);
            let samples = plane[start..].iter_mut().step_by(channel.step);
            let drawn = &self.drawn[c][row * target.width..][..target.width];
            for ((col, to), value) in samples.take(target.width).enumerate().zip(drawn) {
                let x = (target.x + col) as f32 * sx + 0.5 * sx;
                let (i, t) = self.laid.column(x);
                let (a, b) = (line[i].seen, line[i + 1].seen);
                let seen = (a + (b - a) * t) * strength;
                if seen > 0.0 {
                    let own = f32::from(*to);
                    *to = (own + (value - own) * seen + 0.5).clamp(0.0, 255.0) as u8;
                }
            }
        }
    }
}

/// The pixels that a mouth on this head may touch.
fn target(head: &HeadFrame, width: usize, height: usize) -> Region {
    let corners = [
        [-BESIDE, -ABOVE],
        [BESIDE, -ABOVE],
        [BESIDE, BELOW],
        [-BESIDE, BELOW],
    ]
    .map(|p| head.to_pixel(p));
    let around = crate::picture::Rect::around(&corners);
    Region::covering(
        [around.x, around.y],
        [around.x + around.width, around.y + around.height],
        width,
        height,
    )
}

fn on_channel(layout: &Layout, channel: &Channel, region: Region) -> Region {
    region.subsampled(
        channel.sub_x,
        channel.sub_y,
        channel.width(layout.width),
        channel.height(layout.height),
    )
}

/// The light that falls on a face against that in which the laid one was seen, on the grid of
/// `Laid`: a gain of the brightness, which is one of linear light too, since the picture's transfer
/// is nearly a power; and for colour a sum.
#[derive(Default)]
struct Light {
    /// For each node its weight, and for each channel the frame's own and the laid value.
    seen: Vec<[f32; 7]>,
    gains: [Vec<[f32; 2]>; 3],
    scratch: Vec<[f32; 7]>,
    rgb: bool,
}

impl Light {
    /// The value of black.
    fn zero(&self, layout: &Layout, c: usize) -> f32 {
        match layout.colour {
            crate::picture::frame::Colour::Rgb => 0.0,
            crate::picture::frame::Colour::Yuv { full_range, .. } if c == 0 => {
                if full_range {
                    0.0
                } else {
                    16.0
                }
            }
            crate::picture::frame::Colour::Yuv { .. } => 128.0,
        }
    }

    fn measure(
        &mut self,
        frame: &Frame,
        other: &Frame,
        part: Region,
        laid: &Laid,
        lips: [&Lips; 2],
        head: &HeadFrame,
    ) {
        self.rgb = frame.layout.colour == crate::picture::frame::Colour::Rgb;
        self.seen.clear();
        let origin = [part.x as f32, part.y as f32];
        for j in 0..laid.rows {
            for i in 0..laid.columns {
                let node = &laid.nodes[j * laid.columns + i];
                let place = [
                    laid.origin[0] + i as f32 * laid.cell,
                    laid.origin[1] + j as f32 * laid.cell,
                ];
                let skin = if node.seen > 0.0 {
                    let local = head.to_local(place);
                    lips.iter()
                        .map(|lips| off_lips(lips, local))
                        .fold(1.0, f32::min)
                } else {
                    0.0
                };
                let mut sums = [0.0; 7];
                if skin > 0.0 {
                    let step = 0.5 * laid.cell;
                    for (dx, dy) in [(0.0, 0.0), (step, 0.0), (0.0, step), (step, step)] {
                        let own = frame.values_at([place[0] + dx, place[1] + dy]);
                        let [bx, by] = laid.back_vector([dx, dy]);
                        let from = [node.from[0] + bx - origin[0], node.from[1] + by - origin[1]];
                        if let (Some(own), Some(other)) = (own, other.values_at(from)) {
                            sums[0] += skin;
                            for c in 0..3 {
                                sums[1 + c] += skin * own[c];
                                sums[4 + c] += skin * other[c];
                            }
                        }
                    }
                }
                self.seen.push(sums);
            }
        }
        let radius = (LIGHT_BLUR * head.unit / laid.cell).round().max(1.0) as usize;
        for _ in 0..2 {
            blur(&mut self.seen, &mut self.scratch, laid.columns, radius);
        }
        for c in 0..3 {
            let zero = self.zero(&frame.layout, c);
            let gains = &mut self.gains[c];
            gains.clear();
            for sums in &self.seen {
                let weight = sums[0].max(1e-4);
                let (own, other) = (sums[1 + c] / weight, sums[4 + c] / weight);
                let sure = smoothstep(0.0, 0.05, sums[0]);
                gains.push(if c == 0 || self.rgb {
                    let gain = (own - zero + 2.0) / (other - zero + 2.0);
                    [1.0 + (gain.clamp(LEAST_GAIN, MOST_GAIN) - 1.0) * sure, 0.0]
                } else {
                    [1.0, (own - other).clamp(-24.0, 24.0) * sure]
                });
            }
        }
    }

    fn row(&self, y: f32, laid: &Laid, c: usize, to: &mut Vec<[f32; 2]>) {
        let (j, t) = laid.grid_row(y);
        let (a, b) = (j * laid.columns, (j + 1) * laid.columns);
        to.clear();
        let upper = &self.gains[c][a..a + laid.columns];
        let lower = &self.gains[c][b..b + laid.columns];
        to.extend(
            upper
                .iter()
                .zip(lower)
                .map(|(a, b)| [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t]),
        );
    }
}

/// 0 on the lips and next to them, 1 on the skin.
fn off_lips(lips: &Lips, [x, y]: [f32; 2]) -> f32 {
    let [top, .., bottom] = lips.contours(x.clamp(lips.left, lips.right));
    let beside = (lips.left - x).max(x - lips.right).max(0.0);
    let apart = (top - y).max(y - bottom).max(0.0);
    smoothstep(AROUND_LIPS, 2.0 * AROUND_LIPS, beside.hypot(apart))
}

/// A running mean over the grid, along rows and columns.
fn blur(values: &mut Vec<[f32; 7]>, scratch: &mut Vec<[f32; 7]>, columns: usize, radius: usize) {
    let rows = values.len() / columns.max(1);
    let mean =
        |count: usize, at: &dyn Fn(usize) -> [f32; 7], out: &mut dyn FnMut(usize, [f32; 7])| {
            for k in 0..count {
                let (from, to) = (k.saturating_sub(radius), (k + radius + 1).min(count));
                let mut sum = [0.0; 7];
                for i in from..to {
                    for (sum, v) in sum.iter_mut().zip(at(i)) {
                        *sum += v;
                    }
                }
                out(k, sum.map(|v| v / (2 * radius + 1) as f32));
            }
        };
    scratch.clone_from(values);
    for j in 0..rows {
        mean(columns, &|i| values[j * columns + i], &mut |i, v| {
            scratch[j * columns + i] = v
        });
    }
    for i in 0..columns {
        mean(rows, &|j| scratch[j * columns + i], &mut |j, v| {
            values[j * columns + i] = v
        });
    }
}
