//! `lipflow batch`: many jobs, by worker processes, with a journal.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::options::{ExistingOptions, JobOptions, ShowOptions};
use crate::application::{Batch, Ended, Plan};
use crate::batch::confine::Confine;
use crate::batch::files::{self, Pairing};
use crate::batch::pattern::Pattern;
use crate::batch::{self, list, place, text};
use crate::cancel::Stop;
use crate::error::{Failure, FailureKind};
use crate::event::Event;
use crate::job::{IfExists, Part, Sound, Speeches, Who, check_output_name};
use crate::journal::{Journal, Planned};
use crate::path::normalised;
use crate::pipeline::probe::Role;
use crate::pipeline::template::for_shell;
use crate::progress::{self, aside::Aside};
use crate::secret;
use crate::serve::{self, Server};
use crate::supervisor::Options;
use crate::terminal::plain;
use crate::worker::limits::{self, Limits};

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
    serve_events: Option<std::net::SocketAddr>,
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
    /// The batch as the arguments say it, and why some of it can't be in a journal.
    fn plan(&self) -> Result<(Plan, Vec<Failure>), Failure> {
        let mut options = self.options.configured()?;
        options.place_files(&|file| normalised(Path::new(file)).display().to_string());
        let mut left_out = Vec::new();
        let jobs = match &self.list {
            Some(list) => self.jobs_of_list(list, &options, &mut left_out)?,
            None => self.jobs_of_pairs(&options, &mut left_out)?,
        };
        if let Some(folder) = &self.work.confine {
            let confine = Confine::to(folder)?;
            for planned in &jobs {
                confine.check(&planned.job, &options.names())?;
            }
        }
        batch::check_outputs(&jobs)?;
        let outputs: Vec<_> = jobs
            .iter()
            .map(|planned| planned.output.as_path())
            .collect();
        let root = batch::common_folder(outputs.iter().copied()).ok_or_else(|| {
            Failure::new(FailureKind::Usage).because("the outputs have no folder in common")
        })?;
        let source = self.source();
        let state = match &self.work.state {
            Some(state) => state.clone(),
            None => place::of_batch(&root, &source, &outputs),
        };
        let zip = self.work.zip.as_deref().map(normalised);
        if let Some(zip) = zip.as_ref().filter(|zip| outputs.contains(&zip.as_path())) {
            return Err(Failure::of(FailureKind::Usage, zip)
                .because("the zip file has the name of an output")
                .advice("Give --zip another name"));
        }
        let plan = Plan {
            jobs,
            source,
            command: command_line(),
            root,
            state,
            zip,
            force: self.force,
        };
        Ok((plan, left_out))
    }

    fn source(&self) -> String {
        let path = |path: &PathBuf| normalised(path).display().to_string();
        match &self.list {
            Some(list) => format!("list {}", path(list)),
            None => {
                let faces: Vec<_> = self.faces.iter().map(path).collect();
                let speeches: Vec<_> = self.speeches.iter().map(path).collect();
                format!(
                    "faces {faces:?} speeches {speeches:?} {:?} {:?}",
                    self.pair, self.output
                )
            }
        }
    }

    fn jobs_of_pairs(
        &self,
        options: &JobOptions,
        left_out: &mut Vec<Failure>,
    ) -> Result<Vec<Planned>, Failure> {
        let journals = self.earlier();
        let is_output = |file: &Path| {
            let file = normalised(file);
            let known = |journal: &Journal| journal.has_output(&file).unwrap_or(false);
            journals.iter().any(known)
        };
        let faces = files::expand(&self.faces, Role::Face, &is_output)?;
        let speeches = files::expand(&self.speeches, Role::Speech, &is_output)?;
        let pattern = self.output.as_ref().ok_or_else(|| {
            Failure::new(FailureKind::Usage)
                .because("where to write is not said")
                .advice("Give --output, as in --output 'out/{speech.stem}-{face.stem}.mp4'")
        })?;
        let pairs = files::pair(&faces, &speeches, self.pair)?;
        let mut jobs = Vec::with_capacity(pairs.len());
        for (index, (face, speech)) in pairs.into_iter().enumerate() {
            // One such name is no reason not to make the others.
            if let Some(failure) = [&face, &speech].into_iter().find_map(|file| not_utf8(file)) {
                if !left_out.contains(&failure) {
                    left_out.push(failure);
                }
                continue;
            }
            let output = pattern.output(&face, &speech, index + 1);
            jobs.push(self.planned(options, face, Speeches::ByOne(speech), output)?);
        }
        match left_out.first() {
            Some(failure) if jobs.is_empty() => Err(failure.clone()),
            _ => Ok(jobs),
        }
    }

    /// Journals that may know files in the folders of the inputs.
    fn earlier(&self) -> Vec<Journal> {
        if let Some(state) = &self.work.state {
            return Journal::read(state).into_iter().collect();
        }
        let folders: BTreeSet<_> = self
            .faces
            .iter()
            .chain(&self.speeches)
            // A glob may have any folder behind its first wildcard.
            .filter_map(|path| path.ancestors().find(|folder| folder.is_dir()))
            .collect();
        let journals = folders.into_iter().map(place::at_or_above);
        journals.flatten().collect()
    }

    fn jobs_of_list(
        &self,
        path: &Path,
        shared: &JobOptions,
        left_out: &mut Vec<Failure>,
    ) -> Result<Vec<Planned>, Failure> {
        let rows = list::read(path).map_err(|e| {
            Failure::of(FailureKind::Usage, path)
                .because(e)
                .advice("See `lipflow batch --help` for what a list looks like")
        })?;
        let mut jobs = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            let wrong = |reason: &dyn std::fmt::Display| {
                Failure::of(FailureKind::Usage, path)
                    .because(format_args!("line {}: {reason}", row.line))
                    .advice("Mend the line; nothing was started")
            };
            if row.is_garbled {
                let reason = format!("line {}: {}", row.line, text::NOT_UTF8);
                let failure = Failure::of(FailureKind::Usage, path).because(reason);
                left_out.push(failure.advice("Mend the line; the others are done without it"));
                continue;
            }
            let beside = |file: &str| normalised(&list::beside(path, file)).display().to_string();
            let mut options = shared.clone();
            let (mut face, mut speech, mut output) = (None, None, None);
            let (mut parts, mut sound) = (Vec::new(), None);
            for (name, value) in &row.fields {
                match name.as_str() {
                    "face" => face = Some(list::beside(path, value)),
                    "speech" => speech = Some(list::beside(path, value)),
                    "output" => output = Some(list::beside(path, value)),
                    "sound" => sound = Some(value.parse::<Sound>().map_err(|e| wrong(&e))?),
                    name if name.starts_with("speech.") => {
                        let who = name["speech.".len()..]
                            .parse()
                            .map_err(|e: String| wrong(&e))?;
                        let who = match who {
                            Who::Picture(file) => Who::Picture(normalised(&list::beside(
                                path,
                                &file.to_string_lossy(),
                            ))),
                            who => who,
                        };
                        let file = list::beside(path, value);
                        parts.push(Part { who, file });
                    }
                    name => options.set(name, value).map_err(|e| wrong(&e))?,
                }
            }
            options.place_files(&beside);
            let face = face.ok_or_else(|| wrong(&"it has no face"))?;
            let said = match (speech, parts.first()) {
                (Some(_), Some(_)) => {
                    return Err(wrong(
                        &"it has a speech, and others that say whose they are",
                    ));
                }
                (None, None) => return Err(wrong(&"it has no speech")),
                (Some(_), None) if sound.is_some() => {
                    return Err(wrong(&"`sound` chooses among several speakers"));
                }
                (Some(speech), None) => Speeches::ByOne(speech),
                (None, Some(_)) => {
                    Speeches::by_several(parts, sound.as_ref()).map_err(|e| wrong(&e.reason()))?
                }
            };
            let speech = said.first().to_owned();
            let output = match (output, &self.output) {
                (Some(output), _) => output,
                (None, Some(pattern)) => pattern.output(&face, &speech, index + 1),
                (None, None) => {
                    return Err(wrong(&"it has no output, and --output names none"));
                }
            };
            let planned = self.planned(&options, face, said, output);
            jobs.push(planned.map_err(|e| match e.kind {
                FailureKind::Usage => wrong(&e.reason()),
                _ => e,
            })?);
        }
        match left_out.first() {
            Some(failure) if jobs.is_empty() => Err(failure.clone()),
            _ => Ok(jobs),
        }
    }

    fn planned(
        &self,
        options: &JobOptions,
        face: PathBuf,
        said: Speeches,
        output: PathBuf,
    ) -> Result<Planned, Failure> {
        // Workers and later starts may run elsewhere.
        let (face, said) = (normalised(&face), said.map_files(&normalised));
        let output = normalised(&output);
        check_output_name(&output)?;
        let if_exists: IfExists = self.existing.into();
        let job = options.job(face, said, Some(output.clone()), if_exists)?;
        let mut files = job.inputs().chain([output.as_path()]);
        if let Some(failure) = files.find_map(not_utf8) {
            return Err(failure);
        }
        drop(files);
        Ok(Planned { job, output })
    }

    fn work(&self) -> Options {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let jobs_per_worker = usize::from(self.work.jobs_per_worker);
        let workers = match self.work.workers {
            Some(workers) => usize::from(workers),
            None => default_workers(cores, jobs_per_worker),
        };
        let pipelines = workers * jobs_per_worker;
        Options {
            workers,
            jobs_per_worker,
            attempts: self.work.attempts,
            min_free: self.work.min_free * 1_000_000,
            threads: (pipelines > 1).then(|| (cores / pipelines).max(1)),
            limits: Limits {
                memory: match self.work.worker_memory {
                    Some(0) => None,
                    Some(mb) => Some(mb * 1_000_000),
                    None => Some(limits::usual_memory()),
                },
                no_network: true,
                own_files: self.work.worker_files == WorkerFiles::Named,
            },
        }
    }
}

/// What is wrong with a name that a journal can't have.
fn not_utf8(path: &Path) -> Option<Failure> {
    path.to_str().is_none().then(|| {
        Failure::of(FailureKind::Usage, path)
            .because("its name is not UTF-8, which a batch's journal needs")
            .advice("Rename it")
    })
}

/// One pipeline a core: its stages wait for each other now and then, so two on two cores do a third more
/// than one with two threads everywhere.
fn default_workers(cores: usize, jobs_per_worker: usize) -> usize {
    (cores / jobs_per_worker).max(1)
}

pub fn run(args: BatchArgs) -> anyhow::Result<ExitCode> {
    let (plan, left_out) = match args.plan() {
        Ok(plan) => plan,
        Err(failure) => return Ok(nothing_started(&failure)),
    };
    for failure in &left_out {
        eprintln!("lipflow: left out: {}", plain(failure));
    }
    if args.dry_run {
        return super::batch_plan::run(&plan.jobs, &plan.state);
    }
    match start(&args, &plan, &left_out) {
        Ok(code) => Ok(code),
        Err(Stopped::Before(failure)) => Ok(nothing_started(&failure)),
        Err(Stopped::Within(error)) => Err(error),
    }
}

/// Why a batch did not come to its end.
enum Stopped {
    Before(Failure),
    Within(anyhow::Error),
}

/// Works on the batch, and shows how it goes.
fn start(args: &BatchArgs, plan: &Plan, left_out: &[Failure]) -> Result<ExitCode, Stopped> {
    let internal =
        |e: std::io::Error| Stopped::Before(Failure::new(FailureKind::Internal).detail(e));
    let stop = Stop::on_signals().map_err(internal)?;
    let batch = Batch::begin(plan).map_err(Stopped::Before)?;
    let begun = batch.begun();
    if let Some(text) = args.work.serve_events.and_then(|a| serve::exposure(a.ip())) {
        eprintln!("lipflow: {text}");
    }
    let server = match args.work.serve_events {
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
    let renderer = progress::batch_renderer(args.show.progress);
    let renderer = Aside::start(renderer, begun).map_err(internal)?;
    let listen = |event: &Event| {
        renderer.show(event);
        if let Some(server) = &server {
            server.publish(event);
        }
    };
    let ended = batch
        .run(args.work(), stop, &listen)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_fits_the_machine() {
        assert_eq!(default_workers(1, 1), 1);
        assert_eq!(default_workers(2, 1), 2);
        assert_eq!(default_workers(16, 1), 16);
        assert_eq!(default_workers(16, 4), 4);
    }
}
