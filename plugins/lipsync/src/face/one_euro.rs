//! The one-euro filter: a low-pass whose cut-off rises with the speed.
//!
//! Casiez, Roussel, Vogel, "1 EUR Filter: A Simple Speed-based Low-pass Filter for Noisy Input in
//! Interactive Systems", CHI 2012.

use std::f32::consts::TAU;

use super::{MESH_POINTS, Mesh};

/// Cut-off at rest, in Hz.
const MIN_CUTOFF: f32 = 0.3;

/// By how many Hz the cut-off rises per face size and second.
const BETA: f32 = 60.0;

/// Cut-off of the speed itself, in Hz.
const SPEED_CUTOFF: f32 = 2.0;

/// Steadies the points of one face.
pub struct OneEuro {
    points: Box<[[f32; 3]; MESH_POINTS]>,
    /// Face sizes per second.
    speeds: Box<[[f32; 3]; MESH_POINTS]>,
}

impl OneEuro {
    pub fn new(first: &Mesh) -> Self {
        Self {
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
            let points = self.points.iter_mut().zip(self.speeds.iter_mut());
            for ((point, speed), to) in points.zip(measured.0.iter()) {
                for axis in 0..3 {
                    let now = (to[axis] - point[axis]) / (seconds * size);
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
        }
        Mesh(self.points.clone())
    }
}

/// The share of the new value in a first-order low-pass.
fn weight(cutoff: f32, seconds: f32) -> f32 {
    let r = TAU * cutoff * seconds;
    r / (r + 1.0)
}
