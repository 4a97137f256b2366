//! A cancelled job frees its worker.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::Findings;
use super::ground::{self, Ground, Row};
use super::running::{Next, Running};
use crate::process;
use crate::table::Limit;

/// One worker, three jobs: the first is cancelled while it runs, or while it hangs.
pub fn run(ground: &Ground) -> Result<Findings> {
    let mut findings = Findings::default();
    // A second of video that takes more than one to make.
    let slow = |row: Row| row.with("set.fps", "240").with("set.preset", "veryslow");
    let hanging = |row: Row| row.with("set.poison", "hang").with("stuck-after", "60");
    findings.figure(
        "cancel: until the worker has other work, one that runs",
        freed(ground, "cancel-running", Duration::from_millis(100), slow)?,
        "s",
        Limit::AtMost(2.0),
    );
    findings.figure(
        "cancel: until the worker has other work, one that hangs",
        freed(ground, "cancel-hanging", Duration::from_secs(2), hanging)?,
        "s",
        Limit::AtMost(2.0),
    );
    for name in ["cancel-running", "cancel-hanging"] {
        let out = ground.folder.join(name).join("out");
        let mut left = ground::files(&out)?;
        left.retain(|n| !["1.mp4", "manifest.json", "report.html"].contains(&n.as_str()));
        findings.none_of(format!("{name}: files left over"), &left);
    }
    findings.none_of("cancel: processes left over", &ground.strays());
    Ok(findings)
}

fn freed(ground: &Ground, name: &str, wait: Duration, first: impl Fn(Row) -> Row) -> Result<f64> {
    eprintln!("{name}");
    let place = ground.place(name)?;
    let rows = [first(Row::new(0, "out/0.mp4")), Row::new(1, "out/1.mp4")];
    ground.list(&place, &rows)?;
    let mut batch = ground.batch(&place, 1);
    batch
        .args(["--min-free", "0", "--template"])
        .arg(&ground.template);
    let mut running = Running::start(ground, name, &mut batch)?;
    let started = running.wait_for("the first job", |e| e["event"] == "started")?;
    let job = started.event["job"].to_string();
    // One that hangs so early does not get to say that it runs.
    running.wait_for("its pipeline", |e| {
        e["event"] == "state" && e["state"] == "loading"
    })?;
    let ripe = Instant::now() + wait;
    while let Next::Event(_) = running.next(ripe) {}
    let begin = Instant::now();
    let mut cancel = ground.lipflow("cancel");
    cancel
        .arg("--state")
        .arg(place.join("out/.lipflow"))
        .args(["--job", &job]);
    process::output(&mut cancel)?;
    let result = running.wait_for("the cancelled job's result", |e| e["event"] == "result")?;
    if result.event["state"] != "cancelled" {
        anyhow::bail!(
            "{name}: the job ended before it was cancelled: {}",
            result.event
        );
    }
    let next = running.wait_for("the second job", |e| e["event"] == "started")?;
    let freed = (next.at - begin).as_secs_f64();
    running.finish()?;
    Ok(freed)
}
