//! `facesource` on files that are made here: clips whose frames carry their number, pictures, and
//! everything that is no face.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use gst::ClockTime;
use gst::glib;
use gst::prelude::*;
use tempfile::TempDir;

const WIDTH: usize = 64;
const HEIGHT: usize = 48;
const MS: ClockTime = ClockTime::MSECOND;

/// Tests that count threads and memory run alone.
static PROCESS: RwLock<()> = RwLock::new(());

fn init() -> RwLockReadGuard<'static, ()> {
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
    PROCESS.read().unwrap_or_else(|e| e.into_inner())
}

fn uri(path: &Path) -> String {
    glib::filename_to_uri(path, None).unwrap().to_string()
}

fn make(description: &str) {
    finish(&gst::parse::launch(description).unwrap());
}

/// Runs a pipeline that makes a file, and waits for its end.
fn finish(pipeline: &gst::Element) {
    let bus = pipeline.bus().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let end = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = bus.timed_pop_filtered(ClockTime::from_seconds(20), &end);
    assert_eq!(message.map(|m| m.type_()), Some(gst::MessageType::Eos));
    pipeline.set_state(gst::State::Null).unwrap();
}

/// A grey frame: the units of its number in the upper half, the tens in the lower.
fn numbered(n: usize) -> Vec<u8> {
    let mut frame = vec![128; WIDTH * HEIGHT * 3 / 2];
    let (upper, lower) = frame[..WIDTH * HEIGHT].split_at_mut(WIDTH * HEIGHT / 2);
    upper.fill((30 + 20 * (n % 10)) as u8);
    lower.fill((30 + 20 * (n / 10)) as u8);
    frame
}

fn number(buffer: &gst::BufferRef) -> usize {
    let map = buffer.map_readable().unwrap();
    let digit = |row: usize| (usize::from(map[row * WIDTH + WIDTH / 2]) - 20) / 20;
    digit(HEIGHT / 4) + 10 * digit(HEIGHT * 3 / 4)
}

/// A clip of numbered frames that last so many milliseconds each.
fn clip(path: &Path, framerate: &str, tail: &str, durations: &[u64]) {
    let pipeline = gst::parse::launch(&format!(
        "appsrc name=in format=time caps=video/x-raw,format=I420,width={WIDTH},height={HEIGHT},\
         framerate={framerate},pixel-aspect-ratio=4/3,colorimetry=bt601 ! {tail} ! filesink name=out"
    ))
    .unwrap();
    let bin = pipeline.downcast_ref::<gst::Bin>().unwrap();
    let out = bin.by_name("out").unwrap();
    out.set_property("location", path.to_str().unwrap());
    let source = bin.by_name("in").unwrap();
    let source = source.downcast::<gst_app::AppSrc>().unwrap();
    source.set_max_bytes(0);
    let mut pts = ClockTime::ZERO;
    pipeline.set_state(gst::State::Playing).unwrap();
    for (n, &duration) in durations.iter().enumerate() {
        let duration = ClockTime::from_mseconds(duration);
        let mut buffer = gst::Buffer::from_mut_slice(numbered(n));
        buffer.make_mut().set_pts(pts);
        buffer.make_mut().set_duration(duration);
        source.push_buffer(buffer).unwrap();
        pts += duration;
    }
    source.end_of_stream().unwrap();
    finish(&pipeline);
}

const H264: &str = "x264enc key-int-max=30 bframes=2 qp-max=10 ! h264parse";

/// `frames` frames at 25 a second, with B-frames and a key frame every 30.
fn mp4(dir: &TempDir, frames: usize) -> PathBuf {
    let path = dir.path().join("face.mp4");
    clip(
        &path,
        "25/1",
        &format!("{H264} ! mp4mux"),
        &vec![40; frames],
    );
    path
}

struct Player {
    pipeline: gst::Pipeline,
    source: gst::Element,
    sink: gst_app::AppSink,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Shown {
    pts: ClockTime,
    duration: ClockTime,
    number: usize,
}

impl Player {
    fn new(uri: &str, settings: &str, filter: &str) -> Self {
        let pipeline = gst::parse::launch(&format!(
            "facesource name=face {settings} ! {filter} ! appsink name=out sync=false max-buffers=2"
        ))
        .unwrap()
        .downcast::<gst::Pipeline>()
        .unwrap();
        let source = pipeline.by_name("face").unwrap();
        source.set_property("uri", uri);
        let sink = pipeline.by_name("out").unwrap();
        Self {
            pipeline,
            source,
            sink: sink.downcast().unwrap(),
        }
    }

    fn play(path: &Path, settings: &str) -> Self {
        let player = Self::new(&uri(path), settings, "identity");
        player.start();
        player
    }

    /// A file that can't be played may fail now or later; the message says so in both cases.
    fn start(&self) {
        let _ = self.pipeline.set_state(gst::State::Playing);
    }

    fn sample(&self) -> Option<gst::Sample> {
        self.sink.try_pull_sample(ClockTime::from_seconds(10))
    }

    fn samples(&self, n: usize) -> Vec<gst::Sample> {
        (0..n).map_while(|_| self.sample()).collect()
    }

    fn caps(&self) -> gst::Caps {
        let pad = self.sink.static_pad("sink").unwrap();
        pad.current_caps().unwrap()
    }

    /// The next frames, at most `n`, after a check that they follow each other without a gap.
    fn frames(&self, n: usize) -> Vec<Shown> {
        let frames: Vec<_> = (0..n)
            .map_while(|_| self.sample())
            .map(|sample| {
                let buffer = sample.buffer().unwrap();
                Shown {
                    pts: buffer.pts().unwrap(),
                    duration: buffer.duration().unwrap(),
                    number: number(buffer),
                }
            })
            .collect();
        for pair in frames.windows(2) {
            assert_eq!(pair[0].pts + pair[0].duration, pair[1].pts, "{pair:?}");
        }
        frames
    }

    fn numbers(&self, n: usize) -> Vec<usize> {
        self.frames(n).iter().map(|f| f.number).collect()
    }

    fn loops(&self) -> u64 {
        let stats = self.source.property::<gst::Structure>("stats");
        stats.get("loops").unwrap()
    }

    /// Kind, URI and text of the error that there must be.
    fn error(&self) -> (String, String, glib::Error) {
        let bus = self.pipeline.bus().unwrap();
        let limit = ClockTime::from_seconds(10);
        let message = bus.timed_pop_filtered(limit, &[gst::MessageType::Error]);
        let message = message.expect("an error");
        let gst::MessageView::Error(error) = message.view() else {
            panic!("{message:?}");
        };
        let details = error.details().expect("details");
        (
            details.get("kind").unwrap(),
            details.get("uri").unwrap(),
            error.error(),
        )
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.pipeline.set_state(gst::State::Null).unwrap();
    }
}

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
fn there_and_back(n: usize, frames: usize) -> usize {
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
    let frames = Player::play(&path, "loop-mode=loop").frames(21);
    assert_eq!(frames.len(), 21);
    for (n, frame) in frames.iter().enumerate() {
        assert_eq!(frame.number, n % 7);
        // The last frame has no successor, and Matroska does not say how long it lasts.
        if n % 7 < 6 {
            assert_eq!(frame.duration.mseconds(), durations[n % 7], "frame {n}");
        }
    }
    let frames = Player::play(&path, "loop-mode=ping-pong").frames(12);
    for (n, frame) in frames[7..].iter().enumerate() {
        assert_eq!(frame.number, 5 - n);
        assert_eq!(frame.duration.mseconds(), durations[5 - n], "frame {n}");
    }
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

fn picture(dir: &TempDir, name: &str, encoder: &str) -> PathBuf {
    let path = dir.path().join(name);
    make(&format!(
        "videotestsrc num-buffers=1 pattern=gradient ! video/x-raw,width=80,height=40 \
         ! videoconvert ! {encoder} ! filesink location={}",
        path.display()
    ));
    path
}

#[test]
fn a_picture_is_decoded_once_and_shown_for_ever() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    for (name, encoder) in [
        ("face.png", "pngenc"),
        ("face.jpg", "jpegenc"),
        ("face.webp", "webpenc"),
    ] {
        let path = picture(&dir, name, encoder);
        for mode in ["loop", "ping-pong", "hold"] {
            let player = Player::play(&path, &format!("loop-mode={mode}"));
            let samples = player.samples(30);
            assert_eq!(samples.len(), 30, "{name}, {mode}");
            let memory = |s: &gst::Sample| s.buffer().unwrap().peek_memory(0).as_ptr();
            assert!(samples.iter().all(|s| memory(s) == memory(&samples[0])));
            for (n, sample) in samples.iter().enumerate() {
                let buffer = sample.buffer().unwrap();
                assert_eq!(buffer.pts(), Some(n as u64 * 40 * MS));
                assert_eq!(buffer.duration(), Some(40 * MS));
            }
            let caps = player.caps();
            let s = caps.structure(0).unwrap();
            assert_eq!(s.get::<i32>("width").unwrap(), 80);
            let rate = s.get::<gst::Fraction>("framerate").unwrap();
            assert_eq!(rate, gst::Fraction::new(25, 1));
        }
        let player = Player::play(&path, "fps=10/1");
        let duration = player.sample().unwrap().buffer().unwrap().duration();
        assert_eq!(duration, Some(100 * MS), "{name}");
        assert!(player.sample().is_none() && player.sink.is_eos(), "{name}");
    }
}

/// Brightness of the upper left, upper right and lower left, and the size.
fn corners(sample: &gst::Sample) -> ([u8; 3], (u32, u32)) {
    let info = gst_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
    let (width, height) = (info.width() as usize, info.height() as usize);
    let map = sample.buffer().unwrap().map_readable().unwrap();
    let at = |x: usize, y: usize| map[y * info.stride()[0] as usize + x];
    let (x, y) = (width / 4, height / 4);
    (
        [at(x, y), at(width - x, y), at(x, height - y)],
        (info.width(), info.height()),
    )
}

#[test]
fn a_rotation_tag_is_applied() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let path = mp4(&dir, 10);
    let mut file = std::fs::read(&path).unwrap();
    let at = file.windows(4).position(|w| w == b"tkhd").unwrap();
    // a, b, u, c, d, v of the matrix, as phones write it that are held upright.
    let quarter_turn = [0i32, 1 << 16, 0, -1 << 16, 0, 0];
    let matrix: Vec<_> = quarter_turn.iter().flat_map(|v| v.to_be_bytes()).collect();
    file[at + 44..at + 44 + matrix.len()].copy_from_slice(&matrix);
    std::fs::write(&path, file).unwrap();
    let player = Player::play(&path, "loop-mode=loop");
    let samples = player.samples(30);
    for n in [9, 19, 29] {
        // Frame 9 is bright above (nine units) and dark below (no tens): turned to the right, it is
        // bright on the right.
        let ([left, right, below], size) = corners(&samples[n]);
        assert_eq!(size, (HEIGHT as u32, WIDTH as u32));
        assert!(
            left < 60 && right > 180 && below < 60,
            "{left} {right} {below}"
        );
    }
    let par = player
        .caps()
        .structure(0)
        .unwrap()
        .get("pixel-aspect-ratio");
    assert_eq!(par, Ok(gst::Fraction::new(3, 4)));
}

#[test]
fn a_camera_s_note_in_a_jpeg_is_applied() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let path = picture(&dir, "face.jpg", "video/x-raw,format=I420 ! jpegenc");
    let ([left, right, below], size) = corners(&Player::play(&path, "").sample().unwrap());
    assert_eq!(size, (80, 40));
    assert!(left.abs_diff(right) < 10 && left.abs_diff(below) > 50);
    let mut jpeg = std::fs::read(&path).unwrap();
    let note =
        b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    jpeg.splice(2..2, note.iter().copied());
    std::fs::write(&path, jpeg).unwrap();
    let ([turned, right, _], size) = corners(&Player::play(&path, "").sample().unwrap());
    assert_eq!(size, (40, 80));
    assert!(turned.abs_diff(below) < 10 && right.abs_diff(left) < 10);
}

#[test]
fn what_is_no_face_is_said_to_be_none() {
    use gst::{ResourceError, StreamError};

    let _guard = init();
    let dir = TempDir::new().unwrap();
    let whole = std::fs::read(mp4(&dir, 50)).unwrap();
    let png = std::fs::read(picture(&dir, "face.png", "pngenc")).unwrap();
    let holes = [&png[..60], &[0; 40], &png[100..]].concat();
    let text = "It is a truth universally acknowledged. ".repeat(100);
    let write = |name: &str, data: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, data).unwrap();
        uri(&path)
    };
    let sound = |name: &str, encoder: &str| {
        let path = dir.path().join(name);
        make(&format!(
            "audiotestsrc num-buffers=20 ! {encoder} ! filesink location={}",
            path.display()
        ));
        uri(&path)
    };
    let text = write("text.mp4", text.as_bytes());
    let zip = write("zip.mp4", b"PK\x03\x04 and so on and on");
    let missing = uri(&dir.path().join("none.mp4"));
    let empty = write("empty.mp4", b"");
    let head = write("head.mp4", &whole[..whole.len() / 3]);
    let half = write("half.png", &png[..png.len() / 2]);
    let holes = write("holes.png", &holes);
    let mka = sound("sound.mka", "vorbisenc ! matroskamux");
    let wav = sound("sound.wav", "wavenc");
    let resource = |code| (Some(code), None);
    let stream = |code| (None, Some(code));
    for (uri, kind, code) in [
        (
            "/tmp/face.mp4",
            "bad-uri",
            resource(ResourceError::OpenRead),
        ),
        (&missing, "not-found", resource(ResourceError::NotFound)),
        (
            &uri(dir.path()),
            "folder",
            resource(ResourceError::OpenRead),
        ),
        (&empty, "empty", stream(StreamError::WrongType)),
        (&text, "not-media", stream(StreamError::TypeNotFound)),
        (&zip, "not-media", stream(StreamError::TypeNotFound)),
        (&head, "cut", stream(StreamError::Demux)),
        (&half, "cut", stream(StreamError::Demux)),
        (&holes, "damaged", stream(StreamError::Decode)),
        (&mka, "no-picture", stream(StreamError::WrongType)),
        (&wav, "no-picture", stream(StreamError::WrongType)),
    ] {
        let player = Player::new(uri, "loop-mode=loop", "identity");
        player.start();
        let (found, named, error) = player.error();
        assert_eq!(found, kind, "{uri}: {error}");
        assert_eq!(named, uri);
        assert_eq!((error.kind(), error.kind()), code, "{uri}: {error}");
        let name = Path::new(uri).file_name().unwrap().to_str().unwrap();
        assert!(error.message().contains(name), "{error}");
    }
}

#[test]
fn a_cut_file_gives_what_is_there_and_then_an_error() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("face.mkv");
    clip(&path, "25/1", &format!("{H264} ! matroskamux"), &[40; 90]);
    let mut data = std::fs::read(&path).unwrap();
    data.truncate(data.len() * 2 / 3);
    std::fs::write(&path, data).unwrap();
    let player = Player::play(&path, "loop-mode=loop");
    let numbers = player.numbers(1000);
    assert!((20..90).contains(&numbers.len()), "{numbers:?}");
    assert!(numbers.iter().enumerate().all(|(n, &f)| f == n));
    assert_eq!(player.error().0, "cut");
}

#[test]
fn a_stuck_file_does_not_hold_up_the_stop() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let pipe = dir.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let player = Player::play(&pipe, "");
    std::thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    player.pipeline.set_state(gst::State::Null).unwrap();
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_millis(200), "{elapsed:?}");
}

#[test]
fn what_cannot_be_seeked_cannot_go_backwards() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("face.mkv");
    let tail = format!("{H264} ! matroskamux streamable=true");
    clip(&path, "25/1", &tail, &[40; 50]);
    let (reader, mut writer) = std::io::pipe().unwrap();
    let uri = format!("fd://{}", reader.as_raw_fd());
    let player = Player::new(&uri, "loop-mode=ping-pong", "identity");
    player.start();
    writer.write_all(&std::fs::read(&path).unwrap()).unwrap();
    drop(writer);
    assert_eq!(player.frames(1000).len(), 50);
    assert_eq!(player.error().0, "not-seekable");
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

/// A number from a line of /proc/self/status, such as `VmRSS:`.
fn process(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn hundreds_of_loops_take_no_more_memory_than_a_few() {
    drop(init());
    let _alone = PROCESS.write().unwrap_or_else(|e| e.into_inner());
    let dir = TempDir::new().unwrap();
    let path = mp4(&dir, 8);
    for mode in ["loop", "ping-pong"] {
        let player = Player::play(&path, &format!("loop-mode={mode}"));
        player.frames(8 * 50);
        let before = process("VmRSS:");
        player.frames(8 * 250);
        assert!(player.loops() >= 250);
        let grown = process("VmRSS:").saturating_sub(before);
        assert!(grown < 4096, "{mode} grew by {grown} kB");
    }
}

#[test]
fn nothing_is_left_of_elements_that_are_gone() {
    drop(init());
    let _alone = PROCESS.write().unwrap_or_else(|e| e.into_inner());
    let dir = TempDir::new().unwrap();
    let path = mp4(&dir, 20);
    let measure = || {
        let files = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        [files, process("Threads:"), process("VmRSS:")]
    };
    let some = |n: usize| {
        for n in 0..n {
            let player = Player::play(&path, "loop-mode=ping-pong");
            // Some are stopped while they open, some while they play.
            player.frames(n % 3 * 15);
        }
    };
    some(10);
    std::thread::sleep(Duration::from_millis(300));
    let before = measure();
    some(50);
    // GStreamer's thread pool keeps some threads for later; a leak would show as 50 of them.
    let limits = [16, 16, 16 << 10];
    let grown = |after: [u64; 3]| {
        let pairs = before.into_iter().zip(after).zip(limits);
        pairs
            .into_iter()
            .any(|((before, after), limit)| after > before + limit)
    };
    let until = Instant::now() + Duration::from_secs(5);
    while grown(measure()) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(100));
    }
    let after = measure();
    assert!(!grown(after), "{before:?} became {after:?}");
}
