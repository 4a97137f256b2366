//! `lipflow worker`: a process that a batch starts for itself.

use std::process::ExitCode;

use clap::Args;

use crate::worker::process;

/// Works for a batch, which starts it.
#[derive(Args, Debug)]
pub struct WorkerArgs {
    /// Give way to everything else
    #[arg(long)]
    background: bool,
}

pub fn run(args: &WorkerArgs) -> anyhow::Result<ExitCode> {
    process::serve(args.background)
}
