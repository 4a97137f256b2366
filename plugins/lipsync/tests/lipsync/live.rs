//! Frames and speech that come by the clock, most of the tests by a clock of their own.

use std::time::{Duration, Instant};

use gst::ClockTime;
use gst::prelude::*;

use crate::rig::*;

/// Wait no longer for what must happen.
const PATIENCE: Duration = Duration::from_secs(5);
/// So long nothing must happen.
const MOMENT: Duration = Duration::from_millis(60);

/// A live pipeline whose time stands still until it is told otherwise.
struct Live {
    rig: Rig,
    clock: gst_check::TestClock,
    /// What the element says; asking it wakes it.
    latency: ClockTime,
}

impl Live {
    /// Plays, and waits until the model is loaded. There are 0.5 s of speech, and one frame has
    /// gone in.
    fn new(properties: &str, first: gst::Buffer, caps: Option<gst::Caps>) -> Self {
        Self::hearing(0.5, properties, first, caps)
    }

    fn hearing(speech: f64, properties: &str, first: gst::Buffer, caps: Option<gst::Caps>) -> Self {
        let rig = Rig::new(properties);
        for source in [&rig.video, &rig.audio] {
            source.set_is_live(true);
            source.set_max_buffers(50);
        }
        if let Some(caps) = caps {
            rig.video.set_caps(Some(&caps));
        }
        let clock = gst_check::TestClock::new();
        rig.pipeline.use_clock(Some(&clock));
        rig.pipeline.set_state(gst::State::Playing).unwrap();
        let mut live = Self {
            rig,
            clock,
            latency: ClockTime::ZERO,
        };
        live.hear(0.0, speech);
        live.show(first);
        live.wait_for("the model", || {
            let stats = live.stats();
            stats.get::<&str>("phase").unwrap() == "running"
        });
        let mut query = gst::query::Latency::new();
        let pad = live.rig.lipsync.static_pad("src").unwrap();
        assert!(pad.query(&mut query));
        live.latency = query.result().1;
        live
    }

    fn stats(&self) -> gst::Structure {
        self.rig.lipsync.property("stats")
    }

    fn without_speech(&self) -> u64 {
        self.stats().get("frames-without-speech").unwrap()
    }

    fn show(&self, frame: gst::Buffer) {
        self.rig.video.push_buffer(frame).unwrap();
    }

    /// Speech from one time to another, in seconds.
    fn hear(&self, from: f64, to: f64) {
        let at = |seconds: f64| (seconds * 16_000.0) as usize / 1600;
        for buffer in voice(to, 1600).into_iter().take(at(to)).skip(at(from)) {
            self.rig.audio.push_buffer(buffer).unwrap();
        }
    }

    fn wait_for(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < PATIENCE, "waited too long for {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn next(&self) -> gst::Sample {
        let begun = Instant::now();
        loop {
            self.let_pass();
            if let Some(sample) = self.rig.sink.try_pull_sample(ms(5)) {
                return sample;
            }
            assert!(begun.elapsed() < PATIENCE, "no frame");
        }
    }

    /// Ends the waits for times that have come.
    fn let_pass(&self) {
        let now = self.clock.time();
        while self.clock.next_entry_time().is_some_and(|time| time <= now) {
            self.clock.process_next_clock_id();
        }
    }

    fn assert_next(&self, time: ClockTime) -> gst::Sample {
        let sample = self.next();
        assert_eq!(sample.buffer().unwrap().pts(), Some(time));
        sample
    }

    fn assert_none(&self) {
        let wait = ClockTime::from_nseconds(MOMENT.as_nanos() as u64);
        let sample = self.rig.sink.try_pull_sample(wait);
        let time = sample.map(|sample| sample.buffer().unwrap().pts());
        assert_eq!(time, None, "a frame before its time");
    }

    /// Waits until the element waits for the deadline of the frame at `time`, and that nothing comes
    /// before.
    fn assert_waits_for(&self, time: ClockTime) {
        let deadline = time + self.latency;
        self.wait_for("the deadline", || {
            self.clock.next_entry_time() == Some(deadline)
        });
        let now = self.clock.time();
        self.clock.set_time(now.max(deadline - ClockTime::NSECOND));
        self.assert_none();
    }

    /// Lets the deadline of the frame at `time` pass.
    fn time_out(&self, time: ClockTime) {
        self.assert_waits_for(time);
        let now = self.clock.time();
        self.clock.set_time(now.max(time + self.latency));
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.rig.pipeline.set_state(gst::State::Null);
    }
}

/// A frame at a time, in milliseconds.
fn frame_at(ms: u64) -> gst::Buffer {
    let mut buffer = frame(1);
    buffer
        .get_mut()
        .unwrap()
        .set_pts(ClockTime::from_mseconds(ms));
    buffer
}

fn ms(ms: u64) -> ClockTime {
    ClockTime::from_mseconds(ms)
}

#[test]
fn a_frame_waits_for_its_speech_until_its_deadline_and_goes_on_when_it_comes() {
    let live = Live::new("look-ahead=0", frame_at(0), None);
    live.assert_next(ms(0));
    // Not the end of the frame before: there was none for a second.
    live.show(frame_at(1000));
    live.assert_waits_for(ms(1000));
    live.hear(0.5, 2.0);
    live.assert_next(ms(1000));
    assert_eq!(live.without_speech(), 0);
}

#[test]
fn one_time_out_serves_one_frame() {
    let live = Live::new("look-ahead=0", frame_at(0), None);
    live.assert_next(ms(0));
    live.show(frame_at(1000));
    live.show(frame_at(1040));
    live.time_out(ms(1000));
    live.assert_next(ms(1000));
    live.time_out(ms(1040));
    live.assert_next(ms(1040));
    assert_eq!(live.without_speech(), 2);
}

#[test]
fn frames_that_were_drawn_already_go_on_in_time_while_speech_is_late() {
    let live = Live::new("look-ahead=3", frame_at(0), None);
    for time in [40, 80, 120] {
        live.show(frame_at(time));
    }
    live.assert_next(ms(0));
    live.show(frame_at(1000));
    for time in [40, 80, 120] {
        live.time_out(ms(time));
        live.assert_next(ms(time));
    }
    assert_eq!(live.without_speech(), 0);
    live.assert_waits_for(ms(1000));
    // In time, if barely.
    live.hear(0.5, 2.0);
    live.time_out(ms(1000));
    live.assert_next(ms(1000));
    assert_eq!(live.without_speech(), 0);
}

#[test]
fn without_any_speech_each_frame_goes_on_at_its_deadline() {
    for look_ahead in [0, 2] {
        let live = Live::new(&format!("look-ahead={look_ahead}"), frame_at(0), None);
        for time in [600, 640, 680] {
            live.show(frame_at(time));
        }
        for time in [0, 600, 640, 680] {
            if (look_ahead, time) != (0, 0) {
                live.time_out(ms(time));
            }
            live.assert_next(ms(time));
        }
        assert_eq!(live.without_speech(), 3);
    }
}

#[test]
fn a_frame_that_comes_late_goes_on_at_once() {
    let live = Live::new("look-ahead=3", frame_at(0), None);
    live.time_out(ms(0));
    live.assert_next(ms(0));
    live.clock.set_time(ms(2000));
    live.hear(0.5, 2.0);
    live.show(frame_at(600));
    live.assert_next(ms(600));
    assert_eq!(live.without_speech(), 0);
}

/// A frame with a face on it, of which nobody knows the points.
fn frame_with_box(ms: u64) -> gst::Buffer {
    let mut buffer = frame_at(ms);
    let info = gst_video::VideoInfo::from_caps(&caps(64)).unwrap();
    let face = gstlipsync::face::Face {
        id: 0,
        bounds: gstlipsync::face::Rect {
            x: 16.0,
            y: 8.0,
            width: 32.0,
            height: 32.0,
        },
        score: 1.0,
        mesh: None,
    };
    gstlipsync::roi::attach(buffer.get_mut().unwrap(), &[face], &info);
    buffer
}

fn generator(batch: usize) -> String {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/generator_8.onnx");
    format!("model-file={model} batch-size={batch}")
}

fn is_painted(sample: &gst::Sample) -> bool {
    bytes(sample).iter().any(|&v| v != 1)
}

#[test]
fn what_a_generator_holds_is_let_go_when_its_time_has_come() {
    let live = Live::new(&generator(2), frame_with_box(0), None);
    live.show(frame_with_box(40));
    live.show(frame_with_box(80));
    // The first two are a batch, the third waits for a fourth.
    live.time_out(ms(0));
    assert!(is_painted(&live.assert_next(ms(0))));
    assert!(is_painted(&live.assert_next(ms(40))));
    live.time_out(ms(80));
    assert!(is_painted(&live.assert_next(ms(80))));
    assert_eq!(live.without_speech(), 0);
}

#[test]
fn a_generator_whose_speech_is_late_paints_what_it_heard_last() {
    let live = Live::new(&generator(1), frame_with_box(0), None);
    live.time_out(ms(0));
    live.assert_next(ms(0));
    // The first columns that are not there are those of 500 ms.
    live.show(frame_with_box(320));
    live.time_out(ms(320));
    assert!(is_painted(&live.assert_next(ms(320))));
    assert_eq!(live.without_speech(), 1);
}

#[test]
fn a_mouth_whose_speech_stays_away_eases_to_rest() {
    let real = &real_frames("I420", "identity", 1600)[0];
    let faces = gstlipsync::roi::faces(real.buffer().unwrap());
    let info = gst_video::VideoInfo::from_caps(real.caps().unwrap()).unwrap();
    let still = |ms: u64| {
        let mut buffer = gst::Buffer::from_mut_slice(bytes(real));
        let writable = buffer.get_mut().unwrap();
        writable.set_pts(ClockTime::from_mseconds(ms));
        writable.set_duration(FRAME);
        gstlipsync::roi::attach(writable, &faces, &info);
        buffer
    };
    let live = Live::hearing(0.9, "look-ahead=0", still(0), real.caps_owned());
    let mut shown = vec![bytes(&live.next())];
    let mut spoken = 0;
    // The mouth is open from 600 ms to 800.
    for number in 1..40 {
        let time = number * 40;
        live.show(still(time));
        let heard = live.rig.sink.try_pull_sample(ClockTime::from_mseconds(300));
        let sample = heard.unwrap_or_else(|| {
            live.time_out(ms(time));
            live.next()
        });
        spoken = number - live.without_speech();
        shown.push(bytes(&sample));
    }
    assert!((14..21).contains(&spoken), "{spoken} frames with speech");
    let far = |a: &[u8], b: &[u8]| -> u64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| u64::from(a.abs_diff(*b)))
            .sum()
    };
    let spoken = spoken as usize;
    let whole = far(&shown[spoken], &shown[39]);
    let largest = (spoken..39)
        .map(|i| far(&shown[i], &shown[i + 1]))
        .max()
        .unwrap();
    assert!(whole > 2000, "the mouth was not open: {whole}");
    assert!(2 * largest < whole, "a step of {largest} of {whole}");
    assert_eq!(far(&shown[38], &shown[39]), 0, "it comes to rest");
}

#[test]
fn the_latency_says_what_is_held() {
    let latency = |properties: &str| {
        let live = Live::new(properties, frame_at(0), None);
        for source in [&live.rig.video, &live.rig.audio] {
            source.set_latency(ClockTime::ZERO, ClockTime::ZERO);
        }
        let mut query = gst::query::Latency::new();
        let pad = live.rig.lipsync.static_pad("src").unwrap();
        assert!(pad.query(&mut query));
        let (is_live, min, max) = query.result();
        assert!(is_live);
        (min, max.unwrap())
    };
    let (model, _) = latency("look-ahead=1");
    let model = model - FRAME;
    // One frame at least, for the drawing.
    assert_eq!(latency("look-ahead=0").0, model + FRAME);
    assert_eq!(latency("look-ahead=5").0, model + FRAME * 5);
    assert_eq!(latency("look-ahead=5 end-mode=speech").0, model + FRAME * 6);
    assert_eq!(
        latency("look-ahead=1 audio-offset=-100000000").0,
        model + FRAME + ms(100)
    );
    // Two frames on the pad and those that are held; the speech that a frame waits for is longer.
    assert_eq!(latency("look-ahead=0").1, FRAME * 2);
    let (_, most) = latency("look-ahead=50");
    assert_eq!(most, FRAME * 52);
    // Of a batch that is collected the last frame is in work.
    let (least, _) = latency(&generator(1));
    assert_eq!(latency(&generator(4)).0, least + FRAME * 6);
}

#[test]
fn a_late_sink_tells_the_video_alone() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
    let live = Live::new("look-ahead=0", frame_at(0), None);
    live.assert_next(ms(0));
    let counts = [&live.rig.video, &live.rig.audio].map(|source| {
        let count = Arc::new(AtomicU64::new(0));
        let counted = count.clone();
        let pad = source.static_pad("src").unwrap();
        pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
            if info
                .event()
                .is_some_and(|e| e.type_() == gst::EventType::Qos)
            {
                counted.fetch_add(1, SeqCst);
            }
            gst::PadProbeReturn::Ok
        });
        count
    });
    let qos = gst::event::Qos::builder(gst::QOSType::Underflow, 2.0, 0)
        .timestamp(ms(0))
        .build();
    live.rig.lipsync.static_pad("src").unwrap().send_event(qos);
    assert_eq!(counts.map(|count| count.load(SeqCst)), [1, 0]);
}

/// Processor time of the thread with this name, in ticks of a hundredth of a second.
fn ticks(thread: &str) -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let stat = tasks.filter_map(|task| {
        let stat = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
        let (head, tail) = stat.rsplit_once(')')?;
        head.ends_with(&format!("({thread}"))
            .then(|| tail.to_string())
    });
    let fields = stat.last().expect("the streaming thread");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn a_stalled_camera_costs_nothing() {
    for frames in [0, 1] {
        let rig = Rig::named(&format!("stalled{frames}"), "");
        for source in [&rig.video, &rig.audio] {
            source.set_is_live(true);
            source.set_max_buffers(0);
        }
        rig.pipeline.set_state(gst::State::Playing).unwrap();
        for buffer in speech(0.6, 160) {
            rig.audio.push_buffer(buffer).unwrap();
            if frames == 1 && rig.video.current_level_buffers() == 0 {
                let _ = rig.video.push_buffer(frame_at(0));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let before = ticks(&format!("stalled{frames}:src"));
        std::thread::sleep(Duration::from_secs(2));
        let spent = ticks(&format!("stalled{frames}:src")) - before;
        rig.pipeline.set_state(gst::State::Null).unwrap();
        // 2 % of a core.
        assert!(spent <= 4, "{spent} hundredths of a second in two seconds");
    }
}

#[test]
fn live_mouths_are_those_of_a_file() {
    let before = real_frames("I420", "identity", 1600);
    // A second for which a real source would be silent: the model is loaded meanwhile.
    let start = ms(1000);
    let later = |buffers: Vec<gst::Buffer>| -> Vec<gst::Buffer> {
        let later = buffers.into_iter().map(|mut buffer| {
            let writable = buffer.make_mut();
            writable.set_pts(writable.pts().map(|pts| pts + start));
            buffer
        });
        later.collect()
    };
    let frames = before.iter().map(|sample| sample.buffer_owned().unwrap());
    let frames = later(frames.collect());
    let speech = later(voice(2.0, 320));
    let rig = || {
        let rig = Rig::new("");
        rig.video.set_caps(before[0].caps_owned().as_ref());
        rig
    };
    let from_file = rig().run(frames.clone(), speech.clone()).unwrap();

    let rig = rig();
    for source in [&rig.video, &rig.audio] {
        source.set_is_live(true);
        source.set_max_buffers(100);
        source.set_latency(ClockTime::ZERO, ClockTime::NONE);
    }
    rig.pipeline.set_state(gst::State::Playing).unwrap();
    let at_its_time = |source: &gst_app::AppSrc, buffers: Vec<gst::Buffer>, late: u64| {
        let (source, pipeline) = (source.clone(), rig.pipeline.clone());
        std::thread::spawn(move || {
            for (number, buffer) in buffers.into_iter().enumerate() {
                // Now and then the network is slow.
                let jitter = ms(if number % 7 == 3 { late } else { 0 });
                let now = pipeline.current_running_time().unwrap_or_default();
                let wait = (buffer.pts().unwrap() + jitter).saturating_sub(now);
                std::thread::sleep(Duration::from_nanos(wait.nseconds()));
                if source.push_buffer(buffer).is_err() {
                    return;
                }
            }
            let _ = source.end_of_stream();
        })
    };
    let threads = [
        at_its_time(&rig.video, frames, 0),
        at_its_time(&rig.audio, speech, 15),
    ];
    let live = rig.collect().unwrap();
    let stats: gst::Structure = rig.lipsync.property("stats");
    rig.pipeline.set_state(gst::State::Null).unwrap();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(stats.get::<u64>("frames-without-speech").unwrap(), 0);
    assert_eq!(live.len(), from_file.len());
    let pairs = live.iter().zip(&from_file);
    let same = pairs
        .filter(|(live, file)| bytes(live) == bytes(file))
        .count();
    // A busy machine may let a frame go before all of its look-ahead was there.
    assert!(same * 10 >= live.len() * 8, "{same} of {}", live.len());
}
