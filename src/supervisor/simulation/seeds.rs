//! The seeds that are run.

use super::{Report, Simulation};
use crate::journal::contract::memory::Memory;
use crate::journal::contract::sqlite::Sqlite;

fn simulate(seed: u64, keeps_log: bool) -> Report {
    Simulation::<Memory>::new(seed, false, keeps_log).run()
}

fn simulate_on_sqlite(seed: u64, keeps_log: bool) -> Report {
    Simulation::<Sqlite>::new(seed, true, keeps_log).run()
}

/// Runs the seeds and tells of the first that breaks a rule all that happened.
fn run_all(seeds: std::ops::Range<u64>, run: impl Fn(u64, bool) -> Report) {
    let mut sum = Report::default();
    let count = seeds.end - seeds.start;
    let mut broken = Vec::new();
    for seed in seeds {
        let begin = std::time::Instant::now();
        let report = run(seed, false);
        if std::env::var("LIPFLOW_EACH").is_ok() {
            eprintln!(
                "seed {seed}: {} steps, {:?}, {:?}",
                report.steps,
                begin.elapsed(),
                report.faults
            );
        }
        if !report.faults.is_empty() {
            broken.push((seed, report.faults.join("; ")));
        }
        sum.steps += report.steps;
        sum.starts += report.starts;
        sum.commits += report.commits;
        sum.done += report.done;
        sum.failed += report.failed;
    }
    eprintln!(
        "{count} seeds: {} controllers, {} steps, {} outputs published, {} jobs done, {} failed",
        sum.starts, sum.steps, sum.commits, sum.done, sum.failed
    );
    if let Some((seed, _)) = broken.first() {
        let report = run(*seed, true);
        for line in &report.log {
            eprintln!("{line}");
        }
        for (seed, faults) in broken.iter().take(30) {
            eprintln!("seed {seed}: {faults}");
        }
        panic!("{} of {count} seeds break the rules", broken.len());
    }
    assert!(sum.commits > count / 2, "most batches make something");
}

fn number(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn whatever_happens_the_rules_hold() {
    run_all(0..2000, simulate);
}

#[test]
fn they_hold_with_the_journal_too() {
    run_all(0..60, simulate_on_sqlite);
}

/// `cargo xtask simulate`.
#[test]
#[ignore = "long: LIPFLOW_SEEDS seeds from LIPFLOW_FIRST_SEED on"]
fn many_seeds() {
    let first = number("LIPFLOW_FIRST_SEED", 0);
    let seeds = first..first + number("LIPFLOW_SEEDS", 100_000);
    match std::env::var("LIPFLOW_LEDGER").as_deref() {
        Ok("sqlite") => run_all(seeds, simulate_on_sqlite),
        _ => run_all(seeds, simulate),
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in 0..20 {
        let (first, second) = (simulate(seed, true), simulate(seed, true));
        assert_eq!(first.log, second.log, "seed {seed}");
    }
}
