//! The inside of the mouth, painted: upper teeth that belong to the skull, the tongue, the dark.
//!
//! Lengths are in units of the distance between the eyes, colours R'G'B' 0 to 255.

use super::{ease, mix, smoothstep, warp::Column};

/// Colours of the face that the inside must fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Complexion {
    pub skin: [f32; 3],
    pub lip: [f32; 3],
}

impl Default for Complexion {
    fn default() -> Self {
        Self {
            skin: [180.0, 140.0, 120.0],
            lip: [150.0, 90.0, 85.0],
        }
    }
}

/// Where one tooth ends and the next begins, from the middle outwards.
const TEETH: [f32; 6] = [0.0, 0.135, 0.24, 0.335, 0.42, 0.5];

/// Paints the inside for one frame.
#[derive(Clone, Copy, Debug)]
pub struct Interior {
    teeth: [f32; 3],
    tongue: [f32; 3],
    dark: [f32; 3],
    rim: [f32; 3],
    opening: f32,
    centre: f32,
    squeeze: f32,
    /// How much of the source's own inside is used where it shows one.
    own: f32,
    /// Strength of the shadow in which lips that were apart meet.
    contact: f32,
    soft_top: f32,
    soft_bottom: f32,
    /// Width of an edge that is one pixel wide.
    pixel: f32,
}

/// The inside at one point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Inside {
    /// 0 on the lips, 1 inside.
    pub coverage: f32,
    /// Share of the source's own pixel.
    pub own: f32,
    pub colour: [f32; 3],
}

fn luma([r, g, b]: [f32; 3]) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}

impl Interior {
    /// `open` is how open the source's own mouth is, 0 to 1, `pixel` the size of a pixel.
    pub fn new(
        complexion: &Complexion,
        opening: f32,
        open: f32,
        centre: f32,
        squeeze: f32,
        pixel: f32,
    ) -> Self {
        let skin = complexion.skin;
        let light = luma(skin).max(1.0);
        // Teeth are a little whiter than the light on the skin, and sit in the shade of the lip.
        let brightness = (0.86 * light + 12.0).min(190.0);
        let teeth = skin.map(|v| brightness * mix(1.0, v / light, 0.3));
        let lip = complexion.lip;
        Self {
            teeth,
            tongue: [lip[0] * 0.72, lip[1] * 0.62, lip[2] * 0.62],
            dark: [skin[0] * 0.17, skin[1] * 0.085, skin[2] * 0.085],
            rim: lip.map(|v| v * 0.62),
            opening,
            centre,
            squeeze,
            own: open,
            contact: 0.5 * open,
            soft_top: (0.012f32).max(1.1 * pixel),
            soft_bottom: (0.016f32).max(1.1 * pixel),
            pixel,
        }
    }

    /// What lies at a point inside or near the mouth; `None` outside.
    #[inline]
    pub fn at(&self, [x, y]: [f32; 2], column: &Column) -> Option<Inside> {
        let t2 = column.across * column.across;
        if t2 >= 1.0 {
            return None;
        }
        let gap = column.lower - column.upper;
        let (below_upper, above_lower) = (y - column.upper, column.lower - y);
        if below_upper <= 0.0 || above_lower <= 0.0 {
            return self.contact(y, gap, t2, column);
        }
        let coverage = ease(below_upper / self.soft_top) * ease(above_lower / self.soft_bottom);
        let within = (y - column.own_upper).min(column.own_lower - y);
        let own = self.own * smoothstep(0.0, 0.02, within);
        Some(Inside {
            coverage,
            own,
            colour: self.paint(x - self.centre, y, below_upper, above_lower, t2, column),
        })
    }

    /// Lips that the source keeps apart show no line where they are made to meet: shade one.
    fn contact(&self, y: f32, gap: f32, t2: f32, column: &Column) -> Option<Inside> {
        let strength = self.contact * (1.0 - smoothstep(0.0, 0.05, gap)) * (1.0 - t2 * t2);
        let wide = (0.011f32).max(0.8 * self.pixel);
        let off = (y - 0.5 * (column.upper + column.lower)) / wide;
        if strength <= 0.0 || off.abs() > 2.5 {
            return None;
        }
        let fade = 1.0 - off * off / 6.25;
        Some(Inside {
            coverage: strength * fade * fade * fade,
            own: 0.0,
            colour: self.rim.map(|v| v * 0.35),
        })
    }

    fn paint(
        &self,
        x: f32,
        y: f32,
        below_upper: f32,
        above_lower: f32,
        t2: f32,
        column: &Column,
    ) -> [f32; 3] {
        // The dark: blacker behind the upper lip, a little light on the floor and none at the sides.
        let depth = below_upper / (below_upper + above_lower).max(1e-4);
        let shade = (0.55 + 0.6 * depth * depth) * (1.0 - 0.35 * t2);
        let mut colour = self.dark.map(|v| v * shade);

        // The tongue: a mound behind the lower lip that comes into view as the mouth opens.
        let side = 1.0 - t2;
        let height = (0.42 * self.opening * smoothstep(0.06, 0.2, self.opening)) * side;
        let tongue = smoothstep(height * 1.15 + 0.01, height * 0.6, above_lower) * side.sqrt();
        let lit = (0.45 + 0.5 * smoothstep(height * 1.1, 0.0, above_lower)) * (0.6 + 0.4 * side);
        let tongue = if height > 0.004 { tongue } else { 0.0 };
        for (c, v) in colour.iter_mut().zip(self.tongue) {
            *c = mix(*c, v * lit, tongue * 0.85);
        }

        let (cover, light) = self.tooth(x, y, column);
        let shadow = mix(0.5, 1.0, smoothstep(0.0, 0.045, below_upper));
        for (c, v) in colour.iter_mut().zip(self.teeth) {
            *c = mix(*c, v * light * shadow, cover);
        }

        // The wet inner edge of the lower lip turns into the dark gradually.
        let rim = 1.0 - smoothstep(0.0, 0.035, above_lower);
        for (c, v) in colour.iter_mut().zip(self.rim) {
            *c = mix(*c, v, 0.55 * rim * (1.0 - cover));
        }
        colour
    }

    /// Coverage and brightness of the upper teeth.
    fn tooth(&self, x: f32, y: f32, column: &Column) -> (f32, f32) {
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
            let edge = column.teeth - shorter - 0.10 * x * x - 0.008 * off.powi(4);
            let soft = (0.008f32).max(0.9 * self.pixel);
            coverage = ease((edge - y) / soft * 0.5 + 0.5);
            // Gaps are shadows that a small picture blurs away.
            let sharp = (0.012 / self.pixel.max(0.006)).min(1.0);
            let groove = smoothstep(0.8, 1.0, off.abs());
            light = (1.0 - 0.10 * off * off) * (1.0 - 0.30 * sharp * groove);
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
