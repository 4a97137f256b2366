//! Bends a laid mouth the rest of the way to the shape that is asked for.
//!
//! A backward map in the head's frame: for a point of the bent face, where in the laid one it is.
//! The lower lip takes four fifths of a change of the opening and hands it on to the chin, the
//! upper lip the rest. What is between the lips is stretched as they part; as they close it stays
//! where it is, as teeth do, and the lips cover it.

use super::{lips::Lips, smoothstep};
use crate::bank::bendable;

/// Columns in which the lips are tabulated.
const COLUMNS: usize = 128;
/// The table reaches so far to both sides of the middle, in units.
const REACH: f32 = 0.75;
const UPPER_SHARE: f32 = 0.2;
/// A change fades over so much above the lips and below them.
const ABOVE: f32 = 0.34;
const BELOW: f32 = 0.85;
/// A lip keeps its form up to here from its edge.
const FIRM: f32 = 0.1;
/// Smaller changes are not worth a second look.
const NOTHING: f32 = 0.002;

/// Lips at one x: of the laid mouth and of the bent one.
#[derive(Clone, Copy, Default)]
struct Column {
    upper: f32,
    lower: f32,
    to_upper: f32,
    to_lower: f32,
}

/// The map of one frame. Keeps its memory.
#[derive(Default)]
pub struct Bend {
    columns: Vec<Column>,
    centre: f32,
    half: f32,
    /// Width of the laid mouth over that of the bent one.
    squeeze: f32,
    line: f32,
    idle: bool,
    closes: bool,
    /// Around the bent lips: least and greatest x, and y.
    lips: [[f32; 2]; 2],
}

/// Where a point of the bent face is in the laid one, as a displacement in units.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bent {
    pub moved: [f32; 2],
    /// At the edge of a lip that covers what was between: the other side, and its share.
    pub other: Option<([f32; 2], f32)>,
}

impl Bend {
    /// From `lips` to the opening and the width that are asked for, in units.
    pub fn prepare(&mut self, lips: &Lips, opening: f32, width: f32) {
        let own = lips.gap * lips.parted;
        let [least, most] = bendable(own);
        let opening = opening.clamp(least, most);
        let change = opening - own;
        let ratio = (width / lips.width.max(0.1)).clamp(0.8, 1.2);
        self.idle = change.abs() < NOTHING && (ratio - 1.0).abs() < NOTHING;
        self.closes = change < 0.0;
        self.squeeze = 1.0 / ratio;
        self.centre = lips.centre;
        self.half = 0.5 * (lips.right - lips.left);
        self.line = lips.edges(lips.centre)[2];
        self.columns.clear();
        for i in 0..=COLUMNS {
            let x = self.centre + (i as f32 / COLUMNS as f32 * 2.0 - 1.0) * REACH;
            let from = self.centre + (x - self.centre) * self.squeeze;
            let [upper, lower, _] = lips.edges(from);
            let t = (from - self.centre) / self.half.max(0.05);
            let lens = (1.0 - t * t).max(0.0).powf(0.8);
            let gap = lower - upper;
            // A mouth that closes closes everywhere.
            let change = if own > 0.01 && change < 0.0 {
                gap * change / own
            } else {
                change * lens
            };
            let change = change.max(-gap);
            self.columns.push(Column {
                upper,
                lower,
                to_upper: upper - UPPER_SHARE * change,
                to_lower: lower + (1.0 - UPPER_SHARE) * change,
            });
        }
        let beside = self.half / self.squeeze + FIRM;
        let shown = self
            .columns
            .iter()
            .zip(0..)
            .filter(|(_, i)| (*i as f32 / COLUMNS as f32 * 2.0 - 1.0).abs() * REACH <= beside);
        let mut y = [f32::MAX, f32::MIN];
        for (column, _) in shown {
            y = [y[0].min(column.to_upper), y[1].max(column.to_lower)];
        }
        self.lips = [
            [self.centre - beside, self.centre + beside],
            [y[0] - FIRM, y[1] + FIRM],
        ];
    }

    /// Whether the map must be asked for each sample within `reach` of the point; away from the lips it
    /// is smooth.
    #[inline]
    pub fn is_detailed(&self, point: [f32; 2], reach: f32) -> bool {
        let near = |v: f32, [least, most]: [f32; 2]| v > least - reach && v < most + reach;
        near(point[0], self.lips[0]) && near(point[1], self.lips[1])
    }

    /// Whether nothing is bent at all.
    pub fn is_idle(&self) -> bool {
        self.idle
    }

    /// Where a point of the laid face comes to lie.
    pub fn forth(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let near = |x: f32| {
            let side = 1.0 - smoothstep(0.55, 1.0, ((x - self.centre) / REACH).abs());
            let tall = 1.0 - smoothstep(0.12, 0.5, (y - self.line).abs());
            (side, tall)
        };
        // Where the map comes from here is found in a few rounds: it is nearly straight.
        let mut to = x;
        for _ in 0..3 {
            let (side, tall) = near(to);
            to = x - (to - self.centre) * (self.squeeze - 1.0) * tall * side;
        }
        let column = self.column(to);
        let upper = y <= 0.5 * (column.upper + column.lower);
        let mut at = y;
        for _ in 0..4 {
            let moved = if upper {
                column.above(at.min(column.to_upper))
            } else {
                column.below(at.max(column.to_lower))
            };
            at = y - moved * near(to).0;
        }
        [to, at]
    }

    fn column(&self, x: f32) -> Column {
        let off = (x - self.centre) / REACH;
        let at = ((off * 0.5 + 0.5) * COLUMNS as f32).clamp(0.0, COLUMNS as f32 - 0.001);
        let i = at as i32 as usize;
        let t = at - i as f32;
        let (a, b) = (&self.columns[i], &self.columns[i + 1]);
        let lerp = |a: f32, b: f32| a + (b - a) * t;
        Column {
            upper: lerp(a.upper, b.upper),
            lower: lerp(a.lower, b.lower),
            to_upper: lerp(a.to_upper, b.to_upper),
            to_lower: lerp(a.to_lower, b.to_lower),
        }
    }

    /// Where the point is in the laid face; `pixel` is the size of a sample.
    #[inline]
    pub fn at(&self, [x, y]: [f32; 2], pixel: f32) -> Bent {
        let off = (x - self.centre) / REACH;
        let side = 1.0 - smoothstep(0.55, 1.0, off.abs());
        if side <= 0.0 {
            return Bent::default();
        }
        let column = self.column(x);
        // Sideways, fading above and below the lips.
        let tall = 1.0 - smoothstep(0.12, 0.5, (y - self.line).abs());
        let dx = (x - self.centre) * (self.squeeze - 1.0) * tall * side;
        let dy = column.displacement(y, self.closes);
        let mut bent = Bent {
            moved: [dx, dy * side],
            other: None,
        };
        if self.closes {
            bent.other = column
                .across(y, 0.7 * pixel)
                .map(|(dy, share)| ([dx, dy * side], share));
        }
        bent
    }
}

impl Column {
    /// Source minus target at `y`, of this side of the lips' edges.
    #[inline]
    fn displacement(&self, y: f32, closes: bool) -> f32 {
        if y <= self.to_upper {
            self.above(y)
        } else if y >= self.to_lower {
            self.below(y)
        } else {
            self.between(y, closes)
        }
    }

    #[inline]
    fn above(&self, y: f32) -> f32 {
        (self.upper - self.to_upper) * (1.0 - smoothstep(FIRM, ABOVE, self.to_upper - y))
    }

    #[inline]
    fn below(&self, y: f32) -> f32 {
        (self.lower - self.to_lower) * (1.0 - smoothstep(FIRM, BELOW, y - self.to_lower))
    }

    #[inline]
    fn between(&self, y: f32, closes: bool) -> f32 {
        if closes {
            return 0.0;
        }
        let t = (y - self.to_upper) / (self.to_lower - self.to_upper).max(1e-4);
        self.upper + t * (self.lower - self.upper) - y
    }

    /// Near an edge, what the other side of it would show.
    #[inline]
    fn across(&self, y: f32, soft: f32) -> Option<(f32, f32)> {
        let share = |off: f32| 0.5 - 0.5 * off / soft;
        let (up, low) = (y - self.to_upper, y - self.to_lower);
        let thin = self.to_lower - self.to_upper < soft;
        if up.abs() < soft && (!thin || up.abs() <= low.abs()) {
            let other = if up > 0.0 {
                self.above(y)
            } else if thin {
                self.below(y)
            } else {
                0.0
            };
            return Some((other, share(up.abs())));
        }
        if low.abs() < soft {
            let other = if low < 0.0 {
                self.below(y)
            } else if thin {
                self.above(y)
            } else {
                0.0
            };
            return Some((other, share(low.abs())));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::testing::{self, AT, UNIT};

    fn bend(gap: f32, opening: f32) -> (Bend, Lips) {
        let lips = Lips::of(&testing::face_with_gap(AT, UNIT, gap)).unwrap();
        let mut bend = Bend::default();
        bend.prepare(&lips, opening, lips.width);
        (bend, lips)
    }

    #[test]
    fn what_is_asked_as_it_is_is_not_bent() {
        let lips = Lips::of(&testing::face_with_gap(AT, UNIT, 0.15)).unwrap();
        let (bend, _) = bend(0.15, lips.gap * lips.parted);
        assert!(bend.is_idle());
    }

    #[test]
    fn the_map_keeps_the_order_of_the_skin() {
        for (gap, change) in [(0.1, 0.06), (0.2, -0.06), (0.02, 0.012), (0.06, -0.05)] {
            let lips = Lips::of(&testing::face_with_gap(AT, UNIT, gap)).unwrap();
            let own = lips.gap * lips.parted;
            let (bend, _) = bend(gap, own + change);
            for x in [-0.3, -0.1, 0.0, 0.2, 0.5] {
                let mut before = f32::MIN;
                for step in 0..400 {
                    let y = -0.6 + 0.005 * step as f32;
                    let from = y + bend.at([x, y], 0.001).moved[1];
                    assert!(from >= before - 1e-3, "{gap} {change} at {x}, {y}");
                    before = from;
                }
            }
        }
    }

    #[test]
    fn a_bent_face_has_the_lips_that_were_asked_for() {
        for (gap, change) in [(0.1, 0.05), (0.2, -0.06), (0.02, 0.012), (0.06, -0.05)] {
            let mesh = testing::face_with_gap(AT, UNIT, gap);
            let before = Lips::of(&mesh).unwrap();
            let own = before.gap * before.parted;
            let mut bend = Bend::default();
            bend.prepare(&before, own + change, 1.1 * before.width);
            let mut bent = mesh.clone();
            for point in bent.0.iter_mut() {
                let local = before.frame.to_local([point[0], point[1]]);
                [point[0], point[1]] = before.frame.to_pixel(bend.forth(local));
            }
            let after = Lips::of(&bent).unwrap();
            let opened = after.gap - before.gap;
            assert!((opened - change).abs() < 0.012, "{gap} {change}: {opened}");
            assert!((after.width / before.width - 1.1).abs() < 0.03);
            // There and back again.
            for p in [[0.0, 0.4], [0.2, -0.2], [-0.5, 0.1], [0.7, 0.7]] {
                let [x, y] = bend.forth(p);
                let moved = bend.at([x, y], 1e-4).moved;
                let off = (x + moved[0] - p[0]).hypot(y + moved[1] - p[1]);
                assert!(off < 0.01, "{p:?}: {off}");
            }
        }
    }

    #[test]
    fn lips_that_close_cover_what_was_between_them() {
        let (bend, lips) = bend(0.09, 0.0);
        let [upper, lower, _] = lips.edges(lips.centre);
        let column: Vec<f32> = (0..300)
            .map(|step| -0.3 + 0.002 * step as f32)
            .map(|y| y + bend.at([lips.centre, y], 1e-4).moved[1])
            .collect();
        let least = bendable(lips.gap * lips.parted)[0];
        let shown = column
            .iter()
            .filter(|y| **y > upper + 0.01 && **y < lower - 0.01)
            .count();
        assert!(shown as f32 * 0.002 < least + 0.03, "{shown}");
    }
}
