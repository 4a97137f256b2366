//! What an element owes to the pipeline around it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use gst::ClockTime;
use gst::prelude::*;

use crate::rig::*;

/// The events that pass a pad.
fn events(pad: &gst::Pad, mask: gst::PadProbeType) -> Arc<Mutex<Vec<gst::Event>>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    pad.add_probe(mask, move |_, info| {
        noted.lock().unwrap().extend(info.event().cloned());
        gst::PadProbeReturn::Ok
    });
    seen
}

fn count(seen: &Mutex<Vec<gst::Event>>, kind: gst::EventType) -> usize {
    let seen = seen.lock().unwrap();
    seen.iter().filter(|event| event.type_() == kind).count()
}

fn src(rig: &Rig) -> gst::Pad {
    rig.lipsync.static_pad("src").unwrap()
}

#[test]
fn downstream_that_wants_other_caps_reaches_the_video() {
    let rig = Rig::new("");
    let [video, audio] = [&rig.video, &rig.audio].map(|source| {
        let pad = source.static_pad("src").unwrap();
        events(&pad, gst::PadProbeType::EVENT_UPSTREAM)
    });
    rig.pipeline.set_state(gst::State::Paused).unwrap();
    let before = count(&video, gst::EventType::Reconfigure);
    assert!(src(&rig).send_event(gst::event::Reconfigure::new()));
    assert_eq!(count(&video, gst::EventType::Reconfigure), before + 1);
    assert_eq!(count(&audio, gst::EventType::Reconfigure), 0);
    rig.pipeline.set_state(gst::State::Null).unwrap();
}

#[test]
fn it_is_seekable_if_the_video_is() {
    for kind in [
        gst_app::AppStreamType::Stream,
        gst_app::AppStreamType::Seekable,
    ] {
        let rig = Rig::new("");
        rig.video.set_stream_type(kind);
        rig.video.set_callbacks(
            gst_app::AppSrcCallbacks::builder()
                .seek_data(|_, _| true)
                .build(),
        );
        rig.pipeline.set_state(gst::State::Paused).unwrap();
        let mut query = gst::query::Seeking::new(gst::Format::Time);
        assert!(src(&rig).query(&mut query));
        assert_eq!(query.result().0, kind == gst_app::AppStreamType::Seekable);
        rig.pipeline.set_state(gst::State::Null).unwrap();
    }
}

#[test]
fn the_tags_of_the_video_pass_and_those_of_the_speech_do_not() {
    init();
    let pipeline = gst::parse::launch(
        "videotestsrc num-buffers=3 ! taginject tags=\"title=picture\" ! lipsync name=l ! \
         fakesink name=s \
         audiotestsrc num-buffers=30 ! audio/x-raw,rate=16000 ! taginject tags=\"artist=voice\" ! \
         l.audio",
    );
    let pipeline = pipeline.unwrap().downcast::<gst::Pipeline>().unwrap();
    let pad = pipeline.by_name("s").unwrap().static_pad("sink").unwrap();
    let seen = events(&pad, gst::PadProbeType::EVENT_DOWNSTREAM);
    pipeline.set_state(gst::State::Playing).unwrap();
    let end = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = pipeline.bus().unwrap().timed_pop_filtered(LIMIT, &end);
    assert_eq!(end.unwrap().type_(), gst::MessageType::Eos);
    pipeline.set_state(gst::State::Null).unwrap();
    let seen = seen.lock().unwrap();
    let tags: Vec<String> = seen
        .iter()
        .filter_map(|event| match event.view() {
            gst::EventView::Tag(tag) => Some(tag.tag().to_string()),
            _ => None,
        })
        .collect();
    assert!(tags.iter().any(|tags| tags.contains("picture")), "{tags:?}");
    assert!(!tags.iter().any(|tags| tags.contains("voice")), "{tags:?}");
}

/// What the pad `video` answers to ALLOCATION: the least and the most buffers of each pool.
fn pools(rig: &Rig) -> Vec<(u32, u32)> {
    let mut query = gst::query::Allocation::new(Some(&caps(64)), true);
    let pad = rig.lipsync.static_pad("video").unwrap();
    assert!(pad.query(&mut query));
    let pools = query.allocation_pools();
    pools.map(|(_, _, min, max)| (min, max)).collect()
}

#[test]
fn frames_that_are_held_are_asked_for() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/generator_8.onnx");
    for (properties, held) in [
        ("look-ahead=0".to_string(), 1),
        ("look-ahead=12".to_string(), 13),
        ("look-ahead=12 end-mode=speech".to_string(), 14),
        (format!("model-file={model} batch-size=5"), 10),
    ] {
        let rig = Rig::new(&properties);
        rig.pipeline.set_state(gst::State::Playing).unwrap();
        for buffer in speech(0.5, 1600).into_iter().take(3) {
            rig.audio.push_buffer(buffer).unwrap();
        }
        for number in 0..3 {
            rig.video.push_buffer(frame(number)).unwrap();
        }
        let running = || {
            let stats: gst::Structure = rig.lipsync.property("stats");
            stats.get::<&str>("phase").unwrap() == "running"
        };
        while !running() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let downstream = pools(&rig);
        assert_eq!(downstream, [(held, 0)], "{properties}");
        rig.pipeline.set_state(gst::State::Null).unwrap();
    }
}

#[test]
fn a_bounded_pool_is_enough_for_what_was_asked() {
    let rig = Rig::new("look-ahead=7");
    let pool = gst_video::VideoBufferPool::new();
    let mut config = pool.config();
    // Eight are held, one is on the pad, one in the source, one on its way.
    config.set_params(Some(&caps(64)), 64 * 48 * 3 / 2, 0, 8 + 3);
    pool.set_config(config).unwrap();
    pool.set_active(true).unwrap();
    rig.video.set_max_buffers(1);
    rig.pipeline.set_state(gst::State::Playing).unwrap();
    let (video, audio) = (rig.video.clone(), rig.audio.clone());
    let feeder = std::thread::spawn(move || {
        for number in 0..60 {
            let mut buffer = pool.acquire_buffer(None).unwrap();
            let writable = buffer.make_mut();
            writable.set_pts(FRAME * number);
            writable.set_duration(FRAME);
            if video.push_buffer(buffer).is_err() {
                return;
            }
        }
        let _ = video.end_of_stream();
    });
    let speaker = std::thread::spawn(move || {
        for buffer in speech(4.0, 1600) {
            if audio.push_buffer(buffer).is_err() {
                return;
            }
        }
        let _ = audio.end_of_stream();
    });
    let mut frames = 0;
    // Each goes back to the pool at once.
    while rig
        .sink
        .try_pull_sample(ClockTime::from_seconds(5))
        .is_some()
    {
        frames += 1;
    }
    rig.pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(frames, 60);
    feeder.join().unwrap();
    speaker.join().unwrap();
}

/// The places in memory of the frames that come out, of which none is kept, while those that went
/// in are.
#[test]
fn copies_come_from_a_pool() {
    let real = real_frames("I420", "identity", 1600);
    let rig = Rig::new("look-ahead=2");
    rig.video.set_caps(real[0].caps_owned().as_ref());
    rig.sink.set_max_buffers(1);
    rig.pipeline.set_state(gst::State::Playing).unwrap();
    let frames: Vec<_> = real.iter().map(|s| s.buffer_owned().unwrap()).collect();
    let before: Vec<Vec<u8>> = real.iter().map(bytes).collect();
    let (video, audio, fed) = (rig.video.clone(), rig.audio.clone(), frames.clone());
    let threads = [
        std::thread::spawn(move || {
            fed.into_iter().for_each(|frame| {
                let _ = video.push_buffer(frame);
            });
            let _ = video.end_of_stream();
        }),
        std::thread::spawn(move || {
            voice(2.0, 1600).into_iter().for_each(|buffer| {
                let _ = audio.push_buffer(buffer);
            });
            let _ = audio.end_of_stream();
        }),
    ];
    let inputs: HashSet<_> = frames.iter().map(|f| f.peek_memory(0).as_ptr()).collect();
    let mut places = HashSet::new();
    let mut metas = 0;
    while let Some(sample) = rig.sink.try_pull_sample(ClockTime::from_seconds(5)) {
        let buffer = sample.buffer().unwrap();
        places.insert(buffer.peek_memory(0).as_ptr());
        metas += gstlipsync::roi::faces(buffer).len();
    }
    rig.pipeline.set_state(gst::State::Null).unwrap();
    threads.into_iter().for_each(|t| t.join().unwrap());
    let copies = places.difference(&inputs).count();
    assert!((1..10).contains(&copies), "{copies} places for 30 frames");
    assert_eq!(metas, 30, "the faces go with the copy");
    let after: Vec<Vec<u8>> = real.iter().map(bytes).collect();
    assert!(before == after, "somebody else's frames were drawn into");
}

#[test]
fn passthrough_leaves_frames_as_they_are() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/generator_8.onnx");
    let before = real_frames("I420", "identity", 1600);
    for properties in ["".to_string(), format!("model-file={model}")] {
        let lipsync = format!("lipsync name=l passthrough=true {properties}");
        let after = play_real("I420", &lipsync, 1600);
        assert_eq!(after.frames.len(), before.len());
        for (before, after) in before.iter().zip(&after.frames) {
            assert!(bytes(before) == bytes(after), "{properties}");
            let time = |s: &gst::Sample| s.buffer().unwrap().pts();
            assert_eq!(time(before), time(after));
        }
    }
}

#[test]
fn what_may_change_while_playing_does() {
    let real = real_frames("I420", "identity", 1600);
    let rig = Rig::new("look-ahead=0");
    for name in ["strength", "audio-offset", "passthrough"] {
        let flags = rig.lipsync.find_property(name).unwrap().flags();
        let controllable = gst::glib::ParamFlags::from_bits_retain(1 << 9);
        assert!(flags.contains(controllable), "{name} is controllable");
    }
    rig.video.set_caps(real[0].caps_owned().as_ref());
    rig.pipeline.set_state(gst::State::Playing).unwrap();
    rig.audio.set_max_buffers(100);
    for buffer in voice(2.0, 1600) {
        rig.audio.push_buffer(buffer).unwrap();
    }
    rig.audio.end_of_stream().unwrap();
    let show = |number: usize| {
        rig.video
            .push_buffer(real[number].buffer_owned().unwrap())
            .unwrap();
        bytes(&rig.sink.try_pull_sample(LIMIT).expect("a frame"))
    };
    let is_drawn = |number: usize| show(number) != bytes(&real[number]);
    assert!(is_drawn(0));
    rig.lipsync.set_property("passthrough", true);
    assert!(!is_drawn(1));
    rig.lipsync.set_property("passthrough", false);
    assert!(is_drawn(2));
    // The mouth of 2 s ago: silence.
    rig.lipsync.set_property("audio-offset", 2_000_000_000i64);
    let silent = show(3);
    rig.pipeline.set_state(gst::State::Null).unwrap();
    let spoken = real_frames("I420", "lipsync name=l look-ahead=0", 1600);
    assert_ne!(silent, bytes(&spoken[3]));
}

#[test]
fn a_seek_keeps_its_number_and_after_the_end_the_stream_starts_afresh() {
    init();
    let clip = gstlipsync::runtime::data_dir().join("media/cap13_edit2.mp4");
    let uri = gst::glib::filename_to_uri(clip, None).unwrap();
    let pipeline = gst::parse::launch(&format!(
        "facesource uri={uri} ! facetrack ! queue ! lipsync name=l ! \
         appsink name=s sync=false max-buffers=2 \
         audiotestsrc wave=saw freq=130 ! audio/x-raw,rate=16000 ! queue ! l.audio"
    ));
    let pipeline = pipeline.unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink: gst_app::AppSink = pipeline.by_name("s").unwrap().downcast().unwrap();
    let mask = gst::PadProbeType::EVENT_DOWNSTREAM | gst::PadProbeType::EVENT_FLUSH;
    let seen = events(&sink.static_pad("sink").unwrap(), mask);
    pipeline.set_state(gst::State::Playing).unwrap();
    assert!(sink.try_pull_sample(LIMIT).is_some());
    let target = ClockTime::from_mseconds(30_000);
    let mut runs = Vec::new();
    for _ in 0..2 {
        seen.lock().unwrap().clear();
        let seek = gst::event::Seek::new(
            1.0,
            gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE,
            gst::SeekType::Set,
            target,
            gst::SeekType::None,
            ClockTime::NONE,
        );
        let number = seek.seqnum();
        assert!(pipeline.send_event(seek));
        let mut frames = Vec::new();
        while let Some(sample) = sink.try_pull_sample(LIMIT) {
            frames.push((sample.buffer().unwrap().pts(), bytes(&sample)));
        }
        assert!(sink.is_eos());
        for kind in [
            gst::EventType::FlushStart,
            gst::EventType::FlushStop,
            gst::EventType::Segment,
            gst::EventType::Eos,
        ] {
            let seen = seen.lock().unwrap();
            let numbers: Vec<_> = seen
                .iter()
                .filter(|event| event.type_() == kind)
                .map(|event| event.seqnum())
                .collect();
            assert_eq!(numbers, [number], "{kind:?}");
        }
        runs.push(frames);
    }
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(runs[0].len(), 765 - 30 * 25);
    assert_eq!(runs[0][0].0, Some(target));
    let times = |run: &[(Option<ClockTime>, Vec<u8>)]| run.iter().map(|f| f.0).collect::<Vec<_>>();
    assert_eq!(times(&runs[0]), times(&runs[1]));
}

#[test]
fn a_seek_does_not_wait_for_the_model() {
    init();
    let rig = Rig::new("");
    rig.video.set_stream_type(gst_app::AppStreamType::Seekable);
    let seek_data = || {
        gst_app::AppSrcCallbacks::builder()
            .seek_data(|_, _| true)
            .build()
    };
    rig.video.set_callbacks(seek_data());
    rig.audio.set_stream_type(gst_app::AppStreamType::Seekable);
    rig.audio.set_callbacks(seek_data());
    rig.pipeline.set_state(gst::State::Playing).unwrap();
    rig.video.push_buffer(frame(0)).unwrap();
    for buffer in speech(0.4, 1600) {
        rig.audio.push_buffer(buffer).unwrap();
    }
    // Again and again, while it loads and after.
    for _ in 0..5 {
        let begun = std::time::Instant::now();
        rig.pipeline
            .seek_simple(gst::SeekFlags::FLUSH, ClockTime::ZERO)
            .unwrap();
        assert!(begun.elapsed().as_millis() < 1000);
        rig.video.push_buffer(frame(0)).unwrap();
    }
    let (video, audio) = (rig.video.clone(), rig.audio.clone());
    std::thread::spawn(move || {
        for number in 1..20 {
            let _ = video.push_buffer(frame(number));
        }
        let _ = video.end_of_stream();
    });
    std::thread::spawn(move || {
        for buffer in speech(2.0, 1600) {
            let _ = audio.push_buffer(buffer);
        }
        let _ = audio.end_of_stream();
    });
    let output = rig.collect().unwrap();
    rig.pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(output.len(), 20);
}
