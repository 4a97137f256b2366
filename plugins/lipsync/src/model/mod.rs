//! Models: manifests and one file per model kind. No GStreamer types here.

mod bind;
mod builtin;
mod check;
mod error;
mod generator;
mod kind;
mod manifest;
mod mouth_shape;
mod mouth_spec;
mod params;
mod scheduler;

use std::ops::Range;
use std::path::{Path, PathBuf};

pub use builtin::{DEFAULT, bundled, embedded, weights_dir};
pub use check::{CheckReport, Expected};
pub use error::Error;
pub use generator::{Batch, Generator};
pub use kind::Kind;
pub use manifest::{
    BoxPadding, Channels, GeneratorInputs, GeneratorSpec, Manifest, NetworkSpec, Packing,
    PaddingUnit,
};
pub use mouth_shape::MouthShape;
pub use mouth_spec::{FrontSpec, Look, MouthShapeSpec, WholeSpec};
pub use params::{JAW_OF_OPENING, MouthParams, Parameter};

use crate::audio::MelSpec;
use crate::runtime::{self, Interrupt, Options, Session, Sharing};
use bind::{Binding, Tensors};
use builtin::{BUNDLED, EMBEDDED, Embedded, HEARING, MOUTH};

/// A model that was found: its weights, and its manifest where it has one.
#[derive(Clone, Debug)]
pub struct Model {
    name: String,
    manifest: Option<Manifest>,
    stream: Weights,
    /// Of the second look, where the manifest has one.
    whole: Option<Weights>,
    front: Option<PathBuf>,
    /// The front end that a better model would have needed.
    lacking: Option<PathBuf>,
}

/// Where a network comes from.
#[derive(Clone, Debug)]
pub enum Weights {
    /// Built into the binary.
    Embedded(&'static [u8]),
    /// In this file.
    File(PathBuf),
}

/// A network that is ready to run.
pub enum Network {
    /// Paints the lower face.
    Generator(Generator),
    /// Gives the parameters of a mouth.
    MouthShape(Box<MouthShape>),
}

impl Model {
    /// Finds a model; loads nothing. None or `default` is the best embedded one that can run, a
    /// `.toml` file is a manifest with its weights beside it, any other file is an ONNX file whose
    /// kind the shapes tell, and a name is that of an embedded model or of a bundled manifest, whose
    /// weights are looked for in [`weights_dir`].
    pub fn resolve(model_file: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = model_file.filter(|p| *p != Path::new(DEFAULT)) else {
            return match Self::embedded(&HEARING) {
                Err(Error::FrontMissing { front, .. }) => Ok(Self {
                    lacking: Some(front),
                    ..Self::embedded(&MOUTH)?
                }),
                other => other,
            };
        };
        if path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("toml"))
        {
            let manifest = Manifest::read(path)?;
            let folder = path.parent().unwrap_or(Path::new(""));
            return Self::with_weights(manifest, path.display().to_string(), folder);
        }
        if !path.exists() {
            if let Some(model) = EMBEDDED.iter().find(|model| Path::new(model.name) == path) {
                return Self::embedded(model);
            }
            if let Some((name, text)) = BUNDLED.iter().find(|(name, _)| Path::new(name) == path) {
                let manifest = Manifest::parse(&Path::new(name).with_extension("toml"), text)?;
                return Self::with_weights(manifest, (*name).to_string(), &weights_dir());
            }
        }
        readable(path)?;
        Ok(Self {
            name: path.display().to_string(),
            manifest: None,
            stream: Weights::File(path.into()),
            whole: None,
            front: None,
            lacking: None,
        })
    }

    fn embedded(model: &Embedded) -> Result<Self, Error> {
        let manifest = model.manifest()?;
        let front = front_of(&manifest, model.name, &weights_dir())?;
        Ok(Self {
            name: model.name.into(),
            stream: Weights::Embedded(model.weights(Look::Stream)),
            whole: has_whole(&manifest).then(|| Weights::Embedded(model.weights(Look::Whole))),
            manifest: Some(manifest),
            front,
            lacking: None,
        })
    }

    fn with_weights(manifest: Manifest, name: String, folder: &Path) -> Result<Self, Error> {
        let weights = |look| {
            let path = folder.join(manifest.file(look));
            match readable(&path) {
                Ok(()) => Ok(Weights::File(path)),
                Err(Error::Missing(weights)) => Err(Error::WeightsMissing {
                    manifest: name.clone(),
                    weights,
                    source_text: manifest.source.clone(),
                }),
                Err(other) => Err(other),
            }
        };
        let stream = weights(Look::Stream)?;
        let whole = has_whole(&manifest)
            .then(|| weights(Look::Whole))
            .transpose()?;
        let front = front_of(&manifest, &name, folder)?;
        let name = match &stream {
            Weights::File(path) => path.display().to_string(),
            Weights::Embedded(_) => name,
        };
        Ok(Self {
            name,
            manifest: Some(manifest),
            stream,
            whole,
            front,
            lacking: None,
        })
    }

    /// All that the network's answers depend on besides its manifest.
    pub fn parts(&self) -> impl Iterator<Item = Weights> + '_ {
        let front = self.front.iter().cloned().map(Weights::File);
        [&self.stream]
            .into_iter()
            .chain(&self.whole)
            .cloned()
            .chain(front)
    }

    /// The manifest that came with the model; a bare ONNX file has none.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// The front end that is not there: with it, the default would be a better model.
    pub fn lacking(&self) -> Option<&Path> {
        self.lacking.as_deref()
    }

    /// What messages call it: the file, or the name of an embedded model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Loads the model and makes it ready to run; `batch` is how many frames a generator takes at
    /// once.
    pub fn open(&self, options: Options, look: Look, batch: usize) -> Result<Network, Error> {
        let (bound, _) = self.bind(options, look)?.map_err(Error::Mismatch)?;
        Ok(bound.network(batch, options.sharing))
    }

    /// Loads the model, says whether it fits and, if so, tries each of its looks once. An error means
    /// that it can't be loaded at all.
    pub fn check(&self, options: Options) -> Result<CheckReport, Error> {
        let mut report = self.check_look(options, Look::Stream)?;
        if report.fits() && self.whole.is_some() {
            let whole = self.check_look(options, Look::Whole)?;
            report.inputs.extend(whole.inputs);
            report.outputs.extend(whole.outputs);
            report.expected.extend(whole.expected);
            report.reasons = whole.reasons;
        }
        Ok(report)
    }

    fn check_look(&self, options: Options, look: Look) -> Result<CheckReport, Error> {
        let (bound, mut report) = match self.bind(options, look)? {
            Ok(bound) => bound,
            Err(report) => return Ok(*report),
        };
        if let Err(error) = bound.network(1, options.sharing).warm_up(None) {
            report.reasons.push(error.to_string());
        }
        Ok(report)
    }

    fn load(&self, options: Options, look: Look) -> Result<Session, Error> {
        let (weights, name) = match (&self.whole, look) {
            (Some(whole), Look::Whole) => (whole, format!("{}-whole", self.name)),
            _ => (&self.stream, self.name.clone()),
        };
        Ok(match weights {
            Weights::Embedded(bytes) => runtime::load_bytes(&name, bytes, options)?,
            Weights::File(path) => runtime::load(path, options)?,
        })
    }

    /// Loads what the model is made of and binds it; what does not fit is no error here.
    fn bind(&self, options: Options, look: Look) -> Result<Fit, Error> {
        let session = self.load(options, look)?;
        let front = match (&self.front, &self.manifest) {
            (Some(path), Some(manifest)) => manifest
                .front
                .clone()
                .map(|spec| Ok::<_, Error>((spec, runtime::load(path, options)?)))
                .transpose()?,
            _ => None,
        };
        let (mel, network) = match &self.manifest {
            Some(manifest) => (manifest.mel.clone(), manifest.network.seen(look)),
            None => match bind::infer(&self.name, Tensors::of(&session)) {
                Ok(network) => (MelSpec::default(), network),
                Err(report) => return Ok(Err(report)),
            },
        };
        let of_front = front
            .as_ref()
            .map(|(spec, front)| (spec, Tensors::of(front)));
        let bound = bind::bind(
            self.name.clone(),
            &network,
            &mel,
            Tensors::of(&session),
            of_front,
        );
        Ok(bound.map(|(binding, report)| {
            let bound = Bound {
                session,
                front,
                mel,
                binding,
            };
            (bound, report)
        }))
    }
}

type Fit = Result<(Bound, CheckReport), Box<CheckReport>>;

/// Sessions whose inputs and outputs are known.
struct Bound {
    session: Session,
    front: Option<(FrontSpec, Session)>,
    mel: MelSpec,
    binding: Binding,
}

impl Bound {
    fn network(self, batch: usize, sharing: Sharing) -> Network {
        let Self {
            session,
            front,
            mel,
            binding,
        } = self;
        match binding {
            Binding::Generator(spec, bound) => {
                Network::Generator(Generator::new(session, mel, spec, bound, batch, sharing))
            }
            Binding::MouthShape(spec, bound) => {
                Network::MouthShape(Box::new(MouthShape::new(session, front, mel, spec, bound)))
            }
        }
    }
}

fn has_whole(manifest: &Manifest) -> bool {
    manifest.file(Look::Whole) != manifest.file(Look::Stream)
}

/// The front end of a manifest in `folder`, if it has one.
fn front_of(manifest: &Manifest, name: &str, folder: &Path) -> Result<Option<PathBuf>, Error> {
    let Some(spec) = &manifest.front else {
        return Ok(None);
    };
    let fetched = weights_dir().join(&spec.file);
    for path in [folder.join(&spec.file), fetched.clone()] {
        match readable(&path) {
            Ok(()) => return Ok(Some(path)),
            Err(Error::Missing(_)) => {}
            Err(other) => return Err(other),
        }
    }
    Err(Error::FrontMissing {
        manifest: name.into(),
        front: fetched,
    })
}

impl Network {
    /// What it makes of the speech.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Generator(_) => Kind::Generator,
            Self::MouthShape(_) => Kind::MouthShape,
        }
    }

    /// The features that the network wants to see.
    pub fn mel(&self) -> &MelSpec {
        match self {
            Self::Generator(network) => network.mel(),
            Self::MouthShape(network) => network.mel(),
        }
    }

    /// The session it runs on; other networks may share it.
    pub fn session(&self) -> &Session {
        match self {
            Self::Generator(network) => network.session(),
            Self::MouthShape(network) => network.session(),
        }
    }

    /// The session it runs on, and that of its front end.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        let front = match self {
            Self::Generator(_) => None,
            Self::MouthShape(network) => network.front(),
        };
        [self.session()].into_iter().chain(front)
    }

    /// The columns that a frame at running time `ns` is made of.
    pub fn columns(&self, ns: i64) -> Range<i64> {
        match self {
            Self::Generator(network) => network.columns(ns),
            Self::MouthShape(network) => network.columns(ns),
        }
    }

    /// The most speech, in nanoseconds, that a frame may wait for beyond its own time.
    pub fn look_ahead_ns(&self) -> u64 {
        match self {
            Self::Generator(network) => network.look_ahead_ns(),
            Self::MouthShape(network) => network.look_ahead_ns(),
        }
    }

    /// Runs once on nothing: the first real run is then as fast as all others, and a network that
    /// breaks the shapes it declares is found out.
    pub fn warm_up(&mut self, stop: Option<&Interrupt>) -> Result<(), Error> {
        match self {
            Self::Generator(network) => network.warm_up(stop),
            Self::MouthShape(network) => network.warm_up(stop),
        }
    }
}

/// Whether `path` is a file that can be read.
fn readable(path: &Path) -> Result<(), Error> {
    Ok(runtime::check_file(path)?)
}

/// Nanoseconds that `samples` last, rounded up.
fn duration_ns(samples: i64, spec: &MelSpec) -> u64 {
    (samples.max(0) as u64 * 1_000_000_000).div_ceil(u64::from(spec.sample_rate))
}

#[cfg(test)]
mod tests;
