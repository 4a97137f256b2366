//! The points of a face in one frame, packed.

use crate::face::{MESH_POINTS, Mesh};
use crate::picture::{Rect, frame::Frame};

/// Bytes of a packed mesh: where it is, the size of a step, and three steps for each point.
pub const MESH_LEN: usize = 16 + MESH_POINTS * 6;

/// A mesh to about a hundredth of a pixel.
pub fn pack(mesh: &Mesh, to: &mut Vec<u8>) {
    let mut origin = [0.0f32; 3];
    for (axis, origin) in origin.iter_mut().enumerate() {
        *origin = mesh.0.iter().map(|p| p[axis]).sum::<f32>() / MESH_POINTS as f32;
    }
    let far = mesh
        .0
        .iter()
        .flat_map(|p| (0..3).map(|i| (p[i] - origin[i]).abs()));
    let step = far.fold(1e-3, f32::max) / 32_000.0;
    for value in origin.into_iter().chain([step]) {
        to.extend(value.to_le_bytes());
    }
    for point in mesh.0.iter() {
        for (value, origin) in point.iter().zip(origin) {
            to.extend((((value - origin) / step).round() as i16).to_le_bytes());
        }
    }
}

/// The inverse of [`pack`]; `None` where the bytes hold no finite mesh.
pub fn unpack(bytes: &[u8]) -> Option<Mesh> {
    let (head, steps) = bytes.get(..MESH_LEN)?.split_at(16);
    let mut values = head
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let mut next = || values.next().filter(|v| v.is_finite() && v.abs() < 1e6);
    let (origin, step) = ([next()?, next()?, next()?], next()?);
    let mut points = Box::new([[0.0; 3]; MESH_POINTS]);
    for (point, bytes) in points.iter_mut().zip(steps.chunks_exact(6)) {
        for (axis, value) in point.iter_mut().enumerate() {
            let steps = i16::from_le_bytes([bytes[2 * axis], bytes[2 * axis + 1]]);
            *value = origin[axis] + f32::from(steps) * step;
        }
    }
    Some(Mesh(points))
}

/// Cells along each side of a fingerprint.
const CELLS: usize = 4;

/// What tells a frame from another of the same time stamp: the mean brightness of 4 by 4 parts of
/// the face.
pub type Fingerprint = [u8; CELLS * CELLS];

/// Samples along each side of a cell.
const SAMPLES: usize = 4;

/// The fingerprint of what `frame` shows in `bounds`.
pub fn fingerprint(frame: &Frame, bounds: Rect) -> Fingerprint {
    let place = |start: f32, length: f32, k: usize| {
        let at = start + length * (k as f32 + 0.5) / (CELLS * SAMPLES) as f32;
        at.max(0.0) as usize
    };
    std::array::from_fn(|cell| {
        let mut sum = 0.0;
        for j in 0..SAMPLES {
            for i in 0..SAMPLES {
                let x = place(bounds.x, bounds.width, cell % CELLS * SAMPLES + i);
                let y = place(bounds.y, bounds.height, cell / CELLS * SAMPLES + j);
                sum += frame.luma_at(x, y);
            }
        }
        (sum / (SAMPLES * SAMPLES) as f32).clamp(0.0, 255.0) as u8
    })
}

/// A point that bends its way by less than this from frame to frame, in units of the distance between
/// the eyes, trembles.
const TREMBLE: f32 = 0.012;
/// The corners of the eyes.
const EYES: [[usize; 2]; 2] = [[33, 133], [362, 263]];

/// The points of a frame without the noise of the mesh: what trembles goes half of the way to the
/// middle of the frames before and after it, what moves stays.
pub fn steadied(before: &Mesh, here: &Mesh, after: &Mesh) -> Mesh {
    let middle = |[a, b]: [usize; 2]| -> [f32; 2] {
        std::array::from_fn(|i| 0.5 * (here.0[a][i] + here.0[b][i]))
    };
    let [left, right] = EYES.map(middle);
    let noise = TREMBLE * (right[0] - left[0]).hypot(right[1] - left[1]).max(1.0);
    let mut mesh = here.clone();
    for ((to, a), b) in mesh.0.iter_mut().zip(before.0.iter()).zip(after.0.iter()) {
        let off: [f32; 3] = std::array::from_fn(|i| 0.5 * (a[i] + b[i]) - to[i]);
        let bend = off[0].hypot(off[1]) / noise;
        let share = 0.5 / (1.0 + bend * bend);
        to.iter_mut()
            .zip(off)
            .for_each(|(to, off)| *to += share * off);
    }
    mesh
}

/// The same frame, decoded again, maybe scaled in its range, is no further off than this on average.
const SAME: u32 = 3;

/// Whether two fingerprints are of the same frame.
pub fn same(a: &Fingerprint, b: &Fingerprint) -> bool {
    let off: u32 = a
        .iter()
        .zip(b)
        .map(|(a, b)| u32::from(a.abs_diff(*b)))
        .sum();
    off <= SAME * (CELLS * CELLS) as u32
}

/// A face in one frame of its video.
#[derive(Clone, Debug, PartialEq)]
pub struct FramePoints {
    /// In the source, in nanoseconds.
    pub time: u64,
    /// Confidence of the face, 0 to 1.
    pub score: f32,
    /// Tells the frame from another of the same time.
    pub print: Fingerprint,
    /// The points of the face.
    pub mesh: Mesh,
}

/// Bytes of a frame's points in a face file.
pub const FRAME_LEN: usize = 8 + 4 + CELLS * CELLS + MESH_LEN;

impl FramePoints {
    /// Appends the frame's entry to `to`.
    pub fn pack(&self, to: &mut Vec<u8>) {
        to.extend(self.time.to_le_bytes());
        to.extend(self.score.to_le_bytes());
        to.extend(self.print);
        pack(&self.mesh, to);
    }

    /// The inverse of [`Self::pack`]; `None` where the bytes hold no finite mesh.
    pub fn unpack(bytes: &[u8]) -> Option<Self> {
        let score = f32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?);
        Some(Self {
            time: time_of(bytes)?,
            score: if score.is_finite() {
                score.clamp(0.0, 1.0)
            } else {
                0.0
            },
            print: bytes.get(12..12 + CELLS * CELLS)?.try_into().ok()?,
            mesh: unpack(bytes.get(12 + CELLS * CELLS..)?)?,
        })
    }
}

/// The time of a packed frame.
pub fn time_of(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::testing;

    #[test]
    fn points_survive_packing_to_a_fiftieth_of_a_pixel() {
        let frame = FramePoints {
            time: 40_000_000,
            score: 0.9,
            print: [7; 16],
            mesh: testing::face([300.0, 200.0], 90.0),
        };
        let mut bytes = Vec::new();
        frame.pack(&mut bytes);
        assert_eq!(bytes.len(), FRAME_LEN);
        let back = FramePoints::unpack(&bytes).unwrap();
        assert_eq!(
            (back.time, back.score, back.print),
            (frame.time, frame.score, frame.print)
        );
        for (a, b) in frame.mesh.0.iter().zip(back.mesh.0.iter()) {
            assert!(
                a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.02),
                "{a:?} {b:?}"
            );
        }
    }

    #[test]
    fn bytes_that_hold_no_mesh_are_none() {
        let mut bytes = Vec::new();
        pack(&testing::face([300.0, 200.0], 90.0), &mut bytes);
        assert!(unpack(&bytes[..MESH_LEN - 1]).is_none());
        bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(unpack(&bytes).is_none());
    }

    #[test]
    fn what_trembles_is_steadied_and_what_moves_is_not() {
        let at = |dx: f32, lip: f32| {
            let mut mesh = testing::face([300.0 + dx, 200.0], 100.0);
            mesh.0[14][1] += lip;
            mesh
        };
        let lip = |mesh: &Mesh| mesh.0[14][1];
        // A pixel to and fro, and a lip that opens fast for one frame.
        let trembles = steadied(&at(0.0, 0.0), &at(1.0, 0.0), &at(0.0, 0.0));
        assert!(trembles.0[4][0] - at(0.0, 0.0).0[4][0] < 0.75);
        let opens = steadied(&at(0.0, 0.0), &at(0.0, 12.0), &at(0.0, 0.0));
        assert!(lip(&opens) - lip(&at(0.0, 0.0)) > 11.8);
        // On its way at an even pace it has no noise.
        let moves = steadied(&at(0.0, 0.0), &at(5.0, 0.0), &at(10.0, 0.0));
        assert!((moves.0[4][0] - at(5.0, 0.0).0[4][0]).abs() < 0.01);
    }

    #[test]
    fn a_fingerprint_tells_frames_apart() {
        let mut print: Fingerprint = [100; 16];
        let before = print;
        print[3] += 20;
        assert!(same(&before, &print), "noise");
        print.iter_mut().for_each(|v| *v += 5);
        assert!(!same(&before, &print));
    }
}
