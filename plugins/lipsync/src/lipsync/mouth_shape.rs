//! Draws with a network of kind `mouth-shape`: from the person's own mouths, where there are any,
//! and else by a warp of the frame.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;

use super::animator::timed;
use super::flow::Release;
use super::frames::Frames;
use super::imp::CAT;
use super::known_face::{Asked, KnownFace, Shown};
use super::lateness::LastShape;
use super::progress::Counters;
use super::settings::Settings;
use super::stream::Held;
use crate::audio::Timeline;
use crate::bank::Choice;
use crate::face::{Face, Mesh};
use crate::model::{self, MouthParams};
use crate::picture::frame::FrameMut;
use crate::render::MouthRenderer;
use crate::{source_time, video};

/// Renderers of tracks that were not seen for so long are forgotten.
const FORGET_AFTER: gst::ClockTime = gst::ClockTime::from_seconds(10);

/// A frame that waits for what comes after it.
struct Pending {
    held: Held,
    params: MouthParams,
    /// What was asked of the face's own mouths, if anything was.
    shown: Option<Shown>,
}

/// A network with what it knows of the faces it draws on.
pub struct MouthShapeBackend {
    network: model::MouthShape,
    /// By track, with the time at which its face was last found.
    renderers: BTreeMap<u32, (MouthRenderer, gst::ClockTime)>,
    /// The first face in a frame is drawn from its own mouths.
    known: KnownFace,
    pending: VecDeque<Pending>,
    look_ahead: usize,
    /// For frames whose speech has not come.
    shape: LastShape,
    /// Time of the last frame that was taken in.
    last_taken: Option<gst::ClockTime>,
    /// Time of the last frame that was drawn.
    last: Option<gst::ClockTime>,
}

impl MouthShapeBackend {
    /// `face_file` is what was learnt of the face, if anything; `look_ahead` the frames that are held
    /// back to choose mouths well.
    pub fn new(network: model::MouthShape, face_file: Option<PathBuf>, look_ahead: usize) -> Self {
        Self {
            network,
            renderers: BTreeMap::new(),
            known: KnownFace::new(face_file),
            pending: VecDeque::new(),
            look_ahead,
            shape: LastShape::default(),
            last_taken: None,
            last: None,
        }
    }

    pub fn columns(&self, ns: i64) -> std::ops::Range<i64> {
        self.network.columns(ns)
    }

    /// Frames that are kept back.
    pub fn look_ahead(&self) -> usize {
        self.look_ahead
    }

    /// Running time of the frame that has been kept longest.
    pub fn oldest(&self) -> Option<gst::ClockTime> {
        self.pending.iter().find_map(|pending| pending.held.time)
    }

    /// Forgets the pictures; what was learnt stays.
    pub fn reset(&mut self) {
        self.renderers.clear();
        self.pending.clear();
        self.known.forget_shown();
        self.shape = LastShape::default();
        self.last_taken = None;
        self.last = None;
    }

    /// Takes frames and gives those that are drawn.
    pub fn draw(
        &mut self,
        batch: Vec<Held>,
        release: Release,
        timeline: &Timeline,
        frames: &mut Frames,
        settings: &Settings,
        counters: &Counters,
    ) -> Result<Vec<Held>, model::Error> {
        let mut done = Vec::new();
        if settings.face_file.as_deref() != self.known.face_file() {
            // What was chosen for those that wait is of the old one.
            while !self.pending.is_empty() {
                done.extend(self.finish(frames, counters));
            }
            self.known = KnownFace::after(settings.face_file.clone());
            self.renderers.clear();
        }
        for held in batch {
            self.take(held, timeline, frames, counters)?;
            if self.pending.len() > self.look_ahead {
                done.extend(self.finish(frames, counters));
            }
        }
        if release == Release::Oldest && done.is_empty() {
            done.extend(self.finish(frames, counters));
        }
        while release == Release::All && !self.pending.is_empty() {
            done.extend(self.finish(frames, counters));
        }
        Ok(done)
    }

    /// Takes a frame in: what it shows, and what its mouth is to be.
    fn take(
        &mut self,
        held: Held,
        timeline: &Timeline,
        frames: &Frames,
        counters: &Counters,
    ) -> Result<(), model::Error> {
        let mut pending = Pending {
            held,
            params: MouthParams::default(),
            shown: None,
        };
        if let Some(time) = pending.held.time {
            let speech = pending.held.wanted.speech;
            let params = timed(&counters.inference_time, || {
                self.network.params_at(timeline, speech, None)
            })?;
            let before = self.last_taken.replace(time).unwrap_or(time);
            let seconds = time.saturating_sub(before).nseconds() as f32 * 1e-9;
            gst::trace!(CAT, "{time}: the speech at {speech} ns says {params:?}");
            pending.params = self.shape.or_eased(params, seconds);
            if pending.held.wanted.passthrough {
                // Nobody looks for a face on it.
            } else if pending.held.faces.iter().any(|face| face.mesh.is_some()) {
                timed(&counters.render_time, || {
                    self.ask(&mut pending, frames.info())
                });
            } else {
                counters.frames_without_face.fetch_add(1, Relaxed);
            }
        }
        self.pending.push_back(pending);
        Ok(())
    }

    /// Shows the frame to the known face, and asks for a mouth.
    fn ask(&mut self, pending: &mut Pending, info: &gst_video::VideoInfo) {
        let buffer = &pending.held.buffer;
        let face = pending.held.faces.iter().find(|face| face.mesh.is_some());
        let mapped = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, info);
        let (Some(face), Ok(mapped)) = (face, mapped) else {
            return;
        };
        let time = source_time::of(buffer).or(pending.held.time);
        pending.shown = self.known.ask(
            &video::frame(&mapped),
            face,
            time.unwrap_or_default().nseconds(),
            &pending.params,
            pending.held.wanted.strength,
        );
    }

    /// Draws the oldest frame that waits.
    fn finish(&mut self, frames: &mut Frames, counters: &Counters) -> Option<Held> {
        let mut pending = self.pending.pop_front()?;
        let Some(time) = pending.held.time else {
            return Some(pending.held);
        };
        let since = time.saturating_sub(self.last.replace(time).unwrap_or(time));
        if pending.held.wanted.passthrough {
            // Nothing is held over a frame that stays as it is.
            self.known.forget_shown();
            self.renderers.clear();
            return Some(pending.held);
        }
        let found = pending.held.faces.iter().any(|face| face.mesh.is_some());
        let holds = || {
            let mut renderers = self.renderers.values();
            self.known.holds() || renderers.any(|(renderer, _)| renderer.holds())
        };
        if !found && !holds() {
            self.known.forget_shown();
            return Some(pending.held);
        }
        timed(&counters.render_time, || {
            let choice = pending.shown.and_then(|shown| self.known.decide(shown));
            let asked = Asked {
                params: pending.params,
                strength: pending.held.wanted.strength,
                time,
                seconds: since.nseconds() as f32 * 1e-9,
                shown: pending.shown,
                // It is known some frames before, so that the mouth fades in time.
                hidden: is_hidden(&pending) || self.pending.iter().any(is_hidden),
            };
            let Held { buffer, faces, .. } = &mut pending.held;
            frames.draw(buffer, |frame| self.render(frame, faces, choice, &asked));
        });
        Some(pending.held)
    }

    fn render(
        &mut self,
        frame: &mut FrameMut,
        faces: &[Face],
        choice: Option<Choice>,
        asked: &Asked,
    ) {
        let mut found = faces
            .iter()
            .filter_map(|face| Some((face.id, face.mesh.as_ref()?)));
        let renderers = &mut self.renderers;
        match (choice, found.next()) {
            (Some(choice), Some(first)) => {
                // Its own mouth as far as it goes, and from there the warp.
                match self.known.draw(frame, first, choice, asked) {
                    Some(rest) => {
                        let drawn = (first.0, &rest.mesh);
                        warp(renderers, frame, drawn, asked, (&rest.params, rest.share));
                    }
                    None => {
                        if let Some((renderer, _)) = renderers.get_mut(&first.0) {
                            renderer.pause();
                        }
                    }
                }
            }
            (None, Some(first)) => {
                self.known.forget_shown();
                warp(renderers, frame, first, asked, (&asked.params, 1.0));
            }
            (_, None) => self.known.hold(frame, faces, asked),
        }
        for face in found {
            warp(renderers, frame, face, asked, (&asked.params, 1.0));
        }
        let is_here = |track: &u32| faces.iter().any(|face| face.id == *track);
        for (track, (renderer, found)) in renderers.iter_mut() {
            if *found != asked.time && !is_here(track) {
                let Asked {
                    params,
                    strength,
                    seconds,
                    ..
                } = asked;
                renderer.hold(frame, faces, params, *strength, *seconds);
            }
        }
        renderers.retain(|_, (_, found)| *found + FORGET_AFTER >= asked.time);
    }
}

fn is_hidden(pending: &Pending) -> bool {
    pending.shown.is_some_and(|shown| shown.hidden)
}

fn warp(
    renderers: &mut BTreeMap<u32, (MouthRenderer, gst::ClockTime)>,
    frame: &mut FrameMut,
    (track, mesh): (u32, &Mesh),
    asked: &Asked,
    (params, share): (&MouthParams, f32),
) {
    let (renderer, found) = renderers.entry(track).or_default();
    *found = asked.time;
    let Asked {
        strength, seconds, ..
    } = asked;
    renderer.render_part(frame, mesh, params, *strength, *seconds, share);
}
