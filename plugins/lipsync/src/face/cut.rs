//! Cuts in the source: from one frame to the next another picture, perhaps of another person.

use super::{Mesh, colour, lips::HeadFrame};
use crate::picture::frame::Frame;

/// Places along and down the face at which it is looked at, and what they cover in the head's frame: the face
/// and something of what is around it.
const PLACES: usize = 8;
const LEFT: f32 = -1.5;
const TOP: f32 = -2.1;
const WIDE: f32 = 3.0;
const HIGH: f32 = 3.2;
/// Of each place the mean of four samples so far from it, in units, along and down.
const BESIDE: f32 = 0.06;

// Heads that are thrown about change by up to 17 levels, half of the places by up to 10, and go 0.8 units in a frame
// of ten clips. By brightness alone one in nine pairs of unlike portraits would pass; skin, place and size tell most
// of those.
const MOST_CHANGE: f32 = 22.0;
const MOST_OF_HALF: f32 = 15.0;
const MOST_OF_SKIN: f32 = 30.0;
/// In units, and how much larger or smaller, in a frame of a twenty-fifth of a second.
const MOST_JUMP: f32 = 1.2;
const MOST_GROWTH: f32 = 1.3;
const FRAME: f32 = 0.04;
/// After so many frames a face may be anywhere, and its light a little different.
const LONG: f32 = 8.0;
const AFTER_LONG: f32 = 1.4;

/// What is remembered of a frame to tell whether the next one goes on.
#[derive(Clone, Debug)]
pub struct Glance {
    head: HeadFrame,
    /// Of the face's skin, R'G'B'.
    skin: [f32; 3],
    /// Brightness of the face and of what is around it, 0 to 255.
    brightness: [f32; PLACES * PLACES],
}

impl Glance {
    /// Looks at the face in `head`, whose skin has the colour `skin` there.
    pub fn at(frame: &Frame, head: HeadFrame, skin: [f32; 3]) -> Self {
        let step = |k: usize| (k as f32 + 0.5) / PLACES as f32;
        let brightness = std::array::from_fn(|k| {
            let x = LEFT + WIDE * step(k % PLACES);
            let y = TOP + HIGH * step(k / PLACES);
            let mut sum = 0.0;
            for [dx, dy] in [[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]] {
                let [x, y] = head.to_pixel([x + BESIDE * dx, y + BESIDE * dy]);
                sum += frame.luma_at(x.max(0.0) as usize, y.max(0.0) as usize);
            }
            sum / 4.0
        });
        Self {
            head,
            skin,
            brightness,
        }
    }

    /// Looks at the face that `mesh` describes; `None` where that is no face.
    pub fn of(frame: &Frame, mesh: &Mesh) -> Option<Self> {
        let (head, _) = HeadFrame::of(mesh)?;
        let skin = colour::skin(frame, mesh).unwrap_or_default();
        Some(Self::at(frame, head, skin))
    }

    /// The same places in a frame in which the face was not found.
    pub fn again(&self, frame: &Frame) -> Self {
        Self::at(frame, self.head, self.skin)
    }

    /// How unlike what was seen is, in levels.
    pub fn unlikeness(&self, other: &Self) -> f32 {
        let mean = |a: &[f32], b: &[f32]| {
            let changes = a.iter().zip(b).map(|(a, b)| (a - b).abs());
            changes.sum::<f32>() / a.len() as f32
        };
        mean(&self.brightness, &other.brightness) + mean(&self.skin, &other.skin)
    }

    /// Whether this can be the same shot as `before`, which was `seconds` ago.
    pub fn follows(&self, before: &Self, seconds: f32) -> bool {
        let frames = (seconds / FRAME).max(1.0);
        let near = frames > LONG || {
            let [x, y] = before.head.to_local(self.head.to_pixel([0.0; 2]));
            let growth = self.head.unit / before.head.unit;
            x.hypot(y) < MOST_JUMP * frames
                && growth.max(1.0 / growth) < MOST_GROWTH.powf(frames.sqrt())
        };
        let allowed = if frames > LONG { AFTER_LONG } else { 1.0 };
        let mut changes: [f32; PLACES * PLACES] =
            std::array::from_fn(|k| (self.brightness[k] - before.brightness[k]).abs());
        changes.sort_unstable_by(f32::total_cmp);
        let mean = changes.iter().sum::<f32>() / changes.len() as f32;
        let skin = self.skin.iter().zip(before.skin);
        near && mean < MOST_CHANGE * allowed
            && changes[changes.len() / 2] < MOST_OF_HALF * allowed
            && skin.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < MOST_OF_SKIN * allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{picture::frame::Layout, render::testing};

    fn glance(light: f32, at: [f32; 2], unit: f32, skin: [f32; 3]) -> Glance {
        let layout = Layout::rgb(301, 247);
        let mut planes = testing::picture(&layout);
        for v in &mut planes[0] {
            *v = (f32::from(*v) * light) as u8;
        }
        let [a, b, c] = &planes;
        let frame = Frame {
            layout,
            planes: [a, b, c],
        };
        let (head, _) = HeadFrame::of(&testing::face(at, unit)).unwrap();
        Glance::at(&frame, head, skin)
    }

    #[test]
    fn another_light_place_size_or_skin_is_a_cut_and_a_moving_head_is_none() {
        const SKIN: [f32; 3] = [190.0, 140.0, 110.0];
        let before = glance(1.0, testing::AT, testing::UNIT, SKIN);
        let [x, y] = testing::AT;
        let unit = testing::UNIT;
        for (seconds, light, at, unit, skin, follows) in [
            (0.04, 1.0, [x, y], unit, SKIN, true),
            (0.04, 0.95, [x + 0.6 * unit, y], 1.05 * unit, SKIN, true),
            (0.04, 0.7, [x, y], unit, SKIN, false),
            (0.04, 1.0, [x - 1.3 * unit, y], unit, SKIN, false),
            (0.04, 1.0, [x, y], 1.4 * unit, SKIN, false),
            (0.04, 1.0, [x, y], unit, [150.0, 140.0, 110.0], false),
            // After a second a face may be elsewhere.
            (1.0, 0.95, [x - 1.3 * unit, y], unit, SKIN, true),
            (1.0, 0.6, [x, y], unit, SKIN, false),
        ] {
            let after = glance(light, at, unit, skin);
            assert_eq!(
                after.follows(&before, seconds),
                follows,
                "{seconds} {light} {at:?} {unit} {skin:?}"
            );
        }
    }
}
