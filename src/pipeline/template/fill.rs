//! A template's holes are filled with values.

use std::collections::BTreeMap;

use super::scan::{self, Word};
use super::{Default, Kind, Param, Template, TemplateError, Values, quote};

/// One word with its holes filled.
pub(super) struct Filled {
    pub text: String,
    pub word: Word,
    /// Whether the value came from a parameter that can hold any text.
    pub is_text: bool,
}

/// Who reads what is rendered.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Reader {
    /// GStreamer's parser.
    Parser,
    /// The command line of gst-launch, which escapes spaces itself; parameters without a value
    /// appear as their names in capitals.
    CommandLine,
}

impl Template {
    pub(super) fn fill(
        &self,
        values: &Values,
        reader: Reader,
    ) -> Result<Vec<Filled>, TemplateError> {
        let normal = self.normalise(values)?;
        let mut filled = Vec::with_capacity(self.words.len());
        'words: for word in &self.words {
            let source = &self.text[word.range.clone()];
            let mut text = String::with_capacity(source.len());
            let mut from = word.range.start;
            let mut is_text = false;
            if let scan::Kind::Property { value } = word.kind {
                // Without the spaces that may stand around `=`: gst-launch can't take them.
                let name =
                    source[..value].trim_end_matches(|c: char| c == '=' || c.is_whitespace());
                text.push_str(name);
                text.push('=');
                from += value;
            }
            // Holes were found well-formed and declared when the template was loaded.
            for hole in scan::holes(source, word.range.start).unwrap_or_default() {
                text.push_str(&self.text[from..hole.range.start]);
                from = hole.range.end;
                let Some(param) = self.param(&hole.name) else {
                    continue;
                };
                match (normal.get(hole.name.as_str()), reader) {
                    (Some(value), _) if !param.kind.is_text() => text.push_str(value),
                    (Some(value), Reader::Parser) => {
                        is_text = true;
                        text.push_str(&quote::for_parser(value));
                    }
                    (Some(value), Reader::CommandLine) => {
                        is_text = true;
                        text.push_str(&quote::for_command_line(value));
                    }
                    (None, _) if param.default == Default::LeftOut => continue 'words,
                    (None, Reader::CommandLine) => text.push_str(&placeholder(param)),
                    (None, Reader::Parser) => {
                        return Err(TemplateError::MissingValue {
                            template: self.name.clone(),
                            name: param.name.clone(),
                            help: param.help.clone(),
                        });
                    }
                }
            }
            text.push_str(&self.text[from..word.range.end]);
            if word.kind == scan::Kind::Link {
                text = quote::arguments(&text).join(" ");
            }
            filled.push(Filled {
                text,
                word: word.clone(),
                is_text,
            });
        }
        Ok(filled)
    }

    /// Each parameter's value or default, checked and in the form that GStreamer reads.
    fn normalise(&self, values: &Values) -> Result<BTreeMap<&str, String>, TemplateError> {
        if let Some(name) = values.0.keys().find(|name| self.param(name).is_none()) {
            return Err(TemplateError::UnknownParameter {
                template: self.name.clone(),
                name: name.clone(),
                known: self.params.iter().map(|p| p.name.clone()).collect(),
            });
        }
        let mut normal = BTreeMap::new();
        for param in &self.params {
            let value = match (values.get(&param.name), &param.default) {
                (Some(value), _) => value,
                (None, Default::Value(default)) => default,
                (None, Default::Required | Default::LeftOut) => continue,
            };
            let value =
                param
                    .kind
                    .normalise(value)
                    .map_err(|expected| TemplateError::BadValue {
                        template: self.name.clone(),
                        name: param.name.clone(),
                        value: value.into(),
                        expected,
                    })?;
            normal.insert(param.name.as_str(), value);
        }
        Ok(normal)
    }
}

/// What stands in a command line for a value that is still to be given.
fn placeholder(param: &Param) -> String {
    let name = param.name.to_uppercase();
    match param.kind {
        Kind::Uri => format!("file:///PATH/TO/{name}"),
        _ => name,
    }
}
