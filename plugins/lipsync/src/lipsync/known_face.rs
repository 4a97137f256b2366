//! The face that mouths of its own are drawn on: what is known of it, which mouth it gets, and what
//! was drawn last.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::category::CAT;
use crate::bank::{self, Ask, Choice, Chooser, FaceFile, Habits, Learner, Mouth, Shape, Ticket};
use crate::face::cut::Glance;
use crate::face::lips::HeadFrame;
use crate::face::{Face, Mesh};
use crate::model::MouthParams;
use crate::picture::frame::{Frame, FrameMut, Layout};
use crate::render::own::{Layer, OwnMouth, Target, Wanted, share_of_warp};
use crate::render::{Presence, tamed};

/// What may be kept of a face that is learnt while it is shown.
const BYTES_ON_THE_WAY: u64 = 32 << 20;
/// Share of the way from a drawn mouth to a hidden one, and back, that is gone in a frame.
const CHANGE: f32 = 0.25;
/// What is seen of the mouth before a cut, in the frames after it.
const FADE: [f32; 2] = [0.5, 0.2];
/// Frames that a source may still have on their way when another face is announced.
const UNSURE: u32 = 25;
/// Frames after which a face file that knows none of them is not of this video.
const STRANGE_AFTER: u32 = 50;

/// What is known of the person's mouths.
enum Bank {
    Learnt(Arc<FaceFile>),
    /// Of the frames so far.
    Learning(Box<Learner>),
}

impl Bank {
    fn of(face_file: Option<&Path>) -> Self {
        let learnt = face_file.and_then(|path| {
            FaceFile::shared(path)
                .inspect_err(|error| gst::warning!(CAT, "{error}. The mouth is drawn without it"))
                .ok()
        });
        learnt.map_or_else(Self::learning, Self::Learnt)
    }

    fn learning() -> Self {
        Self::Learning(Box::new(Learner::new(BYTES_ON_THE_WAY)))
    }

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

    /// Those of the mouths that are of a scene.
    fn of_scene(&self, scene: u32) -> impl Iterator<Item = &Mouth> {
        let mouths = self.mouths().iter();
        mouths.filter(move |mouth| mouth.look.scene == scene)
    }

    fn habits(&self, scene: u32) -> Habits {
        Habits::of(&self.of_scene(scene).collect::<Vec<_>>())
    }

    /// The scene of the frame at `time` in its source, which was shown to it last.
    fn scene(&self, time: u64) -> u32 {
        match self {
            Self::Learnt(file) => file.scene_at(time),
            Self::Learning(learner) => learner.scene(),
        }
    }
}

/// What a mouth of the face's own is to show.
#[derive(Clone, Copy)]
pub struct Shown {
    shape: Shape,
    /// What speech asks for, as the person would do it.
    params: MouthParams,
    ticket: Ticket,
    /// Something is before the face.
    pub hidden: bool,
}

/// What is asked of the mouths in a frame.
pub struct Asked {
    pub params: MouthParams,
    pub strength: f32,
    pub time: gst::ClockTime,
    /// Seconds since the frame before.
    pub seconds: f32,
    /// Of the first face.
    pub shown: Option<Shown>,
    /// Something is before it, or will be.
    pub hidden: bool,
}

/// What a drawn mouth is still off what was asked.
pub struct Rest {
    /// The face as it is drawn.
    pub mesh: Mesh,
    pub params: MouthParams,
    /// How much is to be seen of what goes on from there.
    pub share: f32,
}

/// The face as it was drawn on last.
struct Last {
    track: u32,
    mesh: Mesh,
    mouth: usize,
    shape: Shape,
    glance: Glance,
    presence: Presence,
    /// Seconds since it was found.
    ago: f32,
}

/// A face with mouths of its own.
pub struct KnownFace {
    /// As the property names it.
    face_file: Option<PathBuf>,
    bank: Bank,
    /// Of each scene that was drawn.
    habits: HashMap<u32, Habits>,
    chooser: Chooser,
    own: OwnMouth,
    /// How much of the drawn mouth is seen: nothing while something is before the face.
    share: f32,
    shown: Option<Choice>,
    /// The mouth before the last cut, and frames since.
    fading: Option<(usize, usize)>,
    last: Option<Last>,
    /// Frames with a face that the face file did not know, while it knew none.
    strange: Option<u32>,
    /// The face file came while the one before was drawn from: until it knows a frame, nobody knows
    /// whether the face has changed yet.
    is_unconfirmed: bool,
    /// Frames that teach nothing, because they may still be of the face before.
    unsure: u32,
}

impl KnownFace {
    /// `face_file` is what was learnt of the face, if anything.
    pub fn new(face_file: Option<PathBuf>) -> Self {
        let bank = Bank::of(face_file.as_deref());
        Self {
            face_file,
            habits: HashMap::new(),
            strange: matches!(bank, Bank::Learnt(_)).then_some(0),
            bank,
            chooser: Chooser::default(),
            own: OwnMouth::default(),
            share: 1.0,
            shown: None,
            fading: None,
            last: None,
            is_unconfirmed: false,
            unsure: 0,
        }
    }

    /// The face that comes when another is announced: of the one before nothing is known any more.
    pub fn after(face_file: Option<PathBuf>) -> Self {
        gst::debug!(CAT, "Another face is announced: {face_file:?}");
        let new = Self::new(face_file);
        Self {
            is_unconfirmed: new.strange.is_some(),
            unsure: UNSURE,
            ..new
        }
    }

    pub fn face_file(&self) -> Option<&Path> {
        self.face_file.as_deref()
    }

    /// Forgets what was shown; what was learnt stays, and what was asked.
    pub fn forget_shown(&mut self) {
        self.chooser.interrupt();
        self.shown = None;
        self.fading = None;
        self.last = None;
    }

    /// Learns from a frame, which is at `time` in its source, and asks for its mouth. Tells whether
    /// it will get one, and whether something is before the face.
    pub fn ask(
        &mut self,
        frame: &Frame,
        face: &Face,
        time: u64,
        params: &MouthParams,
        strength: f32,
    ) -> Option<Shown> {
        self.learn(frame, face, time);
        if self.is_unconfirmed {
            return None;
        }
        let scene = self.bank.scene(time);
        let count = self.bank.of_scene(scene).count();
        let habits = self.habits.entry(scene).or_default();
        if habits.is_outdated(count) {
            *habits = self.bank.habits(scene);
        }
        if !habits.are_varied() {
            return None;
        }
        let held = bank::Held::of(frame, face.mesh.as_ref()?)?;
        let params = habits.adapted(params);
        let shape = habits.shape(&tamed(&params, strength));
        let hidden = habits.is_hidden(&held);
        let ticket = self.chooser.ask(
            self.bank.mouths(),
            &Ask {
                shape,
                held,
                scene,
                barred: 0..0,
            },
        );
        Some(Shown {
            shape,
            params,
            ticket,
            hidden,
        })
    }

    fn learn(&mut self, frame: &Frame, face: &Face, time: u64) {
        match &mut self.bank {
            Bank::Learning(_) if self.unsure > 0 => self.unsure -= 1,
            Bank::Learning(learner) => learner.look(frame, Some(face), time),
            Bank::Learnt(file) => {
                let Some(strange) = &mut self.strange else {
                    return;
                };
                if file.points_of(frame, time).is_some() {
                    gst::debug!(CAT, "The face file knows the frame at {time} ns");
                    self.strange = None;
                    self.is_unconfirmed = false;
                    return;
                }
                *strange += 1;
                if *strange >= STRANGE_AFTER {
                    gst::warning!(CAT, "The face file is of another video: it is not used");
                    self.strange = None;
                    self.is_unconfirmed = false;
                    self.start_anew();
                }
            }
        }
    }

    /// Nothing of what is known is of this face.
    fn start_anew(&mut self) {
        self.bank = Bank::learning();
        self.habits.clear();
        // What was asked is about mouths that are gone.
        self.chooser.reset();
        self.forget_shown();
    }

    /// The mouth for a frame that was asked about.
    pub fn decide(&mut self, shown: Shown) -> Option<Choice> {
        self.chooser.decide(self.bank.mouths(), shown.ticket)
    }

    /// Draws the chosen mouth onto the face of `track`. Tells what is left for the warp to do.
    pub fn draw(
        &mut self,
        frame: &mut FrameMut,
        (track, mesh): (u32, &Mesh),
        choice: Choice,
        asked: &Asked,
    ) -> Option<Rest> {
        let glance = Glance::of(&frame.as_ref(), mesh)?;
        let Shown { shape, params, .. } = asked.shown?;
        self.turn_to(choice, shape.opening, asked.hidden);
        let mut presence = Presence::default();
        if let Some(last) = self.last.take() {
            if glance.follows(&last.glance, last.ago + asked.seconds) {
                presence = last.presence;
            } else {
                gst::debug!(CAT, "A cut in the source at {}", asked.time);
                self.fading = None;
            }
        }
        let seen = self.share * presence.found(asked.seconds);
        self.last = Some(Last {
            track,
            mesh: mesh.clone(),
            mouth: choice.mouth,
            shape,
            glance,
            presence,
            ago: 0.0,
        });
        self.lay(frame, mesh, choice.mouth, shape, seen)?;
        let share = share_of_warp(self.off(choice.mouth, shape.opening));
        // Where the points came to lie is reckoned only if the warp goes on from there.
        (share > 0.0).then_some(())?;
        Some(Rest {
            mesh: self.own.drawn(&HeadFrame::of(mesh)?.0)?,
            params,
            share: share * seen,
        })
    }

    /// How far the mouth, bent, stays off what is asked.
    fn off(&self, mouth: usize, opening: f32) -> f32 {
        let mouth = self.bank.mouths().get(mouth);
        bank::unreached(mouth.map_or(0.0, |m| m.look.shape.opening), opening)
    }

    /// On the way behind something and out again, and from one run of mouths to the next.
    fn turn_to(&mut self, choice: Choice, opening: f32, hidden: bool) {
        let to = if hidden { 0.0 } else { 1.0 };
        match self.shown {
            Some(_) => self.share += (to - self.share).clamp(-CHANGE, CHANGE),
            None => self.share = to,
        }
        self.fading = match (self.shown, self.fading) {
            (Some(before), _) if !choice.follows => Some((before.mouth, 0)),
            (_, Some((mouth, frames))) => Some((mouth, frames + 1)),
            _ => None,
        };
        // Two mouths that don't have the same shape would be seen as two.
        self.fading = self
            .fading
            .filter(|(mouth, frames)| *frames < FADE.len() && self.off(*mouth, opening) < 0.01);
        self.shown = Some(choice);
    }

    /// `None` where nothing is drawn.
    fn lay(
        &mut self,
        frame: &mut FrameMut,
        mesh: &Mesh,
        mouth: usize,
        shape: Shape,
        seen: f32,
    ) -> Option<()> {
        let mouths = self.bank.mouths();
        let (source, mouth) = (self.bank.layout()?, mouths.get(mouth)?);
        if seen <= 0.0 {
            return None;
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
        let drawn = self.own.draw(frame, target, &layers, wanted, seen);
        gst::log!(
            CAT,
            "{} layers, frame {} with opening {:.3} for {:.3}, seen {seen:.2}, off {:?}",
            layers.len(),
            mouth.look.frame,
            mouth.look.shape.opening,
            shape.opening,
            drawn.map(|drawn| drawn.mismatch)
        );
        Some(())
    }

    /// Whether `hold` would draw.
    pub fn holds(&self) -> bool {
        self.last
            .as_ref()
            .is_some_and(|last| !last.presence.is_gone())
    }

    /// Draws onto a frame in which the face was not found, while `faces` were: for a moment it is
    /// taken to be where it was, then its mouth gives way to the source's own. A cut changes nothing.
    pub fn hold(&mut self, frame: &mut FrameMut, faces: &[Face], asked: &Asked) {
        self.chooser.interrupt();
        let Some(mut last) = self.last.take() else {
            return;
        };
        last.ago += asked.seconds;
        let now = last.glance.again(&frame.as_ref());
        let other =
            |face: &Face| face.id != last.track && face.bounds.iou(&last.mesh.bounds()) > 0.3;
        if !now.follows(&last.glance, last.ago) || faces.iter().any(other) {
            last.presence.cut();
        }
        let seen = last.presence.missed(asked.seconds);
        self.lay(frame, &last.mesh, last.mouth, last.shape, self.share * seen);
        self.last = Some(last);
    }
}
