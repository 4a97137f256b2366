//! Several speakers in one picture, each with a pad of its own.

use std::sync::OnceLock;

use gst::prelude::*;
use gst_controller::prelude::*;
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
        let feed = |source: &gst_app::AppSrc, buffers: Vec<gst::Buffer>| {
            let source = source.clone();
            std::thread::spawn(move || {
                for buffer in buffers {
                    if source.push_buffer(buffer).is_err() {
                        return;
                    }
                }
                let _ = source.end_of_stream();
            })
        };
        let mut threads = vec![feed(&self.video, frames)];
        threads.extend(self.voices.iter().zip(speech).map(|(v, s)| feed(v, s)));
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

#[test]
fn each_face_follows_its_own_speech_and_not_the_others() {
    let both = played(
        "",
        &[("audio_0", voice(2.0, 1600)), ("audio_1", other_voice())],
    );
    let left = played("", &[("audio_0", voice(2.0, 1600))]);
    let right = played("", &[("audio_1", other_voice())]);
    let source = two();
    assert_eq!(both.len(), source.len());
    // Whoever has no speech stays as they are, to the bit, and whoever has does not see the other's.
    assert_eq!(changed(&left, source, false), 0);
    assert_eq!(changed(&right, source, true), 0);
    assert_eq!(changed(&both, &left, true), 0);
    assert_eq!(changed(&both, &right, false), 0);
    assert!(changed(&both, source, true) > 15);
    assert!(changed(&both, source, false) > 15);
    // The same seen by somebody who looks at the faces: swapped, the mouths swap what they do.
    let swapped = played(
        "",
        &[("audio_0", other_voice()), ("audio_1", voice(2.0, 1600))],
    );
    let ([a, b], [c, d]) = (openings(&both), openings(&swapped));
    for (own, other) in [
        (correlation(&a, &d), correlation(&a, &b)),
        (correlation(&b, &c), correlation(&c, &d)),
    ] {
        assert!(own > 0.8 && other < 0.4, "{own} {other}");
    }
}

#[test]
fn the_pads_say_whose_speech_they_are() {
    let track = track_of_the_left();
    for (properties, is_left) in [
        ("audio_3::position=0".to_string(), true),
        ("audio_3::position=1".to_string(), false),
        ("audio_3::position=-1".to_string(), false),
        ("audio_3::position=-2".to_string(), true),
        (format!("audio_3::position=1 audio_3::track={track}"), true),
    ] {
        let made = played(&properties, &[("audio_3", voice(2.0, 1600))]);
        assert!(changed(&made, two(), is_left) > 15, "{properties}");
        assert_eq!(changed(&made, two(), !is_left), 0, "{properties}");
    }
}

#[test]
fn the_pad_audio_speaks_for_all_whom_no_other_pad_speaks_for() {
    let speech = voice(2.0, 1600);
    let all = played("", &[("audio", speech.clone())]);
    assert!(changed(&all, two(), true) > 15 && changed(&all, two(), false) > 15);
    let shared = played("", &[("audio", speech), ("audio_1", vec![silence(2.0)])]);
    assert_eq!(changed(&shared, &all, true), 0);
    assert!(changed(&shared, &all, false) > 15);
}

#[test]
fn each_pad_has_its_strength_and_its_offset() {
    let pads = || [("audio_0", voice(2.0, 1600)), ("audio_1", voice(2.0, 1600))];
    let plain = played("", &pads());
    let other = played("audio_1::strength=0.3", &pads());
    assert_eq!(changed(&plain, &other, true), 0);
    assert!(changed(&plain, &other, false) > 15);
    let other = played("audio_0::audio-offset=120000000", &pads());
    assert!(changed(&plain, &other, true) > 15);
    assert_eq!(changed(&plain, &other, false), 0);
}

#[test]
fn a_generator_paints_each_with_their_own_speech_and_no_bystander() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/generator_8.onnx");
    let model = format!("model-file={model} batch-size=3");
    let made = played(&model, &[("audio_1", voice(2.0, 1600))]);
    assert_eq!(changed(&made, two(), true), 0);
    assert_eq!(changed(&made, two(), false), two().len());
    // Whoever speaks is lost for a while, and somebody else is there.
    let track = track_of_the_left();
    for (lost, whose) in [
        (0..12, format!("audio_0::track={track}")),
        (10..20, String::new()),
    ] {
        let stage = Stage::new(&format!("{model} {whose}"), &["audio_0"]);
        let frames = feed(|number, face| !is_left(face) || !lost.contains(&number));
        let made = stage.play(frames, vec![voice(2.0, 1600)]);
        assert_eq!(changed(&made, two(), false), 0, "{lost:?}");
        assert_eq!(changed(&made, two(), true), two().len() - lost.len());
    }
}

/// The id of the face on the left.
fn track_of_the_left() -> u32 {
    let faces = gstlipsync::roi::faces(two()[0].buffer().unwrap());
    faces.iter().find(|face| is_left(face)).unwrap().id
}

#[test]
fn a_generator_paints_no_bystander_while_the_chosen_face_is_not_found_yet() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/generator_8.onnx");
    // There is no third face, and the two have boxes alone.
    let text = format!(
        "appsrc name=v format=time ! facetrack face-select=index face-index=2 ! queue ! \
         lipsync name=l model-file={model} ! appsink name=s sync=false \
         audiotestsrc num-buffers=40 ! audio/x-raw,rate=16000 ! queue ! l.audio"
    );
    init();
    let pipeline = gst::parse::launch(&text).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    let source: gst_app::AppSrc = pipeline.by_name("v").unwrap().downcast().unwrap();
    let sink: gst_app::AppSink = pipeline.by_name("s").unwrap().downcast().unwrap();
    source.set_caps(two()[0].caps_owned().as_ref());
    pipeline.set_state(gst::State::Playing).unwrap();
    for frame in feed(|_, _| false).into_iter().take(8) {
        source.push_buffer(frame).unwrap();
    }
    source.end_of_stream().unwrap();
    let made: Vec<_> = std::iter::from_fn(|| sink.try_pull_sample(LIMIT)).collect();
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(made.len(), 8);
    for is_left in [true, false] {
        assert_eq!(changed(&made, &two()[..8], is_left), 0);
    }
}

#[test]
fn a_speech_that_ends_earlier_stops_nobody_and_the_longer_one_decides_the_end() {
    let pads = [("audio_0", voice(0.4, 1600)), ("audio_1", voice(1.0, 1600))];
    let made = played("end-mode=speech", &pads);
    assert_eq!(made.len(), 25);
    let late = &made[18..];
    assert!(changed(late, &two()[18..25], false) > 3);
    let made = played("", &pads);
    assert_eq!(made.len(), two().len());
}

#[test]
fn a_pad_that_is_released_takes_its_speech_along() {
    let stage = Stage::new("look-ahead=0", &["audio_0", "audio_1"]);
    stage.pipeline.set_state(gst::State::Playing).unwrap();
    let feeders: Vec<_> = stage
        .voices
        .iter()
        .map(|source| {
            let source = source.clone();
            std::thread::spawn(move || {
                for buffer in voice(3.0, 1600) {
                    if source.push_buffer(buffer).is_err() {
                        return;
                    }
                }
            })
        })
        .collect();
    let mut made = Vec::new();
    let frames = feed(all);
    let (first, second) = frames.split_at(15);
    for buffer in first {
        stage.video.push_buffer(buffer.clone()).unwrap();
        made.push(stage.sink.try_pull_sample(LIMIT).unwrap());
    }
    let pad = stage.lipsync.static_pad("audio_1").unwrap();
    stage.lipsync.release_request_pad(&pad);
    stage.voices[1].set_state(gst::State::Null).unwrap();
    assert!(stage.lipsync.static_pad("audio_1").is_none());
    for buffer in second {
        stage.video.push_buffer(buffer.clone()).unwrap();
        made.push(stage.sink.try_pull_sample(LIMIT).unwrap());
    }
    assert!(changed(&made[..15], &two()[..15], false) > 5);
    assert_eq!(changed(&made[15..], &two()[15..], false), 0);
    assert!(changed(&made[15..], &two()[15..], true) > 5);
    stage.pipeline.set_state(gst::State::Null).unwrap();
    feeders.into_iter().for_each(|f| f.join().unwrap());
}

#[test]
fn two_pads_for_one_face_are_told_and_the_first_one_speaks() {
    let stage = Stage::new("audio_1::position=0", &["audio_0", "audio_1"]);
    let made = stage.play(feed(all), vec![voice(2.0, 1600), other_voice()]);
    let told = stage.warnings();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("audio_0 and audio_1 speak for the same face"));
    let alone = played("", &[("audio_0", voice(2.0, 1600))]);
    assert_eq!(changed(&made, &alone, true), 0);
}

#[test]
fn what_each_pad_did_is_counted() {
    let stage = Stage::new("audio_1::track=999", &["audio_0", "audio_1"]);
    stage.pipeline.set_state(gst::State::Playing).unwrap();
    stage.play(feed(all), vec![voice(2.0, 1600), other_voice()]);
    let stats: gst::Structure = stage.lipsync.property("stats");
    assert_eq!(stats.get::<u64>("most-faces").unwrap(), 2);
    let speakers = stats.get::<gst::Array>("speakers").unwrap();
    let frames: Vec<(String, u64)> = speakers
        .iter()
        .map(|speaker| speaker.get::<gst::Structure>().unwrap())
        .map(|s| (s.get("pad").unwrap(), s.get("frames").unwrap()))
        .collect();
    let count = two().len() as u64;
    assert_eq!(frames, [("audio_0".into(), count), ("audio_1".into(), 0)]);
}

#[test]
fn a_pad_that_nobody_speaks_into_is_an_error() {
    let stage = Stage::new("", &["audio_0"]);
    let pad = stage.lipsync.request_pad_simple("audio_%u").unwrap();
    assert_eq!(pad.name(), "audio_1");
    assert_eq!(pad.property::<i32>("position"), 1);
    stage.pipeline.set_state(gst::State::Playing).unwrap();
    stage.video.push_buffer(feed(all).remove(0)).unwrap();
    let bus = stage.pipeline.bus().unwrap();
    let error = bus.timed_pop_filtered(LIMIT, &[gst::MessageType::Error]);
    let error = error.unwrap();
    let gst::MessageView::Error(error) = error.view() else {
        panic!("{error:?}");
    };
    let text = error.error().to_string();
    assert!(text.contains("Link its pad `audio_1`"), "{text}");
    stage.pipeline.set_state(gst::State::Null).unwrap();
}

#[test]
fn a_flush_of_one_speech_leaves_the_other() {
    let stage = Stage::new("look-ahead=0", &["audio_0"]);
    let queue = gst::ElementFactory::make("queue").build().unwrap();
    queue.set_property("max-size-buffers", 0u32);
    queue.set_property("max-size-time", 0u64);
    stage.pipeline.add(&queue).unwrap();
    queue
        .link_pads(None, &stage.lipsync, Some("audio_1"))
        .unwrap();
    stage.voices[0].set_max_buffers(0);
    stage.voices[0].set_max_bytes(0);
    stage.pipeline.set_state(gst::State::Playing).unwrap();
    for buffer in voice(2.0, 1600) {
        stage.voices[0].push_buffer(buffer).unwrap();
    }
    let sink = queue.static_pad("sink").unwrap();
    let segment = gst::event::Segment::new(&gst::FormattedSegment::<gst::ClockTime>::new());
    sink.send_event(gst::event::StreamStart::new("flushed"));
    sink.send_event(gst::event::Caps::new(&stage.voices[0].caps().unwrap()));
    sink.send_event(segment.clone());
    for buffer in voice(2.0, 1600) {
        sink.chain(buffer).unwrap();
    }
    let frames = feed(all);
    let next = |number: usize, wait: u64| {
        stage.video.push_buffer(frames[number].clone()).unwrap();
        stage
            .sink
            .try_pull_sample(gst::ClockTime::from_mseconds(wait))
    };
    let mut made = vec![next(0, 9000).expect("the first frame")];
    sink.send_event(gst::event::FlushStart::new());
    sink.send_event(gst::event::FlushStop::new(false));
    sink.send_event(segment);
    // What was said before the flush is gone.
    assert!(next(1, 500).is_none());
    for buffer in voice(2.0, 1600) {
        sink.chain(buffer).unwrap();
    }
    made.extend(stage.sink.try_pull_sample(LIMIT));
    made.extend((2..20).filter_map(|number| next(number, 9000)));
    stage.pipeline.set_state(gst::State::Null).unwrap();
    // And said again it is heard as if nothing had been.
    let pads = [("audio_0", voice(2.0, 1600)), ("audio_1", voice(2.0, 1600))];
    let plain = played("look-ahead=0", &pads);
    for is_left in [true, false] {
        assert_eq!(changed(&made, &plain[..20], is_left), 0);
    }
}

#[test]
fn a_seek_starts_all_voices_anew() {
    let stage = Stage::new("", &["audio_0", "audio_1"]);
    for source in stage.voices.iter().chain([&stage.video]) {
        source.set_stream_type(gst_app::AppStreamType::Seekable);
        source.set_max_buffers(200);
        source.set_max_bytes(0);
        source.set_callbacks(
            gst_app::AppSrcCallbacks::builder()
                .seek_data(|_, _| true)
                .build(),
        );
    }
    stage.pipeline.set_state(gst::State::Playing).unwrap();
    let speech = || [voice(2.0, 1600), other_voice()];
    let say = |frames: &[gst::Buffer]| {
        for buffer in frames {
            stage.video.push_buffer(buffer.clone()).unwrap();
        }
        for (source, speech) in stage.voices.iter().zip(speech()) {
            for buffer in speech {
                source.push_buffer(buffer).unwrap();
            }
        }
    };
    let frames = feed(all);
    say(&frames[..10]);
    assert!(stage.sink.try_pull_sample(LIMIT).is_some());
    let seek = stage
        .pipeline
        .seek_simple(gst::SeekFlags::FLUSH, gst::ClockTime::ZERO);
    seek.unwrap();
    say(&frames);
    for source in stage.voices.iter().chain([&stage.video]) {
        source.end_of_stream().unwrap();
    }
    let made: Vec<_> = std::iter::from_fn(|| stage.sink.try_pull_sample(LIMIT)).collect();
    assert!(stage.sink.is_eos());
    stage.pipeline.set_state(gst::State::Null).unwrap();
    let times: Vec<_> = made.iter().map(|s| s.buffer().unwrap().pts()).collect();
    let expected: Vec<_> = (0..frames.len() as u64).map(|n| Some(FRAME * n)).collect();
    assert_eq!(times, expected);
    for is_left in [true, false] {
        assert!(changed(&made, two(), is_left) > 15);
    }
}

#[test]
fn a_speech_that_is_late_keeps_nobody_else_from_being_heard() {
    let stage = Stage::new("look-ahead=0", &["audio_0", "audio_1"]);
    let clock = gst_check::TestClock::new();
    stage.pipeline.use_clock(Some(&clock));
    for source in stage.voices.iter().chain([&stage.video]) {
        source.set_is_live(true);
        source.set_max_buffers(0);
        source.set_max_bytes(0);
    }
    stage.pipeline.set_state(gst::State::Playing).unwrap();
    // The second one stays away after half a second.
    for (source, seconds) in stage.voices.iter().zip([2.0, 0.5]) {
        for buffer in voice(seconds, 1600) {
            source.push_buffer(buffer).unwrap();
        }
    }
    let mut made = Vec::new();
    for frame in feed(all) {
        let time = frame.pts().unwrap();
        stage.video.push_buffer(frame).unwrap();
        // The first one waits for the model, too.
        let wait = if made.is_empty() { 9000 } else { 400 };
        let wait = gst::ClockTime::from_mseconds(wait);
        let mut sample = stage.sink.try_pull_sample(wait);
        let begun = std::time::Instant::now();
        while sample.is_none() {
            assert!(begun.elapsed().as_secs() < 9, "no frame at {time}");
            clock.set_time(clock.time().max(time + gst::ClockTime::from_mseconds(400)));
            while clock
                .next_entry_time()
                .is_some_and(|entry| entry <= clock.time())
            {
                clock.process_next_clock_id();
            }
            sample = stage.sink.try_pull_sample(gst::ClockTime::from_mseconds(5));
        }
        made.extend(sample);
    }
    let stats: gst::Structure = stage.lipsync.property("stats");
    let late: u64 = stats.get("frames-without-speech").unwrap();
    stage.pipeline.set_state(gst::State::Null).unwrap();
    assert!((15..25).contains(&late), "{late}");
    let pads = [("audio_0", voice(2.0, 1600)), ("audio_1", voice(2.0, 1600))];
    let plain = played("look-ahead=0", &pads);
    assert_eq!(changed(&made, &plain, true), 0);
    assert!(changed(&made, &plain, false) > 5);
}

#[test]
fn an_earlier_mouth_on_one_pad_is_in_the_latency() {
    let latency = |properties: &str| {
        let stage = Stage::new(properties, &["audio_0", "audio_1"]);
        stage.pipeline.set_state(gst::State::Playing).unwrap();
        for voice in &stage.voices {
            voice.push_buffer(silence(1.0)).unwrap();
            voice.end_of_stream().unwrap();
        }
        stage.video.set_max_buffers(0);
        for frame in &feed(all)[..10] {
            stage.video.push_buffer(frame.clone()).unwrap();
        }
        assert!(stage.sink.try_pull_sample(LIMIT).is_some());
        let mut query = gst::query::Latency::new();
        assert!(stage.lipsync.static_pad("src").unwrap().query(&mut query));
        stage.pipeline.set_state(gst::State::Null).unwrap();
        query.result().1.nseconds()
    };
    let plain = latency("");
    assert_eq!(
        latency("audio_1::audio-offset=-300000000"),
        plain + 300_000_000
    );
    assert_eq!(latency("audio_1::audio-offset=300000000"), plain);
}

/// The man of the clip and, beside him, the woman of the portrait, with a picture of each.
fn a_pair() -> (Vec<gst::Sample>, tempfile::TempDir) {
    init();
    let media = |name: &str| {
        let path = gstlipsync::runtime::data_dir().join("media").join(name);
        gst::glib::filename_to_uri(path, None).unwrap()
    };
    let (clip, portrait) = (media("cap13_edit2.mp4"), media("astronaut.png"));
    let folder = tempfile::tempdir().unwrap();
    let run = |text: String| {
        let pipeline = gst::parse::launch(&text).unwrap();
        let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let mut made = Vec::new();
        match pipeline.by_name("s") {
            Some(sink) => {
                let sink: gst_app::AppSink = sink.downcast().unwrap();
                made.extend(std::iter::from_fn(|| sink.try_pull_sample(LIMIT)));
            }
            None => {
                let end = [gst::MessageType::Eos, gst::MessageType::Error];
                let end = pipeline.bus().unwrap().timed_pop_filtered(LIMIT, &end);
                assert_eq!(end.unwrap().type_(), gst::MessageType::Eos);
            }
        }
        pipeline.set_state(gst::State::Null).unwrap();
        made
    };
    let file = |name: &str| folder.path().join(name).display().to_string();
    // Not of the frames that are shown.
    run(format!(
        "facesource uri={clip} ! identity eos-after=61 ! videoconvert ! pngenc snapshot=false ! \
         multifilesink max-files=1 location={}",
        file("man.png")
    ));
    run(format!(
        "facesource uri={portrait} loop-mode=hold ! identity eos-after=2 ! videoconvert ! pngenc ! filesink location={}",
        file("woman.png")
    ));
    run(format!(
        "videotestsrc num-buffers=1 ! pngenc ! filesink location={}",
        file("nobody.png")
    ));
    let frames = run(format!(
        "facesource uri={clip} ! videoconvert ! video/x-raw,format=I420 ! identity eos-after=21 ! c. \
         facesource uri={portrait} loop-mode=hold ! videoconvert ! videoscale ! \
         video/x-raw,format=I420,width=300,height=300 ! identity eos-after=21 ! c.sink_1 \
         compositor name=c sink_1::xpos=450 ! video/x-raw,format=I420,width=800,height=300 ! \
         facetrack max-faces=2 face-select=leftmost ! appsink name=s sync=false"
    ));
    assert_eq!(frames.len(), 20);
    (frames, folder)
}

#[test]
fn whoever_looks_like_the_picture_speaks() {
    let (frames, folder) = a_pair();
    let play = |picture: &str| {
        let path = folder.path().join(picture);
        let stage = Stage::new(
            &format!("audio_0::picture={}", path.display()),
            &["audio_0"],
        );
        let fed = frames.iter().map(|s| s.buffer_owned().unwrap()).collect();
        stage.play(fed, vec![voice(2.0, 1600)])
    };
    for (picture, is_left) in [("man.png", true), ("woman.png", false)] {
        let made = play(picture);
        assert!(changed(&made, &frames, is_left) > 10, "{picture}");
        assert_eq!(changed(&made, &frames, !is_left), 0, "{picture}");
    }
    // Who is not in the picture does not speak, and a picture without a face is an error.
    let alone = feed(|_, face| is_left(face));
    let woman = folder.path().join("woman.png");
    let stage = Stage::new(
        &format!("audio_0::picture={}", woman.display()),
        &["audio_0"],
    );
    let made = stage.play(alone, vec![voice(2.0, 1600)]);
    assert_eq!(changed(&made, two(), true), 0);
    let nobody = folder.path().join("nobody.png");
    let stage = Stage::new(
        &format!("audio_0::picture={}", nobody.display()),
        &["audio_0"],
    );
    stage.pipeline.set_state(gst::State::Playing).unwrap();
    stage.video.push_buffer(feed(all).remove(0)).unwrap();
    stage.voices[0].push_buffer(silence(1.0)).unwrap();
    let bus = stage.pipeline.bus().unwrap();
    let error = bus.timed_pop_filtered(LIMIT, &[gst::MessageType::Error]);
    let error = error.expect("an error");
    let gst::MessageView::Error(error) = error.view() else {
        panic!("{error:?}");
    };
    let details = error.details().unwrap();
    assert_eq!(details.get::<&str>("kind").unwrap(), "picture-without-face");
    assert!(details.get::<&str>("path").unwrap().ends_with("nobody.png"));
    stage.pipeline.set_state(gst::State::Null).unwrap();
}

#[test]
fn what_is_controlled_changes_at_the_frame() {
    let control = |object: &gst::Object, property: &str, points: &[(u64, f64)]| {
        let source = gst_controller::InterpolationControlSource::new();
        source.set_mode(gst_controller::InterpolationMode::None);
        for (ms, value) in points {
            source.set(gst::ClockTime::from_mseconds(*ms), *value);
        }
        let binding = gst_controller::DirectControlBinding::new_absolute(object, property, &source);
        object.add_control_binding(&binding).unwrap();
    };
    let speech = || vec![voice(2.0, 1600), voice(2.0, 1600)];
    let pads = ["audio", "audio_1"];
    let play = |setup: &dyn Fn(&Stage)| {
        let stage = Stage::new("look-ahead=0", &pads);
        setup(&stage);
        stage.play(feed(all), speech())
    };
    let plain = play(&|_| {});
    // From 600 ms on the element's strength is less, and from 400 ms on that of the pad.
    let made = play(&|stage| {
        control(
            stage.lipsync.upcast_ref(),
            "strength",
            &[(0, 1.0), (600, 0.2)],
        );
        let pad = stage.lipsync.static_pad("audio_1").unwrap();
        control(pad.upcast_ref(), "strength", &[(0, 1.0), (400, 0.2)]);
    });
    for (is_left, frame) in [(true, 15), (false, 10)] {
        assert_eq!(changed(&made[..frame], &plain[..frame], is_left), 0);
        assert!(changed(&made[frame..], &plain[frame..], is_left) > 5);
    }
    let made = play(&|stage| {
        control(
            stage.lipsync.upcast_ref(),
            "passthrough",
            &[(0, 0.0), (480, 1.0)],
        );
    });
    for is_left in [true, false] {
        assert_eq!(changed(&made[..12], &plain[..12], is_left), 0);
        assert_eq!(changed(&made[12..], &two()[12..], is_left), 0);
    }
    let made = play(&|stage| {
        let offset = 0.1e9;
        control(
            stage.lipsync.upcast_ref(),
            "audio-offset",
            &[(0, 0.0), (400, offset)],
        );
    });
    assert_eq!(changed(&made[..10], &plain[..10], true), 0);
    assert!(changed(&made[10..], &plain[10..], true) > 5);
    assert_eq!(changed(&made, &plain, false), 0);
}
