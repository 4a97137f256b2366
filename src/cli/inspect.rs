//! `lipflow inspect`: what a file carries that says that it is synthetic.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::print;
use crate::cancel::Cancel;
use crate::digest;
use crate::error::{Failure, FailureKind};
use crate::event::display;
use crate::job::check_input;
use crate::marks::Aigc;
use crate::provenance::record::{self, Record};
use crate::provenance::{self, seen};
use crate::terminal::plain;

/// Labels that are looked for where no record says which.
const USUAL_LABELS: [&str; 3] = ["AI-generated", "AI生成合成", "AI"];

/// Says what a file carries that says that it is synthetic.
///
/// The label in the first frame, the metadata after GB 45438-2025 and whether it keeps to the standard,
/// and whether the file is still what the record beside it notes. The exit code is 39 where a file carries
/// nothing, or other than was noted, and that of the reason where one can't be read.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// Videos
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Print one JSON object a line and file
    #[arg(long)]
    json: bool,
}

/// What was found in a file.
#[derive(Serialize)]
struct Found {
    file: String,
    /// The text in the first frame.
    label: Option<String>,
    /// The metadata as it stands there.
    aigc: Option<Aigc>,
    record: Option<Record>,
    /// What is missing or wrong; a sentence each.
    wrong: Vec<String>,
}

pub fn run(args: &InspectArgs) -> anyhow::Result<ExitCode> {
    crate::init()?;
    let cancel = Cancel::on_signals()?;
    let mut code = 0;
    for file in &args.files {
        let own = match inspect(file, &cancel) {
            Ok(found) => {
                print(&match args.json {
                    true => serde_json::to_string(&found)? + "\n",
                    false => text(&found),
                })?;
                match found.wrong.is_empty() {
                    true => 0,
                    false => FailureKind::NotMarked.exit_code(),
                }
            }
            Err(failure) => {
                eprintln!("lipflow: {}", plain(&failure));
                failure.kind.exit_code()
            }
        };
        // The first that is wrong gives the code.
        code = if code == 0 { own } else { code };
    }
    Ok(ExitCode::from(code))
}

fn inspect(file: &Path, cancel: &Cancel) -> Result<Found, Failure> {
    check_input(file)?;
    let mut wrong = Vec::new();
    let record = record::read(file)?;
    let noted_label = record.as_ref().and_then(|record| record.label.as_deref());
    let label = match noted_label {
        Some(noted) => seen::label(file, &[noted])?,
        None => seen::label(file, &USUAL_LABELS)?,
    };
    let aigc = match provenance::read(file).map_err(|e| e.failure(file))? {
        None => None,
        Some(json) => match Aigc::of_json(&json) {
            Ok(aigc) => Some(aigc),
            Err(why) => {
                wrong.push(format!("The metadata breaks the standard: {why}"));
                None
            }
        },
    };
    match &record {
        Some(record) => {
            if digest::of_file(file, cancel)? != record.sha256 {
                wrong.push("It is not the file that the record is of: it was changed since".into());
            }
            if noted_label.is_some() && label.is_none() {
                wrong.push(
                    "The label that the record notes can't be seen in the first frame".into(),
                );
            }
            if record.aigc.is_some() && aigc != record.aigc {
                wrong.push("The metadata is not what the record notes".into());
            }
        }
        None if label.is_none() && aigc.is_none() && wrong.is_empty() => {
            wrong.push("Nothing in it says that it is synthetic".into());
        }
        None => {}
    }
    Ok(Found {
        file: display(file),
        label: label.map(str::to_owned),
        aigc,
        record,
        wrong,
    })
}

fn text(found: &Found) -> String {
    let mut text = format!("{}\n", plain(&found.file));
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<10} {}", plain(value));
    };
    line(
        "label",
        found
            .label
            .clone()
            .unwrap_or_else(|| "none in the first frame".into()),
    );
    match &found.aigc {
        Some(aigc) => line("metadata", aigc.json()),
        None => line("metadata", "none".into()),
    }
    match &found.record {
        Some(record) => {
            line(
                "record",
                format!("by {}, SHA-256 {}", record.made_by, record.sha256),
            );
            for input in &record.inputs {
                line(
                    "made of",
                    format!("{}, SHA-256 {}", input.file.display(), input.sha256),
                );
            }
            if let Some(consent) = &record.consent {
                line("consent", consent.clone());
            }
        }
        None => line("record", "none beside it".into()),
    }
    for wrong in &found.wrong {
        line("wrong", wrong.clone());
    }
    text
}
