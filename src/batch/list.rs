//! Job lists: CSV with a header, or JSON Lines. One row is a job; every option of `run` is a column.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::text;

/// One row: where it stands, and its columns that are not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Line of the file, from 1.
    pub line: u64,
    /// Line in which its columns have their names.
    pub names_line: u64,
    /// Name of the column and its text, in the order of the list.
    pub fields: Vec<(String, String)>,
    /// Some of it is in another encoding, so that no file can be found by it.
    pub is_garbled: bool,
}

/// What is wrong with a list.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("the list can't be read: {0}")]
    Read(#[from] std::io::Error),
    #[error("line {line}: {reason}")]
    /// A row that is no job.
    Row {
        /// Line of the file, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// It is not a text that can be read.
    #[error(transparent)]
    Text(#[from] text::Error),
    /// There is a header at the most.
    #[error("the list has no jobs")]
    Empty,
    /// Its extension names no kind of list.
    #[error("a job list is .csv, .jsonl or .ndjson")]
    Kind,
}

/// Reads the list at `path`; its extension says of which kind it is.
pub fn read(path: &Path) -> Result<Vec<Row>, Error> {
    let (text, is_mixed) = text::decode(&std::fs::read(path)?)?;
    let extension = path.extension().and_then(|e| e.to_str());
    let mut rows = match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("csv") => csv_rows(&text)?,
        Some("jsonl" | "ndjson") => json_rows(&text)?,
        _ => return Err(Error::Kind),
    };
    let garbled = |text: &str| is_mixed && text.contains(char::REPLACEMENT_CHARACTER);
    for row in &mut rows {
        row.is_garbled = row.fields.iter().any(|(_, value)| garbled(value));
        if row.fields.iter().any(|(name, _)| garbled(name)) {
            return Err(Error::Row {
                line: 1,
                reason: text::NOT_UTF8.to_owned(),
            });
        }
    }
    if rows.is_empty() {
        return Err(Error::Empty);
    }
    Ok(rows)
}

/// A path in a list is relative to the list.
pub fn beside(list: &Path, path: &str) -> PathBuf {
    list.parent().unwrap_or(Path::new("")).join(path)
}

fn csv_rows(text: &str) -> Result<Vec<Row>, Error> {
    let text = &text::without_comments(text);
    let failed = |e: &csv::Error| Error::Row {
        line: e.position().map_or(1, |p| line_of(text, p.byte() as usize)),
        reason: e.to_string(),
    };
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .delimiter(text::delimiter(text))
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| failed(&e))?.clone();
    let start = header.position().map_or(0, csv::Position::byte);
    let names_line = line_of(text, start as usize);
    let names: Vec<String> = header.iter().map(plain_name).collect();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| failed(&e))?;
        let fields: Vec<_> = names
            .iter()
            .zip(&record)
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.clone(), value.to_owned()))
            .collect();
        if !fields.is_empty() {
            let start = record.position().map_or(0, csv::Position::byte);
            rows.push(Row {
                line: line_of(text, start as usize),
                names_line,
                fields,
                is_garbled: false,
            });
        }
    }
    Ok(rows)
}

/// The name of a column as it is documented: `Face`, `Face choice` and `face_choice` can't mean anything else.
/// What stands behind a point is a name of its own.
fn plain_name(name: &str) -> String {
    let (own, rest) = name.split_at(name.find('.').unwrap_or(name.len()));
    let own = own.trim().to_lowercase().replace([' ', '_'], "-");
    own + rest
}

/// The line of the record that begins at or after byte `start`: the reader says where the last one
/// ended, before the end of its line and empty lines.
fn line_of(text: &str, start: usize) -> u64 {
    let rest = text.get(start..).unwrap_or_default();
    let at = start + (rest.len() - rest.trim_start_matches(['\r', '\n', ' ']).len());
    let before = text.get(..at).unwrap_or(text);
    before.matches('\n').count() as u64 + 1
}

fn json_rows(text: &str) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    for (index, text) in text.lines().enumerate() {
        let line = index as u64 + 1;
        let failed = |reason: String| Error::Row { line, reason };
        if text.trim().is_empty() {
            continue;
        }
        let value: Value = serde_json::from_str(text).map_err(|e| failed(e.to_string()))?;
        let Value::Object(object) = value else {
            return Err(failed("it is not an object".into()));
        };
        let mut fields = Vec::new();
        for (name, value) in object {
            // Parameters of the template may stand together: {"set": {"crf": 18}}.
            match (name.as_str(), value) {
                ("set", Value::Object(parameters)) => {
                    for (parameter, value) in parameters {
                        fields.extend(field(format!("set.{parameter}"), value).map_err(failed)?);
                    }
                }
                (_, value) => fields.extend(field(plain_name(&name), value).map_err(failed)?),
            }
        }
        rows.push(Row {
            line,
            names_line: line,
            fields,
            is_garbled: false,
        });
    }
    Ok(rows)
}

fn field(name: String, value: Value) -> Result<Option<(String, String)>, String> {
    Ok(match value {
        Value::Null => None,
        Value::String(text) => Some((name, text)),
        Value::Number(number) => Some((name, number.to_string())),
        Value::Bool(flag) => Some((name, flag.to_string())),
        Value::Array(_) | Value::Object(_) => {
            return Err(format!("`{name}` is neither a text nor a number"));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: u64, fields: &[(&str, &str)]) -> Row {
        let fields = fields
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        Row {
            line,
            names_line: 1,
            fields: fields.collect(),
            is_garbled: false,
        }
    }

    #[test]
    fn csv_as_spreadsheets_write_it() {
        let text =
            "face, speech ,set.crf\r\n\"a, b.mp4\",s.wav,18\r\n# later\r\n\r\nc.mp4,t.wav,\r\n";
        let rows = csv_rows(text).unwrap();
        assert_eq!(
            rows,
            [
                row(
                    2,
                    &[("face", "a, b.mp4"), ("speech", "s.wav"), ("set.crf", "18")]
                ),
                row(5, &[("face", "c.mp4"), ("speech", "t.wav")]),
            ]
        );
        let error = csv_rows("face,speech\na.mp4\n").unwrap_err();
        assert!(matches!(error, Error::Row { line: 2, .. }), "{error}");
    }

    #[test]
    fn columns_are_known_however_their_names_are_spelt() {
        let rows = csv_rows("# mine\nFace ,SPEECH,Face choice,av_offset,Set.My_Own\na,b,c,d,e\n");
        let rows = rows.unwrap();
        let names: Vec<_> = rows[0]
            .fields
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let wanted = ["face", "speech", "face-choice", "av-offset", "set.My_Own"];
        assert_eq!(names, wanted);
        assert_eq!((rows[0].names_line, rows[0].line), (2, 3));
        let rows = json_rows("\n{\"Face\": \"a\", \"speech.picture:A.png\": \"b\"}").unwrap();
        assert_eq!(rows[0].fields[1].0, "speech.picture:A.png");
        assert_eq!(rows[0].names_line, 2);
    }

    #[test]
    fn rows_that_begin_with_a_hash_are_rows() {
        let rows = csv_rows("face;speech\n#1.mp4;s.wav\n# 2.mp4;t.wav\n").unwrap();
        assert_eq!(rows, [row(2, &[("face", "#1.mp4"), ("speech", "s.wav")])]);
    }

    #[test]
    fn lists_are_read_as_they_are_saved() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            read(&path)
        };
        let rows = read("a.jsonl", b"\xef\xbb\xbf{\"face\": \"a.mp4\"}\n").unwrap();
        assert_eq!(rows, [row(1, &[("face", "a.mp4")])]);
        let wide: Vec<u8> = "\u{feff}face;speech\na.mp4;s.wav\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let rows = read("a.csv", &wide).unwrap();
        assert_eq!(rows, [row(2, &[("face", "a.mp4"), ("speech", "s.wav")])]);
        // Of a list in two encodings the lines that can be read are.
        let rows = read(
            "b.csv",
            b"face,speech\n\xc1\xb3.mp4,s.wav\n\xe8\x87\x89.mp4,t.wav\n",
        );
        let rows = rows.unwrap();
        assert_eq!((rows[0].line, rows[0].is_garbled), (2, true));
        assert_eq!(rows[1], row(3, &[("face", "臉.mp4"), ("speech", "t.wav")]));
        let error = read("c.csv", b"f\xc1\xb3,speech\na.mp4,s.wav\n").unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("line 1: it is not UTF-8; save the list"),
            "{text}"
        );
    }

    #[test]
    fn json_lines_with_parameters_of_the_template() {
        let rows = json_rows(
            "{\"face\": \"a.mp4\", \"strength\": 0.8, \"model\": null}\n\n{\"set\": {\"crf\": 18}}\n",
        );
        assert_eq!(
            rows.unwrap(),
            [
                row(1, &[("face", "a.mp4"), ("strength", "0.8")]),
                Row {
                    names_line: 3,
                    ..row(3, &[("set.crf", "18")])
                },
            ]
        );
        for (text, line) in [("{}\n[1]", 2), ("{\"face\": [1]}", 1), ("{", 1)] {
            let error = json_rows(text).unwrap_err();
            assert!(
                matches!(error, Error::Row { line: l, .. } if l == line),
                "{error}"
            );
        }
    }

    #[test]
    fn paths_are_relative_to_the_list() {
        assert_eq!(
            beside(Path::new("lists/a.csv"), "f.mp4"),
            Path::new("lists/f.mp4")
        );
        assert_eq!(beside(Path::new("a.csv"), "/f.mp4"), Path::new("/f.mp4"));
    }
}
