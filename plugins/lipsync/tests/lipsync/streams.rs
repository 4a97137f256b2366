//! What goes in comes out, whatever the streams do.

use std::time::Duration;

use gst::prelude::*;

use crate::rig::*;

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
