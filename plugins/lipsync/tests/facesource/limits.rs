//! Time, memory, threads and files.

use std::time::{Duration, Instant};

use gst::prelude::*;
use tempfile::TempDir;

use crate::player::*;

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
fn a_file_that_goes_on_for_too_long_is_an_error_when_it_does() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let path = mp4(&dir, 8);
    // How long the last one lasts is known by the next.
    for (limit, frames) in [("max-frames=5", 4..=5), ("max-duration=110000000", 2..=3)] {
        let player = Player::play(&path, &format!("loop-mode=loop {limit}"));
        assert!(frames.contains(&player.frames(8).len()), "{limit}");
        let (kind, _, error) = player.error();
        assert_eq!(kind, "too-large");
        let property = limit.split('=').next().unwrap();
        assert!(error.message().contains(property), "{error}");
    }
    let player = Player::play(&path, "loop-mode=loop max-frames=8");
    assert_eq!(player.frames(20).len(), 20, "each time it is the same file");
    let player = Player::play(&path, "max-streams=1");
    assert_eq!(player.frames(8).len(), 8);
}

/// A number from a line of /proc/self/status, such as `VmRSS:`.
pub fn process(field: &str) -> u64 {
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
