//! The element between four pads of ours.

use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gst::ClockTime;
use gst::prelude::*;

pub const MS: ClockTime = ClockTime::MSECOND;
pub const ZERO: ClockTime = ClockTime::ZERO;
pub const LIMIT: Duration = Duration::from_secs(10);
/// Where nothing more is expected to happen.
pub const SETTLE: Duration = Duration::from_millis(100);

/// What one side sends.
#[derive(Clone)]
pub enum Item {
    Caps(gst::Caps),
    Segment(gst::FormattedSegment<ClockTime>),
    /// PTS and duration.
    Frame(ClockTime, Option<ClockTime>),
    /// PTS and samples.
    Sound(ClockTime, Vec<i16>),
    Gap(ClockTime, ClockTime),
    Eos,
}

use Item::*;

pub fn init() {
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
}

pub fn segment(start: ClockTime, base: ClockTime) -> Item {
    init();
    let mut segment = gst::FormattedSegment::new();
    segment.set_start(start);
    segment.set_time(start);
    segment.set_base(base);
    Segment(segment)
}

pub fn video_caps() -> Item {
    init();
    Caps(
        gst_video::VideoCapsBuilder::new()
            .format(gst_video::VideoFormat::Gray8)
            .width(4)
            .height(4)
            .framerate(gst::Fraction::new(25, 1))
            .build(),
    )
}

pub fn sound_caps(rate: u64) -> Item {
    init();
    let info = gst_audio::AudioInfo::builder(gst_audio::AUDIO_FORMAT_S16, rate as u32, 1);
    Caps(info.build().unwrap().to_caps().unwrap())
}

/// A picture of `n` frames of 40 ms, without its end.
pub fn frames(n: u64) -> Vec<Item> {
    let mut items = vec![video_caps(), segment(ZERO, ZERO)];
    items.extend((0..n).map(|n| Frame(n * 40 * MS, Some(40 * MS))));
    items
}

/// Sound at 8 kHz, without its end: consecutive numbers from 1, in buffers of 20 ms.
pub fn sound(buffers: u64) -> Vec<Item> {
    let mut items = vec![sound_caps(8000), segment(ZERO, ZERO)];
    items.extend((0..buffers).map(|n| Sound(n * 20 * MS, count(n as usize * 160, 160))));
    items
}

/// `n` samples that count on from `before`.
pub fn count(before: usize, n: usize) -> Vec<i16> {
    (before + 1..=before + n).map(|v| v as i16).collect()
}

/// Says where two sounds differ, and not all they have.
#[track_caller]
pub fn same(found: &[i16], expected: &[i16]) {
    let differs = found.iter().zip(expected).position(|(a, b)| a != b);
    if let Some(at) = differs {
        let end = |s: &[i16]| s[at..s.len().min(at + 4)].to_vec();
        panic!("sample {at}: {:?}, not {:?}", end(found), end(expected));
    }
    assert_eq!(found.len(), expected.len());
}

pub enum Out {
    Buffer(gst::Buffer),
    Event(gst::Event),
}

/// The element between four pads of ours, each side fed by a thread of its own.
pub struct Bench {
    pub fit: gst::Element,
    pub video: gst::Pad,
    pub sound: gst::Pad,
    pub sinks: [gst::Pad; 2],
    pub from_video: Receiver<Out>,
    pub from_sound: Receiver<Out>,
}

pub type Sending = JoinHandle<Result<(), gst::FlowError>>;

impl Bench {
    pub fn new() -> Self {
        Self::with_video_sink(Ok(gst::FlowSuccess::Ok))
    }

    pub fn with_video_sink(result: Result<gst::FlowSuccess, gst::FlowError>) -> Self {
        init();
        let fit = gst::ElementFactory::make("soundfit").build().unwrap();
        let sink = |name: &str, result| {
            let (buffers, receiver) = channel();
            let events = buffers.clone();
            let any = gst::Caps::new_any();
            let (sink, always) = (gst::PadDirection::Sink, gst::PadPresence::Always);
            let template = gst::PadTemplate::new("sink", sink, always, &any).unwrap();
            let pad = gst::Pad::builder_from_template(&template)
                .chain_function(move |_, _, buffer| {
                    let _ = buffers.send(Out::Buffer(buffer));
                    result
                })
                .event_function(move |_, _, event| {
                    let _ = events.send(Out::Event(event));
                    true
                })
                .build();
            fit.static_pad(name).unwrap().link(&pad).unwrap();
            pad.set_active(true).unwrap();
            (pad, receiver)
        };
        let (video_sink, from_video) = sink("video_src", result);
        let (sound_sink, from_sound) = sink("sound_src", Ok(gst::FlowSuccess::Ok));
        fit.set_state(gst::State::Playing).unwrap();
        let source = |name: &str, duration: ClockTime, latency: ClockTime| {
            let pad = gst::Pad::builder(gst::PadDirection::Src)
                .query_function(move |pad, parent, query| match query.view_mut() {
                    gst::QueryViewMut::Duration(q) => {
                        q.set(duration);
                        true
                    }
                    gst::QueryViewMut::Latency(q) => {
                        q.set(true, latency, ClockTime::NONE);
                        true
                    }
                    _ => gst::Pad::query_default(pad, parent, query),
                })
                .build();
            pad.link(&fit.static_pad(name).unwrap()).unwrap();
            pad.set_active(true).unwrap();
            pad.push_event(gst::event::StreamStart::new(name));
            pad
        };
        Self {
            video: source("video", 3000 * MS, 100 * MS),
            sound: source("sound", 9000 * MS, 20 * MS),
            sinks: [video_sink, sound_sink],
            from_video,
            from_sound,
            fit,
        }
    }

    /// Sends in a thread of its own, which gives the last result of a push.
    pub fn send(pad: &gst::Pad, items: &[Item]) -> Sending {
        let (pad, items) = (pad.clone(), items.to_vec());
        std::thread::spawn(move || items.into_iter().try_for_each(|item| push(&pad, item)))
    }

    pub fn video(&self, items: &[Item]) -> Sending {
        Self::send(&self.video, items)
    }

    pub fn sound(&self, items: &[Item]) -> Sending {
        Self::send(&self.sound, items)
    }

    /// The whole sound up to EOS, after checks that nothing is missing, doubled or mistimed.
    pub fn track(&self, rate: u64) -> Track {
        let mut track = Track::default();
        let until = Instant::now() + LIMIT;
        while !track.eos {
            let left = until.saturating_duration_since(Instant::now());
            let out = self.from_sound.recv_timeout(left);
            track.take(out.expect("the sound goes on"), rate);
        }
        // Nothing comes after EOS.
        assert!(self.from_sound.try_recv().is_err());
        track
    }

    /// What came until now.
    pub fn track_so_far(&self, rate: u64) -> Track {
        std::thread::sleep(SETTLE);
        let mut track = Track::default();
        for out in self.from_sound.try_iter() {
            track.take(out, rate);
        }
        track
    }

    /// Both sides at once, up to the end of the sound.
    pub fn run(video: &[Item], sound: &[Item], rate: u64) -> Track {
        let bench = Self::new();
        let threads = [bench.video(video), bench.sound(sound)];
        let track = bench.track(rate);
        for thread in threads {
            let result = thread.join().unwrap();
            assert!(
                matches!(result, Ok(()) | Err(gst::FlowError::Eos)),
                "{result:?}"
            );
        }
        let sent = video.iter().filter(|i| matches!(i, Frame(..))).count();
        let out = bench.from_video.try_iter();
        assert_eq!(out.filter(|o| matches!(o, Out::Buffer(_))).count(), sent);
        track
    }
}

pub fn push(pad: &gst::Pad, item: Item) -> Result<(), gst::FlowError> {
    let buffer = |bytes: Vec<u8>, pts, duration| {
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        buffer.make_mut().set_pts(Some(pts));
        buffer.make_mut().set_duration(duration);
        buffer
    };
    match item {
        Caps(caps) => drop(pad.push_event(gst::event::Caps::new(&caps))),
        Segment(segment) => drop(pad.push_event(gst::event::Segment::new(&segment))),
        Gap(start, duration) => {
            pad.push_event(gst::event::Gap::builder(start).duration(duration).build());
        }
        Eos => drop(pad.push_event(gst::event::Eos::new())),
        Frame(pts, duration) => drop(pad.push(buffer(vec![0; 16], pts, duration))?),
        Sound(pts, samples) => {
            let bytes = samples.iter().flat_map(|s| s.to_ne_bytes()).collect();
            pad.push(buffer(bytes, pts, None))?;
        }
    }
    Ok(())
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.fit.set_state(gst::State::Null).unwrap();
        for pad in [&self.video, &self.sound].into_iter().chain(&self.sinks) {
            pad.set_active(false).unwrap();
        }
    }
}

/// What came out of the sound pad.
#[derive(Default)]
pub struct Track {
    pub samples: Vec<i16>,
    pub segment: Option<gst::FormattedSegment<ClockTime>>,
    pub eos: bool,
}

impl Track {
    pub fn take(&mut self, out: Out, rate: u64) {
        let buffer = match out {
            Out::Event(event) => {
                match event.view() {
                    gst::EventView::Eos(_) => self.eos = true,
                    gst::EventView::Segment(s) => {
                        assert!(self.segment.is_none(), "a second segment");
                        self.segment = s.segment().downcast_ref().cloned();
                    }
                    _ => (),
                }
                return;
            }
            Out::Buffer(buffer) => buffer,
        };
        let segment = self.segment.as_ref().expect("a segment before sound");
        let start = segment.start().unwrap();
        let at = |samples: usize| {
            let second = ClockTime::SECOND;
            start + second.mul_div_floor(samples as u64, rate).unwrap()
        };
        assert_eq!(buffer.pts(), Some(at(self.samples.len())));
        let discont = buffer.flags().contains(gst::BufferFlags::DISCONT);
        assert_eq!(discont, self.samples.is_empty());
        let map = buffer.map_readable().unwrap();
        let samples = map
            .chunks_exact(2)
            .map(|s| i16::from_ne_bytes([s[0], s[1]]));
        self.samples.extend(samples);
        let end = buffer.pts().zip(buffer.duration()).map(|(pts, d)| pts + d);
        assert_eq!(end, Some(at(self.samples.len())));
    }
}

pub fn with_end(mut items: Vec<Item>) -> Vec<Item> {
    items.push(Eos);
    items
}
