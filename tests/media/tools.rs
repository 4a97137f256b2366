//! What these tests share: ffmpeg, ffprobe, and files that are made of the face and the speech.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run_support::{TestDir, face, finish, run, speech, stderr};

/// One sample of the 16 kHz at which sounds are compared.
pub const RATE: f64 = 16_000.0;

pub fn ffmpeg(arguments: &[&str], output: &Path) {
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(arguments)
        .arg(output)
        .status();
    assert!(status.expect("ffmpeg runs").success(), "{arguments:?}");
}

pub fn ffprobe(path: &Path, arguments: &[&str]) -> Vec<String> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-of", "csv=p=0"])
        .args(arguments)
        .arg(path)
        .output()
        .expect("ffprobe runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .map(|line| line.trim_end_matches(',').to_owned())
        .collect()
}

pub fn numbers(lines: &[String]) -> Vec<f64> {
    lines.iter().filter_map(|l| l.parse().ok()).collect()
}

/// When each frame of the picture is shown.
pub fn frame_times(path: &Path) -> Vec<f64> {
    let shown = ["-select_streams", "v", "-show_entries", "packet=pts_time"];
    let mut times = numbers(&ffprobe(path, &shown));
    times.sort_by(f64::total_cmp);
    times
}

pub fn duration(path: &Path, stream: &str) -> f64 {
    let asked = [
        "-select_streams",
        stream,
        "-show_entries",
        "stream=duration",
    ];
    numbers(&ffprobe(path, &asked))
        .first()
        .copied()
        .unwrap_or(0.0)
}

/// The sound as ffmpeg plays it: 16 kHz, one channel.
pub fn sound(path: &Path) -> Vec<f64> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-ac", "1", "-ar", "16000", "-f", "s16le", "-"])
        .output()
        .expect("ffmpeg runs");
    let samples = output.stdout.chunks_exact(2);
    samples
        .map(|s| f64::from(i16::from_le_bytes([s[0], s[1]])))
        .collect()
}

/// By how many samples `b` is later than `a`: where they agree best.
pub fn lag(a: &[f64], b: &[f64]) -> i64 {
    const FARTHEST: i64 = 800;
    let middle = a.len() / 2;
    let piece = &a[middle - 3000..middle + 3000];
    let likeness = |lag: &i64| -> f64 {
        let from = (middle as i64 - 3000 + lag) as usize;
        piece.iter().zip(&b[from..]).map(|(x, y)| x * y).sum()
    };
    (-FARTHEST..=FARTHEST)
        .max_by(|x, y| likeness(x).total_cmp(&likeness(y)))
        .unwrap_or(FARTHEST)
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("a name in ASCII")
}

pub struct Files {
    pub desk: TestDir,
}

impl Files {
    pub fn new() -> Self {
        Self {
            desk: TestDir::new(),
        }
    }

    /// Makes a file of the first seconds of the face.
    pub fn face(&self, name: &str, arguments: &[&str]) -> PathBuf {
        self.of(&face(), name, arguments)
    }

    /// Makes a file of two seconds of the speech.
    pub fn speech(&self, name: &str, arguments: &[&str]) -> PathBuf {
        self.of(&speech(), name, arguments)
    }

    pub fn of(&self, input: &Path, name: &str, arguments: &[&str]) -> PathBuf {
        let path = self.desk.file(name);
        let all = [&["-t", "2", "-i", text(input)], arguments].concat();
        ffmpeg(&all, &path);
        path
    }

    pub fn made(&self, face: &Path, speech: &Path, name: &str, options: &[&str]) -> PathBuf {
        let output = self.desk.file(name);
        let result = finish(run(face, speech, &output).args(options));
        assert!(result.status.success(), "{name}: {}", stderr(&result));
        output
    }

    pub fn refused(&self, face: &Path, speech: &Path, code: i32, words: &str) {
        let output = self.desk.file("refused.mp4");
        let result = finish(&mut run(face, speech, &output));
        let said = stderr(&result);
        assert_eq!(result.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(!output.exists());
    }
}
