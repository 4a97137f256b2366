//! Models: manifests and one file per model kind. No GStreamer types here.

mod check;
mod generator;
mod manifest;
mod mouth_shape;
mod params;

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use check::{CheckReport, Expected};
pub use generator::{Batch, Generator};
pub use manifest::{
    BoxPadding, Channels, GeneratorInputs, GeneratorSpec, Kind, Manifest, MouthShapeSpec,
    NetworkSpec, Packing, PaddingUnit,
};
pub use mouth_shape::MouthShape;
pub use params::{JAW_OF_OPENING, MouthParams, Parameter};

use crate::audio::MelSpec;
use crate::runtime::{self, Options, RunOptions, Session};
use check::Binding;

/// The name of the embedded model.
pub const DEFAULT: &str = "default";

const DEFAULT_MANIFEST: &str = include_str!("../../../../models/mouth.toml");
const DEFAULT_WEIGHTS: &[u8] = include_bytes!("../../../../models/mouth.onnx");

/// The manifests of public networks that come without weights.
const BUNDLED: [(&str, &str); 5] = [
    (
        "wav2lip_96",
        include_str!("../../../../models/wav2lip_96.toml"),
    ),
    (
        "wav2lip_gan_96",
        include_str!("../../../../models/wav2lip_gan_96.toml"),
    ),
    (
        "wav2lip_256",
        include_str!("../../../../models/wav2lip_256.toml"),
    ),
    (
        "wav2lip_96_facefusion",
        include_str!("../../../../models/wav2lip_96_facefusion.toml"),
    ),
    (
        "edtalk_256",
        include_str!("../../../../models/edtalk_256.toml"),
    ),
];

/// What can be wrong with a model.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("model {0} does not exist. Check the path, or see `lipflow model list`")]
    Missing(PathBuf),
    #[error(
        "the model's weights {weights} do not exist, which {manifest} asks for. Put them there; they come from: {source_text}"
    )]
    WeightsMissing {
        manifest: String,
        weights: PathBuf,
        source_text: String,
    },
    #[error("model {path} can't be read: {reason}. Check the path and its permissions")]
    Unreadable { path: PathBuf, reason: String },
    #[error(
        "model {path} is not a usable ONNX file: {reason}. Get the file again, or export it anew"
    )]
    Corrupt { path: PathBuf, reason: String },
    #[error(
        "model {} does not fit: {}. See `lipflow model check` for the shapes found and expected",
        .0.model, .0.reasons.join("; ")
    )]
    Mismatch(Box<CheckReport>),
    #[error("{path}, line {line}{key}: {reason}. Mend that line")]
    ManifestSyntax {
        path: PathBuf,
        line: usize,
        key: String,
        reason: String,
    },
    #[error("{path}: `{key}` {reason}. Mend that value")]
    ManifestValue {
        path: PathBuf,
        key: String,
        reason: String,
    },
    #[error(
        "model {model} gave {found:?} where {expected:?} was expected. Its shapes are not what it declares: check the export"
    )]
    Output {
        model: String,
        found: Vec<i64>,
        expected: Vec<usize>,
    },
    #[error(transparent)]
    Runtime(runtime::Error),
}

impl From<runtime::Error> for Error {
    fn from(error: runtime::Error) -> Self {
        match error {
            runtime::Error::ModelMissing(path) => Self::Missing(path),
            runtime::Error::ModelCorrupt { path, reason } => Self::Corrupt {
                path,
                reason: reason.trim_end_matches('.').into(),
            },
            other => Self::Runtime(other),
        }
    }
}

/// A model that was found: its weights, and its manifest where it has one.
#[derive(Clone, Debug)]
pub struct Model {
    manifest: Option<Manifest>,
    weights: Weights,
}

/// Where a network comes from.
#[derive(Clone, Debug)]
pub enum Weights {
    Embedded(&'static [u8]),
    File(PathBuf),
}

/// A network that is ready to run.
pub enum Network {
    Generator(Generator),
    MouthShape(Box<MouthShape>),
}

/// The manifests of public networks, which come without weights.
pub fn bundled() -> Result<Vec<Manifest>, Error> {
    BUNDLED
        .iter()
        .map(|(name, text)| Manifest::parse(&Path::new(name).with_extension("toml"), text))
        .collect()
}

/// Where the weights of a bundled manifest are looked for.
pub fn weights_dir() -> PathBuf {
    runtime::data_dir().join("models")
}

impl Model {
    /// Finds a model; loads nothing. None or `default` is the embedded one, a `.toml` file is a
    /// manifest with its weights beside it, any other file is an ONNX file whose kind the shapes
    /// tell, and the name of a bundled manifest stands for its weights in [`weights_dir`].
    pub fn resolve(model_file: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = model_file.filter(|p| *p != Path::new(DEFAULT)) else {
            return Ok(Self {
                manifest: Some(Manifest::parse(Path::new("mouth.toml"), DEFAULT_MANIFEST)?),
                weights: Weights::Embedded(DEFAULT_WEIGHTS),
            });
        };
        if path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("toml"))
        {
            let manifest = Manifest::read(path)?;
            let folder = path.parent().unwrap_or(Path::new(""));
            return Self::with_weights(manifest, path.display().to_string(), folder);
        }
        if !path.exists()
            && let Some((name, text)) = BUNDLED.iter().find(|(name, _)| Path::new(name) == path)
        {
            let manifest = Manifest::parse(&Path::new(name).with_extension("toml"), text)?;
            return Self::with_weights(manifest, (*name).to_string(), &weights_dir());
        }
        readable(path)?;
        Ok(Self {
            manifest: None,
            weights: Weights::File(path.into()),
        })
    }

    fn with_weights(manifest: Manifest, name: String, folder: &Path) -> Result<Self, Error> {
        let weights = folder.join(&manifest.file);
        match readable(&weights) {
            Ok(()) => Ok(Self {
                manifest: Some(manifest),
                weights: Weights::File(weights),
            }),
            Err(Error::Missing(weights)) => Err(Error::WeightsMissing {
                manifest: name,
                weights,
                source_text: manifest.source,
            }),
            Err(other) => Err(other),
        }
    }

    /// The manifest that came with the model; a bare ONNX file has none.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// What messages call it: the file, or `default`.
    pub fn name(&self) -> String {
        match &self.weights {
            Weights::Embedded(_) => DEFAULT.into(),
            Weights::File(path) => path.display().to_string(),
        }
    }

    /// Loads the model and makes it ready to run; `batch` is how many frames a generator takes at
    /// once.
    pub fn open(&self, options: Options, batch: usize) -> Result<Network, Error> {
        let session = self.load(options)?;
        let (mel, binding, _) = self.bind(&session).map_err(Error::Mismatch)?;
        Ok(Network::new(session, mel, binding, batch))
    }

    /// Loads the model, says whether it fits and, if so, tries it once. An error means that it can't
    /// be loaded at all.
    pub fn check(&self, options: Options) -> Result<CheckReport, Error> {
        let session = self.load(options)?;
        let (mel, binding, mut report) = match self.bind(&session) {
            Ok(bound) => bound,
            Err(report) => return Ok(*report),
        };
        if let Err(error) = Network::new(session, mel, binding, 1).warm_up(None) {
            report.reasons.push(error.to_string());
        }
        Ok(report)
    }

    fn load(&self, options: Options) -> Result<Arc<Session>, Error> {
        Ok(match &self.weights {
            Weights::Embedded(bytes) => runtime::load_bytes(DEFAULT, bytes, options)?,
            Weights::File(path) => runtime::load(path, options)?,
        })
    }

    fn bind(&self, session: &Session) -> Result<(MelSpec, Binding, CheckReport), Box<CheckReport>> {
        let (inputs, outputs) = (&session.inputs, &session.outputs);
        let (mel, network) = match &self.manifest {
            Some(manifest) => (manifest.mel.clone(), manifest.network.clone()),
            None => (
                MelSpec::default(),
                check::infer(&self.name(), inputs, outputs)?,
            ),
        };
        let (binding, report) = check::bind(self.name(), &network, &mel, inputs, outputs)?;
        Ok((mel, binding, report))
    }
}

impl Network {
    fn new(session: Arc<Session>, mel: MelSpec, binding: Binding, batch: usize) -> Self {
        match binding {
            Binding::Generator(spec, bound) => {
                Self::Generator(Generator::new(session, mel, spec, bound, batch))
            }
            Binding::MouthShape(spec, bound) => {
                Self::MouthShape(Box::new(MouthShape::new(session, mel, spec, bound)))
            }
        }
    }

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
    pub fn session(&self) -> &Arc<Session> {
        match self {
            Self::Generator(network) => network.session(),
            Self::MouthShape(network) => network.session(),
        }
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
    pub fn warm_up(&mut self, stop: Option<&RunOptions>) -> Result<(), Error> {
        match self {
            Self::Generator(network) => network.warm_up(stop),
            Self::MouthShape(network) => network.warm_up(stop),
        }
    }
}

/// Checks that `path` is a file that can be opened.
fn readable(path: &Path) -> Result<(), Error> {
    let unreadable = |reason: String| Error::Unreadable {
        path: path.into(),
        reason,
    };
    match File::open(path).and_then(|file| file.metadata()) {
        Ok(about) if about.is_dir() => Err(unreadable("it is a folder".into())),
        Ok(about) if about.len() == 0 => Err(unreadable("it is empty".into())),
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(Error::Missing(path.into())),
        Err(e) => Err(unreadable(e.to_string())),
    }
}

/// Nanoseconds that `samples` last, rounded up.
fn duration_ns(samples: i64, spec: &MelSpec) -> u64 {
    (samples.max(0) as u64 * 1_000_000_000).div_ceil(u64::from(spec.sample_rate))
}

#[cfg(test)]
mod tests;
