//! Draws a mouth from the person's own other frames.
//!
//! The lower face of another frame is laid on this one (see `lay`), bent the rest of the way to
//! what is asked (see `bend`), brought into this frame's light (see `relight`) and blended in. Each
//! pixel is sampled once.

use super::{
    Region,
    bend::Bend,
    frame::{Channel, Frame, FrameMut, Layout},
    lay::{Laid, Run},
    lips::{HeadFrame, Lips},
    patch::Patch,
    relight::{Relight, off_lips, zero},
};
use crate::bank::{Mouth, packed};
use crate::face::Mesh;
use crate::picture::Rect;
use crate::picture::sample::{Sample, by_depth};

/// What is asked of a mouth, in units of the distance between the eyes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    /// Distance between the inner edges of the lips, in units of the distance between the eyes.
    pub opening: f32,
    /// Distance between the corners, in the same unit.
    pub width: f32,
}

/// A mouth to draw, and how much of it is seen where there are several.
#[derive(Clone, Copy)]
pub struct Layer<'a> {
    /// What is laid in.
    pub mouth: &'a Mouth,
    /// How much of it is seen, 0 to 1.
    pub share: f32,
}

/// The face that is drawn on.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The points of the face in the frame that is drawn into.
    pub mesh: &'a Mesh,
    /// How the samples of the mouths' source lie, and what they mean.
    pub source: &'a Layout,
}

/// Where a mouth, bent, stays further off what is asked than this, in units, the warp does the rest;
/// from twice as far on all of it is seen.
const OFF: f32 = 0.015;

/// How much of the warp is seen over a mouth that stays `off` what was asked, in units.
pub fn share_of_warp(off: f32) -> f32 {
    ((off - OFF) / OFF).clamp(0.0, 1.0)
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawn {
    /// The pixels that may have changed.
    pub region: Region,
    /// How much the skin around the mouth differs from the other frame's, in levels: something may
    /// be before the face.
    pub mismatch: f32,
}

/// What is drawn of a face, in units around the middle of its mouth.
const ABOVE: f32 = 0.62;
const BELOW: f32 = 1.12;
const BESIDE: f32 = 1.14;

/// Where the pictures are held against each other to lie well: half of its width, and from above to
/// below, in units; and samples along each side.
const ALIGN_BESIDE: f32 = 0.55;
const ALIGN: [f32; 2] = [-0.6, 0.6];
const ALIGN_SAMPLES: usize = 20;
const ALIGN_ROUNDS: usize = 2;
/// No more than this, in units, is mended of what the points say.
const MOST_SHIFT: f32 = 0.03;

/// Draws for one face. Keeps its memory.
#[derive(Default)]
pub struct OwnMouth {
    laid: Laid,
    bend: Bend,
    patch: Patch,
    relight: Relight,
    /// What was drawn so far, by channel, weighted.
    drawn: [Vec<f32>; 3],
    nodes: Vec<super::lay::Node>,
    /// For each node of a row how far it is bent, in pixels of the mouth's source.
    bends: Vec<NodeBend>,
    lights: Vec<[f32; 2]>,
    /// Of a channel's rows.
    runs: Vec<Run>,
    /// Of the samples of a run.
    values: Vec<f32>,
}

/// The bend at a node of the grid.
#[derive(Clone, Copy, Default)]
struct NodeBend {
    by: [f32; 2],
    /// Next to it each sample asks for its own.
    is_detailed: bool,
}

impl OwnMouth {
    /// The face as it was drawn last, in the frame's pixels: the last layer's points, bent.
    pub fn drawn(&self, head: &HeadFrame) -> Option<Mesh> {
        let mut mesh = self.laid.mesh()?;
        if !self.bend.is_idle() {
            for point in mesh.0.iter_mut() {
                let bent = self.bend.forth(head.to_local([point[0], point[1]]));
                [point[0], point[1]] = head.to_pixel(bent);
            }
        }
        Some(mesh)
    }

    /// Draws the layers onto a face. `None`, and nothing changed, where there is no face in the
    /// picture or the colours mean something else.
    pub fn draw(
        &mut self,
        frame: &mut FrameMut,
        target: Target,
        layers: &[Layer],
        wanted: Wanted,
        strength: f32,
    ) -> Option<Drawn> {
        let (head, _) = HeadFrame::of(target.mesh)?;
        let layout = frame.layout;
        let region = around(&head, layout.width, layout.height);
        if region.is_empty() || target.source.colour != layout.colour {
            return None;
        }
        let sum: f32 = layers.iter().map(|layer| layer.share).sum();
        for (k, layer) in layers.iter().enumerate() {
            self.lay(&frame.as_ref(), target, &head, region, layer.mouth, wanted)?;
            for (c, channel) in layout.channels.iter().enumerate() {
                let part = on_channel(&layout, channel, region);
                if k == 0 {
                    self.drawn[c].clear();
                    self.drawn[c].resize(part.width * part.height, 0.0);
                }
                let black = zero(layout.colour, c);
                let kept = packed(target.source, layer.mouth.region);
                self.load(&kept, c, layer.mouth);
                let sampling = Sampling {
                    channel,
                    part,
                    kept: &kept.channels[c],
                    corner: layer.mouth.corner(),
                    black,
                    share: layer.share / sum.max(1e-6),
                    // Only the last one's mask counts.
                    masked: layers.len() == 1,
                };
                self.sample(c, &sampling, &head);
            }
        }
        for (c, channel) in layout.channels.iter().enumerate() {
            let part = on_channel(&layout, channel, region);
            let plane = &mut *frame.planes[channel.plane];
            by_depth!(channel.depth, S => self.blend::<S>(plane, c, channel, part, strength));
        }
        Some(Drawn {
            region,
            mismatch: self.relight.mismatch,
        })
    }

    /// Lays one mouth: the grid, the bend and the light.
    fn lay(
        &mut self,
        frame: &Frame,
        target: Target,
        head: &HeadFrame,
        region: Region,
        mouth: &Mouth,
        wanted: Wanted,
    ) -> Option<()> {
        let (other, corner) = (mouth.frame(target.source), mouth.corner());
        let own = Lips::of(target.mesh)?;
        self.laid.lay(&mouth.mesh, target.mesh, head)?;
        for _ in 0..ALIGN_ROUNDS {
            let laid = Lips::of(&self.laid.mesh()?)?;
            let Some(shift) = self.misplaced(frame, &other, corner, [&own, &laid], head) else {
                break;
            };
            self.laid.move_by(shift, &mouth.mesh, target.mesh, head)?;
        }
        let mut lips = Lips::of(&self.laid.mesh()?)?;
        lips.line = mouth.look.line;
        lips.ends = mouth.look.ends;
        self.bend.prepare(&lips, wanted.opening, wanted.width);
        self.laid.trace(region, target.mesh, head);
        self.relight
            .measure(frame, &other, corner, &self.laid, [&own, &lips], head);
        Some(())
    }

    /// By how many pixels the laid picture lies off this one, from the slopes of its brightness
    /// (Lucas and Kanade 1981, with a gain and an offset); `None` where that can't be said.
    fn misplaced(
        &self,
        frame: &Frame,
        other: &Frame,
        corner: [f32; 2],
        lips: [&Lips; 2],
        head: &HeadFrame,
    ) -> Option<[f32; 2]> {
        let mut m = [[0.0f32; 4]; 4];
        let mut r = [0.0f32; 4];
        let luma = |frame: &Frame, place: [f32; 2]| frame.channel_at(0, place);
        for j in 0..ALIGN_SAMPLES {
            for i in 0..ALIGN_SAMPLES {
                let along = |k: usize| (k as f32 + 0.5) / ALIGN_SAMPLES as f32;
                let local = [
                    (2.0 * along(i) - 1.0) * ALIGN_BESIDE,
                    ALIGN[0] + along(j) * (ALIGN[1] - ALIGN[0]),
                ];
                let weight = lips
                    .map(|lips| off_lips(lips, local))
                    .into_iter()
                    .fold(1.0, f32::min);
                if weight <= 0.0 {
                    continue;
                }
                let [x, y] = head.to_pixel(local);
                let [u, v] = self.laid.back([x, y]);
                let from = [u - corner[0], v - corner[1]];
                let values = (
                    luma(frame, [x, y]),
                    luma(other, from),
                    luma(frame, [x + 1.5, y]).zip(luma(frame, [x - 1.5, y])),
                    luma(frame, [x, y + 1.5]).zip(luma(frame, [x, y - 1.5])),
                );
                let (Some(own), Some(laid), Some((right, left)), Some((below, above))) = values
                else {
                    continue;
                };
                let row = [
                    (right - left) / 3.0,
                    (below - above) / 3.0,
                    -(laid - 128.0) / 64.0,
                    -1.0,
                ];
                let off = laid - own;
                // What differs much is no matter of place.
                let weight = weight / (1.0 + (off / 12.0).powi(2));
                for a in 0..4 {
                    for b in 0..4 {
                        m[a][b] += weight * row[a] * row[b];
                    }
                    r[a] += weight * row[a] * off;
                }
            }
        }
        (0..2).for_each(|i| m[i][i] += 30.0);
        let [dx, dy, ..] = solve(m, r)?;
        let most = MOST_SHIFT * head.unit;
        let size = dx.hypot(dy);
        let limit = if size > most { most / size } else { 1.0 };
        size.is_finite().then_some([dx * limit, dy * limit])
    }

    fn load(&mut self, kept: &Layout, c: usize, mouth: &Mouth) {
        let channel = &kept.channels[c];
        let whole = Region {
            x: 0,
            y: 0,
            width: channel.width(kept.width),
            height: channel.height(kept.height),
        };
        let bytes = mouth.pixels.bytes();
        self.patch
            .load(channel, bytes, whole, whole.width, whole.height);
    }

    /// Adds a layer's channel to what is drawn.
    fn sample(&mut self, c: usize, sampling: &Sampling, head: &HeadFrame) {
        let Sampling {
            channel,
            part,
            kept,
            corner,
            black,
            share,
            masked,
        } = *sampling;
        let cubic = kept.sub_x == 0 && kept.sub_y == 0;
        let [sx, sy] = steps(channel);
        let per_pixel = steps(kept).map(|step| 1.0 / step);
        let to_patch = |at: [f32; 2]| -> [f32; 2] {
            std::array::from_fn(|k| (at[k] - corner[k]) * per_pixel[k] - 0.5)
        };
        let pixel = sx.max(sy) / head.unit;
        self.runs.clear();
        self.runs.extend(self.laid.runs(part.x, part.width, sx));
        let (mut nodes, mut bends, mut lights, mut values) = (
            std::mem::take(&mut self.nodes),
            std::mem::take(&mut self.bends),
            std::mem::take(&mut self.lights),
            std::mem::take(&mut self.values),
        );
        let read = |at: [f32; 2]| {
            let [u, v] = to_patch(at);
            if cubic {
                self.patch.cubic(u, v)
            } else {
                self.patch.linear(u, v)
            }
        };
        let drawn = self.drawn[c].chunks_exact_mut(part.width.max(1));
        for (row, out) in (part.y..).zip(drawn) {
            let y = (row as f32 + 0.5) * sy;
            self.laid.row(y, &mut nodes);
            self.relight.row(y, &self.laid, c, &mut lights);
            bend_row(&self.bend, &self.laid, y, pixel, head, &mut bends);
            for run in &self.runs {
                let both = [&nodes[run.node], &nodes[run.node + 1]];
                if masked && both.iter().all(|node| node.seen <= 0.0) {
                    continue;
                }
                let bent = [bends[run.node], bends[run.node + 1]];
                let from = |k: usize| run.line(both.map(|node| node.from[k]));
                values.resize(run.count, 0.0);
                if bent.iter().any(|bent| bent.is_detailed) {
                    let [(u, du), (v, dv)] = [from(0), from(1)];
                    for (n, value) in values.iter_mut().enumerate() {
                        let n = n as i32 as f32;
                        let at = [u + n * du, v + n * dv];
                        let local = head.to_local([run.x + n * sx, y]);
                        let moved = |by: [f32; 2]| {
                            let [dx, dy] = self.laid.back_vector(head.vector(by));
                            [at[0] + dx, at[1] + dy]
                        };
                        let bent = self.bend.at(local, pixel);
                        *value = read(moved(bent.moved));
                        if let Some((by, share)) = bent.other {
                            *value += (read(moved(by)) - *value) * share;
                        }
                    }
                } else {
                    let [(u, du), (v, dv)] = [0, 1].map(|k| {
                        run.line([0, 1].map(|side| both[side].from[k] + bent[side].by[k]))
                    });
                    let start = to_patch([u, v]);
                    let step = [du * per_pixel[0], dv * per_pixel[1]];
                    if cubic {
                        self.patch.cubic_line(start, step, &mut values);
                    } else {
                        self.patch.linear_line(start, step, &mut values);
                    }
                }
                let lit = [lights[run.node], lights[run.node + 1]];
                let (mut gain, brighter) = run.line(lit.map(|lit| lit[0]));
                let (mut tint, stronger) = run.line(lit.map(|lit| lit[1] + black));
                for (out, value) in out[run.first..].iter_mut().zip(&values) {
                    *out += share * ((value - black) * gain + tint);
                    gain += brighter;
                    tint += stronger;
                }
            }
        }
        (self.nodes, self.bends, self.lights, self.values) = (nodes, bends, lights, values);
    }

    fn blend<S: Sample>(
        &mut self,
        plane: &mut [u8],
        c: usize,
        channel: &Channel,
        part: Region,
        strength: f32,
    ) {
        let [sx, sy] = steps(channel);
        self.runs.clear();
        self.runs.extend(self.laid.runs(part.x, part.width, sx));
        let mut nodes = std::mem::take(&mut self.nodes);
        let drawn = self.drawn[c].chunks_exact(part.width.max(1));
        for (row, drawn) in (part.y..).zip(drawn) {
            self.laid.row((row as f32 + 0.5) * sy, &mut nodes);
            for run in &self.runs {
                let both = [nodes[run.node].seen, nodes[run.node + 1].seen];
                if both == [0.0; 2] {
                    continue;
                }
                let (mut seen, step) = run.line(both.map(|seen| seen * strength));
                let start = channel.index(part.x + run.first, row);
                let samples = S::cells(&mut plane[start..], channel.step);
                for (value, to) in drawn[run.first..][..run.count].iter().zip(samples) {
                    // Next to a node it may miss nothing by a rounding.
                    let own = S::get(&to);
                    S::set(to, own + (value - own) * seen.max(0.0));
                    seen += step;
                }
            }
        }
        self.nodes = nodes;
    }
}

/// The bend at the nodes of the grid's row at height `y`.
fn bend_row(
    bend: &Bend,
    laid: &Laid,
    y: f32,
    pixel: f32,
    head: &HeadFrame,
    to: &mut Vec<NodeBend>,
) {
    to.clear();
    if bend.is_idle() {
        to.resize(laid.columns, NodeBend::default());
        return;
    }
    // A sample is at most a cell away from the nodes on both sides of it.
    let reach = laid.cell / head.unit;
    to.extend((0..laid.columns).map(|i| {
        let local = head.to_local([laid.place_of(i, 0)[0], y]);
        let moved = bend.at(local, pixel).moved;
        NodeBend {
            by: laid.back_vector(head.vector(moved)),
            is_detailed: bend.is_detailed(local, reach),
        }
    }));
}

/// One channel of one layer.
#[derive(Clone, Copy)]
struct Sampling<'a> {
    /// The frame's, and what of it is drawn.
    channel: &'a Channel,
    part: Region,
    /// The mouth's, and where the mouth is in its source.
    kept: &'a Channel,
    corner: [f32; 2],
    black: f32,
    share: f32,
    /// What is not seen need not be sampled.
    masked: bool,
}

/// The pixels that a mouth on this head may touch.
fn around(head: &HeadFrame, width: usize, height: usize) -> Region {
    let corners = [
        [-BESIDE, -ABOVE],
        [BESIDE, -ABOVE],
        [BESIDE, BELOW],
        [-BESIDE, BELOW],
    ]
    .map(|p| head.to_pixel(p));
    let around = Rect::around(&corners);
    Region::covering(
        [around.x, around.y],
        [around.x + around.width, around.y + around.height],
        width,
        height,
    )
}

/// Pixels from one sample of a channel to the next, in x and y.
fn steps(channel: &Channel) -> [f32; 2] {
    [channel.sub_x, channel.sub_y].map(|sub| f32::from(1u8 << sub))
}

fn on_channel(layout: &Layout, channel: &Channel, region: Region) -> Region {
    region.subsampled(
        channel.sub_x,
        channel.sub_y,
        channel.width(layout.width),
        channel.height(layout.height),
    )
}

/// Gauss's elimination with pivots.
fn solve(mut m: [[f32; 4]; 4], mut r: [f32; 4]) -> Option<[f32; 4]> {
    for i in 0..4 {
        let pivot = (i..4).max_by(|a, b| m[*a][i].abs().total_cmp(&m[*b][i].abs()))?;
        m.swap(i, pivot);
        r.swap(i, pivot);
        if m[i][i].abs() < 1e-6 {
            return None;
        }
        for j in i + 1..4 {
            let factor = m[j][i] / m[i][i];
            let row = m[i];
            for (to, from) in m[j].iter_mut().zip(row) {
                *to -= factor * from;
            }
            r[j] -= factor * r[i];
        }
    }
    for i in (0..4).rev() {
        let known: f32 = (i + 1..4).map(|k| m[i][k] * r[k]).sum();
        r[i] = (r[i] - known) / m[i][i];
    }
    Some(r)
}

#[cfg(test)]
mod tests;
