//! Finds and loads libonnxruntime, when a model is first needed and not before.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::Error;
use crate::sync::lock;

/// Overrides where the library is looked for.
pub const LIBRARY_PATH_VARIABLE: &str = "ORT_DYLIB_PATH";

/// Where it is set, the library neither keeps nor sends what it notices of its use.
const NO_TELEMETRY_VARIABLE: &str = "ORT_DISABLE_TELEMETRY";

const FILE_NAME: &str = "libonnxruntime.so";

/// Where set-up puts the library and the helper models: `$XDG_DATA_HOME/lipflow`.
pub fn data_dir() -> PathBuf {
    std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|p| p.is_absolute())
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share")))
        .unwrap_or_else(|| PathBuf::from("/usr/local/share"))
        .join("lipflow")
}

/// The places where the library is looked for, in order.
pub fn candidates() -> Vec<PathBuf> {
    if let Some(path) = std::env::var_os(LIBRARY_PATH_VARIABLE).filter(|p| !p.is_empty()) {
        // Made absolute here: ort would resolve a relative path against the executable.
        let path = PathBuf::from(path);
        return vec![std::path::absolute(&path).unwrap_or(path)];
    }
    let mut found = Vec::new();
    if let Some(folder) = std::env::current_exe()
        .ok()
        .as_deref()
        .and_then(Path::parent)
    {
        found.push(folder.join(FILE_NAME));
    }
    found.push(data_dir().join("onnxruntime").join(FILE_NAME));
    for folder in [
        "/usr/local/lib",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib",
    ] {
        found.push(Path::new(folder).join(FILE_NAME));
    }
    found
}

/// Has the library leave the users alone. Microsoft's own builds open a store in the cache folder, and the way
/// to a server, when an environment is made; one can switch that off only afterwards, or by a variable.
pub fn forbid_telemetry() {
    if std::env::var_os(NO_TELEMETRY_VARIABLE).is_none() {
        // SAFETY: called while the plugin is loaded, before it has any thread. A program that reads its
        // environment in another thread at that moment, other than through Rust, would have to load its plugins
        // before.
        unsafe { std::env::set_var(NO_TELEMETRY_VARIABLE, "1") };
    }
}

/// The process's ONNX Runtime. The first call loads the library; a failure is not remembered, so
/// that a long-lived process can be mended without a restart.
pub fn environment() -> Result<ort::environment::Environment, Error> {
    static ENVIRONMENT: OnceLock<ort::environment::Environment> = OnceLock::new();
    static LOADING: std::sync::Mutex<()> = std::sync::Mutex::new(());

    let _one_at_a_time = lock(&LOADING);
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment.clone());
    }
    let candidates = candidates();
    let Some(path) = candidates.iter().find(|p| p.is_file()) else {
        return Err(Error::LibraryNotFound(candidates));
    };
    let unusable = |reason: String| Error::LibraryUnusable {
        path: path.clone(),
        reason,
    };
    let environment = ort::init_from(path)
        .map_err(|e| unusable(e.to_string()))?
        .with_name("lipsync")
        .with_telemetry(false)
        .build()
        .map_err(|e| unusable(e.to_string()))?;
    // Warnings about graph nodes mean nothing to the people who run this.
    environment.set_log_level(ort::logging::LogLevel::Error);
    Ok(ENVIRONMENT.get_or_init(|| environment).clone())
}
