//! Finding and following faces. No GStreamer types here.
//!
//! Coordinates are continuous frame pixels: (0, 0) is the top left corner of the first pixel.

pub(crate) mod colour;
pub(crate) mod cut;
pub mod detector;
pub mod lips;
pub mod mesh;
pub(crate) mod one_euro;
pub mod pose;
pub(crate) mod selection;
mod track;
pub(crate) mod tracker;

use std::path::{Path, PathBuf};

pub use crate::picture::Rect;
use crate::runtime::{self, Options, Provider, Session, Sharing};

/// Number of points of the face mesh.
pub const MESH_POINTS: usize = 468;

/// What can go wrong with the face models.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The file does not exist.
    #[error(
        "the face model {0} does not exist. Run `cargo xtask setup`, or give the path of another"
    )]
    Missing(PathBuf),
    #[error("the face model {path} can't be read: {reason}. Check the path and its permissions")]
    /// The file can't be opened or read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    #[error(
        "the face model {path} can't be loaded: {reason}. Run `cargo xtask setup` for one that can, or give the path of another"
    )]
    /// ONNX Runtime can't load the file.
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// A network whose inputs or outputs are not those of this model.
    #[error(
        "{path} is not a {wanted}: {reason}. Run `cargo xtask setup` for one that is, or give the path of another"
    )]
    WrongModel {
        /// The file.
        path: PathBuf,
        /// What it should be, as `face detector`.
        wanted: &'static str,
        /// Which shape is wrong.
        reason: String,
    },
    /// ONNX Runtime itself, or an execution provider.
    #[error(transparent)]
    Runtime(runtime::Error),
}

/// The face mesh: x and y in frame pixels, z (towards the viewer is negative) in the same scale.
/// Numbering is that of the MediaPipe face mesh.
#[derive(Clone, Debug, PartialEq)]
pub struct Mesh(pub Box<[[f32; 3]; MESH_POINTS]>);

impl Mesh {
    /// The box around all points.
    pub fn bounds(&self) -> Rect {
        Rect::around(&self.0.map(|[x, y, _]| [x, y]))
    }
}

/// One followed face in one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Face {
    /// Stays with the person while they are followed.
    pub id: u32,
    /// The box around the face in frame pixels: of its points where they are followed.
    pub bounds: Rect,
    /// Confidence, 0 to 1.
    pub score: f32,
    /// Absent where the face was detected but its points are not followed.
    pub mesh: Option<Mesh>,
}

/// How a face model is loaded unless one is told otherwise: on the CPU, as the networks are so small that
/// a transfer would cost more, and for oneself.
pub const OPTIONS: Options = Options {
    provider: Provider::Cpu,
    device: 0,
    threads: 1,
    sharing: Sharing::Own,
};

impl From<runtime::Error> for Error {
    fn from(error: runtime::Error) -> Self {
        match error {
            runtime::Error::ModelMissing(path) => Self::Missing(path),
            runtime::Error::ModelUnreadable { path, reason } => Self::Unreadable { path, reason },
            runtime::Error::ModelCorrupt { path, reason } => Self::Corrupt { path, reason },
            other => Self::Runtime(other),
        }
    }
}

/// Whether a face model is where it is looked for.
pub(crate) fn check_file(path: &Path) -> Result<(), Error> {
    Ok(runtime::check_file(path)?)
}

fn load(path: &Path, options: Options) -> Result<Session, Error> {
    Ok(runtime::load(path, options)?)
}
