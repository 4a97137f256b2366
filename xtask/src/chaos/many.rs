//! Long batches: what the controller costs, memory, and a list that is nearly done.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::ground::{self, Ground, Row};
use super::running::{Next, Running};
use super::{Extent, Findings};
use crate::process;
use crate::table::Limit;

/// Of so many jobs memory is put together.
const WINDOW: usize = 50;

pub fn run(ground: &Ground, extent: &Extent) -> Result<Findings> {
    eprintln!("Many: {} jobs of one second, one worker", extent.many);
    let place = ground.place("many")?;
    let rows: Vec<_> = (0..extent.many)
        .map(|n| Row::new(n, format!("out/{n}.mp4")))
        .collect();
    ground.list(&place, &rows)?;
    let mut batch = ground.batch(&place, 1);
    batch.args(["--min-free", "0"]);
    let mut running = Running::start(ground, "many", &mut batch)?;
    let supervisor = running.pid();
    let mut worker = None;
    let mut workers = 0;
    let mut sizes = Vec::new();
    let mut own = 0;
    let mut ended: Option<Instant> = None;
    let mut begun: Option<Instant> = None;
    let mut last: Option<Instant> = None;
    let mut pauses = Vec::new();
    let mut worked = 0.0;
    let end = Instant::now() + Duration::from_secs(3600);
    loop {
        let heard = match running.next(end) {
            Next::Event(heard) => heard,
            Next::Nothing => bail!("it does not end"),
            Next::End => break,
        };
        let event = &heard.event;
        match event["event"].as_str() {
            Some("started") => {
                let now = event["worker"].as_i64().map(|pid| pid as i32);
                workers += usize::from(now != worker);
                worker = now;
                begun.get_or_insert(heard.at);
                if let Some(ended) = ended.take() {
                    pauses.push((heard.at - ended).as_secs_f64() * 1e3);
                }
            }
            Some("result") => {
                ended = Some(heard.at);
                last = Some(heard.at);
                worked += event["elapsed_s"].as_f64().unwrap_or_default();
                sizes.extend(worker.and_then(resident));
                own = own.max(resident(supervisor).unwrap_or_default());
                if sizes.len() % 50 == 0 {
                    let size = sizes.last().copied().unwrap_or_default() as f64 / 1e6;
                    eprintln!("Many: {} done, worker {size:.0} MB", sizes.len());
                }
            }
            _ => {}
        }
    }
    let finished = running.finish()?;
    let mut findings = Findings::default();
    findings.none_of("many: jobs that failed", &finished.failures());
    let (begun, last) = begun.zip(last).context("nothing was done")?;
    let each = (last - begun).as_secs_f64() * 1e3 / extent.many as f64;
    let work = worked * 1e3 / extent.many as f64;
    let limit = Limit::AtMost(10.0);
    findings.figure(
        "many: wall time of a job beyond its own",
        each - work,
        "ms",
        limit,
    );
    pauses.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (pauses.len() as f64 * share) as usize;
        pauses.get(index).copied().unwrap_or(f64::NAN)
    };
    findings.figure(
        "many: from a result to the next start, median",
        at(0.5),
        "ms",
        limit,
    );
    findings.figure("many: the same, 95 of 100", at(0.95), "ms", Limit::Any);
    findings.figure("many: wall time of a job", each, "ms", Limit::Any);
    let own = own as f64 / 1e6;
    findings.figure(
        "many: memory of the supervisor",
        own,
        "MB",
        Limit::AtMost(100.0),
    );
    // What is resident when a result arrives varies by a tenth: the median of many says more.
    let window = WINDOW.min(extent.many.saturating_sub(extent.warm) / 2);
    let from = |job: usize| {
        let first = job.min(sizes.len());
        let mut sizes = sizes[first..(first + window).min(sizes.len())].to_vec();
        sizes.sort_unstable();
        sizes
            .get(sizes.len() / 2)
            .map_or(f64::NAN, |size| *size as f64 / 1e6)
    };
    let (early, late) = (from(extent.warm), from(extent.many - window));
    let name = format!("many: memory of the worker after {} jobs", extent.warm);
    findings.figure(name, early, "MB", Limit::Any);
    let name = "many: memory of the worker at the end";
    findings.figure(name, late, "MB", Limit::Any);
    findings.figure(
        "many: the latter against the former",
        late / early,
        "",
        Limit::AtMost(1.1),
    );
    findings.figure("many: workers", workers as f64, "", Limit::Any);
    Ok(findings)
}

/// Resident memory of a process, in bytes.
pub fn resident(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// A list of which all but ten are done.
pub fn start(ground: &Ground, extent: &Extent) -> Result<Findings> {
    const LEFT: usize = 10;
    let place = ground.place("start")?;
    let rows: Vec<_> = (0..extent.listed)
        .map(|n| Row::new(n, format!("out/{}/{n}.mp4", n % 10)))
        .collect();
    ground.list(&place, &rows)?;
    let batch = || {
        let mut batch = ground.batch(&place, 1);
        batch.args(["--min-free", "0"]);
        batch
    };
    eprintln!("Start: {} jobs are entered", extent.listed);
    let mut running = Running::start(ground, "start", &mut batch())?;
    running.wait_for("the first job", |e| e["event"] == "started")?;
    super::running::kill(running.pid());
    running.finish()?;
    let done = extent.listed - LEFT;
    eprintln!("Start: {done} of them are done without the work");
    let state = place.join("out/.lipflow");
    process::output(
        ground::helper()
            .arg("finish")
            .arg(&state)
            .arg(done.to_string()),
    )?;
    eprintln!("Start: the rest");
    let mut running = Running::start(ground, "start", &mut batch())?;
    let begin = running.begin();
    let first = running.wait_for("the first job", |e| e["event"] == "started")?;
    let took = (first.at - begin).as_secs_f64();
    let finished = running.finish()?;
    let mut findings = Findings::default();
    let name = format!(
        "start: {done} of {} done, until the first job",
        extent.listed
    );
    findings.figure(name, took, "s", Limit::AtMost(2.0));
    findings.none_of("start: jobs that failed", &finished.failures());
    let again = Limit::Exactly(LEFT as f64);
    findings.figure(
        "start: jobs that were done",
        finished.results.len() as f64,
        "",
        again,
    );
    Ok(findings)
}
