//! The order and the times of frames, in all loop modes.

use gst::ClockTime;
use gst::prelude::*;
use tempfile::TempDir;

use crate::player::*;

#[test]
fn a_video_is_played_once() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let player = Player::play(&mp4(&dir, 57), "");
    let frames = player.frames(1000);
    assert_eq!(frames.len(), 57);
    assert_eq!(frames[0].pts, ClockTime::ZERO);
    assert!(frames.iter().enumerate().all(|(n, f)| f.number == n));
    assert!(frames.iter().all(|f| f.duration == 40 * MS));
    assert!(player.sink.is_eos());
    let stats = player.source.property::<gst::Structure>("stats");
    assert_eq!(stats.get("frames"), Ok(57u64));
    assert_eq!(player.loops(), 0);
    let duration = player.pipeline.query_duration::<ClockTime>();
    assert_eq!(duration, Some(57 * 40 * MS));
}

#[test]
fn what_the_caps_say_is_kept() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("face.mp4");
    let tail = format!("{H264} ! mp4mux");
    clip(&path, "30000/1001", &tail, &[33, 34, 33, 33, 34, 33]);
    let player = Player::play(&path, "");
    let segment = player.sample().unwrap().segment().unwrap().clone();
    let segment = segment.downcast::<ClockTime>().unwrap();
    assert_eq!(segment.start(), Some(ClockTime::ZERO));
    assert_eq!(segment.base(), Some(ClockTime::ZERO));
    let caps = player.caps();
    let s = caps.structure(0).unwrap();
    assert_eq!(s.get::<&str>("format").unwrap(), "I420");
    let fraction = |field| s.get::<gst::Fraction>(field).unwrap();
    assert_eq!(fraction("pixel-aspect-ratio"), gst::Fraction::new(4, 3));
    assert_eq!(fraction("framerate"), gst::Fraction::new(30000, 1001));
    assert_eq!(s.get::<&str>("colorimetry").unwrap(), "bt601");
}

#[test]
fn a_loop_has_no_seam() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let player = Player::play(&mp4(&dir, 31), "loop-mode=loop");
    let numbers = player.numbers(31 * 3 + 5);
    assert!(
        numbers.iter().enumerate().all(|(n, &f)| f == n % 31),
        "{numbers:?}"
    );
    assert_eq!(player.loops(), 3);
    assert_eq!(player.pipeline.query_duration::<ClockTime>(), None);
}

/// What ping-pong shows: a triangle.
pub fn there_and_back(n: usize, frames: usize) -> usize {
    let period = 2 * (frames - 1);
    (n % period).min(period - n % period)
}

#[test]
fn ping_pong_turns_at_the_ends_without_doubling_them() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    // Up to more than one chunk, and not a multiple of one.
    for frames in [2, 3, 58, 107] {
        let player = Player::play(&mp4(&dir, frames), "loop-mode=ping-pong");
        let n = 4 * frames;
        let expected: Vec<_> = (0..n).map(|n| there_and_back(n, frames)).collect();
        assert_eq!(player.numbers(n), expected, "{frames} frames");
    }
}

#[test]
fn every_container_loops_and_turns() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let vp8 = "vp8enc deadline=1 min-quantizer=0 max-quantizer=2";
    for (name, tail) in [
        ("face.mkv", format!("{H264} ! matroskamux")),
        ("face.ts", format!("{H264} ! mpegtsmux")),
        ("face.avi", "jpegenc quality=100 ! avimux".to_string()),
        ("face.flv", format!("{H264} ! flvmux")),
        ("face.webm", format!("{vp8} ! webmmux")),
    ] {
        let path = dir.path().join(name);
        clip(&path, "25/1", &tail, &[40; 50]);
        let expected: Vec<_> = (0..160).map(|n| n % 50).collect();
        let player = Player::play(&path, "loop-mode=loop");
        assert_eq!(player.numbers(160), expected, "{name}");
        let expected: Vec<_> = (0..160).map(|n| there_and_back(n, 50)).collect();
        let player = Player::play(&path, "loop-mode=ping-pong");
        assert_eq!(player.numbers(160), expected, "{name}");
    }
}

#[test]
fn hold_repeats_the_last_frame() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let player = Player::play(&mp4(&dir, 10), "loop-mode=hold");
    let frames = player.frames(60);
    assert_eq!(frames.len(), 60);
    assert!(frames.iter().enumerate().all(|(n, f)| f.number == n.min(9)));
    assert!(frames.iter().all(|f| f.duration == 40 * MS));
}

#[test]
fn variable_frame_rate_is_kept_in_every_pass() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("face.mkv");
    let durations = [40, 20, 100, 33, 7, 500, 40];
    clip(&path, "0/1", &format!("{H264} ! matroskamux"), &durations);
    let frames = Player::play(&path, "loop-mode=loop longest-frame=0").frames(21);
    assert_eq!(frames.len(), 21);
    for (n, frame) in frames.iter().enumerate() {
        assert_eq!(frame.number, n % 7);
        // The last frame has no successor, and Matroska does not say how long it lasts.
        if n % 7 < 6 {
            assert_eq!(frame.duration.mseconds(), durations[n % 7], "frame {n}");
        }
    }
    let frames = Player::play(&path, "loop-mode=ping-pong longest-frame=0").frames(12);
    for (n, frame) in frames[7..].iter().enumerate() {
        assert_eq!(frame.number, 5 - n);
        assert_eq!(frame.duration.mseconds(), durations[5 - n], "frame {n}");
    }
    // By default none stands still.
    let frames = Player::play(&path, "").frames(100);
    assert!(frames.iter().all(|f| f.duration <= 85 * MS));
    let count = |number| frames.iter().filter(|f| f.number == number).count();
    assert_eq!([0, 1, 2, 3, 4, 5].map(count), [1, 1, 3, 1, 1, 13]);
}

#[test]
fn another_frame_rate_keeps_the_speed_across_loops() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let path = mp4(&dir, 25);
    for (rate, per_second) in [("50/1", 50), ("30000/1001", 30), ("5/1", 5)] {
        let player = Player::play(&path, &format!("loop-mode=loop fps={rate}"));
        for frame in player.frames(4 * per_second) {
            let middle = frame.pts + frame.duration / 2;
            let expected = (middle.nseconds() % 1_000_000_000) / 40_000_000;
            assert_eq!(frame.number as u64, expected, "{frame:?} at {rate}");
        }
    }
    assert_eq!(Player::play(&path, "fps=10/1").frames(100).len(), 10);
}

#[test]
fn downstream_chooses_rate_and_format() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let path = mp4(&dir, 50);
    let filter = "video/x-raw,format=NV12,framerate=5/1";
    let player = Player::new(&uri(&path), "", filter);
    player.start();
    assert_eq!(player.frames(100).len(), 10);

    // Who can take the file's own rate gets it.
    let filter = "videorate ! video/x-raw,framerate=5/1";
    let player = Player::new(&uri(&path), "", filter);
    player.start();
    player.sample().unwrap();
    let caps = player.source.static_pad("src").unwrap().current_caps();
    let rate = caps.unwrap().structure(0).unwrap().get("framerate");
    assert_eq!(rate, Ok(gst::Fraction::new(25, 1)));

    let player = Player::new(&uri(&path), "", "video/x-raw,width=32");
    player.start();
    assert_eq!(player.error().0, "not-negotiated");
}

#[test]
fn frames_can_be_worked_on_in_place() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    // Not H.264: its decoder keeps frames to predict others from.
    let path = dir.path().join("face.avi");
    clip(&path, "25/1", "jpegenc ! avimux", &[40; 40]);
    let settings = "loop-mode=loop num-buffers=100";
    let player = Player::new(&uri(&path), settings, "identity");
    let (sender, receiver) = std::sync::mpsc::channel();
    let pad = player.source.static_pad("src").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &info.data {
            sender.send(buffer.is_all_memory_writable()).unwrap();
        }
        gst::PadProbeReturn::Ok
    });
    player.start();
    assert_eq!(player.frames(1000).len(), 100);
    drop((player, pad));
    // The reader's sink keeps the last frame of a pass.
    assert!(receiver.iter().filter(|writable| *writable).count() >= 98);
}

/// Far in a file that can be searched, the frames before are not decoded; what comes is the same.
#[test]
fn a_far_seek_lands_on_the_frame_of_that_time_too() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    for mux in ["mp4mux", "matroskamux", "mpegtsmux"] {
        let path = dir.path().join(mux);
        clip(&path, "5/1", &format!("{H264} ! {mux}"), &[200; 80]);
        let player = Player::play(&path, "loop-mode=none longest-frame=0");
        let whole = player.frames(80);
        assert_eq!(whole.len(), 80, "{mux}");
        for frame in [60, 30, 75, 2, 79] {
            let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE;
            let time = whole[frame].pts + 50 * MS;
            player.pipeline.seek_simple(flags, time).unwrap();
            assert_eq!(player.frames(100), whole[frame..], "{mux}, {frame}");
        }
        // The second seek comes before the first one shows anything.
        for pause in [0, 1, 2, 4, 8, 16, 32] {
            for frame in [70, 40] {
                let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE;
                let time = whole[frame].pts;
                player.pipeline.seek_simple(flags, time).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(pause));
            }
            assert_eq!(player.frames(100), whole[40..], "{mux}, {pause} ms");
        }
    }
}

#[test]
fn a_seek_lands_on_the_frame_of_that_time() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let path = mp4(&dir, 31);
    for mode in ["loop", "ping-pong"] {
        let player = Player::play(&path, &format!("loop-mode={mode}"));
        player.frames(50);
        for frame in [3, 40, 100] {
            let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE;
            let time = (frame * 40 + 15) * MS;
            player.pipeline.seek_simple(flags, time).unwrap();
            let shown = player.frames(40);
            assert_eq!(shown[0].pts, frame * 40 * MS);
            for (n, shown) in shown.iter().enumerate() {
                let n = frame as usize + n;
                let expected = match mode {
                    "loop" => n % 31,
                    _ => there_and_back(n, 31),
                };
                assert_eq!(shown.number, expected, "{mode}, {n}");
            }
        }
    }
    let player = Player::play(&path, "");
    player.frames(5);
    let backwards = player.pipeline.seek(
        -1.0,
        gst::SeekFlags::FLUSH,
        gst::SeekType::Set,
        ClockTime::ZERO,
        gst::SeekType::Set,
        ClockTime::SECOND,
    );
    assert!(backwards.is_err());
    assert_eq!(player.numbers(3), [5, 6, 7]);
}
