//! ONNX Runtime: finding and loading the library, and sessions that belong to the process.

mod cache;
mod content;
mod interrupt;
mod library;
mod loader;
mod provider;
mod session;
mod turn;

pub(crate) use content::check_file;
pub use interrupt::{Interrupt, Wake};
pub(crate) use library::forbid_telemetry;
pub use library::{LIBRARY_PATH_VARIABLE, candidates, data_dir, environment};
pub use loader::Loader;
pub use provider::Provider;
pub use session::{ElementType, Options, Session, Sharing, TensorInfo, load, load_bytes};

use std::path::{Path, PathBuf};

/// What can go wrong between a model file and a result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The library is in none of these places.
    #[error(
        "ONNX Runtime was not found. Looked at: {}. Run `cargo xtask setup`, or set {LIBRARY_PATH_VARIABLE} to the path of libonnxruntime.so",
        .0.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    LibraryNotFound(Vec<PathBuf>),
    #[error(
        "{path} is not a usable ONNX Runtime: {reason}. Run `cargo xtask setup` for one that is"
    )]
    /// The library can't be loaded, or is too old.
    LibraryUnusable {
        /// The library's file.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// There is no such file.
    #[error("model {0} does not exist. Check the path, or see `lipflow model list`")]
    ModelMissing(PathBuf),
    #[error("model {path} can't be read: {reason}. Check the path and its permissions")]
    /// The file can't be opened or read.
    ModelUnreadable {
        /// The network's file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    #[error("model {path} can't be loaded: {reason}. Check it with `lipflow model check`")]
    /// The file is no network that can be loaded.
    ModelCorrupt {
        /// The network's file.
        path: PathBuf,
        /// What ONNX Runtime said.
        reason: String,
    },
    #[error("execution provider {provider} can't be used: {reason}. Choose another, or `auto`")]
    /// The execution provider can't be used here, or there is none of the name.
    Provider {
        /// What was asked for.
        provider: String,
        /// What is wrong with it.
        reason: String,
    },
    #[error("inference with {model} failed: {reason}")]
    /// A run failed.
    Inference {
        /// The network's file.
        model: String,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// A run was ended by its [`Interrupt`].
    #[error("inference was interrupted")]
    Interrupted,
}

impl Error {
    /// One word for programs: the elements put it into the details of their error messages.
    pub fn word(&self) -> &'static str {
        match self {
            Self::LibraryNotFound(_) => "library-not-found",
            Self::LibraryUnusable { .. } => "library-unusable",
            Self::ModelMissing(_) => "model-missing",
            Self::ModelUnreadable { .. } => "model-unreadable",
            Self::ModelCorrupt { .. } => "model-corrupt",
            Self::Provider { .. } => "provider",
            Self::Inference { .. } | Self::Interrupted => "inference",
        }
    }

    /// The file that it is about.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::LibraryUnusable { path, .. }
            | Self::ModelMissing(path)
            | Self::ModelUnreadable { path, .. }
            | Self::ModelCorrupt { path, .. } => Some(path),
            Self::LibraryNotFound(_)
            | Self::Provider { .. }
            | Self::Inference { .. }
            | Self::Interrupted => None,
        }
    }
}
