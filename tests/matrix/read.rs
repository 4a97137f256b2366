//! What ffmpeg and ffprobe, which are not ours, find in a file.

use std::path::Path;
use std::process::Command;

use crate::make::{BITS, CODE_LEFT, CODE_TOP, PATCH_TOP, PATCHES, SQUARE, STRIP};

pub struct Seen {
    pub width: usize,
    pub height: usize,
    pub aspect: String,
    /// When each frame is shown.
    pub times: Vec<f64>,
    /// The number that is drawn in each frame.
    pub codes: Vec<usize>,
    /// Red, green and blue of the squares in the first frame.
    pub colours: Vec<[f64; 3]>,
    /// Of the stream, where the container says it.
    pub duration: Option<f64>,
}

pub struct Heard {
    /// When the first click comes.
    pub click: Option<f64>,
    pub seconds: f64,
}

fn ffprobe(path: &Path, arguments: &[&str]) -> Result<serde_json::Value, String> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-of", "json"])
        .args(arguments)
        .arg(path)
        .output()
        .map_err(|e| e.to_string())?;
    serde_json::from_slice(&output.stdout).map_err(|e| format!("ffprobe: {e}"))
}

fn seconds(value: &serde_json::Value) -> Option<f64> {
    value.as_str()?.parse().ok()
}

pub fn picture(path: &Path) -> Result<Seen, String> {
    let entries =
        "frame=best_effort_timestamp_time:stream=width,height,sample_aspect_ratio,duration";
    let probed = ffprobe(path, &["-select_streams", "v:0", "-show_entries", entries])?;
    let frames = probed["frames"].as_array().cloned().unwrap_or_default();
    let times: Vec<f64> = frames
        .iter()
        .filter_map(|f| seconds(&f["best_effort_timestamp_time"]))
        .collect();
    let stream = &probed["streams"][0];
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-map", "0:v:0", "-vf", &format!("crop=iw:{STRIP}:0:0")])
        .args([
            "-vsync",
            "passthrough",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            "-",
        ])
        .output()
        .map_err(|e| e.to_string())?;
    let number = |name: &str| stream[name].as_u64().unwrap_or(0) as usize;
    let (mut width, mut height) = (number("width"), number("height"));
    // ffmpeg turns the picture.
    if is_on_its_side(path)? {
        (width, height) = (height, width);
    }
    let size = width * STRIP * 3;
    if size == 0 || output.stdout.is_empty() {
        return Err("ffmpeg sees no picture in it".into());
    }
    let strips: Vec<&[u8]> = output.stdout.chunks_exact(size).collect();
    if strips.len() != times.len() {
        return Err(format!(
            "ffmpeg sees {} frames, ffprobe {}",
            strips.len(),
            times.len()
        ));
    }
    Ok(Seen {
        width,
        height,
        aspect: stream["sample_aspect_ratio"]
            .as_str()
            .unwrap_or("1:1")
            .to_owned(),
        times,
        codes: strips.iter().map(|strip| code(strip, width)).collect(),
        colours: strips
            .first()
            .map(|strip| colours(strip, width))
            .unwrap_or_default(),
        duration: seconds(&stream["duration"]),
    })
}

fn is_on_its_side(path: &Path) -> Result<bool, String> {
    let asked = [
        "-select_streams",
        "v:0",
        "-show_entries",
        "stream_side_data=rotation",
    ];
    let data = ffprobe(path, &asked)?;
    let rotation = data["streams"][0]["side_data_list"][0]["rotation"].as_i64();
    Ok(rotation.is_some_and(|degrees| degrees % 180 != 0))
}

fn mean(strip: &[u8], width: usize, left: usize, top: usize, wide: usize) -> [f64; 3] {
    let mut sum = [0.0; 3];
    // Edges are blurred by coders.
    let (inset, high) = (4, SQUARE - 8);
    for y in top + inset..top + inset + high {
        for x in left + inset..left + wide - inset {
            for (channel, sum) in sum.iter_mut().enumerate() {
                *sum += f64::from(strip[(y * width + x) * 3 + channel]);
            }
        }
    }
    let count = (high * (wide - 2 * inset)) as f64;
    sum.map(|channel| channel / count)
}

fn code(strip: &[u8], width: usize) -> usize {
    (0..BITS).fold(0, |code, bit| {
        let [_, green, _] = mean(strip, width, CODE_LEFT + bit * SQUARE, CODE_TOP, SQUARE);
        code << 1 | usize::from(green > 125.0)
    })
}

fn colours(strip: &[u8], width: usize) -> Vec<[f64; 3]> {
    (0..PATCHES.len())
        .map(|i| {
            mean(
                strip,
                width,
                CODE_LEFT + 2 * i * SQUARE,
                PATCH_TOP,
                2 * SQUARE,
            )
        })
        .collect()
}

pub fn sound(path: &Path) -> Result<Heard, String> {
    const RATE: f64 = 16_000.0;
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args([
            "-map", "0:a:0", "-ac", "1", "-ar", "16000", "-f", "s16le", "-",
        ])
        .output()
        .map_err(|e| e.to_string())?;
    let samples = output.stdout.chunks_exact(2);
    let samples: Vec<i16> = samples.map(|s| i16::from_le_bytes([s[0], s[1]])).collect();
    if samples.is_empty() {
        return Err("ffmpeg hears no sound in it".into());
    }
    // A sound may begin later than the file.
    let asked = [
        "-select_streams",
        "a:0",
        "-show_entries",
        "packet=pts_time:stream=duration",
        "-read_intervals",
        "%+#1",
    ];
    let probed = ffprobe(path, &asked)?;
    let begin = seconds(&probed["packets"][0]["pts_time"])
        .unwrap_or(0.0)
        .max(0.0);
    // ffmpeg plays the last packet whole, whatever the index says of its length.
    let told = seconds(&probed["streams"][0]["duration"]);
    let loudest = samples.iter().map(|s| s.unsigned_abs()).max().unwrap_or(0);
    // The hum alone is far below.
    let click = samples
        .iter()
        .position(|s| loudest > 8000 && s.unsigned_abs() > loudest / 2)
        .map(|at| begin + at as f64 / RATE);
    Ok(Heard {
        click,
        seconds: told.unwrap_or(samples.len() as f64 / RATE),
    })
}
