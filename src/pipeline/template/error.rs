use std::path::PathBuf;

use super::Place;
use super::problem::Problem;

/// What can be wrong with a template, or with the values it is given.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error(
        "there is no template `{name}`. There are {}; a file of your own is given with a `/` in its name, or ending in .launch",
        .known.join(", ")
    )]
    Unknown { name: String, known: Vec<String> },
    #[error("template {path} can't be read. Check the path and its permissions")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{place}: {reason}")]
    Malformed { place: Place, reason: String },
    #[error(
        "template `{template}` has no parameter `{name}`. It has {}",
        .known.join(", ")
    )]
    UnknownParameter {
        template: String,
        name: String,
        known: Vec<String>,
    },
    #[error("template `{template}` needs a value for `{name}` ({help})")]
    MissingValue {
        template: String,
        name: String,
        help: String,
    },
    #[error("`{value}` doesn't fit parameter `{name}` of template `{template}`: {expected}")]
    BadValue {
        template: String,
        name: String,
        value: String,
        expected: String,
    },
    /// Elements that are not installed.
    #[error("{}", list(.0))]
    MissingElements(Vec<Problem>),
    /// Properties and names that do not fit the elements; never empty.
    #[error("{}", list(.0))]
    Problems(Vec<Problem>),
    /// GStreamer refused a text in which nothing else is wrong, a link that can't be say.
    #[error("{place}: {reason}")]
    Refused { place: Place, reason: String },
}

fn list(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(Problem::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}
