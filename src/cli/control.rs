//! `lipflow control`: changes a broadcast while it is on air.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::error::Failure;
use crate::live::control::{self, ControlCommand};
use crate::secret;
use crate::terminal::plain;

/// Changes a broadcast while it is on air.
#[derive(Args, Debug)]
pub struct ControlArgs {
    /// The broadcast's socket, if it was given one with --control
    #[arg(long, value_name = "PATH", global = true)]
    control: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Says a file when those before it are said
    Say { file: PathBuf },
    /// Ends what is being said
    Skip,
    /// Forgets what waits to be said
    Clear,
    /// Says nothing more until `resume`; the picture goes on
    Pause,
    /// Goes on after `pause`
    Resume,
    /// Shows another face
    Face { file: PathBuf },
    /// Sends to another destination as well; @FILE and env:NAME as with `live --to`
    Add { to: String },
    /// Sends no more to a destination
    Drop { to: String },
    /// Prints how it is, as JSON
    Status,
    /// Ends the broadcast
    Stop,
}

impl What {
    fn command(&self) -> Result<ControlCommand, Failure> {
        // The broadcast may run in another folder.
        let there = |file: &PathBuf| std::path::absolute(file).unwrap_or_else(|_| file.clone());
        Ok(match self {
            Self::Say { file } => ControlCommand::Say { file: there(file) },
            Self::Face { file } => ControlCommand::Face { file: there(file) },
            Self::Add { to } => ControlCommand::Add {
                to: secret::given(to)?,
            },
            Self::Drop { to } => ControlCommand::Drop { to: to.clone() },
            Self::Skip => ControlCommand::Skip,
            Self::Clear => ControlCommand::Clear,
            Self::Pause => ControlCommand::Pause,
            Self::Resume => ControlCommand::Resume,
            Self::Status => ControlCommand::Status,
            Self::Stop => ControlCommand::Stop,
        })
    }
}

pub fn run(args: &ControlArgs) -> anyhow::Result<ExitCode> {
    let path = match &args.control {
        Some(path) => path.clone(),
        None => control::default_path()?,
    };
    let reply = control::ask(&path, &args.what.command()?).map_err(|e| {
        anyhow::anyhow!(
            "{}: no broadcast answers there: {e}. Start one with `lipflow live`, or give its --control",
            path.display()
        )
    })?;
    if let Some(error) = reply.error {
        let file = error.file.map_or(String::new(), |file| format!("{file}: "));
        eprintln!(
            "lipflow: {}",
            plain(format_args!("{file}{}. {}.", error.reason, error.remedy))
        );
        return Ok(ExitCode::from(error.exit_code));
    }
    if let (What::Status, Some(status)) = (&args.what, reply.status) {
        super::print(&format!("{:#}\n", serde_json::to_value(status)?))?;
    }
    Ok(ExitCode::SUCCESS)
}
