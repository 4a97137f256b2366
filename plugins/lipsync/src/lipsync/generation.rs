//! Draws with a network of kind `generator`: face crops in, painted faces out, pasted back.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

use super::drawing::{timed, with_frame};
use super::progress::Counters;
use super::settings::Settings;
use super::stream::Held;
use crate::audio::Timeline;
use crate::face::{Face, Mesh, Rect};
use crate::model::{self, Generator};
use crate::model::{BoxPadding, Channels, PaddingUnit};
use crate::render::crop::{self, Affine, Order, Tensor};
use crate::render::paste::{Generated, Paster};
use crate::{roi, video};

/// A network of kind `generator` with what it needs between frames.
pub struct Painter {
    network: Generator,
    paster: Paster,
    /// The last boxes of each track, to be averaged.
    boxes: HashMap<u32, VecDeque<Rect>>,
    crop: Vec<f32>,
    jobs: Vec<Job>,
}

/// A face in the network's batch.
struct Job {
    /// Index of its frame in the batch of frames.
    frame: usize,
    bounds: Rect,
    mesh: Option<Mesh>,
}

impl Painter {
    pub fn new(network: Generator) -> Self {
        let size = network.spec().crop;
        Self {
            paster: Paster::new(),
            boxes: HashMap::new(),
            crop: vec![0.0; 3 * size * size],
            jobs: Vec::new(),
            network,
        }
    }

    pub fn columns(&self, ns: i64) -> Range<i64> {
        self.network.columns(ns)
    }

    pub fn reset(&mut self) {
        self.boxes.clear();
        self.network.clear();
        self.jobs.clear();
    }

    pub fn draw(
        &mut self,
        batch: &mut [Held],
        timeline: &Timeline,
        info: &gst_video::VideoInfo,
        settings: &Settings,
        counters: &Counters,
    ) -> Result<(), model::Error> {
        for index in 0..batch.len() {
            let Some(time) = batch[index].time else {
                continue;
            };
            let faces = chosen(roi::faces(&batch[index].buffer));
            if faces.is_empty() {
                counters.frames_without_face.fetch_add(1, Relaxed);
            }
            for face in faces {
                if self.network.is_full() {
                    self.paint(batch, info, counters)?;
                }
                let bounds = self.steadied(&face);
                let added = timed(&counters.render_time, || {
                    let buffer = &batch[index].buffer;
                    let Ok(mapped) =
                        gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, info)
                    else {
                        return false;
                    };
                    let size = self.network.spec().crop;
                    crop::sample(
                        &video::frame(&mapped),
                        &Affine::from_rect(bounds, size, size),
                        &Tensor::unit(size, size, self.order()),
                        &mut self.crop,
                    );
                    self.network
                        .add(timeline, settings.speech_time(time), &self.crop)
                });
                // A live frame whose speech has not come stays as it is.
                if added {
                    self.jobs.push(Job {
                        frame: index,
                        bounds,
                        mesh: face.mesh,
                    });
                }
            }
        }
        self.paint(batch, info, counters)
    }

    /// Runs the network on the faces that were added and pastes the results.
    fn paint(
        &mut self,
        batch: &mut [Held],
        info: &gst_video::VideoInfo,
        counters: &Counters,
    ) -> Result<(), model::Error> {
        if self.jobs.is_empty() {
            return Ok(());
        }
        let order = self.order();
        let size = self.network.spec().crop;
        let painted = timed(&counters.inference_time, || self.network.run(None))?;
        for (job, picture) in self.jobs.drain(..).zip(painted) {
            timed(&counters.render_time, || {
                with_frame(&mut batch[job.frame].buffer, info, |frame| {
                    let generated = Generated {
                        planes: picture,
                        size,
                        order,
                    };
                    self.paster
                        .paste(frame, &generated, job.bounds, job.mesh.as_ref());
                });
            });
        }
        Ok(())
    }

    fn order(&self) -> Order {
        match self.network.spec().channels {
            Channels::Bgr => Order::Bgr,
            Channels::Rgb => Order::Rgb,
        }
    }

    /// The face's box with padding, averaged over the last frames.
    fn steadied(&mut self, face: &Face) -> Rect {
        let spec = self.network.spec();
        let recent = self.boxes.entry(face.id).or_default();
        recent.push_back(padded(face.bounds, &spec.padding));
        while recent.len() > spec.smoothing.max(1) {
            recent.pop_front();
        }
        mean(recent)
    }
}

/// The faces to draw on: those whose mesh is followed, or all where nobody follows meshes.
fn chosen(mut faces: Vec<Face>) -> Vec<Face> {
    if faces.iter().any(|face| face.mesh.is_some()) {
        faces.retain(|face| face.mesh.is_some());
    }
    faces.retain(|face| face.bounds.width >= 1.0 && face.bounds.height >= 1.0);
    faces
}

fn padded(face: Rect, padding: &BoxPadding) -> Rect {
    let (x_unit, y_unit) = match padding.unit {
        PaddingUnit::Pixel => (1.0, 1.0),
        PaddingUnit::Box => (face.width, face.height),
    };
    let (left, top) = (padding.left * x_unit, padding.top * y_unit);
    Rect {
        x: face.x - left,
        y: face.y - top,
        width: (face.width + left + padding.right * x_unit).max(1.0),
        height: (face.height + top + padding.bottom * y_unit).max(1.0),
    }
}

fn mean(boxes: &VecDeque<Rect>) -> Rect {
    let n = boxes.len().max(1) as f32;
    let mean = |value: fn(&Rect) -> f32| boxes.iter().map(value).sum::<f32>() / n;
    Rect {
        x: mean(|r| r.x),
        y: mean(|r| r.y),
        width: mean(|r| r.width),
        height: mean(|r| r.height),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACE: Rect = Rect {
        x: 100.0,
        y: 50.0,
        width: 80.0,
        height: 120.0,
    };

    #[test]
    fn padding_is_in_pixels_or_in_parts_of_the_box() {
        let pixels = padded(FACE, &BoxPadding::default());
        assert_eq!((pixels.y, pixels.height), (50.0, 130.0));
        let parts = BoxPadding {
            top: 0.1,
            bottom: 0.0,
            left: 0.25,
            right: 0.25,
            unit: PaddingUnit::Box,
        };
        let padded = padded(FACE, &parts);
        assert_eq!((padded.x, padded.width), (80.0, 120.0));
        assert_eq!((padded.y, padded.height), (38.0, 132.0));
    }

    #[test]
    fn boxes_are_averaged() {
        let moved = Rect { x: 110.0, ..FACE };
        assert_eq!(mean(&VecDeque::from([FACE, moved])).x, 105.0);
    }

    #[test]
    fn faces_with_a_mesh_are_preferred() {
        let face = |id, mesh| Face {
            id,
            bounds: FACE,
            score: 1.0,
            mesh,
        };
        let mesh = Mesh(Box::new([[0.0; 3]; crate::face::MESH_POINTS]));
        let both = chosen(vec![face(1, None), face(2, Some(mesh))]);
        assert_eq!(both.len(), 1);
        assert_eq!(both[0].id, 2);
        assert_eq!(chosen(vec![face(1, None)]).len(), 1);
    }
}
