//! Making the inputs that are measured with: once, and kept in the target folder.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::setup;
use crate::{process, workspace};

pub fn folder_in_target(name: &str) -> Result<PathBuf> {
    let folder = workspace::target().join(name);
    fs::create_dir_all(&folder).with_context(|| format!("can't create {}", folder.display()))?;
    Ok(folder)
}

/// The readings one after the other; with a `-t` they start again until there is enough.
pub fn readings(part: &Path, length: &[&str]) -> Result<()> {
    let list = part.with_extension("txt");
    let lines: String = setup::speech()?
        .iter()
        .map(|file| format!("file '{}'\n", file.display()))
        .collect();
    fs::write(&list, lines).with_context(|| format!("can't write {}", list.display()))?;
    let again = if length.is_empty() { "0" } else { "-1" };
    ffmpeg(&["-stream_loop", again, "-f", "concat", "-safe", "0"])
        .arg("-i")
        .arg(&list)
        .args(length)
        .arg(part)
        .status_ok()
}

/// Makes the file under another name first, so that what bears the name is whole.
pub fn make(target: &Path, with: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if target.exists() {
        return Ok(());
    }
    // The extension stays last: ffmpeg goes by it.
    let name = target.file_name().unwrap_or(OsStr::new("file"));
    let part = target.with_file_name(format!("part-{}", name.to_string_lossy()));
    with(&part).with_context(|| format!("can't make {}", target.display()))?;
    fs::rename(&part, target).with_context(|| format!("can't write {}", target.display()))
}

pub fn ffmpeg(arguments: &[&str]) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y"]);
    command.args(arguments);
    command
}

pub trait StatusOk {
    fn status_ok(&mut self) -> Result<()>;
}

impl StatusOk for Command {
    fn status_ok(&mut self) -> Result<()> {
        process::output(self).map(drop)
    }
}
