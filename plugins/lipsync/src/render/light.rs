//! From where light falls on a face, read from the brightness of its skin.

use super::frame::Frame;
use crate::face::Mesh;

/// Cheeks to the left and to the right in the picture, and skin of the chin.
const LEFT: [usize; 3] = [50, 205, 117];
const RIGHT: [usize; 3] = [280, 425, 346];
const CHIN: [usize; 3] = [199, 200, 175];
/// Around each point so far, in pixels, it is looked at.
const BESIDE: i32 = 2;

/// How teeth follow it: the logarithm of how much brighter they are, for each unit of distance from the middle. Fitted
/// to 632 portraits of the US Congress (r = 0.82).
const OF_PLACE: f32 = 3.9;
const LEAST: f32 = 0.6;
const MOST: f32 = 1.45;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Light {
    /// How much brighter the right cheek is than the left one, against both: -1 to 1.
    pub side: f32,
    /// The same of the cheeks against the chin.
    pub top: f32,
}

impl Light {
    /// `None` where the face is outside the picture, or black.
    pub fn of(frame: &Frame, mesh: &Mesh) -> Option<Self> {
        let [left, right, chin] =
            [&LEFT, &RIGHT, &CHIN].map(|points| brightness(frame, mesh, points));
        let (left, right, chin) = (left?, right?, chin?);
        let cheeks = 0.5 * (left + right);
        let against = |a: f32, b: f32| (a - b) / (a + b).max(1.0);
        (cheeks >= 1.0).then(|| Self {
            side: against(right, left).clamp(-0.4, 0.4),
            top: against(cheeks, chin).clamp(-0.4, 0.4),
        })
    }

    /// How much brighter than in the middle it is at a lateral place.
    #[inline]
    pub fn at(&self, lateral: f32) -> f32 {
        (1.0 + OF_PLACE * self.side * lateral).clamp(LEAST, MOST)
    }
}

fn brightness(frame: &Frame, mesh: &Mesh, points: &[usize; 3]) -> Option<f32> {
    let (mut sum, mut count) = (0.0, 0.0);
    for &i in points {
        let [x, y, _] = mesh.0[i];
        let inside = |v: f32, size: usize| v >= 0.0 && v < size as f32;
        if !(inside(x, frame.layout.width) && inside(y, frame.layout.height)) {
            continue;
        }
        for j in -BESIDE..=BESIDE {
            for i in -BESIDE..=BESIDE {
                let at = |v: f32, by: i32| (v as i32 + by).max(0) as usize;
                sum += frame.luma_at(at(x, i), at(y, j));
                count += 1.0;
            }
        }
    }
    (count > 0.0).then(|| sum / count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{
        frame::Layout,
        testing::{self, AT, UNIT},
    };

    fn light(shade: impl Fn(f32, f32) -> f32) -> Light {
        let layout = Layout::rgb(301, 247);
        let mut planes = testing::picture(&layout);
        for y in 0..247 {
            for x in 0..301 {
                let light = shade((x as f32 - AT[0]) / UNIT, (y as f32 - AT[1]) / UNIT);
                for c in &layout.channels {
                    planes[0][c.index(x, y)] = (150.0 * light) as u8;
                }
            }
        }
        let [a, b, c] = &planes;
        let frame = Frame {
            layout,
            planes: [a, b, c],
        };
        Light::of(&frame, &testing::face(AT, UNIT)).unwrap()
    }

    #[test]
    fn light_from_a_side_and_from_above_is_told() {
        assert_eq!(light(|_, _| 1.0), Light::default());
        let right = light(|x, _| 1.0 + 0.3 * x);
        assert!((0.1..0.25).contains(&right.side), "{right:?}");
        assert!(right.at(0.3) > 1.1 && right.at(-0.3) < 0.9);
        let left = light(|x, _| 1.0 - 0.3 * x);
        assert!((left.side + right.side).abs() < 0.01, "{left:?}");
        let top = light(|_, y| 1.0 - 0.3 * y);
        assert!(top.top > 0.1 && top.side.abs() < 0.01, "{top:?}");
    }
}
