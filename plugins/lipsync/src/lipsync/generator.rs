//! Draws with a network of kind `generator`: face crops in, painted faces out, pasted back.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::animator::timed;
use super::background::Background;
use super::flow::Release;
use super::frames::Frames;
use super::lateness;
use super::progress::Counters;
use super::stream::Held;
use super::voice::{self, Voice, VoiceId};
use crate::audio::Timeline;
use crate::face::{Face, Mesh, Rect};
use crate::model::{self, Generator};
use crate::model::{Batch, BoxPadding, Channels, PaddingUnit};
use crate::picture::crop::{self, Affine, Order, Tensor};
use crate::render::blend::{CropBlender, Generated};
use crate::runtime::Interrupt;
use crate::video;

/// A network of kind `generator` with what it needs between frames.
///
/// The network works on one batch in a thread of its own while the faces of the next are cropped,
/// and those of the one before are pasted: so frames come out one batch after they went in.
pub struct GeneratorBackend {
    network: Generator,
    background: Background,
    paster: CropBlender,
    /// The last boxes of each track, to be averaged.
    boxes: HashMap<u32, VecDeque<Rect>>,
    crop: Vec<f32>,
    /// Frames that wait for their faces.
    frames: VecDeque<Held>,
    /// Number of the first of them, counted from the last reset.
    first: u64,
    /// The faces in the batch that is being filled.
    jobs: Vec<Job>,
    working: Option<Working>,
    /// To be filled next.
    spare: Option<Batch>,
}

/// Seconds for which a face whose speech has not come hears what came last; then it hears silence.
const STAYS: f64 = lateness::STAYS as f64;

/// A face to paint.
struct Job {
    /// Number of its frame.
    frame: u64,
    bounds: Rect,
    mesh: Option<Mesh>,
}

/// What the network works on.
struct Working {
    jobs: Vec<Job>,
    /// Frames before this one are finished when these faces are pasted.
    finishes: u64,
}

impl GeneratorBackend {
    pub fn new(network: Generator, interrupt: Arc<Interrupt>) -> Result<Self, model::Error> {
        let size = network.spec().crop;
        Ok(Self {
            background: Background::start(interrupt)?,
            paster: CropBlender::new(),
            boxes: HashMap::new(),
            crop: vec![0.0; 3 * size * size],
            frames: VecDeque::new(),
            first: 0,
            jobs: Vec::new(),
            working: None,
            spare: Some(network.new_batch()),
            network,
        })
    }

    pub fn columns(&self, ns: i64) -> Range<i64> {
        self.network.columns(ns)
    }

    pub fn reset(&mut self) {
        if self.working.take().is_some() {
            // Nobody wants its faces any more.
            self.spare = self.background.wait().ok().map(|run| run.batch);
        }
        self.boxes.clear();
        self.network.clear();
        self.jobs.clear();
        self.first += self.frames.len() as u64;
        self.frames.clear();
    }

    /// Running time of the frame that has been kept longest.
    pub fn oldest(&self) -> Option<gst::ClockTime> {
        self.frames.iter().find_map(|held| held.time)
    }

    /// Takes a batch of frames and gives those of the batch before, drawn; at a time-out those too
    /// that it waits for.
    pub fn draw(
        &mut self,
        batch: Vec<Held>,
        release: Release,
        voices: &[Voice],
        canvas: &mut Frames,
        counters: &Counters,
    ) -> Result<Vec<Held>, model::Error> {
        let mut done = Vec::new();
        for held in batch {
            let number = self.first + self.frames.len() as u64;
            let is_drawn = held.time.is_some() && !held.passthrough;
            if is_drawn && !held.has_a_face(is_large_enough) {
                counters.frames_without_face.fetch_add(1, Relaxed);
            }
            let spoken: Vec<(VoiceId, i64, Face)> = held
                .wanted
                .iter()
                .flat_map(|wanted| wanted.faces.iter().map(move |index| (wanted, *index)))
                .filter_map(|(wanted, index)| {
                    let face = held.faces.get(index).filter(|face| is_large_enough(face))?;
                    Some((wanted.voice, wanted.speech, face.clone()))
                })
                .collect();
            self.frames.push_back(held);
            for (voice, speech, face) in spoken {
                let Some(voice) = voice::find(voices, voice) else {
                    continue;
                };
                // More faces than fit into one run: what is there goes first.
                if self.network.is_full() {
                    self.turn(number, canvas, counters, &mut done)?;
                }
                let bounds = self.steadied(&face);
                let added = timed(&counters.render_time, || {
                    self.add(number, bounds, voice.timeline(), speech, canvas.info())
                });
                if added {
                    self.jobs.push(Job {
                        frame: number,
                        bounds,
                        mesh: face.mesh,
                    });
                }
            }
        }
        let end = self.first + self.frames.len() as u64;
        self.turn(end, canvas, counters, &mut done)?;
        // What is in work now comes at the next turn, which has nothing to add.
        if release != Release::Ready {
            self.turn(end, canvas, counters, &mut done)?;
        }
        Ok(done)
    }

    /// Adds one face to the network's batch. A live frame whose speech has not come hears what came
    /// last, and stays as it is before there was any.
    fn add(
        &mut self,
        frame: u64,
        bounds: Rect,
        timeline: &Timeline,
        ns: i64,
        info: &gst_video::VideoInfo,
    ) -> bool {
        let buffer = &self.frames[(frame - self.first) as usize].buffer;
        let Ok(mapped) = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, info) else {
            return false;
        };
        let size = self.network.spec().crop;
        crop::sample(
            &video::frame(&mapped),
            &Affine::from_rect(bounds, size, size),
            &Tensor::unit(size, size, self.order()),
            &mut self.crop,
        );
        self.network.add(timeline, ns, &self.crop)
            || self.network.add_late(timeline, ns, &self.crop, STAYS)
    }

    /// Waits for the faces that the network works on, gives it those that were added since, which
    /// finish the frames before number `end`, and pastes the painted ones meanwhile. Frames that are
    /// finished go to `done`.
    fn turn(
        &mut self,
        end: u64,
        canvas: &mut Frames,
        counters: &Counters,
        done: &mut Vec<Held>,
    ) -> Result<(), model::Error> {
        let painted = match self.working.take() {
            Some(working) => {
                let run = self.background.wait()?;
                counters
                    .inference_time
                    .fetch_add(run.took.as_nanos() as u64, Relaxed);
                run.result?;
                Some((working, run.batch))
            }
            None => None,
        };
        let mut finished = painted.as_ref().map_or(self.first, |(w, _)| w.finishes);
        if self.jobs.is_empty() {
            finished = end;
        } else {
            let mut batch = self
                .spare
                .take()
                .unwrap_or_else(|| self.network.new_batch());
            self.network.swap(&mut batch);
            self.background.run(batch)?;
            self.working = Some(Working {
                jobs: std::mem::take(&mut self.jobs),
                finishes: end,
            });
        }
        if let Some((working, batch)) = painted {
            timed(&counters.render_time, || {
                self.paste(&working.jobs, &batch, canvas);
            });
            self.spare = Some(batch);
        }
        let count = (finished - self.first) as usize;
        done.extend(self.frames.drain(..count));
        self.first = finished;
        Ok(())
    }

    fn paste(&mut self, jobs: &[Job], batch: &Batch, canvas: &mut Frames) {
        let (size, order) = (self.network.spec().crop, self.order());
        for (job, planes) in jobs.iter().zip(batch.painted()) {
            let generated = Generated {
                planes,
                size,
                order,
            };
            let held = &mut self.frames[(job.frame - self.first) as usize];
            canvas.draw(&mut held.buffer, |frame| {
                self.paster
                    .blend(frame, &generated, job.bounds, job.mesh.as_ref());
            });
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

fn is_large_enough(face: &Face) -> bool {
    face.bounds.width >= 1.0 && face.bounds.height >= 1.0
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
}
