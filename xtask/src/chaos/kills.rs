//! kill -9 at random moments, and the same batch started again until it is done.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fastrand::Rng;

use super::ground::{self, Ground, Row};
use super::running::{Finished, Next, Running, kill};
use super::{Extent, Findings};
use crate::table::Limit;

const WORKERS: usize = 2;
/// The longest wait for a moment that nothing else announces.
const LONGEST_WAIT: u64 = 2_000;
/// Moments at which most is at stake: events, and the phases that progress tells of.
const ANNOUNCED: [(&str, &str); 8] = [
    ("event", "started"),
    ("state", "probing"),
    ("state", "running"),
    ("phase", "verifying"),
    ("phase", "publishing"),
    ("state", "finishing"),
    ("event", "result"),
    ("event", "batch-result"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Supervisor,
    Worker,
    All,
}

/// When a kill comes.
#[derive(Clone, Copy, Debug)]
struct Moment {
    target: Target,
    /// The event after which time is counted.
    after: Option<(&'static str, &'static str)>,
    wait: Duration,
}

impl Moment {
    fn random(random: &mut Rng) -> Self {
        let target = match random.u8(..3) {
            0 => Target::Supervisor,
            1 => Target::Worker,
            _ => Target::All,
        };
        // Half of them anywhere, half of them where something is about to happen.
        if random.bool() {
            Self {
                target,
                after: None,
                wait: Duration::from_millis(random.u64(..LONGEST_WAIT)),
            }
        } else {
            Self {
                target,
                after: Some(ANNOUNCED[random.usize(..ANNOUNCED.len())]),
                wait: Duration::from_micros(random.u64(..30_000)),
            }
        }
    }
}

pub fn run(ground: &Ground, extent: &Extent, seed: u64) -> Result<Findings> {
    eprintln!("Kills: an undisturbed run of {} jobs", extent.jobs);
    let mut findings = Findings::default();
    let place = ground.place("undisturbed")?;
    write_list(ground, &place, extent.jobs)?;
    let begin = Instant::now();
    let finished = Running::start(ground, "undisturbed", &mut batch(ground, &place))?.finish()?;
    let undisturbed = begin.elapsed();
    if !finished.status.success() {
        bail!("it failed: {:?}", finished.failures());
    }
    let hashes = hashes(&place, extent.jobs)?;

    let mut random = Rng::with_seed(seed);
    let mut tally = Tally::default();
    let mut moments = extent.moments;
    while moments > 0 {
        tally.rounds += 1;
        eprintln!("Kills: round {}, {moments} moments to come", tally.rounds);
        let place = ground.place(&format!("killed-{}", tally.rounds))?;
        write_list(ground, &place, extent.jobs)?;
        let last = round(ground, &place, &mut random, &mut moments, &mut tally)?;
        inspect(ground, &place, extent.jobs, &hashes, &last, &mut tally)?;
        if tally.is_clean() {
            fs::remove_dir_all(&place)?;
        }
    }
    findings.notes.push(format!(
        "kills: seed {seed}; {} jobs took {:.1} s undisturbed; {} supervisors, {} workers, {} times all, \
         in {} rounds and {} starts",
        extent.jobs,
        undisturbed.as_secs_f64(),
        tally.supervisors,
        tally.workers,
        tally.all,
        tally.rounds,
        tally.starts
    ));
    let kills = tally.supervisors + tally.workers + tally.all;
    let limit = Limit::Exactly(extent.moments as f64);
    findings.figure("kills: moments", kills as f64, "", limit);
    findings.none_of("kills: jobs not done at the end", &tally.lost);
    findings.none_of("kills: jobs done more than once", &tally.twice);
    findings.none_of("kills: outputs unlike the undisturbed", &tally.different);
    findings.none_of("kills: files left over", &tally.leftovers);
    findings.none_of("kills: processes left over", &tally.strays);
    findings.none_of("kills: last starts that did not succeed", &tally.failed);
    Ok(findings)
}

#[derive(Default)]
pub struct Tally {
    pub rounds: usize,
    pub starts: usize,
    supervisors: usize,
    workers: usize,
    all: usize,
    pub lost: Vec<String>,
    pub twice: Vec<String>,
    pub different: Vec<String>,
    pub leftovers: Vec<String>,
    pub strays: Vec<String>,
    pub failed: Vec<String>,
}

impl Tally {
    pub fn is_clean(&self) -> bool {
        let all = [
            &self.lost,
            &self.twice,
            &self.different,
            &self.leftovers,
            &self.strays,
            &self.failed,
        ];
        all.into_iter().all(Vec::is_empty)
    }
}

fn batch(ground: &Ground, place: &Path) -> std::process::Command {
    let mut batch = ground.batch(place, WORKERS);
    batch.args(["--min-free", "0"]);
    batch
}

pub fn write_list(ground: &Ground, place: &Path, jobs: usize) -> Result<()> {
    let rows: Vec<_> = (0..jobs).map(|n| Row::new(n, output(n))).collect();
    ground.list(place, &rows)
}

pub fn output(n: usize) -> String {
    format!("out/{n}.mp4")
}

pub fn hashes(place: &Path, jobs: usize) -> Result<BTreeMap<usize, String>> {
    (0..jobs)
        .map(|n| Ok((n, ground::sha256(&place.join(output(n)))?)))
        .collect()
}

/// Starts the batch until it is done; gives its last start.
fn round(
    ground: &Ground,
    place: &Path,
    random: &mut Rng,
    moments: &mut usize,
    tally: &mut Tally,
) -> Result<Finished> {
    // A job whose worker is killed twice is set aside, as it should be, and the journal remembers that from
    // start to start: not these.
    let mut wounded = HashSet::new();
    loop {
        tally.starts += 1;
        let mut running = Running::start(ground, "kills", &mut batch(ground, place))?;
        loop {
            if *moments == 0 {
                return running.finish();
            }
            let moment = Moment::random(random);
            if !wait(&mut running, moment) {
                return running.finish();
            }
            wounded.extend(running.deaths.drain());
            let killed = strike(&running, moment.target, random, &mut wounded);
            match killed {
                None => continue,
                Some(Target::Supervisor) => tally.supervisors += 1,
                Some(Target::Worker) => tally.workers += 1,
                Some(Target::All) => tally.all += 1,
            }
            *moments -= 1;
            if killed != Some(Target::Worker) {
                // At once again: its workers may not have noticed yet.
                running.finish()?;
                break;
            }
        }
    }
}

/// Waits for the moment; not if the batch ends before.
fn wait(running: &mut Running, moment: Moment) -> bool {
    if let Some((key, value)) = moment.after {
        // It may never come, with so many kills.
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            match running.next(end) {
                Next::Event(heard) if heard.event[key] == value => break,
                Next::Event(_) => {}
                Next::Nothing => break,
                Next::End => return false,
            }
        }
    }
    let end = Instant::now() + moment.wait;
    loop {
        match running.next(end) {
            Next::Event(_) => {}
            Next::Nothing => return true,
            Next::End => return false,
        }
    }
}

/// Kills, and says what was killed.
fn strike(
    running: &Running,
    target: Target,
    random: &mut Rng,
    wounded: &mut HashSet<i64>,
) -> Option<Target> {
    let mut children = running.children();
    match target {
        Target::Worker => {
            let victim = *random.choice(&children)?;
            let jobs = running.workers.get(&victim).cloned().unwrap_or_default();
            if !wounded.is_disjoint(&jobs) {
                return None;
            }
            wounded.extend(jobs);
            kill(victim);
        }
        Target::Supervisor => kill(running.pid()),
        Target::All => {
            // Whoever is first. One that sees its workers die has time to write that down.
            let jobs: HashSet<i64> = running.workers.values().flatten().copied().collect();
            let first = random.usize(..=children.len());
            children.push(running.pid());
            if wounded.is_disjoint(&jobs) {
                children.rotate_left(first);
                wounded.extend(jobs);
            } else {
                children.reverse();
            }
            children.into_iter().for_each(kill);
        }
    }
    Some(target)
}

/// Looks at what a round has made.
pub fn inspect(
    ground: &Ground,
    place: &Path,
    jobs: usize,
    hashes: &BTreeMap<usize, String>,
    last: &Finished,
    tally: &mut Tally,
) -> Result<()> {
    let round = tally.rounds;
    tally.strays.extend(ground.strays());
    if !last.status.success() {
        let reasons = last.failures();
        tally
            .failed
            .push(format!("round {round}: {}, {reasons:?}", last.status));
    }
    let out = place.join("out");
    let endings = ground.endings(&out.join(".lipflow"))?;
    for n in 0..jobs {
        let path = place.join(output(n));
        let (state, done) = endings
            .get(&path)
            .with_context(|| format!("{} is not in the journal", path.display()))?;
        let what = format!(
            "round {round}, {}: {state}, {done} good attempts",
            path.display()
        );
        if state != "done" || *done == 0 {
            tally.lost.push(what.clone());
        }
        if *done > 1 {
            tally.twice.push(what.clone());
        }
        match ground::sha256(&path) {
            Ok(found) if Some(&found) == hashes.get(&n) => {}
            Ok(_) => tally.different.push(what),
            Err(error) => tally.lost.push(format!("{what}, {error:#}")),
        }
    }
    let mut expected: Vec<_> = (0..jobs).map(|n| format!("{n}.mp4")).collect();
    expected.extend(["manifest.json".into(), "report.html".into()]);
    let found = ground::files(&out)?;
    let over = found.into_iter().filter(|name| !expected.contains(name));
    tally
        .leftovers
        .extend(over.map(|name| format!("round {round}: {name}")));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_the_same_for_the_same_seed_and_spread() {
        let moments = |seed| {
            let mut random = Rng::with_seed(seed);
            (0..300)
                .map(|_| Moment::random(&mut random))
                .collect::<Vec<_>>()
        };
        let shown = |seed| format!("{:?}", moments(seed));
        assert_eq!(shown(7), shown(7));
        assert_ne!(shown(7), shown(9));
        for target in [Target::Supervisor, Target::Worker, Target::All] {
            let count = moments(7).iter().filter(|m| m.target == target).count();
            assert!((70..130).contains(&count), "{target:?}: {count}");
        }
    }
}
