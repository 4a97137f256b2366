//! What is fit to be said or shown is looked into before its turn.

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Instant;

use crate::error::Failure;
use crate::event::Body;
use crate::job::check_input;
use crate::pipeline::probe::{self, Role};

use super::face::{Face, Picture};
use super::learn::Learner;
use super::speech::Speech;

use super::{Notice, Ready};

/// Something to say, of which is known how long it is, if that can be known.
pub struct Prepared {
    pub(super) speech: Speech,
    pub(super) seconds: f64,
    pub(super) arrived: Instant,
}

impl Prepared {
    /// Looks into files: what can't be said is refused before its turn.
    pub(super) fn new(speech: Speech) -> Result<Self, Failure> {
        let arrived = Instant::now();
        let seconds = match &speech {
            Speech::File(path) => {
                check_input(path)?;
                let probe = probe::probe(path, Role::Speech)?;
                probe.duration.known().map_or(0.0, |d| d.as_secs_f64())
            }
            _ => 0.0,
        };
        Ok(Self {
            speech,
            seconds,
            arrived,
        })
    }
}

pub(super) fn open_face(
    path: PathBuf,
    picture: &Picture,
    learner: Option<&Learner>,
    said: &mpsc::Sender<Notice>,
) -> Result<Ready, Failure> {
    check_input(&path)?;
    let probe = probe::probe(&path, Role::Face)?;
    let face = Face::open(&path, &probe, picture)?;
    let learnt = match learner {
        Some(learner) => learner.learn(&path, &probe, &|| false, &mut |event| {
            if let Body::Warning { message, .. } = &event.body {
                let _ = said.send(Notice::Warning(message.clone()));
            }
        })?,
        None => None,
    };
    Ok(Ready::Face(path, face, learnt))
}
