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
    // Real faces: what is held when the size changes is drawn at its own.
    let scale = "videoscale ! video/x-raw,width=200,height=150,pixel-aspect-ratio=1/1";
    let (large, small) = (
        real_frames("I420", "identity", 1600),
        real_frames("I420", scale, 1600),
    );
    let rig = Rig::new("");
    let input: Vec<_> = large[..15].iter().chain(&small[15..]).cloned().collect();
    rig.pipeline.set_state(gst::State::Playing).unwrap();
    let (video, audio, fed) = (rig.video.clone(), rig.audio.clone(), input.clone());
    let feeder = std::thread::spawn(move || {
        for sample in fed {
            let sample = gst::Sample::builder()
                .caps(&sample.caps_owned().unwrap())
                .buffer(&sample.buffer_owned().unwrap())
                .build();
            video.push_sample(&sample).unwrap();
        }
        video.end_of_stream().unwrap();
    });
    let speaker = std::thread::spawn(move || {
        for buffer in voice(2.0, 1600) {
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
    assert_eq!(output.len(), input.len());
    let width = |s: &gst::Sample| {
        let info = gst_video::VideoInfo::from_caps(s.caps().unwrap()).unwrap();
        info.width()
    };
    for (number, (output, input)) in output.iter().zip(&input).enumerate() {
        assert_eq!(width(output), width(input), "frame {number}");
        assert_eq!(bytes(output).len(), bytes(input).len(), "frame {number}");
        assert_ne!(bytes(output), bytes(input), "frame {number} is not drawn");
    }
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
fn stopping_at_any_moment_is_quick() {
    let real = real_frames("I420", "identity", 1600);
    let model = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/models/generator_96.onnx"
    );
    for properties in [String::new(), format!("model-file={model} batch-size=3")] {
        for wait in [0, 5, 30, 100, 300] {
            let rig = Rig::new(&properties);
            rig.video.set_caps(real[0].caps_owned().as_ref());
            rig.pipeline.set_state(gst::State::Playing).unwrap();
            // Both flow until the end, and nobody takes what comes out.
            rig.sink.set_max_buffers(1);
            let (video, audio) = (rig.video.clone(), rig.audio.clone());
            let frames: Vec<_> = real.iter().map(|s| s.buffer_owned().unwrap()).collect();
            let threads = [
                std::thread::spawn(move || {
                    frames.into_iter().any(|f| video.push_buffer(f).is_err())
                }),
                std::thread::spawn(move || {
                    let speech = voice(2.0, 1600).into_iter();
                    speech
                        .map(|b| audio.push_buffer(b))
                        .any(|pushed| pushed.is_err())
                }),
            ];
            std::thread::sleep(Duration::from_millis(wait));
            let begun = std::time::Instant::now();
            rig.pipeline.set_state(gst::State::Null).unwrap();
            let took = begun.elapsed();
            assert!(took < Duration::from_secs(1), "{took:?} after {wait} ms");
            let cut_off = threads.map(|thread| thread.join().unwrap());
            assert_eq!(cut_off, [true, true], "it ran to its end in {wait} ms");
        }
    }
}

#[test]
fn a_flush_starts_the_streams_anew() {
    let real = real_frames("I420", "identity", 1600);
    let rig = Rig::new("look-ahead=5");
    rig.video.set_caps(real[0].caps_owned().as_ref());
    for source in [&rig.video, &rig.audio] {
        make_seekable(source);
    }
    rig.pipeline.set_state(gst::State::Playing).unwrap();
    let feed = |frames: std::ops::Range<usize>| {
        for sample in &real[frames] {
            rig.video
                .push_buffer(sample.buffer_owned().unwrap())
                .unwrap();
        }
        for buffer in voice(2.0, 1600) {
            rig.audio.push_buffer(buffer).unwrap();
        }
    };
    // Ten go in, five are held.
    feed(0..10);
    let before: Vec<_> = (0..5)
        .map(|_| bytes(&rig.sink.try_pull_sample(LIMIT).expect("a frame")))
        .collect();
    rig.pipeline
        .seek_simple(gst::SeekFlags::FLUSH, gst::ClockTime::ZERO)
        .unwrap();
    feed(0..30);
    rig.video.end_of_stream().unwrap();
    rig.audio.end_of_stream().unwrap();
    let after = rig.collect().unwrap();
    rig.pipeline.set_state(gst::State::Null).unwrap();
    // Those that were held are gone, and all of the new come.
    let numbers: Vec<_> = after.iter().map(|s| s.buffer().unwrap().pts()).collect();
    let expected: Vec<_> = (0..30).map(|number| Some(FRAME * number)).collect();
    assert_eq!(numbers, expected);
    assert_eq!(before.len(), 5);
    assert_ne!(before[0], bytes(&real[0]), "they were drawn");
    assert_ne!(bytes(&after[0]), bytes(&real[0]), "and are again");
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
