//! What was made of what: a file beside the output, for whoever has to show it later.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cancel::Cancel;
use crate::digest;
use crate::error::{Failure, FailureKind};
use crate::job::Job;
use crate::marks::{Aigc, Marks};
use crate::path::with_ending;

/// What the name of a record has behind that of its output.
pub const ENDING: &str = ".provenance.json";

/// All that is noted of an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Name of the output, which is in the same folder.
    pub output: PathBuf,
    /// Its content.
    pub sha256: String,
    /// The program that made it.
    pub made_by: String,
    /// The files that it was made of.
    pub inputs: Vec<Input>,
    /// Name or file of the template.
    pub template: String,
    /// Name or file of the model; the one that is built in where none was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Parameters of the template that were set.
    pub parameters: Vec<(String, String)>,
    /// What is written onto the picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The metadata in the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aigc: Option<Aigc>,
    /// Where it is noted that the person agrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<String>,
}

/// A file that something was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// As it was named.
    pub file: PathBuf,
    /// Its content.
    pub sha256: String,
}

/// Refuses an output whose record would take the place of something that is no record of it.
pub fn check_place(output: &Path) -> Result<(), Failure> {
    let path = with_ending(output, ENDING);
    let name = output.file_name().map(Path::new);
    match read(output) {
        Ok(None) => Ok(()),
        Ok(Some(old)) if Some(old.output.as_path()) == name => Ok(()),
        Ok(Some(_)) | Err(_) => Err(Failure::of(FailureKind::OutputExists, &path)
            .because("a file that is no record of the output is where its record goes")
            .advice("Move it away, or choose another name for the output")),
    }
}

/// The record beside an output, if there is one.
pub fn read(output: &Path) -> Result<Option<Record>, Failure> {
    let path = with_ending(output, ENDING);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Failure::of(FailureKind::InputUnreadable, &path).detail(e)),
    };
    match serde_json::from_str(&text) {
        Ok(record) => Ok(Some(record)),
        Err(e) => Err(Failure::of(FailureKind::InputDamaged, &path).detail(e)),
    }
}

/// The contents of the job's inputs, each file once.
pub fn inputs_of(job: &Job, cancel: &Cancel) -> Result<Vec<Input>, Failure> {
    let mut inputs: Vec<Input> = Vec::new();
    for file in job.inputs() {
        if inputs.iter().any(|input| input.file == file) {
            continue;
        }
        inputs.push(Input {
            file: file.to_owned(),
            sha256: digest::of_file(file, cancel)?,
        });
    }
    Ok(inputs)
}

/// The number of what the job makes of these inputs: the same for the same work, and for no other.
pub fn number(job: &Job, inputs: &[Input]) -> String {
    let mut said = vec![job.template.clone(), job.end_mode.name().to_owned()];
    said.extend(
        job.parameters
            .iter()
            .map(|(name, value)| format!("{name}={value}")),
    );
    said.extend(inputs.iter().map(|input| input.sha256.clone()));
    let digest = digest::of_bytes(said.join("\n").as_bytes());
    digest.chars().take(32).collect()
}

impl Record {
    /// Of the output at `output`, whose content has that digest.
    pub fn of(job: &Job, output: &Path, sha256: String, inputs: Vec<Input>, marks: &Marks) -> Self {
        Self {
            output: output.file_name().unwrap_or_default().into(),
            sha256,
            made_by: format!("lipflow {}", env!("CARGO_PKG_VERSION")),
            inputs,
            template: job.template.clone(),
            model: job.parameter("model").map(str::to_owned),
            // A stream's address may have a key in it.
            parameters: job
                .parameters
                .iter()
                .filter(|(name, _)| name != "url")
                .cloned()
                .collect(),
            label: job.parameter("label").map(str::to_owned),
            aigc: marks.aigc.clone(),
            consent: marks.consent.clone(),
        }
    }

    /// As it is written.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}
