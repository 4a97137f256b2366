//! Names of outputs, such as `{speech.stem}-{face.stem}.mp4`.

use std::path::{Path, PathBuf};

/// What can stand in braces.
const FIELDS: [&str; 7] = [
    "face.stem",
    "face.name",
    "face.folder",
    "speech.stem",
    "speech.name",
    "speech.folder",
    "row",
];

/// A pattern that has been read: text and fields by turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(&'static str),
}

/// What is wrong with a pattern.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing has the name in these braces.
    #[error("`{{{0}}}` is none of {fields}", fields = FIELDS.map(|f| format!("{{{f}}}")).join(", "))]
    UnknownField(String),
    /// A brace without its other half.
    #[error("a brace is not closed; write {{{{ for a brace in the name")]
    Open,
}

impl std::str::FromStr for Pattern {
    type Err = Error;

    /// `{{` and `}}` are braces in the name.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain += &rest[..at];
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain += brace;
                rest = after;
                continue;
            }
            let end = rest.find('}').filter(|_| brace == "{").ok_or(Error::Open)?;
            let name = &rest[..end];
            let field = FIELDS.iter().find(|field| **field == name);
            let field = field.ok_or_else(|| Error::UnknownField(name.into()))?;
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(Part::Field(field));
            rest = &rest[end + 1..];
        }
        plain += rest;
        parts.push(Part::Text(plain));
        Ok(Self(parts))
    }
}

impl Pattern {
    /// The output for these inputs; `row` is the job's number from 1.
    pub fn output(&self, face: &Path, speech: &Path, row: usize) -> PathBuf {
        let mut name = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => name += text,
                Part::Field("row") => name += &row.to_string(),
                Part::Field(field) => {
                    let (path, part) = match field.split_once('.') {
                        Some(("face", part)) => (face, part),
                        Some((_, part)) => (speech, part),
                        None => continue,
                    };
                    let value = match part {
                        "stem" => path.file_stem(),
                        "folder" => path.parent().and_then(Path::file_name),
                        _ => path.file_name(),
                    };
                    name += &value.unwrap_or_default().to_string_lossy();
                }
            }
        }
        PathBuf::from(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(pattern: &str) -> Result<String, Error> {
        let pattern: Pattern = pattern.parse()?;
        let path = pattern.output(Path::new("faces/anna.v2.mp4"), Path::new("/s/hello.wav"), 7);
        Ok(path.to_str().unwrap().to_owned())
    }

    #[test]
    fn fields_are_filled_in() {
        let name = output("out/{speech.stem}-{face.stem}.mp4");
        assert_eq!(name.as_deref(), Ok("out/hello-anna.v2.mp4"));
        let name = output("{face.folder}/{face.name}_{speech.name}_{speech.folder}{row}");
        assert_eq!(name.as_deref(), Ok("faces/anna.v2.mp4_hello.wav_s7"));
        assert_eq!(output("{{a}}{row}.mp4").as_deref(), Ok("{a}7.mp4"));
        assert_eq!(output("plain.mp4").as_deref(), Ok("plain.mp4"));
    }

    #[test]
    fn mistakes_are_told() {
        assert_eq!(
            output("{face.age}.mp4"),
            Err(Error::UnknownField("face.age".into()))
        );
        assert_eq!(output("{face.stem"), Err(Error::Open));
        assert_eq!(output("a}b"), Err(Error::Open));
        let text = output("{x}").unwrap_err().to_string();
        assert!(text.starts_with("`{x}` is none of {face.stem}, "), "{text}");
    }
}
