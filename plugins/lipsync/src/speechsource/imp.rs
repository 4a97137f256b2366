use std::sync::{LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_audio::{AudioCapsBuilder, AudioInfo, AudioLayout};

use super::retime::Retime;
use crate::decode::{self, limits};
use crate::fault::Fault;
use crate::property;
use crate::sync::lock;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "speechsource",
        gst::DebugColorFlags::empty(),
        Some("The sound of a file"),
    )
});

#[derive(Debug, Clone)]
struct Settings {
    uri: Option<String>,
    track: i32,
    max_duration: gst::ClockTime,
    max_streams: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            uri: None,
            track: -1,
            max_duration: limits::MOST_DURATION,
            max_streams: limits::MOST_STREAMS,
        }
    }
}

/// The elements of one run.
struct Chain {
    convert: gst::Element,
    filter: gst::Element,
}

#[derive(Default)]
struct State {
    chain: Option<Chain>,
    /// Decoded tracks, in the file's order.
    tracks: Vec<gst::Pad>,
    /// Whether the demuxer puts gaps where there are none.
    invents_gaps: bool,
}

pub struct SpeechSource {
    settings: Mutex<Settings>,
    state: Mutex<State>,
    src: gst::GhostPad,
}

#[glib::object_subclass]
impl ObjectSubclass for SpeechSource {
    const NAME: &'static str = "GstSpeechSource";
    type Type = super::SpeechSource;
    type ParentType = gst::Bin;

    fn with_class(klass: &Self::Class) -> Self {
        let template = klass.pad_template("src").expect("it is ours");
        Self {
            settings: Mutex::default(),
            state: Mutex::default(),
            src: gst::GhostPad::from_template(&template),
        }
    }
}

impl ObjectImpl for SpeechSource {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            let defaults = Settings::default();
            vec![
                glib::ParamSpecString::builder("uri")
                    .nick("URI")
                    .blurb("The file, such as file:///home/me/speech.wav")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecInt::builder("track")
                    .nick("Track")
                    .blurb("Number of the sound track, from 0 (-1 = the one that the file marks as its default, else the first)")
                    .minimum(-1)
                    .default_value(defaults.track)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt64::builder("max-duration")
                    .nick("Longest duration")
                    .blurb("A file whose sound lasts longer than this, in nanoseconds, is an error when that is reached")
                    .minimum(1)
                    .maximum(gst::ClockTime::MAX.nseconds())
                    .default_value(defaults.max_duration.nseconds())
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt64::builder("max-streams")
                    .nick("Most streams")
                    .blurb("A file with more streams than this is refused before they are decoded")
                    .minimum(1)
                    .default_value(defaults.max_streams)
                    .mutable_ready()
                    .build(),
            ]
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = lock(&self.settings);
        let result = match pspec.name() {
            "uri" => value.get().map(|v| settings.uri = v),
            "track" => value.get().map(|v| settings.track = v),
            "max-duration" => property::time(value).map(|v| settings.max_duration = v),
            "max-streams" => value.get().map(|v| settings.max_streams = v),
            _ => Ok(()),
        };
        if let Err(e) = result {
            gst::error!(CAT, imp = self, "property {}: {e}", pspec.name());
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = lock(&self.settings);
        match pspec.name() {
            "uri" => settings.uri.to_value(),
            "track" => settings.track.to_value(),
            "max-duration" => settings.max_duration.nseconds().to_value(),
            "max-streams" => settings.max_streams.to_value(),
            _ => pspec.default_value().clone(),
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        obj.set_suppressed_flags(gst::ElementFlags::SOURCE | gst::ElementFlags::SINK);
        obj.set_element_flags(gst::ElementFlags::SOURCE);
        let private = gst::PadProbeType::EVENT_DOWNSTREAM | gst::PadProbeType::QUERY_DOWNSTREAM;
        self.src.add_probe(private, |_, info| match &info.data {
            Some(gst::PadProbeData::Event(event)) => match event.type_() {
                gst::EventType::Tag | gst::EventType::Toc => gst::PadProbeReturn::Handled,
                _ => gst::PadProbeReturn::Ok,
            },
            Some(gst::PadProbeData::Query(query)) => match query.type_() {
                gst::QueryType::Allocation => gst::PadProbeReturn::Drop,
                _ => gst::PadProbeReturn::Ok,
            },
            _ => gst::PadProbeReturn::Ok,
        });
        obj.add_pad(&self.src).expect("it is the only one");
    }
}

impl GstObjectImpl for SpeechSource {}

impl ElementImpl for SpeechSource {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Speech source",
                "Source/Audio",
                "Gives the sound of a file, whole, at its time and without its tags",
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
                &AudioCapsBuilder::new()
                    .layout(AudioLayout::Interleaved)
                    .build(),
            )
            .into_iter()
            .collect()
        });
        &TEMPLATES
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        if transition == gst::StateChange::ReadyToPaused {
            self.close();
            self.open().map_err(|e| {
                gst::element_imp_error!(
                    self,
                    gst::CoreError::MissingPlugin,
                    ("{e}. Install gstreamer1.0-plugins-base")
                );
                gst::StateChangeError
            })?;
        }
        let result = self.parent_change_state(transition)?;
        if transition == gst::StateChange::PausedToReady {
            self.close();
        }
        Ok(result)
    }
}

impl BinImpl for SpeechSource {}

impl SpeechSource {
    fn open(&self) -> Result<(), glib::BoolError> {
        let settings = lock(&self.settings).clone();
        let uri = settings.uri.unwrap_or_default();
        let decode = gst::ElementFactory::make("uridecodebin")
            .property("uri", &uri)
            .property("caps", gst::Caps::new_empty_simple("audio/x-raw"))
            .property("expose-all-streams", false)
            .build()?;
        let convert = gst::ElementFactory::make("audioconvert").build()?;
        let resample = gst::ElementFactory::make("audioresample").build()?;
        let filter = gst::ElementFactory::make("capsfilter").build()?;
        let obj = self.obj();
        obj.add_many([&decode, &convert, &resample, &filter])?;
        gst::Element::link_many([&convert, &resample, &filter])?;
        self.src.set_target(filter.static_pad("src").as_ref())?;
        *lock(&self.state) = State {
            chain: Some(Chain { convert, filter }),
            ..State::default()
        };
        let weak = self.downgrade();
        decode::on_element(&decode, "mpegpsdemux", move |_| {
            if let Some(source) = weak.upgrade() {
                lock(&source.state).invents_gaps = true;
            }
        });
        let (weak, most) = (self.downgrade(), settings.max_streams);
        limits::no_more_streams_than(&decode, most, move || {
            if let Some(source) = weak.upgrade() {
                source.refuse(
                    &format!("It has more than {most} streams, which is the most that is read"),
                    "Take out what is needed, for example with `ffmpeg -i FILE -map 0:a:0 one.wav`, or raise max-streams",
                    "too-large",
                );
            }
        });
        if decode::is_file(&uri) {
            let weak = self.downgrade();
            decode::only_this_file(&decode, move |kind| {
                if let Some(source) = weak.upgrade() {
                    source.refuse(
                        &format!("It is a playlist ({kind})"),
                        "Name the sound file itself",
                        "playlist",
                    );
                }
            });
        }
        let weak = self.downgrade();
        decode::whole_sound(&decode, move |bytes| {
            if let Some(source) = weak.upgrade() {
                source.refuse(
                    &format!("Its last {bytes} bytes can't be read: it changes its kind within"),
                    "Convert it, for example with `ffmpeg -i FILE whole.wav`",
                    "unused",
                );
            }
        });
        let weak = self.downgrade();
        decode.connect_pad_added(move |_, pad| {
            if let Some(source) = weak.upgrade() {
                lock(&source.state).tracks.push(pad.clone());
            }
        });
        let weak = self.downgrade();
        decode.connect_no_more_pads(move |_| {
            if let Some(source) = weak.upgrade() {
                source.choose();
            }
        });
        Ok(())
    }

    fn close(&self) {
        *lock(&self.state) = State::default();
        let obj = self.obj();
        let _ = self.src.set_target(None::<&gst::Pad>);
        for element in obj.children() {
            let _ = element.set_state(gst::State::Null);
            let _ = obj.remove(&element);
        }
    }

    /// Links the track that was asked for; data waits until then.
    fn choose(&self) {
        let (wanted, longest) = {
            let settings = lock(&self.settings);
            let is_file = settings.uri.as_deref().is_some_and(decode::is_file);
            (
                settings.track,
                Some(settings.max_duration).filter(|_| is_file),
            )
        };
        let (pad, convert, filter, count, suspicious) = {
            let state = lock(&self.state);
            let Some(chain) = &state.chain else { return };
            let chosen = match usize::try_from(wanted) {
                Ok(number) => state.tracks.get(number),
                // The first of equals.
                Err(_) => state.tracks.iter().min_by_key(|pad| rank(pad)),
            };
            let (convert, filter) = (chain.convert.clone(), chain.filter.clone());
            let count = state.tracks.len();
            (chosen.cloned(), convert, filter, count, state.invents_gaps)
        };
        let Some(pad) = pad else {
            if count > 0 {
                self.refuse(
                    &format!("It has {count} sound tracks, and none of the number {wanted}"),
                    "Count from 0",
                    "no-track",
                );
            }
            return;
        };
        gst::debug!(CAT, imp = self, "of {count} tracks {} is taken", pad.name());
        let Some(sink) = convert.static_pad("sink") else {
            return;
        };
        retime(&sink, suspicious);
        if let Some(longest) = longest {
            let weak = self.downgrade();
            end_after(&sink, longest, move || {
                if let Some(source) = weak.upgrade() {
                    source.refuse(
                        &format!(
                            "It lasts longer than {} s, which is the most that is read",
                            longest.seconds()
                        ),
                        "Cut it, or raise max-duration",
                        "too-large",
                    );
                }
            });
        }
        // What the first sound is, all the rest is made.
        sink.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            if let Some(gst::PadProbeData::Event(event)) = &info.data
                && let gst::EventView::Caps(event) = event.view()
                && let Some(s) = event.caps().structure(0)
            {
                let mut caps = gst::Caps::new_empty_simple("audio/x-raw");
                for s_out in caps.make_mut().iter_mut() {
                    s_out.set("layout", "interleaved");
                    for field in ["rate", "channels", "channel-mask"] {
                        if let Ok(value) = s.value(field) {
                            s_out.set_value(field, value.clone());
                        }
                    }
                }
                filter.set_property("caps", &caps);
                return gst::PadProbeReturn::Remove;
            }
            gst::PadProbeReturn::Ok
        });
        if let Err(e) = pad.link(&sink) {
            gst::error!(CAT, imp = self, "the track can't be linked: {e}");
        }
    }

    fn refuse(&self, reason: &str, remedy: &str, kind: &str) {
        let uri = lock(&self.settings).uri.clone();
        let text = format!("{reason}. {remedy}");
        let error = glib::Error::new(gst::StreamError::WrongType, &text);
        Fault::new(error, kind, "property uri")
            .uri(uri)
            .post(&*self.obj());
    }
}

/// Lets no sound pass that begins later, and tells `excess` of it.
fn end_after(pad: &gst::Pad, longest: gst::ClockTime, excess: impl Fn() + Send + Sync + 'static) {
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let is_late = match &info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => buffer.pts().is_some_and(|at| at > longest),
            _ => false,
        };
        if !is_late {
            return gst::PadProbeReturn::Ok;
        }
        excess();
        info.data = None;
        info.flow_res = Err(gst::FlowError::Error);
        gst::PadProbeReturn::Handled
    });
}

/// Puts the time stamps of the decoded sound right.
fn retime(pad: &gst::Pad, suspicious: bool) {
    let state = Mutex::new((None::<AudioInfo>, Retime::default()));
    let wanted = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_BOTH;
    pad.add_probe(wanted, move |_, info| {
        let mut state = lock(&state);
        let (format, retime) = &mut *state;
        match &mut info.data {
            Some(gst::PadProbeData::Event(event)) => match event.view() {
                gst::EventView::Caps(event) => *format = AudioInfo::from_caps(event.caps()).ok(),
                gst::EventView::Segment(_) | gst::EventView::FlushStop(_) => {
                    *retime = Retime::default();
                }
                _ => {}
            },
            Some(gst::PadProbeData::Buffer(buffer)) => {
                if let (Some(format), Some(pts)) = (format, buffer.pts())
                    && let Some(length) = length(buffer, format)
                {
                    let start = retime.place(pts, length, suspicious);
                    let buffer = buffer.make_mut();
                    buffer.set_pts(start);
                    buffer.set_duration(length);
                }
            }
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
}

/// By its samples. A decoder that clips says so in the meta, and leaves the memory.
fn length(buffer: &gst::BufferRef, format: &AudioInfo) -> Option<gst::ClockTime> {
    let samples = match buffer.meta::<gst_audio::AudioMeta>() {
        Some(meta) => meta.samples(),
        None => buffer.size() / format.bpf().max(1) as usize,
    };
    gst::ClockTime::SECOND.mul_div_round(samples as u64, format.rate().into())
}

/// How much a file wants a track to be heard: the lower the more.
fn rank(pad: &gst::Pad) -> u8 {
    let flags = pad
        .sticky_event::<gst::event::StreamStart>(0)
        .map_or(gst::StreamFlags::empty(), |event| event.stream_flags());
    if flags.contains(gst::StreamFlags::SELECT) {
        0
    } else if flags.contains(gst::StreamFlags::UNSELECT) {
        2
    } else {
        1
    }
}
