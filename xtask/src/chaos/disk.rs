//! Full disks, low disks, a quota, and a folder that disappears.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Findings;
use super::ground::{self, Ground, Row};
use super::quota;
use super::running::{Next, Running};
use crate::process;
use crate::table::Limit;

/// As many for all: outputs depend on the threads that each worker gets.
const WORKERS: usize = 2;
const JOBS: usize = 6;
const MEGABYTE: u64 = 1 << 20;

pub fn run(ground: &Ground) -> Result<Findings> {
    let mut findings = Findings::default();
    eprintln!("Disk: an undisturbed run");
    let place = ground.place("undisturbed-disk")?;
    let rows = rows(&["kept", "lost"]);
    ground.list(&place, &rows)?;
    let mut batch = ground.batch(&place, WORKERS);
    Running::start(ground, "undisturbed", batch.args(["--min-free", "0"]))?.finish()?;

    vanishing(ground, &place, &mut findings)?;
    match Disk::mount(ground, "small-disk", 64) {
        Ok(disk) => {
            full(ground, &place, &disk, &mut findings)?;
            journal_full(ground, &place, &disk, &mut findings)?;
            low(ground, &place, &disk, &mut findings)?;
        }
        Err(error) => findings
            .notes
            .push(format!("disk: skipped what needs a small disk: {error:#}")),
    }
    quota::run(ground, &mut findings)?;
    findings.none_of("disk: processes left over", &ground.strays());
    Ok(findings)
}

/// The same jobs in each of the folders.
fn rows(folders: &[&str]) -> Vec<Row> {
    let row = |n: usize, folder: &str| Row::new(n, format!("{folder}/{n}.mp4"));
    (0..JOBS)
        .flat_map(|n| folders.iter().map(move |folder| row(n, folder)))
        .collect()
}

/// Outputs in the folder that are not those of an undisturbed run.
fn different(folder: &Path, place: &Path) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for n in 0..JOBS {
        let expected = ground::sha256(&place.join(format!("kept/{n}.mp4")))?;
        let path = folder.join(format!("{n}.mp4"));
        match ground::sha256(&path) {
            Ok(found) if found == expected => {}
            Ok(_) => wrong.push(format!("{} differs", path.display())),
            Err(error) => wrong.push(format!("{error:#}")),
        }
    }
    let left = ground::left_over(folder)?.into_iter();
    wrong.extend(left.map(|name| format!("{name} is left over")));
    Ok(wrong)
}

/// So often a part begins anew whose precondition did not come about: a job was over before its folder
/// could be taken away.
const TRIES: usize = 10;

/// One of two output folders is deleted while a job writes to it.
fn vanishing(ground: &Ground, undisturbed: &Path, findings: &mut Findings) -> Result<()> {
    eprintln!("Disk: a folder disappears");
    let place = ground.place("vanishing")?;
    ground.list(&place, &rows(&["kept", "lost"]))?;
    let batch = || {
        let mut batch = ground.batch(&place, WORKERS);
        batch
            .args(["--min-free", "0", "--force", "--overwrite", "--state"])
            .arg(place.join("state"));
        batch
    };
    let lost = place.join("lost");
    let mut tries = 0;
    let running = loop {
        let mut running = Running::start(ground, "vanishing", &mut batch())?;
        match take_away(&mut running, &lost) {
            Ok(()) => break running,
            Err(error) if tries == TRIES => return Err(error),
            Err(_) => tries += 1,
        }
    };
    let finished = running.finish()?;
    let reasons: Vec<_> = finished
        .results
        .iter()
        .filter(|r| r["state"] != "done" && r["error"]["code"] != "output-folder-missing")
        .map(|r| r["error"].to_string())
        .collect();
    findings.none_of("vanishing folder: failures of another kind", &reasons);
    let kept = different(&place.join("kept"), undisturbed)?;
    findings.none_of("vanishing folder: jobs elsewhere that suffered", &kept);
    // Those that were done before are missed and made again.
    let mut again = ground.batch(&place, WORKERS);
    again
        .args(["--min-free", "0", "--overwrite", "--state"])
        .arg(place.join("state"));
    let again = Running::start(ground, "vanishing", &mut again)?.finish()?;
    let mut missing = again.failures();
    missing.extend(different(&lost, undisturbed)?);
    findings.none_of("vanishing folder: missing after another start", &missing);
    Ok(())
}

/// Takes the folder away while a job writes to it.
fn take_away(running: &mut Running, lost: &Path) -> Result<()> {
    let started = running.wait_for("a job in the folder", |e| {
        e["event"] == "started" && e["output"].as_str().is_some_and(|o| o.contains("/lost/"))
    })?;
    let job = started.event["job"].clone();
    running.wait_for("frames", |e| {
        e["job"] == job && e["event"] == "state" && e["state"] == "running"
    })?;
    fs::remove_dir_all(lost).context("the folder is not there")?;
    // Only one that could not publish has noticed.
    running.wait_for("a word of it", |e| {
        e["job"] == job && matches!(e["event"].as_str(), Some("retry" | "result"))
    })?;
    Ok(())
}

/// One of two output folders is on a full disk, for a while.
fn full(ground: &Ground, undisturbed: &Path, disk: &Disk, findings: &mut Findings) -> Result<()> {
    eprintln!("Disk: a full one");
    disk.empty()?;
    let place = ground.place("full")?;
    let mut rows = rows(&["kept", "full"]);
    let on_disk = disk.folder.join("full");
    fs::create_dir_all(&on_disk)?;
    for row in &mut rows {
        if row.output.starts_with("full/") {
            let name = row.output.trim_start_matches("full/");
            row.output = on_disk.join(name).display().to_string();
        }
    }
    ground.list(&place, &rows)?;
    disk.fill(8 << 10)?;
    let mut batch = ground.batch(&place, WORKERS);
    batch
        .args(["--min-free", "0", "--state"])
        .arg(place.join("state"));
    let mut running = Running::start(ground, "full disk", &mut batch)?;
    let retry = running.wait_for("the full disk", |e| e["event"] == "retry")?;
    let code = retry.event["error"]["code"].as_str().unwrap_or_default();
    let mut wrong = Vec::new();
    if code != "disk-full" {
        wrong.push(retry.event.to_string());
    }
    // The rest does not wait for it.
    let end = Instant::now() + Duration::from_secs(60);
    while running
        .results
        .iter()
        .filter(|r| r["state"] == "done")
        .count()
        < JOBS
    {
        if let Next::Nothing | Next::End = running.next(end) {
            break;
        }
    }
    let suffered = different(&place.join("kept"), undisturbed)?;
    findings.none_of("full disk: jobs elsewhere that suffered", &suffered);
    findings.none_of("full disk: other reasons", &wrong);
    disk.make_room()?;
    let finished = running.finish()?;
    let mut missing = finished.failures();
    missing.extend(different(&on_disk, undisturbed)?);
    findings.none_of("full disk: missing when there was room", &missing);
    Ok(())
}

/// The journal can't be written for a while.
fn journal_full(
    ground: &Ground,
    undisturbed: &Path,
    disk: &Disk,
    findings: &mut Findings,
) -> Result<()> {
    eprintln!("Disk: a journal on a full one");
    disk.empty()?;
    let place = ground.place("journal-full")?;
    ground.list(&place, &rows(&["kept"]))?;
    let mut batch = ground.batch(&place, WORKERS);
    batch
        .args(["--min-free", "0", "--state"])
        .arg(disk.folder.join("state"));
    let mut running = Running::start(ground, "full journal", &mut batch)?;
    running.wait_for("the first result", |e| e["event"] == "result")?;
    // What the journal does not have is not told.
    running.is_held_back = true;
    disk.fill(0)?;
    let paused = running.wait_within(Duration::from_secs(20), "a word on the journal", |e| {
        e["event"] == "batch" && e["paused"].is_string()
    });
    let mut wrong: Vec<_> = paused.err().into_iter().map(|e| e.to_string()).collect();
    // Silence in this time is noted.
    let end = Instant::now() + Duration::from_secs(3);
    while let Next::Event(_) = running.next(end) {}
    disk.make_room()?;
    let finished = running.finish()?;
    if !finished.status.success() {
        wrong.push(format!("{}", finished.status));
    }
    wrong.extend(finished.failures());
    wrong.extend(different(&place.join("kept"), undisturbed)?);
    let state = disk.folder.join("state");
    let twice = ground
        .endings(&state)?
        .into_iter()
        .filter(|(_, (_, n))| *n != 1);
    wrong.extend(twice.map(|(output, ending)| format!("{}: {ending:?}", output.display())));
    findings.none_of("full journal: what went wrong", &wrong);
    Ok(())
}

/// A disk falls below its floor and has room again.
fn low(ground: &Ground, undisturbed: &Path, disk: &Disk, findings: &mut Findings) -> Result<()> {
    eprintln!("Disk: a low one");
    const FLOOR: u64 = 30;
    disk.empty()?;
    let place = ground.place("low")?;
    let mut rows = rows(&["kept"]);
    let on_disk = disk.folder.join("low");
    for row in &mut rows {
        row.output = on_disk
            .join(row.output.trim_start_matches("kept/"))
            .display()
            .to_string();
    }
    ground.list(&place, &rows)?;
    let mut batch = ground.batch(&place, WORKERS);
    batch
        .args(["--min-free", &FLOOR.to_string(), "--state"])
        .arg(place.join("state"));
    let mut running = Running::start(ground, "low disk", &mut batch)?;
    running.wait_for("the first result", |e| e["event"] == "result")?;
    disk.fill((FLOOR - 5) * MEGABYTE)?;
    let begin = Instant::now();
    let paused = running.wait_for("the pause", |e| {
        e["event"] == "batch" && e["paused"].is_string()
    })?;
    let took = (paused.at - begin).as_secs_f64();
    findings.figure(
        "low disk: until the batch pauses",
        took,
        "s",
        Limit::AtMost(1.0),
    );
    let mut wrong = Vec::new();
    let end = Instant::now() + Duration::from_secs(3);
    while let Next::Event(heard) = running.next(end) {
        if heard.event["event"] == "started" {
            wrong.push(heard.event.to_string());
        }
    }
    findings.none_of("low disk: jobs begun in the pause", &wrong);
    disk.make_room()?;
    let finished = running.finish()?;
    let mut missing = finished.failures();
    missing.extend(different(&on_disk, undisturbed)?);
    findings.none_of("low disk: missing when there was room", &missing);
    Ok(())
}

/// A file system of its own in memory, unmounted at the end.
struct Disk {
    folder: PathBuf,
}

impl Disk {
    fn mount(ground: &Ground, name: &str, megabytes: u32) -> Result<Self> {
        let folder = ground.folder.join(name);
        // Left by a run that was killed.
        let _ = process::output(Command::new("umount").arg(&folder));
        let folder = ground.place(name)?;
        let size = format!("size={megabytes}m");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(&folder);
        process::output(&mut mount).context("only root may mount one")?;
        Ok(Self { folder })
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }

    /// Leaves so many bytes.
    fn fill(&self, left: u64) -> Result<()> {
        use std::io::Write;
        let mut file = fs::File::create(self.filler())?;
        let block = vec![1; 4096];
        while file.write_all(&block).is_ok() {}
        let size = file.metadata()?.len();
        file.set_len(size.saturating_sub(left))?;
        Ok(())
    }

    fn make_room(&self) -> Result<()> {
        Ok(fs::remove_file(self.filler())?)
    }

    fn empty(&self) -> Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.is_dir() {
                fs::remove_dir_all(path)?;
            } else {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = process::output(Command::new("umount").arg(&self.folder));
    }
}
