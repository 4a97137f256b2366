//! What can go wrong with a model.

use std::path::PathBuf;

use super::check::CheckReport;
use crate::runtime;

/// What can be wrong with a model.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Neither a model's name nor a file.
    #[error("model {0} does not exist. Check the path, or see `lipflow model list`")]
    Missing(PathBuf),
    /// The manifest is there and its network is not.
    #[error(
        "the model's weights {weights} do not exist, which {manifest} asks for. Put them there; they come from: {source_text}"
    )]
    WeightsMissing {
        /// Name of the model.
        manifest: String,
        /// Where the file was looked for.
        weights: PathBuf,
        /// Where it comes from, in the manifest's words.
        source_text: String,
    },
    #[error(
        "the front end {front} does not exist, with which the model {manifest} hears. Run `cargo xtask setup`, or take the model `mouth`, which needs none"
    )]
    /// The network that hears for this model is not there.
    FrontMissing {
        /// Name of the model.
        manifest: String,
        /// Where the file was looked for.
        front: PathBuf,
    },
    #[error("model {path} can't be read: {reason}. Check the path and its permissions")]
    /// The file can't be opened or read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    #[error(
        "model {path} is not a usable ONNX file: {reason}. Get the file again, or export it anew"
    )]
    /// ONNX Runtime can't load the file.
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// Inputs or outputs are not those that are needed; the report says which.
    #[error(
        "model {} does not fit: {}. See `lipflow model check` for the shapes found and expected",
        .0.model, .0.reasons.join("; ")
    )]
    Mismatch(Box<CheckReport>),
    /// The manifest is no TOML, or a key is not known.
    #[error("{path}, line {line}{key}: {reason}. Mend that line")]
    ManifestSyntax {
        /// The manifest.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// The key, with what leads to it, or nothing.
        key: String,
        /// What the parser said.
        reason: String,
    },
    /// A value of the manifest can't be.
    #[error("{path}: `{key}` {reason}. Mend that value")]
    ManifestValue {
        /// The manifest.
        path: PathBuf,
        /// The key, with its table.
        key: String,
        /// What is wrong with it, as the end of a sentence.
        reason: String,
    },
    /// The network gave another shape than it declares.
    #[error(
        "model {model} gave {found:?} where {expected:?} was expected. Its shapes are not what it declares: check the export"
    )]
    Output {
        /// The model's file.
        model: String,
        /// The shape that came out.
        found: Vec<i64>,
        /// The shape that was to come out.
        expected: Vec<usize>,
    },
    /// ONNX Runtime itself, or an execution provider.
    #[error(transparent)]
    Runtime(runtime::Error),
}

impl From<runtime::Error> for Error {
    fn from(error: runtime::Error) -> Self {
        match error {
            runtime::Error::ModelMissing(path) => Self::Missing(path),
            runtime::Error::ModelUnreadable { path, reason } => Self::Unreadable { path, reason },
            runtime::Error::ModelCorrupt { path, reason } => Self::Corrupt {
                path,
                reason: reason.trim_end_matches('.').into(),
            },
            other => Self::Runtime(other),
        }
    }
}
