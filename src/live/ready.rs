//! What is fit to be said or shown is looked into before its turn.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Instant;

use crate::error::Failure;
use crate::event::Body;
use crate::job::check_input;
use crate::pipeline::probe::{Probe, Role};
use crate::worker::look;

use super::face::{Face, Picture};
use super::learn::Learner;
use super::speech::Speech;

use super::{Notice, Ready};

/// Finds out what is in a file.
pub(super) type Look = fn(&Path, Role) -> Result<Probe, Failure>;

/// Something to say, of which is known how long it is, if that can be known.
pub struct Prepared {
    pub(super) speech: Speech,
    pub(super) seconds: f64,
    pub(super) arrived: Instant,
}

impl Prepared {
    /// Looks into files: what can't be said is refused before its turn. On air, `look` does that from
    /// another process.
    pub(super) fn new(speech: Speech, look: Look) -> Result<Self, Failure> {
        let arrived = Instant::now();
        let seconds = match &speech {
            Speech::File(path) => {
                check_input(path)?;
                let probe = look(path, Role::Speech)?;
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
    // A file that kills a decoder is not to take the broadcast with it.
    let probe = look::in_worker(&path, Role::Face)?;
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
