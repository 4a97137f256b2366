use std::sync::{Arc, LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::base_src::CreateSuccess;
use gst_base::subclass::prelude::*;

use super::LoopMode;
use super::back::Back;
use super::category::CAT;
use super::error::{Error, display_name};
use super::frames::{Frame, as_rate, claimed_rate};
use super::monitor::Monitor;
use super::playback::{Playback, Step};
use super::reader::{Reader, Stop, Wanted};
use super::schedule::{Rate, Schedule, Slot};
use super::settings::{self, Settings};
use crate::fault::Fault;
use crate::repeat::times_sent;
use crate::sync::lock;
use crate::video::FORMATS;

/// For a picture, and for a held frame of a video that has no rate.
const DEFAULT_RATE: gst::Fraction = gst::Fraction::from_integer(25);

/// What other threads may ask for.
#[derive(Debug, Default)]
struct State {
    frames: u64,
    decoded: u64,
    loops: u64,
    /// Of the output, where it ends by itself.
    duration: Option<gst::ClockTime>,
    /// Where the output is to start: set by a seek, taken by the streaming thread.
    seek: Option<gst::ClockTime>,
}

/// What only the streaming thread touches.
struct Stream {
    settings: Settings,
    playback: Playback,
    start: gst::ClockTime,
    /// Caps of the decoded frames, and the timeline that follows from them.
    output: Option<(gst::Caps, Schedule)>,
    frame: Option<gst::Buffer>,
    /// That frames are repeated was told.
    told: bool,
}

#[derive(Default)]
pub struct FaceSource {
    settings: Mutex<Settings>,
    state: Mutex<State>,
    stream: Mutex<Option<Stream>>,
    monitor: Arc<Monitor>,
}

#[glib::object_subclass]
impl ObjectSubclass for FaceSource {
    const NAME: &'static str = "GstFaceSource";
    type Type = super::FaceSource;
    type ParentType = gst_base::PushSrc;
}

impl ObjectImpl for FaceSource {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(settings::properties);
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let result = lock(&self.settings).set(pspec.name(), value);
        if let Err(e) = result {
            gst::error!(CAT, imp = self, "property {}: {e}", pspec.name());
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match pspec.name() {
            "stats" => {
                let state = lock(&self.state);
                gst::Structure::builder("facesource-stats")
                    .field("frames", state.frames)
                    .field("decoded", state.decoded)
                    .field("loops", state.loops)
                    .build()
                    .to_value()
            }
            name => {
                let value = lock(&self.settings).get(name);
                value.unwrap_or_else(|| pspec.default_value().clone())
            }
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        obj.set_format(gst::Format::Time);
        obj.set_live(false);
    }
}

impl GstObjectImpl for FaceSource {}

impl ElementImpl for FaceSource {
    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        // gst-launch-1.0 misses an error that comes before it listens, and would wait for ever.
        let is_unset = lock(&self.settings).uri.is_none();
        if transition == gst::StateChange::ReadyToPaused && is_unset {
            let _ = self.fail(&Error::NoUri, Vec::new());
            return Err(gst::StateChangeError);
        }
        self.parent_change_state(transition)
    }

    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Face source",
                "Source/Video",
                "Gives a picture or a video as one unbroken stream, as long as is needed",
                "The lipflow authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            gst::PadTemplate::new(
                "src",
                gst::PadDirection::Src,
                gst::PadPresence::Always,
                &gst_video::VideoCapsBuilder::new()
                    .format_list(FORMATS)
                    .build(),
            )
            .into_iter()
            .collect()
        });
        &TEMPLATES
    }
}

impl BaseSrcImpl for FaceSource {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.stream) = None;
        *lock(&self.state) = State::default();
        self.monitor.set_flushing(false);
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        let stream = lock(&self.stream).take();
        drop(stream);
        Ok(())
    }

    fn unlock(&self) -> Result<(), gst::ErrorMessage> {
        self.monitor.set_flushing(true);
        Ok(())
    }

    fn unlock_stop(&self) -> Result<(), gst::ErrorMessage> {
        self.monitor.set_flushing(false);
        Ok(())
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn event(&self, event: &gst::Event) -> bool {
        // Refused here, because the base class flushes before it asks.
        if let gst::EventView::Seek(seek) = event.view() {
            let (rate, _, _, start, _, _) = seek.get();
            if rate != 1.0 || start.format() != gst::Format::Time {
                gst::warning!(CAT, imp = self, "can't play at rate {rate}");
                return false;
            }
        }
        BaseSrcImplExt::parent_event(self, event)
    }

    fn do_seek(&self, segment: &mut gst::Segment) -> bool {
        let Some(segment) = segment.downcast_mut::<gst::ClockTime>() else {
            return false;
        };
        let start = segment.start();
        segment.set_time(start);
        lock(&self.state).seek = start;
        true
    }

    fn query(&self, query: &mut gst::QueryRef) -> bool {
        if let gst::QueryViewMut::Duration(q) = query.view_mut()
            && q.format() == gst::Format::Time
        {
            let duration = lock(&self.state).duration;
            if let Some(duration) = duration {
                q.set(duration);
            }
            return duration.is_some();
        }
        BaseSrcImplExt::parent_query(self, query)
    }

    // The caps are those of the file: they are set with its first frame.
    fn negotiate(&self) -> Result<(), gst::LoggableError> {
        Ok(())
    }
}

impl PushSrcImpl for FaceSource {
    fn create(
        &self,
        _buffer: Option<&mut gst::BufferRef>,
    ) -> Result<CreateSuccess, gst::FlowError> {
        // Taken out, so that no lock is held while waiting for the reader.
        let stream = lock(&self.stream).take();
        let mut stream = match stream {
            Some(stream) => stream,
            None => self.open().map_err(|e| self.fail(&e, Vec::new()))?,
        };
        let result = self.next_buffer(&mut stream);
        let missing = match &result {
            Err(Stop::Failed(_)) => stream.playback.reader().missing_plugins(),
            _ => Vec::new(),
        };
        *lock(&self.stream) = Some(stream);
        match result {
            Ok(Some(buffer)) => Ok(CreateSuccess::NewBuffer(buffer)),
            Ok(None) => Err(gst::FlowError::Eos),
            Err(Stop::Flushing) => Err(gst::FlowError::Flushing),
            Err(Stop::Failed(e)) => Err(self.fail(&e, missing)),
        }
    }
}

impl FaceSource {
    fn open(&self) -> Result<Stream, Error> {
        let settings = lock(&self.settings).clone();
        let uri = settings.uri.clone().ok_or(Error::NoUri)?;
        let scheme = uri.split_once(':').map(|(scheme, _)| scheme);
        if scheme.is_none_or(|s| {
            !s.chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        }) {
            return Err(Error::BadUri {
                uri,
                reason: "it has no scheme".into(),
            });
        }
        let (caps, monitor) = (self.wanted_caps(), self.monitor.clone());
        let wanted = Wanted {
            caps,
            most: settings.most(),
            even_size: settings.even_size,
            background: settings.background.rgb(),
        };
        let open = move || {
            Reader::open(&uri, &wanted, monitor.clone()).map_err(|e| Error::MissingCodec {
                name: display_name(&uri),
                codec: e.to_string(),
            })
        };
        let reader = open()?;
        let back = Back::new(Box::new(open), settings.cache_memory, settings.cache_file);
        Ok(Stream {
            playback: Playback::new(reader, settings.loop_mode, back, settings.prefetch),
            settings,
            start: gst::ClockTime::ZERO,
            output: None,
            frame: None,
            told: false,
        })
    }

    /// The pixel formats that downstream takes; the rest of the caps is up to the file.
    fn wanted_caps(&self) -> gst::Caps {
        let template = self.obj().src_pad().pad_template_caps();
        let peer = self.obj().src_pad().peer_query_caps(Some(&template));
        let formats = peer.iter_with_features().filter_map(|(s, features)| {
            if !features.contains(gst::CAPS_FEATURE_MEMORY_SYSTEM_MEMORY) {
                return None;
            }
            let mut only_format = gst::Structure::new_empty("video/x-raw");
            only_format.set_value("format", s.value("format").ok()?.clone());
            Some(only_format)
        });
        let caps = gst::Caps::from_iter(formats);
        if caps.is_empty() { template } else { caps }
    }

    fn next_buffer(&self, stream: &mut Stream) -> Result<Option<gst::Buffer>, Stop> {
        if let Some(start) = lock(&self.state).seek.take()
            && (stream.output.is_some() || stream.start != start)
        {
            if stream.output.take().is_some() || stream.playback.is_jumping() {
                stream.playback.restart_at(start);
            }
            stream.frame = None;
            stream.start = start;
        }
        loop {
            if let Some((_, schedule)) = &mut stream.output
                && let Some(slot) = schedule.next_slot()
                && let Some(buffer) = send(&mut stream.frame, slot)
            {
                lock(&self.state).frames += 1;
                return Ok(Some(buffer));
            }
            let step = stream.playback.step()?;
            {
                let mut state = lock(&self.state);
                state.loops = stream.playback.turns();
                state.decoded = stream.playback.decoded();
            }
            for remark in stream.playback.reader().take_remarks() {
                gst::element_imp_warning!(self, gst::StreamError::Format, ("{remark}"));
            }
            match step {
                Step::End => return Ok(None),
                Step::Show(frame) => {
                    self.tell_repeats(stream, &frame);
                    let schedule = self.prepare(stream, &frame)?;
                    schedule.show(frame.span.duration);
                    stream.frame = Some(frame.buffer);
                }
                Step::Only(frame) => {
                    let schedule = self.prepare(stream, &frame)?;
                    let duration = schedule.period().unwrap_or(frame.span.duration);
                    schedule.show(duration);
                    stream.frame = Some(frame.buffer);
                    lock(&self.state).duration = Some(duration);
                }
                Step::Hold(frame) => {
                    let own = claimed_rate(&frame.caps).unwrap_or(DEFAULT_RATE);
                    let fallback = as_rate(repeated(own, stream.settings.longest_frame));
                    let schedule = self.prepare(stream, &frame)?;
                    if let Some(rate) = fallback {
                        schedule.hold(rate);
                    }
                    stream.frame = Some(frame.buffer);
                }
            }
        }
    }

    /// Sees that the caps fit the frame.
    fn prepare<'a>(&self, stream: &'a mut Stream, frame: &Frame) -> Result<&'a mut Schedule, Stop> {
        let output = match stream.output.take() {
            Some((caps, schedule)) if caps == frame.caps => (caps, schedule),
            before => {
                let rate = self.set_output_caps(stream, frame).map_err(Stop::Failed)?;
                let schedule = match before {
                    Some((_, schedule)) => schedule,
                    None => {
                        if stream.settings.loop_mode == LoopMode::None {
                            let duration = stream.playback.reader().duration();
                            lock(&self.state).duration = duration;
                        }
                        let landed = stream.playback.landed().unwrap_or_default();
                        Schedule::new(rate, stream.start)
                            .beginning_at(landed)
                            .no_longer_than(stream.settings.longest_frame)
                    }
                };
                (frame.caps.clone(), schedule)
            }
        };
        let (_, schedule) = stream.output.insert(output);
        Ok(schedule)
    }

    /// Agrees with downstream. The result is the rate to convert to, or `None` where the file's own
    /// timestamps are kept.
    fn set_output_caps(&self, stream: &Stream, frame: &Frame) -> Result<Option<Rate>, Error> {
        let still = stream.playback.reader().is_picture();
        let forced = Some(stream.settings.fps).filter(|f| f.numer() > 0);
        let own = claimed_rate(&frame.caps)
            .filter(|_| !stream.playback.has_own_times())
            .unwrap_or(gst::Fraction::new(0, 1));
        let own = repeated(own, stream.settings.longest_frame);
        let wanted = match forced {
            Some(fps) => fps,
            None if still => DEFAULT_RATE,
            None => own,
        };
        let mut caps = frame.caps.clone();
        for s in caps.make_mut().iter_mut() {
            s.set("framerate", wanted);
        }
        let refused = |caps: &gst::Caps| Error::NotNegotiated {
            name: stream.playback.reader().name().to_owned(),
            caps: caps.to_string(),
        };
        let pad = self.obj().src_pad().clone();
        let mut agreed = pad.peer_query_caps(Some(&caps));
        if agreed.is_empty() && forced.is_none() {
            for s in caps.make_mut().iter_mut() {
                s.remove_field("framerate");
            }
            agreed = pad.peer_query_caps(Some(&caps));
        }
        if agreed.is_empty() {
            return Err(refused(&caps));
        }
        agreed.truncate();
        for s in agreed.make_mut().iter_mut() {
            if s.has_field("framerate") {
                s.fixate_field_nearest_fraction("framerate", wanted);
            } else {
                s.set("framerate", wanted);
            }
        }
        agreed.fixate();
        self.obj().set_caps(&agreed).map_err(|_| refused(&agreed))?;
        let result = agreed
            .structure(0)
            .and_then(|s| s.get::<gst::Fraction>("framerate").ok());
        Ok(match result {
            Some(result) if still || forced.is_some() || result != own => as_rate(result),
            _ => None,
        })
    }

    /// Says once that frames are sent several times.
    fn tell_repeats(&self, stream: &mut Stream, frame: &Frame) {
        let longest = stream.settings.longest_frame;
        let is_as_file = stream.settings.fps.numer() == 0;
        if stream.told || !is_as_file || times_sent(frame.span.duration, longest) == 1 {
            return;
        }
        stream.told = true;
        let name = stream.playback.reader().name().to_owned();
        let text = format!(
            "{name} has frames that stay for longer than {} ms: they are repeated, so that the mouth can move",
            longest.mseconds()
        );
        gst::info!(CAT, imp = self, "{text}");
        let info = gst::message::Info::builder(gst::LibraryError::Settings, &text);
        let obj = self.obj();
        // Without a bus nobody wants to know.
        let _ = obj.post_message(info.src(&*obj).build());
    }

    fn fail(&self, error: &Error, missing: Vec<gst::Structure>) -> gst::FlowError {
        let obj = self.obj();
        for structure in missing {
            let message = gst::message::Element::builder(structure).src(&*obj).build();
            // Without a bus nobody wants to know.
            let _ = obj.post_message(message);
        }
        let uri = lock(&self.settings).uri.clone();
        gst::error!(CAT, imp = self, "{error}");
        Fault::new(error.to_glib(), error.kind(), &format!("{error:?}"))
            .uri(uri)
            .post(&*obj);
        match error {
            Error::NotNegotiated { .. } => gst::FlowError::NotNegotiated,
            _ => gst::FlowError::Error,
        }
    }
}

/// The rate at which frames of that rate are sent.
fn repeated(rate: gst::Fraction, longest: gst::ClockTime) -> gst::Fraction {
    let times = as_rate(rate).map_or(1, |rate| times_sent(rate.period(), longest));
    match i32::try_from(times)
        .ok()
        .and_then(|t| rate.numer().checked_mul(t))
    {
        Some(numer) => gst::Fraction::new(numer, rate.denom()),
        None => rate,
    }
}

/// The buffer for a slot. It shares the memory of the decoded frame, and has it alone where the
/// frame is not needed again, so that downstream can work in place.
fn send(frame: &mut Option<gst::Buffer>, slot: Slot) -> Option<gst::Buffer> {
    let mut buffer = if slot.last {
        frame.take()?
    } else {
        frame.as_ref()?.copy()
    };
    let out = buffer.make_mut();
    out.set_pts(slot.pts);
    out.set_dts(gst::ClockTime::NONE);
    out.set_duration(slot.duration);
    out.unset_flags(gst::BufferFlags::DISCONT | gst::BufferFlags::RESYNC);
    Some(buffer)
}
