use std::sync::{LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use gst_video::{VideoCapsBuilder, VideoFrameRef, VideoInfo};

use super::Position;
use crate::face::{Face, lips};
use crate::label::{self, LEAST_HEIGHT, LEAST_OPACITY, Mask, Place};
use crate::picture::Rect;
use crate::property;
use crate::sync::lock;
use crate::{pads, roi, video};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "labeloverlay",
        gst::DebugColorFlags::empty(),
        Some("Label on a video"),
    )
});

/// As long as GB 45438-2025 asks for at least.
const LEAST_DURATION: gst::ClockTime = gst::ClockTime::from_seconds(2);

#[derive(Debug, Clone)]
struct Settings {
    text: Option<String>,
    position: Position,
    opacity: f64,
    height: f64,
    /// From the first frame on; none: to the end.
    duration: Option<gst::ClockTime>,
    /// From one beginning to the next; none: once.
    interval: Option<gst::ClockTime>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            text: None,
            position: Position::default(),
            opacity: 0.7,
            height: label::USUAL_HEIGHT,
            duration: None,
            interval: None,
        }
    }
}

impl Settings {
    /// Whether the label is there so long after the first frame.
    fn is_shown(&self, since: gst::ClockTime) -> bool {
        let Some(duration) = self.duration else {
            return true;
        };
        let since = match self.interval.filter(|interval| !interval.is_zero()) {
            Some(interval) => gst::ClockTime::from_nseconds(since.nseconds() % interval.nseconds()),
            None => since,
        };
        since < duration
    }
}

#[derive(Default)]
struct State {
    info: Option<VideoInfo>,
    /// Drawn once for each size of picture and text.
    mask: Option<Mask>,
    /// Where it is while it is shown.
    place: Option<Place>,
    /// Running time of the first frame.
    begin: Option<gst::ClockTime>,
}

#[derive(Default)]
pub struct LabelOverlay {
    settings: Mutex<Settings>,
    state: Mutex<State>,
}

#[glib::object_subclass]
impl ObjectSubclass for LabelOverlay {
    const NAME: &'static str = "GstLipflowLabelOverlay";
    type Type = super::LabelOverlay;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for LabelOverlay {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            let defaults = Settings::default();
            let least = LEAST_DURATION.nseconds();
            vec![
                glib::ParamSpecString::builder("text")
                    .nick("Text")
                    .blurb("What is written; nothing where it is empty")
                    .mutable_playing()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("position", defaults.position)
                    .nick("Position")
                    .blurb("Where it is, unless a mouth is there")
                    .mutable_playing()
                    .build(),
                glib::ParamSpecDouble::builder("opacity")
                    .nick("Opacity")
                    .blurb("Of the box behind the text; with the least, text on white can just be read")
                    .minimum(LEAST_OPACITY)
                    .maximum(1.0)
                    .default_value(defaults.opacity)
                    .mutable_playing()
                    .build(),
                glib::ParamSpecDouble::builder("height")
                    .nick("Height")
                    .blurb("Of the letters, as a share of the shorter side of the picture")
                    .minimum(LEAST_HEIGHT)
                    .maximum(0.3)
                    .default_value(defaults.height)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt64::builder("duration")
                    .nick("Duration")
                    .blurb("How long it is shown from the first frame on, in ns; the largest number is to the end")
                    .minimum(least)
                    .default_value(u64::MAX)
                    .mutable_playing()
                    .build(),
                glib::ParamSpecUInt64::builder("interval")
                    .nick("Interval")
                    .blurb("Time from one showing's begin to the next one's, in ns; 0 is once")
                    .default_value(0)
                    .mutable_playing()
                    .build(),
            ]
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = lock(&self.settings);
        let time = |ns: u64| (ns != u64::MAX).then(|| gst::ClockTime::from_nseconds(ns));
        let result = match pspec.name() {
            "text" => property::text(value).map(|v| settings.text = v),
            "position" => value.get().map(|v| settings.position = v),
            "opacity" => value.get().map(|v| settings.opacity = v),
            "height" => value.get().map(|v| settings.height = v),
            "duration" => value.get().map(|v| settings.duration = time(v)),
            "interval" => value.get().map(|v| settings.interval = time(v)),
            _ => Ok(()),
        };
        if let Err(e) = result {
            gst::error!(CAT, imp = self, "{}: {e}", pspec.name());
        }
        drop(settings);
        if pspec.name() == "text" {
            let mut state = lock(&self.state);
            (state.mask, state.place) = (None, None);
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = lock(&self.settings);
        match pspec.name() {
            "text" => settings.text.to_value(),
            "position" => settings.position.to_value(),
            "opacity" => settings.opacity.to_value(),
            "height" => settings.height.to_value(),
            "duration" => settings
                .duration
                .map_or(u64::MAX, |t| t.nseconds())
                .to_value(),
            "interval" => settings.interval.map_or(0, |t| t.nseconds()).to_value(),
            _ => pspec.default_value().clone(),
        }
    }
}

impl GstObjectImpl for LabelOverlay {}

impl ElementImpl for LabelOverlay {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Label overlay",
                "Filter/Editor/Video",
                "Writes onto a video that it is synthetic, never before a mouth",
                "The lipflow authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = VideoCapsBuilder::new().format_list(video::FORMATS).build();
            pads::sink_and_src(&caps)
        });
        &TEMPLATES
    }
}

impl BaseTransformImpl for LabelOverlay {
    const MODE: gst_base::subclass::BaseTransformMode =
        gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn set_caps(&self, incaps: &gst::Caps, _outcaps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let info = VideoInfo::from_caps(incaps)
            .map_err(|e| gst::loggable_error!(CAT, "bad caps {incaps}: {e}"))?;
        let mut state = lock(&self.state);
        state.info = Some(info);
        (state.mask, state.place) = (None, None);
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.state) = State::default();
        Ok(())
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        if let gst::EventView::FlushStop(_) = event.view() {
            lock(&self.state).place = None;
        }
        self.parent_sink_event(event)
    }

    fn before_transform(&self, inbuf: &gst::BufferRef) {
        let settings = lock(&self.settings).clone();
        let time = self.running_time(inbuf);
        let mut state = lock(&self.state);
        let shown = settings.text.is_some()
            && time.is_none_or(|time| {
                let begin = *state.begin.get_or_insert(time);
                settings.is_shown(time.saturating_sub(begin))
            });
        if !shown {
            state.place = None;
        }
        drop(state);
        // A frame that does not show it need not be writable.
        self.obj().set_passthrough(!shown);
    }

    fn transform_ip(&self, buf: &mut gst::BufferRef) -> Result<gst::FlowSuccess, gst::FlowError> {
        let settings = lock(&self.settings).clone();
        let Some(text) = &settings.text else {
            return Ok(gst::FlowSuccess::Ok);
        };
        if let Err(remedy) = video::check_rows(buf) {
            gst::element_imp_error!(self, gst::StreamError::Format, ("{remedy}"));
            return Err(gst::FlowError::Error);
        }
        let mut state = lock(&self.state);
        let State {
            info, mask, place, ..
        } = &mut *state;
        let info = info.as_ref().ok_or(gst::FlowError::NotNegotiated)?;
        let mouths = mouths(&roi::faces_in(buf, info));
        let (mask, place) = self
            .placed(text, &settings, info, mask, place, &mouths)
            .map_err(|error| {
                gst::element_imp_error!(
                    self,
                    gst::ResourceError::Settings,
                    ("The label can't be shown: {error}")
                );
                gst::FlowError::Error
            })?;
        let mut mapped = VideoFrameRef::from_buffer_ref_writable(buf, info).map_err(|error| {
            gst::error!(CAT, imp = self, "The frame can't be written to: {error}");
            gst::FlowError::Error
        })?;
        let mut frame = video::frame_mut(&mut mapped);
        label::draw(&mut frame, mask, place, settings.opacity as f32);
        Ok(gst::FlowSuccess::Ok)
    }
}

impl LabelOverlay {
    fn running_time(&self, buffer: &gst::BufferRef) -> Option<gst::ClockTime> {
        let segment = self.obj().segment();
        let segment = segment.downcast_ref::<gst::ClockTime>()?;
        segment.to_running_time(buffer.pts()?)
    }

    /// The label and where it goes: where it was, unless a mouth has come there.
    fn placed<'a>(
        &self,
        text: &str,
        settings: &Settings,
        info: &VideoInfo,
        mask: &'a mut Option<Mask>,
        last: &mut Option<Place>,
        mouths: &[Rect],
    ) -> Result<(&'a Mask, Place), label::Error> {
        let picture = [info.width() as usize, info.height() as usize];
        let mask = match mask {
            Some(mask) => mask,
            None => {
                let height = settings.height as f32 * picture[0].min(picture[1]) as f32;
                mask.insert(Mask::of(text, height)?)
            }
        };
        let size = [mask.width, mask.height];
        mask.check_fits(text, picture)?;
        let stays = last.filter(|place| !mouths.iter().any(|m| place.covers(size, *m)));
        let place = stays
            .or_else(|| label::place(size, picture, settings.position.corner(), mouths))
            .ok_or_else(|| label::Error::NoPlace(text.to_owned()))?;
        if *last != Some(place) {
            gst::debug!(CAT, imp = self, "The label is at {}, {}", place.x, place.y);
            *last = Some(place);
        }
        Ok((mask, place))
    }
}

/// The boxes around the mouths of the faces; of one whose points are not known, its lower half.
fn mouths(faces: &[Face]) -> Vec<Rect> {
    let mouth = |face: &Face| match &face.mesh {
        Some(mesh) => lips::bounds(mesh),
        None => Rect {
            y: face.bounds.y + face.bounds.height / 2.0,
            height: face.bounds.height / 2.0,
            ..face.bounds
        },
    };
    faces.iter().map(mouth).collect()
}
