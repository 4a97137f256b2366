//! Who sees and hears what was sent: ffprobe and ffmpeg.

use std::path::Path;
use std::process::Command;

/// What ffprobe says of each packet of a stream (`v` or `a`), in the order in which they lie.
fn entries(source: &str, stream: &str, entry: &str, extra: &[&str]) -> Vec<f64> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", stream])
        .args([
            "-show_entries",
            &format!("packet={entry}"),
            "-of",
            "csv=p=0",
        ])
        .args(extra)
        .arg(source)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter_map(|line| line.trim_matches(',').parse().ok())
        .collect()
}

/// Times of its packets in seconds.
fn packets(source: &str, stream: &str, extra: &[&str]) -> Vec<f64> {
    entries(source, stream, "pts_time", extra)
}

/// Sizes in bytes of the pictures in an interval, as ffprobe names it.
pub fn picture_sizes(file: &Path, interval: &str) -> Vec<f64> {
    entries(
        file.to_str().unwrap(),
        "v",
        "size",
        &["-read_intervals", interval],
    )
}

/// The same in the order of time.
pub fn times(source: &str, stream: &str) -> Vec<f64> {
    let mut times = packets(source, stream, &[]);
    times.sort_by(f64::total_cmp);
    times
}

/// Somebody who tunes in sees the picture move.
pub fn assert_viewed(url: &str) {
    let viewed = packets(url, "v", &["-read_intervals", "%+1"]);
    assert!(
        viewed.len() >= 20,
        "the viewer sees {} frames",
        viewed.len()
    );
    // There are no frames that wait for later ones, so time goes forward in the order of arrival.
    assert!(viewed.is_sorted(), "{viewed:?}");
}

/// No gap and no overlap, and both streams begin together; at the end, sound is ahead by what the
/// model needs to hear.
pub fn assert_regular(file: &Path) {
    let file = file.to_str().unwrap();
    let (video, sound) = (times(file, "v"), times(file, "a"));
    assert!(video.len() > 10 && sound.len() > 10, "{file}");
    let largest = |times: &[f64]| {
        let steps = times.windows(2).map(|w| w[1] - w[0]);
        steps.fold(0.0, f64::max)
    };
    assert!(largest(&video) < 0.045, "{file}: {}", largest(&video));
    assert!(largest(&sound) < 0.030, "{file}: {}", largest(&sound));
    let first = (video[0] - sound[0]).abs();
    assert!(first < 0.04, "{file}: they begin {first} s apart");
    let last = sound[sound.len() - 1] - video[video.len() - 1];
    assert!(
        (-0.1..0.5).contains(&last),
        "{file}: they end {last} s apart"
    );
}

/// The sound of a file, 8000 samples a second.
pub fn samples_of(file: &Path) -> Vec<i16> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-ac", "1", "-ar", "8000", "-f", "s16le", "-"])
        .output()
        .unwrap();
    let samples = output.stdout.chunks_exact(2);
    samples.map(|b| i16::from_le_bytes([b[0], b[1]])).collect()
}

/// Windows of 20 ms in which it is loud.
pub fn loud_windows(sound: &[i16]) -> usize {
    let level = |window: &[i16]| window.iter().map(|s| s.unsigned_abs()).max();
    let windows = sound.chunks_exact(160);
    windows.filter(|window| level(window) > Some(3000)).count()
}

/// A WAV file with a tone.
pub fn tone_file(rate: u32, seconds: f64) -> Vec<u8> {
    let count = (f64::from(rate) * seconds) as u32;
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + 2 * count).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend([1, 0, 1, 0]);
    file.extend(rate.to_le_bytes());
    file.extend((2 * rate).to_le_bytes());
    file.extend([2, 0, 16, 0]);
    file.extend(b"data");
    file.extend((2 * count).to_le_bytes());
    for n in 0..count {
        let phase = f64::from(n) / f64::from(rate) * 440.0 * std::f64::consts::TAU;
        file.extend(((phase.sin() * 12_000.0) as i16).to_le_bytes());
    }
    file
}
