//! The results in one file, stored as they are: videos don't get smaller.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

use ::zip::write::SimpleFileOptions;
use ::zip::{CompressionMethod, ZipWriter};

use super::relative;
use crate::error::{Failure, FailureKind};
use crate::event::{Body, Event, JobState};
use crate::journal::JobRow;
use crate::publish::{Staged, output_failure};

/// Adds outputs beside the work, in a thread of its own.
pub struct Zip {
    outputs: mpsc::Sender<PathBuf>,
    thread: JoinHandle<Result<usize, Failure>>,
    path: PathBuf,
}

impl Zip {
    /// Begins the file at `path` with what is done already; it appears under its name at the end.
    pub fn start(path: &Path, root: &Path, jobs: &[JobRow]) -> Result<Self, Failure> {
        let staged = Staged::create(path, true)?;
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
    pub fn finish(self) -> String {
        drop(self.outputs);
        match self.thread.join() {
            Ok(Ok(count)) => format!("zip: {} ({count} files)", self.path.display()),
            Ok(Err(failure)) => format!("zip: {failure}"),
            Err(_) => format!("zip: {}: its thread panicked", self.path.display()),
        }
    }
}

fn write(
    staged: Staged,
    path: &Path,
    root: &Path,
    outputs: mpsc::Receiver<PathBuf>,
) -> Result<usize, Failure> {
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
    staged.publish()?;
    Ok(count)
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
        let zip = Zip::start(&path, root, &[done, failed]).unwrap();
        zip.note(&Event::now(Body::Result(Outcome {
            output: Some(root.join("new.mp4").display().to_string()),
            ..Outcome::nothing(JobState::Done, &Progress::default())
        })));
        assert!(!path.exists(), "it is not whole yet");
        assert_eq!(zip.finish(), format!("zip: {} (2 files)", path.display()));
        let bytes = std::fs::read(&path).unwrap();
        for text in ["old old old old old", "new new new new new"] {
            let found = bytes.windows(text.len()).any(|w| w == text.as_bytes());
            assert!(found, "{text} is not stored as it is");
        }
    }
}
