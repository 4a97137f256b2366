//! The face's own frame, and the lips and jaw of a mesh measured in it.

pub(crate) mod edge;
pub(crate) mod fit;
pub(crate) mod line;

pub use fit::{Offset, solve};

use super::Mesh;
use crate::picture::Rect;
use crate::picture::smooth::{ease, mix, smoothstep};

const UPPER: [usize; 11] = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308];
const LOWER: [usize; 11] = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308];
const OUTER_UPPER: [usize; 11] = [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291];
const OUTER_LOWER: [usize; 11] = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291];

/// The box around the lips, in pixels of the frame.
pub fn bounds(mesh: &Mesh) -> Rect {
    let outline = OUTER_UPPER.into_iter().chain(OUTER_LOWER);
    let points: Vec<[f32; 2]> = outline.map(|i| [mesh.0[i][0], mesh.0[i][1]]).collect();
    Rect::around(&points)
}
const LEFT_EYE: [usize; 2] = [33, 133];
const RIGHT_EYE: [usize; 2] = [362, 263];
const CORNERS: [usize; 2] = [61, 291];
const NOSE_BASE: usize = 2;
const CHIN: usize = 152;
const JAW: [usize; 2] = [150, 379];

/// Coordinates that move with the head: origin between the corners of the mouth, x along the face
/// to the right of the picture, y towards the chin, unit the distance between the eyes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadFrame {
    origin: [f32; 2],
    /// Direction of local x in the picture.
    axis: [f32; 2],
    /// Pixels per unit.
    pub unit: f32,
}

impl HeadFrame {
    /// `None` where the points do not make a face: collapsed, or not finite.
    pub fn of(mesh: &Mesh) -> Option<(Self, f32)> {
        let [left, right] = [LEFT_EYE, RIGHT_EYE].map(|pair| middle(mesh, pair));
        let eyes: [f32; 3] = std::array::from_fn(|i| right[i] - left[i]);
        let flat = eyes[0].hypot(eyes[1]);
        // Turning the head shortens the eye line but not the height of the lips: with the depth the
        // unit stays what it is. Past some turn the depth is a guess, so it is bounded.
        let unit = flat.hypot(eyes[2]).min(flat * 1.5);
        if !(unit.is_finite() && flat >= 2.0 && unit < 1e5) {
            return None;
        }
        let [a, b] = CORNERS.map(|i| mesh.0[i]);
        let mouth = [b[0] - a[0], b[1] - a[1]];
        let length = mouth[0].hypot(mouth[1]).max(1e-3);
        // The corners tell the tilt of the mouth, the eyes keep it steady.
        let axis: [f32; 2] =
            std::array::from_fn(|i| 0.65 * eyes[i] / flat + 0.35 * mouth[i] / length);
        let norm = axis[0].hypot(axis[1]);
        if norm.is_nan() || norm < 0.2 {
            return None;
        }
        let frame = Self {
            origin: [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0],
            axis: axis.map(|v| v / norm),
            unit,
        };
        Some((frame, flat / unit))
    }

    /// A point of the picture in local coordinates.
    pub fn to_local(self, [x, y]: [f32; 2]) -> [f32; 2] {
        self.direction([x - self.origin[0], y - self.origin[1]])
    }

    /// A displacement in pixels in local units.
    pub fn direction(self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [c, s] = self.axis;
        [(x * c + y * s) / self.unit, (y * c - x * s) / self.unit]
    }

    /// A local point in pixels of the picture.
    pub fn to_pixel(self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [dx, dy] = self.vector([x, y]);
        [self.origin[0] + dx, self.origin[1] + dy]
    }

    /// A local displacement in pixels.
    #[inline]
    pub fn vector(self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [c, s] = self.axis;
        [(x * c - y * s) * self.unit, (x * s + y * c) * self.unit]
    }
}

fn middle(mesh: &Mesh, [a, b]: [usize; 2]) -> [f32; 3] {
    std::array::from_fn(|i| (mesh.0[a][i] + mesh.0[b][i]) / 2.0)
}

/// Lips and jaw of one frame in the head's frame. Curves are single-valued functions of x between
/// the corners, whatever the mesh says.
#[derive(Clone, Debug)]
pub struct Lips {
    /// The coordinates that everything here is measured in.
    pub frame: HeadFrame,
    /// How much the turn of the head shortens widths, 0 to 1.
    pub foreshortening: f32,
    upper: Curve,
    lower: Curve,
    outer_upper: Curve,
    outer_lower: Curve,
    /// x of the left corner, the middle of the lips, the right corner.
    pub left: f32,
    /// Local x of the middle of the lips.
    pub centre: f32,
    /// Local x of the right corner.
    pub right: f32,
    /// Distance of the corners, undoing the turn of the head.
    pub width: f32,
    /// How far the inner lips are apart in the middle.
    pub gap: f32,
    /// 0 where the lips touch, 1 where the mouth is surely open: what shows between them.
    pub open: f32,
    /// How far apart the lips are taken to be, as a part of their gap: where they end.
    pub parted: f32,
    /// y of the nose's base.
    pub nose: f32,
    /// The point of the chin.
    pub chin: [f32; 2],
    /// How far below the straight line between its corners an open mouth would close, in the middle.
    sag: f32,
    /// Where touching lips meet, against the mesh.
    pub line: Offset,
    /// Where the upper and the lower lip end when they are apart, against the mesh.
    pub ends: [Offset; 2],
    /// The jaw line is `chin.y - jaw_bend * (x - chin.x)^2`.
    pub jaw_bend: f32,
}

/// The mesh puts its inner lips this far apart (in units) on lips that touch.
const TOUCHING: f32 = 0.035;
const SURELY_OPEN: f32 = 0.075;
/// Where between the mesh's inner lips the line of touching lips lies.
const LINE_OF_TOUCHING: f32 = 0.7;
/// Share of an opening by which the upper lip rises.
pub const UPPER_SHARE: f32 = 0.15;
/// Lips are cut this far outside the mesh's inner lips, so that no teeth stick to them.
const TRIM: f32 = 0.008;
/// No edge is further from the mesh's than this.
const MOST_OFF: f32 = 0.09;

impl Lips {
    /// Measures the lips of `mesh`; `None` where its points do not make a face.
    pub fn of(mesh: &Mesh) -> Option<Self> {
        let (frame, foreshortening) = HeadFrame::of(mesh)?;
        let local = |i: usize| frame.to_local([mesh.0[i][0], mesh.0[i][1]]);
        let upper = Curve::through(UPPER.map(local))?;
        let lower = Curve::through(LOWER.map(local))?;
        let outer_upper = Curve::through(OUTER_UPPER.map(local))?;
        let outer_lower = Curve::through(OUTER_LOWER.map(local))?;
        let (left, right) = (upper.x[0], upper.x[10]);
        // Near profile the middle may lie on a corner; keep some lip on both sides.
        let centre = ((upper.x[5] + lower.x[5]) / 2.0)
            .clamp(left + 0.25 * (right - left), right - 0.25 * (right - left));
        let gap = (lower.at(centre) - upper.at(centre)).max(0.0);
        let nose = local(NOSE_BASE)[1].min(upper.y[5] - 0.1);
        let chin = local(CHIN);
        let chin = [chin[0], chin[1].max(lower.y[5] + 0.25)];
        let [a, b] = JAW.map(local);
        let rise = chin[1] - (a[1] + b[1]) / 2.0;
        let reach = ((a[0] - chin[0]).powi(2) + (b[0] - chin[0]).powi(2)) / 2.0;
        let jaw_bend = (rise / reach.max(1e-3)).clamp(0.0, 1.0);
        let ends = CORNERS.map(|i| mesh.0[i]);
        let flat = (ends[1][0] - ends[0][0]).hypot(ends[1][1] - ends[0][1]);
        let deep = flat.hypot(ends[1][2] - ends[0][2]).min(flat * 1.5);
        let across = 2.0 * (centre - left) / (right - left) - 1.0;
        let between_corners = mix(upper.y[0], upper.y[10], 0.5 + 0.5 * across);
        let closes_at = upper.at(centre) + UPPER_SHARE * gap;
        let sag = (closes_at - between_corners) / (1.0 - across * across);
        let finite = [sag, centre, gap, nose, chin[0], chin[1], jaw_bend, deep];
        if !finite.iter().all(|v| v.is_finite() && v.abs() < 1e4) {
            return None;
        }
        Some(Self {
            frame,
            foreshortening,
            open: smoothstep(TOUCHING, SURELY_OPEN, gap),
            // The gap less what is taken for closed never moves faster than the gap itself: a mouth that
            // hangs between open and closed would else be made to tremble.
            parted: (1.63 * (gap - TOUCHING) / (gap + 0.028)).clamp(0.0, 1.0),
            upper,
            lower,
            outer_upper,
            outer_lower,
            left,
            centre,
            right,
            width: deep / frame.unit,
            gap,
            nose,
            chin,
            sag,
            line: [0.0; 3],
            ends: [[0.0; 3]; 2],
            jaw_bend,
        })
    }

    /// Where the mesh has the line of touching lips.
    pub fn touching(&self, x: f32) -> f32 {
        let x = x.clamp(self.left, self.right);
        let top = self.upper.at(x);
        top + LINE_OF_TOUCHING * (self.lower.at(x) - top).max(0.0)
    }

    /// The mesh's lips at x: the upper one's outer and inner edge, the lower one's inner and outer.
    pub fn contours(&self, x: f32) -> [f32; 4] {
        let upper = self.upper.at(x);
        [
            self.outer_upper.at(x),
            upper,
            self.lower.at(x).max(upper),
            self.outer_lower.at(x),
        ]
    }

    /// How thick the upper and the lower lip are, in the middle.
    pub fn thickness(&self) -> [f32; 2] {
        let [outer_upper, _, lower, outer_lower] = self.contours(self.centre);
        let [upper, ..] = self.edges(self.centre);
        [upper - outer_upper, outer_lower - lower].map(|thickness| thickness.max(0.0))
    }

    /// Lower edge of the upper lip, upper edge of the lower lip and the line where they would meet,
    /// at x. The three agree at and beyond the corners.
    pub fn edges(&self, x: f32) -> [f32; 3] {
        let x = x.clamp(self.left, self.right);
        let top = self.upper.at(x);
        let bottom = self.lower.at(x).max(top);
        let gap = bottom - top;
        let t = 2.0 * (x - self.left) / (self.right - self.left) - 1.0;
        let found = fit::at(self.line, t).clamp(-0.06, 0.06);
        let touching = top + LINE_OF_TOUCHING * gap + found;
        // Not as arched as the open upper lip: its ends would become hooks.
        let line = mix(self.upper.y[0], self.upper.y[10], 0.5 + 0.5 * t) + self.sag * (1.0 - t * t);
        // More towards the corners, where the lips are hidden in shadow, and nothing at their ends.
        let end = (x - self.left).min(self.right - x) / (self.right - self.left);
        // Colour is blurred over two pixels.
        let blurred = 0.6 / self.frame.unit.max(20.0) * ease(end / 0.25);
        let trim = blurred + TRIM * ease(end / 0.06) * (2.6 - 1.6 * ease(end / 0.3));
        let [above, below] = self
            .ends
            .map(|offset| fit::at(offset, t).clamp(-MOST_OFF, MOST_OFF) * ease(end / 0.25));
        let (top, bottom) = (top + above - trim, bottom + below + trim);
        [top.min(bottom), bottom, line].map(|edge| touching + self.parted * (edge - touching))
    }
}

/// A smooth curve y(x) through points whose x is made to rise.
#[derive(Clone, Debug)]
struct Curve {
    x: [f32; 11],
    y: [f32; 11],
    slope: [f32; 11],
}

impl Curve {
    fn through(points: [[f32; 2]; 11]) -> Option<Self> {
        let mut x = points.map(|p| p[0]);
        let y = points.map(|p| p[1]);
        if !points.iter().flatten().all(|v| v.abs() < 1e4) {
            return None;
        }
        let step = ((x[10] - x[0]) / 40.0).max(0.005);
        for i in 1..11 {
            x[i] = x[i].max(x[i - 1] + step);
        }
        let slope = std::array::from_fn(|i| {
            let (a, b) = (i.saturating_sub(1), (i + 1).min(10));
            // Points that had to be pulled apart would otherwise make spikes.
            ((y[b] - y[a]) / (x[b] - x[a])).clamp(-1.5, 1.5)
        });
        Some(Self { x, y, slope })
    }

    fn at(&self, x: f32) -> f32 {
        let x = x.clamp(self.x[0], self.x[10]);
        let i = self.x[1..10].partition_point(|&k| k < x);
        let h = self.x[i + 1] - self.x[i];
        let t = ((x - self.x[i]) / h).clamp(0.0, 1.0);
        let (a, b) = (self.y[i], self.y[i + 1]);
        let (ma, mb) = (self.slope[i] * h, self.slope[i + 1] * h);
        let (t2, t3) = (t * t, t * t * t);
        a * (2.0 * t3 - 3.0 * t2 + 1.0)
            + ma * (t3 - 2.0 * t2 + t)
            + b * (3.0 * t2 - 2.0 * t3)
            + mb * (t3 - t2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::testing::{self, AT, UNIT};

    #[test]
    fn an_open_mouth_closes_in_a_line_without_hooks() {
        let mut mesh = testing::face_with_gap(AT, UNIT, 0.2);
        // The upper lip rises steeply at the corners and is level between them.
        for i in [191, 80, 81, 82, 13, 312, 311, 310, 415] {
            mesh.0[i][1] = AT[1] - 0.08 * UNIT;
        }
        let lips = Lips::of(&mesh).unwrap();
        let line =
            |t: f32| lips.edges(0.5 * (lips.left + lips.right + t * (lips.right - lips.left)))[2];
        let [corner, middle] = [line(-1.0), line(0.0)];
        assert!(middle < corner - 0.03, "{middle} against {corner}");
        for t in [-0.9, 0.9] {
            let risen = (corner - line(t)) / (corner - middle);
            assert!((0.1..0.3).contains(&risen), "{risen} of the way");
        }
    }

    #[test]
    fn lips_that_hang_between_open_and_closed_meet_at_their_corners() {
        for gap in [0.04, 0.055, 0.07, 0.1, 0.2] {
            let mut lips = Lips::of(&testing::face_with_gap(AT, UNIT, gap)).unwrap();
            lips.line = [0.03, 0.02, -0.02];
            for x in [lips.left, lips.right, lips.right + 0.1] {
                let [upper, lower, line] = lips.edges(x);
                assert!(
                    (upper - line).abs() < 1e-5 && (lower - line).abs() < 1e-5,
                    "{gap}"
                );
            }
        }
        // What is taken for closed lips never moves faster than the lips themselves.
        let closed = |gap: f32| {
            let lips = Lips::of(&testing::face_with_gap(AT, UNIT, gap)).unwrap();
            let [upper, lower, _] = lips.edges(lips.centre);
            gap - (lower - upper)
        };
        for step in 0..60 {
            let gap = 0.02 + 0.002 * step as f32;
            let speed = (closed(gap + 0.002) - closed(gap)) / 0.002;
            assert!(speed.abs() < 1.05, "{speed} at {gap}");
        }
    }
}
