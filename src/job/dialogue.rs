//! Several speakers in one picture: who says what, and what of it is heard.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Job;
use crate::error::{Failure, FailureKind};

/// Before the name of a picture of whoever speaks.
const PICTURE: &str = "picture:";

/// Who says a speech.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// The leftmost face.
    Left,
    /// The rightmost face.
    Right,
    /// So many faces from the left, the leftmost being 0.
    Number(u32),
    /// Whoever looks like the face in this picture.
    Picture(PathBuf),
}

impl Who {
    /// Counted from the left, or from the right below zero.
    fn position(&self) -> Option<i64> {
        match self {
            Self::Left => Some(0),
            Self::Right => Some(-1),
            Self::Number(number) => Some(i64::from(*number)),
            Self::Picture(_) => None,
        }
    }

    /// Whether both are the same face in any picture.
    fn is_surely(&self, other: &Self) -> bool {
        self == other || self.position().is_some() && self.position() == other.position()
    }
}

impl FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "left" => Ok(Self::Left),
            "right" => Ok(Self::Right),
            _ => match (text.strip_prefix(PICTURE), text.parse()) {
                (Some(file), _) if !file.is_empty() => Ok(Self::Picture(file.into())),
                (_, Ok(number @ 0..=63)) => Ok(Self::Number(number)),
                _ => Err(format!(
                    "`{text}` is none of left, right, a number from the left (0 to 63), and picture:FILE"
                )),
            },
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left => f.write_str("left"),
            Self::Right => f.write_str("right"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Picture(file) => write!(f, "{PICTURE}{}", file.display()),
        }
    }
}

/// What one of several speakers says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The face that says it.
    pub who: Who,
    /// A sound file, or a video with sound.
    pub file: PathBuf,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.who, self.file.display())
    }
}

/// What is said in a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// By the face that is chosen.
    ByOne(PathBuf),
    /// By several faces of one picture.
    BySeveral {
        /// What each of them says.
        parts: Vec<Part>,
        /// Only this speaker is heard.
        heard: Option<Who>,
    },
}

/// What is heard where several speak: all of them, or one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sound {
    /// All of them.
    Mix,
    /// This one.
    Of(Who),
}

impl FromStr for Sound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "mix" => Ok(Self::Mix),
            who => who
                .parse()
                .map(Self::Of)
                .map_err(|error| format!("{error}; and not mix")),
        }
    }
}

impl Said {
    /// Reads what `--speech` was given, once or more often: FILE, or WHO=FILE.
    pub fn read(given: &[PathBuf], sound: Option<&Sound>) -> Result<Self, Failure> {
        let mut parts = Vec::new();
        let mut plain = Vec::new();
        for text in given {
            match part(text) {
                Some(part) => parts.push(part),
                None => plain.push(text),
            }
        }
        match (&plain[..], sound) {
            ([], _) => Self::by_several(parts, sound),
            ([one], None) if parts.is_empty() => Ok(Self::ByOne((*one).clone())),
            ([_], Some(_)) if parts.is_empty() => Err(Failure::new(FailureKind::Usage)
                .because("--sound chooses among several speakers, and there is one speech")
                .advice("Leave --sound away, or say who speaks: --speech left=a.wav")),
            (several, _) => Err(Failure::of(FailureKind::Usage, several[0])
                .because("where there are several speeches, each says whose it is")
                .advice("Say who speaks: --speech left=a.wav --speech right=b.wav")),
        }
    }

    /// The file that is said, or said first.
    pub fn first(&self) -> &Path {
        match self {
            Self::ByOne(file) => file,
            Self::BySeveral { parts, .. } => parts
                .first()
                .map_or(Path::new(""), |part| part.file.as_path()),
        }
    }

    /// With the speeches under other names.
    pub fn map_files(mut self, map: &dyn Fn(&Path) -> PathBuf) -> Self {
        match &mut self {
            Self::ByOne(file) => *file = map(file),
            Self::BySeveral { parts, .. } => {
                for part in parts {
                    part.file = map(&part.file);
                }
            }
        }
        self
    }

    /// Refuses speeches of which two are one face's in any picture.
    pub fn by_several(parts: Vec<Part>, sound: Option<&Sound>) -> Result<Self, Failure> {
        for (index, part) in parts.iter().enumerate() {
            if let Some(other) = parts[..index].iter().find(|p| p.who.is_surely(&part.who)) {
                return Err(Failure::of(FailureKind::Usage, &part.file)
                    .because(format_args!(
                        "two speeches are for one face: `{}` and `{}`",
                        other.who, part.who
                    ))
                    .advice(
                        "Give each to another: left, right, a number from the left, picture:FILE",
                    ));
            }
        }
        let heard = match sound {
            Some(Sound::Of(who)) => Some(who.clone()),
            _ => None,
        };
        if let Some(who) = heard
            .as_ref()
            .filter(|who| parts.iter().all(|p| p.who != **who))
        {
            return Err(Failure::new(FailureKind::Usage)
                .because(format_args!("--sound names `{who}`, who says nothing"))
                .advice("Name one as in --speech, or take mix"));
        }
        Ok(Self::BySeveral { parts, heard })
    }
}

/// `WHO=FILE`; anything else is the name of a file.
fn part(text: &Path) -> Option<Part> {
    let (who, file) = text.to_str()?.split_once('=')?;
    let who = who.parse().ok()?;
    let file = file.into();
    Some(Part { who, file })
}

impl Job {
    /// The files of all speeches.
    pub fn speeches(&self) -> impl Iterator<Item = &Path> {
        let one = self.dialogue.is_empty().then_some(self.speech.as_path());
        let parts = self.dialogue.iter().map(|part| part.file.as_path());
        one.into_iter().chain(parts)
    }

    /// All files that are read for the job itself.
    pub fn inputs(&self) -> impl Iterator<Item = &Path> {
        let pictures = self.dialogue.iter().filter_map(|part| match &part.who {
            Who::Picture(file) => Some(file.as_path()),
            _ => None,
        });
        std::iter::once(self.face.as_path())
            .chain(self.speeches())
            .chain(pictures)
    }

    /// What is said, by whom where there are several, in a line.
    pub fn says(&self) -> String {
        match self.dialogue.is_empty() {
            true => self.speech.display().to_string(),
            false => {
                let parts: Vec<_> = self.dialogue.iter().map(Part::to_string).collect();
                parts.join(", ")
            }
        }
    }
}

/// Values for the parameters that a template has for each speaker, beside the speech itself.
pub(super) fn parameters(parts: &[Part], heard: Option<&Who>) -> Vec<(String, String)> {
    let mut parameters = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let mut set = |name: &str, value: String| {
            parameters.push((format!("{name}-{number}"), value));
        };
        match &part.who {
            Who::Picture(file) => set("picture", file.display().to_string()),
            who => set("position", who.position().unwrap_or(0).to_string()),
        }
        if heard.is_some_and(|who| *who != part.who) {
            set("volume", "0".into());
        }
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[&str], sound: Option<&str>) -> Result<Said, Failure> {
        let given: Vec<PathBuf> = given.iter().map(PathBuf::from).collect();
        let sound = sound.map(|sound| sound.parse::<Sound>().unwrap());
        Said::read(&given, sound.as_ref())
    }

    fn parts(given: &[&str]) -> Vec<(Who, PathBuf)> {
        match read(given, None).unwrap() {
            Said::BySeveral { parts, .. } => parts.into_iter().map(|p| (p.who, p.file)).collect(),
            Said::ByOne(file) => panic!("{file:?}"),
        }
    }

    #[test]
    fn a_speech_says_who_speaks_or_is_a_file() {
        for file in [
            "a.wav",
            "./left=a.wav",
            "x=y.wav",
            "64=a.wav",
            "picture:=a.wav",
        ] {
            assert_eq!(read(&[file], None), Ok(Said::ByOne(file.into())), "{file}");
        }
        let several = ["left=a.wav", "1=b=c.wav", "picture:anna.png=d.wav"];
        assert_eq!(
            parts(&several),
            [
                (Who::Left, "a.wav".into()),
                (Who::Number(1), "b=c.wav".into()),
                (Who::Picture("anna.png".into()), "d.wav".into()),
            ]
        );
        assert_eq!(parts(&["right=a.wav"]), [(Who::Right, "a.wav".into())]);
    }

    #[test]
    fn speeches_that_do_not_fit_together_are_refused() {
        for (given, sound, reason) in [
            (&["a.wav", "b.wav"][..], None, "each says whose it is"),
            (&["left=a.wav", "b.wav"], None, "each says whose it is"),
            (&["left=a.wav", "left=b.wav"], None, "for one face"),
            (&["left=a.wav", "0=b.wav"], None, "`left` and `0`"),
            (&["left=a.wav"], Some("right"), "who says nothing"),
            (&["a.wav"], Some("mix"), "there is one speech"),
        ] {
            let failure = read(given, sound).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Usage);
            assert!(failure.reason().contains(reason), "{failure}");
        }
        assert!("loud".parse::<Sound>().is_err());
    }

    #[test]
    fn each_speaker_has_a_place_and_is_heard() {
        let parts = [
            (Who::Left, "a.wav"),
            (Who::Right, "b.wav"),
            (Who::Picture("anna.png".into()), "c.wav"),
        ];
        let parts = parts.map(|(who, file)| Part {
            who,
            file: file.into(),
        });
        let set = |heard| -> Vec<String> {
            let parameters = parameters(&parts, heard);
            parameters.iter().map(|(n, v)| format!("{n}={v}")).collect()
        };
        let places = ["position-0=0", "position-1=-1", "picture-2=anna.png"];
        assert_eq!(set(None), places);
        assert_eq!(
            set(Some(&Who::Right)),
            [
                "position-0=0",
                "volume-0=0",
                "position-1=-1",
                "picture-2=anna.png",
                "volume-2=0"
            ]
        );
    }
}
