//! `lipflow completions` and `lipflow man`: made from the arguments themselves.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, print};

/// Print a completion script for a shell.
///
/// For bash: lipflow completions bash > ~/.local/share/bash-completion/completions/lipflow
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    shell: Shell,
}

/// Print the manual page.
///
/// To read it: lipflow man > lipflow.1 && man ./lipflow.1
#[derive(Args, Debug)]
pub struct ManArgs {}

pub fn run(args: CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "lipflow", &mut script);
    print(&String::from_utf8(script)?)?;
    Ok(ExitCode::SUCCESS)
}

/// One page: the program, then each subcommand as a section.
pub fn man(_: ManArgs) -> anyhow::Result<ExitCode> {
    let mut command = Cli::command();
    command.build();
    let page = clap_mangen::Man::new(command.clone());
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    for subcommand in command.get_subcommands() {
        describe(subcommand, &mut text)?;
    }
    page.render_version_section(&mut text)?;
    print(&String::from_utf8(text)?)?;
    Ok(ExitCode::SUCCESS)
}

fn describe(command: &clap::Command, text: &mut Vec<u8>) -> std::io::Result<()> {
    if command.get_name() == "help" {
        return Ok(());
    }
    let name = command.get_bin_name().unwrap_or(command.get_name());
    writeln!(text, ".SH \"{}\"", name.to_uppercase())?;
    let page = clap_mangen::Man::new(command.clone());
    for section in [
        clap_mangen::Man::render_synopsis_section,
        clap_mangen::Man::render_description_section,
        clap_mangen::Man::render_options_section,
    ] {
        let mut part = Vec::new();
        section(&page, &mut part)?;
        // Sections of a subcommand stand under its name.
        let part = String::from_utf8_lossy(&part).replace(".SH ", ".SS ");
        text.write_all(part.as_bytes())?;
    }
    for subcommand in command.get_subcommands() {
        describe(subcommand, text)?;
    }
    Ok(())
}
