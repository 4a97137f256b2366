//! What ffmpeg and ffprobe, which are not ours, find in a file.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

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
    /// When each click comes.
    pub clicks: Vec<f64>,
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
    let entries = "stream=width,height,sample_aspect_ratio,duration";
    let probed = ffprobe(path, &["-select_streams", "v:0", "-show_entries", entries])?;
    let stream = &probed["streams"][0];
    let number = |name: &str| stream[name].as_u64().unwrap_or(0) as usize;
    let (mut width, mut height) = (number("width"), number("height"));
    // ffmpeg turns the picture.
    if is_on_its_side(path)? {
        (width, height) = (height, width);
    }
    let (times, codes, colours) = strips(path, width)?;
    if codes.is_empty() || codes.len() != times.len() {
        let (pictures, times) = (codes.len(), times.len());
        return Err(format!(
            "ffmpeg sees {pictures} pictures with {times} times"
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
        codes,
        colours,
        duration: seconds(&stream["duration"]),
    })
}

/// Times, numbers, and the colours in the first frame.
type Strips = (Vec<f64>, Vec<usize>, Vec<[f64; 3]>);

/// What is in each frame and when it is shown, one frame at a time: ten minutes are many.
fn strips(path: &Path, width: usize) -> Result<Strips, String> {
    let mut child = Command::new("ffmpeg")
        .args(["-v", "info", "-nostats", "-copyts", "-i"])
        .arg(path)
        .args(["-map", "0:v:0", "-vf"])
        .arg(format!(
            "showinfo=checksum=0,format=rgb24,crop=iw:{STRIP}:0:0"
        ))
        .args(["-vsync", "passthrough", "-f", "rawvideo"])
        .args(["-pix_fmt", "rgb24", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    let said = child.stderr.take().map(BufReader::new);
    let times = std::thread::spawn(move || said.map(shown_at).unwrap_or_default());
    let (mut codes, mut patches) = (Vec::new(), Vec::new());
    let mut strip = vec![0; width * STRIP * 3];
    if let Some(mut pixels) = child.stdout.take() {
        while !strip.is_empty() && pixels.read_exact(&mut strip).is_ok() {
            codes.push(code(&strip, width));
            if codes.len() == 1 {
                patches = colours(&strip, width);
            }
        }
    }
    child.wait().map_err(|e| e.to_string())?;
    let times = times.join().map_err(|_| "ffmpeg's words can't be read")?;
    Ok((times, codes, patches))
}

/// The times that the filter `showinfo` tells: in ticks of a unit that it tells before.
fn shown_at(said: impl BufRead) -> Vec<f64> {
    let behind = |line: &str, word: &str| -> Option<String> {
        let rest = line.split_once(word)?.1.trim_start();
        Some(rest.split([' ', ',']).next()?.to_owned())
    };
    let mut unit = 1.0;
    let mut times = Vec::new();
    for line in said.split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        if !line.contains("Parsed_showinfo") {
            continue;
        }
        if let Some((a, b)) = behind(&line, "config in time_base:")
            .and_then(|base| base.split_once('/').map(|(a, b)| (a.parse(), b.parse())))
            && let (Ok(a), Ok(b)) = (a as Result<f64, _>, b as Result<f64, _>)
        {
            unit = a / b;
        }
        if let Some(pts) = behind(&line, " pts:").and_then(|pts| pts.parse::<f64>().ok()) {
            times.push(pts * unit);
        }
    }
    times
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
        "packet=pts_time:stream=duration:format=start_time,format_name",
        "-read_intervals",
        "%+#1",
    ];
    let probed = ffprobe(path, &asked)?;
    let begin = seconds(&probed["packets"][0]["pts_time"])
        .unwrap_or(0.0)
        .max(0.0);
    // The clock of a transport stream begins anywhere.
    let is_stream = probed["format"]["format_name"] == "mpegts";
    let zero = seconds(&probed["format"]["start_time"]).filter(|_| is_stream);
    let begin = begin - zero.unwrap_or(0.0);
    // ffmpeg plays the last packet whole, whatever the index says of its length.
    let told = seconds(&probed["streams"][0]["duration"]);
    let loudest = samples.iter().map(|s| s.unsigned_abs()).max().unwrap_or(0);
    // The hum alone is far below.
    let mut clicks: Vec<f64> = Vec::new();
    for (at, sample) in samples.iter().enumerate() {
        let time = begin + at as f64 / RATE;
        let is_loud = loudest > 8000 && sample.unsigned_abs() > loudest / 2;
        if is_loud && clicks.last().is_none_or(|last| time - last > 0.5) {
            clicks.push(time);
        }
    }
    Ok(Heard {
        clicks,
        seconds: told.unwrap_or(samples.len() as f64 / RATE),
    })
}
