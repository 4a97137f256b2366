//! What the reader's own threads report of a file.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::category::CAT;
use super::error::Error;
use super::monitor::Monitor;
use crate::sync::lock;

/// What the reader's own threads report.
pub struct Status {
    pub name: String,
    pub monitor: Arc<Monitor>,
    pub inner: Mutex<Inner>,
}

/// What the times of the decoded frames are worth.
#[derive(Clone, Default)]
pub enum Times {
    /// They are those of the file.
    #[default]
    True,
    /// The demuxer puts gaps where the file has none, and others after a seek.
    WithInventedGaps,
    /// They are none. The file itself says how long each of its frames lasts; after the last one the
    /// demuxer goes on.
    Given(Arc<[gst::ClockTime]>),
}

#[derive(Default)]
pub struct Inner {
    /// Opening or seeking runs in another thread.
    pub busy: bool,
    pub failure: Option<Failure>,
    pub missing: Vec<gst::Structure>,
    /// The type of the file itself, before any demuxing.
    pub file_type: Option<String>,
    pub has_video: bool,
    pub cut: bool,
    pub times: Times,
    /// A transport stream, in which a gap was not met yet.
    pub is_without_gap: bool,
    /// When the latest frame that the demuxer has given is shown, and for how long: parsers forget that.
    pub last: Option<(gst::ClockTime, gst::ClockTime)>,
    /// What the user should know, not told yet.
    pub remarks: Vec<String>,
    /// The reader is gone, and its pipeline must not be started any more.
    pub closed: bool,
}

#[derive(Clone)]
pub struct Failure {
    pub error: Error,
    pub since: Instant,
    /// An element noticed that another one had failed, which may yet say why.
    pub vague: bool,
}

impl Status {
    pub fn update(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut lock(&self.inner));
        self.monitor.notify();
    }

    pub fn fail(&self, error: Error) {
        self.fail_with(error, false);
    }

    /// The first failure is the cause, later ones its consequences, unless the first was vague.
    fn fail_with(&self, error: Error, vague: bool) {
        self.update(|inner| {
            if inner.failure.as_ref().is_none_or(|f| f.vague && !vague) {
                inner.failure = Some(Failure {
                    error,
                    since: Instant::now(),
                    vague,
                });
            }
        });
    }

    pub fn on_message(&self, message: &gst::MessageRef) {
        match message.view() {
            gst::MessageView::Error(e) => {
                gst::debug!(CAT, "reader: {} ({:?})", e.error(), e.debug());
                let recognised = lock(&self.inner).file_type.is_some();
                let error = e.error();
                self.fail_with(
                    Error::classify(&self.name, &error, recognised),
                    error.matches(gst::StreamError::Failed),
                );
            }
            gst::MessageView::Warning(w) => {
                gst::warning!(CAT, "{}: {} ({:?})", self.name, w.error(), w.debug());
            }
            gst::MessageView::Element(e) => {
                if let Some(structure) = e.structure().filter(|s| s.has_name("missing-plugin")) {
                    let structure = structure.to_owned();
                    self.update(|inner| inner.missing.push(structure));
                }
            }
            _ => (),
        }
    }

    /// What to tell, given all that is known of the file.
    pub fn verdict(&self, error: Error) -> Error {
        let inner = lock(&self.inner);
        let name = self.name.clone();
        if let Error::NoPicture { .. } | Error::MissingCodec { .. } | Error::Damaged { .. } = error
            && let Some(missing) = inner.missing.first()
        {
            let wanted = missing.get::<gst::Caps>("detail").ok();
            let wanted = wanted
                .as_ref()
                .and_then(|c| c.structure(0))
                .map(|s| s.name());
            return match (&inner.file_type, wanted) {
                // The file as a whole is of a type that nothing plays.
                (Some(file), Some(wanted)) if file == wanted && !is_media(file) => {
                    Error::NotMedia {
                        name,
                        reason: format!("it is {file}"),
                    }
                }
                _ => Error::MissingCodec {
                    name,
                    codec: missing.get("name").unwrap_or_else(|_| missing.to_string()),
                },
            };
        }
        match error {
            Error::Damaged { .. } | Error::NoPicture { .. } if inner.cut => Error::Cut { name },
            error => error,
        }
    }
}

fn is_media(media_type: &str) -> bool {
    ["video/", "image/", "audio/"]
        .iter()
        .any(|m| media_type.starts_with(m))
}
