//! The loaded model at work: speech in, mouths out.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use super::flow::Release;
use super::frames::Frames;
use super::generator::GeneratorBackend;
use super::imp::{CAT, SAMPLE_RATE};
use super::mouth_shape::MouthShapeBackend;
use super::progress::Counters;
use super::settings::{DEFAULT_BATCH, Settings};
use super::stream::Held;
use crate::audio::Timeline;
use crate::audio::mixdown::Mixdown;
use crate::model::{self, Kind, Model, Network};
use crate::runtime::{self, Interrupt, Sharing};

/// Columns that are kept before those that the last frame needed, for frames that come out of order and an
/// `audio-offset` that changes: about its range.
const KEPT_COLUMNS: i64 = 1000;

/// A network with the speech it hears and what it knows about the faces it draws on.
pub struct Animator {
    timeline: Timeline,
    backend: Backend,
    provider: runtime::Provider,
    fallback: Option<String>,
    batch: usize,
    lookahead: gst::ClockTime,
    /// The front end without which the default model is not the best one.
    lacking: Option<PathBuf>,
    samples: Vec<f32>,
    /// Of several channels.
    mixed: Vec<f32>,
    mixdown: Mixdown,
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
        let timeline = Timeline::new(network.mel());
        let provider = network.session().provider;
        if let Some(reason) = &network.session().fallback {
            gst::info!(CAT, "The model runs on the CPU: {reason}");
        }
        let fallback = network.session().fallback.clone();
        let lookahead = gst::ClockTime::from_nseconds(network.look_ahead_ns());
        let (backend, batch) = match network {
            // Its network runs ahead in blocks of its own; holding frames back would gain nothing.
            Network::MouthShape(network) => {
                let face_file = settings.face_file.clone();
                let look_ahead = settings.look_ahead as usize;
                let backend = MouthShapeBackend::new(*network, face_file, look_ahead);
                (Backend::MouthShape(Box::new(backend)), 1)
            }
            Network::Generator(network) => {
                let batch = network.batch_size();
                let backend = GeneratorBackend::new(network, interrupt.clone())?;
                (Backend::Generator(Box::new(backend)), batch)
            }
        };
        Ok(Self {
            timeline,
            backend,
            provider,
            fallback,
            batch,
            lookahead,
            lacking: model.lacking().map(Path::to_owned),
            samples: Vec::new(),
            mixed: Vec::new(),
            mixdown: Mixdown::default(),
        })
    }

    pub fn provider(&self) -> runtime::Provider {
        self.provider
    }

    /// Why the provider is not the first that `auto` tried.
    pub fn fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
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

    /// Whether channels of the speech have cancelled each other so far.
    pub fn channels_cancel(&self) -> bool {
        self.mixdown.has_cancelled()
    }

    /// Adds speech (little-endian floats of so many channels) whose first sample lies at `position`
    /// since running time zero, or follows what was there.
    pub fn push_speech(&mut self, position: Option<i64>, bytes: &[u8], channels: usize) {
        self.samples.clear();
        let samples = bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        // One bad sample would spoil every window it is in.
        self.samples.extend(samples.map(|s| {
            if s.is_finite() {
                s.clamp(-4.0, 4.0)
            } else {
                0.0
            }
        }));
        let position = position.or(self.timeline.end_position()).unwrap_or(0);
        if channels > 1 {
            self.mixed.clear();
            self.mixdown.mix(&self.samples, channels, &mut self.mixed);
            self.timeline.push(position, &self.mixed);
        } else {
            self.timeline.push(position, &self.samples);
        }
    }

    /// Says that there is no sound from `start` to `end`, in samples.
    pub fn speech_gap(&mut self, start: i64, end: i64) {
        self.timeline
            .push_gap(start, end.saturating_sub(start).max(0) as u64);
    }

    pub fn finish_speech(&mut self) {
        self.timeline.finish();
    }

    /// Whether a frame whose speech is at `ns` can be drawn.
    pub fn has_speech_for(&self, ns: i64) -> bool {
        self.columns(ns).end <= self.timeline.available_until()
    }

    /// The columns that a frame whose speech is at `ns` is made of.
    fn columns(&self, ns: i64) -> Range<i64> {
        match &self.backend {
            Backend::MouthShape(backend) => backend.columns(ns),
            Backend::Generator(generator) => generator.columns(ns),
        }
    }

    /// Running time in nanoseconds up to which there is speech.
    pub fn speech_until(&self) -> i64 {
        let samples = self.timeline.end_position().unwrap_or(0);
        (i128::from(samples) * 1_000_000_000 / i128::from(SAMPLE_RATE)) as i64
    }

    pub fn reset_speech(&mut self) {
        self.mixdown = Mixdown::default();
        self.timeline.reset();
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
        frames: &mut Frames,
        settings: &Settings,
        counters: &Counters,
    ) -> Result<Vec<Held>, model::Error> {
        let last = batch.iter().filter(|held| held.time.is_some());
        let last = last.map(|held| held.wanted.speech).max();
        let drawn = match &mut self.backend {
            Backend::MouthShape(backend) => {
                backend.draw(batch, release, &self.timeline, frames, settings, counters)?
            }
            Backend::Generator(generator) => {
                generator.draw(batch, release, &self.timeline, frames, counters)?
            }
        };
        if let Some(speech) = last {
            let needed = self.columns(speech);
            self.timeline.forget_before(needed.start - KEPT_COLUMNS);
        }
        Ok(drawn)
    }
}

/// Adds the time that `work` takes, in nanoseconds.
pub fn timed<R>(counter: &AtomicU64, work: impl FnOnce() -> R) -> R {
    let started = Instant::now();
    let result = work();
    counter.fetch_add(started.elapsed().as_nanos() as u64, Relaxed);
    result
}

/// The word for `error` in the details of a message, for programs.
pub fn error_kind(error: &model::Error) -> &'static str {
    match error {
        model::Error::Missing(_)
        | model::Error::WeightsMissing { .. }
        | model::Error::FrontMissing { .. } => "model-missing",
        model::Error::Unreadable { .. } => "model-unreadable",
        model::Error::Corrupt { .. } => "model-corrupt",
        model::Error::Mismatch(_) | model::Error::Output { .. } => "model-shape",
        model::Error::ManifestSyntax { .. } | model::Error::ManifestValue { .. } => {
            "model-manifest"
        }
        model::Error::Runtime(error) => error.word(),
    }
}

/// The file that `error` is about.
pub fn error_path(error: &model::Error) -> Option<&Path> {
    match error {
        model::Error::Missing(path)
        | model::Error::WeightsMissing { weights: path, .. }
        | model::Error::FrontMissing { front: path, .. }
        | model::Error::Unreadable { path, .. }
        | model::Error::Corrupt { path, .. }
        | model::Error::ManifestSyntax { path, .. }
        | model::Error::ManifestValue { path, .. } => Some(path),
        model::Error::Runtime(error) => error.path(),
        _ => None,
    }
}
