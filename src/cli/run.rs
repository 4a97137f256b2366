//! `lipflow run`: one job.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use crate::cancel::Cancel;
use crate::error::{Failure, FailureKind};
use crate::event::{Body, Outcome, Progress};
use crate::job::{EndMode, IfExists, Job, LoopMode, Offset};
use crate::progress::{self, Style};
use crate::worker;

/// Makes the mouth in a video follow a speech track.
///
/// The output appears under its name only when it is whole. The exit code tells what went wrong;
/// `lipflow schema --exit-codes` lists them.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// The face: a video or a picture
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    face: PathBuf,
    /// The speech: a sound file, or a video with a sound track
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    speech: PathBuf,
    /// The file to write
    #[arg(short, long, value_name = "FILE", allow_hyphen_values = true)]
    output: Option<PathBuf>,
    /// The pipeline: a name from `lipflow pipeline list`, or a file of your own
    #[arg(long, value_name = "NAME|FILE", default_value = "file")]
    template: String,
    /// The model: a name from `lipflow model list`, or a file; the one built in by default
    #[arg(long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// Sets a parameter of the template
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = super::parse_setting)]
    settings: Vec<(String, String)>,
    #[command(flatten)]
    existing: ExistingOptions,
    #[command(flatten)]
    show: ShowOptions,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Seconds without movement after which the job is given up
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    stuck_after: u64,
    // Options without a heading come first: a heading holds for all that follow it.
    #[command(flatten)]
    face_options: FaceOptions,
    #[command(flatten)]
    length: LengthOptions,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Face and mouth")]
struct FaceOptions {
    /// Which face, where there are several: largest, leftmost, centre, or a number from the left,
    /// counted from 0
    #[arg(long, value_name = "WHICH", value_parser = parse_face_choice)]
    face_choice: Option<FaceChoice>,
    /// How far the mouth moves: 0 not at all, 1 as the model says
    #[arg(long, value_name = "NUMBER")]
    strength: Option<f64>,
    /// How much later than the sound the mouth moves: 40ms; or earlier: -0.1s
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    av_offset: Option<Offset>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Length")]
struct LengthOptions {
    /// What the output ends with
    #[arg(long, value_enum, default_value_t)]
    end_mode: EndMode,
    /// What the face does at its end. By default a picture stays, and a video that is shorter than
    /// the speech runs backwards and forwards
    #[arg(long, value_enum)]
    loop_mode: Option<LoopMode>,
}

#[derive(Args, Debug)]
#[group(multiple = false)]
struct ExistingOptions {
    /// Replace an output that exists, once the new one is whole
    #[arg(long)]
    overwrite: bool,
    /// Do nothing if the output exists
    #[arg(long)]
    skip_existing: bool,
}

#[derive(Args, Debug)]
struct ShowOptions {
    /// How progress is shown
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    progress: Style,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum FaceChoice {
    Named(&'static str),
    Index(u32),
}

fn parse_face_choice(text: &str) -> Result<FaceChoice, String> {
    const NAMES: [&str; 3] = ["largest", "leftmost", "centre"];
    if let Some(name) = NAMES.iter().find(|name| **name == text) {
        return Ok(FaceChoice::Named(name));
    }
    text.parse()
        .map(FaceChoice::Index)
        .map_err(|_| format!("`{text}` is none of {}, and no number", NAMES.join(", ")))
}

impl RunArgs {
    /// Makes a job of the arguments.
    fn into_job(self) -> Result<Job, Failure> {
        let mut parameters = Vec::new();
        let mut set = |name: &str, value: String| parameters.push((name.to_owned(), value));
        if let Some(model) = self.model {
            check_model(&model)?;
            set("model", model);
        }
        match self.face_options.face_choice {
            Some(FaceChoice::Named(name)) => set("face-select", name.into()),
            Some(FaceChoice::Index(index)) => {
                set("face-select", "index".into());
                set("face-index", index.to_string());
            }
            None => {}
        }
        if let Some(strength) = self.face_options.strength {
            set("strength", strength.to_string());
        }
        if let Some(offset) = self.face_options.av_offset {
            set("audio-offset", offset.nanoseconds.to_string());
        }
        parameters.extend(self.settings);
        Ok(Job {
            face: self.face,
            speech: self.speech,
            output: self.output,
            template: self.template,
            parameters,
            end_mode: self.length.end_mode,
            loop_mode: self.length.loop_mode,
            if_exists: match (self.existing.overwrite, self.existing.skip_existing) {
                (true, _) => IfExists::Overwrite,
                (_, true) => IfExists::Skip,
                _ => IfExists::Refuse,
            },
            stuck_after: Duration::from_secs(self.stuck_after),
            dry_run: self.dry_run,
        })
    }
}

/// A model that is given as a file must be one; a name is looked up by the element.
fn check_model(model: &str) -> Result<(), Failure> {
    let is_file_name = model.contains('/') || model.ends_with(".onnx") || model.ends_with(".toml");
    if is_file_name && !Path::new(model).is_file() {
        return Err(Failure::of(FailureKind::ModelMissing, Path::new(model)));
    }
    Ok(())
}

pub fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    crate::init().context("GStreamer can't start")?;
    let mut renderer = progress::renderer(args.show.progress);
    let mut emit = |body: Body| renderer.show(&body);
    let outcome = args
        .into_job()
        .and_then(|job| {
            let cancel =
                Cancel::on_signals().map_err(|e| Failure::new(FailureKind::Internal).detail(e))?;
            Ok(worker::run(job, &cancel, &mut emit))
        })
        .unwrap_or_else(|failure| {
            let outcome = Outcome::of_failure(&failure, &Progress::default());
            emit(Body::Result(outcome.clone()));
            outcome
        });
    Ok(match outcome.error {
        Some(error) => ExitCode::from(error.exit_code),
        None => ExitCode::SUCCESS,
    })
}
