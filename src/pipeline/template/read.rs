//! A template is read: its head, its words, and whether its holes are safe.

use super::scan::{self, Fault};
use super::{Default, Template, TemplateError, each, param, place};

impl Template {
    pub(super) fn parse_for(
        name: &str,
        file: &str,
        source: &str,
        speakers: usize,
    ) -> Result<Self, TemplateError> {
        let malformed = |fault: Fault| TemplateError::Malformed {
            place: place(file, source, fault.offset),
            reason: fault.reason,
        };
        let mut template = Self {
            name: name.into(),
            file: file.into(),
            title: String::new(),
            about: String::new(),
            params: Vec::new(),
            source: source.into(),
            text: String::new(),
            words: Vec::new(),
            is_for_speakers: false,
        };
        let each = template.read_header(source, speakers).map_err(malformed)?;
        let text = scan::blank_comments(source);
        let written = each::written_out(source, &text, speakers, &each);
        (template.text, template.is_for_speakers) = written.map_err(malformed)?;
        // From here on, places are those in the text that is written out.
        let text = template.text.clone();
        let malformed = |fault: Fault| TemplateError::Malformed {
            place: place(file, &text, fault.offset),
            reason: fault.reason,
        };
        template.words = scan::words(&template.text).map_err(malformed)?;
        template.check_holes(&each).map_err(malformed)?;
        Ok(template)
    }

    /// Gives the names of the parameters that each speaker has.
    fn read_header(&mut self, source: &str, speakers: usize) -> Result<Vec<String>, Fault> {
        let mut each = Vec::new();
        let mut offset = 0;
        for line in source.split_inclusive('\n') {
            let fault = |reason: String| Fault::new(offset, reason);
            if let Some(declared) = line.strip_prefix("#!") {
                let declared = declared.trim();
                let (key, text) = declared.split_once([':', ' ']).unwrap_or((declared, ""));
                let text = text.trim();
                match key {
                    "title" => self.title = text.into(),
                    "about" if self.about.is_empty() => self.about = text.into(),
                    "about" => self.about = format!("{} {text}", self.about),
                    "param" => {
                        let (param, is_each) = param::declaration(text).map_err(fault)?;
                        let params = match is_each {
                            true => (0..speakers).map(|n| param.of_speaker(n)).collect(),
                            false => vec![param.clone()],
                        };
                        each.extend(is_each.then_some(param.name));
                        for param in params {
                            if self.param(&param.name).is_some() {
                                return Err(fault(format!(
                                    "parameter `{}` is declared twice",
                                    param.name
                                )));
                            }
                            self.params.push(param);
                        }
                    }
                    // See `each`.
                    "each" | "end" => {}
                    _ => {
                        return Err(fault(
                            "after `#!` stands `title:`, `about:`, `param`, `each speaker` or `end`"
                                .into(),
                        ));
                    }
                }
            }
            offset += line.len();
        }
        Ok(each)
    }

    /// The rule of the module's head.
    fn check_holes(&self, each: &[String]) -> Result<(), Fault> {
        let mut used = Vec::new();
        for word in &self.words {
            let text = &self.text[word.range.clone()];
            for hole in scan::holes(text, word.range.start)? {
                let fault = |reason: String| Fault::new(hole.range.start, reason);
                if each.contains(&hole.name) {
                    return Err(fault(format!(
                        "`{}` is each speaker's: it stands between `#! each speaker` and `#! end`",
                        hole.name
                    )));
                }
                let Some(param) = self.param(&hole.name) else {
                    return Err(fault(format!(
                        "`{}` is not declared: add a line `#! param {}: ...`",
                        hole.name, hole.name
                    )));
                };
                let is_whole_value = matches!(word.kind, scan::Kind::Property { value }
                    if word.range.start + value == hole.range.start)
                    && hole.range.end == word.range.end;
                let must_be_whole = param.kind.is_text() || param.default == Default::LeftOut;
                if must_be_whole && !is_whole_value {
                    let why = if param.kind.is_text() {
                        "can hold any text"
                    } else {
                        "may be left out"
                    };
                    return Err(fault(format!(
                        "`{0}` {why}, so it must be the whole of `property=${{{0}}}`, without \
                         quotes",
                        hole.name
                    )));
                }
                used.push(hole.name);
            }
        }
        match self.params.iter().find(|p| !used.contains(&p.name)) {
            // The declaration is a comment, so its place is that of the file's head.
            Some(param) => Err(Fault::new(
                0,
                format!("parameter `{}` is declared but never used", param.name),
            )),
            None => Ok(()),
        }
    }
}
