//! The two rows of teeth: the upper one belongs to the skull, the lower one to the jaw. Each is an arch seen in the
//! perspective of the head's turn.
//!
//! Lengths are in units of the distance between the eyes (63 mm in most adults); the proportions are those of
//! textbooks of dental anatomy. How teeth darken sideways was fitted to 632 portraits of the US Congress.

use super::{lips::Lips, smoothstep};
use crate::face::{Mesh, pose::Pose};

/// No turn is taken for larger: the mouth's far half is hidden then.
const MOST_YAW: f32 = 0.75;
const MOST_PITCH: f32 = 0.3;

/// Cells along a row as it is seen, and what they cover to both sides of the middle of the lips.
const CELLS: usize = 192;
const REACH: f32 = 0.56;
/// Steps along the arch from its middle.
const STEPS: usize = 64;

/// One arch. Lateral places are those of an unturned head.
#[derive(Debug)]
pub struct Arch {
    /// Half its width, and how far back it goes there.
    half: f32,
    deep: f32,
    /// How far its front is behind the lips' inner edges.
    behind: f32,
    /// Where one tooth ends and the next begins, from the middle outwards.
    ends: [f32; 6],
    /// How much shorter than the first each tooth is.
    shorter: [f32; 5],
    /// The row bends so much towards the skull, times the square of the place.
    bend: f32,
    /// Where the first teeth end below the line of the resting lips, with the jaw closed.
    pub first: f32,
}

pub const UPPER: Arch = Arch {
    half: 0.5,
    deep: 0.87,
    behind: 0.09,
    ends: [0.0, 0.135, 0.24, 0.335, 0.42, 0.5],
    shorter: [0.0, 0.010, 0.004, 0.014, 0.02],
    bend: 0.10,
    first: 0.03,
};

/// Stands behind the upper one, with narrower front teeth.
pub const LOWER: Arch = Arch {
    half: 0.47,
    deep: 0.85,
    behind: 0.13,
    ends: [0.0, 0.085, 0.175, 0.275, 0.37, 0.45],
    shorter: [0.0, 0.002, -0.004, 0.006, 0.010],
    bend: 0.07,
    first: -0.012,
};

impl Arch {
    /// Where the tooth at a lateral place ends below the line of the resting lips, about.
    pub fn end(&self, lateral: f32) -> f32 {
        self.first - self.bend * lateral * lateral
    }

    /// How far behind its front the arch is.
    fn depth(&self, lateral: f32) -> f32 {
        let t = (lateral / self.half).clamp(-1.0, 1.0);
        self.deep * (1.0 - (1.0 - t * t).max(0.0).sqrt())
    }
}

/// How the head is turned, and where the middle of its lips is seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    sin: f32,
    cos: f32,
    /// How much lower in the picture what is one unit further back is seen.
    sinks: f32,
    centre: f32,
}

impl Turn {
    pub fn of(mesh: &Mesh, lips: &Lips) -> Self {
        let pose = Pose::of(mesh);
        let (sin, cos) = pose.yaw.clamp(-MOST_YAW, MOST_YAW).sin_cos();
        Self {
            sin,
            cos,
            sinks: pose.pitch.clamp(-MOST_PITCH, MOST_PITCH).sin(),
            centre: lips.centre,
        }
    }

    /// Where a lateral place of the arch is seen.
    pub fn seen(&self, arch: &Arch, lateral: f32) -> f32 {
        self.centre + lateral * self.cos - (arch.depth(lateral) + arch.behind) * self.sin
    }
}

/// What is seen of a row at one place across the mouth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cell {
    /// The lateral place that is seen.
    pub lateral: f32,
    /// Where its tooth ends, below where the first one does.
    pub edge: f32,
    /// Of the tooth's surface, 1 in the middle.
    pub light: f32,
    /// 0 where there is no tooth.
    pub cover: f32,
}

/// A row as it is seen.
#[derive(Clone, Debug)]
pub struct Row {
    cells: Vec<Cell>,
    start: f32,
}

impl Default for Row {
    fn default() -> Self {
        Self {
            cells: vec![Cell::default(); CELLS + 1],
            start: 0.0,
        }
    }
}

impl Row {
    /// Looks at an arch in a picture whose samples have the size `pixel`. Teeth of the lower arch end upwards.
    pub fn look(&mut self, arch: &Arch, turn: &Turn, pixel: f32) {
        let step = 2.0 * REACH / CELLS as f32;
        self.start = turn.centre - REACH;
        self.cells.fill(Cell::default());
        let fine = (0.012 / pixel).min(1.0).powi(2);
        // From the middle outwards as far as the teeth are not hidden behind each other.
        for side in [-1.0f32, 1.0] {
            let mut before = (0.0, turn.seen(arch, 0.0));
            for k in 1..=STEPS {
                let lateral = side * 0.98 * arch.half * k as f32 / STEPS as f32;
                let seen = turn.seen(arch, lateral);
                let way = side * (seen - before.1);
                if way <= 0.0 {
                    break;
                }
                let (low, high) = (before.1.min(seen), before.1.max(seen));
                let first = ((low - self.start) / step).ceil().max(0.0) as usize;
                let last = (high - self.start) / step;
                for i in first..=CELLS {
                    if i as f32 > last {
                        break;
                    }
                    let at = self.start + i as f32 * step;
                    let t = side * (at - before.1) / way;
                    let lateral = before.0 + (lateral - before.0) * t;
                    // What is turned away is seen at a glancing angle.
                    let facing = (way * STEPS as f32 / (0.98 * arch.half)).min(1.0);
                    self.cells[i] = cell(arch, turn, lateral, fine, facing);
                }
                before = (lateral, seen);
            }
        }
    }

    #[inline]
    pub fn at(&self, x: f32) -> Cell {
        let at =
            ((x - self.start) * (CELLS as f32 / (2.0 * REACH))).clamp(0.0, CELLS as f32 - 0.001);
        let i = at as i32 as usize;
        let t = at - i as f32;
        let (a, b) = (&self.cells[i], &self.cells[i + 1]);
        let between = |a: f32, b: f32| a + (b - a) * t;
        Cell {
            lateral: between(a.lateral, b.lateral),
            edge: between(a.edge, b.edge),
            light: between(a.light, b.light),
            cover: between(a.cover, b.cover),
        }
    }
}

fn cell(arch: &Arch, turn: &Turn, lateral: f32, fine: f32, facing: f32) -> Cell {
    let x = lateral.abs();
    let tooth = arch.ends[1..].iter().position(|&end| x < end).unwrap_or(4);
    let half = (arch.ends[tooth + 1] - arch.ends[tooth]) / 2.0;
    let off = ((x - arch.ends[tooth] - half) / half).clamp(-1.0, 1.0);
    let square = x * x;
    // Corners are rounded, gaps are shadows that a small picture blurs away.
    let edge = arch.shorter[tooth] + 0.008 * off.powi(4);
    let groove = smoothstep(0.72, 1.0, off.abs());
    let tooth_light = (1.0 - 0.10 * off * off) * (1.0 - 0.2 * fine * groove);
    // The row goes back into the shade of the cheeks.
    let shade = (1.0 - 1.61 * square - 5.7 * square * square).max(0.35);
    Cell {
        lateral,
        edge: edge + arch.bend * square - turn.sinks * arch.depth(lateral),
        light: tooth_light * shade,
        cover: smoothstep(0.47, 0.37, x) * smoothstep(0.1, 0.45, facing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::testing::{self, AT, UNIT};

    fn row(arch: &Arch, yaw: f32) -> (Row, Turn) {
        let turn = Turn {
            sin: yaw.sin(),
            cos: yaw.cos(),
            sinks: 0.0,
            centre: 0.0,
        };
        let mut row = Row::default();
        row.look(arch, &turn, 0.005);
        (row, turn)
    }

    #[test]
    fn what_is_seen_at_a_place_is_what_the_arch_puts_there() {
        for arch in [&UPPER, &LOWER] {
            for yaw in [-0.5, -0.2, 0.0, 0.3, 0.6] {
                let (row, turn) = row(arch, yaw);
                let shown: Vec<_> = (-100..=100)
                    .map(|k| 0.005 * k as f32)
                    .map(|x| (x, row.at(x)))
                    .filter(|(_, cell)| cell.cover > 0.9)
                    .collect();
                assert!(shown.len() > 80, "{} at {yaw}", shown.len());
                for (x, cell) in &shown {
                    let miss = turn.seen(arch, cell.lateral) - x;
                    assert!(miss.abs() < 0.003, "{miss} at {x}, {yaw}");
                }
            }
        }
    }

    #[test]
    fn a_turned_head_shows_more_of_its_near_teeth_and_less_of_the_far_ones() {
        for yaw in [0.35f32, -0.35] {
            let (row, _) = row(&UPPER, yaw);
            // A face that looks to the right has its middle teeth to the left of its lips' middle.
            let middle = (-200..=200)
                .map(|k| 0.002 * k as f32)
                .filter(|x| row.at(*x).cover > 0.5)
                .min_by(|a, b| {
                    row.at(*a)
                        .lateral
                        .abs()
                        .total_cmp(&row.at(*b).lateral.abs())
                })
                .unwrap();
            assert!(
                (middle + UPPER.behind * yaw.sin()).abs() < 0.004,
                "{middle}"
            );
            let width = |side: f32| {
                let seen = (0..300).map(|k| row.at(middle + side * 0.002 * k as f32));
                seen.filter(|cell| cell.cover > 0.5).count() as f32
            };
            let [near, far] = [-yaw.signum(), yaw.signum()].map(width);
            assert!(near > 1.3 * far, "{near} near, {far} far");
        }
    }

    #[test]
    fn the_turn_is_that_of_the_mesh() {
        let frontal = testing::face(AT, UNIT);
        for angle in [-0.4f32, 0.0, 0.4] {
            let mesh = testing::turned(frontal.clone(), AT, UNIT, angle);
            let lips = Lips::of(&mesh).unwrap();
            let turn = Turn::of(&mesh, &lips);
            // The face's depth makes the angle at the eyes a little other than what it was turned by.
            assert!(turn.sin * -angle >= 0.0 && (turn.sin.abs() - angle.sin().abs()).abs() < 0.2);
        }
    }
}
