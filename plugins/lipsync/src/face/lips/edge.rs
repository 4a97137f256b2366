//! Finds where the lips of an open mouth end. The mesh is off by a few pixels there: it takes some of
//! the teeth for lip, which would then go wherever the lip goes.

use super::{
    Lips,
    fit::{Fit, Offset},
};
use crate::picture::frame::Frame;

/// Places across the mouth where the edges are looked for.
const PLACES: usize = 9;
/// Distance between the samples along a line from lip to lip.
const STEP: f32 = 0.012;
/// How far beyond the mesh's edge an edge is looked for, at most.
const BEYOND: f32 = 0.06;
/// Most samples along a line.
const SAMPLES: usize = 24;
/// Least difference in colour between a lip and what is behind it.
const CONTRAST: f32 = 34.0;

/// Offsets of the upper and the lower inner lip, each `None` where it can't be seen.
pub fn find(frame: &Frame, lips: &Lips) -> [Option<Offset>; 2] {
    let middle = (lips.left + lips.right) / 2.0;
    let half = (lips.right - lips.left) / 2.0;
    let mut fits = [Fit::default(), Fit::default()];
    for place in 0..PLACES {
        let t = (place as f32 / (PLACES - 1) as f32 * 2.0 - 1.0) * 0.75;
        let x = middle + t * half;
        let [outer_upper, upper, lower, outer_lower] = lips.contours(x);
        let gap = lower - upper;
        if gap < 0.02 {
            continue;
        }
        for (fit, (outer, inner, inwards)) in fits
            .iter_mut()
            .zip([(outer_upper, upper, 1.0), (outer_lower, lower, -1.0)])
        {
            let reach = (0.6 * gap).min(BEYOND);
            let thickness = ((inner - outer) * inwards).max(0.04);
            if let Some((offset, weight)) =
                end_of_lip(frame, lips, x, inner, inwards, thickness, reach)
            {
                fit.add(t, offset, weight);
            }
        }
    }
    fits.map(|fit| fit.solve(0.3 * PLACES as f32))
}

/// Where the colour of the lip ends at x, against the mesh's edge at `inner`, and how sure it is.
/// `inwards` is the direction into the mouth.
fn end_of_lip(
    frame: &Frame,
    lips: &Lips,
    x: f32,
    inner: f32,
    inwards: f32,
    thickness: f32,
    reach: f32,
) -> Option<(f32, f32)> {
    let see = |depth: f32| frame.rgb_at(lips.frame.to_pixel([x, inner + inwards * depth]));
    // What surely is lip: the teeth may reach beyond its middle.
    let start = -0.75 * thickness;
    let [a, b] = [see(start)?, see(start + 0.15 * thickness)?];
    let lip: [f32; 3] = std::array::from_fn(|i| (a[i] + b[i]) / 2.0);
    let count = (((reach - start) / STEP) as usize).clamp(2, SAMPLES);
    let step = (reach - start) / count as f32;
    let mut differences = [0.0f32; SAMPLES + 1];
    let differences = &mut differences[..=count];
    for (k, difference) in differences.iter_mut().enumerate() {
        let colour = see(start + k as f32 * step)?;
        // Red says least: lips, teeth and gums all have it.
        let [r, g, b] = std::array::from_fn(|i| colour[i] - lip[i]);
        *difference = (0.5 * r * r + g * g + b * b).sqrt();
    }
    let most = differences.iter().copied().fold(0.0, f32::max);
    if most < CONTRAST {
        return None;
    }
    let half = 0.5 * most;
    let k = differences.iter().position(|&d| d >= half)?;
    let depth = match k {
        0 => start,
        _ => {
            let (before, after) = (differences[k - 1], differences[k]);
            start + (k as f32 - (after - half) / (after - before).max(1e-3)) * step
        }
    };
    Some((inwards * depth, most / (most + 40.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        face::lips::fit,
        picture::frame::{FrameMut, Layout},
        render::testing,
    };

    /// Red lips, and between them teeth above and the dark below; the lips end `offsets` from where
    /// the mesh has them.
    fn open_mouth(layout: &Layout, lips: &Lips, offsets: [Offset; 2]) -> [Vec<u8>; 3] {
        let mut planes = testing::picture(layout);
        for y in 0..layout.height {
            for x in 0..layout.width {
                let [u, v] = lips.frame.to_local([x as f32 + 0.5, y as f32 + 0.5]);
                if u < lips.left || u > lips.right {
                    continue;
                }
                let t = (2.0 * u - lips.left - lips.right) / (lips.right - lips.left);
                let [top, upper, lower, bottom] = lips.contours(u);
                let upper = upper + fit::at(offsets[0], t);
                let lower = lower + fit::at(offsets[1], t);
                let rgb = match v {
                    v if v < top || v > bottom => continue,
                    v if v < upper || v > lower => [170.0, 90.0, 85.0],
                    v if v < upper + 0.5 * (lower - upper) => [205.0, 200.0, 180.0],
                    _ => [50.0, 20.0, 20.0],
                };
                for (channel, value) in layout.channels.iter().zip(layout.colour.from_rgb(rgb)) {
                    let at = channel.index(x >> channel.sub_x, y >> channel.sub_y);
                    let value = value.floor();
                    channel.depth.put(&mut planes[channel.plane], at, value);
                }
            }
        }
        planes
    }

    #[test]
    fn lips_end_where_their_colour_does() {
        let mesh = testing::face_with_gap([150.0, 120.0], 90.0, 0.2);
        let mesh = testing::tilted(mesh, [150.0, 120.0], 0.2);
        let lips = Lips::of(&mesh).unwrap();
        for layout in testing::layouts(300, 260) {
            let see = |planes: &mut [Vec<u8>; 3]| {
                let [a, b, c] = planes;
                let frame = FrameMut {
                    layout,
                    planes: [a, b, c],
                };
                find(&frame.as_ref(), &lips)
            };
            for offsets in [
                [[0.0; 3]; 2],
                [[-0.03, 0.0, 0.03], [0.03, 0.0, -0.02]],
                [[0.02, 0.01, -0.02], [-0.02, 0.0, 0.02]],
            ] {
                let found = see(&mut open_mouth(&layout, &lips, offsets));
                for (found, offset) in found.into_iter().zip(offsets) {
                    let found = found.unwrap();
                    for t in [-0.6, 0.0, 0.6] {
                        let miss = fit::at(found, t) - fit::at(offset, t);
                        assert!(miss.abs() < 0.012, "{found:?} for {offset:?}");
                    }
                }
            }
            let mut plain = testing::picture(&layout).map(|plane| vec![128; plane.len()]);
            assert_eq!(see(&mut plain), [None, None]);
        }
        let outside = Lips::of(&testing::face_with_gap([-90.0, 120.0], 90.0, 0.2)).unwrap();
        let layout = testing::layouts(300, 260)[0];
        let [a, b, c] = &mut testing::picture(&layout);
        let frame = FrameMut {
            layout,
            planes: [a, b, c],
        };
        assert_eq!(find(&frame.as_ref(), &outside), [None, None]);
    }
}
