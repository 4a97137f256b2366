//! `cargo xtask test`: every test of the workspace, in an environment that is the same everywhere.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::setup::{self, Scope};
use crate::workspace;

/// Ends a run of plain `cargo test` that hangs. Nextest has a limit for each test instead.
const HANG_LIMIT: &str = "45m";

pub fn run(arguments: &[OsString]) -> Result<()> {
    setup::ensure(Scope::Test)?;
    let registry = fresh_registry()?;
    // The tests run gst-launch-1.0, which needs the plugin as a shared library.
    process::run(workspace::cargo().args(["build", "--workspace"]))?;
    // Nextest leaves these out. They come first so that the run closes on the other tests' summary.
    if arguments.is_empty() {
        let mut doc = workspace::cargo();
        doc.args(["test", "--workspace", "--doc", "--quiet"]);
        process::run(prepare(&mut doc, &registry))?;
    }
    let mut tests = if process::succeeds(workspace::cargo().args(["nextest", "--version"])) {
        let mut nextest = workspace::cargo();
        nextest.args(["nextest", "run", "--workspace"]);
        nextest
    } else if std::io::stderr().is_terminal() {
        let mut plain = workspace::cargo();
        plain.args(["test", "--workspace", "--all-targets", "--no-fail-fast"]);
        plain
    } else {
        let mut limited = workspace::command("timeout");
        limited
            .args(["--kill-after=10s", HANG_LIMIT])
            .arg(workspace::cargo_path())
            .args(["test", "--workspace", "--all-targets", "--no-fail-fast"]);
        limited
    };
    process::run(prepare(&mut tests, &registry).args(arguments))
}

/// What the programs under test see.
fn prepare<'a>(command: &'a mut Command, registry: &Path) -> &'a mut Command {
    command
        // Where GStreamer or an element of ours warns, something is wrong.
        .env("G_DEBUG", "fatal-warnings")
        .env("GST_REGISTRY", registry)
}

/// GStreamer's list of plugins, made anew: one left by an earlier state of the machine may leave
/// out a plugin that has become usable.
fn fresh_registry() -> Result<PathBuf> {
    let registry = workspace::target().join("gst-registry.bin");
    if registry.exists() {
        std::fs::remove_file(&registry)
            .with_context(|| format!("can't delete {}", registry.display()))?;
    }
    process::output(
        Command::new("gst-inspect-1.0")
            .args(["--exists", "identity"])
            .env("GST_REGISTRY", &registry),
    )
    .context("GStreamer does not work here")?;
    Ok(registry)
}
