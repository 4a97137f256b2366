//! Job lists, folders and patterns become the jobs of a batch. All here is decided before anything
//! starts, and a mistake in any row is told with its place.

pub(crate) mod confine;
pub(crate) mod files;
pub mod identity;
pub mod list;
pub mod pattern;
pub(crate) mod place;
pub mod text;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::error::{Failure, FailureKind};
use crate::journal::Planned;

/// The folder that all outputs are in.
pub fn common_folder<'a>(mut outputs: impl Iterator<Item = &'a Path>) -> Option<PathBuf> {
    let mut common = outputs.next()?.parent()?.to_owned();
    for output in outputs {
        while !output.starts_with(&common) {
            if !common.pop() {
                return None;
            }
        }
    }
    Some(common)
}

/// Refuses a batch in which two jobs would write one file, or one reads what another one writes.
pub fn check_outputs(jobs: &[Planned]) -> Result<(), Failure> {
    let mut seen = HashMap::new();
    for (index, planned) in jobs.iter().enumerate() {
        if let Some(first) = seen.insert(&planned.output, index) {
            return Err(Failure::of(FailureKind::Usage, &planned.output)
                .because(format_args!(
                    "jobs {} and {} have the same output",
                    first + 1,
                    index + 1
                ))
                .advice(
                    "Name both inputs in the pattern, as in {speech.stem}-{face.stem}.mp4, or \
                     {row} where even those are the same",
                ));
        }
    }
    let outputs: HashMap<_, _> = seen.iter().map(|(path, i)| (real(path), *i)).collect();
    // Most inputs are those of many jobs.
    let mut inputs = HashMap::new();
    for (index, planned) in jobs.iter().enumerate() {
        for input in planned.job.inputs() {
            let file = inputs.entry(input).or_insert_with(|| real(input));
            // Its own output is refused by the job itself.
            if let Some(writer) = outputs.get(file).filter(|w| **w != index) {
                return Err(Failure::of(FailureKind::Usage, input)
                    .because(format_args!(
                        "job {} reads what job {} writes",
                        index + 1,
                        writer + 1
                    ))
                    .advice("Write to a folder of its own, and leave earlier outputs out"));
            }
        }
    }
    Ok(())
}

/// The file itself, where its name is a link to it; links of folders are resolved already.
fn real(path: &Path) -> PathBuf {
    let is_link = std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    let real = is_link.then(|| std::fs::canonicalize(path).ok()).flatten();
    real.unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_job_reads_what_another_one_writes() {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("made.mp4");
        std::fs::write(&made, "earlier").unwrap();
        let link = folder.path().join("link.mp4");
        std::os::unix::fs::symlink(&made, &link).unwrap();
        let planned = |face: &Path, output: &Path| Planned {
            job: serde_json::from_value(serde_json::json!({
                "face": face, "speech": "/s.wav", "output": output, "template": "file",
                "parameters": [], "end_mode": "speech", "loop_mode": null,
                "if_exists": "refuse", "stuck_after": {"secs": 30, "nanos": 0},
                "graph": null, "dry_run": false
            }))
            .unwrap(),
            output: output.to_owned(),
        };
        let other = folder.path().join("other.mp4");
        for face in [&made, &link] {
            let jobs = [planned(Path::new("/f.mp4"), &made), planned(face, &other)];
            let failure = check_outputs(&jobs).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Usage);
            assert_eq!(failure.reason(), "job 2 reads what job 1 writes");
        }
        let jobs = [planned(Path::new("/f.mp4"), &made), planned(&other, &link)];
        assert_eq!(check_outputs(&jobs), Ok(()));
    }

    #[test]
    fn the_common_folder_holds_all() {
        let common = |paths: &[&str]| common_folder(paths.iter().map(Path::new));
        assert_eq!(common(&["/a/b/c.mp4"]), Some("/a/b".into()));
        assert_eq!(common(&["/a/b/c.mp4", "/a/b/d/e.mp4"]), Some("/a/b".into()));
        assert_eq!(common(&["/a/bc/c.mp4", "/a/b/e.mp4"]), Some("/a".into()));
        assert_eq!(common(&[]), None);
    }
}
