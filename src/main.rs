//! The program: arguments, logging, exit code; all else is the library.

use std::process::ExitCode;

use clap::Parser;
use lipflow::cli::{Cli, report};

fn main() -> ExitCode {
    lipflow::cancel::outlive_size_limits();
    let cli = Cli::parse();
    log_to_stderr(cli.verbose);
    let code = cli.run().unwrap_or_else(|error| {
        report(&error);
        ExitCode::FAILURE
    });
    lipflow::ending::without_exit_handlers();
    code
}

/// `LIPFLOW_LOG` says in detail what is logged, `-v` in general.
fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("LIPFLOW_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
