//! A fault of a pipeline's text, and how it is told.

use std::path::PathBuf;

use super::Place;
use crate::pipeline::debian;

/// A fault and its place.
#[derive(Debug, PartialEq)]
pub struct Problem {
    pub place: Place,
    pub fault: Fault,
}

#[derive(Debug, PartialEq)]
pub enum Fault {
    NoElement {
        element: String,
        /// The Debian package that has it, where known.
        package: Option<&'static str>,
        /// Its plugin's file, where GStreamer refuses to look at it again.
        refused: Option<PathBuf>,
    },
    NoProperty {
        element: String,
        property: String,
        /// A property of a similar name.
        similar: Option<String>,
    },
    ReadOnly {
        element: String,
        property: String,
    },
    BadValue {
        element: String,
        property: String,
        value: String,
        expected: String,
    },
    /// A value could become an element.
    ElementFromValue {
        element: String,
        property: String,
    },
    NoSuchName {
        name: String,
    },
    BadCaps {
        caps: String,
    },
}

impl Problem {
    pub fn is_missing_element(&self) -> bool {
        matches!(self.fault, Fault::NoElement { .. })
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.place)?;
        match &self.fault {
            Fault::NoElement {
                element,
                package,
                refused,
            } => {
                write!(f, "there is no element `{element}`")?;
                match (refused, package) {
                    (Some(file), _) => write!(
                        f,
                        ": its plugin {} crashed or hung when GStreamer looked at it. {}",
                        file.display(),
                        debian::REFUSED_REMEDY
                    ),
                    (None, Some(package)) => {
                        write!(f, ". Install the Debian package {package}")
                    }
                    (None, None) => {
                        f.write_str(". Check its name, or install the package that has it")
                    }
                }
            }
            Fault::NoProperty {
                element,
                property,
                similar,
            } => {
                write!(f, "`{element}` has no property `{property}`")?;
                match similar {
                    Some(similar) => write!(f, ". Did you mean `{similar}`?"),
                    None => write!(f, ". See `gst-inspect-1.0 {element}`"),
                }
            }
            Fault::ReadOnly { element, property } => {
                write!(f, "property `{property}` of `{element}` can't be set")
            }
            Fault::BadValue {
                element,
                property,
                value,
                expected,
            } => write!(
                f,
                "property `{property}` of `{element}` can't be `{value}`: {expected} is expected"
            ),
            Fault::ElementFromValue { element, property } => write!(
                f,
                "property `{property}` of `{element}` takes a pipeline, so it can't be filled from \
                 a parameter that can hold any text. Use a `choice`"
            ),
            Fault::NoSuchName { name } => {
                write!(
                    f,
                    "no element here has the name `{name}`. Give one `name={name}`"
                )
            }
            Fault::BadCaps { caps } => write!(f, "`{caps}` can't be read as caps"),
        }
    }
}
