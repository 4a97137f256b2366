//! A job's face is learnt before its pipeline is built, unless it is known.

use std::path::{Path, PathBuf};
use std::time::Instant;

use gstlipsync::model::{Kind, Model};

use super::attempt::Attempt;
use super::process;
use crate::error::{Failure, FailureKind};
use crate::event::{Body, Phase};
use crate::faces::{self, Amount, Form, Learnt, Request, Selection, Told};
use crate::job::{Job, Learn};
use crate::pipeline::runner::Watch;
use crate::pipeline::template::Template;
use crate::plan::Prepared;

impl Attempt<'_> {
    /// The face file for `job`, where it is to have one. `content` is the digest of its face.
    pub(super) fn learn_face(
        &mut self,
        job: &Job,
        prepared: &Prepared,
        content: Option<String>,
    ) -> Result<Option<PathBuf>, Failure> {
        let Some(amount) = amount(job, prepared) else {
            return Ok(None);
        };
        let colour = prepared.face.video.and_then(|video| video.colour);
        let deep = colour
            .map_or(8, |c| c.bits)
            .min(prepared.bits(job).unwrap_or(8))
            > 8;
        let request = Request {
            content,
            form: Form {
                depth: deep.then_some(10),
                ..Form::default()
            },
            watch: Watch::of(job),
            ..Request::new(&job.face, &prepared.face, Selection::of(job), amount)
        };
        let cancel = self.cancel.clone();
        let learnt = faces::ensure(&request, &cancel, &mut |told| match told {
            Told::Learning(learning) => {
                self.tracker.progress.learning = Some(learning);
                self.enter(Phase::Learning);
                self.tracker.elapse(Instant::now());
                self.send(self.tracker.progress.clone().into());
            }
            Told::Warning(message) => self.send(Body::Warning {
                message,
                source: Some(faces::SOURCE.into()),
            }),
        });
        self.tracker.progress.learning = None;
        // The mouths were in memory until they were written.
        process::give_memory_back();
        match learnt? {
            Learnt::Face(path) => Ok(Some(path)),
            Learnt::NoFace => Err(Failure::of(FailureKind::NoFace, &job.face)),
            Learnt::Nothing => Ok(None),
        }
    }
}

/// How much of its face `job` wants to be learnt; nothing where it could not use it.
fn amount(job: &Job, prepared: &Prepared) -> Option<Amount> {
    if !takes_a_face_file(job, &prepared.template) || paints(job.parameter("model")) {
        return None;
    }
    match job.learn {
        Learn::Off => None,
        Learn::Full => Some(Amount::Whole),
        Learn::Auto => Some(Amount::for_job(prepared.length.known())),
    }
}

/// One that was given is not made, and of several speakers each is learnt on the way.
fn takes_a_face_file(job: &Job, template: &Template) -> bool {
    job.dialogue.is_empty()
        && template.param("face-file").is_some()
        && job.parameter("face-file").is_none()
}

/// Whether the model paints the mouth itself. What is wrong with a model is said by the element.
pub(crate) fn paints(model: Option<&str>) -> bool {
    let Ok(model) = Model::resolve(model.map(Path::new)) else {
        return true;
    };
    // A bare network says by its shapes what it is: those that are to be had paint.
    model
        .manifest()
        .is_none_or(|manifest| manifest.network.kind() == Kind::Generator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(parameters: serde_json::Value) -> Job {
        serde_json::from_value(serde_json::json!({
            "face": "f.mp4", "speech": "s.wav", "output": "o.mp4", "template": "file",
            "parameters": parameters, "end_mode": "speech", "loop_mode": null,
            "if_exists": "refuse", "stuck_after": {"secs": 30, "nanos": 0}, "graph": null,
            "dry_run": false
        }))
        .unwrap()
    }

    #[test]
    fn only_who_draws_from_a_face_file_wants_one() {
        let template = |text: &str| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("own.launch");
            std::fs::write(&path, text).unwrap();
            Template::load_file(&path).unwrap()
        };
        let file = Template::load("file").unwrap();
        assert!(takes_a_face_file(&job(serde_json::json!([])), &file));
        let given = job(serde_json::json!([["face-file", "x.face"]]));
        assert!(!takes_a_face_file(&given, &file));
        let older = template("fakesrc ! fakesink");
        assert!(!takes_a_face_file(&job(serde_json::json!([])), &older));
    }

    #[test]
    fn a_generator_paints_and_the_built_in_model_draws() {
        assert!(!paints(None));
        assert!(!paints(Some("default")));
        let folder = tempfile::tempdir().unwrap();
        let bare = folder.path().join("bare.onnx");
        std::fs::write(&bare, "network").unwrap();
        assert!(paints(bare.to_str()));
        assert!(paints(Some("/no/such.onnx")));
    }
}
