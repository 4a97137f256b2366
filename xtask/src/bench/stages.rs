//! Where the time goes: each stage by itself, on one thread.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use super::material::Clip;
use crate::{job, process};

/// Milliseconds a frame of every stage.
pub fn measure(clip: &Clip) -> Result<Vec<(&'static str, f64)>> {
    let frames = clip.frames();
    let picture = format!(
        "filesrc location={} ! qtdemux ! h264parse ! avdec_h264 max-threads=1",
        word(&clip.face)
    );
    let speech = format!(
        "filesrc location={} ! wavparse ! audioconvert ! audioresample ! audio/x-raw,format=F32LE,rate=16000,channels=1",
        word(&clip.speech)
    );
    let decode = seconds(&format!("{picture} ! fakesink"))?;
    let encode = seconds(&format!(
        "{picture} ! x264enc speed-preset=veryfast threads=1 ! fakesink"
    ))?;
    let listen = seconds(&format!("{speech} ! fakesink"))?;

    let stats = stats(&format!(
        "{picture} ! queue ! facetrack name=track ! queue ! lipsync name=sync batch-size=1 threads=1 ! fakesink \
         {speech} ! queue ! sync.audio"
    ))?;
    let spent = |element: &str, figure: &str| {
        let nanoseconds = stats
            .iter()
            .find(|s| s.element == element && s.figure == figure)
            .with_context(|| format!("{element} has no {figure} in its stats"))?
            .value;
        Ok::<_, anyhow::Error>(nanoseconds as f64 / 1e6 / frames)
    };
    let each = |seconds: f64| 1e3 * seconds / frames;
    Ok(vec![
        ("decode", each(decode)),
        ("detect", spent("track", "detector-time")?),
        ("mesh", spent("track", "mesh-time")?),
        ("audio", each(listen) + spent("sync", "audio-time")?),
        ("model", spent("sync", "inference-time")?),
        ("render", spent("sync", "render-time")?),
        ("encode", each((encode - decode).max(0.0))),
    ])
}

/// How long the pipeline takes, less what GStreamer itself takes to start.
fn seconds(pipeline: &str) -> Result<f64> {
    let play = |pipeline: &str| {
        let started = Instant::now();
        // A shell splits the line as it would split one that is typed.
        let line = format!("exec gst-launch-1.0 -q {pipeline}");
        process::output(Command::new("sh").args(["-c", &line]))?;
        Ok::<_, anyhow::Error>(started.elapsed().as_secs_f64())
    };
    let nothing = play("fakesrc num-buffers=1 ! fakesink")?;
    Ok(play(pipeline)? - nothing)
}

struct Stat {
    element: String,
    figure: String,
    value: u64,
}

/// The elements' own figures after the pipeline has run to its end.
fn stats(pipeline: &str) -> Result<Vec<Stat>> {
    let program = job::binaries().join("examples/stage_times");
    Ok(parse(&process::output(
        Command::new(program).arg(pipeline),
    )?))
}

fn parse(output: &str) -> Vec<Stat> {
    let stat = |line: &str| {
        let mut words = line.split(' ');
        Some(Stat {
            element: words.next()?.into(),
            figure: words.next()?.into(),
            value: words.next()?.parse().ok()?,
        })
    };
    output.lines().filter_map(stat).collect()
}

/// The path as one word of a pipeline, for GStreamer's parser and for the shell alike.
fn word(path: &Path) -> String {
    let mut word = String::from("\"");
    for c in path.display().to_string().chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            word.push('\\');
        }
        word.push(c);
    }
    word.push('"');
    word
}
