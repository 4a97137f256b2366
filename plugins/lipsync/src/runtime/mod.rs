//! ONNX Runtime: finding and loading the library, and sessions that belong to the process.

mod library;
mod session;

pub use library::{LIBRARY_PATH_VARIABLE, candidates, data_dir, environment};
pub use ort::session::RunOptions;
pub use session::{Options, Provider, Session, TensorInfo, load, load_bytes};

use std::path::PathBuf;

/// What can go wrong between a model file and a result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error(
        "ONNX Runtime was not found. Looked at: {}. Run `cargo xtask setup`, or set {LIBRARY_PATH_VARIABLE} to the path of libonnxruntime.so",
        .0.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    LibraryNotFound(Vec<PathBuf>),
    #[error(
        "{path} is not a usable ONNX Runtime: {reason}. Run `cargo xtask setup` for one that is"
    )]
    LibraryUnusable { path: PathBuf, reason: String },
    #[error("model {0} does not exist. Check the path, or see `lipflow model list`")]
    ModelMissing(PathBuf),
    #[error("model {path} can't be loaded: {reason}. Check it with `lipflow model check`")]
    ModelCorrupt { path: PathBuf, reason: String },
    #[error("execution provider {provider} can't be used: {reason}. Choose another, or `auto`")]
    Provider { provider: String, reason: String },
    #[error("inference with {model} failed: {reason}")]
    Inference { model: String, reason: String },
}
