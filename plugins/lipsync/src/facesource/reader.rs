//! The private pipeline that decodes the file.
//!
//! Opening, seeking and closing may block for as long as the storage likes, so they run in other
//! threads: the streaming thread only ever waits on the [`Monitor`], which a flush wakes.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use gst_app::{AppSink, AppSinkCallbacks};

use super::coded::{self, Coded};
use super::error::{self, Error, Stage};
use super::imp::CAT;
use super::inspect::{Facts, inspect};
use super::monitor::{Flushing, Monitor};
use super::upright::{exif_direction, insert_crop, insert_flip, turn_when_tagged};
use crate::decode;

/// Frames decoded ahead.
const READ_AHEAD: u32 = 4;
/// After an error, how long what is already on its way may take to arrive.
const DRAIN_LIMIT: Duration = Duration::from_millis(500);
/// How long to wait for a report before seeing whether anybody is left who could make one.
const IDLE_LIMIT: Duration = Duration::from_millis(250);
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
    coded: Arc<Coded>,
    uri: String,
}

/// What there is at this moment.
enum Look {
    /// A frame, or the end of the file.
    There(Option<gst::Sample>),
    /// Worth another look after a report, or after so long.
    NotYet(Duration),
}

/// What the reader's own threads report.
struct Status {
    name: String,
    monitor: Arc<Monitor>,
    inner: Mutex<Inner>,
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
struct Inner {
    /// Opening or seeking runs in another thread.
    busy: bool,
    failure: Option<Failure>,
    missing: Vec<gst::Structure>,
    /// The type of the file itself, before any demuxing.
    file_type: Option<String>,
    has_video: bool,
    cut: bool,
    times: Times,
    /// A transport stream, in which a gap was not met yet.
    is_without_gap: bool,
    /// When the latest frame that the demuxer has given is shown, and for how long: parsers forget that.
    last: Option<(gst::ClockTime, gst::ClockTime)>,
    /// What the user should know, not told yet.
    remarks: Vec<String>,
    /// The reader is gone, and its pipeline must not be started any more.
    closed: bool,
}

#[derive(Clone)]
struct Failure {
    error: Error,
    since: Instant,
    /// An element noticed that another one had failed, which may yet say why.
    vague: bool,
}

impl Status {
    fn update(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.inner.lock().unwrap());
        self.monitor.notify();
    }

    fn fail(&self, error: Error) {
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

    fn on_message(&self, message: &gst::MessageRef) {
        match message.view() {
            gst::MessageView::Error(e) => {
                gst::debug!(CAT, "reader: {} ({:?})", e.error(), e.debug());
                let recognised = self.inner.lock().unwrap().file_type.is_some();
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
    fn verdict(&self, error: Error) -> Error {
        let inner = self.inner.lock().unwrap();
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

/// What the frames may be.
#[derive(Clone)]
pub struct Wanted {
    pub caps: gst::Caps,
    pub most_pixels: u64,
    pub even_size: bool,
    /// R'G'B' of what is behind transparent pictures.
    pub background: [u8; 3],
}

impl Reader {
    /// Starts to read.
    pub fn open(
        uri: &str,
        wanted: &Wanted,
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
        let convert = gst::ElementFactory::make("videoconvert").build()?;
        let sink = AppSink::builder()
            .caps(&wanted.caps)
            .sync(false)
            .qos(false)
            .max_buffers(READ_AHEAD)
            .enable_last_sample(false)
            .callbacks(callbacks(&monitor))
            .build();
        pipeline.add_many([&decode, &convert, sink.upcast_ref()])?;
        // What is before the sink, or before what turns the picture.
        let last = match wanted.even_size {
            true => insert_crop(&pipeline, &convert)?,
            false => convert.clone(),
        };
        last.link(&sink)?;

        let most_pixels = wanted.most_pixels;
        connect_decoder(&decode, &convert, most_pixels, &status)?;
        if let Some(pad) = convert.static_pad("sink") {
            let on_alpha = status.clone();
            decode::alpha::flatten(&pad, wanted.background, move || {
                let remark = format!(
                    "{} can be seen through: a plain colour is laid behind it, which `background` chooses",
                    on_alpha.name
                );
                on_alpha.update(|inner| inner.remarks.push(remark));
            });
        }
        decode::true_colours(&decode);
        decode::whole_movie(&decode);
        let coded = Arc::new(Coded::default());
        coded::watch(&decode, &coded);
        if decode::is_file(uri) {
            let on_playlist = status.clone();
            decode::only_this_file(&decode, move |kind| {
                on_playlist.fail(Error::Playlist {
                    name: on_playlist.name.clone(),
                    kind: kind.to_owned(),
                });
            });
        }
        turn_when_tagged(&pipeline, &last, &sink)?;
        if let Some(bus) = pipeline.bus() {
            let status = status.clone();
            bus.set_sync_handler(move |_, message| {
                status.on_message(message);
                gst::BusSyncReply::Drop
            });
        }

        let opening = status.clone();
        let file = glib::filename_from_uri(uri).ok().map(|(path, _)| path);
        let (from, to) = (last.downgrade(), sink.downgrade());
        let opened = pipeline.clone();
        in_background(&status, move || {
            let pipeline = &opened;
            let facts = file.map_or(Ok(Facts::default()), |path| check_file(&path));
            let facts = facts.and_then(|facts| match facts.animated_webp {
                true => Err(Error::Animation {
                    name: opening.name.clone(),
                }),
                false => Ok(facts),
            });
            let facts = facts.and_then(|facts| match facts.size {
                Some((width, height)) => {
                    check_size(&opening.name, width, height, most_pixels).map(|()| facts)
                }
                None => Ok(facts),
            });
            match facts {
                Ok(facts) => {
                    opening.update(|inner| {
                        inner.cut = facts.cut;
                        if facts.animated {
                            inner.remarks.push(format!(
                                "{} is an animation: only its first picture is taken. Convert it to a video \
                                 to have all of them, as with `ffmpeg`",
                                opening.name
                            ));
                        }
                        if let Some(durations) = facts.durations {
                            inner.times = Times::Given(durations.into());
                        }
                    });
                    if let Some(direction) = facts.orientation.and_then(exif_direction)
                        && let (Some(from), Some(to)) = (from.upgrade(), to.upgrade())
                        && let Err(e) = insert_flip(pipeline, &from, &to, direction)
                    {
                        gst::warning!(CAT, "{} is not turned upright: {e}", opening.name);
                    }
                    start(pipeline, &opening);
                }
                Err(error) => opening.fail(error),
            }
            opening.update(|inner| inner.busy = false);
        });
        Ok(Self {
            pipeline,
            sink,
            status,
            monitor,
            coded,
            uri: uri.to_owned(),
        })
    }

    /// The next frame, or `None` at the end of the file. After an error all frames that could still
    /// be decoded are given before it is reported.
    pub fn pull(&self) -> Result<Option<gst::Sample>, Stop> {
        let mut was_dead = false;
        loop {
            let seen = self.monitor.reports()?;
            let limit = match self.look()? {
                Look::There(sample) => return Ok(sample),
                Look::NotYet(limit) => limit,
            };
            let reported = self.monitor.wait(seen, limit)?;
            let is_dead = !reported && !self.is_busy() && !self.is_at_work();
            if is_dead && was_dead {
                self.status.fail(Error::Damaged {
                    name: self.name().to_owned(),
                    reason: "reading stopped without a cause".into(),
                    stage: Stage::Demux,
                });
            }
            was_dead = is_dead;
        }
    }

    /// As [`pull`](Self::pull), without waiting.
    pub fn poll(&self) -> Result<Poll<Option<gst::Sample>>, Stop> {
        self.monitor.reports()?;
        Ok(match self.look()? {
            Look::There(sample) => Poll::Ready(sample),
            Look::NotYet(_) => Poll::Pending,
        })
    }

    fn look(&self) -> Result<Look, Stop> {
        let (busy, failure, has_video, cut) = {
            let inner = self.status.inner.lock().unwrap();
            (
                inner.busy,
                inner.failure.clone(),
                inner.has_video,
                inner.cut,
            )
        };
        if busy {
            return Ok(Look::NotYet(IDLE_LIMIT));
        }
        if let Some(sample) = self.sink.try_pull_sample(gst::ClockTime::ZERO) {
            return Ok(Look::There(Some(sample)));
        }
        let drained = if has_video { self.sink.is_eos() } else { true };
        match failure {
            Some(failure) => {
                let limit = DRAIN_LIMIT.saturating_sub(failure.since.elapsed());
                if limit.is_zero() || (drained && !failure.vague) {
                    return Err(Stop::Failed(self.status.verdict(failure.error)));
                }
                Ok(Look::NotYet(limit))
            }
            None if has_video && drained && cut => {
                let name = self.name().to_owned();
                Err(Stop::Failed(Error::Cut { name }))
            }
            None if has_video && drained => Ok(Look::There(None)),
            None => Ok(Look::NotYet(IDLE_LIMIT)),
        }
    }

    /// Whether opening, or a seek, is under way.
    pub fn is_busy(&self) -> bool {
        self.status.inner.lock().unwrap().busy
    }

    /// Whether any thread of the pipeline is still running. decodebin swallows the error of a
    /// demuxer that fails while it is being added: then no error, no pad and no end ever comes.
    fn is_at_work(&self) -> bool {
        self.pipeline.iterate_recurse().into_iter().any(|element| {
            let Ok(element) = element else {
                return true;
            };
            let pads = element.pads();
            pads.iter()
                .any(|p| p.task_state() == gst::TaskState::Started)
        })
    }

    /// Waits until opening, or the seek under way, is done.
    pub fn wait_until_idle(&self) -> Result<(), Flushing> {
        loop {
            let seen = self.monitor.reports()?;
            if !self.is_busy() {
                return Ok(());
            }
            self.monitor.wait(seen, IDLE_LIMIT)?;
        }
    }

    /// Goes to a time in the file; the next frame pulled is the one shown at that time.
    pub fn seek(&self, position: gst::ClockTime) {
        self.seek_with(gst::SeekFlags::ACCURATE, position);
    }

    /// Goes to the last key frame before a time in the file.
    pub fn seek_key_before(&self, position: gst::ClockTime) {
        let flags = gst::SeekFlags::KEY_UNIT | gst::SeekFlags::SNAP_BEFORE;
        self.seek_with(flags, position);
    }

    fn seek_with(&self, flags: gst::SeekFlags, position: gst::ClockTime) {
        self.reposition(move |pipeline, status| {
            if !seek(pipeline, flags, position) {
                status.fail(Error::NotSeekable {
                    name: status.name.clone(),
                });
            }
        });
    }

    /// Goes back to the start, by reading the file anew where it can't be seeked.
    pub fn rewind(&self) {
        // Where the times are wrong, so is where a seek goes.
        let trusted = matches!(self.times(), Times::True);
        self.reposition(move |pipeline, status| {
            if !trusted || !seek(pipeline, gst::SeekFlags::ACCURATE, gst::ClockTime::ZERO) {
                // Above NULL, an appsink that was at its end stays there.
                let _ = pipeline.set_state(gst::State::Null);
                start(pipeline, status);
            }
        });
    }

    fn reposition(&self, go: impl FnOnce(&gst::Pipeline, &Status) + Send + 'static) {
        let (pipeline, status) = (self.pipeline.clone(), self.status.clone());
        status.inner.lock().unwrap().busy = true;
        in_background(&self.status, move || {
            go(&pipeline, &status);
            status.update(|inner| inner.busy = false);
        });
    }

    /// Whether [`seek`](Self::seek) can be expected to work.
    pub fn is_seekable(&self) -> bool {
        let mut query = gst::query::Seeking::new(gst::Format::Time);
        self.pipeline.query(&mut query) && query.result().0
    }

    /// Whether another reader gets the same: not of a pipe.
    pub fn can_be_opened_again(&self) -> bool {
        let scheme = self.uri.split(':').next().unwrap_or_default();
        match glib::filename_from_uri(&self.uri) {
            Ok((path, _)) => std::fs::metadata(path).is_ok_and(|about| about.is_file()),
            Err(_) => !scheme.eq_ignore_ascii_case("fd"),
        }
    }

    /// What the frames' times are worth, known with the first frame.
    pub fn times(&self) -> Times {
        self.status.inner.lock().unwrap().times.clone()
    }

    /// Tells once that the times behind a gap in a transport stream are not exact.
    pub fn tell_of_gap(&self) {
        let mut inner = self.status.inner.lock().unwrap();
        if std::mem::take(&mut inner.is_without_gap) {
            inner.remarks.push(format!(
                "{} is a transport stream in which the picture stands still for more than half a second: when it \
                 goes on is an estimate. Make it exact with `ffmpeg -i IN -c copy OUT.mp4`",
                self.status.name
            ));
        }
    }

    /// How long the frame at that time lasts, if it is the last one that was read so far.
    pub fn told_duration(&self, pts: gst::ClockTime) -> Option<gst::ClockTime> {
        let last = self.status.inner.lock().unwrap().last;
        last.filter(|(at, _)| *at == pts).map(|(_, lasts)| lasts)
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
        let is_image = inner
            .file_type
            .as_deref()
            .is_some_and(|t| t.starts_with("image/"));
        // An animation says how long its frames last.
        is_image && !matches!(&inner.times, Times::Given(durations) if durations.len() > 1)
    }

    /// What decoders are given.
    pub fn coded(&self) -> &Coded {
        &self.coded
    }

    /// What the user should know of the file, each thing once.
    pub fn take_remarks(&self) -> Vec<String> {
        std::mem::take(&mut self.status.inner.lock().unwrap().remarks)
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
        self.status.inner.lock().unwrap().closed = true;
        let (sender, closed) = std::sync::mpsc::channel();
        let pipeline = self.pipeline.clone();
        in_background(&self.status, move || {
            let _ = pipeline.set_state(gst::State::Null);
            // Nobody listens any more where closing took too long.
            let _ = sender.send(());
        });
        if closed.recv_timeout(CLOSE_LIMIT).is_err() {
            gst::warning!(CAT, "{} is slow to close", self.status.name);
        }
    }
}

/// Runs what may block. Not in GStreamer's own thread pool, which is waited for when the process
/// ends.
fn in_background(status: &Status, work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().name("facesource".into());
    if let Err(e) = thread.spawn(work) {
        status.fail(Error::Unreadable {
            name: status.name.clone(),
            reason: e.to_string(),
        });
        status.update(|inner| inner.busy = false);
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
    most_pixels: u64,
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
            let linked = match is_interlaced(pad) {
                true => deinterlaced(pad, &into).inspect(|()| {
                    let remark = format!(
                        "{} is interlaced: one field of each frame is taken, and the lines between are made",
                        on_pad.name
                    );
                    on_pad.update(|inner| inner.remarks.push(remark));
                }),
                false => pad.link(&into).map(drop).map_err(unlinked),
            };
            match linked {
                Ok(()) => on_pad.update(|inner| inner.has_video = true),
                Err(e) => gst::warning!(CAT, "{}: {e}", on_pad.name),
            }
        }
    });
    let on_end = status.clone();
    decode.connect_no_more_pads(move |_| {
        if on_end.inner.lock().unwrap().has_video {
            return;
        }
        on_end.fail(Error::NoPicture {
            name: on_end.name.clone(),
        });
    });
    let on_element = status.clone();
    decode::on_element(decode, "mpegpsdemux", move |_| {
        on_element.update(|inner| inner.times = Times::WithInventedGaps);
    });
    let on_element = status.clone();
    decode::on_element(decode, "tsdemux", move |_| {
        on_element.update(|inner| inner.is_without_gap = true);
    });
    let on_element = status.clone();
    decode::on_element(decode, "avdemux_gif", move |demuxer| {
        let status = on_element.clone();
        demuxer.connect_pad_added(move |_, pad| {
            if let Times::Given(durations) = &status.inner.lock().unwrap().times {
                end_after(pad, durations.len());
            }
        });
    });
    for demuxer in ["qtdemux", "matroskademux"] {
        let status = status.clone();
        decode::on_element(decode, demuxer, move |demuxer| watch_last(demuxer, &status));
    }
    // Anything but the picture stays as it is in the file: exposed, so that it is known to be there,
    // but not decoded.
    let on_type = status.clone();
    decode.connect("autoplug-continue", false, move |args| {
        let caps = args.get(2)?.get::<gst::Caps>().ok()?;
        let structure = caps.structure(0)?;
        let media = structure.name();
        if let (Ok(width), Ok(height)) = (structure.get::<i32>("width"), structure.get("height"))
            && let Err(error) = check_size(
                &on_type.name,
                width.unsigned_abs(),
                i32::unsigned_abs(height),
                most_pixels,
            )
        {
            on_type.fail(error);
            return Some(false.to_value());
        }
        on_type.update(|inner| {
            inner.file_type.get_or_insert_with(|| media.to_string());
        });
        let other = ["audio/", "text/", "subpicture/", "closedcaption/"];
        Some((!other.iter().any(|o| media.starts_with(o)) || media == "audio/x-m4a").to_value())
    });
    Ok(())
}

/// Ends the stream after so many frames: the demuxer never does, and a decoder keeps what it holds.
fn end_after(pad: &gst::Pad, frames: usize) {
    let passed = AtomicUsize::new(0);
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let number = passed.fetch_add(1, Ordering::Relaxed) + 1;
        if number < frames {
            return gst::PadProbeReturn::Ok;
        }
        if number == frames
            && let Some(gst::PadProbeData::Buffer(buffer)) = info.data.take()
            && let Some(peer) = pad.peer()
        {
            // What comes of it does not matter any more.
            let _ = peer.chain(buffer);
        }
        // The demuxer then says itself that it is at its end.
        info.flow_res = Err(gst::FlowError::Eos);
        gst::PadProbeReturn::Handled
    });
}

/// Notes how long the latest frame lasts that a demuxer gives.
fn watch_last(demuxer: &gst::Element, status: &Arc<Status>) {
    let status = status.clone();
    demuxer.connect_pad_added(move |_, pad| {
        if !pad.name().starts_with("video") {
            return;
        }
        let status = status.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let Some(gst::PadProbeData::Buffer(buffer)) = &info.data
                && let (Some(pts), Some(lasts)) = (buffer.pts(), buffer.duration())
            {
                let mut inner = status.inner.lock().unwrap();
                if inner.last.is_none_or(|(at, _)| at <= pts) {
                    inner.last = Some((pts, lasts));
                }
            }
            gst::PadProbeReturn::Ok
        });
    });
}

fn is_interlaced(pad: &gst::Pad) -> bool {
    let caps = pad.current_caps();
    let mode = caps
        .as_ref()
        .and_then(|caps| caps.structure(0)?.get::<&str>("interlace-mode").ok());
    mode.is_some_and(|mode| mode != "progressive")
}

fn unlinked(error: gst::PadLinkError) -> glib::BoolError {
    glib::bool_error!("the picture can't be linked: {error}")
}

/// Links by way of an element that makes whole pictures of fields, one of each frame.
fn deinterlaced(pad: &gst::Pad, into: &gst::Pad) -> Result<(), glib::BoolError> {
    let failed = || glib::bool_error!("the picture can't be deinterlaced");
    let pipeline = into.parent_element().and_then(|e| e.parent());
    let pipeline = pipeline.and_downcast::<gst::Bin>().ok_or_else(failed)?;
    let element = gst::ElementFactory::make("deinterlace")
        .property_from_str("fields", "top")
        .property_from_str("method", "greedyl")
        .build()?;
    pipeline.add(&element)?;
    let (sink, src) = (element.static_pad("sink"), element.static_pad("src"));
    let (sink, src) = sink.zip(src).ok_or_else(failed)?;
    src.link(into).map_err(unlinked)?;
    element.sync_state_with_parent()?;
    pad.link(&sink).map_err(unlinked)?;
    Ok(())
}

/// Before anything is decoded: a small file may ask for more memory than there is.
fn check_size(name: &str, width: u32, height: u32, most: u64) -> Result<(), Error> {
    if u64::from(width) * u64::from(height) <= most {
        return Ok(());
    }
    Err(Error::TooLarge {
        name: name.to_owned(),
        width,
        height,
        most,
    })
}

fn check_file(path: &Path) -> Result<Facts, Error> {
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
    // Looking into a pipe would take away what is read.
    if !metadata.is_file() {
        return Ok(Facts::default());
    }
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    if metadata.len() == 0 {
        return Err(Error::Empty { name });
    }
    inspect(&mut file, metadata.len()).map_err(unreadable)
}

fn start(pipeline: &gst::Pipeline, status: &Status) {
    let is_closed = || status.inner.lock().unwrap().closed;
    if is_closed() {
        return;
    }
    if pipeline.set_state(gst::State::Playing).is_err() {
        status.fail(Error::Damaged {
            name: status.name.clone(),
            reason: "the reader did not start".into(),
            stage: Stage::Demux,
        });
    }
    // Closing may have come in between, and been undone.
    if is_closed() {
        let _ = pipeline.set_state(gst::State::Null);
    }
}

fn seek(pipeline: &gst::Pipeline, flags: gst::SeekFlags, position: gst::ClockTime) -> bool {
    let flags = gst::SeekFlags::FLUSH | flags;
    pipeline.seek_simple(flags, position).is_ok()
}
