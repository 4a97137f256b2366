//! `cargo xtask media`: pictures and sounds of all kinds, two things at a time, through lipflow.

use anyhow::{Context, Result};

use crate::setup::{self, Scope};
use crate::{process, workspace};

#[derive(clap::Args)]
pub struct Args {
    /// Try only the first so many cases: those in which most meets
    #[arg(long)]
    cases: Option<usize>,
    /// Try only cases whose name has this in it, such as "MP4 AV1" or "| turned 90 |"
    #[arg(long)]
    only: Option<String>,
    /// How many at a time; by default one for each core
    #[arg(long)]
    jobs: Option<usize>,
    /// Try once more what was wrong
    #[arg(long)]
    again: bool,
    /// Forget what was found before
    #[arg(long)]
    fresh: bool,
}

/// Runs the matrix of the tests in full and prints a table. What was found before is kept, so that a run
/// that was stopped goes on.
pub fn run(args: &Args) -> Result<()> {
    setup::ensure(Scope::Test)?;
    let results = workspace::target().join("media.tsv");
    if args.fresh && results.exists() {
        std::fs::remove_file(&results)
            .with_context(|| format!("can't delete {}", results.display()))?;
    }
    let mut command = workspace::cargo();
    command.args(["test", "--package", "lipflow", "--test", "matrix"]);
    command.args(["--", "--ignored", "--nocapture", "the_full_matrix"]);
    command.env("LIPFLOW_MATRIX_RESULTS", results);
    let number = |number: Option<usize>| number.map(|number| number.to_string());
    let asked = [
        ("FIRST", number(args.cases)),
        ("AT_A_TIME", number(args.jobs)),
        ("AGAIN", args.again.then(String::new)),
        ("ONLY", args.only.clone()),
    ];
    for (name, value) in asked {
        if let Some(value) = value {
            command.env(format!("LIPFLOW_MATRIX_{name}"), value);
        }
    }
    process::run(&mut command)
}
