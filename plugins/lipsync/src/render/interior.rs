//! The inside of the mouth, painted: upper teeth that belong to the skull, the tongue, the dark.
//!
//! Lengths are in units of the distance between the eyes, colours R'G'B' 0 to 255.

use super::{
    ease,
    lips::Lips,
    mix, smoothstep,
    teeth::KeptTeeth,
    warp::{Column, Warp},
};

/// Colours of the face that the inside must fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Complexion {
    pub skin: [f32; 3],
    pub lip: [f32; 3],
}

/// Lower edge of the upper teeth, below the line of the resting lips.
const TEETH_BELOW_LINE: f32 = 0.03;

/// Where one tooth ends and the next begins, from the middle outwards.
const TEETH: [f32; 6] = [0.0, 0.135, 0.24, 0.335, 0.42, 0.5];

/// Paints the inside for one frame.
#[derive(Clone, Copy, Debug)]
pub struct Interior<'a> {
    /// This person's own teeth, where an earlier frame has shown them.
    kept: Option<&'a KeptTeeth>,
    /// Of the light against that in which they were seen.
    gain: [f32; 3],
    /// The line of the resting lips.
    middle: f32,
    teeth: [f32; 3],
    tongue: [f32; 3],
    /// Of the skin, 0 to 255.
    light: f32,
    dark: [f32; 3],
    rim: [f32; 3],
    /// Of the line in which lips meet. As red as the lips: mixed in at half strength, black would
    /// turn them grey.
    line: [f32; 3],
    opening: f32,
    tuck: f32,
    centre: f32,
    squeeze: f32,
    /// How much of the source's own inside is used where it shows one.
    own: f32,
    /// Strength of the shadow in which lips that were apart meet.
    contact: f32,
    soft_top: f32,
    soft_bottom: f32,
    /// Nothing is painted further from the inside than half of this.
    near: f32,
    /// Width of an edge that is one pixel wide.
    pixel: f32,
}

/// The inside at one point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Inside {
    /// 0 on the lips, 1 inside.
    pub coverage: f32,
    /// Share of the source's own inside, how far below this point it is taken from, and the light
    /// that falls on it.
    pub own: f32,
    pub own_from: f32,
    pub light: f32,
    pub colour: [f32; 3],
}

fn luma([r, g, b]: [f32; 3]) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}

/// Of the line in which lips meet.
fn line_width(pixel: f32) -> f32 {
    (0.013f32).max(0.8 * pixel)
}

impl<'a> Interior<'a> {
    /// `pixel` is the size of a sample.
    pub fn new(
        complexion: &Complexion,
        kept: &'a KeptTeeth,
        warp: &Warp,
        lips: &Lips,
        pixel: f32,
    ) -> Self {
        let skin = complexion.skin;
        let light = luma(skin).max(1.0);
        // Teeth take the light that falls on the skin, and most of its hue.
        let brightness = (0.98 * light + 8.0).min(205.0);
        let teeth = skin.map(|v| brightness * mix(1.0, v / light, 0.4));
        // Lips may shine or be painted; what is behind them is always red.
        let flesh = [0.70, 0.29, 0.27].map(|v| v * light);
        let lip = complexion.lip;
        let red: [f32; 3] = std::array::from_fn(|i| 0.3 * lip[i] + 0.7 * flesh[i]);
        Self {
            kept: (!kept.is_empty()).then_some(kept),
            gain: kept.gain(skin),
            middle: warp.line,
            teeth,
            tongue: red,
            light,
            dark: [skin[0] * 0.25, skin[1] * 0.115, skin[2] * 0.115],
            rim: red.map(|v| v * 0.75),
            line: flesh.map(|v| v * 0.45),
            opening: warp.opening,
            tuck: warp.tuck,
            centre: lips.centre,
            squeeze: lips.foreshortening,
            own: lips.open,
            // Subsampled colour has less of a line that is thinner than its samples: with all of it, the lips would be
            // grey as far as it reaches.
            contact: 0.45 * lips.open * line_width(1.0 / lips.frame.unit) / line_width(pixel),
            soft_top: (0.014f32).max(1.2 * pixel),
            soft_bottom: (0.022f32).max(1.2 * pixel),
            near: 5.0 * line_width(pixel),
            pixel,
        }
    }

    /// Distance from the inner lips beyond which there is nothing of the inside.
    pub fn reach(&self) -> f32 {
        0.5 * self.near
    }

    /// What lies at a point inside or near the mouth; `None` outside.
    #[inline]
    pub fn at(&self, [x, y]: [f32; 2], column: &Column) -> Option<Inside> {
        let t2 = column.across * column.across;
        if t2 >= 1.0 {
            return None;
        }
        let gap = column.lower - column.upper;
        if (2.0 * y - column.upper - column.lower).abs() > gap + self.near {
            return None;
        }
        let contact = self.contact(y, gap, t2, column);
        let line = self.line;
        // Soft edges are half seen where the lips end; were they all within, a small opening would look smaller still.
        let parted = 0.5 * smoothstep(0.0, 0.05, gap);
        let below_upper = y - column.upper + parted * self.soft_top;
        let above_lower = column.lower - y + parted * self.soft_bottom;
        if below_upper <= 0.0 || above_lower <= 0.0 {
            return (contact > 0.0).then_some(Inside {
                coverage: contact,
                own: 0.0,
                own_from: 0.0,
                light: 1.0,
                colour: line,
            });
        }
        // The corners close softly.
        let coverage = ease(below_upper / self.soft_top)
            * ease(above_lower / self.soft_bottom)
            * ease((1.0 - t2) / 0.16);
        // Little light falls through a narrow gap, and the upper lip throws a shadow.
        let narrow = mix(0.3, 1.0, smoothstep(0.0, 0.06, gap));
        let shadow = mix(0.6, 1.0, smoothstep(0.0, 0.03, below_upper));
        let light = mix(narrow * shadow, 0.9, 0.6 * self.tuck);
        // Near its corners the source's own inside is no more than shadow, and near its lower lip are
        // the lower teeth, which would have to go with the jaw.
        let own_gap = column.own_lower - column.own_upper;
        let own = self.own
            * smoothstep(0.15, 0.42, (column.own_lower - y) / own_gap.max(1e-3))
            * smoothstep(0.06, 0.12, own_gap);
        // The line in which the lips met lies under the inside until that covers it.
        let total = coverage + contact * (1.0 - coverage);
        let under = contact * (1.0 - coverage) / total.max(1e-4);
        let painted = self.paint(x - self.centre, y, light, [below_upper, above_lower], t2);
        Some(Inside {
            coverage: total,
            own: own * (1.0 - under),
            own_from: (column.own_upper + 0.026 - y).max(0.0),
            light: mix(light, 1.0, 0.35),
            colour: std::array::from_fn(|i| mix(painted[i], line[i], under)),
        })
    }

    /// Lips that the source keeps apart show no line where they are made to meet: shade one.
    fn contact(&self, y: f32, gap: f32, t2: f32, column: &Column) -> f32 {
        let strength = self.contact * (1.0 - smoothstep(0.0, 0.05, gap)) * (1.0 - t2 * t2);
        let wide = line_width(self.pixel) + 0.2 * gap;
        let off = (y - 0.5 * (column.upper + column.lower)) / wide;
        let fade = (1.0 - off * off / 6.25).max(0.0);
        strength * fade * fade * fade
    }

    fn paint(
        &self,
        x: f32,
        y: f32,
        light: f32,
        [below_upper, above_lower]: [f32; 2],
        t2: f32,
    ) -> [f32; 3] {
        // The dark: blacker behind the upper lip, a little light on the floor and none at the sides.
        let depth = below_upper / (below_upper + above_lower).max(1e-4);
        let shade = mix(0.4, 1.2, depth * depth) * (1.0 - 0.3 * t2);
        let mut colour = self.dark.map(|v| v * shade);

        // The tongue: a mound behind the lower lip that comes into view as the mouth opens.
        let side = 1.0 - t2;
        let height = 0.5 * self.opening * smoothstep(0.05, 0.2, self.opening) * side;
        if height > 0.004 {
            let cover = smoothstep(height * 1.3, height * 0.55, above_lower) * side.sqrt();
            let lit = 0.5 + 0.6 * smoothstep(height * 1.2, 0.1 * height, above_lower);
            // A furrow along its middle, sides that turn away, and the light on what is wet.
            let up = above_lower / height;
            let furrow =
                0.12 * smoothstep(0.09, 0.0, x.abs() / self.squeeze) * smoothstep(0.2, 0.6, up);
            let lit = lit * (1.0 - furrow) * (1.0 - 0.35 * t2);
            let off = (up - 0.5) / 0.22;
            let wet = 0.03 * self.light * light * side * (1.0 - off * off).max(0.0);
            for (c, v) in colour.iter_mut().zip(self.tongue) {
                *c = mix(*c, v * lit + wet, 0.9 * cover);
            }
        }

        // Where the source shows its own teeth, others would double them.
        let kept = self.kept.map(|kept| {
            let (seen, sure) = kept.at(x, y - self.middle, self.gain);
            (seen, sure * (1.0 - self.own))
        });
        let (cover, tooth_light) = self.tooth(x, y);
        // Teeth that were seen anywhere are drawn as they were seen, or not at all.
        let painted = if kept.is_some() { 0.0 } else { 1.0 };
        let cover = cover * (1.0 - self.own) * painted;
        for (c, v) in colour.iter_mut().zip(self.teeth) {
            *c = mix(*c, v * tooth_light * light, cover);
        }
        if let Some((seen, sure)) = kept {
            for (c, v) in colour.iter_mut().zip(seen) {
                *c = mix(*c, v * mix(light, 1.0, 0.35), sure);
            }
        }

        // The wet inner edge of the lower lip turns into the dark gradually.
        let rim = 1.0 - smoothstep(0.0, 0.035, above_lower);
        for (c, v) in colour.iter_mut().zip(self.rim) {
            *c = mix(*c, v, 0.6 * rim * (1.0 - cover));
        }
        // And so does the upper lip's, in the shade: black up to its edge would look like ink.
        let rim = 1.0 - smoothstep(0.0, 0.022, below_upper);
        for (c, v) in colour.iter_mut().zip(self.rim) {
            *c = mix(*c, v * 0.7, 0.7 * rim);
        }
        // Towards the corners there is only lip.
        let corner = smoothstep(0.55, 1.0, t2);
        for (c, v) in colour.iter_mut().zip(self.rim) {
            *c = mix(*c, v * 0.6, 0.7 * corner);
        }
        colour
    }

    /// Coverage and brightness of the upper teeth.
    fn tooth(&self, x: f32, y: f32) -> (f32, f32) {
        let x = x.abs() / self.squeeze;
        let mut coverage = 0.0;
        let mut light = 1.0;
        for (i, pair) in TEETH.windows(2).enumerate() {
            if x >= pair[1] {
                continue;
            }
            let half = (pair[1] - pair[0]) / 2.0;
            let off = (x - pair[0] - half) / half;
            // Edges lie on an arc; laterals are a little shorter; corners are rounded.
            let shorter = [0.0, 0.010, 0.004, 0.014, 0.02][i];
            let edge =
                self.middle + TEETH_BELOW_LINE - shorter - 0.10 * x * x - 0.008 * off.powi(4);
            let soft = (0.014f32).max(1.2 * self.pixel);
            coverage = ease((edge - y) / soft * 0.5 + 0.5);
            // Gaps are shadows that a small picture blurs away.
            let sharp = (0.012 / self.pixel).min(1.0).powi(2);
            let groove = smoothstep(0.72, 1.0, off.abs());
            light = (1.0 - 0.10 * off * off) * (1.0 - 0.2 * sharp * groove);
            // Translucent towards the edge.
            light *= mix(0.86, 1.0, smoothstep(0.0, 0.03, edge - y));
            break;
        }
        // The row of teeth turns away and into the shade.
        let turn = 1.0 - smoothstep(0.12, 0.46, x);
        (
            coverage * smoothstep(0.5, 0.36, x),
            light * (0.45 + 0.55 * turn),
        )
    }
}
