//! Counts what a demuxer gives, and what it says of it.
//!
//! The times are the container's where it gives one for each frame: a parser behind the demuxer puts
//! its own in their place, which for a last frame that lasts longer than the others is too short. MPEG
//! streams are cut in packets that are no frames, so for them the parser is asked.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gst::prelude::*;
use gstlipsync::decode;

use super::{Kind, Picture, Reading, Shown, Sound, Stream, rotation_of};
use crate::cancel::Cancel;
use crate::error::{Failure, FailureKind};
use crate::pipeline::classify::Files;
use crate::pipeline::container::{COUNTED_FROM_0, WITH_CLAIM};
use crate::pipeline::runner::{self, Watch};
use crate::sync::lock;

/// Their packets are frames, and each has its time.
const FRAME_BY_FRAME: [&str; 3] = ["qtdemux", "matroskademux", "flvdemux"];
/// What says who made a file, when and where.
const PRIVATE: [&str; 8] = [
    "title",
    "artist",
    "comment",
    "description",
    "device-manufacturer",
    "device-model",
    "geo-location-latitude",
    "geo-location-name",
];

/// Demuxers invent no longer gaps than this.
const LONGEST_INVENTED: Duration = Duration::from_secs(2);

/// No camera is faster.
const SHORTEST: Duration = Duration::from_millis(2);

/// By the identity that GStreamer gives a stream.
type Streams = BTreeMap<String, Tapped>;

#[derive(Default)]
struct Found {
    streams: Streams,
    container: Option<String>,
    claimed: Option<Duration>,
    /// See the constant.
    is_counted_from_0: bool,
    /// When that first frame is, as the file counts.
    begins: Option<Duration>,
    /// The demuxer puts gaps where the file has none.
    invents_gaps: bool,
    /// The demuxer of transport streams reckons times after a gap anew, some of them twice.
    doubles_times: bool,
}

#[derive(Default)]
struct Tapped {
    caps: Option<gst::Caps>,
    tags: Option<gst::TagList>,
    flags: Option<gst::StreamFlags>,
    of_demuxer: Times,
    of_parser: Times,
}

#[derive(Default)]
struct Times(Vec<(Duration, Option<Duration>)>);

pub fn read(path: &Path, watch: &Watch, cancel: &Cancel) -> Result<Reading, Failure> {
    let make = |factory: &str| {
        gst::ElementFactory::make(factory)
            .build()
            .map_err(|e| Failure::new(FailureKind::PluginMissing).detail(e))
    };
    let internal = |e: gst::glib::BoolError| Failure::new(FailureKind::Internal).detail(e);
    let pipeline = gst::Pipeline::new();
    let (source, parser) = (make("filesrc")?, make("parsebin")?);
    source.set_property("location", path);
    pipeline.add_many([&source, &parser]).map_err(internal)?;
    source.link(&parser).map_err(internal)?;

    let found: Arc<Mutex<Found>> = Arc::default();
    decode::whole_movie(&parser);
    if let Some(bin) = parser.downcast_ref::<gst::Bin>() {
        let found = found.clone();
        bin.connect_deep_element_added(move |_, _, element| {
            let Some(factory) = element.factory() else {
                return;
            };
            if factory.name() == "mpegpsdemux" {
                lock(&found).invents_gaps = true;
            }
            if factory.name() == "tsdemux" {
                lock(&found).doubles_times = true;
            }
            if COUNTED_FROM_0.contains(&factory.name().as_str()) {
                lock(&found).is_counted_from_0 = true;
            }
            let has_claim = WITH_CLAIM.contains(&factory.name().as_str());
            if has_claim {
                watch_claim(element, &found);
            }
            if FRAME_BY_FRAME.contains(&factory.name().as_str()) {
                let found = found.clone();
                element.connect_pad_added(move |_, pad| {
                    tap(pad, &found, |stream| &mut stream.of_demuxer);
                });
            }
        });
    }
    let weak = pipeline.downgrade();
    parser.connect_pad_added({
        let found = found.clone();
        move |_, pad| {
            // A pad that can't be linked stops the pipeline with an error of its own.
            if let Some(pipeline) = weak.upgrade() {
                let _ = swallow(&pipeline, pad);
            }
            tap(pad, &found, |stream| &mut stream.of_parser);
        }
    });
    let played = runner::run(&pipeline, &Files::default(), watch, cancel, &mut |_| {});
    played.map_err(|failure| failure.file(path))?;
    let found = std::mem::take(&mut *lock(&found));
    Ok(found.reading())
}

fn watch_claim(demuxer: &gst::Element, found: &Arc<Mutex<Found>>) {
    let found = found.clone();
    demuxer.connect_pad_added(move |demuxer, _| {
        if let Some(duration) = demuxer.query_duration::<gst::ClockTime>() {
            lock(&found).claimed.get_or_insert(duration.into());
        }
    });
}

fn swallow(pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<(), gst::glib::BoolError> {
    let sink = gst::ElementFactory::make("fakesink")
        .property("sync", false)
        .property("async", false)
        .build()?;
    pipeline.add(&sink)?;
    sink.sync_state_with_parent()?;
    if let Some(target) = sink.static_pad("sink") {
        pad.link(&target)
            .map_err(|e| gst::glib::bool_error!("{e}"))?;
    }
    Ok(())
}

/// Notes what comes out of `pad`.
fn tap(pad: &gst::Pad, found: &Arc<Mutex<Found>>, times: fn(&mut Tapped) -> &mut Times) {
    let found = found.clone();
    let wanted = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    pad.add_probe(wanted, move |pad, info| {
        let Some(id) = pad.stream_id() else {
            return gst::PadProbeReturn::Ok;
        };
        match &info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => {
                let segment = pad.sticky_event::<gst::event::Segment>(0);
                let segment = segment.as_ref().map(|e| e.segment());
                if let Some(segment) = segment.and_then(|s| s.downcast_ref::<gst::ClockTime>()) {
                    let mut found = lock(&found);
                    let doubles_times = found.doubles_times;
                    if let Some(start) = segment.start().filter(|_| found.is_counted_from_0) {
                        let begins = found.begins.get_or_insert(start.into());
                        *begins = (*begins).min(start.into());
                    }
                    let stream = found.streams.entry(id.into()).or_default();
                    if !stream.is_header(buffer) {
                        times(stream).note(buffer, segment, doubles_times);
                    }
                }
            }
            Some(gst::PadProbeData::Event(event)) => lock(&found).hear(&id, event),
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
}

impl Found {
    fn hear(&mut self, id: &str, event: &gst::EventRef) {
        let stream = self.streams.entry(id.to_owned()).or_default();
        match event.view() {
            gst::EventView::Caps(caps) => stream.caps = Some(caps.caps_owned()),
            gst::EventView::StreamStart(start) => stream.flags = Some(start.stream_flags()),
            gst::EventView::Tag(tag) => {
                let name = tag.tag().get::<gst::tags::ContainerFormat>();
                if let Some(name) = name {
                    self.container.get_or_insert(name.get().to_owned());
                }
                let tags = stream.tags.get_or_insert_default();
                tags.merge_into(tag.tag());
            }
            _ => {}
        }
    }

    fn reading(self) -> Reading {
        let tags = self.streams.values().filter_map(|s| s.tags.as_ref());
        let has = |name: &&&str| tags.clone().any(|tags| tags.size_by_name(**name) > 0);
        let begins = self.begins.unwrap_or_default();
        let private = PRIVATE.iter().filter(has);
        Reading {
            container: self.container,
            claimed: self.claimed.map(|claimed| claimed.saturating_sub(begins)),
            tags: private.map(|name| (*name).to_owned()).collect(),
            streams: self
                .streams
                .into_values()
                .filter_map(|tapped| tapped.stream(self.invents_gaps, self.doubles_times))
                .collect(),
        }
    }
}

/// Adds the tags of one list to another.
trait MergeInto {
    fn merge_into(&mut self, other: &gst::TagListRef);
}

impl MergeInto for gst::TagList {
    fn merge_into(&mut self, other: &gst::TagListRef) {
        self.make_mut().insert(other, gst::TagMergeMode::Replace);
    }
}

impl Times {
    fn note(
        &mut self,
        buffer: &gst::BufferRef,
        segment: &gst::FormattedSegment<gst::ClockTime>,
        doubles_times: bool,
    ) {
        let end = self
            .0
            .last()
            .map(|(start, length)| *start + length.unwrap_or_default());
        // Not every frame of an MPEG program stream has a stamp; it comes after the one before it.
        let start = segment
            .to_running_time(buffer.pts().or(buffer.dts().filter(|_| !doubles_times)))
            .map(Duration::from)
            .or(end)
            .unwrap_or_default();
        self.0.push((start, buffer.duration().map(Duration::from)));
    }

    /// In the order in which they are shown, and whether the end of the last one is known.
    fn shown(mut self, invents_gaps: bool, doubles_times: bool, kind: Kind) -> (Vec<Shown>, bool) {
        self.0.sort_by_key(|(start, _)| *start);
        if doubles_times && kind == Kind::Video {
            self.part();
        }
        if invents_gaps {
            match self.usual_length().filter(|_| kind == Kind::Video) {
                Some(length) => self.lay_out(length),
                None => self.close_gaps(),
            }
        }
        let mut times: Vec<Shown> = Vec::with_capacity(self.0.len());
        let mut has_end = true;
        for (i, &(start, length)) in self.0.iter().enumerate() {
            let next = self.0.get(i + 1).map(|(next, _)| *next);
            let before = times.last().map(|before| start - before.start);
            has_end = length.is_some();
            let end = match (length, next) {
                (Some(length), Some(next)) => next.min(start + length),
                (Some(length), None) => start + length,
                (None, Some(next)) => next,
                (None, None) => start + before.unwrap_or_default(),
            };
            times.push(Shown { start, end });
        }
        (times, has_end)
    }
}

impl Times {
    /// How long each frame lasts, where all last as long.
    fn usual_length(&self) -> Option<Duration> {
        let (_, first) = *self.0.first()?;
        let is_same = |(_, length): &(_, Option<Duration>)| *length == first;
        first.filter(|_| self.0.iter().all(is_same))
    }

    /// Puts frames of the same time behind each other, as `facesource` does when it plays them.
    fn part(&mut self) {
        let steps = self.0.windows(2).map(|pair| pair[1].0 - pair[0].0);
        let Some(usual) = steps.filter(|step| *step > SHORTEST).min() else {
            return;
        };
        for i in 1..self.0.len() {
            let earliest = self.0[i - 1].0 + usual;
            if self.0[i].0 + usual / 2 < earliest {
                self.0[i].0 = earliest;
            }
        }
    }

    /// MPEG's frames come at a rate; not each has a stamp, and those without one are out of order.
    fn lay_out(&mut self, length: Duration) {
        let first = self.0.first().map(|(start, _)| *start).unwrap_or_default();
        for (n, (start, _)) in (0..).zip(&mut self.0) {
            *start = first + length * n;
        }
    }

    /// As `facesource` and `soundfit` do when they play it: what is continuous in the file stays so.
    fn close_gaps(&mut self) {
        let mut invented = Duration::ZERO;
        for i in 1..self.0.len() {
            let (before, length) = self.0[i - 1];
            let end = before + length.unwrap_or_default();
            let start = self.0[i].0.saturating_sub(invented);
            let gap = start.saturating_sub(end);
            if length.is_some_and(|length| gap > length / 2) && gap < LONGEST_INVENTED {
                invented += gap;
            }
            self.0[i].0 = self.0[i].0.saturating_sub(invented).max(before);
        }
    }
}

impl Tapped {
    /// Headers of Theora come as packets before the first frame, and have their first bit set.
    fn is_header(&self, buffer: &gst::BufferRef) -> bool {
        let structure = self.caps.as_ref().and_then(|caps| caps.structure(0));
        let mut first = [0];
        structure.is_some_and(|s| s.name() == "video/x-theora")
            && buffer.copy_to_slice(0, &mut first).is_ok()
            && first[0] & 0x80 != 0
    }

    fn stream(self, invents_gaps: bool, doubles_times: bool) -> Option<Stream> {
        let caps = self.caps?;
        let structure = caps.structure(0)?;
        let kind = match structure.name().as_str() {
            name if name.starts_with("audio/") => Kind::Audio,
            name if name.starts_with("video/") || name.starts_with("image/") => Kind::Video,
            _ => Kind::Other,
        };
        let mut stream = Stream::new(kind);
        stream.codec = match caps.is_fixed() {
            true => gst_pbutils::pb_utils_get_codec_description(&caps).to_string(),
            false => structure.name().to_string(),
        };
        let times = match self.of_demuxer.0.is_empty() {
            true => self.of_parser,
            false => self.of_demuxer,
        };
        (stream.times, stream.has_end) = times.shown(invents_gaps, doubles_times, kind);
        // Which one is marked matters where there are several, so all of them say it then.
        stream.is_default = self.flags.map(|f| f.contains(gst::StreamFlags::SELECT));
        let tags = self.tags.unwrap_or_default();
        match kind {
            Kind::Video => stream.picture = Some(picture(structure, &tags)),
            Kind::Audio => {
                let number = |name| structure.get::<i32>(name).unwrap_or(0).unsigned_abs();
                stream.sound = Some(Sound {
                    rate: number("rate"),
                    channels: number("channels"),
                });
            }
            Kind::Other => {}
        }
        Some(stream)
    }
}

fn picture(structure: &gst::StructureRef, tags: &gst::TagListRef) -> Picture {
    let number = |name| structure.get::<i32>(name).unwrap_or(0).unsigned_abs();
    let fraction = |name| {
        let fraction = structure.get::<gst::Fraction>(name).ok()?;
        let parts = (
            fraction.numer().unsigned_abs(),
            fraction.denom().unsigned_abs(),
        );
        (parts.0 > 0 && parts.1 > 0).then_some(parts)
    };
    let orientation = tags.get::<gst::tags::ImageOrientation>();
    let orientation = orientation.as_ref().map_or("rotate-0", |tag| tag.get());
    Picture {
        width: number("width"),
        height: number("height"),
        aspect: fraction("pixel-aspect-ratio").unwrap_or((1, 1)),
        fps: fraction("framerate"),
        rotation: rotation_of(orientation),
        is_mirrored: orientation.starts_with("flip"),
        colorimetry: structure.get("colorimetry").ok(),
    }
}
