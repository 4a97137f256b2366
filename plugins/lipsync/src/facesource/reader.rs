//! The private pipeline that decodes the file.
//!
//! Opening, seeking and closing may block for as long as the storage likes, so they run in other
//! threads: the streaming thread only ever waits on the [`Monitor`], which a flush wakes.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use gst_app::{AppSink, AppSinkCallbacks};

use super::error::{self, Error, Stage};
use super::imp::CAT;
use super::monitor::{Flushing, Monitor};

/// Frames decoded ahead.
const READ_AHEAD: u32 = 4;
/// After an error, how long what is already on its way may take to arrive.
const DRAIN_LIMIT: Duration = Duration::from_millis(500);
/// How long the element's stop waits for the reader; a stuck one finishes by itself.
const CLOSE_LIMIT: Duration = Duration::from_millis(100);

/// Why no frame came.
#[derive(Debug)]
pub enum Stop {
    Flushing,
    Failed(Error),
}

impl From<Flushing> for Stop {
    fn from(_: Flushing) -> Self {
        Self::Flushing
    }
}

pub struct Reader {
    pipeline: gst::Pipeline,
    sink: AppSink,
    status: Arc<Status>,
    monitor: Arc<Monitor>,
}

/// What the reader's own threads report.
struct Status {
    name: String,
    monitor: Arc<Monitor>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Opening or seeking runs in another thread.
    busy: bool,
    failure: Option<(Error, Instant)>,
    missing: Vec<gst::Structure>,
    /// The type of the file itself, before any demuxing.
    file_type: Option<String>,
    has_video: bool,
}

impl Status {
    fn update(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.inner.lock().unwrap());
        self.monitor.notify();
    }

    /// The first failure is the cause, later ones its consequences.
    fn fail(&self, error: Error) {
        self.update(|inner| {
            inner.failure.get_or_insert((error, Instant::now()));
        });
    }

    fn on_message(&self, message: &gst::MessageRef) {
        match message.view() {
            gst::MessageView::Error(e) => {
                gst::debug!(CAT, "reader: {} ({:?})", e.error(), e.debug());
                let codec = self.missing_codec();
                self.fail(Error::classify(&self.name, &e.error(), codec));
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

    fn missing_codec(&self) -> Option<String> {
        let inner = self.inner.lock().unwrap();
        inner
            .missing
            .first()
            .map(|s| s.get("name").unwrap_or_else(|_| s.to_string()))
    }
}

impl Reader {
    /// Starts to read. `caps` is what the frames may be.
    pub fn open(
        uri: &str,
        caps: &gst::Caps,
        monitor: Arc<Monitor>,
    ) -> Result<Self, glib::BoolError> {
        let status = Arc::new(Status {
            name: error::display_name(uri),
            monitor: monitor.clone(),
            inner: Mutex::new(Inner {
                busy: true,
                ..Inner::default()
            }),
        });
        let pipeline = gst::Pipeline::new();
        let decode = gst::ElementFactory::make("uridecodebin")
            .property("uri", uri)
            // Frames must come in plain memory, and with the same pixels on every machine.
            .property("force-sw-decoders", true)
            .build()?;
        let convert = gst::ElementFactory::make("videoconvert")
            .property("n-threads", 2u32)
            .build()?;
        let flip = gst::ElementFactory::make("videoflip")
            .property_from_str("video-direction", "auto")
            .property("qos", false)
            .build()?;
        let sink = AppSink::builder()
            .caps(caps)
            .sync(false)
            .qos(false)
            .max_buffers(READ_AHEAD)
            .enable_last_sample(false)
            .callbacks(callbacks(&monitor))
            .build();
        pipeline.add_many([&decode, &convert, &flip, sink.upcast_ref()])?;
        gst::Element::link_many([&convert, &flip, sink.upcast_ref()])?;

        connect_decoder(&decode, &convert, &status)?;
        if let Some(bus) = pipeline.bus() {
            let status = status.clone();
            bus.set_sync_handler(move |_, message| {
                status.on_message(message);
                gst::BusSyncReply::Drop
            });
        }

        let opening = status.clone();
        let file = glib::filename_from_uri(uri).ok().map(|(path, _)| path);
        pipeline.call_async(move |pipeline| {
            if let Some(Err(error)) = file.map(|path| check_file(&path)) {
                opening.fail(error);
            } else {
                start(pipeline, &opening);
            }
            opening.update(|inner| inner.busy = false);
        });
        Ok(Self {
            pipeline,
            sink,
            status,
            monitor,
        })
    }

    /// The next frame, or `None` at the end of the file. After an error all frames that could still
    /// be decoded are given before it is reported.
    pub fn pull(&self) -> Result<Option<gst::Sample>, Stop> {
        loop {
            let seen = self.monitor.reports()?;
            let (busy, failure, has_video) = {
                let inner = self.status.inner.lock().unwrap();
                (inner.busy, inner.failure.clone(), inner.has_video)
            };
            let mut limit = Duration::from_secs(1);
            if !busy {
                if let Some(sample) = self.sink.try_pull_sample(gst::ClockTime::ZERO) {
                    return Ok(Some(sample));
                }
                let drained = !has_video || self.sink.is_eos();
                if let Some((error, since)) = failure {
                    let left = DRAIN_LIMIT.saturating_sub(since.elapsed());
                    if drained || left.is_zero() {
                        return Err(Stop::Failed(error));
                    }
                    limit = left;
                } else if self.sink.is_eos() {
                    return Ok(None);
                }
            }
            self.monitor.wait(seen, limit)?;
        }
    }

    /// Goes to a time in the file; the next frame pulled is the one shown at that time.
    pub fn seek(&self, position: gst::ClockTime) {
        self.reposition(move |pipeline, status| {
            if !seek(pipeline, position) {
                status.fail(Error::NotSeekable {
                    name: status.name.clone(),
                });
            }
        });
    }

    /// Goes back to the start, by reading the file anew where it can't be seeked.
    pub fn rewind(&self) {
        self.reposition(|pipeline, status| {
            if !seek(pipeline, gst::ClockTime::ZERO) {
                let _ = pipeline.set_state(gst::State::Ready);
                start(pipeline, status);
            }
        });
    }

    fn reposition(&self, go: impl FnOnce(&gst::Pipeline, &Status) + Send + 'static) {
        let status = self.status.clone();
        status.inner.lock().unwrap().busy = true;
        self.pipeline.call_async(move |pipeline| {
            go(pipeline, &status);
            status.update(|inner| inner.busy = false);
        });
    }

    pub fn is_seekable(&self) -> bool {
        let mut query = gst::query::Seeking::new(gst::Format::Time);
        self.pipeline.query(&mut query) && query.result().0
    }

    /// As the file states it.
    pub fn duration(&self) -> Option<gst::ClockTime> {
        self.pipeline.query_duration()
    }

    pub fn name(&self) -> &str {
        &self.status.name
    }

    /// Whether the file is a picture, not a video.
    pub fn is_picture(&self) -> bool {
        let inner = self.status.inner.lock().unwrap();
        inner
            .file_type
            .as_deref()
            .is_some_and(|t| t.starts_with("image/"))
    }

    /// What the application needs to offer the user an installation.
    pub fn missing_plugins(&self) -> Vec<gst::Structure> {
        self.status.inner.lock().unwrap().missing.clone()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(bus) = self.pipeline.bus() {
            bus.unset_sync_handler();
        }
        let (sender, closed) = std::sync::mpsc::channel();
        self.pipeline.call_async(move |pipeline| {
            let _ = pipeline.set_state(gst::State::Null);
            // Nobody listens any more where closing took too long.
            let _ = sender.send(());
        });
        if closed.recv_timeout(CLOSE_LIMIT).is_err() {
            gst::warning!(CAT, "{} is slow to close", self.status.name);
        }
    }
}

fn callbacks(monitor: &Arc<Monitor>) -> AppSinkCallbacks {
    let (on_sample, on_eos) = (monitor.clone(), monitor.clone());
    AppSinkCallbacks::builder()
        .new_sample(move |_| {
            on_sample.notify();
            Ok(gst::FlowSuccess::Ok)
        })
        .eos(move |_| on_eos.notify())
        .build()
}

fn connect_decoder(
    decode: &gst::Element,
    convert: &gst::Element,
    status: &Arc<Status>,
) -> Result<(), glib::BoolError> {
    let into = convert
        .static_pad("sink")
        .ok_or_else(|| glib::bool_error!("videoconvert has no sink pad"))?;
    let into = into.downgrade();
    let on_pad = status.clone();
    decode.connect_pad_added(move |_, pad| {
        let is_video = pad
            .current_caps()
            .is_some_and(|caps| caps.structure(0).is_some_and(|s| s.has_name("video/x-raw")));
        // Of several pictures in one file the first is the face.
        if let Some(into) = into.upgrade().filter(|p| is_video && !p.is_linked()) {
            match pad.link(&into) {
                Ok(_) => on_pad.update(|inner| inner.has_video = true),
                Err(e) => gst::warning!(CAT, "{}: {e}", on_pad.name),
            }
        }
    });
    let on_end = status.clone();
    decode.connect_no_more_pads(move |_| {
        if on_end.inner.lock().unwrap().has_video {
            return;
        }
        let name = on_end.name.clone();
        on_end.fail(match on_end.missing_codec() {
            Some(codec) => Error::MissingCodec { name, codec },
            None => Error::NoPicture { name },
        });
    });
    // Anything but the picture stays as it is in the file: exposed, so that it is known to be there,
    // but not decoded.
    let on_type = status.clone();
    decode.connect("autoplug-continue", false, move |args| {
        let caps = args.get(2)?.get::<gst::Caps>().ok()?;
        let media = caps.structure(0)?.name();
        on_type.update(|inner| {
            inner.file_type.get_or_insert_with(|| media.to_string());
        });
        let other = ["audio/", "text/", "subpicture/", "closedcaption/"];
        Some((!other.iter().any(|o| media.starts_with(o)) || media == "audio/x-m4a").to_value())
    });
    Ok(())
}

fn check_file(path: &Path) -> Result<(), Error> {
    let name = path.display().to_string();
    let unreadable = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound { name: name.clone() },
        _ => Error::Unreadable {
            name: name.clone(),
            reason: e.to_string(),
        },
    };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(Error::Folder { name });
    }
    if metadata.is_file() {
        std::fs::File::open(path).map_err(unreadable)?;
        if metadata.len() == 0 {
            return Err(Error::Empty { name });
        }
    }
    Ok(())
}

fn start(pipeline: &gst::Pipeline, status: &Status) {
    if pipeline.set_state(gst::State::Playing).is_err() {
        status.fail(Error::Damaged {
            name: status.name.clone(),
            reason: "the reader did not start".into(),
            stage: Stage::Demux,
        });
    }
}

fn seek(pipeline: &gst::Pipeline, position: gst::ClockTime) -> bool {
    let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE;
    pipeline.seek_simple(flags, position).is_ok()
}
