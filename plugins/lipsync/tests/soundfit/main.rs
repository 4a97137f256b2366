//! `soundfit`: whatever comes in, the sound that goes out is as long as the picture, to the sample.

mod bench;

use std::time::Instant;

use gst::ClockTime;
use gst::prelude::*;

use bench::Item::*;
use bench::*;

#[test]
fn short_sound_is_followed_by_silence() {
    let track = Bench::run(&with_end(frames(10)), &with_end(sound(5)), 8000);
    same(&track.samples, &[count(0, 800), vec![0; 2400]].concat());
}

#[test]
fn long_sound_is_cut() {
    let track = Bench::run(&with_end(frames(10)), &with_end(sound(50)), 8000);
    same(&track.samples, &count(0, 3200));
    // Endless sound learns that it may stop.
    let bench = Bench::new();
    bench.video(&with_end(frames(10))).join().unwrap().unwrap();
    let result = bench.sound(&sound(10_000)).join().unwrap();
    assert_eq!(result, Err(gst::FlowError::Eos));
    same(&bench.track(8000).samples, &count(0, 3200));
}

#[test]
fn sound_is_cut_within_a_buffer() {
    let items = [
        sound_caps(8000),
        segment(ZERO, ZERO),
        Sound(ZERO, count(0, 16_000)),
        Eos,
    ];
    let track = Bench::run(&with_end(frames(10)), &items, 8000);
    same(&track.samples, &count(0, 3200));
}

#[test]
fn late_sound_has_silence_before_it() {
    let items = [
        sound_caps(8000),
        segment(ZERO, ZERO),
        Sound(100 * MS, count(0, 160)),
        Eos,
    ];
    let track = Bench::run(&with_end(frames(5)), &items, 8000);
    let expected = [vec![0; 800], count(0, 160), vec![0; 640]].concat();
    same(&track.samples, &expected);
}

#[test]
fn sound_from_before_the_picture_is_dropped() {
    let mut video = vec![video_caps(), segment(7000 * MS, 110 * MS)];
    video.extend((0..5).map(|n| Frame((7000 + n * 40) * MS, Some(40 * MS))));
    let track = Bench::run(&with_end(video), &with_end(sound(50)), 8000);
    same(&track.samples, &count(880, 1600));
    let segment = track.segment.unwrap();
    assert_eq!(segment.to_running_time(110 * MS), Some(110 * MS));
    assert_eq!(segment.to_stream_time(110 * MS), Some(7000 * MS));
}

#[test]
fn each_side_has_its_own_segment() {
    let video = [
        video_caps(),
        segment(5000 * MS, 2000 * MS),
        // The first 10 ms lie before the segment and aren't shown.
        Frame(4990 * MS, Some(40 * MS)),
        Frame(5030 * MS, Some(40 * MS)),
        Eos,
    ];
    let sound = [
        sound_caps(8000),
        segment(60 * MS, 2000 * MS),
        Sound(40 * MS, count(0, 400)),
        Eos,
    ];
    let track = Bench::run(&video, &sound, 8000);
    let expected = [count(160, 240), vec![0; 320]].concat();
    same(&track.samples, &expected);
}

#[test]
fn gaps_are_filled_and_overlaps_dropped() {
    let items = [
        sound_caps(8000),
        segment(ZERO, ZERO),
        Sound(ZERO, count(0, 160)),
        Sound(100 * MS, count(160, 160)),
        Sound(50 * MS, count(1000, 800)),
        Gap(150 * MS, 250 * MS),
        Sound(401 * MS, count(2000, 160)),
        Eos,
    ];
    let track = Bench::run(&with_end(frames(11)), &items, 8000);
    // 120 to 150 ms is what the third buffer adds. One millisecond is rounding, not a gap.
    let expected = [
        count(0, 160),
        vec![0; 640],
        count(160, 160),
        count(1560, 240),
        vec![0; 2000],
        count(2000, 160),
        vec![0; 160],
    ];
    same(&track.samples, &expected.concat());
}

#[test]
fn without_durations_a_frame_ends_with_the_next_one() {
    let mut video = vec![video_caps(), segment(ZERO, ZERO)];
    video.extend([0, 40, 50, 350, 400].map(|pts| Frame(pts * MS, None)));
    let track = Bench::run(&with_end(video), &with_end(sound(50)), 8000);
    same(&track.samples, &count(0, 3600));

    let video = [video_caps(), segment(ZERO, ZERO), Frame(ZERO, None), Eos];
    let track = Bench::run(&video, &with_end(sound(50)), 8000);
    same(&track.samples, &count(0, 320));
}

#[test]
fn gaps_in_the_picture_count() {
    let video = [
        video_caps(),
        segment(ZERO, ZERO),
        Gap(ZERO, 80 * MS),
        Frame(80 * MS, Some(40 * MS)),
        Gap(120 * MS, 80 * MS),
        Eos,
    ];
    let track = Bench::run(&video, &with_end(sound(50)), 8000);
    same(&track.samples, &count(0, 1600));
}

#[test]
fn sound_waits_for_the_picture() {
    let bench = Bench::new();
    let sending = bench.sound(&with_end(sound(50)));
    same(&bench.track_so_far(8000).samples, &[]);
    bench.video(&frames(5)).join().unwrap().unwrap();
    let track = bench.track_so_far(8000);
    same(&track.samples, &count(0, 1600));
    assert!(!track.eos);
    push(&bench.video, Eos).unwrap();
    assert_eq!(sending.join().unwrap(), Err(gst::FlowError::Eos));
}

#[test]
fn the_picture_never_waits() {
    let bench = Bench::new();
    bench.video(&with_end(frames(500))).join().unwrap().unwrap();
    let out: Vec<_> = bench.from_video.try_iter().collect();
    assert_eq!(
        out.iter().filter(|o| matches!(o, Out::Buffer(_))).count(),
        500
    );
    let last = out.last();
    assert!(matches!(last, Some(Out::Event(e)) if e.type_() == gst::EventType::Eos));
    // Sound that has a format and nothing else becomes silence.
    let nothing = [sound_caps(8000), segment(ZERO, ZERO), Eos];
    bench.sound(&nothing).join().unwrap().unwrap();
    same(&bench.track(8000).samples, &vec![0; 160_000]);
}

#[test]
fn without_a_format_there_is_no_sound() {
    let bench = Bench::new();
    bench.sound(&[Eos]).join().unwrap().unwrap();
    same(&bench.track(8000).samples, &[]);
    bench.video(&with_end(frames(3))).join().unwrap().unwrap();
}

#[test]
fn a_picture_without_frames_has_no_sound() {
    let nothing = [video_caps(), segment(ZERO, ZERO), Eos];
    let track = Bench::run(&nothing, &with_end(sound(10)), 8000);
    same(&track.samples, &[]);
    same(&Bench::run(&[Eos], &[Eos], 8000).samples, &[]);
}

fn flush(pad: &gst::Pad) {
    assert!(pad.push_event(gst::event::FlushStart::new()));
    assert!(pad.push_event(gst::event::FlushStop::new(true)));
}

#[test]
fn after_a_flush_all_begins_anew() {
    let bench = Bench::new();
    let sending = bench.sound(&sound(50));
    bench.video(&frames(5)).join().unwrap().unwrap();
    std::thread::sleep(SETTLE);
    flush(&bench.video);
    let start = Instant::now();
    flush(&bench.sound);
    assert_eq!(sending.join().unwrap(), Err(gst::FlowError::Flushing));
    assert!(start.elapsed() < SETTLE);
    for out in bench.from_sound.try_iter() {
        drop(out);
    }
    let mut video = vec![segment(1000 * MS, ZERO)];
    video.extend((0..3).map(|n| Frame((1000 + n * 40) * MS, Some(40 * MS))));
    bench.video(&with_end(video)).join().unwrap().unwrap();
    let sound = [
        segment(1000 * MS, ZERO),
        Sound(1000 * MS, count(0, 160)),
        Eos,
    ];
    bench.sound(&sound).join().unwrap().unwrap();
    let track = bench.track(8000);
    same(&track.samples, &[count(0, 160), vec![0; 800]].concat());
    let stream_time = track.segment.unwrap().to_stream_time(ZERO);
    assert_eq!(stream_time, Some(1000 * MS));
}

#[test]
fn sound_that_waits_does_not_hold_up_the_stop() {
    for items in [sound(50), with_end(sound(0))] {
        let bench = Bench::new();
        bench.video(&frames(2)).join().unwrap().unwrap();
        let sending = bench.sound(&items);
        std::thread::sleep(SETTLE);
        assert!(!sending.is_finished());
        let start = Instant::now();
        bench.fit.set_state(gst::State::Ready).unwrap();
        let _ = sending.join().unwrap();
        assert!(start.elapsed() < SETTLE);
    }
}

#[test]
fn when_nobody_takes_the_picture_the_sound_ends() {
    for error in [gst::FlowError::Eos, gst::FlowError::NotLinked] {
        let bench = Bench::with_video_sink(Err(error));
        let sending = bench.sound(&with_end(sound(50)));
        assert_eq!(bench.video(&frames(5)).join().unwrap(), Err(error));
        same(&bench.track(8000).samples, &count(0, 320));
        assert_eq!(sending.join().unwrap(), Err(gst::FlowError::Eos));
    }
}

#[test]
fn queries_go_where_the_answer_is() {
    let bench = Bench::new();
    for (sink, latency) in bench.sinks.iter().zip([100 * MS, 100 * MS]) {
        // Fitted sound lasts as long as the picture, and waits for it.
        assert_eq!(sink.peer_query_duration::<ClockTime>(), Some(3000 * MS));
        let mut query = gst::query::Latency::new();
        assert!(sink.peer_query(&mut query));
        assert_eq!(query.result(), (true, latency, None));
    }
    let caps = bench.video.peer_query_caps(None);
    let memory = gst::Caps::builder("video/x-raw")
        .features(["memory:GLMemory"])
        .build();
    assert!(memory.can_intersect(&caps), "{caps}");
}

#[test]
fn a_new_sample_rate_goes_on_in_time() {
    let bench = Bench::new();
    bench.video(&with_end(frames(10))).join().unwrap().unwrap();
    let mut items = sound(10);
    items.push(sound_caps(16_000));
    items.push(Sound(200 * MS, count(0, 8000)));
    assert_eq!(
        bench.sound(&items).join().unwrap(),
        Err(gst::FlowError::Eos)
    );
    let mut samples = 0;
    let mut end = ClockTime::ZERO;
    for out in bench.from_sound.try_iter() {
        if let Out::Buffer(buffer) = out {
            samples += buffer.size() / 2;
            assert_eq!(buffer.pts(), Some(end));
            end += buffer.duration().unwrap();
        }
    }
    assert_eq!((samples, end), (1600 + 3200, 400 * MS));
}

/// Numbers that look random, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }
}

#[test]
fn any_picture_gets_exactly_its_length_of_sound() {
    for case in 0..20 {
        let mut dice = Dice(case);
        let rate = [8000, 16_000, 44_100, 48_000][dice.roll(4) as usize];
        let time = |samples: u64| {
            let nanos = (samples * 1_000_000_000).div_ceil(rate);
            ClockTime::from_nseconds(nanos)
        };
        // A picture of frames that vary or don't, with or without durations.
        let (varies, timed) = (dice.roll(2) == 1, dice.roll(2) == 1);
        let (start, base) = (dice.roll(5000) * MS, dice.roll(800) * MS);
        let mut video = vec![video_caps(), segment(start, base)];
        let mut end = start;
        let mut last = ClockTime::ZERO;
        for _ in 0..=dice.roll(60) + 1 {
            let nanos = if varies {
                1_000_000 + dice.roll(90_000_000)
            } else {
                33_366_667
            };
            last = ClockTime::from_nseconds(nanos);
            video.push(Frame(end, timed.then_some(last)));
            end += last;
        }
        if !timed {
            // The last one lasts as long as the one before it.
            let pts = |item: &Item| match item {
                Frame(pts, _) => *pts,
                _ => start,
            };
            let n = video.len();
            end = end - last + (pts(&video[n - 1]) - pts(&video[n - 2]));
        }
        // Sound that starts before or after it, in pieces of any size.
        let sound_base = time(dice.roll(rate));
        let total = dice.roll(3 * rate);
        let mut items = vec![sound_caps(rate), segment(ZERO, sound_base)];
        let mut sent = 0;
        while sent < total {
            let n = (1 + dice.roll(rate / 5)).min(total - sent);
            items.push(Sound(time(sent), count(sent as usize, n as usize)));
            sent += n;
        }

        let track = Bench::run(&with_end(video), &with_end(items), rate);
        let length = |from: ClockTime, to: ClockTime| {
            let nanos = i128::from(to.nseconds()) - i128::from(from.nseconds());
            (nanos as f64 * rate as f64 / 1e9).round() as i64
        };
        let samples = length(start, end);
        let offset = length(base, sound_base);
        let expected: Vec<i16> = (0..samples)
            .map(|n| match n - offset {
                n if (0..total as i64).contains(&n) => (n + 1) as i16,
                _ => 0,
            })
            .collect();
        println!("case {case}");
        same(&track.samples, &expected);
    }
}
