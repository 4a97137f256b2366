//! Ends, flushes, seeks and lateness of one speech among others.

use gst::prelude::*;

use super::*;

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
        make_seekable(source);
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
