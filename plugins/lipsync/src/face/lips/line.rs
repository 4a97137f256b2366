//! Finds the dark line between touching lips, which the mesh misses by a few pixels.

use super::{
    Lips,
    fit::{Fit, Offset},
};
use crate::picture::frame::{Colour, Frame};

/// Places across the mouth where the line is looked for.
const PLACES: usize = 11;
/// How far from the mesh's line it is looked for, and in how many steps each way.
const RANGE: f32 = 0.055;
const STEPS: i32 = 8;
/// Penalty for the ends of the range against the full contrast of lip and line.
const PRIOR: f32 = 0.35;
/// How decided the choice of the darkest place is.
const SHARPNESS: f32 = 9.0;

/// Offset of the line from where the mesh has it; `None` where nothing can be seen: outside the picture, or no contrast.
pub fn find(frame: &Frame, lips: &Lips) -> Option<Offset> {
    let middle = (lips.left + lips.right) / 2.0;
    let half = (lips.right - lips.left) / 2.0;
    let mut fit = Fit::default();
    for place in 0..PLACES {
        let t = (place as f32 / (PLACES - 1) as f32 * 2.0 - 1.0) * 0.92;
        let x = middle + t * half;
        let Some((offset, weight)) = darkest(frame, lips, x) else {
            continue;
        };
        fit.add(t, offset, weight);
    }
    fit.solve(0.35 * PLACES as f32)
}

/// Offset of the darkest place at x, and how sure it is.
fn darkest(frame: &Frame, lips: &Lips, x: f32) -> Option<(f32, f32)> {
    let y = lips.touching(x);
    let mut values = [0.0f32; 2 * STEPS as usize + 1];
    for (k, value) in (-STEPS..=STEPS).zip(&mut values) {
        let at = lips
            .frame
            .to_pixel([x, y + k as f32 / STEPS as f32 * RANGE]);
        *value = luma(frame, at)?;
    }
    let low = values.iter().copied().fold(f32::MAX, f32::min);
    let high = values.iter().copied().fold(f32::MIN, f32::max);
    let contrast = high - low;
    let (mut sum, mut weights) = (0.0, 0.0);
    for (k, value) in (-STEPS..=STEPS).zip(values) {
        let off = k as f32 / STEPS as f32;
        let cost = (value - low) / (contrast + 4.0) + PRIOR * off * off;
        let weight = (-SHARPNESS * cost).exp();
        sum += weight * off * RANGE;
        weights += weight;
    }
    Some((sum / weights, contrast / (contrast + 25.0)))
}

/// Brightness at a place in pixels, between samples; `None` outside the picture.
fn luma(frame: &Frame, [x, y]: [f32; 2]) -> Option<f32> {
    let layout = &frame.layout;
    let (x, y) = (x - 0.5, y - 0.5);
    let within =
        x >= 0.0 && y >= 0.0 && x < layout.width as f32 - 1.0 && y < layout.height as f32 - 1.0;
    if !within {
        return None;
    }
    let (i, j) = (x as usize, y as usize);
    let sample = |i: usize, j: usize| -> Option<f32> {
        let value = |c: usize| {
            let channel = &layout.channels[c];
            let plane = frame.planes[channel.plane];
            channel.get(plane, i, j)
        };
        match layout.colour {
            Colour::Rgb => Some(0.299 * value(0)? + 0.587 * value(1)? + 0.114 * value(2)?),
            // In the scale of R'G'B', so that every layout finds the same line.
            Colour::Yuv { full_range, .. } => {
                Some(value(0)? * if full_range { 1.0 } else { 255.0 / 219.0 })
            }
        }
    };
    let (fx, fy) = (x - i as f32, y - j as f32);
    let top = crate::picture::smooth::mix(sample(i, j)?, sample(i + 1, j)?, fx);
    let bottom = crate::picture::smooth::mix(sample(i, j + 1)?, sample(i + 1, j + 1)?, fx);
    Some(crate::picture::smooth::mix(top, bottom, fy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{face::lips::fit, picture::frame::FrameMut, render::testing};

    /// Draws a dark curve `offset` below the line of the face's lips.
    fn face_with_line(
        layout: &crate::picture::frame::Layout,
        lips: &Lips,
        offset: Offset,
    ) -> [Vec<u8>; 3] {
        let mut planes = testing::picture(layout);
        let luma = layout.channels[0];
        for y in 0..layout.height {
            for x in 0..layout.width {
                let [u, v] = lips.frame.to_local([x as f32 + 0.5, y as f32 + 0.5]);
                let t = (2.0 * u - lips.left - lips.right) / (lips.right - lips.left);
                let line = lips.touching(u) + fit::at(offset, t);
                let dark = (-((v - line) / 0.02).powi(2)).exp();
                let to = &mut planes[0][luma.index(x, y)];
                *to = (f32::from(*to) * (1.0 - 0.7 * dark)) as u8;
            }
        }
        planes
    }

    #[test]
    fn the_line_is_found_where_it_is_and_not_where_there_is_none() {
        let mesh = testing::tilted(testing::face([150.0, 120.0], 90.0), [150.0, 120.0], 0.2);
        let lips = Lips::of(&mesh).unwrap();
        let layout = testing::layouts(300, 260)[2];
        let see = |planes: &mut [Vec<u8>; 3]| {
            let [a, b, c] = planes;
            let frame = FrameMut {
                layout,
                planes: [a, b, c],
            };
            find(&frame.as_ref(), &lips)
        };
        for offset in [[0.0; 3], [0.02, 0.0, 0.0], [-0.015, 0.01, 0.02]] {
            let found = see(&mut face_with_line(&layout, &lips, offset)).unwrap();
            for t in [-0.8f32, 0.0, 0.8] {
                let miss = fit::at(found, t) - fit::at(offset, t);
                // The prior pulls towards the mesh's line.
                assert!(miss.abs() < 0.006, "{found:?} for {offset:?}");
            }
        }
        assert_eq!(see(&mut testing::picture(&layout)), None);
        let outside = Lips::of(&testing::face([-90.0, 120.0], 90.0)).unwrap();
        let [a, b, c] = &mut testing::picture(&layout);
        let frame = FrameMut {
            layout,
            planes: [a, b, c],
        };
        assert_eq!(find(&frame.as_ref(), &outside), None);
    }
}
