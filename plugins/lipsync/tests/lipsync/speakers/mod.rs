//! Several speakers in one picture, each with a pad of its own.

mod generators;
mod pads;
mod streams;
mod whose;

use std::sync::OnceLock;

use gst::prelude::*;
use gstlipsync::face::Face;

use crate::rig::*;

/// Two people beside each other, with their faces on the frames: the real clip twice.
fn two() -> &'static [gst::Sample] {
    static FRAMES: OnceLock<Vec<gst::Sample>> = OnceLock::new();
    FRAMES.get_or_init(|| {
        init();
        let clip = gstlipsync::runtime::data_dir().join("media/cap13_edit2.mp4");
        let uri = gst::glib::filename_to_uri(clip, None).unwrap();
        let text = format!(
            "facesource uri={uri} ! videoconvert ! video/x-raw,format=I420 ! identity eos-after=31 ! \
             tee name=t \
             t. ! queue ! c.sink_0  t. ! queue ! c.sink_1 \
             compositor name=c sink_1::xpos=400 ! video/x-raw,format=I420,width=800,height=300 ! \
             facetrack max-faces=2 face-select=leftmost ! appsink name=s sync=false"
        );
        let pipeline = gst::parse::launch(&text).unwrap();
        let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
        let sink: gst_app::AppSink = pipeline.by_name("s").unwrap().downcast().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let frames: Vec<_> = std::iter::from_fn(|| sink.try_pull_sample(LIMIT)).collect();
        pipeline.set_state(gst::State::Null).unwrap();
        assert!(frames.len() >= 30, "{}", frames.len());
        for frame in &frames {
            assert_eq!(gstlipsync::roi::faces(frame.buffer().unwrap()).len(), 2);
        }
        frames
    })
}

/// The frames to feed, with the faces that `keep` leaves on them.
fn feed(keep: impl Fn(usize, &Face) -> bool) -> Vec<gst::Buffer> {
    let info = gst_video::VideoInfo::from_caps(two()[0].caps().unwrap()).unwrap();
    let frames = two().iter().enumerate();
    frames
        .map(|(number, sample)| {
            let mut faces = gstlipsync::roi::faces(sample.buffer().unwrap());
            faces.retain(|face| keep(number, face));
            let mut buffer = gst::Buffer::from_mut_slice(bytes(sample));
            let writable = buffer.get_mut().unwrap();
            writable.set_pts(FRAME * number as u64);
            writable.set_duration(FRAME);
            gstlipsync::roi::attach(writable, &faces, &info);
            buffer
        })
        .collect()
}

fn all(_: usize, _: &Face) -> bool {
    true
}

fn is_left(face: &Face) -> bool {
    face.bounds.x < 400.0
}

fn track_of_the_left() -> u32 {
    let faces = gstlipsync::roi::faces(two()[0].buffer().unwrap());
    faces.iter().find(|face| is_left(face)).unwrap().id
}

/// `lipsync` with speech on the pads of these names.
struct Stage {
    pipeline: gst::Pipeline,
    lipsync: gst::Element,
    video: gst_app::AppSrc,
    sink: gst_app::AppSink,
    voices: Vec<gst_app::AppSrc>,
}

impl Stage {
    fn new(properties: &str, pads: &[&str]) -> Self {
        init();
        let mut text = format!(
            "appsrc name=v format=time max-buffers=4 block=true ! lipsync name=l {properties} ! \
             appsink name=s sync=false max-buffers=0"
        );
        for pad in pads {
            text += &format!(" appsrc name={pad} format=time max-buffers=4 block=true ! l.{pad}");
        }
        let pipeline = gst::parse::launch(&text).unwrap();
        let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
        pipeline.set_auto_flush_bus(false);
        let source =
            |name: &str| -> gst_app::AppSrc { pipeline.by_name(name).unwrap().downcast().unwrap() };
        let voices: Vec<_> = pads.iter().map(|pad| source(pad)).collect();
        let caps = gst_audio::AudioCapsBuilder::new_interleaved()
            .format(gst_audio::AUDIO_FORMAT_F32)
            .rate(16_000)
            .channels(1)
            .build();
        for voice in &voices {
            voice.set_caps(Some(&caps));
        }
        let video = source("v");
        video.set_caps(two()[0].caps_owned().as_ref());
        Self {
            lipsync: pipeline.by_name("l").unwrap(),
            sink: pipeline.by_name("s").unwrap().downcast().unwrap(),
            video,
            voices,
            pipeline,
        }
    }

    /// Plays all to the end.
    fn play(&self, frames: Vec<gst::Buffer>, speech: Vec<Vec<gst::Buffer>>) -> Vec<gst::Sample> {
        self.pipeline.set_state(gst::State::Playing).unwrap();
        let mut threads = vec![feed_all(&self.video, frames)];
        threads.extend(self.voices.iter().zip(speech).map(|(v, s)| feed_all(v, s)));
        let made: Vec<_> = std::iter::from_fn(|| self.sink.try_pull_sample(LIMIT)).collect();
        assert!(self.sink.is_eos(), "stalled after {} frames", made.len());
        self.pipeline.set_state(gst::State::Null).unwrap();
        for thread in threads {
            thread.join().unwrap();
        }
        made
    }

    fn warnings(&self) -> Vec<String> {
        let bus = self.pipeline.bus().unwrap();
        let messages = std::iter::from_fn(|| bus.pop_filtered(&[gst::MessageType::Warning]));
        let texts = messages.filter_map(|message| match message.view() {
            gst::MessageView::Warning(warning) => Some(warning.error().to_string()),
            _ => None,
        });
        texts.collect()
    }
}

fn played(properties: &str, pads: &[(&str, Vec<gst::Buffer>)]) -> Vec<gst::Sample> {
    let (names, speech): (Vec<&str>, Vec<_>) = pads.iter().cloned().unzip();
    Stage::new(properties, &names).play(feed(all), speech)
}

/// One half of the first plane.
fn half(sample: &gst::Sample, is_left: bool) -> Vec<u8> {
    let rows = bytes(sample);
    let from = if is_left { 0 } else { 400 };
    let rows = rows.chunks(800).take(300);
    rows.flat_map(|row| row[from..from + 400].to_vec())
        .collect()
}

/// How many of the frames differ in that half.
fn changed(a: &[gst::Sample], b: &[gst::Sample], is_left: bool) -> usize {
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().zip(b);
    pairs
        .filter(|(a, b)| half(a, is_left) != half(b, is_left))
        .count()
}

/// A voice whose syllables begin later than those of [`voice`].
fn other_voice() -> Vec<gst::Buffer> {
    let mut buffers = vec![silence(0.35)];
    buffers.extend(voice(1.7, 1600).into_iter().map(|mut buffer| {
        let writable = buffer.make_mut();
        writable.set_pts(writable.pts().unwrap() + gst::ClockTime::from_mseconds(350));
        buffer
    }));
    buffers
}

fn silence(seconds: f64) -> gst::Buffer {
    let samples = (seconds * 16_000.0) as usize;
    let mut buffer = gst::Buffer::from_mut_slice(vec![0; 4 * samples]);
    let writable = buffer.get_mut().unwrap();
    writable.set_pts(gst::ClockTime::ZERO);
    writable.set_duration(gst::ClockTime::from_nseconds((seconds * 1e9) as u64));
    buffer
}

/// How far the mouths of both faces are open, frame by frame, as `facetrack` sees them.
fn openings(samples: &[gst::Sample]) -> [Vec<f32>; 2] {
    let mut h = gst_check::Harness::new_parse("facetrack max-faces=2 smooth=false");
    h.set_src_caps(samples[0].caps_owned().unwrap());
    let mut openings = [Vec::new(), Vec::new()];
    for sample in samples {
        let mut buffer = gst::Buffer::from_mut_slice(bytes(sample));
        buffer
            .get_mut()
            .unwrap()
            .set_pts(sample.buffer().unwrap().pts());
        let seen = h.push_and_pull(buffer).unwrap();
        for face in gstlipsync::roi::faces(&seen) {
            let points = &face.mesh.as_ref().unwrap().0;
            let apart = |a: usize, b: usize| {
                (points[a][0] - points[b][0]).hypot(points[a][1] - points[b][1])
            };
            let side = usize::from(!is_left(&face));
            openings[side].push(apart(13, 14) / apart(33, 263));
        }
    }
    openings
}

fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let mean = |v: &[f32]| v.iter().sum::<f32>() / v.len() as f32;
    let (ma, mb) = (mean(a), mean(b));
    let product = |f: &dyn Fn(f32, f32) -> f32| -> f32 {
        a.iter().zip(b).map(|(a, b)| f(a - ma, b - mb)).sum()
    };
    product(&|a, b| a * b) / (product(&|a, _| a * a) * product(&|_, b| b * b)).sqrt()
}
