//! `lipflow pipeline`: the templates, their parameters and their gst-launch lines.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use gst::prelude::*;

use super::print;
use crate::job::parse_setting;
use crate::pipeline::template::check;
use crate::pipeline::template::{Default, Param, Template, TemplateError, Values, for_shell};

/// List, show and check the pipelines.
#[derive(Args, Debug)]
pub struct PipelineArgs {
    #[command(subcommand)]
    command: PipelineCommand,
}

#[derive(Debug, Subcommand)]
enum PipelineCommand {
    /// Print the templates that are built in, with their parameters
    List,
    /// Print a template as a gst-launch-1.0 command for a shell
    Show(ShowArgs),
    /// Say what is wrong with a template: line, element, property, package
    Check(CheckArgs),
}

#[derive(Args, Debug)]
struct ShowArgs {
    /// A name from `lipflow pipeline list`, or a file of your own
    #[arg(value_name = "NAME|FILE")]
    template: String,
    /// The face: a video or a picture; short for --set face=FILE
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    face: Option<String>,
    /// The speech: a sound file, or a video with sound; short for --set speech=FILE
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    speech: Option<String>,
    /// The file to write; short for --set output=FILE
    #[arg(short, long, value_name = "FILE", allow_hyphen_values = true)]
    output: Option<String>,
    /// Set a parameter of the template
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parse_setting)]
    settings: Vec<(String, String)>,
}

#[derive(Args, Debug)]
struct CheckArgs {
    /// A file of your own, or a name from `lipflow pipeline list`
    #[arg(value_name = "FILE|NAME")]
    template: String,
    /// Set a parameter of the template
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parse_setting)]
    settings: Vec<(String, String)>,
}

pub fn run(args: PipelineArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        PipelineCommand::List => {
            print(&list())?;
            Ok(ExitCode::SUCCESS)
        }
        PipelineCommand::Show(args) => show(args),
        PipelineCommand::Check(args) => check(args),
    }
}

/// Each template with its own parameters, then once those that all have.
fn list() -> String {
    let templates: Vec<&Template> = Template::builtin().collect();
    let is_common = |param: &Param| templates.iter().all(|t| t.params().contains(param));
    let mut text = String::new();
    for template in &templates {
        let _ = write!(
            text,
            "{}: {}\n  {}\n",
            template.name(),
            template.title(),
            template.about()
        );
        let own = template.params().iter().filter(|p| !is_common(p));
        text.push_str(&table(own));
        text.push('\n');
    }
    text.push_str("All of them:\n");
    let common = templates.first().into_iter().flat_map(|t| t.params());
    text.push_str(&table(common.filter(|p| is_common(p))));
    text
}

fn table<'a>(params: impl Iterator<Item = &'a Param>) -> String {
    let rows: Vec<(String, &Param)> = params.map(|param| (head(param), param)).collect();
    let width = rows.iter().map(|(head, _)| head.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (head, param) in rows {
        let _ = writeln!(text, "    {head:width$}  {} ({})", param.help, param.kind);
    }
    text
}

fn head(param: &Param) -> String {
    match &param.default {
        Default::Required => format!("{} (required)", param.name),
        Default::LeftOut => param.name.clone(),
        Default::Value(value) => format!("{} = {value}", param.name),
    }
}

fn show(args: ShowArgs) -> anyhow::Result<ExitCode> {
    crate::init()?;
    let template = Template::load(&args.template)?;
    let shorthands = [
        ("face", args.face),
        ("speech", args.speech),
        ("output", args.output),
    ];
    let settings = shorthands
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_string(), value?)))
        .chain(args.settings);
    let values = settings.fold(Values::new(), |values, (name, value)| {
        values.set(name, value)
    });
    let command = template.command(&values)?;
    let prefix = plugin_path(&template)?;
    print(&format!("{prefix}{command}\n"))?;
    let missing: Vec<_> = template.missing(&values).map(|p| p.name.as_str()).collect();
    if !missing.is_empty() {
        eprintln!(
            "lipflow: put values in place of the capitals, or set them: {}",
            missing.join(", ")
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The variable that makes gst-launch-1.0 find our elements, where it is needed.
fn plugin_path(template: &Template) -> Result<String, TemplateError> {
    let is_ours = |element: &String| {
        gst::ElementFactory::find(element)
            .and_then(|factory| factory.plugin_name())
            .is_some_and(|plugin| plugin == "lipsync")
    };
    if crate::scanned_plugin().is_some() || !check::elements(template)?.iter().any(is_ours) {
        return Ok(String::new());
    }
    let folder = plugin_folder().unwrap_or_else(|| {
        eprintln!(
            "lipflow: libgstlipsync.so is not beside this program: `cargo build -p \
             gst-plugin-lipsync` makes it; put its folder in place of /PATH/TO/PLUGIN"
        );
        "/PATH/TO/PLUGIN".into()
    });
    let mut path = folder.to_string_lossy().into_owned();
    if let Some(others) = std::env::var_os("GST_PLUGIN_PATH").filter(|p| !p.is_empty()) {
        path = format!("{path}:{}", others.to_string_lossy());
    }
    Ok(format!("GST_PLUGIN_PATH={} ", for_shell(&path)))
}

/// Where a build or an installation puts the plugin, seen from the program.
pub(super) fn plugin_folder() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let folder = program.parent()?;
    ["", "../lib/gstreamer-1.0"]
        .iter()
        .map(|relative| folder.join(relative))
        .find(|folder| folder.join("libgstlipsync.so").is_file())
        .map(|folder| folder.components().as_path().to_path_buf())
}

fn check(args: CheckArgs) -> anyhow::Result<ExitCode> {
    crate::init()?;
    // A file without a `/` is meant where there is one.
    let template = match Template::load(&args.template) {
        Err(TemplateError::Unknown { .. }) if Path::new(&args.template).is_file() => {
            Template::load_file(Path::new(&args.template))
        }
        loaded => loaded,
    };
    let values = args
        .settings
        .into_iter()
        .fold(Values::new(), |values, (name, value)| {
            values.set(name, value)
        });
    let found = template.and_then(|template| {
        let problems = check::check(&template, &values)?;
        Ok((template, problems))
    });
    let (text, code) = match found {
        Ok((template, problems)) if problems.is_empty() => (
            format!(
                "{} is right: {} elements, {} parameters\n",
                args.template,
                check::elements(&template)?.len(),
                template.params().len()
            ),
            ExitCode::SUCCESS,
        ),
        Ok((_, problems)) => {
            let lines = problems.iter().map(|problem| format!("{problem}\n"));
            (lines.collect(), ExitCode::FAILURE)
        }
        // These are findings, too.
        Err(
            error @ (TemplateError::Malformed { .. }
            | TemplateError::Refused { .. }
            | TemplateError::BadValue { .. }
            | TemplateError::UnknownParameter { .. }),
        ) => (format!("{error}\n"), ExitCode::FAILURE),
        Err(error) => return Err(error.into()),
    };
    print(&text)?;
    Ok(code)
}
