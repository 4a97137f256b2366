//! `cargo xtask media`: pictures and sounds of all kinds, two things at a time, through lipflow.

use anyhow::Result;

use crate::setup::{self, Scope};
use crate::{process, workspace};

#[derive(clap::Args)]
pub struct Args {
    /// Try so many cases only: the first are those in which most meets
    #[arg(long)]
    cases: Option<usize>,
    /// Begin with this one, as the table numbers them
    #[arg(long, default_value_t = 0)]
    from: usize,
}

/// Runs the matrix of the tests in full and prints a line for each case.
pub fn run(args: &Args) -> Result<()> {
    setup::ensure(Scope::Test)?;
    let mut command = workspace::cargo();
    command.args([
        "test",
        "--release",
        "--package",
        "lipflow",
        "--test",
        "matrix",
    ]);
    command.args(["--", "--ignored", "--nocapture", "the_full_matrix"]);
    command.env("LIPFLOW_MATRIX_FROM", args.from.to_string());
    if let Some(cases) = args.cases {
        command.env("LIPFLOW_MATRIX_CASES", cases.to_string());
    }
    process::run(&mut command)
}
