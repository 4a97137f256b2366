//! `cargo xtask simulate`: the supervisor on a simulated machine, with very many seeds. The tests run
//! the first 2,000.

use anyhow::{Context, ensure};
use clap::Args as ClapArgs;

use crate::setup::{self, Scope};
use crate::workspace;

#[derive(ClapArgs)]
pub struct Args {
    /// How many
    #[arg(long, default_value_t = 100_000)]
    seeds: u64,
    /// The first; one that broke a rule is run again with `--first N --seeds 1`, and tells its story
    #[arg(long, default_value_t = 2000)]
    first: u64,
    /// On the journal's own SQLite instead of a ledger in memory; takes thirty times as long
    #[arg(long)]
    sqlite: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    setup::ensure(Scope::Test)?;
    let mut tests = workspace::cargo();
    tests
        .args(["test", "--package", "lipflow", "--lib", "--"])
        .args(["--ignored", "--nocapture", "simulation::seeds::many_seeds"])
        .env("LIPFLOW_SEEDS", args.seeds.to_string())
        .env("LIPFLOW_FIRST_SEED", args.first.to_string())
        .env(
            "LIPFLOW_LEDGER",
            if args.sqlite { "sqlite" } else { "memory" },
        );
    let status = tests.status().context("cargo test")?;
    ensure!(status.success(), "a rule is broken");
    Ok(())
}
