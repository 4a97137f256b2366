//! `lipflow status`: how far a batch is, from another terminal or after it died.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::batch::place;
use crate::event::{JobState, Progress};
use crate::journal::{BatchRow, Counts, JobRow, Journal};
use crate::progress::clock;
use crate::terminal::plain;

/// Where the journal is, as all commands about a batch take it.
#[derive(Args, Debug)]
pub struct JournalOptions {
    /// The folder of the outputs
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// Folder of the journal, if --state was given to the batch
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// Number of the batch, where several share the journal; the last one by default
    #[arg(long, value_name = "N")]
    batch: Option<i64>,
}

impl JournalOptions {
    fn path(&self) -> PathBuf {
        match &self.state {
            Some(state) => state.clone(),
            None => place::of_folder(&self.folder),
        }
    }

    /// Opens the journal for reading and finds the batch.
    pub fn read(&self) -> anyhow::Result<(Journal, BatchRow)> {
        self.with(Journal::read)
    }

    /// Opens the journal for writing and finds the batch.
    pub fn open(&self) -> anyhow::Result<(Journal, BatchRow)> {
        self.with(|path| {
            // Only a batch begins a journal.
            Journal::read(path)?;
            Journal::open(path)
        })
    }

    fn with(
        &self,
        open: impl FnOnce(&Path) -> crate::journal::Result<Journal>,
    ) -> anyhow::Result<(Journal, BatchRow)> {
        let path = self.path();
        let journal = open(&path).map_err(|e| match e {
            crate::journal::Error::Missing(_) => anyhow::anyhow!(
                "{}: there is no batch here. Name the folder of its outputs, or give --state",
                path.display()
            ),
            e => e.failure(&path).into(),
        })?;
        let batch = journal
            .batch(self.batch)?
            .ok_or_else(|| anyhow::anyhow!("{}: there is no such batch", path.display()))?;
        Ok((journal, batch))
    }
}

/// Shows how far a batch is.
#[derive(Args, Debug)]
pub struct StatusArgs {
    #[command(flatten)]
    journal: JournalOptions,
    /// Stay and show every change, until the batch is over or nobody works on it
    #[arg(long)]
    watch: bool,
    /// As a JSON object (with --watch, one a line)
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Status {
    batch: BatchRow,
    counts: Counts,
    total: u64,
    /// Whether a controller works on it.
    attended: bool,
    running: Vec<JobRow>,
}

pub fn run(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let (journal, batch) = args.journal.read()?;
    let mut last = String::new();
    loop {
        let status = status(&journal, &batch)?;
        let text = if args.json {
            format!("{}\n", serde_json::to_string(&status)?)
        } else {
            text(&status)
        };
        if text != last {
            super::print(&text)?;
            last = text;
        }
        if !args.watch || !status.attended || status.counts.open() == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn status(journal: &Journal, batch: &BatchRow) -> crate::journal::Result<Status> {
    let counts = journal.counts(batch.id)?;
    let running = if counts.running > 0 {
        let mut jobs = journal.jobs(batch.id, false)?;
        jobs.retain(|job| is_running(job.state));
        jobs
    } else {
        Vec::new()
    };
    Ok(Status {
        batch: batch.clone(),
        total: counts.total(),
        attended: journal.is_attended()?,
        counts,
        running,
    })
}

pub fn is_running(state: JobState) -> bool {
    !matches!(
        state,
        JobState::Queued | JobState::Done | JobState::Failed | JobState::Cancelled
    )
}

/// How far it is: in frames of the face while that is learnt, else in time.
fn far(progress: &Progress) -> String {
    let of = |total: Option<String>| total.unwrap_or("?".into());
    match &progress.learning {
        Some(learning) => format!(
            "frame {} of {}",
            learning.frames,
            of(learning.frames_total.map(|total| total.to_string()))
        ),
        None => format!(
            "{} of {}",
            clock(progress.position_s),
            of(progress.duration_s.map(clock))
        ),
    }
}

fn text(status: &Status) -> String {
    let Counts {
        queued,
        running,
        done,
        failed,
        cancelled,
    } = status.counts;
    let mut text = format!(
        "batch {} of {} jobs: {done} done, {failed} failed, {cancelled} cancelled, {running} running, {queued} waiting\n",
        status.batch.id, status.total
    );
    for job in &status.running {
        let progress = job.progress.clone().unwrap_or_default();
        text += &format!(
            "  {:<6} {:<10} {}  {}\n",
            job.id,
            progress.phase.name(),
            far(&progress),
            plain(job.output.display()),
        );
    }
    if !status.attended && status.counts.open() > 0 {
        text += &format!(
            "nobody works on it; go on with:\n  {}\n",
            status.batch.command
        );
    }
    text
}
