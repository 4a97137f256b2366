//! `lipflow prune`: removes what batches have left and nobody needs.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::status::JournalOptions;
use crate::journal::{self, Pruned, recover};
use crate::publish;
use crate::publish::LocalStore;
use crate::terminal::plain;

const DAY: f64 = 86_400.0;

/// Frees what old batches have left.
///
/// Of a batch that ended long ago the journal keeps every event, every attempt and a picture of each
/// output; there may be unfinished files of processes that were killed. Outputs, reports and
/// what says that an output is done are kept, so that the same batch still does only what is missing.
#[derive(Args, Debug)]
pub struct PruneArgs {
    #[command(flatten)]
    journal: JournalOptions,
    /// Batches of which nothing has begun or ended for so many days are old
    #[arg(long, value_name = "DAYS", default_value_t = 30.0, value_parser = days)]
    older_than: f64,
    /// Forget old batches altogether. Their outputs stay, and are then nobody's: the same batch started
    /// again refuses to replace them
    #[arg(long)]
    forget: bool,
    /// Only say what would be freed
    #[arg(long)]
    dry_run: bool,
    /// As a JSON object
    #[arg(long)]
    json: bool,
}

fn days(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(days) if days.is_finite() && days >= 0.0 => Ok(days),
        _ => Err("it is not a number of days".into()),
    }
}

#[derive(Serialize)]
struct Freed {
    dry_run: bool,
    #[serde(flatten)]
    journal: Pruned,
    /// Files that were to become outputs, whose processes are dead.
    leftovers: Vec<Leftover>,
    graphs: u64,
    /// Bytes that the disk has back; with --dry-run about so many.
    freed: u64,
    /// A batch runs, so the journal's file keeps its size until the next time.
    attended: bool,
}

#[derive(Serialize)]
struct Leftover {
    path: PathBuf,
    bytes: u64,
}

pub fn run(args: &PruneArgs) -> anyhow::Result<ExitCode> {
    let (mut journal, _) = args.journal.open()?;
    let attended = journal.is_attended()?;
    let staged = publish::staged_leftovers(journal.folder());
    if !args.dry_run {
        // Jobs of a controller that has died don't run.
        journal.sign_in()?;
        recover(&journal, &LocalStore)?;
    }
    let before = journal::now() - args.older_than * DAY;
    let pruned = journal.prune(before, args.forget, args.dry_run)?;
    let staged = staged.into_iter();
    let mut leftovers: Vec<_> = staged
        .map(|(path, bytes)| Leftover { path, bytes })
        .collect();
    for output in journal.idle_outputs()? {
        for (path, bytes) in publish::leftovers_of(&output) {
            leftovers.push(Leftover { path, bytes });
        }
        if !args.dry_run {
            publish::remove_leftovers_of(&output);
        }
    }
    let graphs = journal::old_graphs(journal.folder(), before);
    if !args.dry_run {
        for (graph, _) in &graphs {
            let _ = fs::remove_file(graph);
        }
    }
    let files = leftovers.iter().map(|leftover| leftover.bytes);
    let files: u64 = files.chain(graphs.iter().map(|(_, bytes)| *bytes)).sum();
    let database = match (args.dry_run, attended) {
        (true, _) => pruned.bytes,
        (false, true) => 0,
        (false, false) => journal.compact()?,
    };
    let freed = Freed {
        dry_run: args.dry_run,
        journal: pruned,
        leftovers,
        graphs: graphs.len() as u64,
        freed: files + database,
        attended,
    };
    let text = match args.json {
        true => format!("{}\n", serde_json::to_string(&freed)?),
        false => text(&freed),
    };
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn text(freed: &Freed) -> String {
    let verb = match freed.dry_run {
        true => "would free",
        false => "freed",
    };
    let Pruned {
        batches,
        events,
        attempts,
        thumbnails,
        jobs,
        inputs,
        ..
    } = freed.journal;
    let mut text = format!(
        "{verb} {:.1} MB: of {batches} old batches {events} events, {attempts} attempts, {thumbnails} pictures, {jobs} jobs; {inputs} inputs that have changed; {} graphs; {} unfinished files\n",
        freed.freed as f64 / 1e6,
        freed.graphs,
        freed.leftovers.len(),
    );
    for leftover in &freed.leftovers {
        text += &format!(
            "  {}  {:.1} MB\n",
            plain(leftover.path.display()),
            leftover.bytes as f64 / 1e6
        );
    }
    if freed.attended && !freed.dry_run {
        text += "a batch runs here: the journal's own file shrinks when you prune again after it\n";
    }
    text
}
