//! The MediaPipe face mesh: 468 points of a face in a square crop.
//!
//! Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs" (2019).

use std::path::Path;

use super::detector::Detection;
use super::{Error, MESH_POINTS, Mesh, load};
use crate::picture::crop::{Affine, Order, Tensor, sample};
use crate::picture::frame::Frame;
use crate::runtime::{Interrupt, Options, Session};

/// The network's file among the models that set-up fetches.
pub const FILE: &str = "face_landmark.onnx";

/// The crop's side in pixels.
const CROP: usize = 192;

/// How much larger than the face the crop is.
const MARGIN: f32 = 1.5;

/// Changes of the square that are ignored, as a share of its side and in radians.
const STILL: f32 = 0.01;

/// Outer corners of the eyes, left and right in the picture.
const EYE_CORNERS: [usize; 2] = [33, 263];

/// The square that the network looks at, in frame pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roi {
    /// Its middle, in frame pixels.
    pub centre: [f32; 2],
    /// Length of a side, in frame pixels.
    pub side: f32,
    /// How far the face is turned in the picture plane, in radians.
    pub angle: f32,
}

impl Roi {
    /// Around a detected face, its eyes level.
    pub fn from_detection(detection: &Detection) -> Self {
        let [left, right, ..] = detection.landmarks;
        Self {
            centre: detection.bounds.centre(),
            side: detection.bounds.size() * MARGIN,
            angle: (right[1] - left[1]).atan2(right[0] - left[0]),
        }
    }

    /// Around the face where its mesh was found, its eyes level.
    pub fn from_mesh(mesh: &Mesh) -> Self {
        let [left, right] = EYE_CORNERS.map(|i| mesh.0[i]);
        let bounds = mesh.bounds();
        Self {
            centre: bounds.centre(),
            side: bounds.size() * MARGIN,
            angle: (right[1] - left[1]).atan2(right[0] - left[0]),
        }
    }

    /// The square for the frame after the one where `mesh` was found. Small changes are ignored:
    /// the network's answer depends a little on the square, and would else feed its own noise.
    pub fn follow(&self, mesh: &Mesh) -> Self {
        let next = Self::from_mesh(mesh);
        let [dx, dy] = [0, 1].map(|axis| next.centre[axis] - self.centre[axis]);
        let still = dx.hypot(dy) < self.side * STILL
            && (next.side / self.side - 1.0).abs() < STILL
            && (next.angle - self.angle).abs() < STILL;
        if still { *self } else { next }
    }

    fn is_usable(&self) -> bool {
        let [x, y] = self.centre;
        x.is_finite()
            && y.is_finite()
            && self.angle.is_finite()
            && self.side.is_finite()
            && self.side >= 1.0
    }
}

/// A loaded face mesh network.
pub struct Mesher {
    session: Session,
    /// Where the points and the presence stand among the outputs.
    outputs: [usize; 2],
    tensor: Vec<f32>,
}

impl Mesher {
    /// Loads the model at `path`.
    pub fn load(path: &Path, options: Options) -> Result<Self, Error> {
        let session = load(path, options)?;
        let wrong = |reason: String| Error::WrongModel {
            path: path.into(),
            wanted: "face mesh of 468 points",
            reason,
        };
        match session.inputs.as_slice() {
            [input] if input.shape[..] == [1, 3, 192, 192] && input.is_float() => {}
            inputs => {
                return Err(wrong(format!(
                    "its inputs are {:?} instead of [1, 3, 192, 192]",
                    inputs.iter().map(|i| &i.shape).collect::<Vec<_>>()
                )));
            }
        }
        let find = |values: i64| {
            session
                .outputs
                .iter()
                .filter(|output| output.is_float())
                .position(|output| output.shape.iter().product::<i64>() == values)
                .ok_or_else(|| wrong(format!("it has no output of {values} values")))
        };
        let outputs = [find(3 * MESH_POINTS as i64)?, find(1)?];
        Ok(Self {
            session,
            outputs,
            tensor: Vec::new(),
        })
    }

    /// The network.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The mesh of the face in `roi` and how sure the network is that there is one, 0 to 1.
    /// Nothing where the square is unusable or the network's numbers are not finite.
    /// `stop` ends the run from another thread.
    pub fn find(
        &mut self,
        frame: &Frame,
        roi: &Roi,
        stop: Option<&Interrupt>,
    ) -> Result<Option<(Mesh, f32)>, Error> {
        if !roi.is_usable() {
            return Ok(None);
        }
        let tensor = Tensor::unit(CROP, CROP, Order::Rgb);
        self.tensor.resize(tensor.len(), 0.0);
        let affine = Affine::from_square(roi.centre, roi.side, roi.angle, CROP);
        sample(frame, &affine, &tensor, &mut self.tensor);
        let name = self.session.inputs[0].name.as_str();
        let found = self.session.run(
            &[(name, &[1, 3, CROP, CROP], &self.tensor)],
            stop,
            |outputs| {
                let [points, presence] = self.outputs.map(|i| outputs.get(i).map(|(_, v)| *v));
                let presence = *presence?.first()?;
                let mesh = to_frame(points?, roi, &affine)?;
                Some((mesh, 1.0 / (1.0 + (-presence).exp())))
            },
        )?;
        Ok(found.filter(|(_, presence)| presence.is_finite()))
    }
}

/// From crop pixels to frame pixels.
fn to_frame(points: &[f32], roi: &Roi, affine: &Affine) -> Option<Mesh> {
    let (points, []) = points.as_chunks::<3>() else {
        return None;
    };
    let mut mesh = Box::new([[0.0; 3]; MESH_POINTS]);
    if points.len() != MESH_POINTS || !points.iter().flatten().all(|v| v.is_finite()) {
        return None;
    }
    let depth = roi.side / CROP as f32;
    for (to, &[u, v, z]) in mesh.iter_mut().zip(points) {
        let [x, y] = affine.apply([u, v]);
        *to = [x, y, z * depth];
    }
    Some(Mesh(mesh))
}
