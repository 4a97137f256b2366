//! `cargo xtask setup | demo | test | bench`: what a fresh machine needs, in one command each.

mod process;
mod setup;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use setup::Scope;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about)]
struct Args {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what is missing to build, run and test lipflow
    Setup,
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Task::Setup => setup::ensure(Scope::Test).map(|()| {
            println!("Everything is there, in {}", setup::data_dir().display());
        }),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
