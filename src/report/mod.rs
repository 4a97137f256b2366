//! What a batch leaves besides its videos: a report for people, a manifest for programs, and a zip file
//! for those who carry the results away.

mod html;
pub mod zip;

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use crate::cancel::Cancel;
use crate::digest;
use crate::error::{Failure, FailureKind};
use crate::event::{BatchProgress, JobState};
use crate::job::Part;
use crate::journal::{JobRow, Journal};
use crate::publish::{Staged, output_failure};

const REPORT: &str = "report.html";
const MANIFEST: &str = "manifest.json";

/// One output, as the manifest has it.
#[derive(Serialize)]
struct Entry<'a> {
    /// Relative to the manifest.
    output: &'a Path,
    sha256: &'a str,
    bytes: u64,
    face: &'a Path,
    speech: &'a Path,
    /// Where several speak, who says what.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    dialogue: &'a [Part],
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_s: Option<f64>,
}

/// Writes report and manifest into `root`; gives a line about each.
pub fn write(
    journal: &Journal,
    root: &Path,
    progress: &BatchProgress,
    jobs: &[JobRow],
) -> Vec<String> {
    let report = html::page(root, progress, jobs);
    let written = [
        ("report", REPORT, Ok(report)),
        ("manifest", MANIFEST, manifest(root, jobs)),
    ];
    written
        .into_iter()
        .map(|(what, name, text)| {
            let path = root.join(name);
            match text.and_then(|text| put(journal, &path, text.as_bytes())) {
                Ok(()) => format!("{what}: {}", path.display()),
                Err(failure) => format!("{what}: {failure}"),
            }
        })
        .collect()
}

fn manifest(root: &Path, jobs: &[JobRow]) -> Result<String, Failure> {
    let entries: Vec<_> = jobs
        .iter()
        .filter(|job| job.state == JobState::Done)
        .filter_map(|job| {
            Some(Entry {
                output: relative(root, &job.output),
                sha256: job.sha256.as_deref()?,
                bytes: job.bytes?,
                face: &job.face,
                speech: &job.speech,
                dialogue: &job.dialogue,
                duration_s: job.outcome.as_ref().and_then(|o| o.duration_s),
            })
        })
        .collect();
    let mut text = serde_json::to_string_pretty(&entries)
        .map_err(|e| Failure::new(crate::error::FailureKind::Internal).detail(e))?;
    text.push('\n');
    Ok(text)
}

fn relative<'a>(root: &Path, path: &'a Path) -> &'a Path {
    path.strip_prefix(root).unwrap_or(path)
}

/// Whether the file may be written: there is none of that name, or one that was written before.
fn may_replace(journal: &Journal, path: &Path) -> Result<bool, Failure> {
    if std::fs::symlink_metadata(path).is_err() {
        return Ok(false);
    }
    let is_ours = journal.is_artifact(path);
    if is_ours.map_err(|e| e.failure(journal.folder()))? {
        return Ok(true);
    }
    Err(Failure::of(FailureKind::OutputExists, path)
        .because("there is a file of this name that lipflow has not written")
        .advice("Move it away, or give it another name"))
}

/// Gives the file its name, unless somebody else's has it, and enters it as one that may be replaced.
fn publish(journal: &Journal, path: &Path, staged: Staged) -> Result<(), Failure> {
    let failed = |e: crate::journal::Error| e.failure(journal.folder());
    let staged = staged.overwriting(may_replace(journal, path)?);
    let sha256 = digest::of_file(staged.path(), &Cancel::default())?;
    journal.will_write(path, &sha256).map_err(failed)?;
    staged.publish()?;
    journal.has_written(path, &sha256).map_err(failed)
}

/// The file appears whole or not at all.
fn put(journal: &Journal, path: &Path, content: &[u8]) -> Result<(), Failure> {
    let staged = Staged::create(path, false)?;
    let failed = |e| output_failure(path, &e);
    let mut file = std::fs::File::options()
        .write(true)
        .open(staged.path())
        .map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    publish(journal, path, staged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Outcome, Progress};

    pub fn job(name: &str, state: JobState) -> JobRow {
        JobRow {
            id: 1,
            state,
            output: format!("/out/sub/{name}").into(),
            face: "/in/a & b.mp4".into(),
            speech: "/in/s.wav".into(),
            dialogue: Vec::new(),
            attempts: 1,
            progress: None,
            outcome: Some(Outcome {
                duration_s: Some(2.5),
                ..Outcome::nothing(state, &Progress::default())
            }),
            sha256: Some("ab".into()),
            bytes: Some(7),
            thumbnail: Some(vec![0xff, 0xd8]),
        }
    }

    #[test]
    fn the_manifest_has_what_was_made() {
        let jobs = [
            job("good.mp4", JobState::Done),
            job("bad.mp4", JobState::Failed),
        ];
        let text = manifest(Path::new("/out"), &jobs).unwrap();
        let entries: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!([{
            "output": "sub/good.mp4", "sha256": "ab", "bytes": 7,
            "face": "/in/a & b.mp4", "speech": "/in/s.wav", "duration_s": 2.5
        }]);
        assert_eq!(entries, expected);
    }

    #[test]
    fn both_files_are_written_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("state")).unwrap();
        let write = |root: &Path, done| {
            let progress = BatchProgress {
                done,
                ..BatchProgress::default()
            };
            super::write(&journal, root, &progress, &[])
        };
        for done in [1, 2] {
            let notes = write(folder.path(), done);
            assert!(
                !notes.iter().any(|n| n.contains("not written")),
                "{notes:?}"
            );
            let report = std::fs::read_to_string(folder.path().join(REPORT)).unwrap();
            assert!(report.contains(&format!("{done} of")), "{report}");
        }
        assert!(folder.path().join(REPORT).is_file());
        assert_eq!(
            std::fs::read_to_string(folder.path().join(MANIFEST)).unwrap(),
            "[]\n"
        );
        let notes = write(&folder.path().join("none"), 0);
        assert!(notes[0].contains("does not exist"), "{notes:?}");
        // One that was edited is somebody else's.
        std::fs::write(folder.path().join(REPORT), "mine").unwrap();
        let notes = write(folder.path(), 3);
        assert!(notes[0].contains("lipflow has not written"), "{notes:?}");
        assert!(notes[1].starts_with("manifest: /"), "{notes:?}");
        let report = std::fs::read_to_string(folder.path().join(REPORT)).unwrap();
        assert_eq!(report, "mine");
    }
}
