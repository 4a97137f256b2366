//! The request pads `audio_%u`: each is the speech of one face, and its properties say of which.

use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::subclass::prelude::*;

use super::category::CAT;
use super::properties;
use super::settings::{Settings, VoiceSettings, Whose};
use crate::property;
use crate::sync::lock;

/// The farthest position that can be asked for: `facetrack` follows no more faces.
const MOST_POSITIONS: i32 = 63;

/// Of the pad `audio`, whose properties are those of the element, or of a request pad.
pub fn settings_of(pad: &gst_base::AggregatorPad, element: &Settings) -> Arc<VoiceSettings> {
    match pad.downcast_ref::<super::LipSyncAudioPad>() {
        Some(pad) => lock(&pad.imp().properties).voice.clone(),
        None => element.voice.clone(),
    }
}

/// What was set; the first of picture, track and position that there is says whose speech it is.
#[derive(Clone, Default)]
struct Properties {
    position: i32,
    track: Option<u32>,
    picture: Option<Arc<Path>>,
    voice: Arc<VoiceSettings>,
}

#[derive(Default)]
pub struct LipSyncAudioPad {
    properties: Mutex<Properties>,
}

#[glib::object_subclass]
impl ObjectSubclass for LipSyncAudioPad {
    const NAME: &'static str = "GstLipSyncAudioPad";
    type Type = super::LipSyncAudioPad;
    type ParentType = gst_base::AggregatorPad;
}

impl ObjectImpl for LipSyncAudioPad {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecInt::builder("position")
                    .nick("Position")
                    .blurb("Whose speech this is: the face that is so many from the left, the leftmost being 0, or from the right, the rightmost being -1. The pad audio_N begins with N")
                    .minimum(-MOST_POSITIONS - 1)
                    .maximum(MOST_POSITIONS)
                    .default_value(0)
                    .mutable_playing()
                    .build(),
                glib::ParamSpecInt::builder("track")
                    .nick("Track")
                    .blurb("Whose speech this is, by the id of the face's region of interest; it counts instead of the position (-1 = none)")
                    .minimum(-1)
                    .default_value(-1)
                    .mutable_playing()
                    .build(),
                glib::ParamSpecString::builder("picture")
                    .nick("Picture")
                    .blurb("Whose speech this is, by a picture in which the face looks as in the video, such as a still of it; it counts instead of track and position")
                    .mutable_ready()
                    .build(),
                properties::strength(),
                properties::audio_offset(),
                properties::face_file(),
            ]
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let result = lock(&self.properties).set(pspec.name(), value);
        if let Err(error) = result {
            gst::error!(CAT, imp = self, "Property {}: {error}", pspec.name());
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        lock(&self.properties)
            .get(pspec.name())
            .unwrap_or_else(|| pspec.default_value().clone())
    }
}

impl LipSyncAudioPad {
    /// Begins with the position that is the pad's number.
    pub fn count(&self) {
        let name = self.obj().name();
        let number = name.strip_prefix("audio_").and_then(|n| n.parse().ok());
        let mut properties = lock(&self.properties);
        properties.position = number.unwrap_or(0).min(MOST_POSITIONS);
        properties.choose();
    }
}

impl Properties {
    fn choose(&mut self) {
        let whose = match (&self.picture, self.track) {
            (Some(picture), _) => Whose::Picture(picture.clone()),
            (None, Some(track)) => Whose::Track(track),
            (None, None) => Whose::Position(self.position),
        };
        Arc::make_mut(&mut self.voice).whose = whose;
    }

    fn set(&mut self, name: &str, value: &glib::Value) -> Result<(), Box<dyn std::error::Error>> {
        match name {
            "position" => self.position = value.get()?,
            "track" => self.track = u32::try_from(value.get::<i32>()?).ok(),
            "picture" => self.picture = property::path(value)?.map(Arc::from),
            _ => properties::set_voice(Arc::make_mut(&mut self.voice), name, value)?,
        }
        self.choose();
        Ok(())
    }

    fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "position" => self.position.to_value(),
            "track" => self.track.map_or(-1, |track| track as i32).to_value(),
            "picture" => property::path_value(self.picture.as_deref()),
            _ => return properties::get_voice(&self.voice, name),
        })
    }
}

impl GstObjectImpl for LipSyncAudioPad {}
impl PadImpl for LipSyncAudioPad {}
impl AggregatorPadImpl for LipSyncAudioPad {}
