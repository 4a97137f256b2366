//! What can be said of a job's files without opening a decoder.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::error::{Failure, FailureKind};

/// Whether there is a file that can be read.
pub fn check_input(path: &Path) -> Result<(), Failure> {
    let metadata = fs::metadata(path).map_err(|e| input_failure(path, &e))?;
    if metadata.is_dir() {
        return Err(Failure::of(FailureKind::InputIsFolder, path));
    }
    if !metadata.is_file() {
        // Opening a pipe would wait for its writer, and what it gives can be read only once.
        return Err(Failure::of(FailureKind::InputUnreadable, path)
            .detail("it is a device or a pipe")
            .advice("Save it to a file first"));
    }
    File::open(path).map_err(|e| input_failure(path, &e))?;
    if metadata.len() == 0 {
        return Err(Failure::of(FailureKind::InputEmpty, path));
    }
    Ok(())
}

pub(super) fn input_failure(path: &Path, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Failure::of(FailureKind::InputMissing, path)
        }
        io::ErrorKind::PermissionDenied => Failure::of(FailureKind::InputUnreadable, path),
        _ => Failure::of(FailureKind::InputUnreadable, path).detail(error),
    }
}

/// Refuses an output that names no file.
pub fn check_output_name(path: &Path) -> Result<(), Failure> {
    match path.file_name() {
        Some(_) => Ok(()),
        None => Err(Failure::of(FailureKind::Usage, path).detail("the output has no file name")),
    }
}

pub(super) fn check_output(path: &Path) -> Result<(), Failure> {
    check_output_name(path)?;
    let folder = folder_of(path);
    match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => {
            return Err(
                Failure::of(FailureKind::OutputFolderMissing, folder).detail("it is a file")
            );
        }
        Err(_) => return Err(Failure::of(FailureKind::OutputFolderMissing, folder)),
    }
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(Failure::of(FailureKind::Usage, path)
            .detail("the output is a folder")
            .advice("Name a file in it")),
        Ok(metadata) if is_special(&metadata) => Err(Failure::of(FailureKind::Usage, path)
            .detail("the output is a device or a pipe, which can't be replaced")
            .advice("Name a file")),
        _ => Ok(()),
    }
}

fn is_special(metadata: &Metadata) -> bool {
    let kind = metadata.file_type();
    kind.is_fifo() || kind.is_socket() || kind.is_char_device() || kind.is_block_device()
}

/// The folder that a file is in; `.` for a bare name.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Whether both names lead to one file, through symbolic and hard links alike.
pub(super) fn is_same_file(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Whether a template is given as a file, and not by name.
pub fn is_template_file(template: &str) -> bool {
    template.contains('/') || template.ends_with(".launch")
}

/// Whether a model is given as a file, and not by name.
pub fn is_model_file(model: &str) -> bool {
    model.contains('/') || model.ends_with(".onnx") || model.ends_with(".toml")
}

/// A file's URI, every byte that could mean something percent-encoded.
pub fn uri_of(path: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(path)
        .map_err(|e| Failure::of(FailureKind::InputMissing, path).detail(e))?;
    gst::glib::filename_to_uri(&absolute, None)
        .map(String::from)
        .map_err(|e| Failure::of(FailureKind::InputMissing, path).detail(e))
}
