//! How a head is held, read from the depth of its mesh.

use super::Mesh;

/// Outer corners of the eyes, the cheek bones beside the ears.
const ACROSS: [[usize; 2]; 2] = [[33, 263], [234, 454]];
/// From the forehead to the base of the nose: speech moves neither.
const DOWN: [usize; 2] = [10, 2];
/// Share of the turn of which the mesh's depth tells: it is flatter than heads are.
const MOST: f32 = 1.2;

/// Angles in radians, all zero for a face that looks straight out of an upright picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pose {
    /// To the right of the picture.
    pub yaw: f32,
    /// Upwards and downwards; positive is a chin that is nearer than the forehead.
    pub pitch: f32,
    /// Clockwise in the picture.
    pub roll: f32,
}

impl Pose {
    /// The pose that the mesh's eyes, nose and mouth tell.
    pub fn of(mesh: &Mesh) -> Self {
        let between = |[a, b]: [usize; 2]| -> [f32; 3] {
            std::array::from_fn(|i| mesh.0[b][i] - mesh.0[a][i])
        };
        let [eyes, ears] = ACROSS.map(between);
        let across: [f32; 3] = std::array::from_fn(|i| eyes[i] + ears[i]);
        let down = between(DOWN);
        let flat = across[0].hypot(across[1]);
        let tall = down[0].hypot(down[1]);
        Self {
            yaw: across[2].atan2(flat.max(1e-3)).clamp(-MOST, MOST),
            pitch: (-down[2]).atan2(tall.max(1e-3)).clamp(-MOST, MOST),
            roll: across[1].atan2(across[0]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::MESH_POINTS;

    /// A flat face of 100 pixels, turned about its three axes by `yaw`, `pitch` and `roll`.
    fn face(yaw: f32, pitch: f32, roll: f32) -> Mesh {
        let mut points = Box::new([[0.0f32; 3]; MESH_POINTS]);
        let flat = [
            (33, -30.0, -20.0),
            (263, 30.0, -20.0),
            (234, -50.0, 0.0),
            (454, 50.0, 0.0),
        ];
        for (i, x, y) in flat.into_iter().chain([(10, 0.0, -50.0), (2, 0.0, 20.0)]) {
            let (x, z) = (x * yaw.cos(), x * yaw.sin());
            let (y, z) = (y * pitch.cos(), z - y * pitch.sin());
            let (sin, cos) = roll.sin_cos();
            points[i] = [x * cos - y * sin, x * sin + y * cos, z];
        }
        Mesh(points)
    }

    #[test]
    fn a_turned_head_is_seen_turned() {
        for (yaw, pitch, roll) in [
            (0.0, 0.0, 0.0),
            (0.4, 0.0, 0.0),
            (0.0, -0.3, 0.0),
            (0.0, 0.0, 0.5),
        ] {
            let pose = Pose::of(&face(yaw, pitch, roll));
            for (got, want) in [(pose.yaw, yaw), (pose.pitch, pitch), (pose.roll, roll)] {
                assert!((got - want).abs() < 1e-3, "{pose:?}");
            }
        }
    }
}
