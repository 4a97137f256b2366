//! Draws the mouth that the speech asks for into a frame.

use super::{
    Region,
    frame::{Channel, Frame, FrameMut},
    interior::{Complexion, Inside, Interior},
    lips::{HeadFrame, Lips},
    patch::Patch,
    warp::{Rest, Warp},
};
use crate::face::Mesh;

/// The shape of a mouth. Lengths are in units of the distance between the eyes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MouthShape {
    /// Distance of the inner lips in the middle; 0 and less is closed, and less presses the lips.
    pub opening: f32,
    /// Change of the mouth's width against its rest: spread is positive, pursed negative.
    pub width: f32,
    /// Lower lip under the upper teeth, as in f and v: 0 not at all, 1 fully.
    pub tuck: f32,
    /// Lips rolled inwards by this much.
    pub press: f32,
    /// Upper lip raised by this much.
    pub raise: f32,
}

impl MouthShape {
    /// Scaled by `strength` and brought into the range that a face can do; what is not a number
    /// becomes rest.
    fn tamed(&self, strength: f32) -> Self {
        let strength = number(strength).clamp(0.0, 2.0);
        let take = |v: f32, lo: f32, hi: f32| (number(v) * strength).clamp(lo, hi);
        let opening = take(self.opening, -0.1, 0.45);
        Self {
            opening: opening.max(0.0),
            width: take(self.width, -0.6, 0.4),
            tuck: take(self.tuck, 0.0, 1.2),
            press: (take(self.press, 0.0, 0.04) - 0.3 * opening.min(0.0)).min(0.04),
            raise: take(self.raise, -0.02, 0.06),
        }
    }
}

fn number(v: f32) -> f32 {
    if v.is_finite() { v } else { 0.0 }
}

/// Frames over which the running means of a face settle.
const MEMORY: f32 = 50.0;

/// What is known about the face from the frames so far.
#[derive(Clone, Debug)]
struct Acquaintance {
    frames: f32,
    width: f32,
    /// The line of the lips below the nose.
    line: f32,
    complexion: Complexion,
}

impl Acquaintance {
    fn update(known: &mut Option<Self>, lips: &Lips, seen: Option<Complexion>) -> Self {
        let line = lips.edges(lips.centre)[2] - lips.nose;
        let me = known.get_or_insert_with(|| Self {
            frames: 0.0,
            width: lips.width,
            line,
            complexion: seen.unwrap_or_default(),
        });
        me.frames = (me.frames + 1.0).min(MEMORY);
        let rate = 1.0 / me.frames;
        let towards = |mean: &mut f32, value: f32| *mean += (value - *mean) * rate;
        towards(&mut me.width, lips.width);
        towards(&mut me.line, line);
        if let Some(seen) = seen {
            for (mean, value) in me.complexion.skin.iter_mut().zip(seen.skin) {
                towards(mean, value);
            }
            for (mean, value) in me.complexion.lip.iter_mut().zip(seen.lip) {
                towards(mean, value);
            }
        }
        me.clone()
    }

    fn rest(&self, lips: &Lips) -> Rest {
        let line = lips.edges(lips.centre)[2] - lips.nose;
        Rest {
            widening: (self.width / lips.width.max(0.05)).clamp(0.85, 1.18),
            drop: (self.line - line).clamp(-0.05, 0.05),
        }
    }
}

/// Cheeks, chin and nose: skin whatever the mouth does.
const SKIN: [usize; 8] = [50, 280, 205, 425, 117, 346, 199, 4];
/// Within the lower lip.
const LIP: [usize; 6] = [15, 16, 85, 86, 315, 316];

fn mean_colour(frame: &Frame, mesh: &Mesh, points: &[usize]) -> Option<[f32; 3]> {
    let layout = &frame.layout;
    let mut sum = [0.0; 3];
    let mut count = 0.0;
    for &i in points {
        let [x, y, _] = mesh.0[i];
        if !(x >= 0.0 && y >= 0.0 && x < layout.width as f32 && y < layout.height as f32) {
            continue;
        }
        let values = std::array::from_fn(|c| {
            let channel = &layout.channels[c];
            let at = channel.index(x as usize >> channel.sub_x, y as usize >> channel.sub_y);
            f32::from(frame.planes[channel.plane].get(at).copied().unwrap_or(128))
        });
        for (s, v) in sum.iter_mut().zip(layout.colour.to_rgb(values)) {
            *s += v;
        }
        count += 1.0;
    }
    (count > 0.0).then(|| sum.map(|v| (v / count).clamp(0.0, 255.0)))
}

/// One face's mouth. Keeps its scratch memory and what it learnt about the face; use one for each
/// track.
#[derive(Default)]
pub struct MouthRenderer {
    known: Option<Acquaintance>,
    warp: Warp,
    patch: Patch,
    /// Displacement in samples for each sample of the region.
    map: Vec<[f32; 2]>,
    /// Samples that show something of the inside.
    inside: Vec<Seen>,
    /// Samples in which the lips touch.
    seam: Vec<Touch>,
}

/// A sample that both lips share.
#[derive(Clone, Copy)]
struct Touch {
    /// In the map.
    index: usize,
    /// Displacement in samples of the lip that has the smaller share.
    other: [f32; 2],
    share: f32,
}

/// A sample that shows something of the inside of the mouth.
#[derive(Clone, Copy)]
struct Seen {
    /// In the map.
    index: usize,
    /// Displacement in samples to the source's own inside.
    own: [f32; 2],
    inside: Inside,
}

impl MouthRenderer {
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the face, for a new track or after a cut.
    pub fn reset(&mut self) {
        self.known = None;
    }

    /// Draws `shape` onto the face that `mesh` describes and says which pixels may have changed.
    /// A mesh that is no face, or a face outside the picture, changes nothing.
    pub fn render(
        &mut self,
        frame: &mut FrameMut,
        mesh: &Mesh,
        shape: &MouthShape,
        strength: f32,
    ) -> Region {
        let Some(lips) = Lips::of(mesh) else {
            return Region::EMPTY;
        };
        let shape = shape.tamed(strength);
        let picture = frame.as_ref();
        let seen = mean_colour(&picture, mesh, &SKIN)
            .zip(mean_colour(&picture, mesh, &LIP))
            .map(|(skin, lip)| Complexion { skin, lip });
        let known = Acquaintance::update(&mut self.known, &lips, seen);
        self.warp.prepare(&lips, &shape, &known.rest(&lips));

        let (width, height) = (frame.layout.width, frame.layout.height);
        let (min, max) = bounds(&lips.frame, self.warp.min, self.warp.max);
        let region = Region::covering(min, max, width, height);
        if region.is_empty() {
            return region;
        }
        let channels = frame.layout.channels;
        for (i, channel) in channels.iter().enumerate() {
            let (sub_x, sub_y) = (channel.sub_x, channel.sub_y);
            let (w, h) = (channel.width(width), channel.height(height));
            let target = region.subsampled(sub_x, sub_y, w, h);
            // Channels on the same grid share the map.
            let shared = i > 0 && {
                let before = &channels[i - 1];
                (before.sub_x, before.sub_y) == (sub_x, sub_y)
            };
            if !shared {
                let pixel = (1 << sub_x.max(sub_y)) as f32 / lips.frame.unit;
                let interior = Interior::new(&known.complexion, &self.warp, &lips, pixel);
                self.trace(&lips.frame, &interior, channel, target);
            }
            let source = self.source(&lips.frame, channel, target, w, h);
            self.patch
                .load(channel, &*frame.planes[channel.plane], source, w, h);
            let colour = frame.layout.colour;
            self.draw(&mut *frame.planes[channel.plane], channel, target, |rgb| {
                colour.from_rgb(rgb)[i]
            });
        }
        region
    }

    /// Fills the map and the list of inside samples for the grid of one channel.
    fn trace(&mut self, head: &HeadFrame, interior: &Interior, channel: &Channel, target: Region) {
        self.map.clear();
        self.inside.clear();
        self.seam.clear();
        let (sx, sy) = (
            f32::from(1u8 << channel.sub_x),
            f32::from(1u8 << channel.sub_y),
        );
        let pixel = sx.max(sy) / head.unit;
        for row in target.y..target.y + target.height {
            let y = (row as f32 + 0.5) * sy;
            for col in target.x..target.x + target.width {
                let x = (col as f32 + 0.5) * sx;
                let point = head.to_local([x, y]);
                let (moved, other, column) = self.warp.displacement(point, pixel);
                if let Some(inside) = interior.at(point, &column) {
                    let [dx, dy] = head.vector([0.0, inside.own_from]);
                    self.inside.push(Seen {
                        index: self.map.len(),
                        own: [dx / sx, dy / sy],
                        inside,
                    });
                }
                if let Some((other, share)) = other {
                    let [dx, dy] = head.vector(other);
                    self.seam.push(Touch {
                        index: self.map.len(),
                        other: [dx / sx, dy / sy],
                        share,
                    });
                }
                let [dx, dy] = head.vector(moved);
                self.map.push([dx / sx, dy / sy]);
            }
        }
    }

    /// The samples that the map of `target` reads.
    fn source(
        &self,
        head: &HeadFrame,
        channel: &Channel,
        target: Region,
        width: usize,
        height: usize,
    ) -> Region {
        let reach = self.warp.reach[0].hypot(self.warp.reach[1]) * head.unit;
        let grow = |start: usize, size: usize, sub: u8, limit: usize| {
            let by = reach as usize / (1 << sub) + 1;
            let from = start.saturating_sub(by);
            (from, (start + size + by).min(limit) - from)
        };
        let (x, w) = grow(target.x, target.width, channel.sub_x, width);
        let (y, h) = grow(target.y, target.height, channel.sub_y, height);
        Region {
            x,
            y,
            width: w,
            height: h,
        }
    }

    fn draw(
        &self,
        plane: &mut [u8],
        channel: &Channel,
        target: Region,
        value: impl Fn([f32; 3]) -> f32,
    ) {
        let fine = channel.sub_x == 0 && channel.sub_y == 0;
        let place = |index: usize| {
            (
                target.x + index % target.width,
                target.y + index / target.width,
            )
        };
        let rows = self.map.chunks_exact(target.width);
        for (row, line) in (target.y..).zip(rows) {
            let start = channel.index(target.x, row);
            let samples = plane[start..].iter_mut().step_by(channel.step);
            for ((col, moved), to) in (target.x..).zip(line).zip(samples) {
                if *moved == [0.0, 0.0] {
                    continue;
                }
                let (x, y) = (col as f32 + moved[0], row as f32 + moved[1]);
                *to = (self.sample(fine, x, y) + 0.5) as u8;
            }
        }
        for touch in &self.seam {
            let (x, y) = place(touch.index);
            let to = &mut plane[channel.index(x, y)];
            let [dx, dy] = touch.other;
            let other = self.sample(fine, x as f32 + dx, y as f32 + dy);
            let lip = f32::from(*to);
            *to = (lip + (other - lip) * touch.share + 0.5) as u8;
        }
        let black = value([0.0; 3]);
        for &Seen { index, own, inside } in &self.inside {
            let (x, y) = place(index);
            let to = &mut plane[channel.index(x, y)];
            let mut colour = value(inside.colour);
            if inside.own > 0.0 {
                // The inside belongs to the skull: it stays where it is while the lips move.
                let own = self.patch.linear(x as f32 + own[0], y as f32 + own[1]);
                let own = black + (own - black) * inside.light;
                colour += (own - colour) * inside.own;
            }
            let lip = f32::from(*to);
            *to = (lip + (colour - lip) * inside.coverage + 0.5) as u8;
        }
    }

    #[inline]
    fn sample(&self, fine: bool, x: f32, y: f32) -> f32 {
        if fine {
            self.patch.cubic(x, y)
        } else {
            self.patch.linear(x, y)
        }
    }
}

/// The upright box in pixels around a box in the head's frame.
fn bounds(head: &HeadFrame, min: [f32; 2], max: [f32; 2]) -> ([f32; 2], [f32; 2]) {
    let corners = [min, [max[0], min[1]], max, [min[0], max[1]]].map(|p| head.to_pixel(p));
    let fold = |pick: fn(f32, f32) -> f32| {
        corners
            .into_iter()
            .reduce(|a, b| [pick(a[0], b[0]), pick(a[1], b[1])])
            .unwrap_or_default()
    };
    (fold(f32::min), fold(f32::max))
}
