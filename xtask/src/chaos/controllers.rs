//! Controllers that come and go: several on one batch at a time, killed, asked to end as a service manager
//! does, and started again; and one whose reader stands still.

use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::ground::{Ground, Row};
use super::kills::{Tally, hashes, inspect, output, write_list};
use super::running::{Next, Running, kill};
use super::{Extent, Findings};

/// So many at a time.
const MOST: usize = 3;

pub fn run(ground: &Ground, extent: &Extent, seed: u64) -> Result<Findings> {
    let mut findings = Findings::default();
    eprintln!("Controllers: an undisturbed run of {} jobs", extent.jobs);
    let place = ground.place("alone")?;
    write_list(ground, &place, extent.jobs)?;
    let finished = Running::start(ground, "alone", &mut batch(ground, &place))?.finish()?;
    ensure!(
        finished.status.success(),
        "it failed: {:?}",
        finished.failures()
    );
    let expected = hashes(&place, extent.jobs)?;

    let mut random = fastrand::Rng::with_seed(seed);
    let mut tally = Tally::default();
    let (mut killed, mut asked) = (0, 0);
    while killed + asked < extent.moments {
        tally.rounds += 1;
        eprintln!(
            "Controllers: round {}, {} gone",
            tally.rounds,
            killed + asked
        );
        let place = ground.place(&format!("controllers-{}", tally.rounds))?;
        write_list(ground, &place, extent.jobs)?;
        let mut all: Vec<Running> = Vec::new();
        loop {
            if all.len() < MOST {
                let name = format!("controller {}", tally.starts);
                tally.starts += 1;
                let mut running = Running::start(ground, &name, &mut batch(ground, &place))?;
                // Others hold back what it hears, and it what they do.
                running.is_held_back = true;
                all.push(running);
            }
            // Somewhere in the work of one of them.
            let index = random.usize(..all.len());
            let moment = Instant::now() + Duration::from_millis(random.u64(..900));
            let is_over = loop {
                match all[index].next(moment) {
                    Next::Event(_) => {}
                    Next::Nothing => break false,
                    Next::End => break true,
                }
            };
            if is_over || killed + asked >= extent.moments {
                break;
            }
            let gone = all.swap_remove(index);
            if random.bool() {
                kill(gone.pid());
                killed += 1;
            } else {
                // To each process of the service; the rest after its time-out.
                let mut processes = gone.children();
                processes.push(gone.pid());
                processes.iter().for_each(|pid| terminate(*pid));
                asked += 1;
                if random.u8(..3) == 0 {
                    std::thread::sleep(Duration::from_millis(300));
                    processes.into_iter().for_each(kill);
                }
            }
            gone.finish()?;
        }
        for running in all {
            running.finish()?;
        }
        let last = Running::start(ground, "the last", &mut batch(ground, &place))?.finish()?;
        inspect(ground, &place, extent.jobs, &expected, &last, &mut tally)?;
        if !tally.is_clean() {
            break;
        }
    }
    findings.notes.push(format!(
        "controllers: seed {seed}; {} starts in {} rounds, {killed} killed, {asked} asked to end",
        tally.starts, tally.rounds
    ));
    findings.none_of("controllers: jobs not done at the end", &tally.lost);
    findings.none_of("controllers: jobs done more than once", &tally.twice);
    findings.none_of(
        "controllers: outputs unlike the undisturbed",
        &tally.different,
    );
    findings.none_of("controllers: files left over", &tally.leftovers);
    findings.none_of("controllers: processes left over", &tally.strays);
    findings.none_of(
        "controllers: last starts that did not succeed",
        &tally.failed,
    );
    stalled(ground, &mut findings)?;
    Ok(findings)
}

fn batch(ground: &Ground, place: &Path) -> std::process::Command {
    let mut batch = ground.batch(place, 2);
    batch.args(["--min-free", "0"]);
    batch
}

/// SIGTERM.
fn terminate(pid: i32) {
    // SAFETY: the call touches no memory. The process ids are of our children and theirs.
    unsafe { libc::kill(pid, libc::SIGTERM) };
}

/// Nobody reads what the batch says: the work goes on, and all is said when somebody does.
fn stalled(ground: &Ground, findings: &mut Findings) -> Result<()> {
    const JOBS: usize = 6;
    eprintln!("Controllers: a reader that stands still");
    let place = ground.place("stalled")?;
    let rows: Vec<_> = (0..JOBS).map(|n| Row::new(n, output(n))).collect();
    ground.list(&place, &rows)?;
    let mut child = batch(ground, &place)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let stdout = child.stdout.take().context("the batch has no output")?;
    // SAFETY: the descriptor is open, and the call touches no memory.
    let size = unsafe { libc::fcntl(stdout.as_raw_fd(), libc::F_SETPIPE_SZ, 4096) };
    ensure!(size >= 4096, "the pipe keeps its size");
    let end = Instant::now() + Duration::from_secs(120);
    let state = place.join("out/.lipflow");
    let is_done = || {
        let endings = ground.endings(&state).unwrap_or_default();
        endings
            .values()
            .filter(|(state, _)| state == "done")
            .count()
            == JOBS
    };
    let mut wrong = Vec::new();
    while !is_done() {
        if Instant::now() > end {
            wrong.push("the work stood still with its reader".to_owned());
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let text = std::io::read_to_string(stdout)?;
    let results = text
        .lines()
        .filter(|line| line.contains("\"event\":\"result\""));
    let results = results.count();
    if results != JOBS {
        wrong.push(format!("{results} results of {JOBS} were said"));
    }
    if text.len() < 2 * 4096 {
        bail!(
            "it said so little that nobody had to wait: {} bytes",
            text.len()
        );
    }
    let status = child.wait()?;
    if !status.success() {
        wrong.push(status.to_string());
    }
    findings.none_of("stalled reader: what went wrong", &wrong);
    Ok(())
}
