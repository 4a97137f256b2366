//! Draws with a network of kind `mouth-shape`: from the person's own mouths, where there are any,
//! and else by a warp of the frame.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::animator::{timed, with_frame};
use super::imp::CAT;
use super::progress::Counters;
use super::settings::Settings;
use super::stream::Held;
use crate::audio::Timeline;
use crate::bank::{self, Ask, Choice, Chooser, FaceFile, Habits, Learner, Mouth};
use crate::face::{Face, Mesh};
use crate::model::{self, MouthParams};
use crate::picture::frame::{FrameMut, Layout};
use crate::render::own::{Layer, OwnMouth, Target, Wanted};
use crate::render::{MouthRenderer, tamed};
use crate::{roi, source_time, video};

/// Renderers of tracks that were not seen for so many frames are forgotten.
const FORGET_AFTER: u64 = 250;
/// What may be kept of a face that is learnt while it is shown.
const BYTES_ON_THE_WAY: u64 = 32 << 20;
/// So far off what is asked, in units of the distance between the eyes, a mouth of the person's own
/// may be; further off the warp draws.
const MOST_OFF: f32 = 0.05;
/// Share of the way from one way of drawing to the other that is gone in a frame.
const CHANGE: f32 = 0.25;
/// What is seen of the mouth before a cut, in the frames after it.
const FADE: [f32; 2] = [0.5, 0.2];
/// Frames after which a face file that knows none of them is not of this video.
const STRANGE_AFTER: u32 = 50;

/// What is known of the person's mouths.
enum Bank {
    Learnt(Arc<FaceFile>),
    /// Of the frames so far.
    Learning(Box<Learner>),
}

impl Bank {
    fn mouths(&self) -> &[Mouth] {
        match self {
            Self::Learnt(file) => file.mouths(),
            Self::Learning(learner) => learner.mouths(),
        }
    }

    fn layout(&self) -> Option<Layout> {
        match self {
            Self::Learnt(file) => Some(file.layout()),
            Self::Learning(learner) => learner.layout(),
        }
    }
}

/// A frame that waits for what comes after it.
struct Pending {
    held: Held,
    faces: Vec<Face>,
    params: MouthParams,
    /// The bank was asked for a mouth.
    asked: bool,
    /// Something is before the face.
    hidden: bool,
}

/// What is asked of the mouths in a frame.
struct Asked {
    params: MouthParams,
    strength: f32,
    /// Something is before the first face.
    hidden: bool,
}

/// A network with what it knows of the faces it draws on.
pub struct MouthShapeBackend {
    network: model::MouthShape,
    renderers: HashMap<u32, (MouthRenderer, u64)>,
    frames: u64,
    bank: Bank,
    habits: Habits,
    chooser: Chooser,
    own: OwnMouth,
    /// How much of the own mouth is seen instead of the warp's.
    own_share: f32,
    shown: Option<Choice>,
    /// The mouth before the last cut, and frames since.
    fading: Option<(usize, usize)>,
    pending: VecDeque<Pending>,
    look_ahead: usize,
    /// Frames with a face that the face file did not know, while it knew none.
    strange: Option<u32>,
}

impl MouthShapeBackend {
    /// `face_file` is what was learnt of the face, if anything; `look_ahead` the frames that are held
    /// back to choose mouths well.
    pub fn new(
        network: model::MouthShape,
        face_file: Option<Arc<FaceFile>>,
        look_ahead: usize,
    ) -> Self {
        let strange = face_file.as_ref().map(|_| 0);
        let bank = face_file.map_or_else(learning, Bank::Learnt);
        Self {
            network,
            renderers: HashMap::new(),
            frames: 0,
            habits: habits(&bank),
            bank,
            chooser: Chooser::default(),
            own: OwnMouth::default(),
            own_share: 1.0,
            shown: None,
            fading: None,
            pending: VecDeque::new(),
            look_ahead,
            strange,
        }
    }

    pub fn columns(&self, ns: i64) -> std::ops::Range<i64> {
        self.network.columns(ns)
    }

    /// Frames that are kept back.
    pub fn look_ahead(&self) -> usize {
        self.look_ahead
    }

    /// Forgets the pictures; what was learnt stays.
    pub fn reset(&mut self) {
        self.renderers.clear();
        self.pending.clear();
        self.forget_shown();
    }

    fn forget_shown(&mut self) {
        self.chooser.reset();
        self.shown = None;
        self.fading = None;
    }

    /// Takes frames and gives those that are drawn; with `drain` all.
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
        for held in batch {
            self.take(held, timeline, info, settings, counters)?;
            if self.pending.len() > self.look_ahead {
                done.extend(self.finish(info, settings, counters));
            }
        }
        while drain && !self.pending.is_empty() {
            done.extend(self.finish(info, settings, counters));
        }
        Ok(done)
    }

    /// Takes a frame in: what it shows, and what its mouth is to be.
    fn take(
        &mut self,
        held: Held,
        timeline: &Timeline,
        info: &gst_video::VideoInfo,
        settings: &Settings,
        counters: &Counters,
    ) -> Result<(), model::Error> {
        let faces = held.time.map_or(Vec::new(), |_| roi::faces(&held.buffer));
        let mut pending = Pending {
            held,
            faces,
            params: MouthParams::default(),
            asked: false,
            hidden: false,
        };
        if let Some(time) = pending.held.time {
            if pending.faces.iter().any(|face| face.mesh.is_some()) {
                let params = timed(&counters.inference_time, || {
                    self.network
                        .params_at(timeline, settings.speech_time(time), None)
                })?;
                // Without its speech, a live frame has its mouth closed.
                pending.params = params.unwrap_or_default();
                timed(&counters.render_time, || {
                    self.ask(&mut pending, info, settings);
                });
            } else {
                counters.frames_without_face.fetch_add(1, Relaxed);
            }
        }
        self.pending.push_back(pending);
        Ok(())
    }

    /// Learns from the frame, and asks for its mouth.
    fn ask(&mut self, pending: &mut Pending, info: &gst_video::VideoInfo, settings: &Settings) {
        let buffer = &pending.held.buffer;
        let Ok(mapped) = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, info) else {
            return;
        };
        let frame = video::frame(&mapped);
        let face = pending.faces.iter().find(|face| face.mesh.is_some());
        let Some((face, mesh)) = face.and_then(|face| Some((face, face.mesh.as_ref()?))) else {
            return;
        };
        let time = source_time::of(buffer)
            .or(pending.held.time)
            .unwrap_or_default();
        match &mut self.bank {
            Bank::Learning(learner) => learner.look(&frame, Some(face), time.nseconds()),
            Bank::Learnt(file) => {
                if let Some(strange) = &mut self.strange {
                    if file.points_of(&frame, time.nseconds()).is_some() {
                        self.strange = None;
                    } else {
                        *strange += 1;
                        if *strange >= STRANGE_AFTER {
                            gst::warning!(CAT, "The face file is of another video: it is not used");
                            self.strange = None;
                            self.bank = learning();
                            self.forget_shown();
                            return;
                        }
                    }
                }
            }
        }
        let mouths = self.bank.mouths();
        if self.habits.is_outdated(mouths) {
            self.habits = habits(&self.bank);
        }
        if !self.habits.are_varied() {
            return;
        }
        let Some(held) = bank::Held::of(&frame, mesh) else {
            return;
        };
        let params = tamed(&pending.params, settings.strength as f32);
        pending.hidden = self.habits.is_hidden(&held);
        self.chooser.ask(
            mouths,
            &Ask {
                shape: self.habits.shape(&params),
                held,
                barred: 0..0,
            },
        );
        pending.asked = true;
    }

    /// Draws the oldest frame that waits.
    fn finish(
        &mut self,
        info: &gst_video::VideoInfo,
        settings: &Settings,
        counters: &Counters,
    ) -> Option<Held> {
        let mut pending = self.pending.pop_front()?;
        self.frames += 1;
        if pending.held.time.is_some() && pending.faces.iter().any(|face| face.mesh.is_some()) {
            timed(&counters.render_time, || {
                let choice = if pending.asked {
                    self.chooser.decide(self.bank.mouths())
                } else {
                    self.forget_shown();
                    None
                };
                // It is known some frames before, so that the mouth fades in time.
                let hidden = pending.hidden || self.pending.iter().any(|later| later.hidden);
                let asked = Asked {
                    params: pending.params,
                    strength: settings.strength as f32,
                    hidden,
                };
                let Pending { held, faces, .. } = &mut pending;
                with_frame(&mut held.buffer, info, |frame| {
                    self.render(frame, faces, choice, &asked);
                });
            });
        }
        Some(pending.held)
    }

    fn render(
        &mut self,
        frame: &mut FrameMut,
        faces: &[Face],
        choice: Option<Choice>,
        asked: &Asked,
    ) {
        let mut choice = choice;
        for face in faces {
            let Some(mesh) = &face.mesh else { continue };
            // The bank is of the first face.
            match choice.take() {
                Some(choice) => self.render_own(frame, face.id, mesh, choice, asked),
                None => self.warp(frame, face.id, mesh, asked),
            }
        }
        let frames = self.frames;
        self.renderers
            .retain(|_, (_, last)| *last + FORGET_AFTER >= frames);
    }

    /// Draws a mouth of the person's own, or the warp's where none fits, and on the way from one to
    /// the other both.
    fn render_own(
        &mut self,
        frame: &mut FrameMut,
        track: u32,
        mesh: &Mesh,
        choice: Choice,
        asked: &Asked,
    ) {
        let shape = self.habits.shape(&tamed(&asked.params, asked.strength));
        let own_opening = |mouth: usize| {
            let mouths = self.bank.mouths();
            mouths.get(mouth).map_or(0.0, |m| m.look.shape.opening)
        };
        let fits = OwnMouth::off(own_opening(choice.mouth), shape.opening) < MOST_OFF;
        let first = self.shown.is_none();
        let to = if fits && !asked.hidden { 1.0 } else { 0.0 };
        self.own_share += (to - self.own_share).clamp(-CHANGE, CHANGE);
        if first {
            self.own_share = to;
        }
        self.fading = match (self.shown, self.fading) {
            (Some(before), _) if !choice.follows => Some((before.mouth, 0)),
            (_, Some((mouth, frames))) => Some((mouth, frames + 1)),
            _ => None,
        };
        self.fading = self.fading.filter(|(mouth, frames)| {
            *frames < FADE.len()
                && OwnMouth::off(own_opening(*mouth), shape.opening) < 0.5 * MOST_OFF
        });
        self.shown = Some(choice);
        // What is before a face stays as it is.
        let warps = !asked.hidden;
        if self.own_share < 1.0 && warps {
            self.warp(frame, track, mesh, asked);
        }
        let mouths = self.bank.mouths();
        let (Some(source), Some(mouth)) = (self.bank.layout(), mouths.get(choice.mouth)) else {
            return;
        };
        if self.own_share <= 0.0 {
            return;
        }
        let before = self.fading.and_then(|(before, frames)| {
            Some(Layer {
                mouth: mouths.get(before)?,
                share: FADE[frames],
            })
        });
        let share = 1.0 - before.map_or(0.0, |before| before.share);
        // The mask is that of the last.
        let layers: Vec<Layer> = before.into_iter().chain([Layer { mouth, share }]).collect();
        let target = Target {
            mesh,
            source: &source,
        };
        let wanted = Wanted {
            opening: shape.opening,
            width: shape.width,
        };
        let drawn = self
            .own
            .draw(frame, target, &layers, wanted, self.own_share);
        match drawn {
            Some(drawn) => gst::log!(
                CAT,
                "frame {}: {:?} of frame {}, opening {:.3} for {:.3}, mismatch {:.1}, share {:.2}",
                self.frames,
                choice,
                mouth.look.frame,
                mouth.look.shape.opening,
                shape.opening,
                drawn.mismatch,
                self.own_share
            ),
            None if self.own_share >= 1.0 && warps => self.warp(frame, track, mesh, asked),
            None => {}
        }
    }

    fn warp(&mut self, frame: &mut FrameMut, track: u32, mesh: &Mesh, asked: &Asked) {
        let (renderer, last) = self.renderers.entry(track).or_default();
        *last = self.frames;
        renderer.render(frame, mesh, &asked.params, asked.strength);
    }
}

fn habits(bank: &Bank) -> Habits {
    bank.layout()
        .map_or_else(Habits::default, |source| Habits::of(bank.mouths(), &source))
}

fn learning() -> Bank {
    Bank::Learning(Box::new(Learner::new(BYTES_ON_THE_WAY)))
}
