//! Frames on their way through a network of kind `mouth-shape`: each waits for some that come after
//! it, so that the mouths are chosen well, and is then drawn by whoever speaks in it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering::Relaxed;

use super::cast::{Each, VoiceId};
use super::category::CAT;
use super::frames::Frames;
use super::held::{Held, Release};
use super::known_face::Asked;
use super::progress::{Counters, timed};
use super::settings::Settings;
use super::speaker::{MouthTarget, Speaker};
use super::voice::{self, Voice};
use crate::model;
use crate::{source_time, video};

/// A frame that waits for what comes after it.
struct Pending {
    held: Held,
    /// What each of the voices that want something of it wants its mouth to be.
    targets: Each<MouthTarget>,
}

impl Pending {
    /// Whether something is before the face of a voice.
    fn hides(&self, voice: VoiceId) -> bool {
        let mut targets = self.held.wanted.iter().zip(&self.targets);
        targets.any(|(wanted, target)| wanted.voice == voice && target.is_hidden())
    }
}

/// A network with those who speak by it.
pub struct MouthShapeBackend {
    /// What every speaker has one of.
    network: model::MouthShape,
    speakers: BTreeMap<VoiceId, Speaker>,
    pending: VecDeque<Pending>,
    look_ahead: usize,
    /// Time of the last frame that was taken in.
    last_taken: Option<gst::ClockTime>,
    /// Time of the last frame that was drawn.
    last: Option<gst::ClockTime>,
}

impl MouthShapeBackend {
    /// `look_ahead` are the frames that are held back to choose mouths well.
    pub fn new(network: model::MouthShape, look_ahead: usize) -> Self {
        Self {
            network,
            speakers: BTreeMap::new(),
            pending: VecDeque::new(),
            look_ahead,
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
        self.pending.clear();
        self.speakers.values_mut().for_each(Speaker::reset);
        self.last_taken = None;
        self.last = None;
    }

    /// Takes frames and gives those that are drawn.
    pub fn draw(
        &mut self,
        batch: Vec<Held>,
        release: Release,
        voices: &[Voice],
        frames: &mut Frames,
        settings: &Settings,
        counters: &Counters,
    ) -> Result<Vec<Held>, model::Error> {
        let mut done = self.renew_speakers(voices, frames, settings, counters);
        for held in batch {
            self.take(held, voices, frames, counters)?;
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

    /// Sees to it that there is one speaker to each voice, who knows the face that its pad names. Gives the
    /// frames that others have begun.
    fn renew_speakers(
        &mut self,
        voices: &[Voice],
        frames: &mut Frames,
        settings: &Settings,
        counters: &Counters,
    ) -> Vec<Held> {
        let mut done = Vec::new();
        let settings_of: Vec<_> = voices
            .iter()
            .map(|voice| (voice.id, voice.settings(settings)))
            .collect();
        let is_other = |(id, speaker): (&VoiceId, &Speaker)| {
            let settings = settings_of.iter().find(|(voice, _)| voice == id);
            settings.is_none_or(|(_, s)| s.face_file.as_deref() != speaker.face_file())
        };
        if self.speakers.iter().any(is_other) {
            // What was chosen for those that wait is of the old one.
            while !self.pending.is_empty() {
                done.extend(self.finish(frames, counters));
            }
        }
        self.speakers
            .retain(|id, _| settings_of.iter().any(|(voice, _)| voice == id));
        for (id, settings) in settings_of {
            let face_file = settings.face_file.as_deref();
            let speaker = self.speakers.entry(id).or_insert_with(|| {
                let network = self.network.for_another_speech();
                Speaker::new(network, face_file.map(Into::into))
            });
            if speaker.face_file() != face_file {
                speaker.change_face(face_file.map(Into::into));
            }
        }
        done
    }

    /// Takes a frame in: what it shows, and what its mouths are to be.
    fn take(
        &mut self,
        held: Held,
        voices: &[Voice],
        frames: &Frames,
        counters: &Counters,
    ) -> Result<(), model::Error> {
        let mut targets = Each::from_elem(MouthTarget::default(), held.wanted.len());
        if let Some(time) = held.time {
            let before = self.last_taken.replace(time).unwrap_or(time);
            let seconds = time.saturating_sub(before).nseconds() as f32 * 1e-9;
            for (target, wanted) in targets.iter_mut().zip(&held.wanted) {
                let speaker = self.speakers.get_mut(&wanted.voice);
                let Some((speaker, voice)) = speaker.zip(voice::find(voices, wanted.voice)) else {
                    continue;
                };
                target.params = timed(&counters.inference_time, || {
                    speaker.hear(voice.timeline(), wanted.speech, seconds)
                })?;
                gst::trace!(
                    CAT,
                    obj = voice.pad,
                    "{time}: the speech at {} ns says {:?}",
                    wanted.speech,
                    target.params
                );
            }
            if held.passthrough {
                // Nobody looks for a face on it.
            } else if held.has_a_face(|face| face.mesh.is_some()) {
                timed(&counters.render_time, || {
                    self.ask(&held, &mut targets, frames.info());
                });
            } else {
                counters.frames_without_face.fetch_add(1, Relaxed);
            }
        }
        self.pending.push_back(Pending { held, targets });
        Ok(())
    }

    /// Shows the frame to the known faces, and asks for mouths.
    fn ask(&mut self, held: &Held, targets: &mut [MouthTarget], info: &gst_video::VideoInfo) {
        let Ok(mapped) = gst_video::VideoFrameRef::from_buffer_ref_readable(&held.buffer, info)
        else {
            return;
        };
        let frame = video::frame(&mapped);
        let time = source_time::of(&held.buffer).or(held.time);
        let time = time.unwrap_or_default().nseconds();
        for (target, wanted) in targets.iter_mut().zip(&held.wanted) {
            let mut faces = wanted.faces.iter().filter_map(|i| held.faces.get(*i));
            let face = faces.find(|face| face.mesh.is_some());
            if let Some((speaker, face)) = self.speakers.get_mut(&wanted.voice).zip(face) {
                target.shown = speaker.ask(&frame, face, time, &target.params, wanted.strength);
            }
        }
    }

    /// Draws the oldest frame that waits.
    fn finish(&mut self, frames: &mut Frames, counters: &Counters) -> Option<Held> {
        let Pending { mut held, targets } = self.pending.pop_front()?;
        let Some(time) = held.time else {
            return Some(held);
        };
        let since = time.saturating_sub(self.last.replace(time).unwrap_or(time));
        if held.passthrough {
            self.speakers.values_mut().for_each(Speaker::leave);
            return Some(held);
        }
        let Held {
            buffer,
            faces,
            wanted,
            ..
        } = &mut held;
        timed(&counters.render_time, || {
            let mut drawing = Vec::with_capacity(wanted.len());
            for (wanted, target) in wanted.iter().zip(targets) {
                let Some(speaker) = self.speakers.get_mut(&wanted.voice) else {
                    continue;
                };
                let found = |index: &usize| faces.get(*index).is_some_and(|f| f.mesh.is_some());
                if !wanted.faces.iter().any(found) && !speaker.holds() {
                    speaker.rest();
                    continue;
                }
                let choice = speaker.decide(target);
                let asked = Asked {
                    params: target.params,
                    strength: wanted.strength,
                    time,
                    seconds: since.nseconds() as f32 * 1e-9,
                    shown: target.shown,
                    // It is known some frames before, so that the mouth fades in time.
                    hidden: target.is_hidden()
                        || self.pending.iter().any(|p| p.hides(wanted.voice)),
                };
                drawing.push((wanted, choice, asked));
            }
            if drawing.is_empty() {
                return;
            }
            frames.draw(buffer, |frame| {
                for (wanted, choice, asked) in drawing {
                    if let Some(speaker) = self.speakers.get_mut(&wanted.voice) {
                        speaker.render(frame, faces, &wanted.faces, choice, &asked);
                    }
                }
            });
        });
        Some(held)
    }
}
