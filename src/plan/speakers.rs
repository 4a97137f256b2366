//! What is particular to a job in which several speak.

use super::{Prepared, template_failure};
use crate::error::{Failure, FailureKind};
use crate::event::{InputSummary, SpeakerSummary};
use crate::job::{Job, Part};
use crate::pipeline::runner::Speakers;
use crate::pipeline::template::Template;

/// The template of a job, for as many as speak in it.
pub(super) fn load_template(job: &Job) -> Result<Template, Failure> {
    let template = Template::load(&job.template).map_err(|e| template_failure(&e))?;
    match (template.is_for_speakers(), job.dialogue.len()) {
        (false, 0) => Ok(template),
        (true, speakers @ 1..) => template
            .for_speakers(speakers)
            .map_err(|e| template_failure(&e)),
        (true, 0) => Err(Failure::new(FailureKind::Usage)
            .because(format_args!(
                "template `{}` is for several speakers, and whose the speech is, is not said",
                template.name()
            ))
            .advice("Say who speaks: --speech left=a.wav --speech right=b.wav")),
        (false, _) => Err(Failure::new(FailureKind::Usage)
            .because(format_args!(
                "template `{}` is for one speaker",
                template.name()
            ))
            .advice(
                "Leave --template away, or make one of your own from `dialogue`, with parts between \
                 `#! each speaker` and `#! end`",
            )),
    }
}

/// Who says what, as a plan tells it.
pub(super) fn summaries(job: &Job, speeches: &[InputSummary]) -> Vec<SpeakerSummary> {
    let said = job.dialogue.iter().zip(speeches);
    said.map(|(part, speech)| SpeakerSummary {
        who: part.who.to_string(),
        speech: speech.clone(),
    })
    .collect()
}

/// What was chosen for several speakers, and how to choose otherwise; a sentence each.
pub(super) fn choices(job: &Job) -> Vec<String> {
    if job.dialogue.is_empty() {
        return Vec::new();
    }
    let is_heard = |(number, _): &(usize, &Part)| {
        let volume = job.parameter(&format!("volume-{number}"));
        volume.and_then(|volume| volume.parse().ok()) != Some(0.0)
    };
    let how = "the own mouths of all who speak are learnt on the way, and until then theirs are warped; \
               faces without a speech stay as they are";
    if job.dialogue.len() == 1 {
        return vec![how.into()];
    }
    let heard: Vec<_> = job.dialogue.iter().enumerate().filter(is_heard).collect();
    let names: Vec<_> = heard.iter().map(|(_, part)| part.who.to_string()).collect();
    vec![
        match heard.len() == job.dialogue.len() {
            true => "all who speak are heard; --sound WHO lets one be heard alone".into(),
            false => format!(
                "heard is {}; --sound mix lets all be heard",
                names.join(", ")
            ),
        },
        how.into(),
    ]
}

/// Why a job can't be done that shows at most so many faces at once.
pub fn too_few(job: &Job, most_faces: u64) -> Failure {
    Failure::of(FailureKind::NoSpeaker, &job.face)
        .because(format_args!(
            "{} speak, and the picture shows at most {most_faces} {} at once",
            job.dialogue.len(),
            if most_faces == 1 { "face" } else { "faces" }
        ))
        .advice("Give fewer speeches, or a video that shows all who speak")
}

/// Whether each speech was said by somebody.
pub fn check(job: &Job, speakers: &Speakers) -> Result<(), Failure> {
    let mut said = job.dialogue.iter().zip(&speakers.frames);
    let Some((silent, _)) = said.find(|(_, frames)| **frames == 0) else {
        return Ok(());
    };
    // What is wrong with the video then is said by others.
    if speakers.most_faces == 0 {
        return Ok(());
    }
    if speakers.most_faces < job.dialogue.len() as u64 {
        return Err(too_few(job, speakers.most_faces));
    }
    Err(Failure::of(FailureKind::NoSpeaker, &silent.file)
        .because(format_args!(
            "no face says it: `{}` is none of the up to {} that are in the picture at once",
            silent.who, speakers.most_faces
        ))
        .advice(
            "Name another: left, right, a number from the left, counted from 0, or picture:FILE",
        ))
}

impl Prepared {
    /// The file of the speech that lasts longest.
    pub fn longest_speech<'a>(&self, job: &'a Job) -> &'a std::path::Path {
        let lengths = self.speeches.iter().map(|speech| speech.duration.known());
        let longest = job
            .speeches()
            .zip(lengths)
            .max_by_key(|(_, length)| *length);
        longest.map_or(&job.speech, |(file, _)| file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        let job: Job = serde_json::from_value(serde_json::json!({
            "face": "f.mp4", "speech": "a.wav", "output": "o.mp4", "template": "file",
            "parameters": [], "end_mode": "speech", "loop_mode": null, "if_exists": "refuse",
            "stuck_after": {"secs": 30, "nanos": 0}, "graph": null, "dry_run": false
        }))
        .unwrap();
        let part = |who: &str, file: &str| Part {
            who: who.parse().unwrap(),
            file: file.into(),
        };
        job.spoken_by(vec![part("left", "a.wav"), part("2", "b.wav")], None)
    }

    #[test]
    fn the_template_is_for_as_many_as_speak() {
        let template = load_template(&job()).unwrap();
        assert_eq!(template.name(), "dialogue");
        assert!(template.param("speech-1").is_some() && template.param("speech-2").is_none());
        let mut other = job();
        other.template = "webm".into();
        let failure = load_template(&other).unwrap_err();
        assert!(failure.reason().contains("for one speaker"), "{failure}");
        other.template = "dialogue".into();
        other.dialogue.clear();
        let failure = load_template(&other).unwrap_err();
        assert!(failure.remedy().contains("left=a.wav"), "{failure}");
    }

    #[test]
    fn a_speech_that_nobody_says_is_told_with_the_reason() {
        let said = |frames: &[u64], most_faces| {
            let speakers = Speakers {
                frames: frames.into(),
                most_faces,
            };
            check(&job(), &speakers).map_err(|failure| {
                assert_eq!(failure.kind, FailureKind::NoSpeaker);
                failure.to_string()
            })
        };
        assert_eq!(said(&[3, 5], 3), Ok(()));
        assert_eq!(said(&[0, 0], 0), Ok(()));
        let text = said(&[3, 0], 2).unwrap_err();
        assert!(
            text.starts_with("b.wav: no face says it: `2` is none of the up to 2"),
            "{text}"
        );
        let text = said(&[0, 0], 1).unwrap_err();
        assert!(
            text.starts_with("f.mp4: 2 speak, and the picture shows at most 1 face"),
            "{text}"
        );
    }
}
