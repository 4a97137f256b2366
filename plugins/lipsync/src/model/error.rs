//! What can go wrong with a model.

use std::path::PathBuf;

use super::check::CheckReport;
use crate::runtime;

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
    #[error(
        "the front end {front} does not exist, with which the model {manifest} hears. Run `cargo xtask setup`, or take the model `mouth`, which needs none"
    )]
    FrontMissing { manifest: String, front: PathBuf },
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
