//! Memory, cores and room on the disk.

use std::path::Path;

use super::{Finding, Status};
use crate::faces::Store;
use crate::publish::free_space;
use crate::reach;

/// A job with the built-in model stays under this.
const JOB_MEMORY: u64 = 400 << 20;

/// Less than this in the temporary folder is worth a word.
const TEMPORARY_ROOM: u64 = 1 << 30;

pub fn findings() -> Vec<Finding> {
    let mut findings = vec![cores()];
    // Where the system doesn't say, there is nothing to say.
    findings.extend(
        std::fs::read_to_string("/proc/meminfo")
            .ok()
            .and_then(|text| available_memory(&text))
            .map(memory),
    );
    let folder = std::env::temp_dir();
    findings.extend(free_space(&folder).map(|free| temporary_folder(&folder, free)));
    findings.push(faces());
    findings.push(confinement());
    findings
}

/// Jobs do without, but then a file made to harm can do all that its user may.
fn confinement() -> Finding {
    const WHAT: &str = "workers";
    const NEWER: &str = "Start a kernel of 5.19 or newer that has Landlock (`lsm=landlock,...`)";
    match reach::is_enforced() {
        Ok(true) => Finding::ok(WHAT, "reach only the files that their jobs name (Landlock)"),
        Ok(false) => Finding::bad(
            Status::Warn,
            WHAT,
            "this kernel can't keep them from other files of yours",
            NEWER,
        ),
        Err(error) => Finding::bad(
            Status::Warn,
            WHAT,
            format!("they can't be kept from other files of yours: {error}"),
            "Give --worker-files all, or report it",
        ),
    }
}

/// Jobs do without, but then no mouth is a person's own.
fn faces() -> Finding {
    let kept = Store::of_user().and_then(|store| {
        store.check()?;
        let entries = store.list();
        let bytes = entries.iter().map(|entry| entry.bytes).sum();
        let folder = store.folder().display().to_string();
        Ok(format!(
            "{} learnt, {} in {folder}",
            entries.len(),
            size(bytes)
        ))
    });
    match kept {
        Ok(detail) => Finding::ok("faces", detail),
        Err(failure) => Finding::bad(Status::Warn, "faces", failure.reason(), failure.remedy()),
    }
}

fn cores() -> Finding {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    match cores {
        1 => Finding::bad(
            Status::Warn,
            "cores",
            "1: a job may take longer than its video lasts",
            "Choose a faster preset, --set preset=ultrafast say",
        ),
        more => Finding::ok("cores", more.to_string()),
    }
}

fn memory(available: u64) -> Finding {
    let detail = format!("{} available", size(available));
    match available >= JOB_MEMORY {
        true => Finding::ok("memory", detail),
        false => Finding::bad(
            Status::Warn,
            "memory",
            detail,
            format!("End other programs: a job may need {}", size(JOB_MEMORY)),
        ),
    }
}

fn temporary_folder(folder: &Path, free: u64) -> Finding {
    let detail = format!("{} free in {}", size(free), folder.display());
    match free >= TEMPORARY_ROOM {
        true => Finding::ok("temporary folder", detail),
        false => Finding::bad(
            Status::Warn,
            "temporary folder",
            detail,
            "Make room there, or set TMPDIR to another folder",
        ),
    }
}

/// Bytes that `/proc/meminfo` calls available.
fn available_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

fn size(bytes: u64) -> String {
    match bytes {
        ..0x4000_0000 => format!("{} MB", bytes >> 20),
        _ => format!("{:.1} GB", bytes as f64 / f64::from(1 << 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_scarce_is_a_warning() {
        let text = "MemTotal:       16000 kB\nMemAvailable:    1024 kB\n";
        assert_eq!(available_memory(text), Some(1 << 20));
        assert_eq!(memory(1 << 20).status, Status::Warn);
        assert_eq!(memory(JOB_MEMORY).status, Status::Ok);
        assert_eq!(
            temporary_folder(Path::new("/x"), 5 << 20).detail,
            "5 MB free in /x"
        );
    }
}
