//! `cargo xtask chaos`: batches are killed, poisoned and starved, and nothing may be lost.

mod cancel;
mod controllers;
mod disk;
mod ground;
mod hostile;
mod kills;
mod many;
mod material;
mod poison;
mod quota;
mod running;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::job;
use crate::setup::{self, Scope};
use crate::table::{Figure, Figures, Limit};
use ground::Ground;

#[derive(clap::Args)]
pub struct Args {
    /// A few minutes instead of half an hour: fewer kills, fewer jobs
    #[arg(long)]
    quick: bool,
    /// What CI runs, in two or three minutes and with the build of the tests: nothing about time is
    /// held against a limit
    #[arg(long, conflicts_with = "quick")]
    smoke: bool,
    /// Only these
    #[arg(long, value_name = "NAME")]
    only: Vec<Scenario>,
    /// Where the random moments begin; the same seed gives the same moments
    #[arg(long, value_name = "N", default_value_t = 20_261_124)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// kill -9 of supervisor, worker and all at random moments
    Kills,
    /// Controllers that come and go on one batch, and one that nobody listens to
    Controllers,
    /// Inputs that crash, hang, fail or leak
    Poison,
    /// Files that were made to harm
    Hostile,
    /// Full disks, low disks, a quota, a folder that disappears
    Disk,
    /// A cancelled job frees its worker
    Cancel,
    /// A long batch: what the controller costs, and memory
    Many,
    /// A list in which nearly all is done
    Start,
}

/// How much is done.
pub struct Extent {
    /// Jobs of a batch that is killed.
    pub jobs: usize,
    /// Kills.
    pub moments: usize,
    /// Jobs of the long batch, and the one after which memory must stay.
    pub many: usize,
    pub warm: usize,
    /// Jobs in the long list, of which ten are left to do.
    pub listed: usize,
}

const FULL: Extent = Extent {
    jobs: 50,
    moments: 100,
    many: 1000,
    warm: 50,
    listed: 5000,
};

const QUICK: Extent = Extent {
    jobs: 12,
    moments: 12,
    many: 60,
    warm: 20,
    listed: 5000,
};

const SMOKE: Extent = Extent {
    jobs: 6,
    moments: 5,
    many: 20,
    warm: 10,
    listed: 500,
};
/// What the smoke test is of.
const SMOKING: [Scenario; 5] = [
    Scenario::Kills,
    Scenario::Controllers,
    Scenario::Hostile,
    Scenario::Disk,
    Scenario::Cancel,
];

/// What a scenario found.
#[derive(Default)]
pub struct Findings {
    pub figures: Vec<Figure>,
    /// What is behind figures that were missed, and what can't be said in numbers.
    pub notes: Vec<String>,
}

impl Findings {
    pub fn figure(
        &mut self,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        limit: Limit,
    ) {
        self.figures.push(Figure {
            name: name.into(),
            value,
            unit,
            limit,
        });
    }

    /// How many there are of what there must be none.
    pub fn none_of(&mut self, name: impl Into<String>, found: &[String]) {
        let name = name.into();
        let shown = found.iter().take(5);
        self.notes
            .extend(shown.map(|what| format!("{name}: {what}")));
        self.figure(name, found.len() as f64, "", Limit::Exactly(0.0));
    }
}

pub fn run(args: &Args) -> Result<()> {
    let extent = match (args.smoke, args.quick) {
        (true, _) => SMOKE,
        (_, true) => QUICK,
        _ => FULL,
    };
    if args.smoke {
        job::use_test_build();
    }
    setup::ensure(Scope::Test)?;
    eprintln!("Building");
    let ground = Ground::prepare()?;
    let mut findings = Findings::default();
    for scenario in Scenario::value_variants() {
        if !args.only.is_empty() && !args.only.contains(scenario) {
            continue;
        }
        if args.smoke && args.only.is_empty() && !SMOKING.contains(scenario) {
            continue;
        }
        let found = match scenario {
            Scenario::Kills => kills::run(&ground, &extent, args.seed),
            Scenario::Controllers => controllers::run(&ground, &extent, args.seed),
            Scenario::Poison => poison::run(&ground),
            Scenario::Hostile => hostile::run(&ground, &extent, args.seed),
            Scenario::Disk => disk::run(&ground),
            Scenario::Cancel => cancel::run(&ground),
            Scenario::Many => many::run(&ground, &extent),
            Scenario::Start => many::start(&ground, &extent),
        };
        match found {
            Ok(found) => {
                // Long scenarios follow; what is known is said now.
                eprint!("{}", Figures(&found.figures));
                found.notes.iter().for_each(|note| eprintln!("  {note}"));
                findings.figures.extend(found.figures);
                findings.notes.extend(found.notes);
            }
            Err(error) => {
                let name = format!("{scenario:?} could not be carried through");
                findings.none_of(name, &[format!("{error:#}")]);
            }
        }
    }
    ground.quiet.report(&mut findings);

    if args.smoke {
        // Others work on the machine meanwhile: what is counted is what happened.
        let timed = findings
            .figures
            .iter_mut()
            .filter(|f| matches!(f.unit, "s" | "ms"));
        timed.for_each(|figure| figure.limit = Limit::Any);
    }
    println!("\n{}", Figures(&findings.figures));
    findings.notes.iter().for_each(|note| println!("{note}"));
    let missed = findings.figures.iter().filter(|f| !f.is_met()).count();
    if missed > 0 {
        bail!(
            "{missed} of {} limits missed; what is left lies in {}",
            findings.figures.len(),
            ground.folder.display()
        );
    }
    Ok(())
}
