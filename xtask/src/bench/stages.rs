//! Where the time goes: each stage by itself, on one thread.

use std::path::Path;
use std::process::Command;

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

/// The processor time of the pipeline, less what GStreamer itself takes to start.
fn seconds(pipeline: &str) -> Result<f64> {
    let play = |pipeline: &str| {
        // A shell splits the line as it would split one that is typed, and then tells the times.
        let line = format!("gst-launch-1.0 -q {pipeline} || exit 1; times");
        let output = process::output(Command::new("sh").args(["-c", &line]))?;
        processor_seconds(&output).context("the shell told no times")
    };
    let nothing = play("fakesrc num-buffers=1 ! fakesink")?;
    Ok(play(pipeline)? - nothing)
}

/// User and system time of the shell's children: the last line of what `times` prints, as in
/// `1m2.500000s 0m0.250000s`.
fn processor_seconds(times: &str) -> Option<f64> {
    let words = times.lines().last()?.split_whitespace();
    let seconds = |word: &str| {
        let (minutes, seconds) = word.strip_suffix('s')?.split_once('m')?;
        Some(60.0 * minutes.parse::<f64>().ok()? + seconds.parse::<f64>().ok()?)
    };
    words.map(seconds).sum()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_children_s_times_add_up() {
        let printed = "0m9.000000s 0m9.000000s\n1m2.500000s 0m0.250000s\n";
        assert_eq!(processor_seconds(printed), Some(62.75));
        assert_eq!(processor_seconds("nothing of the kind"), None);
    }

    #[test]
    fn a_path_stays_one_word() {
        let path = Path::new("a $(touch b) `c` \"d\" \\.mp4");
        let shown =
            process::output(Command::new("sh").args(["-c", &format!("printf %s {}", word(path))]));
        assert_eq!(shown.unwrap(), path.display().to_string());
    }

    #[test]
    fn figures_are_read_back() {
        let stats = parse("track mesh-time 42\nnot a figure\n");
        assert_eq!(stats.len(), 1);
        assert_eq!(stats[0].element, "track");
        assert_eq!((&*stats[0].figure, stats[0].value), ("mesh-time", 42));
    }
}
