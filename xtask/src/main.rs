//! `cargo xtask setup | demo | test | bench | evaluate | soak | chaos | simulate | fuzz | media`: what a fresh machine needs, in
//! one command each.

mod bench;
mod chaos;
mod demo;
mod evaluate;
mod fuzz;
mod job;
mod material;
mod media;
mod process;
mod setup;
mod simulate;
mod soak;
mod table;
mod test;
mod workspace;

use std::ffi::OsString;
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
    /// Lip-sync a real face to real speech, and show how
    Demo,
    /// Run every test of the workspace
    Test {
        /// Passed on to cargo nextest, or to cargo test where that isn't installed
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measure speed and memory against their limits
    Bench(bench::Args),
    /// Measure how good the mouths in finished videos are
    Evaluate(evaluate::Args),
    /// Broadcast for a long time with a server that dies now and then
    Soak(soak::Args),
    /// Kill, poison and starve batches, and see that nothing is lost
    Chaos(chaos::Args),
    /// Try pictures and sounds of all kinds, and see what a player sees
    Media(media::Args),
    /// Run the supervisor on a simulated machine where everything goes wrong
    Simulate(simulate::Args),
    /// Give everything that reads files or messages what nobody meant it to read
    Fuzz(fuzz::Args),
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Task::Setup => setup::ensure(Scope::Test).map(|()| {
            println!("Everything is there, in {}", setup::data_dir().display());
        }),
        Task::Demo => demo::run(),
        Task::Bench(args) => bench::run(&args),
        Task::Simulate(args) => simulate::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Evaluate(args) => evaluate::run(&args),
        Task::Soak(args) => soak::run(&args),
        Task::Chaos(args) => chaos::run(&args),
        Task::Media(args) => media::run(&args),
        Task::Test { arguments } => test::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
