//! The private pipeline that decodes the file.
//!
//! Opening, seeking and closing may block for as long as the storage likes, so they run in other
//! threads: the streaming thread only ever waits on the [`Monitor`], which a flush wakes.

use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use gst::glib;
use gst::prelude::*;
use gst_app::{AppSink, AppSinkCallbacks};

use super::category::CAT;
use super::coded::{self, Coded};
use super::decoder::{self, check_file, check_size};
use super::error::{self, Error, Stage};
use super::inspect::Facts;
use super::monitor::{Flushing, Monitor};
use super::settings::Most;
use super::status::{Inner, Status, Times};
use super::upright::{exif_direction, insert_crop, insert_flip, turn_when_tagged};
use crate::decode;
use crate::sync::lock;

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
    most: Most,
}

/// What there is at this moment.
enum Look {
    /// A frame, or the end of the file.
    There(Option<gst::Sample>),
    /// Worth another look after a report, or after so long.
    NotYet(Duration),
}

/// What the frames may be.
#[derive(Clone)]
pub struct Wanted {
    pub caps: gst::Caps,
    pub most: Most,
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

        let most_pixels = wanted.most.pixels;
        decoder::connect(&decode, &convert, &wanted.most, &status)?;
        if let Some(pad) = convert.static_pad("sink") {
            let on_alpha = status.clone();
            decode::range::complete(&pad);
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
            most: wanted.most,
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
            let inner = lock(&self.status.inner);
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
        lock(&self.status.inner).busy
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
        lock(&status.inner).busy = true;
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

    /// What bounds its frames; nothing does of what comes over the network, which may never end.
    pub fn most(&self) -> Option<Most> {
        decode::is_file(&self.uri).then_some(self.most)
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
        lock(&self.status.inner).times.clone()
    }

    /// Tells once that the times behind a gap in a transport stream are not exact.
    pub fn tell_of_gap(&self) {
        let mut inner = lock(&self.status.inner);
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
        let last = lock(&self.status.inner).last;
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
        let inner = lock(&self.status.inner);
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
        std::mem::take(&mut lock(&self.status.inner).remarks)
    }

    /// What the application needs to offer the user an installation.
    pub fn missing_plugins(&self) -> Vec<gst::Structure> {
        lock(&self.status.inner).missing.clone()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(bus) = self.pipeline.bus() {
            bus.unset_sync_handler();
        }
        lock(&self.status.inner).closed = true;
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

fn start(pipeline: &gst::Pipeline, status: &Status) {
    let is_closed = || lock(&status.inner).closed;
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
