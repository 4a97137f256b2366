//! `lipflow batch`: many jobs, by worker processes, with a journal.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::options::{ExistingOptions, ShowOptions};
use crate::application::{Batch, Ended, Inputs, Memory, Plan, Request, Work};
use crate::batch::files::Pairing;
use crate::batch::pattern::Pattern;
use crate::cancel::Stop;
use crate::error::{Failure, FailureKind};
use crate::event::Event;
use crate::job::JobOptions;
use crate::pipeline::template::for_shell;
use crate::progress::{self, Style, aside::Aside};
use crate::secret;
use crate::serve::{self, Server};
use crate::terminal::plain;

/// Makes many videos: a job list, or faces and speeches put together.
///
/// The jobs run in worker processes, and a journal beside the outputs knows the state of each. The
/// same command started again does what is missing. Exit codes: 0 all done; 1 some failed; 2 nothing
/// could start; 130 interrupted.
#[derive(Args, Debug)]
pub struct BatchArgs {
    /// A job list: CSV with a header, or JSON Lines. Columns: face, speech, output, and the options of
    /// `lipflow run`, such as strength or set.crf; where several speak, speech.left, speech.right,
    /// speech.0, `speech.picture:FILE` in place of speech, and sound. Paths in it are relative to it. A list can name
    /// templates and outputs: one from somebody else wants --confine
    #[arg(value_name = "LIST", conflicts_with_all = ["faces", "speeches"], required_unless_present_all = ["faces", "speeches"])]
    list: Option<PathBuf>,
    /// A face: a file, a folder, or a quoted glob
    #[arg(long = "face", value_name = "PATH", num_args = 1.., requires = "speeches")]
    faces: Vec<PathBuf>,
    /// A speech: likewise
    #[arg(long = "speech", value_name = "PATH", num_args = 1.., requires = "faces")]
    speeches: Vec<PathBuf>,
    /// Every face with every speech, or those of the same name
    #[arg(long, value_enum, default_value_t)]
    pair: Pairing,
    /// Names of the outputs, with {speech.stem}, {face.stem}, .name, .folder, {row}
    #[arg(short, long, value_name = "PATTERN")]
    output: Option<Pattern>,
    #[command(flatten)]
    existing: ExistingOptions,
    /// Do everything again, also what is done
    #[arg(long)]
    force: bool,
    /// Probe everything and report: what will run, what is done, what can't work, time and disk
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    show: ShowOptions,
    #[command(flatten)]
    work: WorkOptions,
    #[command(flatten)]
    options: JobOptions,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Work")]
struct WorkOptions {
    /// Folder of the journal; by default `.lipflow` in the folder of the outputs, or where it was before
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// Worker processes; by default what fits the machine
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// Pipelines in each worker
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs_per_worker: u16,
    /// How often a job is tried when its cause of failure may pass
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    attempts: u32,
    /// Megabytes of memory that a worker may ask for before it is the one that fails; 0 for no limit, by
    /// default three quarters of the machine's
    #[arg(long, value_name = "MB", value_parser = worker_memory)]
    worker_memory: Option<u64>,
    /// Which files workers reach: those that the jobs name, where the kernel can hold them to it, or all of
    /// yours
    #[arg(long, value_enum, default_value_t, value_name = "WHICH")]
    worker_files: WorkerFiles,
    /// Megabytes that stay free on the disks; below, the batch pauses until there is room
    #[arg(long, value_name = "MB", default_value_t = 500)]
    min_free: u64,
    /// Serves the events to browsers and curl at this address, as in 127.0.0.1:8080. Whoever can reach it
    /// reads them
    #[arg(long, value_name = "ADDRESS")]
    serve_events: Option<SocketAddr>,
    /// Puts the results into a zip file, stored as they are, while the batch runs
    #[arg(long, value_name = "FILE")]
    zip: Option<PathBuf>,
    /// Refuses a list that names files outside this folder, or templates that are files: those are code
    #[arg(long, value_name = "FOLDER")]
    confine: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum WorkerFiles {
    #[default]
    Named,
    All,
}

/// Megabytes of a worker. With less than its plugins and models take, nothing works, in odd ways.
fn worker_memory(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(mb) if mb == 0 || mb >= 500 => Ok(mb),
        Ok(_) => Err("a worker wants at least 500".into()),
        Err(_) => Err("it is not a number of megabytes".into()),
    }
}

impl BatchArgs {
    fn request(self) -> Request {
        Request {
            inputs: match self.list {
                Some(list) => Inputs::List(list),
                None => Inputs::Pairs {
                    faces: self.faces,
                    speeches: self.speeches,
                    pairing: self.pair,
                },
            },
            output: self.output,
            options: self.options,
            if_exists: self.existing.into(),
            state: self.work.state,
            zip: self.work.zip,
            confine: self.work.confine,
            force: self.force,
            command: command_line(),
        }
    }
}

impl WorkOptions {
    fn work(&self) -> Work {
        Work {
            workers: self.workers.map(usize::from),
            jobs_per_worker: usize::from(self.jobs_per_worker),
            attempts: self.attempts,
            min_free: self.min_free * 1_000_000,
            memory: match self.worker_memory {
                Some(0) => Memory::Unlimited,
                Some(mb) => Memory::Bytes(mb * 1_000_000),
                None => Memory::Usual,
            },
            all_files: self.worker_files == WorkerFiles::All,
        }
    }
}

pub fn run(args: BatchArgs) -> anyhow::Result<ExitCode> {
    let how = How {
        work: args.work.work(),
        serve_events: args.work.serve_events,
        show: args.show.progress,
    };
    let is_dry_run = args.dry_run;
    let (plan, left_out) = match args.request().plan() {
        Ok(plan) => plan,
        Err(failure) => return Ok(nothing_started(&failure)),
    };
    for failure in &left_out {
        eprintln!("lipflow: left out: {}", plain(failure));
    }
    if is_dry_run {
        return super::batch_plan::run(&plan.jobs, &plan.state);
    }
    match start(&how, &plan, &left_out) {
        Ok(code) => Ok(code),
        Err(Stopped::Before(failure)) => Ok(nothing_started(&failure)),
        Err(Stopped::Within(error)) => Err(error),
    }
}

/// How a batch is worked on and shown.
struct How {
    work: Work,
    serve_events: Option<SocketAddr>,
    show: Style,
}

/// Why a batch did not come to its end.
enum Stopped {
    Before(Failure),
    Within(anyhow::Error),
}

/// Works on the batch, and shows how it goes.
fn start(how: &How, plan: &Plan, left_out: &[Failure]) -> Result<ExitCode, Stopped> {
    let internal =
        |e: std::io::Error| Stopped::Before(Failure::new(FailureKind::Internal).detail(e));
    let stop = Stop::on_signals().map_err(internal)?;
    let batch = Batch::begin(plan).map_err(Stopped::Before)?;
    let begun = batch.begun();
    if let Some(text) = how.serve_events.and_then(|a| serve::exposure(a.ip())) {
        eprintln!("lipflow: {text}");
    }
    let server = match how.serve_events {
        Some(address) => Some(
            Server::start(address, &plan.state, begun.batch).map_err(|e| {
                Stopped::Before(
                    Failure::new(FailureKind::Usage)
                        .because(format_args!("events can't be served at {address}: {e}"))
                        .advice("Choose another port"),
                )
            })?,
        ),
        None => None,
    };
    let renderer = progress::batch_renderer(how.show);
    let renderer = Aside::start(renderer, begun).map_err(internal)?;
    let listen = |event: &Event| {
        renderer.show(event);
        if let Some(server) = &server {
            server.publish(event);
        }
    };
    let ended = batch
        .run(&how.work, stop, &listen)
        .context("The batch had to stop; start it again and it goes on")
        .map_err(Stopped::Within)?;
    let Ended {
        summary,
        jobs,
        notes,
    } = ended;
    renderer.end(&summary, &jobs, &notes);
    let is_incomplete = summary.progress.failed + summary.progress.cancelled > 0;
    Ok(if summary.is_interrupted {
        ExitCode::from(130)
    } else if is_incomplete || !left_out.is_empty() {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

/// The command line, as a shell takes it again; keys in it are left out.
fn command_line() -> String {
    let words = std::env::args().map(|a| for_shell(&secret::public_argument(&a)).into_owned());
    words.collect::<Vec<_>>().join(" ")
}

fn nothing_started(failure: &Failure) -> ExitCode {
    eprintln!("lipflow: {}", plain(failure));
    ExitCode::from(2)
}
