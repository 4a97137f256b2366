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
use crate::{roi, runtime, video};

/// A network of kind `generator` with what it needs between frames.
///
/// While the network works on one batch, the faces that it painted for the batch before are pasted:
/// so frames come out one batch after they went in.
pub struct Painter {
    network: Generator,
    paster: Paster,
    /// The last boxes of each track, to be averaged.
    boxes: HashMap<u32, VecDeque<Rect>>,
    crop: Vec<f32>,
    /// The faces in the network's batch.
    jobs: Vec<Job>,
    painted: Painted,
}

/// A face to paint.
struct Job {
    /// Index of its frame in the batch of frames.
    frame: usize,
    bounds: Rect,
    mesh: Option<Mesh>,
}

/// Frames whose faces the network has painted, to be pasted.
#[derive(Default)]
struct Painted {
    frames: Vec<Held>,
    jobs: Vec<Job>,
    /// One face after the other, planar.
    faces: Vec<f32>,
}

impl Painted {
    fn paste(&mut self, paster: &mut Paster, look: Look, info: &gst_video::VideoInfo) {
        let size = 3 * look.size * look.size;
        for (job, planes) in self.jobs.drain(..).zip(self.faces.chunks_exact(size)) {
            let generated = Generated {
                planes,
                size: look.size,
                order: look.order,
            };
            with_frame(&mut self.frames[job.frame].buffer, info, |frame| {
                paster.paste(frame, &generated, job.bounds, job.mesh.as_ref());
            });
        }
        self.faces.clear();
    }
}

/// Size and order of colours of the faces that the network paints.
#[derive(Clone, Copy)]
struct Look {
    size: usize,
    order: Order,
}

impl Painter {
    pub fn new(network: Generator) -> Self {
        let size = network.spec().crop;
        Self {
            paster: Paster::new(),
            boxes: HashMap::new(),
            crop: vec![0.0; 3 * size * size],
            jobs: Vec::new(),
            painted: Painted::default(),
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
        self.painted = Painted::default();
    }

    /// Takes a batch of frames and gives those of the batch before, drawn; with `drain`, gives all.
    pub fn draw(
        &mut self,
        batch: Vec<Held>,
        drain: bool,
        timeline: &Timeline,
        info: &gst_video::VideoInfo,
        settings: &Settings,
        counters: &Counters,
    ) -> Result<Vec<Held>, model::Error> {
        let mut done = Vec::new();
        let mut next = Painted {
            frames: batch,
            ..Painted::default()
        };
        for index in 0..next.frames.len() {
            let Some(time) = next.frames[index].time else {
                continue;
            };
            let faces = chosen(roi::faces(&next.frames[index].buffer));
            if faces.is_empty() {
                counters.frames_without_face.fetch_add(1, Relaxed);
            }
            for face in faces {
                // More faces than fit into one run: what is there goes first.
                if self.network.is_full() {
                    self.paint(&mut next, info, counters)?;
                }
                let bounds = self.steadied(&face);
                let added = timed(&counters.render_time, || {
                    let buffer = &next.frames[index].buffer;
                    self.add(buffer, bounds, timeline, settings.speech_time(time), info)
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
        self.paint(&mut next, info, counters)?;
        done.append(&mut self.painted.frames);
        self.painted = next;
        if drain {
            let look = self.look();
            timed(&counters.render_time, || {
                self.painted.paste(&mut self.paster, look, info);
            });
            done.append(&mut self.painted.frames);
        }
        Ok(done)
    }

    /// Adds one face to the network's batch, if its speech is there.
    fn add(
        &mut self,
        buffer: &gst::Buffer,
        bounds: Rect,
        timeline: &Timeline,
        ns: i64,
        info: &gst_video::VideoInfo,
    ) -> bool {
        let Ok(mapped) = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, info) else {
            return false;
        };
        let Look { size, order } = self.look();
        crop::sample(
            &video::frame(&mapped),
            &Affine::from_rect(bounds, size, size),
            &Tensor::unit(size, size, order),
            &mut self.crop,
        );
        self.network.add(timeline, ns, &self.crop)
    }

    /// Runs the network on the faces that were added, for `next`, and pastes those of the batch
    /// before meanwhile.
    fn paint(
        &mut self,
        next: &mut Painted,
        info: &gst_video::VideoInfo,
        counters: &Counters,
    ) -> Result<(), model::Error> {
        let look = self.look();
        let (network, paster, painted) = (&mut self.network, &mut self.paster, &mut self.painted);
        let mut paste = || timed(&counters.render_time, || painted.paste(paster, look, info));
        if self.jobs.is_empty() {
            paste();
            return Ok(());
        }
        let faces = &mut next.faces;
        let mut run = move || {
            let painted = timed(&counters.inference_time, || network.run(None))?;
            painted.for_each(|face| faces.extend_from_slice(face));
            Ok(())
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("lipsync-run".into());
            let Ok(running) = thread.spawn_scoped(scope, &mut run) else {
                return Err(model::Error::Runtime(runtime::Error::Inference {
                    model: "the generator".into(),
                    reason: "no thread could be started for it".into(),
                }));
            };
            paste();
            running
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        next.jobs.append(&mut self.jobs);
        Ok(())
    }

    fn look(&self) -> Look {
        Look {
            size: self.network.spec().crop,
            order: self.order(),
        }
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
