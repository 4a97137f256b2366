//! `lipflow model`: which models there are, and whether one's own fits.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use gstlipsync::model::{self, Manifest, Model};
use gstlipsync::runtime::{Options, Provider};

use super::print;

/// List the models, and check one of your own.
#[derive(Args, Debug)]
pub struct ModelArgs {
    #[command(subcommand)]
    command: ModelCommand,
}

#[derive(Debug, Subcommand)]
enum ModelCommand {
    /// Print the models that are built in, known or found
    List,
    /// Say whether a model fits, with the shapes found and expected
    Check {
        /// An .onnx file, a manifest (.toml), or a name from `lipflow model list`
        #[arg(value_name = "FILE|NAME")]
        model: PathBuf,
    },
}

pub fn run(args: ModelArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        ModelCommand::List => list(),
        ModelCommand::Check { model } => check(&model),
    }
}

fn list() -> anyhow::Result<ExitCode> {
    let mut text = String::new();
    let default = Model::resolve(None)?;
    for manifest in model::embedded()? {
        let state = match Model::resolve(Some(Path::new(&manifest.name))) {
            Ok(model) if model.name() == default.name() => "built in, the default".into(),
            Ok(_) => "built in".into(),
            Err(error) => error.to_string(),
        };
        describe(&mut text, &manifest.name, &manifest, &state);
    }
    let folder = model::weights_dir();
    for manifest in model::bundled()? {
        let weights = folder.join(&manifest.file);
        let state = match weights.is_file() {
            true => format!("weights: {}", weights.display()),
            false => format!("bring the weights as {}", weights.display()),
        };
        describe(&mut text, &manifest.name, &manifest, &state);
    }
    for path in manifests_in(&folder) {
        match Manifest::read(&path) {
            Ok(manifest) => {
                let state = format!("manifest: {}", path.display());
                describe(&mut text, &path.display().to_string(), &manifest, &state);
            }
            Err(error) => {
                let _ = writeln!(text, "{}\n  can't be used: {error}", path.display());
            }
        }
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn describe(text: &mut String, name: &str, manifest: &Manifest, state: &str) {
    let _ = write!(
        text,
        "{name} ({})\n  {state}\n  licence: {}\n  from: {}\n",
        manifest.network.kind().name(),
        manifest.licence,
        manifest.source
    );
}

/// A user's own manifests, where the weights of the known models are looked for.
fn manifests_in(folder: &Path) -> Vec<PathBuf> {
    // A folder that isn't there has none.
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    found.sort();
    found
}

fn check(path: &Path) -> anyhow::Result<ExitCode> {
    let options = Options {
        provider: Provider::Cpu,
        ..Options::default()
    };
    let report = Model::resolve(Some(path))?.check(options)?;
    print(&format!("{report}\n"))?;
    Ok(match report.fits() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
