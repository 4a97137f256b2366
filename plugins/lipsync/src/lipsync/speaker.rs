//! Draws what one voice says, with a network of kind `mouth-shape`: from the person's own mouths,
//! where there are any, and else by a warp of the frame.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::known_face::{Asked, KnownFace, Shown};
use super::lateness::LastShape;
use crate::audio::Timeline;
use crate::bank::Choice;
use crate::face::{Face, Mesh};
use crate::model::{self, MouthParams};
use crate::picture::frame::{Frame, FrameMut};
use crate::render::MouthRenderer;

/// Renderers of tracks that were not seen for so long are forgotten.
const FORGET_AFTER: gst::ClockTime = gst::ClockTime::from_seconds(10);

/// Renderers by track, with the time at which its face was last found.
type Renderers = BTreeMap<u32, (MouthRenderer, gst::ClockTime)>;

/// What a mouth is to be in a frame.
#[derive(Clone, Copy, Default)]
pub struct MouthTarget {
    pub params: MouthParams,
    /// What was asked of the face's own mouths, if anything was.
    pub shown: Option<Shown>,
}

impl MouthTarget {
    /// Something is before the face.
    pub fn is_hidden(&self) -> bool {
        self.shown.is_some_and(|shown| shown.hidden)
    }
}

/// Whoever speaks with one voice.
pub struct Speaker {
    network: model::MouthShape,
    renderers: Renderers,
    /// The first of its faces is drawn from its own mouths.
    known: KnownFace,
    /// For frames whose speech has not come.
    shape: LastShape,
}

impl Speaker {
    /// `face_file` is what was learnt of the face, if anything.
    pub fn new(network: model::MouthShape, face_file: Option<PathBuf>) -> Self {
        Self {
            network,
            renderers: Renderers::new(),
            known: KnownFace::new(face_file),
            shape: LastShape::default(),
        }
    }

    pub fn face_file(&self) -> Option<&Path> {
        self.known.face_file()
    }

    /// Another face comes.
    pub fn change_face(&mut self, face_file: Option<PathBuf>) {
        self.known = KnownFace::after(face_file);
        self.renderers.clear();
    }

    /// Forgets the pictures; what was learnt stays.
    pub fn reset(&mut self) {
        self.leave();
        self.shape = LastShape::default();
    }

    /// Nothing is held over a frame that stays as it is.
    pub fn leave(&mut self) {
        self.known.forget_shown();
        self.renderers.clear();
    }

    /// The mouth at `speech` of a frame `seconds` after the one before.
    pub fn hear(
        &mut self,
        timeline: &Timeline,
        speech: i64,
        seconds: f32,
    ) -> Result<MouthParams, model::Error> {
        let params = self.network.params_at(timeline, speech, None)?;
        Ok(self.shape.or_eased(params, seconds))
    }

    /// Shows a frame, which is at `time` in its source, to the known face, and asks for a mouth.
    pub fn ask(
        &mut self,
        frame: &Frame,
        face: &Face,
        time: u64,
        params: &MouthParams,
        strength: f32,
    ) -> Option<Shown> {
        self.known.ask(frame, face, time, params, strength)
    }

    /// The mouth for a frame that was asked about.
    pub fn decide(&mut self, target: MouthTarget) -> Option<Choice> {
        target.shown.and_then(|shown| self.known.decide(shown))
    }

    /// Whether something is drawn onto a frame without its face.
    pub fn holds(&self) -> bool {
        let mut renderers = self.renderers.values();
        self.known.holds() || renderers.any(|(renderer, _)| renderer.holds())
    }

    /// The face is not there, and nothing is held.
    pub fn rest(&mut self) {
        self.known.forget_shown();
    }

    /// Draws onto those of `faces` that are its own.
    pub fn render(
        &mut self,
        frame: &mut FrameMut,
        faces: &[Face],
        own: &[usize],
        choice: Option<Choice>,
        asked: &Asked,
    ) {
        let mut found = own
            .iter()
            .filter_map(|index| faces.get(*index))
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

fn warp(
    renderers: &mut Renderers,
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
