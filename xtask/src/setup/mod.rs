//! Makes a machine ready: Debian packages, the ONNX Runtime library, the helper models, test media.

mod digest;
mod fetch;
pub mod packages;
mod pins;
mod place;
mod server;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use place::Folders;

/// How much a command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// To build, run and show lipflow.
    Work,
    /// And to test and measure it.
    Test,
}

/// Installs what is missing, and says nothing when nothing is.
pub fn ensure(scope: Scope) -> Result<()> {
    packages::ensure(scope)?;
    place::ensure(&Folders {
        data: data_dir(),
        cache: cache_dir(),
    })?;
    if scope == Scope::Test {
        server::ensure(&data_dir().join("nginx"))?;
    }
    Ok(())
}

/// A Python that has `onnx`, for the scripts that build networks.
pub fn converter() -> Result<PathBuf> {
    place::converter(&cache_dir())
}

/// A Python for `judge.py`. Only `evaluate` needs it, so `ensure` leaves it out.
pub fn judge() -> Result<PathBuf> {
    place::judge(&cache_dir())
}

/// The folder in which the plugin looks; it must agree with the plugin's `runtime::data_dir`.
pub fn data_dir() -> PathBuf {
    base_dir("XDG_DATA_HOME", ".local/share", "/usr/local/share").join("lipflow")
}

fn cache_dir() -> PathBuf {
    base_dir("XDG_CACHE_HOME", ".cache", "/var/cache").join("lipflow")
}

fn base_dir(variable: &str, below_home: &str, otherwise: &str) -> PathBuf {
    std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|p| p.is_absolute())
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(below_home)))
        .unwrap_or_else(|| PathBuf::from(otherwise))
}

/// Readings from LibriVox: 16 kHz, mono, in order of their names.
pub fn speech() -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(packages::SPEECH)
        .with_context(|| format!("can't read {}", packages::SPEECH))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "wav") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
