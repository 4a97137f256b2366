//! Pastes a generated face into the frame through a feathered mask of the lower face.

use std::cell::Cell;

use super::{
    Region, ease,
    frame::{Channel, FrameMut},
    patch::Patch,
};
use crate::{
    face::Mesh,
    picture::{
        Rect,
        crop::Order,
        outline,
        sample::{Sample, by_depth},
    },
};

/// A generator's picture of one face: three planes of `size` by `size` values from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub struct Generated<'a> {
    pub planes: &'a [f32],
    pub size: usize,
    pub order: Order,
}

/// From ear to ear along the jaw, then back over the cheeks and under the nose.
const LOWER_FACE: [usize; 20] = [
    132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 425, 2, 205,
];
const MOUTH: [usize; 2] = [13, 14];

/// Samples of the mask along each side of the box; it is smooth, so more would show nothing.
const MASK: usize = 64;
/// Width of the feather as a share of the box.
const FEATHER: f32 = 0.09;
/// The mask reaches this far past the jaw, for the generator may lower it.
const PAST_JAW: f32 = 1.06;

/// Blends generated faces into frames. Keeps its scratch memory.
#[derive(Default)]
pub struct CropBlender {
    mask: Patch,
    picture: Patch,
}

impl CropBlender {
    pub fn new() -> Self {
        Self::default()
    }

    /// Blends `generated` into the box `bounds` of the frame from which the generator's crop was
    /// taken, and says which pixels may have changed. With a mesh the mask follows the jaw and stays
    /// below the nose; without one it is an ellipse in the lower half of the box. A box that is empty
    /// or outside the picture, or a generated picture of the wrong size, changes nothing.
    pub fn blend(
        &mut self,
        frame: &mut FrameMut,
        generated: &Generated,
        bounds: Rect,
        mesh: Option<&Mesh>,
    ) -> Region {
        let Rect {
            x,
            y,
            width,
            height,
        } = bounds;
        let sound = [x, y, width, height].iter().all(|v| v.abs() < 1e6);
        let whole = generated.planes.len() == 3 * generated.size * generated.size;
        if !(sound && width >= 2.0 && height >= 2.0 && whole && generated.size >= 2) {
            return Region::EMPTY;
        }
        let layout = frame.layout;
        let polygon = mesh.map(|mesh| lower_face(mesh, bounds));
        // Rows of the mask that are not all zero: the face above them is left alone.
        let rows = Cell::new((MASK, 0));
        self.mask.fill(MASK, |i, j| {
            let at = |k: usize| (k as f32 + 0.5) / MASK as f32;
            let value = mask(polygon.as_ref(), at(i), at(j));
            if value > 0.0 {
                let (first, last) = rows.get();
                rows.set((first.min(j), last.max(j)));
            }
            value
        });
        let (first, last) = rows.get();
        if first > last {
            return Region::EMPTY;
        }
        // The mask is zero on the border of the box, so that nothing outside it is needed; between
        // its samples it fades.
        let row = |j: f32| y + (j / MASK as f32).clamp(0.0, 1.0) * height;
        let region = Region::covering(
            [x, row(first as f32 - 0.5)],
            [x + width - 1.0, row(last as f32 + 1.5) - 1.0],
            layout.width,
            layout.height,
        );
        if region.is_empty() {
            return region;
        }
        for (c, channel) in layout.channels.iter().enumerate() {
            let area = generated.size * generated.size;
            self.picture.fill(generated.size, |i, j| {
                let at = j * generated.size + i;
                let [a, b, c2] = [0, 1, 2].map(|k| {
                    let v = generated.planes[k * area + at] * 255.0;
                    if v.is_finite() { v } else { 0.0 }
                });
                let rgb = match generated.order {
                    Order::Rgb => [a, b, c2],
                    Order::Bgr => [c2, b, a],
                };
                layout.colour.from_rgb(rgb.map(|v| v.clamp(0.0, 255.0)))[c]
            });
            let (w, h) = (channel.width(layout.width), channel.height(layout.height));
            let target = region.subsampled(channel.sub_x, channel.sub_y, w, h);
            let plane = &mut *frame.planes[channel.plane];
            let size = generated.size;
            by_depth!(channel.depth, S => {
                self.blend_channel::<S>(plane, channel, target, bounds, size);
            });
        }
        region
    }

    fn blend_channel<S: Sample>(
        &self,
        plane: &mut [u8],
        channel: &Channel,
        target: Region,
        bounds: Rect,
        size: usize,
    ) {
        let size = size as f32;
        let axis = |start: f32, length: f32, sub: u8| {
            let step = f32::from(1u8 << sub) / length;
            (-start / length, step)
        };
        let (u0, du) = axis(bounds.x, bounds.width, channel.sub_x);
        let (v0, dv) = axis(bounds.y, bounds.height, channel.sub_y);
        // A generated picture finer than the frame is averaged over each sample.
        let taps = |step: f32| ((step * size).ceil() as usize).clamp(1, 16);
        let (nx, ny) = (taps(du), taps(dv));
        for row in target.y..target.y + target.height {
            let v = v0 + (row as f32 + 0.5) * dv;
            let start = channel.index(target.x, row);
            let samples = S::cells(&mut plane[start..], channel.step);
            for (col, to) in (target.x..target.x + target.width).zip(samples) {
                let u = u0 + (col as f32 + 0.5) * du;
                let alpha = self
                    .mask
                    .linear(u * MASK as f32 - 0.5, v * MASK as f32 - 0.5)
                    * border(u)
                    * border(v);
                if alpha <= 0.0 {
                    continue;
                }
                let value = if nx == 1 && ny == 1 {
                    self.picture.cubic(u * size - 0.5, v * size - 0.5)
                } else {
                    self.average(u, v, du, dv, nx, ny, size)
                };
                let own = S::get(&to);
                S::set(to, own + (value - own) * alpha);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a footprint has that many sides")]
    fn average(&self, u: f32, v: f32, du: f32, dv: f32, nx: usize, ny: usize, size: f32) -> f32 {
        let spread = |k: usize, n: usize| (k as f32 + 0.5) / n as f32 - 0.5;
        let mut sum = 0.0;
        for j in 0..ny {
            for i in 0..nx {
                let (u, v) = (u + spread(i, nx) * du, v + spread(j, ny) * dv);
                sum += self.picture.linear(u * size - 0.5, v * size - 0.5);
            }
        }
        sum / (nx * ny) as f32
    }
}

/// Zero on the border of the box and outside, one a little way in.
fn border(u: f32) -> f32 {
    ease(u.min(1.0 - u) / 0.1)
}

/// The mask at a position in the box, both from 0 to 1.
fn mask(polygon: Option<&[[f32; 2]; LOWER_FACE.len()]>, u: f32, v: f32) -> f32 {
    match polygon {
        Some(polygon) => ease(outline::inside(polygon, [u, v]) / FEATHER + 0.35),
        None => {
            let (x, y) = ((u - 0.5) / 0.40, (v - 0.72) / 0.27);
            ease((1.0 - x.hypot(y)) / 0.4)
        }
    }
}

/// Outline of the lower face in the box's coordinates.
fn lower_face(mesh: &Mesh, bounds: Rect) -> [[f32; 2]; LOWER_FACE.len()] {
    let place = |i: usize| {
        let [x, y, _] = mesh.0[i];
        [
            (x - bounds.x) / bounds.width,
            (y - bounds.y) / bounds.height,
        ]
    };
    let [a, b] = MOUTH.map(place);
    let mouth = [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
    std::array::from_fn(|k| {
        let p = place(LOWER_FACE[k]);
        let scale = if p[1] > mouth[1] { PAST_JAW } else { 1.0 };
        std::array::from_fn(|i| mouth[i] + (p[i] - mouth[i]) * scale)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{frame::Layout, testing};

    const SIZE: usize = 96;
    const BOUNDS: Rect = Rect {
        x: 60.0,
        y: 50.0,
        width: 150.0,
        height: 180.0,
    };

    fn flat(rgb: [f32; 3], size: usize) -> Vec<f32> {
        rgb.iter().flat_map(|&v| vec![v; size * size]).collect()
    }

    fn paste(
        layout: Layout,
        planes: &mut [Vec<u8>; 3],
        generated: &Generated,
        bounds: Rect,
        mesh: Option<&Mesh>,
    ) -> Region {
        let [a, b, c] = planes;
        let mut frame = FrameMut {
            layout,
            planes: [a, b, c],
        };
        CropBlender::new().blend(&mut frame, generated, bounds, mesh)
    }

    #[test]
    fn the_middle_is_the_generators_and_the_border_of_the_box_is_untouched() {
        let red = flat([0.2, 0.4, 0.8], SIZE);
        let generated = Generated {
            planes: &red,
            size: SIZE,
            order: Order::Bgr,
        };
        let mesh = testing::face([135.0, 150.0], 60.0);
        for (mesh, middle) in [(None, (134, 182)), (Some(&mesh), (134, 154))] {
            for layout in testing::layouts(280, 260) {
                let before = testing::picture(&layout);
                let mut after = before.clone();
                let region = paste(layout, &mut after, &generated, BOUNDS, mesh);
                testing::assert_same_outside(&layout, &before, &after, region);
                let rgb = testing::rgb_at(&layout, &after, middle.0, middle.1);
                for (got, want) in rgb.into_iter().zip([204.0, 102.0, 51.0]) {
                    assert!((got - want).abs() < 3.0, "{layout:?}: {rgb:?}");
                }
                // The upper half of the face and the rim of the box belong to the source.
                for (x, y) in [(134, 100), (61, 200), (208, 200), (134, 228)] {
                    let [old, new] = [&before, &after].map(|p| testing::rgb_at(&layout, p, x, y));
                    for (a, b) in old.into_iter().zip(new) {
                        assert!((a - b).abs() < 4.0, "({x}, {y}): {old:?} became {new:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_crop_pasted_back_unchanged_changes_nothing_to_speak_of() {
        // A smooth picture survives the resampling from box to crop and back.
        let layout = Layout::rgb(280, 260);
        let smooth = |x: f32, y: f32, c: usize| {
            128.0 + 60.0 * ((x * 0.031 + c as f32).sin() + (y * 0.027 - c as f32).cos()) / 2.0
        };
        let mut planes = [vec![], vec![], vec![]];
        for y in 0..260 {
            for x in 0..280 {
                for c in 0..3 {
                    planes[0].push(smooth(x as f32, y as f32, c) as u8);
                }
            }
        }
        let before = planes.clone();
        for size in [48, 96, 256, 512] {
            let mut crop = Vec::new();
            for c in 0..3 {
                for j in 0..size {
                    for i in 0..size {
                        let x = BOUNDS.x + (i as f32 + 0.5) / size as f32 * BOUNDS.width - 0.5;
                        let y = BOUNDS.y + (j as f32 + 0.5) / size as f32 * BOUNDS.height - 0.5;
                        crop.push(smooth(x, y, c) / 255.0);
                    }
                }
            }
            let generated = Generated {
                planes: &crop,
                size,
                order: Order::Rgb,
            };
            let mut after = before.clone();
            let region = paste(layout, &mut after, &generated, BOUNDS, None);
            assert!(!region.is_empty());
            for (a, b) in before[0].iter().zip(&after[0]) {
                assert!(a.abs_diff(*b) <= 2, "crop size {size}: {a} became {b}");
            }
        }
    }

    #[test]
    fn boxes_and_pictures_that_make_no_sense_change_nothing_and_do_not_panic() {
        let planes = flat([1.0, f32::NAN, 0.0], SIZE);
        let good = Generated {
            planes: &planes,
            size: SIZE,
            order: Order::Rgb,
        };
        let short = Generated {
            planes: &planes[1..],
            ..good
        };
        let at = |x, y, width, height| Rect {
            x,
            y,
            width,
            height,
        };
        let layout = Layout::rgb(64, 48);
        let before = testing::picture(&layout);
        for (generated, bounds) in [
            (&short, at(0.0, 0.0, 40.0, 40.0)),
            (&good, at(f32::NAN, 0.0, 40.0, 40.0)),
            (&good, at(0.0, 0.0, f32::INFINITY, 40.0)),
            (&good, at(-500.0, 0.0, 40.0, 40.0)),
            (&good, at(10.0, 10.0, -3.0, 0.0)),
        ] {
            let mut after = before.clone();
            let region = paste(layout, &mut after, generated, bounds, None);
            assert!(region.is_empty() && before == after, "{bounds:?}");
        }
        // Partly outside is fine.
        let mut after = before.clone();
        let region = paste(
            layout,
            &mut after,
            &good,
            at(-20.0, -20.0, 60.0, 60.0),
            None,
        );
        assert!(!region.is_empty() && before != after);
    }

    #[test]
    fn a_box_narrower_than_the_jaw_shows_no_edge() {
        let white = flat([1.0, 1.0, 1.0], SIZE);
        let generated = Generated {
            planes: &white,
            size: SIZE,
            order: Order::Rgb,
        };
        let mesh = testing::face([135.0, 150.0], 60.0);
        let bounds = Rect {
            x: 110.0,
            y: 120.0,
            width: 50.0,
            height: 50.0,
        };
        let layout = Layout::rgb(280, 260);
        let before = testing::picture(&layout);
        let mut after = before.clone();
        paste(layout, &mut after, &generated, bounds, Some(&mesh));
        assert!(testing::rgb_at(&layout, &after, 135, 150)[2] > 250.0);
        for (x, y) in [(110, 150), (159, 150), (135, 169)] {
            let [old, new] = [&before, &after].map(|p| testing::rgb_at(&layout, p, x, y)[2]);
            assert!((new - old).abs() < 8.0, "({x}, {y}): {old} became {new}");
        }
    }

    #[test]
    fn a_picture_finer_than_the_frame_is_averaged() {
        let fine = 512;
        let board: Vec<f32> = (0..3 * fine * fine)
            .map(|i| ((i + i / fine) % 2) as f32)
            .collect();
        let generated = Generated {
            planes: &board,
            size: fine,
            order: Order::Rgb,
        };
        let bounds = Rect {
            width: 61.0,
            height: 67.0,
            ..BOUNDS
        };
        let layout = Layout::rgb(280, 260);
        let mut after = testing::picture(&layout);
        paste(layout, &mut after, &generated, bounds, None);
        for (x, y) in [(90, 97), (88, 99), (94, 101)] {
            let [grey, ..] = testing::rgb_at(&layout, &after, x, y);
            assert!((grey - 127.5).abs() < 12.0, "({x}, {y}): {grey}");
        }
    }
}
