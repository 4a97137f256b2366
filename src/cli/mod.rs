//! The command line: one file per subcommand.

pub(crate) mod batch;
mod batch_plan;
pub(crate) mod completions;
mod control;
pub(crate) mod doctor;
mod face;
mod inspect;
mod jobs;
mod live;
pub(crate) mod model;
mod options;
pub(crate) mod pipeline;
mod prune;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod status;
mod verify;
mod worker;

use std::io::Write;
use std::process::ExitCode;

use clap::{ArgAction, Parser, Subcommand};

use crate::terminal::plain;

/// Makes the mouth in a video follow a new speech track.
#[derive(Debug, Parser)]
#[command(name = "lipflow", version, max_term_width = 100)]
pub struct Cli {
    /// Log more: -v, -vv, -vvv. The variable LIPFLOW_LOG says it in detail, `lipflow=debug` say
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Batch(batch::BatchArgs),
    Live(live::LiveArgs),
    Control(control::ControlArgs),
    Status(status::StatusArgs),
    Jobs(jobs::JobsArgs),
    Retry(jobs::RetryArgs),
    Cancel(jobs::CancelArgs),
    Prune(prune::PruneArgs),
    #[command(hide = true)]
    Worker(worker::WorkerArgs),
    Face(face::FaceArgs),
    Verify(verify::VerifyArgs),
    Inspect(inspect::InspectArgs),
    Pipeline(pipeline::PipelineArgs),
    Model(model::ModelArgs),
    Doctor(doctor::DoctorArgs),
    Schema(schema::SchemaArgs),
    Completions(completions::CompletionsArgs),
    Man(completions::ManArgs),
}

impl Cli {
    /// Does what the command line asks for, and gives the exit code. What is an error here has no code of
    /// its own and is 1.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(args) => run::run(args),
            Command::Batch(args) => batch::run(args),
            Command::Live(args) => live::run(args),
            Command::Control(args) => control::run(&args),
            Command::Status(args) => status::run(&args),
            Command::Jobs(args) => jobs::list(&args),
            Command::Retry(args) => jobs::retry(&args),
            Command::Cancel(args) => jobs::cancel(&args),
            Command::Prune(args) => prune::run(&args),
            Command::Worker(args) => worker::run(&args),
            Command::Face(args) => face::run(args),
            Command::Verify(args) => verify::run(&args),
            Command::Inspect(args) => inspect::run(&args),
            Command::Pipeline(args) => pipeline::run(args),
            Command::Model(args) => model::run(args),
            Command::Doctor(args) => doctor::run(args),
            Command::Schema(args) => schema::run(&args),
            Command::Completions(args) => completions::run(args),
            Command::Man(args) => completions::man(args),
        }
    }
}

/// Prints an error and its causes to stderr, each once, on a line of its own.
pub fn report(error: &anyhow::Error) {
    let mut said = String::new();
    for (i, cause) in error.chain().enumerate() {
        let text = cause.to_string();
        // Some errors repeat their cause.
        if said.contains(&text) {
            continue;
        }
        match i {
            0 => eprintln!("lipflow: {}", plain(&text)),
            _ => eprintln!("  because: {}", plain(&text)),
        }
        said = text;
    }
}

/// Writes to stdout. A reader that went away, `head` say, is no error.
fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
