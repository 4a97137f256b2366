//! What the way back of ping-pong costs: frames decoded, memory, and time at the turn.

use std::time::{Duration, Instant};

use gst::prelude::*;
use tempfile::TempDir;

use crate::limits::process;
use crate::player::*;
use crate::playing::there_and_back;

/// One key frame in all the file, as x264 has it by default in ten seconds.
const ONE_KEY: &str = "x264enc key-int-max=1000 bframes=3 qp-max=10 speed-preset=ultrafast \
                       ! h264parse ! mp4mux";

fn decoded(player: &Player) -> u64 {
    let stats = player.source.property::<gst::Structure>("stats");
    stats.get("decoded").unwrap()
}

/// What ping-pong shows of so many frames.
fn forth_and_back(frames: usize, n: usize) -> Vec<usize> {
    (0..n).map(|n| there_and_back(n, frames)).collect()
}

/// A file whose frames carry no number.
fn plain(dir: &TempDir, frames: usize, size: &str, tail: &str) -> std::path::PathBuf {
    let path = dir.path().join("plain.mp4");
    make(&format!(
        "videotestsrc num-buffers={frames} ! video/x-raw,format=I420,{size},framerate=25/1 \
         ! {tail} ! filesink location={}",
        path.display()
    ));
    path
}

#[test]
fn going_back_decodes_each_frame_once_more() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let frames = 500;
    let path = plain(&dir, frames, "width=64,height=48", ONE_KEY);
    for settings in ["", "prefetch=true", "cache-memory=0", "cache-file=0"] {
        let player = Player::play(&path, &format!("loop-mode=ping-pong {settings}"));
        assert_eq!(player.samples(2 * (frames - 1)).len(), 2 * (frames - 1));
        let ratio = decoded(&player) as f64 / frames as f64;
        assert!(ratio < 2.2, "{ratio} with {settings}");
    }
}

#[test]
fn whatever_can_be_kept_the_order_is_the_same() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("face.mp4");
    let frame = WIDTH * HEIGHT * 3 / 2;
    for frames in [2, 3, 40] {
        clip(&path, "25/1", ONE_KEY, &vec![40; frames]);
        let expected = forth_and_back(frames, 4 * frames);
        for (memory, file) in [(0, 0), (3, 4), (7, 30), (0, 1000)] {
            for prefetch in [false, true] {
                let settings = format!(
                    "loop-mode=ping-pong prefetch={prefetch} cache-memory={} cache-file={}",
                    memory * frame,
                    file * frame
                );
                let player = Player::play(&path, &settings);
                assert_eq!(player.numbers(4 * frames), expected, "{frames}, {settings}");
            }
        }
    }
}

#[test]
fn every_container_turns_at_once_too() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let vp8 = "vp8enc deadline=1 min-quantizer=0 max-quantizer=2";
    for (name, tail) in [
        ("face.mp4", format!("{H264} ! mp4mux")),
        ("face.mkv", format!("{H264} ! matroskamux")),
        ("face.ts", format!("{H264} ! mpegtsmux")),
        ("face.avi", "jpegenc quality=100 ! avimux".to_string()),
        ("raw.mkv", "matroskamux".to_string()),
        ("face.flv", format!("{H264} ! flvmux")),
        ("face.webm", format!("{vp8} ! webmmux")),
    ] {
        let path = dir.path().join(name);
        clip(&path, "25/1", &tail, &[40; 50]);
        let player = Player::play(&path, "loop-mode=ping-pong prefetch=true");
        assert_eq!(player.numbers(160), forth_and_back(50, 160), "{name}");
    }
}

#[test]
fn what_comes_after_a_turn_is_there_before_it() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let frames = 100;
    let path = dir.path().join("face.mp4");
    clip(&path, "25/1", ONE_KEY, &vec![40; frames]);
    let until = |decoded_so_far: &dyn Fn() -> u64, wanted: u64| {
        let limit = Instant::now() + Duration::from_secs(5);
        while decoded_so_far() < wanted && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(5));
        }
        decoded_so_far()
    };
    let player = Player::play(&path, "loop-mode=ping-pong prefetch=true");
    // As fast as on air, nearly; the last five frames are still to come.
    for _ in 0..frames - 5 {
        player.sample().unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    let before_the_turn = until(&|| decoded(&player), 2 * frames as u64 - 10);
    assert!(
        before_the_turn >= 2 * frames as u64 - 10,
        "{before_the_turn}"
    );
    // The way forth too begins without a wait: its reader stands at the start.
    for _ in 0..frames {
        player.sample().unwrap();
    }
    let on_the_way_back = until(&|| decoded(&player), 2 * frames as u64 + 4);
    assert!(
        on_the_way_back >= 2 * frames as u64 + 4,
        "{on_the_way_back}"
    );

    let player = Player::play(&path, "loop-mode=ping-pong");
    player.samples(frames - 5);
    std::thread::sleep(Duration::from_millis(100));
    assert!(decoded(&player) <= frames as u64);
}

#[test]
fn the_way_back_takes_no_more_memory_than_it_may() {
    drop(init());
    let _alone = PROCESS.write().unwrap_or_else(|e| e.into_inner());
    let dir = TempDir::new().unwrap();
    // 150 frames are 207 MB.
    let path = plain(&dir, 150, "width=1280,height=720", ONE_KEY);
    let settings = "loop-mode=ping-pong cache-memory=16777216";
    let player = Player::play(&path, settings);
    player.samples(140);
    let before = process("VmRSS:");
    let mut most = before;
    for _ in 0..10 {
        player.samples(16);
        most = most.max(process("VmRSS:"));
    }
    // With a second decoder's own frames, 50 to 70 MB in all.
    let grown = (most - before) / 1024;
    assert!(grown < 100, "{grown} MB");
}
