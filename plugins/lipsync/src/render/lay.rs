//! Lays the lower face of one frame on the face of another.
//!
//! Points that speech hardly moves say how one head lies on the other: a similarity, and what a
//! turned head adds to it by the depth of its points. Near the mouth the laid face keeps its own
//! form; towards the rim it takes that of the face it is laid on.

use super::{Region, mix, smoothstep};
use crate::face::{MESH_POINTS, Mesh, lips::HeadFrame};
use crate::picture::outline;

/// Corners and bridge of the nose, corners of the eyes, cheek bones, brows.
const STABLE: [usize; 24] = [
    33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 98, 327, 2, 127, 356, 234, 454, 70, 300, 105,
    334, 45, 275,
];

/// From one temple along the jaw to the other.
const JAW: [usize; 23] = [
    127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288,
    361, 323, 454, 356,
];
const NOSE_BASE: usize = 2;
const NOSE_WINGS: [usize; 2] = [98, 327];

/// How strongly the turn is held against none, as a part of what the points' spread says.
const RIDGE: f32 = 0.02;
/// A point so far off, in units, has half its say.
const DOUBT: f32 = 0.03;

/// Distances from the middle of the mouth, in units: the laid face keeps its form up to the first
/// and has that of the frame's own face from the second on.
const KEEPS: f32 = 0.62;
const YIELDS: f32 = 1.05;
/// Sideways all is a little wider.
const WIDER: f32 = 1.15;

/// Where the laid face is seen: whole up to the first, nothing of it from the second on.
const WHOLE: f32 = 0.72;
const NOTHING: f32 = 0.98;
/// It fades towards the rim of the face over this, and past the chin.
const RIM: f32 = 0.1;
const PAST_CHIN: f32 = 0.05;

/// Nodes of the grid are so far apart, in units.
const CELL: f32 = 0.075;
/// A point moves the picture within this distance of it.
const REACH: f32 = 0.3;

/// One node of the grid.
#[derive(Clone, Copy, Debug, Default)]
pub struct Node {
    /// Where it comes from, in pixels of the other frame.
    pub from: [f32; 2],
    /// How much of it is seen, 0 to 1.
    pub seen: f32,
    /// How surely both faces have skin or lips here, 0 to 1.
    pub face: f32,
}

/// Samples of a row that lie between the same two nodes.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The node to their left.
    pub node: usize,
    /// The first one's place in the row, and how many there are.
    pub first: usize,
    pub count: usize,
    /// Where the first one is, in pixels.
    pub x: f32,
    /// How far it is from the left node to the right one, and how much further each next one.
    t: f32,
    step: f32,
}

impl Run {
    /// A value between those of the two nodes: the first sample's, and what each next one adds.
    #[inline]
    pub fn line(&self, [left, right]: [f32; 2]) -> (f32, f32) {
        let slope = right - left;
        (left + slope * self.t, slope * self.step)
    }
}

/// A face laid on another, on a grid over the target's pixels. Keeps its memory.
#[derive(Default)]
pub struct Laid {
    /// Where the laid face's points come to lie.
    points: Vec<[f32; 3]>,
    /// Where points are, and by how much they move what is there.
    pulls: Vec<([f32; 2], [f32; 2])>,
    /// At each node their weight and the sum of what they do.
    pulled: Vec<[f32; 3]>,
    /// From the target's pixels to the other frame's, without what single points add.
    inverse: [[f32; 3]; 2],
    /// By which the pictures are found to lie off each other beside what the points say.
    shift: [f32; 2],
    origin: [f32; 2],
    pub cell: f32,
    pub columns: usize,
    pub rows: usize,
    pub nodes: Vec<Node>,
}

impl Laid {
    /// Lays the face `other` on the face `own`, whose head's frame is `head`. `None` where one of
    /// them is no face.
    pub fn lay(&mut self, other: &Mesh, own: &Mesh, head: &HeadFrame) -> Option<()> {
        self.shift = [0.0; 2];
        self.place(other, own, head)
    }

    /// Lays it again, moved by so many pixels more.
    pub fn move_by(
        &mut self,
        by: [f32; 2],
        other: &Mesh,
        own: &Mesh,
        head: &HeadFrame,
    ) -> Option<()> {
        for (shift, by) in self.shift.iter_mut().zip(by) {
            *shift += by;
        }
        self.place(other, own, head)
    }

    fn place(&mut self, other: &Mesh, own: &Mesh, head: &HeadFrame) -> Option<()> {
        let unit = head.unit;
        let mut fit = Fit::of(other, own, unit)?;
        for (target, shift) in fit.target.iter_mut().zip(self.shift) {
            *target += shift;
        }
        self.inverse = fit.inverse()?;
        self.points.clear();
        self.pulls.clear();
        for (from, to) in other.0.iter().zip(own.0.iter()) {
            let laid = fit.apply(*from);
            let local = head.to_local(laid);
            let r = (local[0] / WIDER).hypot(local[1]);
            let own_form = smoothstep(KEEPS, YIELDS, r);
            let place: [f32; 2] = std::array::from_fn(|i| mix(laid[i], to[i], own_form));
            self.points.push([place[0], place[1], to[2]]);
            if r < YIELDS + 2.0 * REACH {
                let plain = self.back(place);
                self.pulls
                    .push((place, [from[0] - plain[0], from[1] - plain[1]]));
            }
        }
        Some(())
    }

    /// The laid face as a mesh in the target's pixels.
    pub fn mesh(&self) -> Option<Mesh> {
        let points: Box<[[f32; 3]; MESH_POINTS]> =
            self.points.clone().into_boxed_slice().try_into().ok()?;
        Some(Mesh(points))
    }

    /// Where a target's pixel comes from, without what single points add.
    pub fn back(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        self.inverse.map(|[a, b, c]| a * x + b * y + c)
    }

    /// A displacement in the target's pixels in those of the other frame.
    pub fn back_vector(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        self.inverse.map(|[a, b, _]| a * x + b * y)
    }

    /// The grid's row above `y`, and how far it is to the next.
    #[inline]
    pub fn grid_row(&self, y: f32) -> (usize, f32) {
        let at = ((y - self.origin[1]) / self.cell).clamp(0.0, (self.rows - 2) as f32 + 0.999);
        let j = at as i32 as usize;
        (j, at - j as f32)
    }

    /// The grid's column left of `x`, and how far it is to the next.
    #[inline]
    pub fn column(&self, x: f32) -> (usize, f32) {
        let at = ((x - self.origin[0]) / self.cell).clamp(0.0, (self.columns - 2) as f32 + 0.999);
        let i = at as i32 as usize;
        (i, at - i as f32)
    }

    /// The samples of a row from the column `first` on, `step` pixels apart, in runs between the same
    /// two nodes: what is linear between nodes is so along a run.
    pub fn runs(&self, first: usize, count: usize, step: f32) -> impl Iterator<Item = Run> + '_ {
        let mut done = 0;
        std::iter::from_fn(move || {
            if done >= count {
                return None;
            }
            let x = ((first + done) as f32 + 0.5) * step;
            let (node, t) = self.column(x);
            let left = ((1.0 - t) * self.cell / step).ceil().max(1.0) as usize;
            let run = Run {
                node,
                first: done,
                count: left.min(count - done),
                x,
                t,
                step: step / self.cell,
            };
            done += run.count;
            Some(run)
        })
    }

    /// The nodes at height `y`, between two rows of the grid.
    pub fn row(&self, y: f32, to: &mut Vec<Node>) {
        let (j, t) = self.grid_row(y);
        let (upper, lower) = self.nodes[j * self.columns..].split_at(self.columns);
        to.clear();
        to.extend(upper.iter().zip(lower).map(|(a, b)| Node {
            from: [mix(a.from[0], b.from[0], t), mix(a.from[1], b.from[1], t)],
            seen: mix(a.seen, b.seen, t),
            face: mix(a.face, b.face, t),
        }));
    }

    /// Where a node is, in pixels.
    pub fn place_of(&self, i: usize, j: usize) -> [f32; 2] {
        [
            self.origin[0] + i as f32 * self.cell,
            self.origin[1] + j as f32 * self.cell,
        ]
    }

    /// Fills the grid over `region`.
    pub fn trace(&mut self, region: Region, own: &Mesh, head: &HeadFrame) {
        let unit = head.unit;
        self.cell = (CELL * unit).max(2.0);
        self.origin = [region.x as f32, region.y as f32];
        self.columns = (region.width as f32 / self.cell).ceil() as usize + 2;
        self.rows = (region.height as f32 / self.cell).ceil() as usize + 2;
        let rim = Rim::of(&self.points, own, head);
        self.spread_pulls(REACH * unit);
        self.nodes.clear();
        for j in 0..self.rows {
            for i in 0..self.columns {
                let place = self.place_of(i, j);
                let (seen, face) = rim.seen(head.to_local(place));
                let [sum, dx, dy] = self.pulled[j * self.columns + i];
                let [x, y] = self.back(place);
                self.nodes.push(Node {
                    from: [x + dx / sum, y + dy / sum],
                    seen,
                    face,
                });
            }
        }
    }

    /// Adds up at each node what the points within `reach` pixels of it do to it, by their weight.
    fn spread_pulls(&mut self, reach: f32) {
        let rate = 1.0 / (reach * reach);
        self.pulled.clear();
        // Where no point is near, nothing is pulled.
        self.pulled
            .resize(self.rows * self.columns, [1e-4, 0.0, 0.0]);
        for (at, by) in &self.pulls {
            // Casting saturates, so that points outside the grid have no nodes.
            let span = |axis: usize, count: usize| {
                let at = at[axis] - self.origin[axis];
                let from = ((at - reach) / self.cell).ceil().max(0.0) as usize;
                let to = ((at + reach) / self.cell).floor() + 1.0;
                from.min(count)..(to.max(0.0) as usize).min(count)
            };
            for j in span(1, self.rows) {
                for i in span(0, self.columns) {
                    let place = [
                        self.origin[0] + i as f32 * self.cell,
                        self.origin[1] + j as f32 * self.cell,
                    ];
                    let (dx, dy) = (at[0] - place[0], at[1] - place[1]);
                    let near = 1.0 - (dx * dx + dy * dy) * rate;
                    if near > 0.0 {
                        let weight = near * near;
                        let [sum, x, y] = &mut self.pulled[j * self.columns + i];
                        *sum += weight;
                        *x += weight * by[0];
                        *y += weight * by[1];
                    }
                }
            }
        }
    }
}

/// The rim of what is seen of the laid face, in the head's frame.
struct Rim {
    /// Of the frame's own face and of the laid one, each with the lower chin of the two.
    outlines: [[[f32; 2]; JAW.len()]; 2],
    nose: f32,
}

impl Rim {
    /// Around both faces: what is laid must cover the frame's own chin, and its neck where the laid
    /// chin is higher.
    fn of(laid: &[[f32; 3]], own: &Mesh, head: &HeadFrame) -> Self {
        let local = |p: [f32; 3]| head.to_local([p[0], p[1]]);
        let both = JAW.map(|i| {
            let own = local(own.0[i]);
            let laid = laid.get(i).map_or(own, |p| local(*p));
            let chin = 1.0 - smoothstep(0.3, 0.7, own[0].abs());
            let low = own[1].max(laid[1]);
            [own, laid].map(|[x, y]| [x, mix(y, low, chin)])
        });
        let wings = NOSE_WINGS.map(|i| local(own.0[i])[1]);
        Self {
            outlines: [both.map(|b| b[0]), both.map(|b| b[1])],
            nose: local(own.0[NOSE_BASE])[1].min(0.5 * (wings[0] + wings[1])),
        }
    }

    /// How much is seen of the laid face, and how surely both are faces here.
    fn seen(&self, [x, y]: [f32; 2]) -> (f32, f32) {
        let r = (x / WIDER).hypot(y - 0.1);
        let round = 1.0 - smoothstep(WHOLE, NOTHING, r);
        if round <= 0.0 {
            return (0.0, 0.0);
        }
        // Not the nose; beside it the cheeks' folds go up a little way.
        let top = self.nose - 0.18 * smoothstep(0.25, 0.5, x.abs());
        let below_nose = smoothstep(top - 0.02, top + 0.1, y);
        // The sides fade within the face, the chin past it.
        let low = smoothstep(0.3, 0.6, y);
        let past = PAST_CHIN * low;
        let [own, laid] = self.outlines.each_ref().map(|o| outline::inside(o, [x, y]));
        let inside = own.min(laid);
        let within = smoothstep(-past - 0.5 * RIM * low, RIM - past, inside);
        (round * below_nose * within, smoothstep(0.02, 0.1, inside))
    }
}

/// From points of one frame to another: a similarity, and a correction by all three coordinates.
struct Fit {
    scale: [f32; 2],
    middle: [f32; 3],
    target: [f32; 2],
    turn: [[f32; 3]; 2],
}

impl Fit {
    fn of(from: &Mesh, to: &Mesh, unit: f32) -> Option<Self> {
        let mut weights = [1.0f32; STABLE.len()];
        let mut fit = Self::similarity(from, to, &weights)?;
        for _ in 0..2 {
            for (weight, &i) in weights.iter_mut().zip(&STABLE) {
                let [x, y] = fit.apply(from.0[i]);
                let off = (x - to.0[i][0]).hypot(y - to.0[i][1]) / (DOUBT * unit);
                *weight = 1.0 / (1.0 + off * off);
            }
            fit = Self::similarity(from, to, &weights)?;
        }
        fit.add_turn(from, to, &weights, unit);
        Some(fit)
    }

    fn similarity(from: &Mesh, to: &Mesh, weights: &[f32]) -> Option<Self> {
        let pairs = || {
            STABLE
                .iter()
                .zip(weights)
                .map(|(&i, &w)| (from.0[i], to.0[i], w))
        };
        let sum: f32 = weights.iter().sum();
        let mut middle = [0.0; 3];
        let mut target = [0.0; 2];
        for (a, b, w) in pairs() {
            (0..3).for_each(|i| middle[i] += w * a[i] / sum);
            (0..2).for_each(|i| target[i] += w * b[i] / sum);
        }
        let (mut dot, mut cross, mut size) = (0.0, 0.0, 0.0);
        for (a, b, w) in pairs() {
            let [ax, ay] = [a[0] - middle[0], a[1] - middle[1]];
            let [bx, by] = [b[0] - target[0], b[1] - target[1]];
            dot += w * (ax * bx + ay * by);
            cross += w * (ax * by - ay * bx);
            size += w * (ax * ax + ay * ay);
        }
        let scale = [dot / size, cross / size];
        scale.iter().all(|v| v.is_finite()).then_some(Self {
            scale,
            middle,
            target,
            turn: [[0.0; 3]; 2],
        })
    }

    /// Least squares for what the similarity leaves, held towards nothing.
    fn add_turn(&mut self, from: &Mesh, to: &Mesh, weights: &[f32], unit: f32) {
        let mut m = [[0.0f32; 3]; 3];
        let mut r = [[0.0f32; 3]; 2];
        let sum: f32 = weights.iter().sum();
        for (&i, &w) in STABLE.iter().zip(weights) {
            let c: [f32; 3] = std::array::from_fn(|k| (from.0[i][k] - self.middle[k]) / unit);
            let [x, y] = self.apply(from.0[i]);
            let left = [to.0[i][0] - x, to.0[i][1] - y];
            for a in 0..3 {
                for b in 0..3 {
                    m[a][b] += w * c[a] * c[b];
                }
                for (r, left) in r.iter_mut().zip(left) {
                    r[a] += w * c[a] * left;
                }
            }
        }
        (0..3).for_each(|i| m[i][i] += RIDGE * sum);
        let solved = r.map(|r| crate::face::lips::solve(m, r).unwrap_or_default());
        self.turn = solved.map(|row| row.map(|v| v / unit));
    }

    fn apply(&self, p: [f32; 3]) -> [f32; 2] {
        let c: [f32; 3] = std::array::from_fn(|i| p[i] - self.middle[i]);
        let [s, t] = self.scale;
        let turned = self.turn.map(|[a, b, d]| a * c[0] + b * c[1] + d * c[2]);
        [
            self.target[0] + s * c[0] - t * c[1] + turned[0],
            self.target[1] + t * c[0] + s * c[1] + turned[1],
        ]
    }

    /// From the target back, without the depth.
    fn inverse(&self) -> Option<[[f32; 3]; 2]> {
        let [s, t] = self.scale;
        let [[a, b], [c, d]] = [
            [s + self.turn[0][0], -t + self.turn[0][1]],
            [t + self.turn[1][0], s + self.turn[1][1]],
        ];
        let det = a * d - b * c;
        if det.is_nan() || det < 0.02 {
            return None;
        }
        let [ia, ib, ic, id] = [d / det, -b / det, -c / det, a / det];
        let [x, y] = self.target;
        Some([
            [ia, ib, self.middle[0] - ia * x - ib * y],
            [ic, id, self.middle[1] - ic * x - id * y],
        ])
    }
}
