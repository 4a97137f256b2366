//! Why a job failed: one kind per cause, each with its own exit code.
//!
//! The codes are part of the public interface: scripts branch on them, so a number never changes
//! its meaning.

mod kind;

pub use kind::FailureKind;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A job's failure: the cause, the file it is about, and what the library that met it said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct Failure {
    /// The cause.
    pub kind: FailureKind,
    /// The file it is about.
    pub file: Option<PathBuf>,
    /// What is wrong, where more is known than the kind's own words say.
    reason: Option<String>,
    /// What to do about it, where more is known than the kind's own remedy.
    remedy: Option<String>,
}

impl Failure {
    /// A failure in the kind's own words, about no file.
    pub fn new(kind: FailureKind) -> Self {
        Self {
            kind,
            file: None,
            reason: None,
            remedy: None,
        }
    }

    /// The same, about `file`.
    pub fn of(kind: FailureKind, file: &Path) -> Self {
        Self::new(kind).file(file)
    }

    /// Says which file it is about.
    pub fn file(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    /// Adds to the kind's own words.
    pub fn detail(self, detail: impl fmt::Display) -> Self {
        let reason = format!("{}: {detail}", self.kind.reason());
        self.because(reason)
    }

    /// Replaces the kind's own words.
    pub fn because(mut self, reason: impl fmt::Display) -> Self {
        self.reason = Some(one_line(&reason.to_string()));
        self
    }

    /// Replaces the kind's own remedy.
    pub fn advice(mut self, remedy: impl fmt::Display) -> Self {
        self.remedy = Some(one_line(&remedy.to_string()));
        self
    }

    /// What went wrong, on one line.
    pub fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or(self.kind.reason())
    }

    /// What to do about it, on one line.
    pub fn remedy(&self) -> &str {
        self.remedy.as_deref().unwrap_or(self.kind.remedy())
    }

    /// Whether somebody wanted the job to end, so that nothing is wrong with it.
    pub fn is_cancellation(&self) -> bool {
        matches!(
            self.kind,
            FailureKind::Interrupted | FailureKind::Terminated
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", one_line(&file.to_string_lossy()))?;
        }
        let reason = self.reason();
        write!(
            f,
            "{}. {}.",
            reason.trim_end_matches('.'),
            self.remedy().trim_end_matches('.')
        )
    }
}

/// Messages come from libraries and names from users; neither may break the one-line promise.
fn one_line(text: &str) -> String {
    let words: Vec<_> = text
        .split(|c: char| c.is_control())
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_that_names_file_reason_and_remedy() {
        let failure = Failure::of(FailureKind::InputDamaged, Path::new("a\nb.mp4"))
            .detail("moov atom\nnot found.");
        assert_eq!(
            failure.to_string(),
            "a b.mp4: the file is damaged: moov atom not found. Copy or download it again, or \
             repair it with ffmpeg."
        );
    }
}
