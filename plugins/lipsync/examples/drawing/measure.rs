//! What is measured of drawn mouths.

use std::error::Error;

use gstlipsync::bank::{Held, Shape};
use gstlipsync::face::lips::{HeadFrame, Lips};
use gstlipsync::face::mesh::{Mesher, Roi};
use gstlipsync::picture::frame::{Frame, Layout};

use crate::clip::{Shot, view};
use crate::{BARRED, Drawn};

/// What is measured of driven mouths.
pub fn measure(
    shots: &[Shot],
    shown: &[Option<(Shape, Held)>],
    drawn: &Drawn,
    mesher: &mut Mesher,
) -> Result<serde_json::Value, Box<dyn Error>> {
    let later = |i: usize| (i + shots.len() / 2) % shots.len();
    let (mut asked, mut read, mut own) = (Vec::new(), Vec::new(), Vec::new());
    let (mut wide, mut wide_read) = (Vec::new(), Vec::new());
    let (mut change, mut of_source) = (0.0, 0.0);
    let mut rim = Rim::default();
    let (mut thumbs, mut real) = (Vec::new(), Vec::new());
    for (i, (shot, drawn)) in shots.iter().zip(drawn).enumerate() {
        let (Some(planes), Some(mesh), Some((want, _)), Some((had, _))) =
            (drawn, shot.mesh(), &shown[later(i)], &shown[i])
        else {
            continue;
        };
        let frame = view(&shot.layout, planes);
        let Some((found, _)) = mesher.find(&frame, &Roi::from_mesh(mesh), None)? else {
            continue;
        };
        let (head, _) = HeadFrame::of(mesh).ok_or("no face")?;
        let shape = Lips::of(&found)
            .map(|lips| Shape::of(&lips))
            .unwrap_or_default();
        asked.push(f64::from(want.opening));
        read.push(f64::from(shape.opening));
        own.push(f64::from(had.opening));
        wide.push(f64::from(want.width));
        wide_read.push(f64::from(shape.width));
        rim.look(&shot.frame(), &frame, &head);
        change += detail(&shot.layout, planes, mouth_box(&head));
        of_source += detail(&shot.layout, &shot.planes, mouth_box(&head));
        // Where the drawn mouth is, not the source's own.
        let (there, _) = HeadFrame::of(&found).ok_or("no face")?;
        thumbs.push(thumb(&frame, &there));
        real.push((shot.time, thumb(&shot.frame(), &head)));
    }
    let nearest = |to: &[f32], barred: Option<u64>| {
        let others = real
            .iter()
            .filter(|(time, _)| barred.is_none_or(|at| at.abs_diff(*time) >= BARRED));
        let distance = |other: &[f32]| -> f32 {
            to.iter()
                .zip(other)
                .map(|(a, b)| (a - b) * (a - b))
                .sum::<f32>()
                .sqrt()
        };
        others
            .map(|(_, other)| f64::from(distance(other)))
            .fold(f64::MAX, f64::min)
    };
    let mut drawn: Vec<f64> = thumbs.iter().map(|t| nearest(t, None)).collect();
    let mut source: Vec<f64> = real.iter().map(|(at, t)| nearest(t, Some(*at))).collect();
    drawn.sort_by(f64::total_cmp);
    source.sort_by(f64::total_cmp);
    let at = |values: &[f64], part: usize| {
        values
            .get(values.len() * part / 100)
            .copied()
            .unwrap_or_default()
    };
    let usual = at(&source, 50).max(1e-6);
    Ok(serde_json::json!({
        "obeys": correlation(&asked, &read),
        "wide": correlation(&wide, &wide_read),
        "seam": rim.drawn / f64::max(rim.source, 1e-6),
        "step": mean(&rim.steps),
        "range": slope(&asked, &read),
        "like": [at(&drawn, 50) / usual, at(&drawn, 95) / usual],
        "sharp": change / f64::max(of_source, 1e-6),
        "steady": second_difference(&read) / second_difference(&own).max(1e-6),
    }))
}

/// The rim of what is drawn, which gives way to the frame's own pixels: from and to, in units around the
/// mouth, and how much wider than tall it is; and where it ends.
const RIM: [f32; 2] = [0.72, 0.98];
const END: f32 = 0.9;
const WIDER: f32 = 1.15;
const AROUND: usize = 180;

#[derive(Default)]
struct Rim {
    /// Sums of the change of brightness across it.
    drawn: f64,
    source: f64,
    /// For each frame by how many levels its end differs.
    steps: Vec<f64>,
}

impl Rim {
    fn look(&mut self, source: &Frame, drawn: &Frame, head: &HeadFrame) {
        let (mut off, mut count) = ([0.0; 3], 0.0);
        for k in 0..AROUND {
            let (sin, cos) = (k as f32 / AROUND as f32 * std::f32::consts::TAU).sin_cos();
            let at = |r: f32| head.to_pixel([WIDER * r * cos, r * sin]);
            let step = 1.5 / head.unit;
            let mut r = RIM[0];
            while r < RIM[1] {
                let across = |frame: &Frame| {
                    let [a, b] = [at(r), at(r + step)].map(|place| frame.channel_at(0, place));
                    Some(f64::from((b? - a?).abs()))
                };
                if let (Some(a), Some(b)) = (across(source), across(drawn)) {
                    self.source += a;
                    self.drawn += b;
                }
                let values = (source.rgb_at(at(r)), drawn.rgb_at(at(r)));
                if let ((Some(a), Some(b)), END..) = (values, r) {
                    (0..3).for_each(|c| off[c] += f64::from(b[c] - a[c]));
                    count += 1.0;
                }
                r += step;
            }
        }
        let most = off.iter().map(|off| off.abs()).fold(0.0, f64::max);
        self.steps.push(most / f64::max(count, 1.0));
    }
}

pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Of the straight line through what was read at each asked value, by least squares.
fn slope(asked: &[f64], read: &[f64]) -> f64 {
    let (ma, mr) = (mean(asked), mean(read));
    let both: f64 = asked
        .iter()
        .zip(read)
        .map(|(a, r)| (a - ma) * (r - mr))
        .sum();
    both / asked
        .iter()
        .map(|a| (a - ma).powi(2))
        .sum::<f64>()
        .max(1e-9)
}

fn second_difference(values: &[f64]) -> f64 {
    let bends: Vec<f64> = values
        .windows(3)
        .map(|w| (w[0] - 2.0 * w[1] + w[2]).abs())
        .collect();
    mean(&bends)
}

/// Pearson's r.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (ma, mb) = (mean(a), mean(b));
    let (mut both, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        both += (x - ma) * (y - mb);
        aa += (x - ma).powi(2);
        bb += (y - mb).powi(2);
    }
    both / f64::sqrt(aa * bb).max(1e-9)
}

/// The box around the mouth that is compared: left, top, right, bottom.
pub fn mouth_box(head: &HeadFrame) -> [usize; 4] {
    let [x0, y0] = head.to_pixel([-0.6, -0.35]);
    let [x1, y1] = head.to_pixel([0.6, 0.55]);
    [x0.min(x1), y0.min(y1), x0.max(x1), y0.max(y1)].map(|v| v.max(0.0) as usize)
}

/// Mean change of brightness from a pixel to those around it.
fn detail(layout: &Layout, planes: &[Vec<u8>; 3], [x0, y0, x1, y1]: [usize; 4]) -> f64 {
    let frame = view(layout, planes);
    let mut sum = 0.0;
    for y in y0.max(1)..y1 {
        for x in x0.max(1)..x1 {
            let around = frame.luma_at(x - 1, y)
                + frame.luma_at(x + 1, y)
                + frame.luma_at(x, y - 1)
                + frame.luma_at(x, y + 1);
            sum += f64::from((frame.luma_at(x, y) - 0.25 * around).abs());
        }
    }
    sum
}

/// An upright mouth, 32 by 26, its mean colour taken off.
fn thumb(frame: &Frame, head: &HeadFrame) -> Vec<f32> {
    let mut rgb = Vec::with_capacity(32 * 26 * 3);
    for j in 0..26 {
        for i in 0..32 {
            let place = [
                (i as f32 + 0.5) / 32.0 - 0.5,
                (j as f32 + 0.5) / 32.0 - 0.35,
            ];
            rgb.extend(frame.rgb_at(head.to_pixel(place)).unwrap_or_default());
        }
    }
    for c in 0..3 {
        let sum: f32 = rgb.iter().skip(c).step_by(3).sum();
        let mean = sum / (32.0 * 26.0);
        rgb.iter_mut().skip(c).step_by(3).for_each(|v| *v -= mean);
    }
    rgb
}

/// Mean SSIM (7 by 7, Wang and others 2004) and PSNR of the brightness in a box.
pub fn compare(
    layout: &Layout,
    a: &[Vec<u8>; 3],
    b: &[Vec<u8>; 3],
    [x0, y0, x1, y1]: [usize; 4],
) -> (f64, f64) {
    let channel = &layout.channels[0];
    let (x1, y1) = (x1.min(layout.width - 1), y1.min(layout.height - 1));
    let at = |planes: &[Vec<u8>; 3], x, y| f64::from(planes[0][channel.index(x, y)]);
    let (mut sum, mut count, mut error, mut pixels) = (0.0, 0.0, 0.0, 0.0);
    for y in y0..y1 {
        for x in x0..x1 {
            error += (at(a, x, y) - at(b, x, y)).powi(2);
            pixels += 1.0;
            if x < x0 + 3 || y < y0 + 3 || x + 3 >= x1 || y + 3 >= y1 {
                continue;
            }
            let (mut ma, mut mb, mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0, 0.0, 0.0);
            for v in y - 3..=y + 3 {
                for u in x - 3..=x + 3 {
                    let (p, q) = (at(a, u, v), at(b, u, v));
                    ma += p;
                    mb += q;
                    aa += p * p;
                    bb += q * q;
                    ab += p * q;
                }
            }
            let n = 49.0;
            let (ma, mb) = (ma / n, mb / n);
            let (va, vb, cov) = (aa / n - ma * ma, bb / n - mb * mb, ab / n - ma * mb);
            sum += (2.0 * ma * mb + 6.5025) * (2.0 * cov + 58.5225)
                / ((ma * ma + mb * mb + 6.5025) * (va + vb + 58.5225));
            count += 1.0;
        }
    }
    let mse: f64 = error / f64::max(pixels, 1.0);
    (
        sum / f64::max(count, 1.0),
        10.0 * (255.0 * 255.0 / mse.max(0.05)).log10(),
    )
}
