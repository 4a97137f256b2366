//! What a job makes is known by the content of all that goes into it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use gstlipsync::model::{Model, Weights};
use serde::Serialize;

use crate::cancel::Cancel;
use crate::digest;
use crate::job::Learn;
use crate::job::{Job, THREADS};
use crate::marks::Aigc;
use crate::pipeline::template::Template;
use crate::stamp::Stamp;
use crate::sync::lock;

/// All that the output depends on; names and places of files are not in it.
#[derive(Serialize)]
struct Ingredients<'a> {
    face: &'a str,
    speech: &'a str,
    template: &'a str,
    model: &'a str,
    parameters: Vec<&'a (String, String)>,
    end_mode: &'a str,
    loop_mode: Option<&'a str>,
    learn: Learn,
    #[serde(skip_serializing_if = "Option::is_none")]
    aigc: Option<&'a Aigc>,
}

/// The digest of what is said in `job`, and who is meant where a picture says so; `digest` is that of a
/// file. Nothing where one is not known.
pub fn digest_of_speeches<E>(
    job: &Job,
    mut digest: impl FnMut(&Path) -> Result<Option<String>, E>,
) -> Result<Option<String>, E> {
    if job.dialogue.is_empty() {
        return digest(&job.speech);
    }
    let mut digests = String::new();
    // The face is told apart.
    for file in job.inputs().skip(1) {
        let Some(sha256) = digest(file)? else {
            return Ok(None);
        };
        digests += &sha256;
        digests.push('+');
    }
    Ok(Some(digests))
}

/// Computes identities; templates and models are read once.
#[derive(Default)]
pub struct Identifier {
    templates: RefCell<HashMap<String, Option<String>>>,
    models: RefCell<HashMap<Option<String>, Option<String>>>,
}

impl Identifier {
    /// The identity of a job whose inputs have these digests; nothing where its template or model
    /// can't be read.
    pub fn identity(&self, job: &Job, face: &str, speech: &str) -> Option<String> {
        let template = cached(&self.templates, job.template.clone(), |name| {
            let template = Template::load(name).ok()?;
            Some(digest::of_bytes(template.fingerprint().as_bytes()))
        })?;
        let model = job.parameter("model").map(str::to_owned);
        let model = cached(&self.models, model, |name| digest_of_model(name.as_deref()))?;
        // The order in which parameters were given means something only for those given twice.
        let mut parameters: Vec<_> = job
            .parameters
            .iter()
            .filter(|(name, value)| {
                name != "model"
                    && !name.starts_with("picture-")
                    && !THREADS.contains(&name.as_str())
                    && job.parameter(name) == Some(value)
            })
            .collect();
        parameters.sort();
        parameters.dedup();
        let ingredients = Ingredients {
            face,
            speech,
            template: &template,
            model: &model,
            parameters,
            end_mode: job.end_mode.name(),
            loop_mode: job.loop_mode.map(|mode| mode.name()),
            learn: job.learn,
            aigc: job.marks.aigc.as_ref(),
        };
        let json = serde_json::to_vec(&ingredients).ok()?;
        Some(digest::of_bytes(&json))
    }
}

fn cached<K: Clone + Eq + std::hash::Hash>(
    cache: &RefCell<HashMap<K, Option<String>>>,
    key: K,
    compute: impl FnOnce(&K) -> Option<String>,
) -> Option<String> {
    if let Some(found) = cache.borrow().get(&key) {
        return found.clone();
    }
    let value = compute(&key);
    cache.borrow_mut().insert(key, value.clone());
    value
}

fn digest_of_model(name: Option<&str>) -> Option<String> {
    let model = Model::resolve(name.map(Path::new)).ok()?;
    let parts: Option<Vec<String>> = model.parts().map(digest_of_part).collect();
    let weights = parts?.join("+");
    // The manifest says how the weights are used; a file of its own may change.
    let manifest = name
        .map(PathBuf::from)
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .and_then(|path| digest::of_file(&path, &Cancel::default()).ok());
    Some(match manifest {
        Some(manifest) => format!("{weights}+{manifest}"),
        None => weights,
    })
}

fn digest_of_part(part: Weights) -> Option<String> {
    match part {
        // Of the program itself, and small.
        Weights::Embedded(bytes) => Some(digest::of_bytes(bytes)),
        Weights::File(path) => digest_of_weights(&path),
    }
}

/// The file's digest, computed once as long as it stays as it is: a worker asks for every job, and
/// weights are large.
fn digest_of_weights(path: &Path) -> Option<String> {
    static KNOWN: LazyLock<Mutex<HashMap<PathBuf, (Stamp, String)>>> =
        LazyLock::new(Mutex::default);
    let stamp = Stamp::of(path).ok()?;
    let mut known = lock(&KNOWN);
    if let Some((of, sha256)) = known.get(path)
        && *of == stamp
    {
        return Some(sha256.clone());
    }
    let sha256 = digest::of_file(path, &Cancel::default()).ok()?;
    known.insert(path.into(), (stamp, sha256.clone()));
    Some(sha256)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::EndMode;

    fn job() -> Job {
        serde_json::from_value(serde_json::json!({
            "face": "f.mp4", "speech": "s.wav", "output": "o.mp4", "template": "file",
            "parameters": [["crf", "20"], ["strength", "1"]], "end_mode": "speech",
            "loop_mode": null, "if_exists": "refuse", "stuck_after": {"secs": 30, "nanos": 0},
            "graph": null, "dry_run": false
        }))
        .unwrap()
    }

    fn identity(job: &Job) -> String {
        Identifier::default().identity(job, "aa", "bb").unwrap()
    }

    #[test]
    fn what_changes_the_output_changes_the_identity() {
        let same = identity(&job());
        let identifier = Identifier::default();
        assert_ne!(identifier.identity(&job(), "ab", "bb"), Some(same.clone()));
        assert_ne!(identifier.identity(&job(), "bb", "aa"), Some(same.clone()));
        let mut other = job();
        other.parameters[0].1 = "21".into();
        assert_ne!(identity(&other), same);
        let mut other = job();
        other.template = "lossless".into();
        assert_ne!(identity(&other), same);
        let mut other = job();
        other.end_mode = EndMode::Video;
        assert_ne!(identity(&other), same);
        let mut other = job();
        other.learn = Learn::Full;
        assert_ne!(identity(&other), same);
    }

    #[test]
    fn of_a_dialogue_each_speech_and_each_picture_counts() {
        let part = |who: &str, file: &str| crate::job::Part {
            who: who.parse().unwrap(),
            file: file.into(),
        };
        let parts = vec![part("left", "a"), part("picture:p", "b")];
        let job = job().spoken_by(parts, None);
        let of = |digest: &dyn Fn(&Path) -> Option<String>| {
            digest_of_speeches(&job, |path| Ok::<_, ()>(digest(path))).unwrap()
        };
        let name = |path: &Path| path.to_str().map(str::to_owned);
        assert_eq!(of(&name).as_deref(), Some("a+b+p+"));
        assert_eq!(of(&|path| name(path).filter(|n| n != "p")), None);
    }

    #[test]
    fn names_and_order_do_not() {
        let same = identity(&job());
        let mut other = job();
        other.face = "elsewhere.mp4".into();
        other.output = Some("renamed.mp4".into());
        other.parameters.reverse();
        other.parameters.insert(0, ("crf".into(), "35".into()));
        assert_eq!(identity(&other), same, "the last value counts");
    }

    #[test]
    fn weights_that_change_are_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        std::fs::write(&path, "one").unwrap();
        let one = digest_of_weights(&path).unwrap();
        assert_eq!(digest_of_weights(&path), Some(one.clone()));
        std::fs::write(&path, "another").unwrap();
        assert_eq!(digest_of_weights(&path), Some(digest::of_bytes(b"another")));
        assert_ne!(digest_of_weights(&path), Some(one));
    }

    #[test]
    fn a_model_that_is_not_there_has_no_identity() {
        let mut other = job();
        other
            .parameters
            .push(("model".into(), "/none/such.onnx".into()));
        assert_eq!(Identifier::default().identity(&other, "aa", "bb"), None);
    }
}
