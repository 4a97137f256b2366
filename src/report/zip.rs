//! The results in one file, stored as they are: videos don't get smaller.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

use ::zip::write::SimpleFileOptions;
use ::zip::{CompressionMethod, ZipWriter};

use super::{may_replace, publish, relative};
use crate::error::{Failure, FailureKind};
use crate::event::{Body, Event, JobState};
use crate::journal::{JobRow, Journal};
use crate::publish::{Staged, output_failure};

/// Adds outputs beside the work, in a thread of its own.
pub struct Zip {
    outputs: mpsc::Sender<PathBuf>,
    thread: JoinHandle<Result<(Staged, usize), Failure>>,
    path: PathBuf,
}

impl Zip {
    /// Begins the file at `path` with what is done already; it appears under its name at the end.
    pub fn start(
        journal: &Journal,
        path: &Path,
        root: &Path,
        jobs: &[JobRow],
    ) -> Result<Self, Failure> {
        may_replace(journal, path)?;
        let staged = Staged::create(path, false)?;
        let (outputs, receiver) = mpsc::channel();
        for job in jobs.iter().filter(|job| job.state == JobState::Done) {
            let _ = outputs.send(job.output.clone());
        }
        let root = root.to_owned();
        let own = path.to_owned();
        let thread = std::thread::Builder::new()
            .name("zip".into())
            .spawn(move || write(staged, &own, &root, receiver))
            .map_err(|e| Failure::new(FailureKind::Internal).detail(e))?;
        Ok(Self {
            outputs,
            thread,
            path: path.into(),
        })
    }

    /// Adds the output that the event tells of.
    pub fn note(&self, event: &Event) {
        if let Body::Result(outcome) = &event.body
            && outcome.state == JobState::Done
            && let Some(output) = &outcome.output
        {
            // A thread that has failed says so at the end.
            let _ = self.outputs.send(output.into());
        }
    }

    /// Closes the file; gives a line about it.
    pub fn finish(self, journal: &Journal) -> String {
        drop(self.outputs);
        let written = self.thread.join().unwrap_or_else(|_| {
            Err(Failure::of(FailureKind::Internal, &self.path).detail("its thread panicked"))
        });
        let published = written.and_then(|(staged, count)| {
            publish(journal, &self.path, staged)?;
            Ok(count)
        });
        match published {
            Ok(count) => format!("zip: {} ({count} files)", self.path.display()),
            Err(failure) => format!("zip: {failure}"),
        }
    }
}

fn write(
    staged: Staged,
    path: &Path,
    root: &Path,
    outputs: mpsc::Receiver<PathBuf>,
) -> Result<(Staged, usize), Failure> {
    let failed = |e: io::Error| output_failure(path, &e);
    let file = File::options()
        .write(true)
        .open(staged.path())
        .map_err(failed)?;
    let mut zip = ZipWriter::new(file);
    let mut count = 0;
    for output in outputs {
        // One that was taken away meanwhile is left out, as from the folder.
        let Ok(mut content) = File::open(&output) else {
            continue;
        };
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(true);
        let name = relative(root, &output).to_string_lossy();
        zip.start_file(name, options)
            .map_err(|e| failed(e.into()))?;
        io::copy(&mut content, &mut zip).map_err(failed)?;
        count += 1;
    }
    zip.finish().map_err(|e| failed(e.into()))?;
    Ok((staged, count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Outcome, Progress};

    #[test]
    fn what_is_done_and_what_gets_done_is_in_it_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("sub")).unwrap();
        std::fs::write(root.join("sub/old.mp4"), "old old old old old").unwrap();
        std::fs::write(root.join("new.mp4"), "new new new new new").unwrap();
        let mut done = super::super::tests::job("x", JobState::Done);
        done.output = root.join("sub/old.mp4");
        let failed = super::super::tests::job("y", JobState::Failed);
        let path = root.join("all.zip");
        let journal = Journal::open(&root.join("state")).unwrap();
        std::fs::write(&path, "theirs").unwrap();
        let refused = Zip::start(&journal, &path, root, &[]).err().unwrap();
        assert_eq!(refused.kind, FailureKind::OutputExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
        std::fs::remove_file(&path).unwrap();
        let zip = Zip::start(&journal, &path, root, &[done, failed]).unwrap();
        zip.note(&Event::now(Body::Result(Outcome {
            output: Some(root.join("new.mp4").display().to_string()),
            ..Outcome::nothing(JobState::Done, &Progress::default())
        })));
        assert!(!path.exists(), "it is not whole yet");
        assert_eq!(
            zip.finish(&journal),
            format!("zip: {} (2 files)", path.display())
        );
        let bytes = std::fs::read(&path).unwrap();
        for text in ["old old old old old", "new new new new new"] {
            let found = bytes.windows(text.len()).any(|w| w == text.as_bytes());
            assert!(found, "{text} is not stored as it is");
        }
        // The next start replaces it; what came meanwhile is left alone.
        let zip = Zip::start(&journal, &path, root, &[]).unwrap();
        let note = zip.finish(&journal);
        assert!(note.ends_with("(0 files)"), "{note}");
        let zip = Zip::start(&journal, &path, root, &[]).unwrap();
        std::fs::write(&path, "theirs").unwrap();
        let note = zip.finish(&journal);
        assert!(note.contains("lipflow has not written"), "{note}");
        assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
    }
}
