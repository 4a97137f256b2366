//! Where the user's cache is, and how large it may grow.

use std::path::{Path, PathBuf};

/// Names the folder, in place of the one in the user's cache.
pub const FOLDER_VARIABLE: &str = "LIPFLOW_FACES";

/// Says how many megabytes all faces together may take.
pub const LIMIT_VARIABLE: &str = "LIPFLOW_FACES_MB";

pub(super) const USUAL_LIMIT: u64 = 4_000_000_000;

pub(super) fn folder() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(FOLDER_VARIABLE).filter(|value| !value.is_empty()) {
        return std::path::absolute(folder).ok();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.filter(|path| path.is_absolute()).or_else(|| {
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty())?;
        Some(Path::new(&home).join(".cache"))
    })?;
    Some(cache.join("lipflow/faces"))
}
