//! Makes the inputs: a face that moves, with the number of each frame in its first rows, and a sound with
//! clicks.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use crate::case::Case;
use crate::formats::{Begin, Shape, Sound, Varies};
use crate::run_support::face;

pub const WIDTH: usize = 288;
pub const HEIGHT: usize = 216;
/// The rows in which everything is that is measured.
pub const STRIP: usize = 40;
/// Bits of a frame's number, from the highest: black and white squares of this size.
pub const BITS: usize = 16;
pub const SQUARE: usize = 16;
pub const CODE_LEFT: usize = 8;
pub const CODE_TOP: usize = 4;
/// Below them, squares of these colours.
pub const PATCHES: [[u8; 3]; 6] = [
    [200, 30, 30],
    [30, 170, 40],
    [30, 50, 200],
    [20, 20, 20],
    [128, 128, 128],
    [245, 245, 245],
];
pub const PATCH_TOP: usize = 22;
/// When the first click comes; others follow after a second each.
pub const CLICK: f64 = 0.4;

const FRAME_BYTES: usize = WIDTH * HEIGHT * 3;

/// Two seconds of the face, as red, green and blue.
static FACE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-t", "2", "-i"])
        .arg(face())
        .args(["-vf", &format!("scale={WIDTH}:{HEIGHT}")])
        .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
        .output()
        .expect("ffmpeg runs");
    assert!(output.stdout.len() >= 50 * FRAME_BYTES);
    output.stdout
});

/// The frame of that number; the face moves on at 25 frames/s and back again.
fn frame(number: usize, fps: f64) -> Vec<u8> {
    let all = FACE.len() / FRAME_BYTES;
    let step = (number as f64 / fps * 25.0) as usize % (2 * all - 2);
    let source = if step < all { step } else { 2 * all - 2 - step };
    let mut pixels = FACE[source * FRAME_BYTES..(source + 1) * FRAME_BYTES].to_vec();
    for bit in 0..BITS {
        let is_set = number >> (BITS - 1 - bit) & 1 == 1;
        let level = if is_set { 235 } else { 16 };
        square(&mut pixels, CODE_LEFT + bit * SQUARE, CODE_TOP, [level; 3]);
    }
    for (i, colour) in PATCHES.iter().enumerate() {
        square(&mut pixels, CODE_LEFT + 2 * i * SQUARE, PATCH_TOP, *colour);
        square(
            &mut pixels,
            CODE_LEFT + (2 * i + 1) * SQUARE,
            PATCH_TOP,
            *colour,
        );
    }
    pixels
}

fn square(pixels: &mut [u8], left: usize, top: usize, colour: [u8; 3]) {
    for y in top..top + SQUARE {
        for x in left..left + SQUARE {
            let at = (y * WIDTH + x) * 3;
            pixels[at..at + 3].copy_from_slice(&colour);
        }
    }
}

/// Runs ffmpeg and says what it said where it failed.
fn finish(command: &mut Command, feed: impl FnOnce(&mut dyn Write)) -> Result<(), String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ffmpeg runs");
    if let Some(mut input) = child.stdin.take() {
        feed(&mut input);
    }
    let output = child.wait_with_output().expect("ffmpeg ends");
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.lines().next().unwrap_or("ffmpeg failed").to_owned())
}

/// The face of that case.
pub fn picture(case: &Case, folder: &Path) -> Result<PathBuf, String> {
    let path = folder.join(format!("face.{}", case.picture.extension));
    let is_copied = case.begin == Begin::Trimmed || matches!(case.shape, Shape::Turned(_));
    let full = match is_copied {
        true => folder.join(format!("whole.{}", case.picture.extension)),
        false => path.clone(),
    };
    let (num, den) = case.rate.fraction;
    let fps = f64::from(num) / f64::from(den);
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]);
    command.args([
        "-s",
        &format!("{WIDTH}x{HEIGHT}"),
        "-framerate",
        &format!("{num}/{den}"),
    ]);
    command.args(["-i", "-", "-vf", &filters(case)]);
    command.args(case.picture.arguments.split_whitespace());
    if case.is_timed() {
        command.args(["-vsync", "passthrough", "-enc_time_base", "1/60000"]);
    }
    if let Some((range, matrix)) = case.colours {
        command.args(["-color_range", range, "-colorspace", matrix]);
        command.args(["-color_primaries", matrix, "-color_trc", matrix]);
    }
    if case.begin == Begin::Wrap {
        // 2^33 ticks of a 90-kHz clock are 95443.7 s.
        command.args(["-output_ts_offset", "95442.9"]);
    }
    command.args(["-threads", "2"]).arg(&full);
    finish(&mut command, |input| {
        for number in 0..case.frames_made() {
            // It says itself why it wants no more.
            if input.write_all(&frame(number, fps)).is_err() {
                break;
            }
        }
    })?;
    if is_copied {
        // Both are notes in the index, which ffmpeg writes when it copies.
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-y"]);
        if case.begin == Begin::Trimmed {
            command.args(["-ss", "0.36"]);
        }
        command.arg("-i").arg(&full).args(["-c", "copy"]);
        if let Shape::Turned(degrees) = case.shape {
            command.args(["-metadata:s:v:0", &format!("rotate={degrees}")]);
        }
        finish(command.arg(&path), |_| {})?;
    }
    Ok(path)
}

fn filters(case: &Case) -> String {
    let mut filters = Vec::new();
    if case.rate.varies == Varies::Holes {
        filters.push("select='mod(n,3)'".to_owned());
    }
    if case.is_timed() {
        let middle = case.frames_made() / 2;
        let mut shift = String::new();
        if case.begin == Begin::Late {
            shift += "+0.5/TB";
        }
        match case.rate.varies {
            Varies::Jitter => shift += "+mod(N*7,5)*0.002/TB",
            Varies::Gap => shift += &format!("+gt(N,{middle})*0.5/TB"),
            Varies::No | Varies::Holes => {}
        }
        filters.push(format!("settb=1/60000,setpts='PTS{shift}'"));
    }
    match case.shape {
        Shape::Even => {}
        Shape::OddWidth => filters.push(format!("pad={}:{HEIGHT}", WIDTH + 1)),
        Shape::OddHeight => filters.push(format!("pad={WIDTH}:{}", HEIGHT + 1)),
        // Stored so that it stands upright when it was turned.
        Shape::Turned(90) => filters.push("transpose=clock".to_owned()),
        Shape::Turned(180) => filters.push("hflip,vflip".to_owned()),
        Shape::Turned(_) => filters.push("transpose=cclock".to_owned()),
        Shape::Aspect => filters.push("setsar=4/3".to_owned()),
    }
    if let Some((range, matrix)) = case.colours {
        filters.push(format!(
            "scale=out_color_matrix={matrix}:out_range={range},format=yuv420p"
        ));
    }
    if case.picture.extension == "gif" {
        filters.push("split[a][b];[a]palettegen[p];[b][p]paletteuse".to_owned());
    }
    if filters.is_empty() {
        filters.push("null".to_owned());
    }
    filters.join(",")
}

/// A hum with a click every second.
pub fn speech(sound: &Sound, length: f64, folder: &Path) -> Result<PathBuf, String> {
    let path = folder.join(format!("speech.{}", sound.extension));
    let mut command = Command::new("ffmpeg");
    command.args([
        "-v", "error", "-y", "-f", "s16le", "-ar", "48000", "-ac", "1", "-i", "-",
    ]);
    command.args(sound.arguments.split_whitespace()).arg(&path);
    finish(&mut command, |input| {
        let samples = (length * 48_000.0) as usize;
        let mut bytes = Vec::with_capacity(2 * samples);
        for n in 0..samples {
            let time = n as f64 / 48_000.0;
            let wave = |hertz: f64| (time * hertz * std::f64::consts::TAU).sin();
            let since = (time - CLICK).rem_euclid(1.0);
            let click = if time >= CLICK && since < 0.004 {
                0.8 * wave(2000.0)
            } else {
                0.0
            };
            let sample = (0.03 * wave(150.0) + click) * 32_000.0;
            bytes.extend((sample as i16).to_le_bytes());
        }
        let _ = input.write_all(&bytes);
    })?;
    Ok(path)
}
