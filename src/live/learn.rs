//! A face is learnt before it goes on air, for a few seconds at most: from then on pictures come by the
//! clock, and the machine has other things to do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::face::{COLORIMETRY, Picture};
use crate::error::Failure;
use crate::event::Event;
use crate::faces::{self, Amount, Form, Learnt, Request, Selection};
use crate::job::Learn;
use crate::pipeline::probe::Probe;
use crate::pipeline::template::Values;
use crate::worker::paints;

/// How long the air may wait for it.
const LIMIT: Duration = Duration::from_secs(4);
/// So much of the face's video is looked at within that.
const AMOUNT: Duration = Duration::from_secs(10);

/// How faces are learnt in a broadcast.
#[derive(Clone, Debug)]
pub struct Learner {
    learn: Learn,
    selection: Selection,
    picture: Picture,
}

impl Learner {
    /// None where nothing is learnt: it was not wanted, a face file was given, or the model paints.
    pub fn new(learn: Learn, values: &Values, picture: Picture) -> Option<Self> {
        let is_wanted = learn != Learn::Off && values.get("face-file").is_none();
        (is_wanted && !paints(values.get("model"))).then(|| Self {
            learn,
            selection: Selection::new(
                values.get("face-select").unwrap_or("largest"),
                values.get("face-index").unwrap_or("0"),
            ),
            picture,
        })
    }

    /// Learns the face, or finds what is known of it, and tells how far it is. `is_over` ends it.
    pub fn learn(
        &self,
        face: &Path,
        probe: &Probe,
        is_over: &dyn Fn() -> bool,
        emit: &mut dyn FnMut(&Event),
    ) -> Result<Option<PathBuf>, Failure> {
        let learnt = faces::aloud(self.request(face, probe), is_over, emit)?;
        Ok(match learnt {
            Learnt::Face(path) => Some(path),
            // What has no face is shown as it is.
            Learnt::NoFace | Learnt::Nothing => None,
        })
    }

    fn request(&self, face: &Path, probe: &Probe) -> Request {
        let amount = match self.learn {
            Learn::Full => Amount::Whole,
            Learn::Auto | Learn::Off => Amount::Part(AMOUNT),
        };
        let on_air = (self.picture.width, self.picture.height);
        let own = probe.video.map(|video| (video.width, video.height));
        let colour = probe.video.and_then(|video| video.colour);
        let has_colours = colour.is_some_and(|colour| colour.is(COLORIMETRY));
        Request {
            // As the face is seen on air, or its mouths would not fit.
            form: Form {
                size: (own != Some(on_air)).then_some(on_air),
                colorimetry: (!has_colours).then(|| COLORIMETRY.into()),
                depth: None,
            },
            limit: (amount != Amount::Whole).then_some(LIMIT),
            ..Request::new(face, probe, self.selection.clone(), amount)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Length;
    use crate::pipeline::probe::{Kind, Video};

    fn learner(learn: Learn, values: &Values) -> Option<Learner> {
        let picture = Picture {
            width: 320,
            height: 240,
            fps: (25, 1),
        };
        Learner::new(learn, values, picture)
    }

    #[test]
    fn a_face_is_learnt_as_it_is_seen_on_air_and_not_for_long() {
        let probe = |width, height| Probe {
            kind: Kind::Video,
            format: String::new(),
            duration: Length::Known(Duration::from_secs(3600)),
            video: Some(Video {
                width,
                height,
                fps: Some((25, 1)),
                rotation: 0,
                colour: None,
            }),
            audio: None,
            videos: 1,
            sounds: 0,
            lasting: Vec::new(),
        };
        let auto = learner(Learn::Auto, &Values::new()).unwrap();
        let same = auto.request(Path::new("f.mp4"), &probe(320, 240));
        assert_eq!(same.form.size, None);
        assert_eq!(same.limit, Some(LIMIT));
        let scaled = auto.request(Path::new("f.mp4"), &probe(640, 480));
        assert_eq!(scaled.form.size, Some((320, 240)));
        let full = learner(Learn::Full, &Values::new()).unwrap();
        let whole = full.request(Path::new("f.mp4"), &probe(320, 240));
        assert_eq!((whole.amount, whole.limit), (Amount::Whole, None));
    }

    #[test]
    fn nothing_is_learnt_that_is_not_wanted_or_not_drawn_from() {
        let none = Values::new();
        assert!(learner(Learn::Off, &none).is_none());
        let given = Values::new().set("face-file", "x.face");
        assert!(learner(Learn::Auto, &given).is_none());
        let paints = Values::new().set("model", "/no/such.onnx");
        assert!(learner(Learn::Auto, &paints).is_none());
        let chosen = Values::new()
            .set("face-select", "index")
            .set("face-index", "2");
        let chosen = learner(Learn::Auto, &chosen).unwrap();
        assert_eq!(chosen.selection, Selection::new("index", "2"));
    }
}
