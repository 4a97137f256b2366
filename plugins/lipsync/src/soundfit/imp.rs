use std::sync::{Condvar, LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_audio::{AudioCapsBuilder, AudioInfo, AudioLayout};

use super::picture::Picture;
use super::track::Track;
use crate::fault::Fault;
use crate::sync::lock;

pub(super) static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "soundfit",
        gst::DebugColorFlags::empty(),
        Some("Sound exactly as long as the picture"),
    )
});

/// The sound's side of the state.
#[derive(Default)]
pub(super) struct Sound {
    pub segment: gst::FormattedSegment<gst::ClockTime>,
    pub info: Option<AudioInfo>,
    /// Set when the first sound goes out.
    pub track: Option<Track>,
    /// Events that must not overtake our segment.
    pub pending: Vec<gst::Event>,
    /// The next sound to go out is the first of its segment.
    pub discont: bool,
    pub finished: bool,
    pub flushing: bool,
}

#[derive(Default)]
pub(super) struct State {
    pub picture: Picture,
    pub sound: Sound,
    /// The element is stopping.
    stopped: bool,
}

pub struct SoundFit {
    pub(super) video_sink: gst::Pad,
    video_src: gst::Pad,
    pub(super) sound_sink: gst::Pad,
    pub(super) sound_src: gst::Pad,
    pub(super) state: Mutex<State>,
    pub(super) changed: Condvar,
}

#[glib::object_subclass]
impl ObjectSubclass for SoundFit {
    const NAME: &'static str = "GstSoundFit";
    type Type = super::SoundFit;
    type ParentType = gst::Element;

    fn with_class(klass: &Self::Class) -> Self {
        let sink = |name: &str| {
            gst::Pad::builder_from_template(&klass.pad_template(name).expect("it is ours"))
        };
        let both = gst::PadFlags::PROXY_CAPS | gst::PadFlags::PROXY_ALLOCATION;
        let video_sink = sink("video")
            .chain_function(|_, parent, buffer| {
                Self::catch_panic_pad_function(
                    parent,
                    || Err(gst::FlowError::Error),
                    |fit| fit.video_chain(buffer),
                )
            })
            .event_function(|_, parent, event| {
                Self::catch_panic_pad_function(parent, || false, |fit| fit.video_event(event))
            })
            .iterate_internal_links_function(|_, parent| {
                Self::internal_links(parent, |fit| &fit.video_src)
            })
            .flags(both)
            .build();
        let video_src = sink("video_src")
            .iterate_internal_links_function(|_, parent| {
                Self::internal_links(parent, |fit| &fit.video_sink)
            })
            .flags(both)
            .build();
        let sound_sink = sink("sound")
            .chain_function(|_, parent, buffer| {
                Self::catch_panic_pad_function(
                    parent,
                    || Err(gst::FlowError::Error),
                    |fit| fit.sound_chain(buffer),
                )
            })
            .event_function(|_, parent, event| {
                Self::catch_panic_pad_function(parent, || false, |fit| fit.sound_event(event))
            })
            .iterate_internal_links_function(|_, parent| {
                Self::internal_links(parent, |fit| &fit.sound_src)
            })
            .flags(both)
            .build();
        let sound_src = sink("sound_src")
            .query_function(|pad, parent, query| {
                Self::catch_panic_pad_function(parent, || false, |fit| fit.sound_query(pad, query))
            })
            .iterate_internal_links_function(|_, parent| {
                Self::internal_links(parent, |fit| &fit.sound_sink)
            })
            .flags(both)
            .build();
        Self {
            video_sink,
            video_src,
            sound_sink,
            sound_src,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }
}

impl ObjectImpl for SoundFit {
    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        for pad in [
            &self.video_sink,
            &self.video_src,
            &self.sound_sink,
            &self.sound_src,
        ] {
            obj.add_pad(pad).expect("names differ");
        }
    }
}

impl GstObjectImpl for SoundFit {}

impl ElementImpl for SoundFit {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Sound fitter",
                "Generic/Audio/Video",
                "Cuts the sound, or fills it with silence, so that it is exactly as long as the picture",
                "The lipflow authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let mut video = gst::Caps::new_empty();
            video.make_mut().append_structure_full(
                gst::Structure::new_empty("video/x-raw"),
                Some(gst::CapsFeatures::new_any()),
            );
            let sound = AudioCapsBuilder::new()
                .layout(AudioLayout::Interleaved)
                .build();
            let template = |name: &str, direction, caps: &gst::Caps| {
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, caps)
            };
            [
                template("video", gst::PadDirection::Sink, &video),
                template("video_src", gst::PadDirection::Src, &video),
                template("sound", gst::PadDirection::Sink, &sound),
                template("sound_src", gst::PadDirection::Src, &sound),
            ]
            .into_iter()
            .collect::<Result<_, _>>()
            .unwrap_or_default()
        });
        &TEMPLATES
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        match transition {
            gst::StateChange::ReadyToPaused => *lock(&self.state) = State::default(),
            // Pads can't be deactivated while a thread waits in them.
            gst::StateChange::PausedToReady => self.update(|state| state.stopped = true),
            _ => (),
        }
        let result = self.parent_change_state(transition)?;
        if transition == gst::StateChange::PausedToReady {
            *lock(&self.state) = State::default();
        }
        Ok(result)
    }
}

impl SoundFit {
    fn internal_links(
        parent: Option<&gst::Object>,
        other: impl FnOnce(&Self) -> &gst::Pad,
    ) -> gst::Iterator<gst::Pad> {
        let pads = parent
            .and_then(|p| p.downcast_ref::<super::SoundFit>())
            .map(|fit| other(fit.imp()).clone());
        gst::Iterator::from_vec(Vec::from_iter(pads))
    }

    /// Changes the state and wakes the sound that waits for it.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut lock(&self.state));
        self.changed.notify_all();
        result
    }

    fn video_chain(&self, buffer: gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        // Before the push, since the push may have to wait for the sound.
        self.update(|state| state.picture.frame(buffer.pts(), buffer.duration()));
        let result = self.video_src.push(buffer);
        if let Err(e) = result
            && e != gst::FlowError::Flushing
        {
            gst::debug!(CAT, imp = self, "nobody takes the picture any more: {e}");
            self.update(|state| state.picture.end());
        }
        result
    }

    fn video_event(&self, event: gst::Event) -> bool {
        use gst::EventView;

        match event.view() {
            EventView::Caps(e) => {
                let period = e
                    .caps()
                    .structure(0)
                    .and_then(|s| s.get::<gst::Fraction>("framerate").ok())
                    .filter(|f| f.numer() > 0 && f.denom() > 0)
                    .and_then(|f| {
                        gst::ClockTime::SECOND.mul_div_floor(f.denom() as u64, f.numer() as u64)
                    });
                self.update(|state| state.picture.period = period);
            }
            EventView::Segment(e) => {
                let Some(segment) = e.segment().downcast_ref::<gst::ClockTime>().cloned() else {
                    return self.refuse_segment("picture");
                };
                self.update(|state| state.picture.segment = Some(segment));
            }
            EventView::Gap(e) => {
                let (start, duration) = e.get();
                self.update(|state| state.picture.frame(Some(start), duration));
            }
            EventView::Eos(_) => self.update(|state| state.picture.end()),
            EventView::FlushStop(_) => self.update(|state| state.picture.reset()),
            _ => (),
        }
        self.video_src.push_event(event)
    }

    pub(super) fn refuse_segment(&self, what: &str) -> bool {
        let text = format!("The {what} has no timestamps. Put a parser or decoder before soundfit");
        let error = glib::Error::new(gst::StreamError::Format, &text);
        let debug = "the segment is not in TIME format";
        Fault::new(error, "no-timestamps", debug).post(&*self.obj());
        false
    }
}

impl State {
    pub fn is_flushing(&self) -> bool {
        self.stopped || self.sound.flushing
    }
}
