//! The one-euro filter: a low-pass whose cut-off rises with the speed.
//!
//! Casiez, Roussel, Vogel, "1 EUR Filter: A Simple Speed-based Low-pass Filter for Noisy Input in
//! Interactive Systems", CHI 2012.

use std::f32::consts::TAU;

use super::{MESH_POINTS, Mesh};

/// Cut-off at rest, in Hz.
const MIN_CUTOFF: f32 = 0.3;

/// By how many Hz the cut-off rises per face size and second.
const BETA: f32 = 40.0;

/// Cut-off of the speed itself, in Hz.
const SPEED_CUTOFF: f32 = 2.0;

/// Steadies the points of one face.
pub struct OneEuro {
    measured: Box<[[f32; 3]; MESH_POINTS]>,
    points: Box<[[f32; 3]; MESH_POINTS]>,
    /// Face sizes per second.
    speeds: Box<[[f32; 3]; MESH_POINTS]>,
}

impl OneEuro {
    pub fn new(first: &Mesh) -> Self {
        Self {
            measured: first.0.clone(),
            points: first.0.clone(),
            speeds: Box::new([[0.0; 3]; MESH_POINTS]),
        }
    }

    /// The steadied points for `measured`, taken `seconds` after the last ones. `size` is the
    /// face's size in pixels: speed counts relative to it, so that the filter does the same to
    /// near and far faces.
    pub fn filter(&mut self, measured: &Mesh, seconds: f32, size: f32) -> Mesh {
        if seconds > 0.0 && size > 0.0 {
            let speed_weight = weight(SPEED_CUTOFF, seconds);
            let before = self.measured.iter().zip(self.points.iter_mut());
            let before = before.zip(self.speeds.iter_mut());
            for (((from, point), speed), to) in before.zip(measured.0.iter()) {
                for axis in 0..3 {
                    let now = (to[axis] - from[axis]) / (seconds * size);
                    speed[axis] += (now - speed[axis]) * speed_weight;
                }
                // One cut-off for the whole point: a point that moves sideways must not lag in height.
                let [x, y, z] = *speed;
                let cutoff = MIN_CUTOFF + BETA * (x * x + y * y + z * z).sqrt();
                let weight = weight(cutoff, seconds);
                for axis in 0..3 {
                    point[axis] += (to[axis] - point[axis]) * weight;
                }
            }
            self.measured.clone_from(&measured.0);
        }
        Mesh(self.points.clone())
    }
}

/// The share of the new value in a first-order low-pass.
fn weight(cutoff: f32, seconds: f32) -> f32 {
    let r = TAU * cutoff * seconds;
    r / (r + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mesh(x: f32) -> Mesh {
        Mesh(Box::new([[x, 0.0, 0.0]; MESH_POINTS]))
    }

    /// Points x at times, filtered; `scale` enlarges picture and face.
    fn run(times: &[f32], x: impl Fn(f32) -> f32, scale: f32) -> Vec<f32> {
        let mut filter = OneEuro::new(&mesh(x(times[0]) * scale));
        let steps = times.windows(2);
        steps
            .map(|t| {
                let measured = mesh(x(t[1]) * scale);
                filter.filter(&measured, t[1] - t[0], 200.0 * scale).0[0][0] / scale
            })
            .collect()
    }

    fn at_25_fps(count: u16) -> Vec<f32> {
        (0..count).map(|i| f32::from(i) / 25.0).collect()
    }

    #[test]
    fn equals_the_paper_s_algorithm() {
        // Computed with numpy in double precision for these times and places.
        let times = [0.0, 0.04, 0.08, 0.11, 0.19, 0.2, 0.24];
        let places = [100.0, 101.0, 100.5, 103.0, 110.0, 112.0, 112.2];
        let expected = [100.3314, 100.3528, 101.6456, 108.7632, 110.3157, 111.6711];
        let place = |t: f32| places[times.iter().position(|&x| x == t).unwrap()];
        for (found, expected) in run(&times, place, 1.0).iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-3,
                "{found}, expected {expected}"
            );
        }
    }

    #[test]
    fn noise_at_rest_is_damped() {
        let noise = |t: f32| 100.0 + 0.3 * (t * 12345.678).sin();
        let steady = run(&at_25_fps(200), noise, 1.0);
        let low = steady[50..].iter().copied().fold(f32::MAX, f32::min);
        let high = steady[50..].iter().copied().fold(f32::MIN, f32::max);
        assert!(high - low < 0.2, "of 0.6 px, {} are left", high - low);
    }

    #[test]
    fn a_moving_face_is_not_left_behind() {
        // A face size per second, as when somebody leans over.
        let moving = |t: f32| 200.0 * t;
        let times = at_25_fps(50);
        let found = run(&times, moving, 1.0);
        let lag = moving(times[49]) - found[48];
        assert!(lag < 1.5, "{lag} px behind at 8 px a frame");
    }

    #[test]
    fn size_does_not_matter() {
        let moving = |t: f32| 30.0 * (t * 3.0).sin();
        let (near, far) = (
            run(&at_25_fps(50), moving, 1.0),
            run(&at_25_fps(50), moving, 4.0),
        );
        for (near, far) in near.iter().zip(far) {
            assert!((near - far).abs() < 1e-3);
        }
    }
}
