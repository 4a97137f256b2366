//! Where things are, and the cargo that builds them.

use std::path::{Path, PathBuf};
use std::process::Command;

pub fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(path) => root().join(path),
        None => root().join("target"),
    }
}

/// The Python scripts of this package.
pub fn scripts() -> PathBuf {
    root().join("xtask/scripts")
}

/// A command that runs in the root of the workspace.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

pub fn cargo() -> Command {
    command(&cargo_path())
}

/// The cargo that started this program.
pub fn cargo_path() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".into())
}
