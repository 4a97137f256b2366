//! `lipflow worker`: a process that a batch starts for itself.

use std::process::ExitCode;

use clap::Args;

use crate::worker::limits::Limits;
use crate::worker::process;

/// Works for a batch, which starts it.
#[derive(Args, Debug)]
pub struct WorkerArgs {
    /// Give way to everything else
    #[arg(long)]
    background: bool,
    /// Bytes of memory that it may ask for
    #[arg(long)]
    memory: Option<u64>,
    /// Reach nobody over the network
    #[arg(long)]
    no_network: bool,
}

pub fn run(args: &WorkerArgs) -> anyhow::Result<ExitCode> {
    let limits = Limits {
        memory: args.memory,
        no_network: args.no_network,
    };
    process::serve(args.background, limits)
}
