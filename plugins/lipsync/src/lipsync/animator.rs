//! The loaded model at work: voices in, mouths out.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cast::VoiceId;
use super::category::CAT;
use super::frames::Frames;
use super::generator::GeneratorBackend;
use super::held::{Held, Release};
use super::mouth_shape::MouthShapeBackend;
use super::progress::Counters;
use super::settings::{DEFAULT_BATCH, Settings};
use super::voice::Voice;
use crate::audio::MelSpec;
use crate::loading;
use crate::model::{self, Kind, Model, Network};
use crate::runtime::{self, Interrupt, Sharing};

/// A network with what it knows about the faces it draws on.
pub struct Animator {
    mel: MelSpec,
    backend: Backend,
    place: String,
    batch: usize,
    lookahead: gst::ClockTime,
    /// The front end without which the default model is not the best one.
    lacking: Option<PathBuf>,
}

enum Backend {
    MouthShape(Box<MouthShapeBackend>),
    Generator(Box<GeneratorBackend>),
}

impl Animator {
    /// Loads the model that `settings` name and runs it once.
    pub fn load(settings: &Settings, interrupt: &Arc<Interrupt>) -> Result<Self, model::Error> {
        let model = Model::resolve(settings.model_file.as_deref())?;
        let kind = model.manifest().map(model::Manifest::kind);
        let threads = match (settings.threads, kind) {
            (0, Some(Kind::MouthShape)) => 1,
            (threads, _) => threads,
        };
        let options = runtime::Options {
            provider: settings.execution_provider.parse()?,
            device: settings.device,
            threads,
            // Small enough for each pipeline to have its own.
            sharing: match (&settings.model_instance_id, kind) {
                (Some(name), _) => Sharing::instance(name),
                (None, Some(Kind::MouthShape)) => Sharing::Own,
                (None, _) => Sharing::Shared,
            },
        };
        let batch = match settings.batch_size {
            0 => DEFAULT_BATCH,
            batch => batch as usize,
        };
        let mut network = model.open(options, settings.look.into(), batch)?;
        network.warm_up(None)?;
        let mel = network.mel().clone();
        let place = loading::place(network.sessions());
        gst::info!(CAT, "{} runs on {place}", model.name());
        let lookahead = gst::ClockTime::from_nseconds(network.look_ahead_ns());
        let (backend, batch) = match network {
            // Its network runs ahead in blocks of its own; holding frames back would gain nothing.
            Network::MouthShape(network) => {
                let backend = MouthShapeBackend::new(*network, settings.look_ahead as usize);
                (Backend::MouthShape(Box::new(backend)), 1)
            }
            Network::Generator(network) => {
                let batch = network.batch_size();
                let backend = GeneratorBackend::new(network, interrupt.clone())?;
                (Backend::Generator(Box::new(backend)), batch)
            }
        };
        Ok(Self {
            mel,
            backend,
            place,
            batch,
            lookahead,
            lacking: model.lacking().map(Path::to_owned),
        })
    }

    /// What the model runs on, for people.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Frames that are drawn at once.
    pub fn batch_size(&self) -> usize {
        self.batch
    }

    /// Frames that are kept back after they were drawn.
    pub fn frames_kept(&self) -> usize {
        match &self.backend {
            Backend::MouthShape(backend) => backend.look_ahead(),
            Backend::Generator(_) => self.batch,
        }
    }

    /// The front end that is not there, where a better default model would hear with it.
    pub fn lacking(&self) -> Option<&Path> {
        self.lacking.as_deref()
    }

    /// Running time of the frame that has been kept longest.
    pub fn oldest(&self) -> Option<gst::ClockTime> {
        match &self.backend {
            Backend::MouthShape(backend) => backend.oldest(),
            Backend::Generator(generator) => generator.oldest(),
        }
    }

    /// How much speech beyond its own time a frame may wait for.
    pub fn lookahead(&self) -> gst::ClockTime {
        self.lookahead
    }

    /// How speech is to be made out for it.
    pub fn mel(&self) -> &MelSpec {
        &self.mel
    }

    /// Whether faces can be drawn only where their points are known.
    pub fn needs_points(&self) -> bool {
        matches!(self.backend, Backend::MouthShape(_))
    }

    /// Whether a frame whose speech is at `ns` can be drawn.
    pub fn has_speech_for(&self, voice: &Voice, ns: i64) -> bool {
        self.columns(ns).end <= voice.timeline().available_until()
    }

    /// The columns that a frame whose speech is at `ns` is made of.
    fn columns(&self, ns: i64) -> Range<i64> {
        match &self.backend {
            Backend::MouthShape(backend) => backend.columns(ns),
            Backend::Generator(generator) => generator.columns(ns),
        }
    }

    pub fn reset_video(&mut self) {
        match &mut self.backend {
            Backend::MouthShape(backend) => backend.reset(),
            Backend::Generator(generator) => generator.reset(),
        }
    }

    /// Draws the mouths into the frames of a batch. Some of them, and of later ones, may be kept for
    /// a while; `release` says which are given back.
    pub fn draw(
        &mut self,
        batch: Vec<Held>,
        release: Release,
        voices: &mut [Voice],
        frames: &mut Frames,
        settings: &Settings,
        counters: &Counters,
    ) -> Result<Vec<Held>, model::Error> {
        let timed = batch.iter().filter(|held| held.time.is_some());
        let wanted = timed.flat_map(|held| &held.wanted);
        let mut last: BTreeMap<VoiceId, i64> = BTreeMap::new();
        for wanted in wanted {
            let last = last.entry(wanted.voice).or_insert(wanted.speech);
            *last = wanted.speech.max(*last);
        }
        let drawn = match &mut self.backend {
            Backend::MouthShape(backend) => {
                backend.draw(batch, release, voices, frames, settings, counters)?
            }
            Backend::Generator(generator) => {
                generator.draw(batch, release, voices, frames, counters)?
            }
        };
        for voice in voices {
            if let Some(speech) = last.get(&voice.id) {
                voice.forget_before(self.columns(*speech).start);
            }
        }
        Ok(drawn)
    }
}
