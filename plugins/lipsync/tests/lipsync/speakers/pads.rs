//! What each pad has of its own: strength, offset, count, coming and going.

use gst::prelude::*;
use gst_controller::prelude::*;

use super::*;

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
