//! Rows of a job list as what they ask for.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use crate::batch::{list, text};
use crate::error::{Failure, FailureKind};
use crate::job::{JobOptions, Part, Sound, Speeches, Who};
use crate::path::normalised;

/// A row that is a job.
pub(super) struct Row {
    /// Line of the list, from 1.
    pub line: u64,
    pub face: PathBuf,
    pub speeches: Speeches,
    pub output: Option<PathBuf>,
    pub options: JobOptions,
}

/// Reads the rows of the list; `shared` are options that rows may change. Where one can't be read at all,
/// there is none in its place, and it is noted in `left_out`.
pub(super) fn read(
    path: &Path,
    shared: &JobOptions,
    left_out: &mut Vec<Failure>,
) -> Result<Vec<Option<Row>>, Failure> {
    let rows = list::read(path).map_err(|e| {
        Failure::of(FailureKind::Usage, path)
            .because(e)
            .advice("See `lipflow batch --help` for what a list looks like")
    })?;
    let mut read = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut names = row.fields.iter().map(|(name, _)| name);
        if let Some(name) = names.find(|name| !is_column(name)) {
            return Err(no_column(path, row.names_line, name));
        }
        read.push(match row.is_garbled {
            false => Some(row_of(path, row, shared).map_err(|e| wrong(path, row.line, &e))?),
            true => {
                let reason = format!("line {}: {}", row.line, text::NOT_UTF8);
                let failure = Failure::of(FailureKind::Usage, path).because(reason);
                left_out.push(failure.advice("Mend the line; the others are done without it"));
                None
            }
        });
    }
    Ok(read)
}

/// What may be said of a job beside its options.
const COLUMNS: [&str; 4] = ["face", "speech", "output", "sound"];

fn is_column(name: &str) -> bool {
    let of_many = ["speech.", "set."];
    COLUMNS.contains(&name)
        || JobOptions::NAMES.contains(&name)
        || of_many.iter().any(|start| name.starts_with(start))
}

fn no_column(path: &Path, line: u64, name: &str) -> Failure {
    Failure::of(FailureKind::Usage, path)
        .because(format_args!("line {line}: `{name}` is no column of a list"))
        .advice(format_args!(
            "Call it one of {}, {}, speech.WHO, set.NAME; nothing was started",
            COLUMNS.join(", "),
            JobOptions::NAMES.join(", ")
        ))
}

/// A mistake in a line of the list.
pub(super) fn wrong(path: &Path, line: u64, reason: &dyn Display) -> Failure {
    Failure::of(FailureKind::Usage, path)
        .because(format_args!("line {line}: {reason}"))
        .advice("Mend the line; nothing was started")
}

fn row_of(path: &Path, row: &list::Row, shared: &JobOptions) -> Result<Row, String> {
    let mut options = shared.clone();
    let (mut face, mut speech, mut output) = (None, None, None);
    let (mut parts, mut sound) = (Vec::new(), None);
    for (name, value) in &row.fields {
        match name.as_str() {
            "face" => face = Some(list::beside(path, value)),
            "speech" => speech = Some(list::beside(path, value)),
            "output" => output = Some(list::beside(path, value)),
            "sound" => sound = Some(value.parse::<Sound>()?),
            name => match name.strip_prefix("speech.") {
                Some(who) => parts.push(Part {
                    who: speaker(path, who)?,
                    file: list::beside(path, value),
                }),
                None => options.set(name, value)?,
            },
        }
    }
    options.place_files(&|file| normalised(&list::beside(path, file)).display().to_string());
    Ok(Row {
        line: row.line,
        face: face.ok_or("it has no face")?,
        speeches: speeches(speech, parts, sound.as_ref())?,
        output,
        options,
    })
}

fn speaker(path: &Path, who: &str) -> Result<Who, String> {
    Ok(match who.parse()? {
        Who::Picture(file) => {
            let file = list::beside(path, &file.to_string_lossy());
            Who::Picture(normalised(&file))
        }
        who => who,
    })
}

fn speeches(
    one: Option<PathBuf>,
    parts: Vec<Part>,
    sound: Option<&Sound>,
) -> Result<Speeches, String> {
    match (one, parts.is_empty()) {
        (Some(_), false) => Err("it has a speech, and others that say whose they are".into()),
        (None, true) => Err("it has no speech".into()),
        (Some(_), true) if sound.is_some() => Err("`sound` chooses among several speakers".into()),
        (Some(speech), true) => Ok(Speeches::ByOne(speech)),
        (None, false) => Speeches::by_several(parts, sound).map_err(|e| e.reason().to_owned()),
    }
}
