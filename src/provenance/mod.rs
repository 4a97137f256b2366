//! What says that an output is synthetic, to programs: written into the file before anybody sees it, and
//! read back. What says it to people is drawn (`labeloverlay`).

mod ebml;
mod matroska;
mod mp4;
pub mod record;
pub mod seen;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::{Failure, FailureKind};
use crate::marks::Aigc;

/// Name of the member in a file's metadata, after GB 45438-2025, Annex E.
const KEY: &str = "AIGC";

/// What keeps metadata from being written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The container is none of those that are known.
    #[error("{0}")]
    Unsupported(String),
}

impl Error {
    /// As a failure that is about `file`.
    pub fn failure(&self, file: &Path) -> Failure {
        match self {
            Self::Io(e) => crate::publish::output_failure(file, e),
            Self::Unsupported(why) => Failure::of(FailureKind::CantCarry, file).because(why),
        }
    }
}

/// The containers that can carry metadata here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    /// ISO base media: MP4, MOV, M4A, 3GP.
    Mp4,
    /// Matroska and WebM.
    Matroska,
}

impl Container {
    /// Of an open file, by how it begins.
    fn of(file: &mut File) -> Result<Self, Error> {
        let mut head = [0; 12];
        file.seek(SeekFrom::Start(0))?;
        let read = file.read(&mut head)?;
        let head = &head[..read];
        match (head.get(4..8), head.first_chunk()) {
            (Some(b"ftyp" | b"moov" | b"mdat" | b"free" | b"wide"), _) => Ok(Self::Mp4),
            (_, Some(&[0x1A, 0x45, 0xDF, 0xA3])) => Ok(Self::Matroska),
            _ => Err(Error::Unsupported(
                "only MP4, MOV, Matroska and WebM can carry this metadata".into(),
            )),
        }
    }
}

/// Writes the metadata into the file at `path`; what it had of the same kind is replaced. Memory does not
/// grow with the file. A file that is not understood stays as it is.
///
/// # Errors
///
/// The container is another one, or one of a build that is not understood.
pub fn write(path: &Path, aigc: &Aigc) -> Result<(), Error> {
    let mut file = File::options().read(true).write(true).open(path)?;
    match Container::of(&mut file)? {
        Container::Mp4 => mp4::write(&mut file, KEY, &aigc.json()),
        Container::Matroska => matroska::write(&mut file, KEY, &aigc.json()),
    }
}

/// The metadata that the file at `path` carries, as it stands there.
///
/// # Errors
///
/// The container is another one, or can't be read.
pub fn read(path: &Path) -> Result<Option<String>, Error> {
    let mut file = File::open(path)?;
    match Container::of(&mut file)? {
        Container::Mp4 => mp4::read(&mut file, KEY),
        Container::Matroska => matroska::read(&mut file, KEY),
    }
}

/// Whether a file of that name can carry the metadata; said before work begins.
pub fn check_output(output: &Path) -> Result<(), Failure> {
    let extension = output.extension().and_then(|e| e.to_str());
    match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("mp4" | "m4v" | "mov" | "m4a" | "3gp" | "mkv" | "webm") | None => Ok(()),
        Some(other) => Err(Failure::of(FailureKind::CantCarry, output)
            .because(format_args!("a .{other} file has no place for it"))),
    }
}
