//! The inside of the mouth, painted: upper teeth that belong to the skull, lower ones that go with the jaw, the
//! tongue, the dark.
//!
//! Lengths are in units of the distance between the eyes, colours R'G'B' 0 to 255.

use super::{
    arches::{LOWER, Row, Turn, UPPER},
    complexion::{Complexion, luma},
    ease,
    light::Light,
    lips::Lips,
    mix, smoothstep,
    teeth::KeptTeeth,
    warp::{Column, Warp},
};

/// Both rows of teeth as they are seen.
#[derive(Clone, Debug, Default)]
pub struct Teeth {
    upper: Row,
    lower: Row,
}

impl Teeth {
    /// Looks at them on a head that is turned so, in a picture whose samples have the size `pixel`.
    pub fn look(&mut self, turn: &Turn, pixel: f32) {
        self.upper.look(&UPPER, turn, pixel);
        self.lower.look(&LOWER, turn, pixel);
    }
}

// Fitted to 632 portraits of the US Congress whose teeth show: their brightness is so much of the skin's and so much
// more, and their hue is so much of the skin's. Who talks shows less of them to the light than who smiles.
const TEETH_OF_SKIN: f32 = 0.8;
const TEETH_MORE: f32 = 62.0;
const TEETH_HUE: f32 = 0.43;
const TALKING: f32 = 0.93;
/// In a dark picture the same would glow.
const MOST_OF_SKIN: f32 = 1.35;
const BRIGHTEST: f32 = 225.0;
/// No tooth of a row ends so far above or below where the first one does.
const NEAR_END: f32 = 0.2;
/// From the middle of the tongue's tip to where it ends.
const TIP_HALF_WIDTH: f32 = 0.2;
/// The lower teeth stand in the shade of the upper ones.
const LOWER_LIGHT: f32 = 0.8;

/// Paints the inside for one frame.
#[derive(Clone, Copy, Debug)]
pub struct Interior<'a> {
    /// This person's own upper teeth, where an earlier frame has shown them.
    kept: Option<&'a KeptTeeth>,
    /// Of the light against that in which they were seen.
    gain: [f32; 3],
    rows: &'a Teeth,
    /// The line of the resting lips.
    middle: f32,
    /// Where the first teeth end.
    upper_end: f32,
    lower_end: f32,
    teeth: [f32; 3],
    tongue: [f32; 3],
    light: Light,
    /// Brightness of the skin, 0 to 255.
    skin: f32,
    dark: [f32; 3],
    rim: [f32; 3],
    /// Of the line in which lips meet. As red as the lips: mixed in at half strength, black would
    /// turn them grey.
    line: [f32; 3],
    opening: f32,
    tuck: f32,
    /// How far the tip of the tongue is lifted to the upper teeth.
    lifted: f32,
    centre: f32,
    squeeze: f32,
    /// The upper lip's shadow: what it leaves of the light.
    shadow: f32,
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

/// Of the line in which lips meet.
fn line_width(pixel: f32) -> f32 {
    (0.013f32).max(0.8 * pixel)
}

impl<'a> Interior<'a> {
    /// `pixel` is the size of a sample.
    pub fn new(
        complexion: &Complexion,
        kept: &'a KeptTeeth,
        rows: &'a Teeth,
        warp: &Warp,
        lips: &Lips,
        pixel: f32,
    ) -> Self {
        let skin = complexion.skin;
        let light = luma(skin).max(1.0);
        // Teeth take the light that falls on the skin, and some of its hue.
        let brightness = (TEETH_OF_SKIN * light + TEETH_MORE).min(MOST_OF_SKIN * light);
        let brightness = (TALKING * brightness).min(BRIGHTEST);
        let gain = kept.gain(skin);
        let own = kept.colour(gain);
        let teeth = std::array::from_fn(|c| {
            let usual = brightness * mix(1.0, skin[c] / light, TEETH_HUE);
            mix(usual, own[c], kept.known())
        });
        // Lips may shine or be painted; what is behind them is always red.
        let flesh = [0.70, 0.29, 0.27].map(|v| v * light);
        let tongue = [0.84, 0.39, 0.37].map(|v| v * light);
        let lip = complexion.lip;
        let red = |of: [f32; 3]| std::array::from_fn(|i| 0.3 * lip[i] + 0.7 * of[i]);
        let rim: [f32; 3] = red(flesh);
        let middle = warp.line;
        Self {
            kept: (!kept.is_empty()).then_some(kept),
            gain,
            rows,
            middle,
            upper_end: middle + UPPER.first + kept.lower(),
            lower_end: warp.lower_teeth,
            teeth,
            tongue: red(tongue),
            light: complexion.light,
            skin: light,
            dark: [skin[0] * 0.28, skin[1] * 0.14, skin[2] * 0.135],
            rim: rim.map(|v| v * 0.75),
            line: flesh.map(|v| v * 0.45),
            shadow: (0.62 - 0.8 * complexion.light.top).clamp(0.4, 0.85),
            opening: warp.opening,
            tuck: warp.tuck,
            lifted: warp.tongue,
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
        let shadow = mix(self.shadow, 1.0, smoothstep(0.0, 0.03, below_upper));
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
        let own = own * (1.0 - under);
        let painted = if own < 1.0 {
            self.paint([x, y], light, [below_upper, above_lower], t2)
        } else {
            [0.0; 3]
        };
        Some(Inside {
            coverage: total,
            own,
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
        [x, y]: [f32; 2],
        light: f32,
        [below_upper, above_lower]: [f32; 2],
        t2: f32,
    ) -> [f32; 3] {
        let from_middle = (x - self.centre) / self.squeeze;
        // The dark: deepest behind the upper teeth, a little light on the floor and less at the sides.
        let depth = below_upper / (below_upper + above_lower).max(1e-4);
        let aside = self.light.at(from_middle);
        let shade = mix(0.6, 1.25, depth) * (1.0 - 0.3 * t2) * aside;
        let mut colour = self.dark.map(|v| v * shade);
        let lit = light * aside;
        self.tongue(&mut colour, from_middle, lit, above_lower, t2);
        self.tip(&mut colour, from_middle, lit, [below_upper, above_lower]);

        let soft = (0.014f32).max(1.2 * self.pixel);
        let mut lower_cover = 0.0;
        if y > self.lower_end - NEAR_END {
            lower_cover = self.lower_tooth(&mut colour, [x, y], light, above_lower, soft);
        }
        let mut upper_cover = 0.0;
        if y < self.upper_end + NEAR_END {
            upper_cover = self.upper_tooth(&mut colour, [x, y], light, soft);
        }

        // The wet inner edge of the lower lip turns into the dark gradually.
        let rim = 1.0 - smoothstep(0.0, 0.035, above_lower);
        let bare = 1.0 - upper_cover.max(0.7 * lower_cover);
        for (c, v) in colour.iter_mut().zip(self.rim) {
            *c = mix(*c, v, 0.6 * rim * bare);
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

    /// Paints a tooth of the lower row and tells how much of it is there.
    fn lower_tooth(
        &self,
        colour: &mut [f32; 3],
        [x, y]: [f32; 2],
        light: f32,
        above_lower: f32,
        soft: f32,
    ) -> f32 {
        let lower = self.rows.lower.at(x);
        let end = self.lower_end + lower.edge;
        let cover = lower.cover * ease((y - end) / soft * 0.5 + 0.5);
        if cover > 0.0 {
            // They sink into the shade of the lip, and are clear towards their ends.
            let clear = mix(0.88, 1.0, smoothstep(0.0, 0.03, y - end));
            let sunk = mix(0.75, 1.0, smoothstep(0.0, 0.03, above_lower));
            let lit = LOWER_LIGHT * lower.light * clear * sunk * light;
            self.tooth(colour, lit * self.light.at(lower.lateral), cover);
        }
        cover
    }

    /// The same of the upper row, as it was seen where it was.
    fn upper_tooth(&self, colour: &mut [f32; 3], [x, y]: [f32; 2], light: f32, soft: f32) -> f32 {
        let upper = self.rows.upper.at(x);
        let end = self.upper_end - upper.edge;
        let mut cover = upper.cover * ease((end - y) / soft * 0.5 + 0.5);
        let kept = self.kept.map(|kept| {
            let (seen, sure, whole) = kept.at(upper.lateral, y - self.middle, self.gain);
            // Teeth that were seen to their ends are drawn as they were seen, or not at all.
            cover *= 1.0 - whole.max(sure);
            (seen, sure * (4.0 * upper.cover).min(1.0))
        });
        if cover > 0.0 {
            let clear = mix(0.86, 1.0, smoothstep(0.0, 0.03, end - y));
            let lit = upper.light * clear * light * self.light.at(upper.lateral);
            self.tooth(colour, lit, cover);
        }
        if let Some((seen, sure)) = kept {
            for (c, v) in colour.iter_mut().zip(seen) {
                *c = mix(*c, v * mix(light, 1.0, 0.35), sure);
            }
            cover = cover.max(sure);
        }
        cover
    }

    /// Lays the colour of teeth over another.
    fn tooth(&self, colour: &mut [f32; 3], lit: f32, cover: f32) {
        for (c, v) in colour.iter_mut().zip(self.teeth) {
            *c = mix(*c, v * lit, cover);
        }
    }

    /// The tongue: a mound behind the lower lip that comes into view as the mouth opens.
    fn tongue(
        &self,
        colour: &mut [f32; 3],
        from_middle: f32,
        light: f32,
        above_lower: f32,
        t2: f32,
    ) {
        let side = 1.0 - t2;
        let height = 0.75 * self.opening * smoothstep(0.05, 0.2, self.opening) * side;
        if height <= 0.004 {
            return;
        }
        let cover = smoothstep(height * 1.3, height * 0.45, above_lower) * side.sqrt();
        let lit = 0.4 + 0.6 * smoothstep(height * 1.2, 0.2 * height, above_lower);
        // A furrow along its middle, sides that turn away, and the light on what is wet.
        let up = above_lower / height;
        let furrow = 0.12 * smoothstep(0.09, 0.0, from_middle.abs()) * smoothstep(0.2, 0.6, up);
        let lit = lit * (1.0 - furrow) * (1.0 - 0.35 * t2) * light;
        let off = (up - 0.5) / 0.22;
        let wet = 0.03 * self.skin * light * side * (1.0 - off * off).max(0.0);
        for (c, v) in colour.iter_mut().zip(self.tongue) {
            *c = mix(*c, v * lit + wet, 0.9 * cover);
        }
    }

    /// The tip of the tongue behind the upper teeth: from the floor of the mouth up, narrower than the tongue, its
    /// under side in the shade.
    fn tip(
        &self,
        colour: &mut [f32; 3],
        from_middle: f32,
        light: f32,
        [below_upper, above_lower]: [f32; 2],
    ) {
        let gap = below_upper + above_lower;
        // In a narrow gap there is nothing to see of it.
        let seen = self.lifted * smoothstep(0.02, 0.07, gap);
        if seen <= 0.01 {
            return;
        }
        let aside = from_middle / TIP_HALF_WIDTH;
        let round = (1.0 - aside * aside).max(0.0);
        // As high as it is lifted, and lower towards its sides.
        let height = gap * mix(0.35, 1.1, self.lifted) * round.sqrt();
        let soft = (0.03f32).max(1.2 * self.pixel);
        let cover = seen.min(1.0) * ease((height - above_lower) / soft) * ease(2.0 * round);
        let up = above_lower / gap.max(1e-3);
        let lit = mix(0.55, 0.95, smoothstep(0.1, 0.8, up)) * light;
        for (c, v) in colour.iter_mut().zip(self.tongue) {
            *c = mix(*c, v * lit, 0.95 * cover);
        }
    }
}

#[cfg(test)]
mod tests;
