//! What one job is: inputs, template, parameters, policies, output. Raw arguments become a [`Job`]
//! in one place; what can be refused without opening a decoder is refused here.

mod choices;
mod dialogue;
mod files;
mod length;
mod marks;
mod options;

pub use choices::{EndMode, IfExists, Learn, LoopMode, Offset};
pub use dialogue::{Part, Sound, Speeches, Who};
pub use files::{check_input, check_output_name, folder_of, uri_of};
pub(crate) use files::{is_model_file, is_template_file};
pub use length::{Length, Limit, is_cut_short, output_length};
pub use marks::LabelOptions;
pub(crate) use options::FaceChoice;
pub use options::{JobOptions, parse_setting};

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Failure, FailureKind};
use crate::marks::Marks;
use files::{check_output, is_same_file};

/// Parameters of templates that say how many threads work. They change nothing of what is made.
pub const THREADS: [&str; 2] = ["threads", "encoder-threads"];

/// The template that makes a job, and the one for several speakers.
pub const TEMPLATE: &str = "file";
const DIALOGUE_TEMPLATE: &str = "dialogue";

/// A validated job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// A video or a picture.
    pub face: PathBuf,
    /// What is said: a sound file, or a video with sound. Of several speeches the first.
    pub speech: PathBuf,
    /// Where several speak, who says what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dialogue: Vec<Part>,
    /// Absent where the template makes no file.
    pub output: Option<PathBuf>,
    /// Name of a built-in template, or the path of one.
    pub template: String,
    /// Values for the template's parameters, beyond those below.
    pub parameters: Vec<(String, String)>,
    /// When the output ends.
    pub end_mode: EndMode,
    /// `None` lets [`Job::effective_loop_mode`] choose.
    pub loop_mode: Option<LoopMode>,
    /// How much of the face's video is read to learn it.
    #[serde(default)]
    pub learn: Learn,
    /// What happens where the output is there already.
    pub if_exists: IfExists,
    /// How long a pipeline may neither move nor say that it works.
    pub stuck_after: Duration,
    /// Where to write the graph of a pipeline that is stuck.
    pub graph: Option<PathBuf>,
    /// Only find out what would be done.
    pub dry_run: bool,
    /// What says in the output that it is synthetic.
    #[serde(default, skip_serializing_if = "Marks::is_empty")]
    pub marks: Marks,
}

impl Job {
    /// Refuses what can be refused by looking at the file system alone.
    pub fn check_files(&self) -> Result<(), Failure> {
        for input in self.inputs() {
            check_input(input)?;
        }
        let Some(output) = &self.output else {
            return Ok(());
        };
        check_output(output)?;
        for input in self.inputs() {
            if is_same_file(input, output) {
                return Err(Failure::of(FailureKind::OutputIsInput, output));
            }
        }
        if self.if_exists == IfExists::Refuse && fs::symlink_metadata(output).is_ok() {
            return Err(Failure::of(FailureKind::OutputExists, output));
        }
        Ok(())
    }

    /// The value that was set for one of the template's parameters; the last one counts.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut found = self.parameters.iter().rev();
        found
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// Has several speak; `heard` is the one whose sound is heard, if not that of all is.
    pub fn spoken_by(mut self, parts: Vec<Part>, heard: Option<&Who>) -> Self {
        let own = dialogue::parameters(&parts, heard);
        // What is set by hand comes later and counts.
        self.parameters.splice(0..0, own);
        if self.template == TEMPLATE {
            self.template = DIALOGUE_TEMPLATE.into();
        }
        self.dialogue = parts;
        self
    }

    /// Whether there is nothing to do: the output is there and is to be left alone.
    pub fn is_to_be_skipped(&self) -> bool {
        self.if_exists == IfExists::Skip && self.output.as_ref().is_some_and(|o| o.exists())
    }

    /// What the face does at its end, unless that was asked for.
    pub fn effective_loop_mode(&self, face: Length, speech: Length) -> LoopMode {
        match (self.loop_mode, face) {
            (Some(asked), _) => asked,
            (None, Length::Endless) => LoopMode::Hold,
            (None, face) if self.end_mode == EndMode::Speech && !face.covers(speech) => {
                LoopMode::PingPong
            }
            _ => LoopMode::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::files::input_failure;
    use super::*;

    const fn seconds(s: u64) -> Length {
        Length::Known(Duration::from_secs(s))
    }

    fn job(folder: &Path) -> Job {
        let face = folder.join("face.mp4");
        let speech = folder.join("speech.wav");
        fs::write(&face, "face").unwrap();
        fs::write(&speech, "speech").unwrap();
        Job {
            face,
            speech,
            dialogue: Vec::new(),
            output: Some(folder.join("out.mp4")),
            template: "file".into(),
            parameters: Vec::new(),
            end_mode: EndMode::Speech,
            loop_mode: None,
            learn: Learn::Auto,
            if_exists: IfExists::Refuse,
            stuck_after: Duration::from_secs(30),
            graph: None,
            dry_run: false,
            marks: Marks::default(),
        }
    }

    fn kind_of(job: &Job) -> FailureKind {
        job.check_files().unwrap_err().kind
    }

    #[test]
    fn pictures_hold_and_short_videos_swing() {
        let folder = tempfile::tempdir().unwrap();
        let mut job = job(folder.path());
        assert_eq!(
            job.effective_loop_mode(Length::Endless, seconds(5)),
            LoopMode::Hold
        );
        assert_eq!(
            job.effective_loop_mode(seconds(3), seconds(5)),
            LoopMode::PingPong
        );
        assert_eq!(
            job.effective_loop_mode(seconds(5), seconds(5)),
            LoopMode::None
        );
        assert_eq!(
            job.effective_loop_mode(Length::Unknown, seconds(5)),
            LoopMode::PingPong
        );
        job.end_mode = EndMode::Video;
        assert_eq!(
            job.effective_loop_mode(seconds(3), seconds(5)),
            LoopMode::None
        );
        job.loop_mode = Some(LoopMode::Loop);
        assert_eq!(
            job.effective_loop_mode(seconds(3), seconds(5)),
            LoopMode::Loop
        );
    }

    #[test]
    fn the_policy_decides_the_length() {
        use EndMode::{Shortest, Speech, Video};
        let length = |end, looping, face, speech| output_length(end, looping, face, speech);
        let (long, short) = (seconds(9), seconds(4));
        let ping_pong = LoopMode::PingPong;
        let none = LoopMode::None;
        assert_eq!(
            length(Speech, ping_pong, short, long),
            Ok((Limit::Speech, long))
        );
        assert_eq!(length(Speech, none, short, long), Ok((Limit::Face, short)));
        assert_eq!(
            length(Speech, none, long, short),
            Ok((Limit::Speech, short))
        );
        assert_eq!(length(Video, none, long, short), Ok((Limit::Face, long)));
        assert_eq!(
            length(Shortest, none, short, long),
            Ok((Limit::Face, short))
        );
        assert_eq!(
            length(Shortest, LoopMode::Loop, short, long),
            Ok((Limit::Speech, long))
        );
        assert_eq!(
            length(Speech, none, long, Length::Unknown),
            Ok((Limit::Face, Length::Unknown))
        );
        assert_eq!(
            length(Speech, LoopMode::Hold, Length::Endless, Length::Unknown),
            Ok((Limit::Speech, Length::Unknown))
        );
        for endless in [LoopMode::Loop, LoopMode::PingPong, LoopMode::Hold] {
            let failure = length(Video, endless, short, long).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Usage);
        }
    }

    #[test]
    fn only_a_real_shortfall_is_damage() {
        let s = Duration::from_secs_f64;
        assert!(is_cut_short(s(10.0), s(6.0)));
        assert!(
            !is_cut_short(s(10.0), s(9.6)),
            "less than half a second is rounding"
        );
        assert!(!is_cut_short(s(100.0), s(98.5)), "1.5 % is rounding");
        assert!(!is_cut_short(s(5.0), s(9.0)));
    }

    #[test]
    fn the_output_may_be_no_input_however_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut job = job(folder.path());
        job.if_exists = IfExists::Overwrite;
        job.output = Some(folder.path().join("./face.mp4"));
        assert_eq!(kind_of(&job), FailureKind::OutputIsInput);

        let link = folder.path().join("link.mp4");
        symlink(&job.speech, &link).unwrap();
        job.output = Some(link);
        assert_eq!(kind_of(&job), FailureKind::OutputIsInput);

        let hard = folder.path().join("hard.mp4");
        fs::hard_link(&job.face, &hard).unwrap();
        job.output = Some(hard);
        assert_eq!(kind_of(&job), FailureKind::OutputIsInput);
    }

    #[test]
    fn an_existing_output_is_refused_unless_told_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let mut job = job(folder.path());
        assert_eq!(job.check_files(), Ok(()));
        fs::write(job.output.as_ref().unwrap(), "old").unwrap();
        assert_eq!(kind_of(&job), FailureKind::OutputExists);
        job.if_exists = IfExists::Skip;
        assert_eq!(job.check_files(), Ok(()));
        assert!(job.is_to_be_skipped());
        job.if_exists = IfExists::Overwrite;
        assert_eq!(job.check_files(), Ok(()));
        assert!(!job.is_to_be_skipped());
    }

    #[test]
    fn inputs_that_are_no_files_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let mut job = job(folder.path());
        let cases = [
            (folder.path().to_owned(), FailureKind::InputIsFolder),
            (folder.path().join("none"), FailureKind::InputMissing),
            ("/dev/null".into(), FailureKind::InputUnreadable),
        ];
        for (path, kind) in cases {
            job.face = path;
            assert_eq!(kind_of(&job), kind);
        }
        fs::write(folder.path().join("empty.mp4"), "").unwrap();
        job.face = folder.path().join("empty.mp4");
        assert_eq!(kind_of(&job), FailureKind::InputEmpty);
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(
            input_failure(Path::new("x"), &denied).kind,
            FailureKind::InputUnreadable
        );
    }

    #[test]
    fn outputs_that_can_not_be_written_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let mut job = job(folder.path());
        let cases = [
            ("none/out.mp4", FailureKind::OutputFolderMissing),
            ("face.mp4/out.mp4", FailureKind::OutputFolderMissing),
            (".", FailureKind::Usage),
            ("/dev/null", FailureKind::Usage),
        ];
        job.if_exists = IfExists::Overwrite;
        for (path, kind) in cases {
            job.output = Some(folder.path().join(path));
            assert_eq!(kind_of(&job), kind, "{path}");
        }
    }

    #[test]
    fn a_name_is_data_in_a_uri() {
        let uri = uri_of(Path::new("/tmp/a ! b \"c\" 臉#?.mp4")).unwrap();
        assert!(
            uri.starts_with("file:///tmp/a%20!%20b%20%22c%22%20%E8"),
            "{uri}"
        );
        assert!(!uri.contains(['#', '?', ' ']), "{uri}");
    }
}
