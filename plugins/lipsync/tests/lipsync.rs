//! `lipsync` in small pipelines: what goes in comes out, whatever the streams do.

use std::time::Duration;

use gst::prelude::*;

const FRAME: gst::ClockTime = gst::ClockTime::from_mseconds(40);
const LIMIT: gst::ClockTime = gst::ClockTime::from_seconds(20);

fn init() {
    use std::sync::Once;
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        gst::init().unwrap();
        gstlipsync::plugin_register_static().unwrap();
    });
}

/// A pipeline of two application sources, `lipsync` and an application sink.
struct Rig {
    pipeline: gst::Pipeline,
    lipsync: gst::Element,
    video: gst_app::AppSrc,
    audio: gst_app::AppSrc,
    sink: gst_app::AppSink,
}

fn caps(width: i32) -> gst::Caps {
    gst_video::VideoCapsBuilder::new()
        .format(gst_video::VideoFormat::I420)
        .width(width)
        .height(48)
        .framerate(gst::Fraction::new(25, 1))
        .pixel_aspect_ratio(gst::Fraction::new(4, 3))
        .field("colorimetry", "bt709")
        .build()
}

impl Rig {
    fn new(properties: &str) -> Self {
        init();
        let description = format!(
            "appsrc name=v format=time max-buffers=4 block=true ! lipsync name=l {properties} ! \
             appsink name=s sync=false max-buffers=0 \
             appsrc name=a format=time max-buffers=4 block=true ! l.audio"
        );
        let pipeline = gst::parse::launch(&description)
            .unwrap()
            .downcast::<gst::Pipeline>()
            .unwrap();
        let by_name = |name: &str| pipeline.by_name(name).unwrap();
        let audio: gst_app::AppSrc = by_name("a").downcast().unwrap();
        audio.set_caps(Some(
            &gst_audio::AudioCapsBuilder::new_interleaved()
                .format(gst_audio::AUDIO_FORMAT_F32)
                .rate(16_000)
                .channels(1)
                .build(),
        ));
        let video: gst_app::AppSrc = by_name("v").downcast().unwrap();
        video.set_caps(Some(&caps(64)));
        Self {
            lipsync: by_name("l"),
            sink: by_name("s").downcast().unwrap(),
            video,
            audio,
            pipeline,
        }
    }

    /// Plays; feeds both sources from threads of their own; gives the frames that come out.
    fn run(
        &self,
        frames: Vec<gst::Buffer>,
        speech: Vec<gst::Buffer>,
    ) -> Result<Vec<gst::Sample>, gst::message::Message> {
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
        let threads = [feed(&self.video, frames), feed(&self.audio, speech)];
        let result = self.collect();
        self.pipeline.set_state(gst::State::Null).unwrap();
        for thread in threads {
            thread.join().unwrap();
        }
        result
    }

    fn collect(&self) -> Result<Vec<gst::Sample>, gst::message::Message> {
        let mut samples = Vec::new();
        let bus = self.pipeline.bus().unwrap();
        loop {
            if let Some(sample) = self.sink.try_pull_sample(gst::ClockTime::from_mseconds(50)) {
                samples.push(sample);
                continue;
            }
            if let Some(error) = bus.pop_filtered(&[gst::MessageType::Error]) {
                return Err(error);
            }
            if self.sink.is_eos() {
                return Ok(samples);
            }
            let waited = self.pipeline.current_running_time().unwrap_or_default();
            assert!(waited < LIMIT, "stalled after {} frames", samples.len());
        }
    }
}

fn frame(number: u64) -> gst::Buffer {
    init();
    let mut buffer = gst::Buffer::from_mut_slice(vec![number as u8; 64 * 48 * 3 / 2]);
    {
        let buffer = buffer.get_mut().unwrap();
        buffer.set_pts(FRAME * number);
        buffer.set_duration(FRAME);
    }
    buffer
}

fn frames(count: u64) -> Vec<gst::Buffer> {
    (0..count).map(frame).collect()
}

/// `seconds` of a tone in buffers of `chunk` samples.
fn speech(seconds: f64, chunk: usize) -> Vec<gst::Buffer> {
    init();
    let samples: Vec<f32> = (0..(seconds * 16_000.0) as usize)
        .map(|n| 0.3 * (n as f32 * 0.1).sin())
        .collect();
    samples
        .chunks(chunk)
        .enumerate()
        .map(|(i, chunk_samples)| {
            let bytes: Vec<u8> = chunk_samples.iter().flat_map(|s| s.to_le_bytes()).collect();
            let mut buffer = gst::Buffer::from_mut_slice(bytes);
            let at = |n: usize| gst::ClockTime::from_nseconds(n as u64 * 62_500);
            let buffer_ref = buffer.get_mut().unwrap();
            buffer_ref.set_pts(at(i * chunk));
            buffer_ref.set_duration(at(chunk_samples.len()));
            buffer
        })
        .collect()
}

fn times(samples: &[gst::Sample]) -> Vec<(Option<gst::ClockTime>, Option<gst::ClockTime>)> {
    samples
        .iter()
        .map(|s| s.buffer().unwrap())
        .map(|b| (b.pts(), b.duration()))
        .collect()
}

#[test]
fn frames_keep_their_times_flags_and_pixels_at_a_variable_rate() {
    let mut pts = gst::ClockTime::ZERO;
    let input: Vec<_> = (0..40u64)
        .map(|i| {
            let mut buffer = frame(i);
            let buffer_ref = buffer.get_mut().unwrap();
            buffer_ref.set_pts(pts);
            let duration = gst::ClockTime::from_mseconds(11 + (i * 37) % 90);
            buffer_ref.set_duration(duration);
            buffer_ref.set_offset(i);
            if i % 7 == 0 {
                buffer_ref.set_flags(gst::BufferFlags::MARKER | gst::BufferFlags::CORRUPTED);
            }
            pts += duration;
            buffer
        })
        .collect();
    let expected: Vec<_> = input
        .iter()
        .map(|b| (b.pts(), b.duration(), b.flags(), b.offset()))
        .collect();
    let output = Rig::new("").run(input, speech(5.0, 777)).unwrap();
    let got: Vec<_> = output
        .iter()
        .map(|s| s.buffer().unwrap())
        .map(|b| {
            // DISCONT on the first buffer belongs to the source that pushes it.
            (b.pts(), b.duration(), b.flags(), b.offset())
        })
        .collect();
    assert_eq!(got.len(), expected.len());
    for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
        assert_eq!((got.0, got.1, got.3), (expected.0, expected.1, expected.3));
        let discont = gst::BufferFlags::DISCONT;
        assert_eq!(got.2 - discont, expected.2 - discont, "flags of frame {i}");
        let map = output[i].buffer().unwrap().map_readable().unwrap();
        assert!(map.iter().all(|&v| v == i as u8), "pixels of frame {i}");
    }
}

#[test]
fn caps_are_those_of_the_video() {
    let output = Rig::new("").run(frames(3), speech(1.0, 1600)).unwrap();
    assert_eq!(output[0].caps().unwrap(), &*caps(64));
}

#[test]
fn as_many_frames_come_out_as_went_in_whatever_the_speech() {
    for (speech_buffers, name) in [
        (speech(0.3, 160), "shorter"),
        (speech(4.0, 1600), "longer"),
        (Vec::new(), "none at all"),
        (speech(0.01, 100), "shorter than a window"),
    ] {
        let output = Rig::new("").run(frames(50), speech_buffers).unwrap();
        assert_eq!(output.len(), 50, "{name}");
    }
}

#[test]
fn no_video_at_all_just_ends() {
    let output = Rig::new("").run(Vec::new(), speech(1.0, 1600)).unwrap();
    assert!(output.is_empty());
}

#[test]
fn the_speech_decides_the_end() {
    // 1.01 s need 26 frames of 40 ms, the last of which is only begun.
    let rig = Rig::new("end-mode=speech");
    let output = rig.run(frames(100), speech(1.01, 333)).unwrap();
    assert_eq!(output.len(), 26);
}

#[test]
fn the_last_frame_is_held_until_the_speech_is_over() {
    let rig = Rig::new("end-mode=speech");
    let output = rig.run(frames(5), speech(1.0, 1600)).unwrap();
    let expected: Vec<_> = (0..25).map(|i| (Some(FRAME * i), Some(FRAME))).collect();
    assert_eq!(times(&output), expected);
    for sample in &output[4..] {
        let map = sample.buffer().unwrap().map_readable().unwrap();
        assert!(map.iter().all(|&v| v == 4));
    }
}

#[test]
fn the_shortest_decides_the_end() {
    let longer_speech = Rig::new("end-mode=shortest").run(frames(5), speech(1.0, 1600));
    assert_eq!(longer_speech.unwrap().len(), 5);
    let longer_video = Rig::new("end-mode=shortest").run(frames(50), speech(1.0, 1600));
    assert_eq!(longer_video.unwrap().len(), 25);
}

#[test]
fn segments_need_not_start_at_zero() {
    let rig = Rig::new("end-mode=speech");
    let start = gst::ClockTime::from_seconds(3600);
    let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
    segment.set_start(start);
    segment.set_time(start);
    for source in [&rig.video, &rig.audio] {
        source.set_property("handle-segment-change", true);
    }
    let shifted = |buffers: Vec<gst::Buffer>| -> Vec<gst::Buffer> {
        buffers
            .into_iter()
            .map(|mut buffer| {
                let buffer_ref = buffer.get_mut().unwrap();
                buffer_ref.set_pts(buffer_ref.pts().map(|pts| pts + start));
                buffer
            })
            .collect()
    };
    rig.pipeline.set_state(gst::State::Playing).unwrap();
    for (source, buffers) in [
        (&rig.video, shifted(frames(60))),
        (&rig.audio, shifted(speech(1.0, 1600))),
    ] {
        let sample_caps = source.caps().unwrap();
        let (source, segment) = (source.clone(), segment.clone());
        std::thread::spawn(move || {
            for buffer in buffers {
                let sample = gst::Sample::builder()
                    .caps(&sample_caps)
                    .segment(&segment)
                    .buffer(&buffer)
                    .build();
                if source.push_sample(&sample).is_err() {
                    return;
                }
            }
            let _ = source.end_of_stream();
        });
    }
    let output = rig.collect().unwrap();
    rig.pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(output.len(), 25);
    assert_eq!(output[0].buffer().unwrap().pts(), Some(start));
    let out = output[0]
        .segment()
        .unwrap()
        .downcast_ref::<gst::ClockTime>();
    assert_eq!(out.unwrap().start(), Some(start));
}

#[test]
fn caps_may_change_on_the_way() {
    let rig = Rig::new("");
    rig.pipeline.set_state(gst::State::Playing).unwrap();
    let (video, audio) = (rig.video.clone(), rig.audio.clone());
    let feeder = std::thread::spawn(move || {
        for buffer in frames(10) {
            let sample = gst::Sample::builder()
                .caps(&caps(64))
                .buffer(&buffer)
                .build();
            video.push_sample(&sample).unwrap();
        }
        for i in 10..20u64 {
            let mut buffer = gst::Buffer::from_mut_slice(vec![i as u8; 32 * 48 * 3 / 2]);
            buffer.get_mut().unwrap().set_pts(FRAME * i);
            let sample = gst::Sample::builder()
                .caps(&caps(32))
                .buffer(&buffer)
                .build();
            video.push_sample(&sample).unwrap();
        }
        video.end_of_stream().unwrap();
    });
    let speaker = std::thread::spawn(move || {
        for buffer in speech(2.0, 1600) {
            if audio.push_buffer(buffer).is_err() {
                return;
            }
        }
        let _ = audio.end_of_stream();
    });
    let output = rig.collect().unwrap();
    rig.pipeline.set_state(gst::State::Null).unwrap();
    feeder.join().unwrap();
    speaker.join().unwrap();
    let widths: Vec<i32> = output
        .iter()
        .map(|s| {
            s.caps()
                .unwrap()
                .structure(0)
                .unwrap()
                .get("width")
                .unwrap()
        })
        .collect();
    assert_eq!(widths, [vec![64; 10], vec![32; 10]].concat());
}

#[test]
fn gaps_in_the_speech_do_not_stall() {
    let mut with_gap = speech(0.5, 1600);
    for mut buffer in speech(2.0, 1600).into_iter().skip(15) {
        buffer
            .get_mut()
            .unwrap()
            .set_flags(gst::BufferFlags::DISCONT);
        with_gap.push(buffer);
    }
    let output = Rig::new("").run(frames(50), with_gap).unwrap();
    assert_eq!(output.len(), 50);
}

#[test]
fn progress_is_told_while_no_data_flows() {
    let rig = Rig::new("");
    rig.pipeline.set_state(gst::State::Playing).unwrap();
    let bus = rig.pipeline.bus().unwrap();
    let mut told = 0;
    while let Some(message) = bus.timed_pop_filtered(
        gst::ClockTime::from_mseconds(900),
        &[gst::MessageType::Element],
    ) {
        let is_progress = message
            .structure()
            .is_some_and(|s| s.name() == "lipsync-progress");
        told += usize::from(is_progress);
        if told == 4 {
            break;
        }
    }
    rig.pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(told, 4);
}

#[test]
fn loading_is_announced_and_completed() {
    let rig = Rig::new("");
    rig.pipeline.set_state(gst::State::Playing).unwrap();
    let bus = rig.pipeline.bus().unwrap();
    let mut kinds = Vec::new();
    while let Some(message) = bus.timed_pop_filtered(LIMIT, &[gst::MessageType::Progress]) {
        let gst::MessageView::Progress(progress) = message.view() else {
            continue;
        };
        kinds.push(progress.get().0);
        if kinds.len() == 2 {
            break;
        }
    }
    rig.pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(
        kinds,
        [gst::ProgressType::Start, gst::ProgressType::Complete]
    );
}

#[test]
fn a_missing_model_is_an_error_that_names_it() {
    let rig = Rig::new("model-file=/nowhere/lips.onnx");
    let Err(message) = rig.run(frames(5), speech(1.0, 1600)) else {
        panic!("it ran without a model");
    };
    let gst::MessageView::Error(error) = message.view() else {
        panic!("not an error");
    };
    assert!(error.error().message().contains("/nowhere/lips.onnx"));
    let details = error.details().unwrap();
    assert_eq!(details.get::<&str>("kind").unwrap(), "model-missing");
}

#[test]
fn stopping_at_any_moment_is_quick() {
    for wait in [0, 5, 30, 100] {
        let rig = Rig::new("");
        rig.pipeline.set_state(gst::State::Playing).unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        let begun = std::time::Instant::now();
        rig.pipeline.set_state(gst::State::Null).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2), "after {wait} ms");
    }
}

#[test]
fn a_flush_starts_the_streams_anew() {
    let rig = Rig::new("");
    rig.pipeline.set_state(gst::State::Playing).unwrap();
    let push = |numbers: std::ops::Range<u64>| {
        for number in numbers {
            rig.video.push_buffer(frame(number)).unwrap();
        }
    };
    let (audio, chunks) = (rig.audio.clone(), speech(0.4, 1600));
    for buffer in chunks {
        audio.push_buffer(buffer).unwrap();
    }
    push(0..2);
    for pad in ["video", "audio"] {
        let pad = rig.lipsync.static_pad(pad).unwrap();
        assert!(pad.send_event(gst::event::FlushStart::new()));
    }
    for pad in ["video", "audio"] {
        let pad = rig.lipsync.static_pad(pad).unwrap();
        assert!(pad.send_event(gst::event::FlushStop::new(true)));
    }
    // appsrc saw the flush only as a refused buffer; a new run of the same streams must work.
    rig.pipeline.set_state(gst::State::Null).unwrap();
    let output = rig.run(frames(10), speech(1.0, 1600)).unwrap();
    assert_eq!(output.len(), 10);
}

/// Frames of the real clip, with faces on them, before and after `lipsync`.
fn real_frames(format: &str, lipsync: &str, chunk: usize) -> Vec<gst::Sample> {
    init();
    let clip = gstlipsync::runtime::data_dir().join("media/cap13_edit2.mp4");
    let uri = gst::glib::filename_to_uri(clip, None).unwrap();
    let description = format!(
        "facesource uri={uri} ! videoconvert ! video/x-raw,format={format} ! \
         identity eos-after=31 ! facetrack ! queue ! {lipsync} ! appsink name=s sync=false \
         appsrc name=a format=time max-buffers=4 block=true ! queue name=q"
    );
    let description = match lipsync.starts_with("lipsync") {
        true => format!("{description} q. ! l.audio"),
        false => format!("{description} q. ! fakesink sync=false"),
    };
    let pipeline = gst::parse::launch(&description).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    let sink: gst_app::AppSink = pipeline.by_name("s").unwrap().downcast().unwrap();
    let audio: gst_app::AppSrc = pipeline.by_name("a").unwrap().downcast().unwrap();
    let speech_caps = gst_audio::AudioCapsBuilder::new_interleaved()
        .format(gst_audio::AUDIO_FORMAT_F32)
        .rate(16_000)
        .channels(1)
        .build();
    audio.set_caps(Some(&speech_caps));
    pipeline.set_state(gst::State::Playing).unwrap();
    let feeder = std::thread::spawn(move || {
        for buffer in voice(2.0, chunk) {
            if audio.push_buffer(buffer).is_err() {
                return;
            }
        }
        let _ = audio.end_of_stream();
    });
    let mut samples = Vec::new();
    while let Some(sample) = sink.try_pull_sample(LIMIT) {
        samples.push(sample);
    }
    assert!(sink.is_eos());
    pipeline.set_state(gst::State::Null).unwrap();
    feeder.join().unwrap();
    samples
}

/// Something like vowels: a buzz of 120 Hz whose loudness and brightness come and go.
fn voice(seconds: f64, chunk: usize) -> Vec<gst::Buffer> {
    let mut buffers = speech(seconds, chunk);
    for (i, buffer) in buffers.iter_mut().enumerate() {
        let mut map = buffer.get_mut().unwrap().map_writable().unwrap();
        for (j, sample) in map.chunks_exact_mut(4).enumerate() {
            let t = (i * chunk + j) as f32 / 16_000.0;
            let swell = (t * 9.0).sin().max(0.0);
            let buzz: f32 = (1..12)
                .map(|h| (t * 754.0 * h as f32).sin() / h as f32)
                .sum();
            sample.copy_from_slice(&(0.2 * swell * buzz).to_le_bytes());
        }
    }
    buffers
}

fn bytes(sample: &gst::Sample) -> Vec<u8> {
    sample.buffer().unwrap().map_readable().unwrap().to_vec()
}

#[test]
fn only_pixels_around_the_mouth_change_in_every_family_of_formats() {
    for (format, step) in [("I420", 1), ("NV12", 1), ("RGB", 3), ("BGRx", 4)] {
        let before = real_frames(format, "identity", 1600);
        let after = real_frames(format, "lipsync name=l", 1600);
        assert_eq!(before.len(), 30, "{format}");
        assert_eq!(after.len(), 30, "{format}");
        let mut changed = 0;
        for (before, after) in before.iter().zip(&after) {
            let face = gstlipsync::roi::faces(before.buffer().unwrap())[0].bounds;
            let caps = before.caps().unwrap();
            let info = gst_video::VideoInfo::from_caps(caps).unwrap();
            let stride = info.stride()[0] as usize;
            let (a, b) = (bytes(before), bytes(after));
            // The first plane, where a row is a row of pixels.
            for (y, (a, b)) in a
                .chunks(stride)
                .zip(b.chunks(stride))
                .take(info.height() as usize)
                .enumerate()
            {
                for (x, _) in a.iter().zip(b).enumerate().filter(|(_, (a, b))| a != b) {
                    let (x, y) = ((x / step) as f32, y as f32);
                    changed += 1;
                    let beside = x < face.x - 0.3 * face.width || x > face.x + 1.3 * face.width;
                    let above = y < face.y + 0.35 * face.height;
                    let below = y > face.y + 1.6 * face.height;
                    assert!(
                        !(beside || above || below),
                        "{format}: ({x}, {y}), face {face:?}"
                    );
                }
            }
        }
        assert!(changed > 1000, "{format}: nothing was drawn");
    }
}

#[test]
fn a_face_that_is_lost_is_held_for_a_moment_and_its_mouth_fades() {
    let real = &real_frames("I420", "identity", 1600)[0];
    let source = bytes(real);
    let faces = gstlipsync::roi::faces(real.buffer().unwrap());
    let info = gst_video::VideoInfo::from_caps(real.caps().unwrap()).unwrap();
    // Found in the first frames, then lost for good.
    let frames = (0..30)
        .map(|number| {
            let mut buffer = gst::Buffer::from_mut_slice(source.clone());
            let writable = buffer.get_mut().unwrap();
            writable.set_pts(FRAME * number);
            writable.set_duration(FRAME);
            if number < 10 {
                gstlipsync::roi::attach(writable, &faces, info.width(), info.height());
            }
            buffer
        })
        .collect();
    let rig = Rig::new("");
    rig.video.set_caps(real.caps_owned().as_ref());
    let output = rig.run(frames, voice(2.0, 1600)).unwrap();
    let changed: Vec<bool> = output.iter().map(|s| bytes(s) != source).collect();
    assert_eq!(changed[10..17], [true; 7], "the face is held");
    assert_eq!(changed[22..], [false; 8], "the source's own is back");
    let stats: gst::Structure = rig.lipsync.property("stats");
    assert_eq!(stats.get::<u64>("frames-without-face").unwrap(), 20);
}

#[test]
fn how_the_speech_is_cut_changes_nothing() {
    for look in ["stream", "whole"] {
        let made = |chunk: usize| -> Vec<_> {
            let lipsync = format!("lipsync name=l look={look}");
            let frames = real_frames("I420", &lipsync, chunk);
            frames.iter().map(bytes).collect()
        };
        let uncut = made(32_000);
        for chunk in [97, 1600] {
            assert!(uncut == made(chunk), "{look}, chunks of {chunk} samples");
        }
    }
}

/// A model of two looks: of blocks of 4 rows of 20 ms, and of 30.
fn two_looks() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models");
    for (from, to) in [
        ("front", "front"),
        ("head_free", "two"),
        ("head_free", "whole"),
    ] {
        let to = folder.path().join(to).with_extension("onnx");
        std::fs::copy(format!("{models}/{from}.onnx"), to).unwrap();
    }
    let manifest = folder.path().join("two.toml");
    let text = "name = 'two'\nkind = 'mouth-shape'\nlicence = 'MIT'\nsource = 'the test'\n\
        [mel]\nhop = 160\n[front]\nfile = 'front.onnx'\ncolumns = 2\nfeatures = 3\n\
        [mouth-shape]\ncontext-before = 3\ncontext-after = 2\nblock = 4\n\
        [mouth-shape.whole]\nfile = 'whole.onnx'\ncontext-before = 20\ncontext-after = 10\nblock = 30\n";
    std::fs::write(&manifest, text).unwrap();
    let path = manifest.to_str().unwrap().to_string();
    (folder, path)
}

#[test]
fn the_latency_is_that_of_the_look_and_no_frame_waits_longer() {
    let (_folder, model) = two_looks();
    // Rows of a block and ahead, 20 ms each, a column, half a mel window; and a frame more.
    for (look, speech_ms) in [("stream", 6 * 20 + 10 + 25), ("whole", 40 * 20 + 10 + 25)] {
        let rig = Rig::new(&format!("model-file={model} look={look} look-ahead=1"));
        rig.pipeline.set_state(gst::State::Playing).unwrap();
        // As much speech as the frame at 200 ms may wait for, and no more.
        let enough = speech(0.2 + speech_ms as f64 * 1e-3, 160);
        let (audio, video) = (rig.audio.clone(), rig.video.clone());
        let feeding = std::thread::spawn(move || {
            enough
                .into_iter()
                .all(|buffer| audio.push_buffer(buffer).is_ok())
        });
        std::thread::spawn(move || {
            frames(8)
                .into_iter()
                .all(|buffer| video.push_buffer(buffer).is_ok())
        });
        // One frame is held back: with the one at 200 ms, the one at 160 ms comes.
        let mut last = gst::ClockTime::ZERO;
        while last < 4 * FRAME {
            let sample = rig
                .sink
                .try_pull_sample(LIMIT)
                .expect("a frame waits longer");
            last = sample.buffer().unwrap().pts().unwrap();
        }
        let mut query = gst::query::Latency::new();
        assert!(rig.lipsync.query(&mut query));
        let expected = gst::ClockTime::from_mseconds(speech_ms) + FRAME;
        assert_eq!(query.result().1, expected, "{look}");
        rig.pipeline.set_state(gst::State::Null).unwrap();
        feeding.join().unwrap();
    }
}

#[test]
fn a_generator_paints_into_the_face_whatever_the_batch() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/generator_8.onnx");
    let before = real_frames("I420", "identity", 1600);
    let paint = |batch: usize| -> Vec<Vec<u8>> {
        let lipsync = format!("lipsync name=l model-file={model} batch-size={batch}");
        real_frames("I420", &lipsync, 1600)
            .iter()
            .map(bytes)
            .collect()
    };
    let one = paint(1);
    assert_eq!(one.len(), 30);
    assert!(
        one.iter()
            .zip(&before)
            .all(|(after, before)| *after != bytes(before))
    );
    assert!(one == paint(7));
}

#[test]
fn a_seek_in_the_middle_gives_all_frames_from_there() {
    init();
    let clip = gstlipsync::runtime::data_dir().join("media/cap13_edit2.mp4");
    let uri = gst::glib::filename_to_uri(clip, None).unwrap();
    let pipeline = gst::parse::launch(&format!(
        "facesource uri={uri} ! facetrack ! queue ! lipsync name=l ! \
         appsink name=s sync=false max-buffers=2 \
         audiotestsrc ! audio/x-raw,rate=16000 ! queue ! l.audio"
    ))
    .unwrap()
    .downcast::<gst::Pipeline>()
    .unwrap();
    let sink: gst_app::AppSink = pipeline.by_name("s").unwrap().downcast().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    for _ in 0..10 {
        assert!(sink.try_pull_sample(LIMIT).is_some());
    }
    let target = gst::ClockTime::from_seconds(28);
    pipeline
        .seek_simple(gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE, target)
        .unwrap();
    let mut times = Vec::new();
    while let Some(sample) = sink.try_pull_sample(LIMIT) {
        times.extend(sample.buffer().unwrap().pts());
    }
    assert!(sink.is_eos(), "stalled after {} frames", times.len());
    pipeline.set_state(gst::State::Null).unwrap();
    // The clip has 765 frames; a buffer that was on its way may still come before the flush.
    let after: Vec<_> = times.iter().filter(|&&time| time >= target).collect();
    assert_eq!(after.len(), 765 - 28 * 25);
}
