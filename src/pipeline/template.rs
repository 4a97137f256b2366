//! Templates: gst-launch text with `#` comments and `${parameter}` holes.
//!
//! The header declares what the template is and each parameter:
//!
//! ```text
//! #! title: MP4 file
//! #! about: H.264 and AAC.
//! #! param face: uri -- "The face: a video or a picture"
//! #! param bitrate: int(1..) = 4000 -- "Video bitrate in kbit/s"
//! #! param model: path? -- "The model; the one built in by default"
//! ```
//!
//! A parameter without a default must be given. One whose type ends in `?` may be left out, and its
//! property is left out with it.
//!
//! **A value is data.** Where a hole may stand follows from what its values can hold:
//! - numbers, times, rates, booleans and choices consist of characters that mean nothing to the
//!   parser, so they may stand anywhere: in caps, in quotes, as part of a word;
//! - text, file names and URIs can hold anything, so such a hole must be the whole of
//!   `property=${name}`, without quotes; the value is quoted when it is filled in. The same goes
//!   for a parameter that may be left out.
//!
//! Both are checked when a template is loaded, for every parameter and whatever its value.
//!
//! A template can say something for each of several speakers: see `each.rs`.

pub(crate) mod check;
mod each;
mod error;
mod fill;
mod param;
mod problem;
mod quote;
mod read;
mod scan;
mod values;

use std::path::Path;
use std::sync::LazyLock;

use gst::prelude::*;

pub use error::TemplateError;
pub use param::{Default, Kind, Param, nanoseconds};
pub use quote::for_shell;
use quote::unquote;
pub use values::Values;

use fill::{Filled, Reader};
use scan::Word;

/// The templates in the binary: name and text.
const BUILTIN: [(&str, &str); 15] = [
    ("file", include_str!("../../pipelines/file.launch")),
    ("lossless", include_str!("../../pipelines/lossless.launch")),
    ("compare", include_str!("../../pipelines/compare.launch")),
    ("webm", include_str!("../../pipelines/webm.launch")),
    ("dialogue", include_str!("../../pipelines/dialogue.launch")),
    ("preview", include_str!("../../pipelines/preview.launch")),
    ("stream", include_str!("../../pipelines/stream.launch")),
    ("learn", include_str!("../../pipelines/learn.launch")),
    ("live", include_str!("../../pipelines/live.launch")),
    (
        "live-rtmp",
        include_str!("../../pipelines/live-rtmp.launch"),
    ),
    (
        "live-rtsp",
        include_str!("../../pipelines/live-rtsp.launch"),
    ),
    ("live-srt", include_str!("../../pipelines/live-srt.launch")),
    ("live-hls", include_str!("../../pipelines/live-hls.launch")),
    ("live-mkv", include_str!("../../pipelines/live-mkv.launch")),
    ("live-mp4", include_str!("../../pipelines/live-mp4.launch")),
];

/// A line and a column of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// As the template was named.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// Characters, from 1.
    pub column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A template that was read and whose holes are known to be safe.
#[derive(Debug)]
pub struct Template {
    name: String,
    /// The file as errors name it.
    file: String,
    title: String,
    about: String,
    params: Vec<Param>,
    /// As it was read.
    source: String,
    /// The text with comments blanked, so that lines are those of the file.
    text: String,
    words: Vec<Word>,
    is_for_speakers: bool,
}

/// For how many speakers a template is read, where it says something for each.
const USUAL_SPEAKERS: usize = 2;

impl Template {
    /// The template of that name, or the one in that file.
    pub fn load(name_or_path: &str) -> Result<Self, TemplateError> {
        if name_or_path.contains('/') || name_or_path.ends_with(".launch") {
            return Self::load_file(Path::new(name_or_path));
        }
        match BUILTIN.iter().find(|(name, _)| *name == name_or_path) {
            Some((name, text)) => Self::parse(name, &format!("{name}.launch"), text),
            None => Err(TemplateError::Unknown {
                name: name_or_path.into(),
                known: BUILTIN.iter().map(|(name, _)| (*name).into()).collect(),
            }),
        }
    }

    /// The template in the file at `path`.
    pub fn load_file(path: &Path) -> Result<Self, TemplateError> {
        let text = std::fs::read_to_string(path).map_err(|source| TemplateError::Unreadable {
            path: path.into(),
            source,
        })?;
        let name = path.file_stem().unwrap_or(path.as_os_str());
        Self::parse(&name.to_string_lossy(), &path.display().to_string(), &text)
    }

    /// The templates in the binary.
    pub fn builtin() -> impl Iterator<Item = &'static Template> {
        // A test loads each of them, so none is lost here.
        static TEMPLATES: LazyLock<Vec<Template>> = LazyLock::new(|| {
            BUILTIN
                .iter()
                .filter_map(|(name, _)| Template::load(name).ok())
                .collect()
        });
        TEMPLATES.iter()
    }

    /// Its name: without folder and extension.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first line of its header.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The rest of its header, a paragraph.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// All that the template says, to tell one version of it from another.
    pub fn fingerprint(&self) -> String {
        format!("{:?}\n{}", self.params, self.text)
    }

    /// Its parameters, in the order of their declarations.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// The parameter of that name.
    pub fn param(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|p| p.name == name)
    }

    /// The launch string, with `values` quoted so that each is read back as it is.
    pub fn render(&self, values: &Values) -> Result<String, TemplateError> {
        let words = self.fill(values, Reader::Parser)?;
        let texts: Vec<&str> = words.iter().map(|w| w.text.as_str()).collect();
        Ok(texts.join(" "))
    }

    /// The same as a command for a POSIX shell. Parameters that lack a value appear as their names
    /// in capitals.
    pub fn command(&self, values: &Values) -> Result<String, TemplateError> {
        let words = self.fill(values, Reader::CommandLine)?;
        let arguments: Vec<_> = words
            .iter()
            .flat_map(|w| match w.is_text {
                true => vec![w.text.clone()],
                false => quote::arguments(&w.text),
            })
            .map(|argument| for_shell(&argument).into_owned())
            .collect();
        Ok(format!("gst-launch-1.0 -e {}", arguments.join(" ")))
    }

    /// The parameters that must be given and are not.
    pub fn missing(&self, values: &Values) -> impl Iterator<Item = &Param> {
        self.params
            .iter()
            .filter(|p| p.default == Default::Required && values.get(&p.name).is_none())
    }

    /// The pipeline, its elements made and linked.
    ///
    /// A delayed link (behind a decoder, say) is made while the pipeline starts. One that fails is
    /// only a WARNING of domain `gst-parse-error`, code `DelayedLink`, on the bus.
    pub fn build(&self, values: &Values) -> Result<gst::Pipeline, TemplateError> {
        let words = self.fill(values, Reader::Parser)?;
        let problems = check::problems(self, &words);
        if !problems.is_empty() {
            let (missing, other): (Vec<_>, Vec<_>) =
                problems.into_iter().partition(|p| p.is_missing_element());
            return Err(if missing.is_empty() {
                TemplateError::Problems(other)
            } else {
                TemplateError::MissingElements(missing)
            });
        }
        let texts: Vec<&str> = words.iter().map(|w| w.text.as_str()).collect();
        let mut context = gst::ParseContext::new();
        let parsed = gst::parse::launch_full(
            &texts.join(" "),
            Some(&mut context),
            gst::ParseFlags::FATAL_ERRORS,
        )
        .map_err(|e| {
            let word = check::culprit(&words, e.message());
            TemplateError::Refused {
                place: self.place(word.map_or(0, |w| w.word.range.start)),
                reason: e.message().into(),
            }
        })?;
        match parsed.downcast::<gst::Pipeline>() {
            Ok(pipeline) => Ok(pipeline),
            // A text of one element gives that element.
            Err(element) => {
                let pipeline = gst::Pipeline::new();
                pipeline.add(&element).map_err(|e| TemplateError::Refused {
                    place: self.place(0),
                    reason: e.to_string(),
                })?;
                Ok(pipeline)
            }
        }
    }

    /// The words of the launch string with `values`.
    fn filled(&self, values: &Values) -> Result<Vec<Filled>, TemplateError> {
        self.fill(values, Reader::Parser)
    }

    fn place(&self, offset: usize) -> Place {
        place(&self.file, &self.text, offset)
    }

    /// The template in `source`, which errors call `file`.
    pub fn parse(name: &str, file: &str, source: &str) -> Result<Self, TemplateError> {
        Self::parse_for(name, file, source, USUAL_SPEAKERS)
    }

    /// Whether it says something for each of several speakers.
    pub fn is_for_speakers(&self) -> bool {
        self.is_for_speakers
    }

    /// The template for so many speakers, each with parameters of its own: `speech-0`, `speech-1`.
    pub fn for_speakers(&self, speakers: usize) -> Result<Self, TemplateError> {
        Self::parse_for(&self.name, &self.file, &self.source, speakers)
    }
}

fn place(file: &str, text: &str, offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    Place {
        file: file.into(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

#[cfg(test)]
mod tests;
