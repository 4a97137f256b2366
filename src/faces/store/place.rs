//! Where the user's cache is, and how large it may grow.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Names the folder, in place of the one in the user's cache.
pub const FOLDER_VARIABLE: &str = "LIPFLOW_FACES";

/// Says how many megabytes all faces together may take.
pub const LIMIT_VARIABLE: &str = "LIPFLOW_FACES_MB";

pub(super) const USUAL_LIMIT: u64 = 4_000_000_000;

/// Where faces are kept, as the environment says; none where there is no home.
pub(crate) fn folder() -> Option<PathBuf> {
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

/// Makes the folder, for its owner alone.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder)?;
    // One that was there already, too; that somebody else owns it, the lock will tell.
    let _ = fs::set_permissions(folder, Permissions::from_mode(0o700));
    Ok(())
}
