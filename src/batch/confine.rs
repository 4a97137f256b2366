//! Files that a job list may name. A template is code, and an output is a place to write to: a list from
//! somebody else is trusted with neither.

use std::path::{Path, PathBuf};

use crate::error::{Failure, FailureKind};
use crate::job::{Job, is_model_file, is_template_file};
use crate::path::normalised;

/// A folder that jobs stay in.
#[derive(Debug)]
pub struct Confine {
    folder: PathBuf,
}

impl Confine {
    pub fn to(folder: &Path) -> Result<Self, Failure> {
        match std::fs::canonicalize(folder) {
            Ok(folder) if folder.is_dir() => Ok(Self { folder }),
            Ok(_) => Err(Failure::of(FailureKind::Usage, folder)
                .because("this is no folder")
                .advice("Give --confine a folder")),
            Err(e) => Err(Failure::of(FailureKind::Usage, folder)
                .because(e)
                .advice("Give --confine a folder")),
        }
    }

    /// Refuses a job that leaves the folder, or brings code; `trusted` are the template and the model of
    /// the command line.
    pub fn check(&self, job: &Job, trusted: &[&str]) -> Result<(), Failure> {
        let is_trusted = |name: &str| trusted.contains(&name);
        if is_template_file(&job.template) && !is_trusted(&job.template) {
            return Err(Failure::of(FailureKind::Usage, Path::new(&job.template))
                .because("a list that is confined can't bring a template, which is code")
                .advice("Name a built-in one, or give it with --template"));
        }
        let model = job
            .parameter("model")
            .filter(|model| is_model_file(model) && !is_trusted(model))
            .map(Path::new);
        for file in job.inputs().chain(model).chain(job.output.as_deref()) {
            if !real(file).starts_with(&self.folder) {
                return Err(Failure::of(FailureKind::Usage, file)
                    .because(format_args!("it is outside {}", self.folder.display()))
                    .advice("Take the job out, or give --confine another folder"));
            }
        }
        Ok(())
    }
}

/// Where a file is, through all links.
fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| normalised(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confined_job_reads_and_writes_in_its_folder_and_brings_no_code() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join("in").join(name);
        std::fs::create_dir(folder.path().join("in")).unwrap();
        let outside = folder.path().join("outside.mp4");
        std::fs::write(&outside, "x").unwrap();
        std::os::unix::fs::symlink(&outside, path("link.mp4")).unwrap();
        let confine = Confine::to(&folder.path().join("in")).unwrap();
        let good: Job = serde_json::from_value(serde_json::json!({
            "face": path("f.mp4"), "speech": path("s.wav"), "output": path("new/o.mp4"),
            "template": "file", "parameters": [["model", "wav2lip_96"]], "end_mode": "speech",
            "loop_mode": null, "if_exists": "refuse", "stuck_after": {"secs": 30, "nanos": 0},
            "graph": null, "dry_run": false
        }))
        .unwrap();
        assert_eq!(confine.check(&good, &[]), Ok(()));
        let refused = |change: &dyn Fn(&mut Job)| {
            let mut job = good.clone();
            change(&mut job);
            confine
                .check(&job, &["/mine.launch", "/mine.onnx"])
                .is_err()
        };
        assert!(refused(&|job| job.output = Some(outside.clone())));
        assert!(refused(&|job| job.output = Some(path("../o.mp4"))));
        assert!(refused(&|job| job.output = Some(path("link.mp4"))));
        assert!(refused(&|job| job.face = path("link.mp4")));
        assert!(refused(&|job| job.speech = "/etc/passwd".into()));
        assert!(refused(
            &|job| job.template = path("own.launch").display().to_string()
        ));
        assert!(refused(&|job| job.parameters[0].1 = "/etc/x.onnx".into()));
        assert!(!refused(&|job| job.template = "/mine.launch".into()));
        assert!(!refused(&|job| job.parameters[0].1 = "/mine.onnx".into()));
        assert!(Confine::to(&outside).is_err());
    }
}
