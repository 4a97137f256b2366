//! The streaming thread's way with speech: which pads there are, what has come on each, and whose it is.

use std::path::Path;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;

use super::cast::{Each, Indices, Silent};
use super::category::CAT;
use super::held::Wanted;
use super::imp::LipSync;
use super::portrait;
use super::settings::{Settings, Whose};
use super::stream::Stream;
use super::voice::{SAMPLE_RATE, Voice};
use crate::face::Face;
use crate::fault::Fault;
use crate::video;

/// Nanoseconds as samples of the speech, rounded to the nearest.
fn samples(ns: i64) -> i64 {
    let scaled = i128::from(ns) * i128::from(SAMPLE_RATE) + 500_000_000;
    scaled.div_euclid(1_000_000_000) as i64
}

/// What is wrong with the picture of a face.
fn fault_of(path: &Path, error: portrait::Error) -> Fault {
    let kind = match error {
        portrait::Error::Face(error) => return error.into(),
        portrait::Error::Unreadable { .. } => "not-media",
        portrait::Error::NoFace { .. } => "picture-without-face",
    };
    let about = "property picture of a pad audio_%u";
    let error = gst::glib::Error::new(gst::ResourceError::Read, &error.to_string());
    Fault::new(error, kind, about).path(path)
}

impl LipSync {
    /// The pads that take speech.
    pub(super) fn speech_pads(&self) -> Vec<gst_base::AggregatorPad> {
        let pads = self.obj().sink_pads().into_iter();
        pads.filter_map(|pad| pad.downcast().ok())
            .filter(|pad| *pad != self.video)
            .collect()
    }

    /// Follows the pads that came and went.
    pub(super) fn renew_voices(&self, stream: &mut Stream) -> Result<(), gst::FlowError> {
        if !self.have_pads_changed.swap(false, AcqRel) {
            return Ok(());
        }
        let pads = self.speech_pads();
        gst::debug!(CAT, imp = self, "{} pads take speech", pads.len());
        stream.renew_voices(&pads, |pad| {
            self.counters
                .speaker(&pad.name(), pad.is::<super::LipSyncAudioPad>())
        });
        let settings = self.settings();
        let Stream {
            voices, portraits, ..
        } = stream;
        for voice in voices {
            if let Whose::Picture(path) = &voice.settings(&settings).whose {
                gst::info!(CAT, obj = voice.pad, "Whoever looks like {path:?} speaks");
                portraits.read(path).map_err(|error| {
                    fault_of(path, error).post(&*self.obj());
                    gst::FlowError::Error
                })?;
            }
        }
        Ok(())
    }

    /// Takes speech from the pads until there is enough for the frame at `time`. False: wait for more.
    pub(super) fn collect_speech(
        &self,
        stream: &mut Stream,
        settings: &Settings,
        time: gst::ClockTime,
    ) -> bool {
        let mut is_enough = true;
        let Stream {
            animator, voices, ..
        } = stream;
        for voice in voices.iter_mut() {
            let speech = voice.settings(settings).speech_time(time);
            while !voice.finished && !animator.has_speech_for(voice, speech) {
                match voice.take_buffer() {
                    Some(buffer) => self.take_speech(voice, &buffer),
                    None if voice.pad.is_eos() => voice.finish(),
                    None => {
                        is_enough = false;
                        break;
                    }
                }
            }
        }
        let going = voices.iter().filter(|voice| !voice.finished);
        let until = going.map(Voice::until).min();
        let until = until.or_else(|| voices.iter().map(Voice::until).max());
        self.counters
            .audio_position
            .store(until.unwrap_or(0).max(0) as u64, Relaxed);
        is_enough
    }

    fn take_speech(&self, voice: &mut Voice, buffer: &gst::BufferRef) {
        let segment = voice.pad.segment();
        let start = segment
            .downcast_ref::<gst::ClockTime>()
            .zip(buffer.pts())
            .and_then(|(segment, pts)| match segment.to_running_time_full(pts)? {
                gst::Signed::Positive(t) => Some(t.nseconds() as i64),
                gst::Signed::Negative(t) => Some(-(t.nseconds() as i64)),
            });
        let position = start.map(samples);
        if buffer.flags().contains(gst::BufferFlags::GAP) && buffer.size() == 0 {
            if let Some((position, duration)) = position.zip(buffer.duration()) {
                let count = samples(duration.nseconds() as i64);
                voice.push_gap(position, position + count);
            }
        } else if let Ok(map) = buffer.map_readable() {
            let started = std::time::Instant::now();
            let caps = voice.pad.current_caps();
            let channels = caps
                .as_ref()
                .and_then(|caps| caps.structure(0)?.get("channels").ok());
            let channels = channels.map_or(1, |channels: i32| channels.max(1) as usize);
            voice.push(position, &map, channels);
            if voice.channels_cancel() && !self.has_told_of_channels.swap(true, Relaxed) {
                gst::element_imp_warning!(
                    self,
                    gst::StreamError::Format,
                    ("Channels of the speech cancel each other: the loudest one alone moves the mouth")
                );
            }
            self.counters
                .audio_time
                .fetch_add(started.elapsed().as_nanos() as u64, Relaxed);
        }
        gst::trace!(
            CAT,
            obj = voice.pad,
            "Speech has come up to {} ns",
            voice.until()
        );
    }

    /// What each voice wants of a frame with these faces.
    pub(super) fn wanted(
        &self,
        stream: &mut Stream,
        settings: &Settings,
        time: Option<gst::ClockTime>,
        buffer: &gst::BufferRef,
        faces: &[Face],
    ) -> Each<Wanted> {
        // Where somebody follows faces, those that are not followed are bystanders.
        if !stream.needs_points && !faces.is_empty() {
            let is_followed = faces.iter().any(|face| face.mesh.is_some());
            stream.needs_points = is_followed || self.has_tracker(stream);
        }
        self.counters
            .most_faces
            .fetch_max(faces.len() as u64, Relaxed);
        let time = time.unwrap_or_default();
        let voices = stream.voices.iter();
        let settings: Each<_> = voices.map(|voice| voice.settings(settings)).collect();
        let voices = stream.voices.iter().zip(&settings);
        let voices: Each<_> = voices
            .map(|(voice, settings)| (voice.id, settings.whose.clone()))
            .collect();
        let needs_points = stream.needs_points;
        let Stream {
            cast,
            portraits,
            frames,
            ..
        } = stream;
        let mut likeness = |path: &Path| {
            let info = frames.as_ref()?.info();
            let mapped = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, info).ok()?;
            portraits.find(path, &video::frame(&mapped), faces)
        };
        let parts = cast.parts(&voices, faces, time, needs_points, &mut likeness);
        let mut wanted = Each::new();
        for ((index, settings), part) in settings.into_iter().enumerate().zip(parts) {
            let faces = part.unwrap_or_else(|why| {
                self.tell_of_silence(stream, index, time, why, faces);
                Indices::new()
            });
            let Some(voice) = stream.voices.get(index) else {
                continue;
            };
            if !faces.is_empty() {
                voice.frames.fetch_add(1, Relaxed);
            }
            if settings.strength == 0.0 {
                gst::log!(
                    CAT,
                    obj = voice.pad,
                    "{time}: strength is 0: the mouth stays shut"
                );
            }
            wanted.push(Wanted {
                voice: voice.id,
                speech: settings.speech_time(time),
                strength: settings.strength as f32,
                faces,
            });
        }
        wanted
    }

    /// Says why a voice moves no face: in the log each time, on the bus once where it will stay so.
    fn tell_of_silence(
        &self,
        stream: &mut Stream,
        index: usize,
        time: gst::ClockTime,
        why: Silent,
        faces: &[Face],
    ) {
        let name = |stream: &Stream, index: usize| {
            let voice = stream.voices.get(index);
            voice.map_or_else(Default::default, Voice::name)
        };
        let own = name(stream, index);
        let reason = match why {
            Silent::NoSuchFace => {
                gst::log!(
                    CAT,
                    imp = self,
                    "{time}: the face of {own} is not among the {} in the picture",
                    faces.len()
                );
                return;
            }
            Silent::NotFollowed => format!(
                "The face that {own} speaks for is not followed. Set max-faces of facetrack to {} or more",
                faces.len()
            ),
            Silent::Taken(other) => {
                let other = stream.voices.iter().position(|voice| voice.id == other);
                let other = name(stream, other.unwrap_or(index));
                format!(
                    "{other} and {own} speak for the same face: {own} is not shown. Set its position, track or picture to another"
                )
            }
        };
        gst::log!(CAT, imp = self, "{time}: {reason}");
        let Some(voice) = stream.voices.get_mut(index) else {
            return;
        };
        if voice.told.replace(why) != Some(why) {
            gst::element_imp_warning!(self, gst::StreamError::Format, ("{reason}"));
        }
    }
}
