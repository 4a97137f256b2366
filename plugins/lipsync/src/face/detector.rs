//! YuNet: faces with their eyes, nose and mouth corners in a whole picture.
//!
//! The network and the decoding of its outputs: Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face
//! Detector", Machine Intelligence Research 20 (2023). It is anchor-free: for strides 8, 16 and 32,
//! each cell gives a class and an object score, a box (centre relative to the cell in strides,
//! log size in strides) and five points (relative to the cell in strides).

use std::path::Path;

use super::{Error, Rect, load};
use crate::picture::crop::{Affine, Order, Tensor, sample};
use crate::picture::frame::Frame;
use crate::runtime::{Interrupt, Options, Session};

/// The network's file among the models that set-up fetches.
pub const FILE: &str = "face_detection_yunet.onnx";

/// Detections that overlap more than this are one face.
const SAME_FACE_IOU: f32 = 0.3;

/// The input's sides are multiples of this.
const GRID: usize = 32;

const STRIDES: [usize; 3] = [8, 16, 32];

/// A small picture is enlarged at most so many times: more shows nothing new.
const MAX_ENLARGEMENT: f32 = 2.0;

/// A face in a picture, in frame pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// The box around the face, in frame pixels.
    pub bounds: Rect,
    /// Confidence, 0 to 1.
    pub score: f32,
    /// In the picture from left to right: eye, eye, nose, mouth corner, mouth corner.
    pub landmarks: [[f32; 2]; 5],
}

/// A loaded YuNet.
pub struct Detector {
    session: Session,
    /// Where cls, obj, bbox and kps of each stride stand among the outputs.
    outputs: [[usize; 4]; 3],
    tensor: Vec<f32>,
}

impl Detector {
    /// Loads the model at `path`; its height and width must be free.
    pub fn load(path: &Path, options: Options) -> Result<Self, Error> {
        let session = load(path, options)?;
        let wrong = |reason: String| Error::WrongModel {
            path: path.into(),
            wanted: "YuNet face detector",
            reason,
        };
        match session.inputs.as_slice() {
            [input] if matches!(input.shape[..], [_, 3, -1, -1]) && input.is_float() => {}
            inputs => {
                return Err(wrong(format!(
                    "its inputs are {:?} instead of one of 3 channels and free size",
                    inputs.iter().map(|i| &i.shape).collect::<Vec<_>>()
                )));
            }
        }
        let find = |kind: &str, stride: usize| {
            let name = format!("{kind}_{stride}");
            session
                .outputs
                .iter()
                .filter(|output| output.is_float())
                .position(|output| output.name == name)
                .ok_or_else(|| wrong(format!("it has no output {name}")))
        };
        let mut outputs = [[0; 4]; 3];
        for (row, stride) in outputs.iter_mut().zip(STRIDES) {
            for (index, kind) in row.iter_mut().zip(["cls", "obj", "bbox", "kps"]) {
                *index = find(kind, stride)?;
            }
        }
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

    /// The faces with at least `min_score`, best first. `size` is the long side that the picture
    /// is scaled to: 320 finds faces from about a thirtieth of the picture's width, 640 those of
    /// half that size at four times the cost. `stop` ends the run from another thread.
    pub fn detect(
        &mut self,
        frame: &Frame,
        size: usize,
        min_score: f32,
        stop: Option<&Interrupt>,
    ) -> Result<Vec<Detection>, Error> {
        let Some(input) = Input::fit(frame.layout.width, frame.layout.height, size) else {
            return Ok(Vec::new());
        };
        let tensor = Tensor {
            width: input.width,
            height: input.height,
            order: Order::Bgr,
            scale: 1.0,
            offset: 0.0,
        };
        self.tensor.resize(tensor.len(), 0.0);
        let scale = input.scale;
        let affine = Affine([[scale, 0.0, 0.0], [0.0, scale, 0.0]]);
        sample(frame, &affine, &tensor, &mut self.tensor);
        let name = self.session.inputs[0].name.as_str();
        let shape = [1, 3, input.height, input.width];
        let found = self
            .session
            .run(&[(name, &shape, &self.tensor)], stop, |outputs| {
                let mut found = Vec::new();
                for (indices, stride) in self.outputs.iter().zip(STRIDES) {
                    let [cls, obj, bbox, kps] =
                        indices.map(|i| outputs.get(i).map_or(&[][..], |(_, values)| values));
                    let cells = Cells {
                        stride,
                        columns: input.width / stride,
                        cls,
                        obj,
                        bbox,
                        kps,
                    };
                    cells.decode(scale, min_score, &mut found);
                }
                found
            })?;
        Ok(suppress(found))
    }
}

/// The network's input for a picture: scaled, at the top left of a canvas.
#[derive(Debug, PartialEq)]
struct Input {
    width: usize,
    height: usize,
    /// Frame pixels per input pixel.
    scale: f32,
}

impl Input {
    fn fit(width: usize, height: usize, size: usize) -> Option<Self> {
        let long = width.max(height) as f32;
        if width == 0 || height == 0 {
            return None;
        }
        let scale = (long / size.max(GRID) as f32).max(1.0 / MAX_ENLARGEMENT);
        let side = |v: usize| {
            ((v as f32 / scale).round() as usize)
                .next_multiple_of(GRID)
                .max(GRID)
        };
        Some(Self {
            width: side(width),
            height: side(height),
            scale,
        })
    }
}

/// The outputs of one stride.
struct Cells<'a> {
    stride: usize,
    columns: usize,
    cls: &'a [f32],
    obj: &'a [f32],
    bbox: &'a [f32],
    kps: &'a [f32],
}

impl Cells<'_> {
    fn decode(&self, scale: f32, min_score: f32, found: &mut Vec<Detection>) {
        let cells = self
            .cls
            .iter()
            .zip(self.obj)
            .zip(self.bbox.as_chunks::<4>().0)
            .zip(self.kps.as_chunks::<10>().0);
        let unit = self.stride as f32 * scale;
        for (i, (((cls, obj), bbox), kps)) in cells.enumerate() {
            let score = (cls.clamp(0.0, 1.0) * obj.clamp(0.0, 1.0)).sqrt();
            if score.is_nan() || score < min_score {
                continue;
            }
            let (column, row) = ((i % self.columns) as f32, (i / self.columns) as f32);
            let [dx, dy, width, height] = *bbox;
            let (width, height) = (width.exp() * unit, height.exp() * unit);
            let detection = Detection {
                bounds: Rect {
                    x: (column + dx) * unit - width / 2.0,
                    y: (row + dy) * unit - height / 2.0,
                    width,
                    height,
                },
                score,
                landmarks: std::array::from_fn(|n| {
                    [(column + kps[2 * n]) * unit, (row + kps[2 * n + 1]) * unit]
                }),
            };
            if detection.is_finite() {
                found.push(detection);
            }
        }
    }
}

impl Detection {
    fn is_finite(&self) -> bool {
        let Rect {
            x,
            y,
            width,
            height,
        } = self.bounds;
        [x, y, width, height]
            .iter()
            .chain(self.landmarks.iter().flatten())
            .all(|v| v.is_finite())
    }
}

/// Non-maximum suppression: keeps the best of the detections that are the same face.
fn suppress(mut found: Vec<Detection>) -> Vec<Detection> {
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Detection> = Vec::new();
    for detection in found {
        let known = |k: &Detection| k.bounds.iou(&detection.bounds) > SAME_FACE_IOU;
        if !kept.iter().any(known) {
            kept.push(detection);
        }
    }
    kept
}
