//! Whether a picture is still where the points of a face say: elements that turn or move it may
//! leave the points as they were.

use crate::face::{MESH_POINTS, Mesh};
use crate::picture::frame::Frame;

/// Every so manieth point is looked at.
const STEP: usize = 9;
/// Side of the square around a point whose brightness counts, in parts of the face's width.
const SIDE: f32 = 1.0 / 24.0;
/// Looks so much alike, as a correlation, that nothing can have been turned.
const CLEAR: f32 = 0.98;
/// Looks so little alike that the points are of another place.
const STRANGE: f32 = 0.5;
/// Differences in brightness below this are noise.
const FLAT: f32 = 3.0;

/// How bright the picture is at some of the points of a face, 0 to 255 each.
pub fn look(frame: &Frame, mesh: &Mesh) -> Vec<u8> {
    places(mesh)
        .map(|place| brightness(frame, place, side(mesh)) as u8)
        .collect()
}

/// Whether the picture has at the points what `look` saw, and not where they would be if it were
/// turned or mirrored.
pub fn is_in_place(frame: &Frame, mesh: &Mesh, seen: &[u8]) -> bool {
    if seen.len() != MESH_POINTS.div_ceil(STEP) {
        // Another version of this.
        return true;
    }
    let (w, h) = (frame.layout.width as f32, frame.layout.height as f32);
    let alike = |turn: &dyn Fn([f32; 2]) -> [f32; 2]| {
        let now = places(mesh).map(|place| brightness(frame, turn(place), side(mesh)));
        correlation(seen.iter().map(|&v| f32::from(v)), now)
    };
    // Nothing can be told of a black picture.
    let Some(found) = alike(&|place| place) else {
        return true;
    };
    if found > CLEAR {
        return true;
    }
    let turns: [&dyn Fn([f32; 2]) -> [f32; 2]; 3] =
        [&|[x, y]| [w - x, y], &|[x, y]| [x, h - y], &|[x, y]| {
            [w - x, h - y]
        }];
    let turned = turns.iter().filter_map(|turn| alike(turn));
    found > STRANGE && turned.fold(f32::MIN, f32::max) <= found
}

fn places(mesh: &Mesh) -> impl Iterator<Item = [f32; 2]> {
    mesh.0.iter().step_by(STEP).map(|[x, y, _]| [*x, *y])
}

fn side(mesh: &Mesh) -> usize {
    ((mesh.bounds().width * SIDE) as usize).clamp(1, 64)
}

/// The mean over a square.
fn brightness(frame: &Frame, [x, y]: [f32; 2], side: usize) -> f32 {
    // Of a large face not every pixel.
    let step = side.div_ceil(6);
    let start = |v: f32| (v - side as f32 / 2.0).max(0.0) as usize;
    let (left, top) = (start(x), start(y));
    let (mut sum, mut count) = (0.0, 0.0);
    for y in (top..top + side).step_by(step) {
        for x in (left..left + side).step_by(step) {
            sum += frame.luma_at(x, y);
            count += 1.0;
        }
    }
    sum / count
}

/// Pearson's, of pairs of values. None where one of them hardly changes.
fn correlation(a: impl Iterator<Item = f32>, b: impl Iterator<Item = f32>) -> Option<f32> {
    let pairs: Vec<[f32; 2]> = a.zip(b).map(|(a, b)| [a, b]).collect();
    let n = pairs.len() as f32;
    let mean = |c: usize| pairs.iter().map(|pair| pair[c]).sum::<f32>() / n;
    let means = [mean(0), mean(1)];
    let product = |c: usize, d: usize| {
        let products = pairs.iter().map(|p| (p[c] - means[c]) * (p[d] - means[d]));
        products.sum::<f32>() / n
    };
    let (a, b) = (product(0, 0), product(1, 1));
    (a > FLAT * FLAT && b > FLAT * FLAT).then(|| product(0, 1) / (a * b).sqrt())
}
