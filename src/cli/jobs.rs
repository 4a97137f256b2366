//! `lipflow jobs`, `retry` and `cancel`: the jobs of a batch, from another terminal or after it died.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::status::{JournalOptions, is_running};
use crate::event::JobState;
use crate::journal::{JobRow, recover};
use crate::publish::LocalStore;
use crate::terminal::plain;

/// Lists the jobs of a batch.
#[derive(Args, Debug)]
pub struct JobsArgs {
    #[command(flatten)]
    journal: JournalOptions,
    /// Only those in this state
    #[arg(long = "only", value_enum, value_name = "STATE")]
    only: Option<Only>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Only {
    Waiting,
    Running,
    Done,
    Failed,
    Cancelled,
}

impl Only {
    fn has(self, state: JobState) -> bool {
        match self {
            Self::Waiting => state == JobState::Queued,
            Self::Running => is_running(state),
            Self::Done => state == JobState::Done,
            Self::Failed => state == JobState::Failed,
            Self::Cancelled => state == JobState::Cancelled,
        }
    }
}

/// Puts jobs that failed or were cancelled back into the queue.
///
/// If the batch runs, it takes them up; otherwise start it again.
#[derive(Args, Debug)]
pub struct RetryArgs {
    #[command(flatten)]
    journal: JournalOptions,
    #[command(flatten)]
    which: Which,
}

/// Cancels jobs.
///
/// One that runs is stopped within two seconds and leaves nothing behind.
#[derive(Args, Debug)]
pub struct CancelArgs {
    #[command(flatten)]
    journal: JournalOptions,
    #[command(flatten)]
    which: Which,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Which {
    /// Numbers of jobs, as `lipflow jobs` shows them
    #[arg(short, long = "job", value_name = "N", num_args = 1..)]
    jobs: Vec<i64>,
    /// The whole batch
    #[arg(long)]
    all: bool,
}

impl Which {
    /// The jobs; empty means all.
    fn jobs(&self) -> anyhow::Result<&[i64]> {
        if self.jobs.is_empty() && !self.all {
            bail!("say which jobs, with --job, or --all");
        }
        Ok(&self.jobs)
    }
}

pub fn list(args: &JobsArgs) -> anyhow::Result<ExitCode> {
    let (journal, batch) = args.journal.read()?;
    let mut text = String::new();
    for job in journal.jobs(batch.id, false)? {
        if args.only.is_some_and(|only| !only.has(job.state)) {
            continue;
        }
        if args.json {
            text += &serde_json::to_string(&job)?;
            text.push('\n');
        } else {
            text += &line(&job);
        }
    }
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn line(job: &JobRow) -> String {
    let mut line = format!(
        "{:<6} {:<10} {}",
        job.id,
        job.state.name(),
        plain(job.output.display())
    );
    if let Some(error) = job.error() {
        line += &format!("  {}", plain(&error.reason));
    }
    if job.attempts > 1 {
        line += &format!("  ({} attempts)", job.attempts);
    }
    line.push('\n');
    line
}

pub fn retry(args: &RetryArgs) -> anyhow::Result<ExitCode> {
    let (journal, batch) = args.journal.open()?;
    let count = journal.retry(batch.id, args.which.jobs()?)?;
    let mut text = format!("{count} put back into the queue\n");
    if count > 0 && !journal.is_attended()? {
        text += &format!(
            "nobody works on the batch; start it with:\n  {}\n",
            batch.command
        );
    }
    super::print(&text)?;
    Ok(if count > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

pub fn cancel(args: &CancelArgs) -> anyhow::Result<ExitCode> {
    let (mut journal, batch) = args.journal.open()?;
    // Jobs of a controller that has died run no more.
    journal.sign_in()?;
    recover(&journal, &LocalStore)?;
    let count = journal.cancel(batch.id, args.which.jobs()?)?;
    super::print(&format!("{count} cancelled\n"))?;
    Ok(if count > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
