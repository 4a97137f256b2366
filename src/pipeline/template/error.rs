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
    /// No built-in template has this name.
    Unknown {
        /// What was asked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The file can't be read.
    #[error("template {path} can't be read. Check the path and its permissions")]
    Unreadable {
        /// The template's file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    #[error("{place}: {reason}")]
    /// The header or a hole is written wrong.
    Malformed {
        /// Where.
        place: Place,
        /// What is wrong there.
        reason: String,
    },
    /// A value was given for a parameter that is not declared.
    #[error(
        "template `{template}` has no parameter `{name}`. It has {}",
        .known.join(", ")
    )]
    UnknownParameter {
        /// Name of the template.
        template: String,
        /// The parameter that was meant.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A parameter without a default got no value.
    #[error("template `{template}` needs a value for `{name}` ({help})")]
    MissingValue {
        /// Name of the template.
        template: String,
        /// The parameter.
        name: String,
        /// Its own help.
        help: String,
    },
    /// A value is not of the parameter's type.
    #[error("`{value}` doesn't fit parameter `{name}` of template `{template}`: {expected}")]
    BadValue {
        /// Name of the template.
        template: String,
        /// The parameter.
        name: String,
        /// What it was given.
        value: String,
        /// What it takes.
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
    Refused {
        /// The word that GStreamer's message is about, or the beginning.
        place: Place,
        /// GStreamer's message.
        reason: String,
    },
}

fn list(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(Problem::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}
