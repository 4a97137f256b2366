//! The options of a job, as `run` and `batch` take them on the command line, and a job list in its
//! columns.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::files::{is_model_file, is_template_file};
use super::marks::MarkOptions;
use super::{EndMode, IfExists, Job, Learn, LoopMode, Offset, Speeches, TEMPLATE};
use crate::error::{Failure, FailureKind};
use crate::secret;

/// All that says how a job is done; the files are apart.
#[derive(Args, Clone, Debug)]
pub struct JobOptions {
    /// The pipeline: a name from `lipflow pipeline list`, or a file of your own
    #[arg(long, value_name = "NAME|FILE", default_value = TEMPLATE)]
    template: String,
    /// The model: a name from `lipflow model list`, or a file; the one built in by default
    #[arg(long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// Sets a parameter of the template; `lipflow pipeline show` lists them. max-pixels, max-frames,
    /// max-duration=48h and max-streams are the most that is read of a file. A `url` can be @FILE or env:NAME,
    /// which keeps its key from `ps`
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parse_setting)]
    settings: Vec<(String, String)>,
    /// Seconds without movement after which a job is given up; a model that loads is given 40 times as long
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    stuck_after: u64,
    // Options without a heading come first: a heading holds for all that follow it.
    #[command(flatten)]
    face: FaceOptions,
    #[command(flatten)]
    length: LengthOptions,
    #[command(flatten)]
    marks: MarkOptions,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Face and mouth")]
struct FaceOptions {
    /// Which face, where there are several: largest, leftmost, centre, or a number from the left,
    /// counted from 0
    #[arg(long, value_name = "WHICH")]
    face_choice: Option<FaceChoice>,
    /// How far the mouth moves: 0 not at all, 1 as the model says
    #[arg(long, value_name = "NUMBER")]
    strength: Option<f64>,
    /// How much of the face's video is read, once, to learn what the person's own mouths look like:
    /// auto is about as much as the job makes
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    learn: Learn,
    /// How much later than the sound the mouth moves: 40ms; or earlier: -0.1s
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    av_offset: Option<Offset>,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Length")]
struct LengthOptions {
    /// What the output ends with
    #[arg(long, value_enum, default_value_t)]
    end_mode: EndMode,
    /// What the face does at its end. By default a picture stays, and a video that is shorter than
    /// the speech runs backwards and forwards
    #[arg(long, value_enum)]
    loop_mode: Option<LoopMode>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum FaceChoice {
    Named(&'static str),
    Index(u32),
}

impl FromStr for FaceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const NAMES: [&str; 3] = ["largest", "leftmost", "centre"];
        if let Some(name) = NAMES.iter().find(|name| **name == text) {
            return Ok(Self::Named(name));
        }
        text.parse()
            .map(Self::Index)
            .map_err(|_| format!("`{text}` is none of {}, and no number", NAMES.join(", ")))
    }
}

impl JobOptions {
    /// What [`set`](Self::set) knows; `set.NAME` besides.
    pub const NAMES: [&str; 13] = [
        "template",
        "model",
        "stuck-after",
        "face-choice",
        "strength",
        "learn",
        "av-offset",
        "end-mode",
        "loop-mode",
        "label",
        "label-seconds",
        "aigc-producer",
        "consent",
    ];

    /// With what the configuration says, where these options do not.
    ///
    /// # Errors
    /// The configuration can't be read, or makes no sense.
    pub fn configured(&self) -> Result<Self, Failure> {
        let mut options = self.clone();
        options.marks.configure()?;
        Ok(options)
    }

    /// Sets the option of that name, as the command line would.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "template" => self.template = value.into(),
            "model" => self.model = Some(value.into()),
            "stuck-after" => {
                self.stuck_after = value
                    .parse()
                    .ok()
                    .filter(|s| (1..=86_400).contains(s))
                    .ok_or_else(|| format!("`{value}` is not 1 to 86400 seconds"))?;
            }
            "face-choice" => self.face.face_choice = Some(value.parse()?),
            "strength" => {
                let number = value.parse();
                self.face.strength =
                    Some(number.map_err(|_| format!("`{value}` is not a number"))?);
            }
            "learn" => self.face.learn = Learn::from_str(value, false)?,
            "av-offset" => self.face.av_offset = Some(value.parse()?),
            "end-mode" => self.length.end_mode = EndMode::from_str(value, false)?,
            "loop-mode" => self.length.loop_mode = Some(LoopMode::from_str(value, false)?),
            "label" | "label-seconds" | "aigc-producer" | "consent" => {
                self.marks.set(name, value)?
            }
            _ => match name.strip_prefix("set.") {
                Some(parameter) if !parameter.is_empty() => {
                    self.settings.push((parameter.into(), value.into()));
                }
                _ => {
                    return Err(format!(
                        "`{name}` is none of face, speech, speech.WHO, sound, output, {}, set.NAME",
                        Self::NAMES.join(", ")
                    ));
                }
            },
        }
        Ok(())
    }

    /// Makes names of files those that `place` gives for them: workers and later starts may run in another
    /// folder, and in a list they are relative to it.
    pub fn place_files(&mut self, place: &dyn Fn(&str) -> String) {
        if is_template_file(&self.template) {
            self.template = place(&self.template);
        }
        if let Some(model) = self.model.as_mut().filter(|model| is_model_file(model)) {
            *model = place(model);
        }
    }

    /// Template and model, as they are named.
    pub fn names(&self) -> Vec<&str> {
        std::iter::once(self.template.as_str())
            .chain(self.model.as_deref())
            .collect()
    }

    /// Makes a job of the options and its files.
    pub fn job(
        &self,
        face: PathBuf,
        said: Speeches,
        output: Option<PathBuf>,
        if_exists: IfExists,
    ) -> Result<Job, Failure> {
        let mut parameters = Vec::new();
        let mut set = |name: &str, value: String| parameters.push((name.to_owned(), value));
        if let Some(model) = &self.model {
            check_model(model)?;
            set("model", model.clone());
        }
        match self.face.face_choice {
            Some(FaceChoice::Named(name)) => set("face-select", name.into()),
            Some(FaceChoice::Index(index)) => {
                set("face-select", "index".into());
                set("face-index", index.to_string());
            }
            None => {}
        }
        if let Some(strength) = self.face.strength {
            set("strength", strength.to_string());
        }
        if let Some(offset) = self.face.av_offset {
            set("audio-offset", offset.nanoseconds.to_string());
        }
        let marks = self.marks.marks(&mut set)?;
        check_settings(&self.settings)?;
        for (name, value) in &self.settings {
            // Where a stream goes may have its key in it.
            let value = match name.as_str() {
                "url" => secret::given(value)?,
                _ => value.clone(),
            };
            parameters.push((name.clone(), value));
        }
        let (speech, several) = match said {
            Speeches::ByOne(speech) => (speech, None),
            Speeches::BySeveral { parts, heard } => {
                self.check_several()?;
                let first = parts.first().map(|part| part.file.clone());
                (first.unwrap_or_default(), Some((parts, heard)))
            }
        };
        let job = Job {
            face,
            speech,
            dialogue: Vec::new(),
            output,
            template: self.template.clone(),
            parameters,
            end_mode: self.length.end_mode,
            loop_mode: self.length.loop_mode,
            learn: self.face.learn,
            if_exists,
            stuck_after: Duration::from_secs(self.stuck_after),
            graph: None,
            dry_run: false,
            marks,
        };
        Ok(match several {
            Some((parts, heard)) => job.spoken_by(parts, heard.as_ref()),
            None => job,
        })
    }

    /// Options that are about one speaker.
    fn check_several(&self) -> Result<(), Failure> {
        if self.face.face_choice.is_some() {
            return Err(Failure::new(FailureKind::Usage)
                .because("--face-choice is for one speaker, and here each speech says whose it is")
                .advice("Leave it away"));
        }
        Ok(())
    }
}

/// Reads a parameter and its value: `NAME=VALUE`.
pub fn parse_setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err(format!("`{text}` is not NAME=VALUE")),
    }
}

/// Parameters that the job itself fills in, and what says them. Set past it, they would not be checked,
/// and a file would be written as it stands.
const FILLED_IN: [(&str, &str); 5] = [
    ("face", "the face that the job is given"),
    ("speech", "the speech that the job is given"),
    ("output", "the output that the job is given"),
    ("end-mode", "--end-mode"),
    ("loop-mode", "--loop-mode"),
];

fn check_settings(settings: &[(String, String)]) -> Result<(), Failure> {
    for (name, _) in settings {
        if let Some((_, instead)) = FILLED_IN.iter().find(|(filled_in, _)| filled_in == name) {
            return Err(Failure::new(FailureKind::Usage)
                .because(format_args!("`{name}` can't be set as a parameter"))
                .advice(format_args!("It is {instead}")));
        }
    }
    Ok(())
}

/// A model that is given as a file must be one; a name is looked up by the element.
fn check_model(model: &str) -> Result<(), Failure> {
    if is_model_file(model) && !Path::new(model).is_file() {
        return Err(Failure::of(FailureKind::ModelMissing, Path::new(model)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: JobOptions,
    }

    fn job_of(options: &JobOptions) -> Job {
        let said = Speeches::ByOne("s".into());
        let job = options.job("f".into(), said, None, IfExists::Refuse);
        job.unwrap()
    }

    #[test]
    fn a_column_means_what_the_option_means() {
        let values = [
            ("template", "lossless"),
            ("model", "wav2lip_96"),
            ("stuck-after", "7"),
            ("face-choice", "2"),
            ("strength", "0.5"),
            ("learn", "full"),
            ("av-offset", "-40ms"),
            ("end-mode", "video"),
            ("loop-mode", "hold"),
            ("label", "zh"),
            ("label-seconds", "2.5"),
            ("aigc-producer", "A Company"),
            ("consent", "contract 7"),
        ];
        let mut line = vec!["lipflow".to_owned()];
        let mut options = Line::parse_from(["lipflow"]).options;
        for (name, value) in values {
            line.push(format!("--{name}={value}"));
            options.set(name, value).unwrap();
        }
        line.push("--set=crf=30".into());
        options.set("set.crf", "30").unwrap();
        assert_eq!(values.map(|(name, _)| name), JobOptions::NAMES);
        let given = job_of(&Line::parse_from(line).options);
        assert_eq!(given, job_of(&options));
        assert_ne!(given, job_of(&Line::parse_from(["lipflow"]).options));
    }

    #[test]
    fn files_can_not_be_named_past_the_job() {
        for name in ["face", "speech", "output", "end-mode", "loop-mode"] {
            let options = Line::parse_from(["lipflow", "--set", &format!("{name}=/x")]).options;
            let mut column = Line::parse_from(["lipflow"]).options;
            column.set(&format!("set.{name}"), "/x").unwrap();
            for options in [options, column] {
                let said = Speeches::ByOne("s".into());
                let job = options.job("f".into(), said, None, IfExists::Refuse);
                let failure = job.unwrap_err();
                assert_eq!(failure.kind, FailureKind::Usage);
                assert!(failure.to_string().contains(name), "{failure}");
            }
        }
    }

    #[test]
    fn columns_that_mean_nothing_are_refused() {
        let mut options = Line::parse_from(["lipflow"]).options;
        for (name, value) in [
            ("speed", "2"),
            ("set.", "2"),
            ("strength", "much"),
            ("stuck-after", "0"),
            ("end-mode", "never"),
            ("learn", "much"),
        ] {
            assert!(options.set(name, value).is_err(), "{name}");
        }
    }
}
