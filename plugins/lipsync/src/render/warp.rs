//! The backward map: where in the source each pixel of the moved lips, jaw and cheeks comes from.
//!
//! Two fields meet in the line between the lips. Above it the displacement is that of the upper lip
//! and fades towards the nose; below it, that of the lower lip, which turns into the jaw's and fades
//! in the neck. At the corners of the mouth and beyond both are the same. All that depends on x
//! alone is tabulated once per frame; the slopes of the fades are bounded by the displacements, so
//! that the map never folds.

use super::{arches::LOWER, ease, lips::Lips, lips::UPPER_SHARE, mix};
use crate::model::{JAW_OF_OPENING, MouthParams};

const COLUMNS: usize = 320;

/// Declares the table's row and what lies between two of them.
macro_rules! row {
    ($($(#[$doc:meta])* $field:ident,)*) => {
        /// What depends on x alone.
        #[derive(Clone, Copy, Debug, Default)]
        struct Row {
            $($(#[$doc])* $field: f32,)*
        }

        impl Row {
            #[inline]
            fn between(a: &Self, b: &Self, t: f32) -> Self {
                Self {
                    $($field: a.$field + (b.$field - a.$field) * t,)*
                }
            }
        }
    };
}

row! {
    /// Target curves of the inner lips.
    upper,
    lower,
    /// Displacement of the upper lip itself, and one over the height in which it fades.
    near_upper,
    near_upper_rate,
    /// What is left of it further up, and the same.
    far_upper,
    far_upper_rate,
    near_lower,
    near_lower_rate,
    /// Displacement of the jaw.
    far_lower,
    /// y of the jaw line in the target.
    jaw,
    /// One over the height in which the jaw's displacement fades below it.
    neck_rate,
    /// Sideways displacement.
    shift,
    /// The source's inner lips.
    own_upper,
    own_lower,
    /// -1 at the left corner, 0 in the middle, 1 at the right corner.
    across,
    /// Heights of the lips that move as their edges do.
    firm_upper,
    firm_lower,
    /// How much thicker the upper lip is made, and one over its thickness.
    swollen,
    thickness_rate,
}

/// Share of the lower lip's way that the corners go.
const CORNER_SHARE: f32 = 0.2;
/// What is rolled in of lips that are fully pressed.
const PRESSED: f32 = 0.035;
/// How far the upper lip can be raised.
const RAISED: f32 = 0.06;
/// The jaw moves within this distance of the middle.
const JAW_REACH: f32 = 1.05;
/// Share of a lip's thickness that moves as its edge does. The skin around lips is what gives way: a lip that is
/// stretched or squeezed looks, to people and to landmark models, like a mouth of another opening.
const FIRM: f32 = 0.75;
/// No lip counts as thicker than this.
const THICKEST: f32 = 0.14;
/// No more than this part of a lip is rolled in.
const MOST_ROLLED: f32 = 0.3;
/// How much less of the upper lip is rolled in where the source's mouth is open.
const KEPT: f32 = 0.8;
/// No more than this part of a lip is taken for smeared.
const MOST_SMEAR: f32 = 0.3;
/// How much thinner the upper lip is, and how much more the lower one shows, for each unit of opening.
const THINNED: f32 = 0.5;

/// How far the lower teeth go for the chin's way; what part of them a lip that leaves them shows, for it clings to
/// them; and the most that it shows.
const TEETH_OF_JAW: f32 = 0.95;
const SHOWN: f32 = 0.65;
const MOST_SHOWN: f32 = 0.06;

/// How much of lower teeth that stand `above_lip` is seen.
fn shown(above_lip: f32) -> f32 {
    if above_lip > 0.0 {
        MOST_SHOWN * (1.0 - (-SHOWN * above_lip / MOST_SHOWN).exp())
    } else {
        above_lip
    }
}

/// The speaker's own resting mouth, which the source's talking must not disturb.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rest {
    /// Width of the mouth at rest over its width in this frame.
    pub widening: f32,
    /// How much lower than in this frame the line of the lips rests.
    pub drop: f32,
    /// How much thicker than in this frame the upper lip is at rest.
    pub swelling: f32,
    /// How much more of the lower lip shows in this frame than at rest.
    pub rolled_out: f32,
}

/// What the map says about one point of the target.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Target curves of the inner lips at this x.
    pub upper: f32,
    pub lower: f32,
    /// The source's inner lips at this x.
    pub own_upper: f32,
    pub own_lower: f32,
    /// -1 at the left corner, 0 in the middle, 1 at the right corner.
    pub across: f32,
}

/// Where the pixel at one point of the target comes from.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Displacement, source minus target.
    pub moved: [f32; 2],
    pub other: Option<Shared>,
    pub column: Column,
}

impl Place {
    /// Above the inner lips (true) or below them, if `y`, the place's own, is further from them than
    /// `margin`.
    pub fn side(&self, y: f32, margin: f32) -> Option<bool> {
        // Beyond the corners of the mouth the two halves of the map agree.
        let margin = if self.column.across.abs() > 1.1 {
            0.0
        } else {
            margin
        };
        if self.other.is_some() {
            None
        } else if y < self.column.upper - margin {
            Some(true)
        } else if y > self.column.lower + margin {
            Some(false)
        } else {
            None
        }
    }
}

/// What the other lip contributes.
#[derive(Clone, Copy, Debug)]
pub struct Shared {
    pub moved: [f32; 2],
    pub share: f32,
}

/// The map of one frame, in the head's frame.
pub struct Warp {
    table: Vec<Row>,
    start: f32,
    scale: f32,
    /// Box of everything that is not zero.
    pub min: [f32; 2],
    pub max: [f32; 2],
    /// Largest displacement along each axis.
    pub reach: [f32; 2],
    /// Highest and lowest place of the target's inner lips: between them the sideways displacement
    /// is whole. It may not follow the curves, for at the corners they are too steep.
    inner: [f32; 2],
    /// One over the height in which it fades above and below them.
    shift_rates: [f32; 2],
    /// The line of the lips at rest, in the middle.
    pub line: f32,
    /// Opening in the middle of the target.
    pub opening: f32,
    pub tuck: f32,
    pub tongue: f32,
    /// Upper end of the first lower teeth, in the middle.
    pub lower_teeth: f32,
    /// What lies nearer to the edge of a lip than this is taken from so far within the lip: the colour of an open mouth
    /// is smeared over its edges.
    smear: f32,
    /// No more than this may be.
    most_smear: f32,
}

impl Default for Warp {
    fn default() -> Self {
        Self {
            table: vec![Row::default(); COLUMNS + 1],
            start: 0.0,
            scale: 1.0,
            min: [0.0; 2],
            max: [0.0; 2],
            reach: [0.0; 2],
            inner: [0.0; 2],
            shift_rates: [1.0; 2],
            line: 0.0,
            opening: 0.0,
            tuck: 0.0,
            tongue: 0.0,
            lower_teeth: 0.0,
            smear: 0.0,
            most_smear: 0.0,
        }
    }
}

/// One side of the mouth: half its width in source and target.
#[derive(Clone, Copy)]
struct Side {
    source: f32,
    target: f32,
    /// Distance over which the sideways displacement fades.
    fade: f32,
}

impl Side {
    fn new(source: f32, rest: f32, change: f32) -> Self {
        // Wide and narrow saturate: the model asks for more than a face can do.
        let relative = change / rest;
        let limited = relative / (1.0 + relative.abs());
        let target = rest * (1.0 + limited);
        Self {
            source,
            target,
            fade: (3.2 * (source - target).abs()).max(0.4),
        }
    }

    /// Sideways displacement (source minus target) at distance `x` from the middle.
    fn shift(&self, x: f32) -> f32 {
        let delta = self.source - self.target;
        let t = x / self.target;
        // Slope at the corner, in units of delta per target width.
        const SLOPE: f32 = 0.5;
        if t <= 1.0 {
            return delta * t * (1.25 - 0.25 * t * t);
        }
        // Hermite from (1, SLOPE) to (0, 0).
        let u = (x - self.target) / self.fade;
        if u >= 1.0 {
            return 0.0;
        }
        let slope = SLOPE * self.fade / self.target;
        // A steep start would overshoot.
        let slope = slope.min(0.6);
        let rest = 1.0 - u;
        delta * rest * rest * (1.0 + 2.0 * u + slope * u)
    }
}

impl Warp {
    /// Tabulates the map from `lips` to `shape`.
    pub fn prepare(&mut self, lips: &Lips, shape: &MouthParams, rest: &Rest) {
        let squeeze = lips.foreshortening;
        let change = 0.5 * shape.width * squeeze;
        let sides = [lips.centre - lips.left, lips.right - lips.centre]
            .map(|half| Side::new(half, half * rest.widening, change));
        let narrow = (-shape.width / 0.4).clamp(0.0, 1.0);
        let opening = shape.opening;
        let power = (1.2 - 1.6 * opening).clamp(0.75, 1.2) - 0.1 * narrow;
        let lower_share = 1.0 - UPPER_SHARE;

        // How far the jaw must go, down being positive.
        let own_gap = lips.gap * lips.parted;
        let jaw_drop = shape.jaw - JAW_OF_OPENING * own_gap + 0.78 * rest.drop;
        let corner_drop = CORNER_SHARE * lower_share * (opening - own_gap) + rest.drop;
        let [top, _, line] = lips.edges(lips.centre);
        // Rounded lips don't smile, and lips that close over a toothy smile smile less.
        let [left, right] = [lips.left, lips.right].map(|x| lips.edges(x)[2]);
        let smile = (line - 0.5 * (left + right)).clamp(0.0, 0.2);
        let relaxed = 0.3 * lips.parted * (1.0 - 2.0 * opening).max(0.0) + 0.55 * narrow;
        let corner_drop = corner_drop + smile * relaxed.min(0.7);
        let line = line + rest.drop;

        // Lips at the target: upper and lower edge relative to the line, in the middle.
        let raise = UPPER_SHARE * opening + 0.034 * shape.tuck + RAISED * shape.raise;
        let lower = lower_share * opening - 0.024 * shape.tuck;
        let lower = lower.max(-raise);
        // Parts of the lips rolled inwards are cut off.
        let thickness = lips.thickness();
        let [press_upper, press_lower] =
            thickness.map(|thickness| (PRESSED * shape.press).min(MOST_ROLLED * thickness));
        // What is red of an open mouth's upper lip is its lower edge.
        let press_upper = press_upper * (1.0 - KEPT * lips.parted);
        self.most_smear = MOST_SMEAR * thickness[0].min(thickness[1]) * lips.parted;
        self.smear = 0.0;
        // Pressed lips are squeezed themselves.
        let firm = FIRM * (1.0 - shape.press).clamp(0.0, 1.0);
        // A lip that was stretched thin gets its thickness back as the mouth closes, and what an open mouth shows of the
        // other goes in.
        let swelling = (rest.swelling - THINNED * opening).max(0.0);
        let rolled_out = (rest.rolled_out - THINNED * opening).max(0.0);
        let rolled = press_lower + 0.035 * shape.tuck + rolled_out;
        let middle_upper = top - press_upper - (line - raise);

        let width = sides[0].target.max(sides[1].target);
        let reach = (width + sides[0].fade.max(sides[1].fade)).max(JAW_REACH) + 0.02;
        self.start = lips.centre - reach;
        self.scale = COLUMNS as f32 / (2.0 * reach);
        self.line = line;
        self.tuck = shape.tuck;
        self.tongue = shape.tongue;
        self.opening = (lower + raise).max(0.0);
        let above_lip = lower - LOWER.first - TEETH_OF_JAW * shape.jaw;
        self.lower_teeth = line + lower - shown(above_lip);

        let height_above = (line - lips.nose).max(0.12);
        let mut min_y = f32::MAX;
        let mut max_y = f32::MIN;
        let mut most = [0.0f32; 2];
        let mut inner = [f32::MAX, f32::MIN];
        for (i, row) in self.table.iter_mut().enumerate() {
            let x = self.start + i as f32 / self.scale;
            let from_centre = x - lips.centre;
            let right = from_centre >= 0.0;
            let side = sides[usize::from(right)];
            let t = from_centre.abs() / side.target;
            let outwards = if right { 1.0 } else { -1.0 };
            let shift = outwards * side.shift(from_centre.abs());

            let lens = if t < 1.0 {
                (1.0 - t * t).powf(power)
            } else {
                0.0
            };
            let towards_corner = t.min(1.0) * t.min(1.0);
            let [s_upper, s_lower, s_line] = lips.edges(x + shift);
            let at_line = s_line + mix(rest.drop, corner_drop, towards_corner);
            let upper = at_line - raise * lens;
            let lower = at_line + lower * lens;
            // Beyond the corner, what the corner does fades out.
            let beyond = 1.0 - ease((t - 1.0) * side.target / 0.4);
            let upper_move = (s_upper - press_upper * lens - upper) * beyond;
            let lower_move = (s_lower + rolled * lens - lower) * beyond;

            // Upper lip: what is left of it further up is broad and shallow.
            let u = from_centre / (1.7 * width);
            let bell = (1.0 - u * u).max(0.0).powi(2);
            let bound = 0.3 * height_above;
            let far_upper = (0.7 * middle_upper * bell).clamp(-bound, bound);
            let near_upper = upper_move - far_upper;
            let swollen = swelling * lens;
            let near_upper_height = (2.6 * (near_upper + swollen).abs()).max(0.16);
            let [outer_upper, inner_upper, inner_lower, outer_lower] = lips.contours(x + shift);
            let [firm_upper, firm_lower] = [inner_upper - outer_upper, outer_lower - inner_lower]
                .map(|thickness| firm * thickness.clamp(0.0, THICKEST) * beyond);
            let thick_upper = ((inner_upper - outer_upper).max(0.02) + swollen).min(THICKEST);
            let firm_upper = mix(
                firm_upper,
                thick_upper.max(firm_upper),
                ease(swollen / 0.02),
            );

            // Jaw: rigid and broad, and bounded so that the skin below the lip keeps its order.
            let from_chin = x - mix(lips.centre, lips.chin[0], 0.5);
            let u = from_chin / JAW_REACH;
            let bell = (1.0 - u * u).max(0.0).powi(2);
            let jaw_move = -jaw_drop * bell;
            let offset = x - lips.chin[0];
            let source_jaw = lips.chin[1] + 0.05 - lips.jaw_bend * offset * offset;
            let jaw = (source_jaw - jaw_move).max(lower + 0.3);
            let room = (jaw - lower).max(0.3);
            let far_lower = jaw_move;
            let near_lower = lower_move - far_lower;
            // The skin between lip and jaw must not fold: the lip gives way first.
            let near_lower_height = (2.6 * near_lower.abs()).clamp(0.22, room.max(0.22));
            let firm_lower = firm_lower.min((room - near_lower_height).max(0.0));
            let neck = (2.4 * jaw_move.abs()).max(0.3);

            let [own_upper, own_lower, _] = lips.edges(x);
            *row = Row {
                upper,
                lower,
                near_upper,
                near_upper_rate: 1.0 / near_upper_height,
                far_upper,
                far_upper_rate: 1.0 / height_above,
                near_lower,
                near_lower_rate: 1.0 / near_lower_height,
                far_lower,
                jaw,
                neck_rate: 1.0 / neck,
                shift,
                own_upper,
                own_lower,
                across: from_centre / side.target,
                firm_upper,
                firm_lower,
                swollen,
                thickness_rate: 1.0 / thick_upper,
            };
            if far_upper != 0.0 || near_upper != 0.0 || swollen != 0.0 {
                min_y = min_y.min(upper - height_above.max(firm_upper + near_upper_height));
            }
            if far_lower != 0.0 || near_lower != 0.0 {
                max_y = max_y.max((jaw + neck).max(lower + firm_lower + near_lower_height));
            }
            inner = [inner[0].min(upper), inner[1].max(lower)];
            most[0] = most[0].max(shift.abs());
            most[1] = most[1]
                .max(upper_move.abs())
                .max(lower_move.abs())
                .max(far_upper.abs())
                .max(far_lower.abs());
        }
        if most[0] > 0.0 {
            // Below, where the jaw's move and the lip's fade too, it takes longer: no fold.
            let above = SHIFT_ABOVE.max(4.0 * most[0]);
            let below = SHIFT_BELOW.max(8.0 * most[0]);
            self.shift_rates = [1.0 / above, 1.0 / below];
            min_y = min_y.min(inner[0] - above);
            max_y = max_y.max(inner[1] + below);
        }
        self.inner = inner;
        // The inside of the mouth looks past the edges of the lips by as much as it is open.
        most[1] += self.opening + 0.05;
        self.min = [self.start, min_y.min(line - 0.1)];
        self.max = [lips.centre + reach, max_y.max(line + 0.1 + self.opening)];
        self.reach = most;
    }

    /// Takes the colour of an open mouth for smeared over so much of its lips' edges, in units, until the next frame.
    pub fn set_smear(&mut self, smear: f32) {
        self.smear = smear.min(self.most_smear);
    }

    /// Maps a point of the target. Where the lips touch within
    /// a sample of the point, the other lip contributes, so that the line between them
    /// has no stairs. `per_pixel` is the number of samples in a unit.
    #[inline]
    pub fn place(&self, [x, y]: [f32; 2], per_pixel: f32) -> Place {
        let row = self.row(x);
        let Row { upper, lower, .. } = row;
        let column = Column {
            upper,
            lower,
            own_upper: row.own_upper,
            own_lower: row.own_lower,
            across: row.across,
        };
        let smear = self.smear * (1.0 - column.across * column.across).max(0.0);
        let off = (y - 0.5 * (upper + lower)) * per_pixel;
        let of_upper = off < 0.0;
        let moved = if of_upper {
            self.above(&row, y, smear)
        } else {
            self.below(&row, y, smear)
        };
        let touches =
            off.abs() < 0.7 && (lower - upper) * per_pixel < 2.0 && column.across.abs() < 1.0;
        let other = touches.then(|| {
            let other = if of_upper {
                self.below(&row, y, smear)
            } else {
                self.above(&row, y, smear)
            };
            Shared {
                moved: other,
                share: 0.5 - off.abs() * (1.0 / 1.4),
            }
        });
        Place {
            moved,
            other,
            column,
        }
    }

    /// The field of the upper lip. Inside the mouth the edge of the lip goes on.
    #[inline]
    fn above(&self, row: &Row, y: f32, smear: f32) -> [f32; 2] {
        let height = (row.upper - y).max(smear);
        let inside = (y - row.upper + smear).max(0.0);
        let near = row.near_upper + row.swollen * (height * row.thickness_rate).min(1.0);
        let near = near * (1.0 - ease((height - row.firm_upper) * row.near_upper_rate));
        let dy = row.far_upper * (1.0 - ease(height * row.far_upper_rate)) + near;
        let dx = row.shift * (1.0 - ease((self.inner[0] - y) * self.shift_rates[0]));
        [dx, dy - inside]
    }

    /// The field of the lower lip and the jaw.
    #[inline]
    fn below(&self, row: &Row, y: f32, smear: f32) -> [f32; 2] {
        let depth = (y - row.lower).max(smear);
        let inside = (row.lower - y + smear).max(0.0);
        let near = row.near_lower * (1.0 - ease((depth - row.firm_lower) * row.near_lower_rate));
        let dy = row.far_lower * (1.0 - ease((y - row.jaw) * row.neck_rate)) + near;
        let dx = row.shift * (1.0 - ease((y - self.inner[1]) * self.shift_rates[1]));
        [dx, dy + inside]
    }

    #[inline]
    fn row(&self, x: f32) -> Row {
        let at = ((x - self.start) * self.scale).clamp(0.0, COLUMNS as f32 - 0.001);
        // By way of i32: the direct conversion is much slower.
        let i = at as i32 as usize;
        let t = at - i as f32;
        Row::between(&self.table[i], &self.table[i + 1], t)
    }
}

/// Least distance from the lips over which the sideways displacement fades.
const SHIFT_ABOVE: f32 = 0.36;
const SHIFT_BELOW: f32 = 0.45;

#[cfg(test)]
mod tests;
