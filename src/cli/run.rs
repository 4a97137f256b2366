//! `lipflow run`: one job.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::options::{ExistingOptions, ShowOptions};
use crate::cancel::Cancel;
use crate::error::{Failure, FailureKind};
use crate::event::{Body, Event, Outcome, Progress};
use crate::job::JobOptions;
use crate::job::{Job, Sound, Speeches};
use crate::{progress, worker};

/// Makes the mouth in a video follow a speech track.
///
/// The output appears under its name only when it is whole. The exit code tells what went wrong;
/// `lipflow schema --exit-codes` lists them.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// The face: a video or a picture
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    face: PathBuf,
    /// The speech: a sound file, or a video with a sound track. Where several people in one picture
    /// speak, once for each: left=a.wav, right=b.wav, 0=FILE (faces from the left, counted from 0), or
    /// picture:anna.png=FILE (whoever looks like that). Faces without a speech stay as they are
    #[arg(
        long = "speech",
        value_name = "[WHO=]FILE",
        required = true,
        allow_hyphen_values = true
    )]
    speeches: Vec<PathBuf>,
    /// What is heard where several speak: mix, or one of them as in --speech
    #[arg(long, value_name = "mix|WHO")]
    sound: Option<Sound>,
    /// The file to write
    #[arg(short, long, value_name = "FILE", allow_hyphen_values = true)]
    output: Option<PathBuf>,
    #[command(flatten)]
    existing: ExistingOptions,
    #[command(flatten)]
    show: ShowOptions,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    options: JobOptions,
}

impl RunArgs {
    fn into_job(self) -> Result<Job, Failure> {
        let said = Speeches::read(&self.speeches, self.sound.as_ref())?;
        let job =
            self.options
                .configured()?
                .job(self.face, said, self.output, self.existing.into())?;
        Ok(Job {
            dry_run: self.dry_run,
            ..job
        })
    }
}

pub fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    crate::init().context("GStreamer can't start")?;
    let mut renderer = progress::renderer(args.show.progress);
    let mut emit = |body: Body| renderer.show(&Event::now(body));
    let outcome = args
        .into_job()
        .and_then(|job| {
            let cancel =
                Cancel::on_signals().map_err(|e| Failure::new(FailureKind::Internal).detail(e))?;
            Ok(worker::run(
                job,
                worker::Context::default(),
                &cancel,
                &mut emit,
            ))
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
