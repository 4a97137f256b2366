//! Draws the mouth that the speech asks for into a frame.

use super::{
    Region,
    arches::Turn,
    complexion::luma,
    ease,
    frame::{Channel, Colour, FrameMut},
    grain::{self, Grain},
    interior::{Inside, Interior, Teeth},
    lips::{HeadFrame, Lips},
    mix,
    patch::Patch,
    person::Person,
    presence::Presence,
    warp::Warp,
};
use crate::{
    face::{Face, Mesh, colour, cut::Glance},
    model::MouthParams,
    picture::sample::{Sample, by_depth},
};

/// `shape` for a face that opens its mouth `gain` times as far as the usual one.
fn adapted(shape: &MouthParams, gain: f32) -> MouthParams {
    MouthParams {
        opening: shape.opening * gain,
        jaw: shape.jaw * gain,
        ..*shape
    }
}

/// `shape` scaled by `strength` and brought into the range that a face can do; what is not a number
/// becomes rest.
pub fn tamed(shape: &MouthParams, strength: f32) -> MouthParams {
    let strength = number(strength).clamp(0.0, 2.0);
    let take = |v: f32, lo: f32, hi: f32| (number(v) * strength).clamp(lo, hi);
    let opening = take(shape.opening, -0.1, 0.45);
    // Pressed lips are closed, whatever the opening says: a network is seldom sure to the last bit.
    let parted = 1.0 - ease(take(shape.press, 0.0, 1.0) / SURELY_PRESSED);
    MouthParams {
        opening: opening.max(0.0) * parted,
        width: take(shape.width, -0.6, 0.4),
        tuck: take(shape.tuck, 0.0, 1.2),
        // Less than closed is pressed, too.
        press: (take(shape.press, 0.0, 1.0) - 7.5 * opening.min(0.0)).min(1.0),
        raise: take(shape.raise, -0.3, 1.0),
        jaw: take(shape.jaw, -0.05, 0.35),
        tongue: take(shape.tongue, 0.0, 1.0),
    }
}

/// From here on pressed lips are closed. Of lips that surely touch the network says 0.6 to 1.2, of a short p in a
/// noisy room 0.3 to 0.5.
const SURELY_PRESSED: f32 = 0.35;

/// Seconds between two frames as the memories take them.
fn step(seconds: f32) -> f32 {
    number(seconds).clamp(LEAST_STEP, MOST_STEP)
}

fn number(v: f32) -> f32 {
    if v.is_finite() { v } else { 0.0 }
}

/// Pixels from the inner lips from which on the map is smooth along a row.
const CALM_DISTANCE: f32 = 8.0;
/// Samples between the points at which the map is first evaluated.
const SPAN: usize = 16;
/// By so many samples may the middle of a span be off the straight line that stands for it.
const STRAIGHT: f32 = 0.05;

/// Samples of subsampled colour over which an edge is smeared.
const SMEARED: f32 = 1.5;

/// Least and most seconds between two frames: a stream may repeat its time stamps, or pause.
const LEAST_STEP: f32 = 1e-3;
const MOST_STEP: f32 = 10.0;
/// For so long the first frame of a face counts.
const FIRST_STEP: f32 = 0.04;

/// One face's mouth. Keeps its scratch memory and what it learnt about the face; use one for each
/// track.
#[derive(Default)]
pub struct MouthRenderer {
    known: Person,
    presence: Presence,
    last: Option<Last>,
    warp: Warp,
    teeth: Teeth,
    /// Pixels of skin around the mouth.
    skin: Vec<[f32; 2]>,
    patch: Patch,
    traced: Traced,
}

/// The frame in which the face was last found.
struct Last {
    glance: Glance,
    lips: Lips,
    turn: Turn,
    /// So many seconds ago.
    ago: f32,
}

/// The map for the grid of one channel.
#[derive(Default)]
struct Traced {
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
    /// Knows nothing of a person yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the face, for a new track or after a cut.
    pub fn reset(&mut self) {
        self.known = Person::default();
        self.presence = Presence::default();
        self.last = None;
    }

    /// Draws `shape` onto the face that `mesh` describes, `seconds` after the last frame, and says which
    /// pixels may have changed. A mesh that is no face, or a face outside the picture, changes nothing.
    pub fn render(
        &mut self,
        frame: &mut FrameMut,
        mesh: &Mesh,
        shape: &MouthParams,
        strength: f32,
        seconds: f32,
    ) -> Region {
        self.render_part(frame, mesh, shape, strength, seconds, 1.0)
    }

    /// The same, of which only `share` is seen.
    pub fn render_part(
        &mut self,
        frame: &mut FrameMut,
        mesh: &Mesh,
        shape: &MouthParams,
        strength: f32,
        seconds: f32,
        share: f32,
    ) -> Region {
        let Some(mut lips) = Lips::of(mesh) else {
            return Region::EMPTY;
        };
        let seconds = self.last.as_ref().map_or(FIRST_STEP, |_| step(seconds));
        let view = frame.as_ref();
        let skin = colour::skin(&view, mesh).unwrap_or_default();
        let glance = Glance::at(&view, lips.frame, skin);
        let cut = self
            .last
            .as_ref()
            .is_some_and(|last| !glance.follows(&last.glance, last.ago + seconds));
        if cut {
            self.reset();
        }
        let share = share * self.presence.found(seconds);
        let turn = Turn::of(mesh, &lips);
        self.known.look(&view, mesh, &turn, &mut lips, seconds);
        let last = Last {
            glance,
            lips,
            turn,
            ago: 0.0,
        };
        let region = self.draw_onto(frame, &last, shape, strength, share);
        self.last = Some(last);
        region
    }

    /// Draws onto a frame in which the face was not found, while `faces` were: for a moment it is taken to be where
    /// it was, then its mouth gives way to the source's own. A cut changes nothing.
    pub fn hold(
        &mut self,
        frame: &mut FrameMut,
        faces: &[Face],
        shape: &MouthParams,
        strength: f32,
        seconds: f32,
    ) -> Region {
        let seconds = step(seconds);
        let Some(mut last) = self.last.take_if(|_| !self.presence.is_gone()) else {
            if let Some(last) = &mut self.last {
                last.ago += seconds;
            }
            return Region::EMPTY;
        };
        last.ago += seconds;
        let same_shot = last
            .glance
            .again(&frame.as_ref())
            .follows(&last.glance, last.ago);
        let region = if !same_shot {
            self.presence.cut();
            Region::EMPTY
        } else if faces.iter().any(|face| last.is_at(face)) {
            // The same face under another name.
            Region::EMPTY
        } else {
            let share = self.presence.missed(seconds);
            self.draw_onto(frame, &last, shape, strength, share)
        };
        self.last = Some(last);
        region
    }

    /// The face is drawn on by others for now: what is known of it stays, where it was is forgotten.
    pub fn pause(&mut self) {
        self.presence = Presence::default();
        self.last = None;
    }

    /// Whether `hold` would draw.
    pub fn holds(&self) -> bool {
        self.last.is_some() && !self.presence.is_gone()
    }

    /// Draws `shape` onto `face`; of what is drawn only `share` is seen.
    fn draw_onto(
        &mut self,
        frame: &mut FrameMut,
        face: &Last,
        shape: &MouthParams,
        strength: f32,
        share: f32,
    ) -> Region {
        let lips = &face.lips;
        let shape = tamed(&adapted(shape, self.known.gain()), strength);
        self.warp.prepare(lips, &shape, &self.known.rest());

        let (width, height) = (frame.layout.width, frame.layout.height);
        let (min, max) = bounds(&lips.frame, self.warp.min, self.warp.max);
        let region = Region::covering(min, max, width, height);
        if region.is_empty() {
            return region;
        }
        let channels = frame.layout.channels;
        let mut grain = Grain::default();
        grain::places(lips, &mut self.skin);
        self.teeth.look(&face.turn, 1.0 / lips.frame.unit);
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
                let complexion = self.known.complexion();
                let subsampled = sub_x.max(sub_y) > 0;
                self.warp
                    .set_smear(if subsampled { SMEARED * pixel } else { 0.0 });
                let interior = Interior::new(
                    &complexion,
                    &self.known.teeth,
                    &self.teeth,
                    &self.warp,
                    lips,
                    pixel,
                );
                let traced = &mut self.traced;
                traced.trace(&self.warp, &lips.frame, &interior, channel, target);
            }
            let source = self.source(&lips.frame, channel, target, w, h);
            self.patch
                .load(channel, &*frame.planes[channel.plane], source, w, h);
            let colour = frame.layout.colour;
            let plane = &mut *frame.planes[channel.plane];
            let measured = Grain::of(plane, channel, [w, h], &self.skin);
            grain = match colour {
                Colour::Rgb if i > 0 => measured.with(&grain),
                _ => measured,
            };
            let value = |rgb| colour.from_rgb(rgb)[i];
            by_depth!(channel.depth, S => {
                self.draw::<S>(plane, channel, target, &grain, value);
            });
            if share < 1.0 {
                self.fade(plane, channel, target, share);
            }
        }
        region
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

    fn draw<S: Sample>(
        &self,
        plane: &mut [u8],
        channel: &Channel,
        target: Region,
        grain: &Grain,
        value: impl Fn([f32; 3]) -> f32,
    ) {
        let fine = channel.sub_x == 0 && channel.sub_y == 0;
        let place = |index: usize| {
            (
                target.x + index % target.width,
                target.y + index / target.width,
            )
        };
        let rows = self.traced.map.chunks_exact(target.width);
        for (row, line) in (target.y..).zip(rows) {
            let start = channel.index(target.x, row);
            let samples = S::cells(&mut plane[start..], channel.step);
            for ((col, moved), to) in (target.x..).zip(line).zip(samples) {
                if *moved == [0.0, 0.0] {
                    continue;
                }
                let (x, y) = (col as f32 + moved[0], row as f32 + moved[1]);
                S::set(to, self.sample(fine, x, y));
            }
        }
        for touch in &self.traced.seam {
            let (x, y) = place(touch.index);
            let at = channel.index(x, y);
            let [dx, dy] = touch.other;
            let other = self.sample(fine, x as f32 + dx, y as f32 + dy);
            let lip = channel.depth.get(plane, at).unwrap_or(other);
            let value = lip + (other - lip) * touch.share;
            channel.depth.put(plane, at, value);
        }
        let black = value([0.0; 3]);
        let bright = luma(self.known.complexion().skin).max(1.0);
        for &Seen { index, own, inside } in &self.traced.inside {
            let (x, y) = place(index);
            let at = channel.index(x, y);
            let mut colour = value(inside.colour);
            if !grain.is_none() {
                colour += grain.at(x, y, luma(inside.colour) / bright);
            }
            if inside.own > 0.0 {
                // The inside belongs to the skull: it stays where it is while the lips move.
                let own = self.patch.linear(x as f32 + own[0], y as f32 + own[1]);
                let own = black + (own - black) * inside.light;
                colour += (own - colour) * inside.own;
            }
            let lip = channel.depth.get(plane, at).unwrap_or(colour);
            let value = lip + (colour - lip) * inside.coverage;
            channel.depth.put(plane, at, value);
        }
    }

    /// Leaves `share` of what was drawn and gives the source its own back for the rest.
    fn fade(&self, plane: &mut [u8], channel: &Channel, target: Region, share: f32) {
        for row in target.y..target.y + target.height {
            for col in target.x..target.x + target.width {
                let at = channel.index(col, row);
                let own = self.patch.linear(col as f32, row as f32);
                let drawn = channel.depth.get(plane, at).unwrap_or(own);
                channel.depth.put(plane, at, mix(own, drawn, share));
            }
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

impl Last {
    /// Whether `face` is where this one was.
    fn is_at(&self, face: &Face) -> bool {
        let [x, y] = self.lips.frame.to_pixel([0.0; 2]);
        let bounds = face.mesh.as_ref().map(Mesh::bounds).unwrap_or_default();
        (bounds.x..bounds.x + bounds.width).contains(&x)
            && (bounds.y..bounds.y + bounds.height).contains(&y)
    }
}

impl Traced {
    /// Fills the map and the list of inside samples for the grid of one channel.
    fn trace(
        &mut self,
        warp: &Warp,
        head: &HeadFrame,
        interior: &Interior,
        channel: &Channel,
        target: Region,
    ) {
        self.map.resize(target.width * target.height, [0.0; 2]);
        self.inside.clear();
        self.seam.clear();
        let (sx, sy) = (
            f32::from(1u8 << channel.sub_x),
            f32::from(1u8 << channel.sub_y),
        );
        // Local coordinates advance evenly along a row, and displacements go back the same way.
        let start = head.to_local([0.0, 0.0]);
        let along = head.direction([sx, 0.0]);
        let down = head.direction([0.0, sy]);
        let back = [head.vector([1.0, 0.0]), head.vector([0.0, 1.0])];
        let (rx, ry) = (1.0 / sx, 1.0 / sy);
        let samples = |[x, y]: [f32; 2]| {
            [
                (x * back[0][0] + y * back[1][0]) * rx,
                (x * back[0][1] + y * back[1][1]) * ry,
            ]
        };
        let per_pixel = head.unit * rx.min(ry);
        let margin = interior.reach().max(CALM_DISTANCE / head.unit);
        let rows = self.map.chunks_exact_mut(target.width).enumerate();
        for (row, line) in rows {
            let v = (target.y + row) as f32 + 0.5;
            let from = [start[0] + v * down[0], start[1] + v * down[1]];
            let mut visit = |col: usize| {
                let index = row * target.width + col;
                let u = (target.x + col) as f32 + 0.5;
                let point = [from[0] + u * along[0], from[1] + u * along[1]];
                let place = warp.place(point, per_pixel);
                if let Some(inside) = interior.at(point, &place.column) {
                    self.inside.push(Seen {
                        index,
                        own: samples([0.0, inside.own_from]),
                        inside,
                    });
                }
                if let Some(other) = &place.other {
                    self.seam.push(Touch {
                        index,
                        other: samples(other.moved),
                        share: other.share,
                    });
                }
                Visited {
                    col,
                    moved: samples(place.moved),
                    side: place.side(point[1], margin),
                }
            };
            let mut left = visit(0);
            line[0] = left.moved;
            while left.col + 1 < line.len() {
                let right = visit((left.col + SPAN).min(line.len() - 1));
                line[right.col] = right.moved;
                between(line, left, right, &mut visit);
                left = right;
            }
        }
    }
}

/// One sample of a row for which the map was evaluated.
#[derive(Clone, Copy)]
struct Visited {
    col: usize,
    moved: [f32; 2],
    /// Above the lips or below them, if far enough away.
    side: Option<bool>,
}

/// Fills the samples between two of a row. Away from the lips the map is smooth: as soon as it is straight enough it
/// is evaluated no more.
fn between(
    line: &mut [[f32; 2]],
    left: Visited,
    right: Visited,
    visit: &mut impl FnMut(usize) -> Visited,
) {
    if right.col - left.col < 2 {
        return;
    }
    let middle = visit(left.col.midpoint(right.col));
    line[middle.col] = middle.moved;
    let calm = left.side.is_some() && left.side == middle.side && left.side == right.side;
    let straight = on_the_way(&left, &right, middle.col);
    if calm && (0..2).all(|i| (straight[i] - middle.moved[i]).abs() < STRAIGHT) {
        for (a, b) in [(left, middle), (middle, right)] {
            for (col, to) in (a.col + 1..).zip(&mut line[a.col + 1..b.col]) {
                *to = on_the_way(&a, &b, col);
            }
        }
    } else {
        between(line, left, middle, visit);
        between(line, middle, right, visit);
    }
}

/// What the straight line between two samples has at the column.
fn on_the_way(left: &Visited, right: &Visited, col: usize) -> [f32; 2] {
    let t = (col - left.col) as f32 / (right.col - left.col) as f32;
    std::array::from_fn(|i| mix(left.moved[i], right.moved[i], t))
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

#[cfg(test)]
mod tests;
