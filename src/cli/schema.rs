//! `lipflow schema`: what the events of `--progress json` and the exit codes mean.

use std::process::ExitCode;

use clap::Args;

use crate::error::FailureKind;
use crate::event;

/// Prints the JSON schema of the events of `--progress json`.
#[derive(Args, Debug)]
pub struct SchemaArgs {
    /// Print the exit codes instead
    #[arg(long)]
    exit_codes: bool,
}

pub fn run(args: &SchemaArgs) -> anyhow::Result<ExitCode> {
    let mut text = if args.exit_codes {
        exit_codes()
    } else {
        format!("{:#}", event::schema().to_value())
    };
    text.push('\n');
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn exit_codes() -> String {
    let mut lines = vec!["  0  done".to_owned()];
    for kind in FailureKind::ALL {
        lines.push(format!("{:3}  {}", kind.exit_code(), kind.reason()));
    }
    lines.join("\n")
}
