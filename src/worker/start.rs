//! Starts worker processes.

use std::process::Command;

/// The command that starts a worker: this program, as a process of its own.
pub fn command(is_background: bool) -> Command {
    // The file may have been replaced by a newer version since: the one that runs is still there.
    let own = std::env::current_exe().ok().filter(|path| path.exists());
    let mut command = Command::new(own.unwrap_or_else(|| "/proc/self/exe".into()));
    command.arg("worker");
    if is_background {
        command.arg("--background");
    }
    command
}
