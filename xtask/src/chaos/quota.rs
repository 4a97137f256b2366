//! A quota that is used up: room there is, and waiting for it changes nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Findings;
use super::ground::{self, Ground, Row};
use super::running::Running;
use crate::process;

const JOBS: usize = 3;
const ATTEMPTS: &str = "2";
/// Less than one output and its folder take, so that a write in the middle fails.
const TOO_LITTLE: &str = "64K";

pub fn run(ground: &Ground, findings: &mut Findings) -> Result<()> {
    let quota = match Quota::mount(ground, "quota-disk") {
        Ok(quota) => quota,
        Err(error) => {
            let note = format!("quota: skipped, it wants root and btrfs-progs: {error:#}");
            findings.notes.push(note);
            return Ok(());
        }
    };
    eprintln!("Disk: a quota");
    let place = ground.place("quota")?;
    let row = |n: usize, output: String| Row::new(n, output);
    let mut rows = Vec::new();
    for n in 0..JOBS {
        rows.push(row(
            n,
            quota.folder.join(format!("{n}.mp4")).display().to_string(),
        ));
        rows.push(row(n, format!("kept/{n}.mp4")));
    }
    ground.list(&place, &rows)?;
    let batch = || {
        let mut batch = ground.batch(&place, 2);
        batch.args(["--min-free", "0", "--attempts", ATTEMPTS, "--state"]);
        batch.arg(place.join("state"));
        batch
    };
    quota.limit(TOO_LITTLE)?;
    let running = Running::start(ground, "quota", &mut batch())?;
    let finished = running.finish()?;
    let mut wrong = Vec::new();
    let codes: Vec<_> = finished
        .results
        .iter()
        .filter(|result| result["state"] != "done")
        .map(|result| result["error"]["code"].as_str().unwrap_or_default())
        .collect();
    if codes != ["quota-used-up"; JOBS] {
        wrong.push(format!(
            "the failures are {codes:?}: {:?}",
            finished.failures()
        ));
    }
    findings.none_of("quota: ends of another kind", &wrong);
    let mut suffered = Vec::new();
    for n in 0..JOBS {
        let kept = place.join(format!("kept/{n}.mp4"));
        if !kept.is_file() {
            suffered.push(kept.display().to_string());
        }
    }
    findings.none_of("quota: jobs elsewhere that suffered", &suffered);
    let left = ground::files(&quota.folder)?;
    findings.none_of("quota: files left over", &left);

    quota.limit("none")?;
    let mut retry = ground.lipflow("retry");
    process::output(retry.arg("--all").arg("--state").arg(place.join("state")))?;
    let finished = Running::start(ground, "no quota", &mut batch())?.finish()?;
    let mut missing = finished.failures();
    for n in 0..JOBS {
        let made = ground::sha256(&quota.folder.join(format!("{n}.mp4")));
        let kept = ground::sha256(&place.join(format!("kept/{n}.mp4")))?;
        if made.ok() != Some(kept) {
            missing.push(format!("{n}.mp4 is not the same"));
        }
    }
    findings.none_of("quota: missing when it was lifted", &missing);
    Ok(())
}

/// A btrfs file system in a file, unmounted at the end, and a part of it that has a quota. Its quotas need
/// no help of the kernel's other ones.
struct Quota {
    mount: PathBuf,
    folder: PathBuf,
}

impl Quota {
    fn mount(ground: &Ground, name: &str) -> Result<Self> {
        let mount = ground.folder.join(name);
        // Left by a run that was killed.
        let _ = process::output(Command::new("umount").arg(&mount));
        let mount = ground.place(name)?;
        let image = ground.folder.join(format!("{name}.img"));
        let _ = fs::remove_file(&image);
        fs::File::create(&image)?.set_len(160 << 20)?;
        process::output(Command::new("mkfs.btrfs").args(["-q", "-f"]).arg(&image))?;
        process::output(
            Command::new("mount")
                .args(["-o", "loop"])
                .arg(&image)
                .arg(&mount),
        )
        .context("only root may mount one")?;
        let quota = Self {
            folder: mount.join("part"),
            mount,
        };
        btrfs(&["quota", "enable"], &quota.mount)?;
        btrfs(&["subvolume", "create"], &quota.folder)?;
        Ok(quota)
    }

    fn limit(&self, size: &str) -> Result<()> {
        btrfs(&["qgroup", "limit", size], &self.folder)?;
        let path = self.folder.join("try");
        let is_limited = size != "none";
        // What it allows is counted when data are written.
        let tried =
            fs::write(&path, vec![1; 1 << 20]).and_then(|()| fs::File::open(&path)?.sync_all());
        // It may not even have come to be.
        let _ = fs::remove_file(&path);
        btrfs(&["filesystem", "sync"], &self.mount)?;
        ensure!(
            tried.is_err() == is_limited,
            "the quota {size} gives {tried:?}"
        );
        Ok(())
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let _ = process::output(Command::new("umount").arg(&self.mount));
    }
}

fn btrfs(arguments: &[&str], path: &Path) -> Result<()> {
    process::output(Command::new("btrfs").args(arguments).arg(path)).map(drop)
}
