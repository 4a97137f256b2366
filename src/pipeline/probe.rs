//! What is in an input, found out without decoding more than its first moments.

mod length;
mod limits;
mod noted;

pub use super::reading::fps_of;
pub use limits::Limits;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gst_pbutils::prelude::*;
use gst_pbutils::{
    Discoverer, DiscovererInfo, DiscovererResult, DiscovererStreamInfo, DiscovererVideoInfo,
};
use gstlipsync::decode::{self, still};
use serde::{Deserialize, Serialize};

use super::classify;
use super::colour::Colour;
use super::container::{self, Wholeness};
use super::format;
use super::mp4;
use super::reading::rotation_of;
use crate::error::{Failure, FailureKind};
use crate::event::{InputSummary, display, seconds};
use crate::job::{Length, uri_of};
use crate::sync::lock;

/// Long enough for a cold network disk, short enough to be an answer.
const TIMEOUT: gst::ClockTime = gst::ClockTime::from_seconds(20);

/// Of streams whose packets say nothing of the whole.
const ESTIMATING: [&str; 5] = [
    "aacparse",
    "ac3parse",
    "amrparse",
    "dcaparse",
    "mpegaudioparse",
];

/// Lengths that are said; numbers that were never set are none, or look like centuries.
const RECORDINGS: std::ops::Range<gst::ClockTime> =
    gst::ClockTime::from_nseconds(1)..gst::ClockTime::from_seconds(366 * 24 * 60 * 60);

/// What an input is to the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Face,
    Speech,
}

/// What was found in an input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    pub kind: Kind,
    /// Container and codecs in words.
    pub format: String,
    pub duration: Length,
    pub video: Option<Video>,
    pub audio: Option<Audio>,
    /// How many tracks of picture there are, without covers, and how many of sound.
    pub videos: usize,
    pub sounds: usize,
    /// Of a video whose frames are known: milliseconds that frames last, and how many last so long.
    #[serde(default)]
    pub lasting: Vec<(u32, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Picture,
    Video,
    Sound,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Video {
    pub width: u32,
    pub height: u32,
    /// The mean where the rate varies; absent where it is not known, and for pictures.
    pub fps: Option<(u32, u32)>,
    /// Degrees clockwise by which the picture is to be turned.
    pub rotation: u32,
    /// As it is decoded.
    pub colour: Option<Colour>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audio {
    pub rate: u32,
    pub channels: u32,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Picture => "picture",
            Self::Video => "video",
            Self::Sound => "sound",
        }
    }
}

impl Probe {
    /// Whether it is a video that stands still.
    pub fn is_of_one_frame(&self) -> bool {
        matches!(self.lasting[..], [(_, 1)])
    }

    pub fn summary(&self, path: &Path) -> InputSummary {
        InputSummary {
            file: display(path),
            kind: self.kind.name().into(),
            format: self.format.clone(),
            duration_s: self.duration.known().map(seconds),
            width: self.video.map(|v| v.width),
            height: self.video.map(|v| v.height),
            fps: self.video.and_then(|v| v.fps).map(fps_of),
            rotation: self.video.map(|v| v.rotation),
            colour: self.video.and_then(|v| v.colour).map(|c| c.words()),
            sample_rate: self.audio.map(|a| a.rate),
            channels: self.audio.map(|a| a.channels),
        }
    }
}

/// Looks into a file and refuses what can't play its role.
pub fn probe(path: &Path, role: Role) -> Result<Probe, Failure> {
    probe_within(path, role, &Limits::default())
}

/// As [`probe`], with other limits.
pub fn probe_within(path: &Path, role: Role, limits: &Limits) -> Result<Probe, Failure> {
    look(path, role, limits).map_err(|failure| failure.file(path))
}

fn look(path: &Path, role: Role, limits: &Limits) -> Result<Probe, Failure> {
    let unreadable = |e| Failure::new(FailureKind::InputUnreadable).detail(e);
    match container::inspect(path).map_err(unreadable)? {
        Wholeness::Whole => {}
        Wholeness::Cut => {
            return Err(Failure::new(FailureKind::InputDamaged)
                .detail("it ends before its container says, or has lost its index"));
        }
        Wholeness::HeaderOnly => return Err(Failure::new(FailureKind::HeaderOnly)),
    }
    let head = format::head(path).map_err(unreadable)?;
    format::check(&head)?;
    if let Some((width, height)) = still::size(&head) {
        limits.check_size(width, height)?;
    }
    let index = mp4::Index::read(path).ok().flatten();
    if let Some(index) = &index {
        limits.check_streams(index.tracks())?;
        limits.check_frames(index.most_samples_of_a_picture())?;
    }
    let (probe, noticed) = discover(path, limits)?;
    let tracks = index.and_then(|index| index.timeline()).unwrap_or_default();
    let noted = noted::length(path).filter(|_| role == Role::Speech);
    let duration = match (
        noted.or_else(|| own_duration(&tracks, role)),
        probe.duration,
    ) {
        (Some(own), _) => Length::Known(own),
        (None, Length::Known(claimed)) => {
            Length::Known(claimed.saturating_sub(noticed.begins.unwrap_or_default()))
        }
        (None, other) => other,
    };
    let is_told =
        noted.is_some() || !tracks.is_empty() || (noticed.tells_length() && !noted::is_open(&head));
    let is_believed = length::is_believed(path, duration, is_told);
    let lacks_index = role == Role::Face && probe.kind == Kind::Video && tracks.is_empty();
    let read = (lacks_index || !is_believed).then(|| length::read(path, role));
    let read = read.flatten();
    let frames = match (
        &read,
        tracks.into_iter().find(|t| t.kind == mp4::Kind::Video),
    ) {
        (_, Some(track)) => track.frames,
        (Some(stream), None) if role == Role::Face => {
            let stays = stream.times.iter().zip(stream.stays());
            stays
                .map(|(shown, stays)| (shown.start, shown.start + stays))
                .collect()
        }
        _ => Vec::new(),
    };
    // A rate of one picture is GStreamer's guess.
    let is_still_gif = frames.len() == 1 && head.starts_with(b"GIF8");
    let duration = match is_believed {
        true => duration,
        false => length::of_stream(read.as_ref(), duration, is_told, limits.duration)?,
    };
    let probe = Probe {
        duration,
        video: probe.video.map(|video| {
            let video = measured(video, &frames);
            Video {
                colour: noticed.decoded,
                fps: video.fps.filter(|_| !is_still_gif),
                ..video
            }
        }),
        lasting: lasting(&frames),
        ..probe
    };
    if let Some(video) = probe.video {
        limits.check_size(video.width, video.height)?;
    }
    if let Some(audio) = probe.audio {
        check_sound(audio)?;
    }
    if let Some(duration) = probe.duration.known() {
        limits.check_duration(duration)?;
        if let Some(fps) = probe.video.and_then(|video| video.fps) {
            limits.check_frames((duration.as_secs_f64() * fps_of(fps)) as u64)?;
        }
    }
    check_role(&probe, role).map_err(Failure::new)?;
    Ok(probe)
}

/// Has GStreamer look into the file.
fn discover(path: &Path, limits: &Limits) -> Result<(Probe, Noticed), Failure> {
    let discoverer =
        Discoverer::new(TIMEOUT).map_err(|e| Failure::new(FailureKind::PluginMissing).detail(e))?;
    let noticed: Arc<Mutex<Noticed>> = Arc::default();
    guard(&discoverer, &noticed, limits);
    let probe = match discoverer.discover_uri(&uri_of(path)?) {
        Ok(info) if info.result() == DiscovererResult::Ok => Ok(read(&info)),
        Ok(info) => match discovery_failure(info.result(), None) {
            // A stream that nothing can decode does not matter if those that are needed were found.
            None => Ok(read(&info)),
            Some(failure) => {
                let missing = info.missing_elements_installer_details();
                let missing = missing.first();
                Err(missing.map_or(failure, |m| classify::missing_plugin(m)))
            }
        },
        Err(error) => Err(discovery_failure(DiscovererResult::Error, Some(&error))
            .unwrap_or(Failure::new(FailureKind::InputDamaged))),
    };
    let noticed = std::mem::take(&mut *lock(&noticed));
    if let Some(kind) = &noticed.playlist {
        return Err(Failure::new(FailureKind::NotMedia)
            .because(format_args!(
                "this is a playlist ({kind}), which names other files"
            ))
            .advice("Name the video, picture or sound file itself"));
    }
    limits.check_streams(noticed.streams)?;
    Ok((probe?, noticed))
}

/// What the discoverer does not tell.
#[derive(Default)]
struct Noticed {
    /// The type of a playlist, which was not opened.
    playlist: Option<String>,
    /// Colours of the picture, as they are decoded.
    decoded: Option<Colour>,
    /// How much of the claimed length is before the first frame.
    begins: Option<Duration>,
    /// That demuxers found.
    streams: u64,
    /// Whether there is a container that says how long it is, and not only a stream.
    has_container: bool,
    /// What parses the sound has only its bytes and their rate to go by.
    is_estimated: bool,
    /// A container that may say how long it is does not.
    lacks_length: bool,
}

impl Noticed {
    /// Whether the file says how long it is, so that GStreamer does not estimate it.
    fn tells_length(&self) -> bool {
        !self.lacks_length && (self.has_container || !self.is_estimated)
    }
}

/// Sees that the discoverer opens no other file, and decodes nothing too large: with its first frame it
/// would.
fn guard(discoverer: &Discoverer, noticed: &Arc<Mutex<Noticed>>, limits: &Limits) {
    let noticed = noticed.clone();
    let limits = *limits;
    discoverer.connect_source_setup(move |_, source| {
        let Some(decode) = source.parent().and_downcast::<gst::Element>() else {
            return;
        };
        let on_playlist = noticed.clone();
        decode::only_this_file(&decode, move |kind| {
            lock(&on_playlist).playlist = Some(kind.to_owned());
        });
        decode::limits::no_larger_than(&decode, limits.pixels);
        // How many there are is told when all are counted.
        decode::limits::no_more_streams_than(&decode, limits.streams, || {});
        decode::true_colours(&decode);
        decode::whole_movie(&decode);
        for demuxer in container::COUNTED_FROM_0 {
            let noticed = noticed.clone();
            decode::on_element(&decode, demuxer, move |demuxer| {
                let noticed = noticed.clone();
                demuxer.connect_pad_added(move |_, pad| note_begin(pad, &noticed));
            });
        }
        let on_elements = noticed.clone();
        decode::on_any_element(&decode, move |factory, element| {
            note_kind(factory, element, &on_elements);
        });
        let noticed = noticed.clone();
        decode.connect_pad_added(move |_, pad| {
            // Of several pictures in one file the first is the face.
            if let Some(colour) = pad.current_caps().and_then(|caps| Colour::of(&caps)) {
                lock(&noticed).decoded.get_or_insert(colour);
            }
        });
    });
}

/// Notes what an element says of the file by being there, and by the streams that it finds.
fn note_kind(factory: &gst::ElementFactory, element: &gst::Element, noticed: &Arc<Mutex<Noticed>>) {
    let klass = factory.metadata("klass").unwrap_or_default();
    if ESTIMATING.contains(&factory.name().as_str()) {
        lock(noticed).is_estimated = true;
    }
    // Tags before or behind a stream are no container.
    if !factory.has_type(gst::ElementFactoryType::DEMUXER) || klass.contains("Metadata") {
        return;
    }
    lock(noticed).has_container = true;
    let may_tell = container::WITH_CLAIM.contains(&factory.name().as_str());
    let noticed = noticed.clone();
    element.connect_pad_added(move |demuxer, _| {
        let claim = || demuxer.query_duration::<gst::ClockTime>();
        let tells = !may_tell || claim().is_some_and(|length| RECORDINGS.contains(&length));
        let mut noticed = lock(&noticed);
        noticed.streams += 1;
        noticed.lacks_length |= !tells;
    });
}

/// Notes where what comes out of a demuxer begins.
fn note_begin(pad: &gst::Pad, noticed: &Arc<Mutex<Noticed>>) {
    let noticed = noticed.clone();
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(gst::PadProbeData::Event(event)) = &info.data
            && let gst::EventView::Segment(segment) = event.view()
            && let Some(segment) = segment.segment().downcast_ref::<gst::ClockTime>()
            && let Some(start) = segment.start().map(Duration::from)
        {
            let mut noticed = lock(&noticed);
            let begins = noticed.begins.get_or_insert(start);
            *begins = start.min(*begins);
        }
        gst::PadProbeReturn::Ok
    });
}

/// The rate in a header is a claim. The frames tell how many there are; where they are not known, a rate that no
/// camera has is the unit in which the container counts time.
fn measured(video: Video, frames: &[(Duration, Duration)]) -> Video {
    const FASTEST: f64 = 480.0;
    let counted = match frames {
        [(begin, _), .., (_, end)] => {
            let thousandths = u32::try_from(frames.len().saturating_mul(1000)).ok();
            let millis = u32::try_from((*end - *begin).as_millis()).ok();
            thousandths.zip(millis.filter(|m| *m > 0))
        }
        _ => None,
    };
    let is_true = |claimed, counted| (fps_of(claimed) / fps_of(counted) - 1.0).abs() < 0.02;
    let fps = match (video.fps, counted) {
        // What is claimed is exact, where it is true.
        (Some(claimed), Some(counted)) if is_true(claimed, counted) => Some(claimed),
        (_, Some(counted)) => Some(counted),
        (claimed, None) => claimed.filter(|fps| fps_of(*fps) <= FASTEST),
    };
    Video { fps, ..video }
}

fn lasting(frames: &[(Duration, Duration)]) -> Vec<(u32, u32)> {
    let mut lasting = BTreeMap::new();
    for (begin, end) in frames {
        let millis = (end.saturating_sub(*begin).as_secs_f64() * 1000.0).round() as u32;
        *lasting.entry(millis).or_insert(0) += 1;
    }
    lasting.into_iter().collect()
}

/// How long the track lasts that plays the role: the file itself lasts as long as the longest, and from 0
/// on. Which of several sounds is heard is decided later.
fn own_duration(tracks: &[mp4::Shown], role: Role) -> Option<Duration> {
    let kind = match role {
        Role::Face => mp4::Kind::Video,
        Role::Speech => mp4::Kind::Audio,
    };
    let mut own = tracks.iter().filter(|t| t.kind == kind);
    let track = own.next().filter(|_| own.next().is_none())?;
    let ((begin, _), (_, end)) = (track.frames.first()?, track.frames.last()?);
    Some(*end - *begin)
}

/// Refuses what no sound has: to resample it would take for ever, or more memory than there is.
fn check_sound(audio: Audio) -> Result<(), Failure> {
    const RATES: RangeInclusive<u32> = 1000..=1_536_000;
    const MOST_CHANNELS: u32 = 256;
    if RATES.contains(&audio.rate) && audio.channels <= MOST_CHANNELS {
        return Ok(());
    }
    Err(Failure::new(FailureKind::InputDamaged).detail(format_args!(
        "it claims {} channels of {} samples a second",
        audio.channels, audio.rate
    )))
}

/// Whether the input has what its role needs.
fn check_role(probe: &Probe, role: Role) -> Result<(), FailureKind> {
    match role {
        Role::Face if probe.kind == Kind::Sound || probe.video.is_none() => {
            Err(FailureKind::NoPicture)
        }
        Role::Speech if probe.audio.is_none() => Err(FailureKind::NoSoundTrack),
        _ if probe.duration == Length::Known(Duration::ZERO) => Err(FailureKind::HeaderOnly),
        _ => Ok(()),
    }
}

fn discovery_failure(
    result: DiscovererResult,
    error: Option<&gst::glib::Error>,
) -> Option<Failure> {
    let failure = match (result, error) {
        (DiscovererResult::Ok | DiscovererResult::MissingPlugins, None) => return None,
        (DiscovererResult::Timeout, _) => Failure::new(FailureKind::InputUnreadable).detail(
            format_args!("it could not be read within {} s", TIMEOUT.seconds()),
        ),
        (_, Some(error)) => {
            let kind = match error.kind::<gst::StreamError>() {
                Some(gst::StreamError::TypeNotFound | gst::StreamError::WrongType) => {
                    FailureKind::NotMedia
                }
                Some(gst::StreamError::CodecNotFound) => FailureKind::PluginMissing,
                Some(_) => FailureKind::InputDamaged,
                None if error.is::<gst::ResourceError>() => FailureKind::InputUnreadable,
                None if error.is::<gst::CoreError>() => FailureKind::PluginMissing,
                None => FailureKind::InputDamaged,
            };
            Failure::new(kind).detail(error.message())
        }
        (_, None) => Failure::new(FailureKind::InputDamaged),
    };
    Some(failure)
}

fn read(info: &DiscovererInfo) -> Probe {
    let videos = info.video_streams();
    let audio = info.audio_streams().into_iter().next();
    // A cover in a sound file is a picture too, but not what the file is.
    let video = videos
        .iter()
        .find(|v| !v.is_image())
        .or_else(|| videos.first().filter(|_| audio.is_none()));
    let kind = match video {
        Some(video) if video.is_image() => Kind::Picture,
        Some(_) => Kind::Video,
        None if audio.is_some() => Kind::Sound,
        None => Kind::Picture,
    };
    let duration = match (kind, info.duration()) {
        (Kind::Picture, _) => Length::Endless,
        // Of a short transport stream GStreamer knows no more than that it is short.
        (Kind::Video, Some(gst::ClockTime::ZERO)) => Length::Unknown,
        (Kind::Sound, Some(gst::ClockTime::ZERO)) if is_transport_stream(info) => Length::Unknown,
        (_, Some(duration)) => Length::Known(duration.into()),
        (_, None) => Length::Unknown,
    };
    Probe {
        kind,
        format: describe(info),
        duration,
        videos: count(videos.iter().filter(|v| !v.is_image())),
        sounds: count(info.audio_streams().iter()),
        lasting: Vec::new(),
        video: video.map(|v| read_video(v, kind)),
        audio: audio.map(|a| Audio {
            rate: a.sample_rate(),
            channels: a.channels(),
        }),
    }
}

/// How many streams these are: one whose caps a parser has changed is there twice.
fn count<'a, T: IsA<DiscovererStreamInfo> + 'a>(streams: impl Iterator<Item = &'a T>) -> usize {
    let ids: Vec<_> = streams.map(|s| s.upcast_ref().stream_id()).collect();
    tracing::debug!("streams {ids:?}");
    // What comes of a parser may have none.
    let named: BTreeSet<_> = ids.iter().flatten().collect();
    named.len().max(usize::from(!ids.is_empty()))
}

fn is_transport_stream(info: &DiscovererInfo) -> bool {
    let caps = info.stream_info().and_then(|stream| stream.caps());
    caps.is_some_and(|caps| {
        caps.structure(0)
            .is_some_and(|s| s.name() == "video/mpegts")
    })
}

fn read_video(video: &DiscovererVideoInfo, kind: Kind) -> Video {
    let rate = video.framerate();
    let fps = match (u32::try_from(rate.numer()), u32::try_from(rate.denom())) {
        (Ok(numerator @ 1..), Ok(denominator @ 1..)) if kind == Kind::Video => {
            Some((numerator, denominator))
        }
        _ => None,
    };
    let orientation = video.tags().and_then(|tags| {
        tags.get::<gst::tags::ImageOrientation>()
            .map(|tag| tag.get().to_owned())
    });
    let rotation = orientation.as_deref().map_or(0, rotation_of);
    let (width, height) = match rotation {
        90 | 270 => (video.height(), video.width()),
        _ => (video.width(), video.height()),
    };
    Video {
        width,
        height,
        fps,
        rotation,
        colour: None,
    }
}

/// What people call a format of which GStreamer has no description.
fn name_of(caps: &gst::CapsRef) -> Option<&'static str> {
    match caps.structure(0)?.name().as_str() {
        "image/gst-libav-gif" => Some("GIF"),
        "image/heif" => Some("HEIC"),
        "image/avif" => Some("AVIF"),
        _ => None,
    }
}

fn describe(info: &DiscovererInfo) -> String {
    let mut parts = Vec::new();
    for stream in info.stream_list() {
        let Some(caps) = stream.caps() else { continue };
        if let Some(name) = name_of(&caps) {
            parts.push(name.to_owned());
        } else if caps.is_fixed() {
            parts.push(gst_pbutils::pb_utils_get_codec_description(&caps).to_string());
        } else if let Some(structure) = caps.structure(0) {
            parts.push(structure.name().to_string());
        }
    }
    parts.dedup();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe_of(kind: Kind, duration: Length) -> Probe {
        let video = Video {
            width: 4,
            height: 2,
            fps: None,
            rotation: 0,
            colour: None,
        };
        let audio = Audio {
            rate: 16000,
            channels: 1,
        };
        Probe {
            kind,
            format: String::new(),
            duration,
            video: (kind != Kind::Sound).then_some(video),
            audio: (kind == Kind::Sound).then_some(audio),
            videos: usize::from(kind == Kind::Video),
            sounds: usize::from(kind == Kind::Sound),
            lasting: Vec::new(),
        }
    }

    #[test]
    fn each_role_needs_its_stream() {
        let second = Length::Known(Duration::from_secs(1));
        let check = |kind, duration, role| check_role(&probe_of(kind, duration), role);
        assert_eq!(check(Kind::Video, second, Role::Face), Ok(()));
        assert_eq!(check(Kind::Picture, Length::Endless, Role::Face), Ok(()));
        assert_eq!(check(Kind::Sound, second, Role::Speech), Ok(()));
        assert_eq!(
            check(Kind::Sound, second, Role::Face),
            Err(FailureKind::NoPicture)
        );
        assert_eq!(
            check(Kind::Video, second, Role::Speech),
            Err(FailureKind::NoSoundTrack)
        );
        assert_eq!(
            check(Kind::Sound, Length::Known(Duration::ZERO), Role::Speech),
            Err(FailureKind::HeaderOnly)
        );
    }

    #[test]
    fn discovery_errors_have_kinds() {
        let kind = |error: gst::glib::Error| {
            discovery_failure(DiscovererResult::Error, Some(&error)).map(|f| f.kind)
        };
        let error = |e: gst::StreamError| gst::glib::Error::new(e, "said so");
        assert_eq!(
            kind(error(gst::StreamError::TypeNotFound)),
            Some(FailureKind::NotMedia)
        );
        assert_eq!(
            kind(error(gst::StreamError::Demux)),
            Some(FailureKind::InputDamaged)
        );
        assert_eq!(
            kind(gst::glib::Error::new(gst::ResourceError::Read, "said so")),
            Some(FailureKind::InputUnreadable)
        );
        assert_eq!(
            discovery_failure(DiscovererResult::MissingPlugins, None),
            None
        );
    }
}
