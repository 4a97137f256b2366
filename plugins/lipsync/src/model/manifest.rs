//! `models/NAME.toml`: all that the elements must know about a network.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Error;
use super::kind::Kind;
use super::mouth_spec::{FrontSpec, Look, MouthShapeSpec};
use crate::audio::MelSpec;

/// A manifest that was read and found sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Name of the model.
    pub name: String,
    /// Terms of the weights, as SPDX or in words.
    pub licence: String,
    /// Where the network comes from, for people.
    pub source: String,
    /// The ONNX file, relative to the manifest's folder.
    pub file: PathBuf,
    /// The spectrogram that the network, or its front end, hears.
    pub mel: MelSpec,
    /// What hears the speech before the network does.
    pub front: Option<FrontSpec>,
    /// The network itself.
    pub network: NetworkSpec,
}

/// The table of the kind's own.
#[derive(Clone, Debug, PartialEq)]
pub enum NetworkSpec {
    /// A `[generator]` table.
    Generator(GeneratorSpec),
    /// A `[mouth-shape]` table.
    MouthShape(MouthShapeSpec),
}

impl NetworkSpec {
    /// What it makes of the speech.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Generator(_) => Kind::Generator,
            Self::MouthShape(_) => Kind::MouthShape,
        }
    }

    /// The same with the windows of `look`.
    pub fn seen(&self, look: Look) -> Self {
        match self {
            Self::MouthShape(spec) => Self::MouthShape(spec.seen(look)),
            Self::Generator(_) => self.clone(),
        }
    }
}

/// The `[generator]` table; the defaults are Wav2Lip's.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GeneratorSpec {
    /// Side of the square face crop in pixels.
    pub crop: usize,
    /// Mel columns per frame; the first is at the frame's own time.
    pub columns: usize,
    /// Order of the colour channels.
    pub channels: Channels,
    /// Copies of the crop in the face input.
    pub packing: Packing,
    /// Rows of the crop from here on are zeroed in the masked copy; by default its lower half.
    pub masked_from_row: Option<usize>,
    /// Added to the box of the detected face.
    pub padding: BoxPadding,
    /// The box is the mean over so many frames.
    pub smoothing: usize,
    /// Names of the inputs, where the shapes do not tell them apart.
    pub inputs: GeneratorInputs,
    /// Name of the output, where there are several.
    pub output: Option<String>,
    /// Further inputs, each filled with one value.
    pub constants: BTreeMap<String, f32>,
}

/// Order of the colour channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channels {
    /// Blue, green, red.
    #[default]
    Bgr,
    /// Red, green, blue.
    Rgb,
}

/// What the face input is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Packing {
    /// Six channels: the crop with its lower rows zeroed, then the whole crop.
    #[default]
    MaskedThenFull,
    /// Three channels: the whole crop.
    Full,
}

impl Packing {
    /// Channels of the face input.
    pub fn channels(self) -> usize {
        match self {
            Self::MaskedThenFull => 6,
            Self::Full => 3,
        }
    }
}

/// How far the crop reaches beyond the detected face.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct BoxPadding {
    /// Above the face, in [`Self::unit`].
    pub top: f32,
    /// Below the face, in [`Self::unit`].
    pub bottom: f32,
    /// To the left of the face, in [`Self::unit`].
    pub left: f32,
    /// To the right of the face, in [`Self::unit`].
    pub right: f32,
    /// What the four lengths are in.
    pub unit: PaddingUnit,
}

impl Default for BoxPadding {
    fn default() -> Self {
        Self {
            top: 0.0,
            bottom: 10.0,
            left: 0.0,
            right: 0.0,
            unit: PaddingUnit::Pixel,
        }
    }
}

/// Unit of a [`BoxPadding`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaddingUnit {
    /// Pixels of the frame.
    #[default]
    Pixel,
    /// Parts of the box: of its height for top and bottom, of its width for left and right.
    Box,
}

/// Names of a generator's inputs.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GeneratorInputs {
    /// Of the mel columns.
    pub mel: Option<String>,
    /// Of the face crop.
    pub face: Option<String>,
}

impl Default for GeneratorSpec {
    fn default() -> Self {
        Self {
            crop: 96,
            columns: 16,
            channels: Channels::Bgr,
            packing: Packing::MaskedThenFull,
            masked_from_row: None,
            padding: BoxPadding::default(),
            smoothing: 5,
            inputs: GeneratorInputs::default(),
            output: None,
            constants: BTreeMap::new(),
        }
    }
}

impl GeneratorSpec {
    /// The first row that is zeroed in the masked copy.
    pub fn first_masked_row(&self) -> usize {
        self.masked_from_row.unwrap_or(self.crop / 2)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Raw {
    name: String,
    kind: Kind,
    licence: String,
    source: String,
    file: Option<PathBuf>,
    #[serde(default)]
    mel: MelSpec,
    front: Option<FrontSpec>,
    generator: Option<GeneratorSpec>,
    mouth_shape: Option<MouthShapeSpec>,
}

impl Manifest {
    /// Reads the manifest at `path`.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::Missing(path.into()),
            _ => Error::Unreadable {
                path: path.into(),
                reason: e.to_string(),
            },
        })?;
        Self::parse(path, &text)
    }

    /// Parses the manifest `text`; `path` is what errors name, and gives the default of `file`.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let raw: Raw = toml::from_str(text).map_err(|e| syntax(path, text, &e))?;
        let value = |key: &str, reason: &str| Error::ManifestValue {
            path: path.into(),
            key: key.into(),
            reason: reason.into(),
        };
        if raw.name.trim().is_empty() {
            return Err(value("name", "must not be empty"));
        }
        raw.mel
            .validate()
            .map_err(|e| value(&format!("mel.{}", e.key), &e.reason))?;
        let file = match raw.file {
            Some(file) if file.as_os_str().is_empty() => {
                return Err(value("file", "must not be empty"));
            }
            Some(file) => file,
            None => PathBuf::from(path.with_extension("onnx").file_name().unwrap_or_default()),
        };
        if let Some(front) = &raw.front {
            if raw.kind == Kind::Generator {
                return Err(value("front", "does not belong to kind `generator`"));
            }
            front.validate().map_err(|(key, why)| value(key, why))?;
        }
        let network = match (raw.kind, raw.generator, raw.mouth_shape) {
            (Kind::Generator, spec, None) => {
                let spec = spec.unwrap_or_default();
                spec.validate().map_err(|(key, why)| value(key, why))?;
                NetworkSpec::Generator(spec)
            }
            (Kind::MouthShape, None, spec) => {
                let spec = spec.unwrap_or_default();
                spec.validate().map_err(|(key, why)| value(key, why))?;
                NetworkSpec::MouthShape(spec)
            }
            (Kind::Generator, _, Some(_)) => {
                return Err(value("mouth-shape", "does not belong to kind `generator`"));
            }
            (Kind::MouthShape, Some(_), _) => {
                return Err(value("generator", "does not belong to kind `mouth-shape`"));
            }
        };
        Ok(Self {
            name: raw.name,
            licence: raw.licence,
            source: raw.source,
            file,
            mel: raw.mel,
            front: raw.front,
            network,
        })
    }

    /// What the network makes of the speech.
    pub fn kind(&self) -> Kind {
        self.network.kind()
    }

    /// The network's file for a look, relative to the manifest's folder.
    pub fn file(&self, look: Look) -> &Path {
        match (&self.network, look) {
            (NetworkSpec::MouthShape(spec), Look::Whole) => {
                spec.whole.as_ref().map_or(&self.file, |whole| &whole.file)
            }
            _ => &self.file,
        }
    }
}

impl GeneratorSpec {
    fn validate(&self) -> Result<(), (&'static str, &'static str)> {
        let padding = self.padding;
        let sides = [padding.top, padding.bottom, padding.left, padding.right];
        if !(8..=2048).contains(&self.crop) {
            return Err(("generator.crop", "must be from 8 to 2048"));
        }
        if !(1..=1000).contains(&self.columns) {
            return Err(("generator.columns", "must be from 1 to 1000"));
        }
        if self.first_masked_row() > self.crop {
            return Err(("generator.masked-from-row", "must not be above `crop`"));
        }
        if sides.iter().any(|side| !side.is_finite()) {
            return Err(("generator.padding", "must be finite numbers"));
        }
        if !(1..=1000).contains(&self.smoothing) {
            return Err(("generator.smoothing", "must be from 1 to 1000"));
        }
        if self.constants.values().any(|value| !value.is_finite()) {
            return Err(("generator.constants", "must be finite numbers"));
        }
        Ok(())
    }
}

/// Says in one line what toml says with a drawing.
fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count();
    let key = text.lines().nth(line).and_then(|text| {
        let key = text.split('=').next()?.trim();
        (!key.is_empty() && !key.starts_with(['#', '['])).then(|| key.to_string())
    });
    Error::ManifestSyntax {
        path: path.into(),
        line: line + 1,
        key: key.map(|key| format!(" (`{key}`)")).unwrap_or_default(),
        reason: error.message().replace('\n', ", "),
    }
}
