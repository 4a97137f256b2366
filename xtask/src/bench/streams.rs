//! Streams beside each other, stalled ones, and faces that are played forth and back.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};

use super::material::{self, Clip};
use super::median;
use crate::material::{StatusOk, ffmpeg, make};
use crate::table::{Figure, Limit};
use crate::{job, process};

/// So often pipelines beside each other are measured, in one process and in several by turns.
const ROUNDS: usize = 3;
/// Pipelines beside each other.
const NUMBERS: [u32; 2] = [2, 4];
/// Streams that share a generator's batches.
const STREAMS: u32 = 4;
/// Frames of a face that is played forth and back: two times as far as x264 puts key frames apart.
const FRAMES: u32 = 500;
const SIZES: [(&str, u32); 3] = [("1280x720", 720), ("1920x1080", 1080), ("3840x2160", 2160)];

pub fn measure(
    folder: &Path,
    clip: &Clip,
    model: &Path,
    generator_seconds: u32,
) -> Result<Vec<Figure>> {
    let mut figures = beside_each_other(clip)?;
    figures.push(batched(clip, model, generator_seconds)?);
    figures.push(stalled()?);
    figures.extend(turns(folder)?);
    Ok(figures)
}

fn example(arguments: &[&str]) -> Command {
    let mut command = Command::new(job::binaries().join("examples/streams"));
    command.args(arguments);
    command
}

fn number(text: &str) -> Result<f64> {
    text.trim()
        .parse()
        .with_context(|| format!("`streams` gave `{text}`"))
}

/// Arguments of pipelines that play the clip.
fn together(number: u32, seconds: u32, clip: &Clip, properties: &[&str]) -> Command {
    let mut command = example(&["together", &number.to_string(), &seconds.to_string()]);
    command.args([&clip.face, &clip.speech]).args(properties);
    command
}

/// What `streams together` prints of the processor.
const PROCESSOR: &str = "processor ";

/// Seconds of the processor that pipelines took.
fn processor(printed: &str) -> Result<f64> {
    let lines = printed.lines();
    let mut seconds = lines.filter_map(|line| line.strip_prefix(PROCESSOR));
    seconds.try_fold(0.0, |sum, seconds| Ok(sum + number(seconds)?))
}

/// Frames per second of pipelines beside each other, from the moment when each has given its first one to the
/// first that ends: whoever is left then has the machine for itself.
fn rate(printed: &str) -> Result<f64> {
    let mut all = Vec::new();
    let of_frames = |line: &&str| !line.starts_with(PROCESSOR);
    for line in printed.lines().filter(of_frames) {
        let times = line.split_whitespace().map(str::parse::<u64>);
        all.push(times.collect::<std::result::Result<Vec<_>, _>>()?);
    }
    let begin = all.iter().filter_map(|times| times.first()).max();
    let end = all.iter().filter_map(|times| times.last()).min();
    let (Some(&begin), Some(&end)) = (begin, end) else {
        bail!("`streams` gave no frame");
    };
    let times = all.iter().flatten();
    let within = times.filter(|&&time| begin < time && time <= end).count();
    Ok(within as f64 * 1e6 / end.saturating_sub(begin) as f64)
}

/// What pipelines in one process print.
fn within(number: u32, clip: &Clip) -> Result<String> {
    process::output(&mut together(number, clip.seconds, clip, &[]))
}

/// What pipelines print that have a process each.
fn apart(number: u32, clip: &Clip) -> Result<String> {
    let processes = (0..number)
        .map(|_| {
            let mut command = together(1, clip.seconds, clip, &[]);
            command.stdin(Stdio::null()).stdout(Stdio::piped());
            command.spawn().context("can't start `streams`")
        })
        .collect::<Result<Vec<_>>>()?;
    // Each is read while it runs, or it would wait for that.
    let readers: Vec<_> = processes
        .into_iter()
        .map(|process| std::thread::spawn(move || process.wait_with_output()))
        .collect();
    let mut printed = String::new();
    for reader in readers {
        let output = reader.join().map_err(|_| anyhow!("a reader panicked"))??;
        if !output.status.success() {
            bail!("a pipeline failed ({})", output.status);
        }
        printed.push_str(&String::from_utf8_lossy(&output.stdout));
    }
    Ok(printed)
}

/// Pipelines in one process against as many processes.
fn beside_each_other(clip: &Clip) -> Result<Vec<Figure>> {
    let one = rate(&within(1, clip)?)?;
    let mut figures = vec![Figure {
        name: "1 pipeline, without decoding of sound and encoding".into(),
        value: one,
        unit: "frames/s",
        limit: Limit::Any,
    }];
    for count in NUMBERS {
        eprintln!("{count} pipelines in one process, and in {count}");
        let (mut rates, mut costs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (within, apart) = (within(count, clip)?, apart(count, clip)?);
            rates.push(rate(&within)? / rate(&apart)?);
            costs.push(processor(&within)? / processor(&apart)?);
        }
        figures.push(Figure {
            name: format!("{count} pipelines in one process, against {count} processes"),
            value: median(&mut rates),
            unit: "",
            limit: Limit::AtLeast(0.95),
        });
        // This one can be trusted on a machine that does other things too.
        figures.push(Figure {
            name: "the same, by the time that the processor was busy with them".into(),
            value: median(&mut costs),
            unit: "",
            limit: Limit::AtMost(1.05),
        });
    }
    Ok(figures)
}

/// A generator whose batches hold frames of several streams, against one that each runs by itself.
fn batched(clip: &Clip, model: &Path, seconds: u32) -> Result<Figure> {
    eprintln!("Generator, {STREAMS} streams");
    let model = format!("model-file={}", model.display());
    let threads = "threads=1";
    // Each stream's own share of the time that one has.
    let seconds = (seconds / STREAMS).max(2);
    let run = |properties: &[&str]| {
        rate(&process::output(&mut together(
            STREAMS, seconds, clip, properties,
        ))?)
    };
    let single = run(&[&model, threads, "batch-size=1"])?;
    let batch = format!("batch-size={STREAMS}");
    let batched = run(&[&model, threads, &batch, "model-instance-id=bench"])?;
    Ok(Figure {
        name: format!("generator, {STREAMS} streams in a batch, against {STREAMS} with none"),
        value: batched / single,
        unit: "",
        limit: Limit::AtLeast(1.0),
    })
}

fn stalled() -> Result<Figure> {
    eprintln!("A camera that has stalled");
    let share = number(&process::output(&mut example(&["stalled", "10"]))?)?;
    Ok(Figure {
        name: "live pipeline whose camera has stalled, of a core".into(),
        value: 100.0 * share,
        unit: "%",
        limit: Limit::AtMost(2.0),
    })
}

/// How often a frame is decoded where a face is played forth and back.
fn turns(folder: &Path) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (size, lines) in SIZES {
        eprintln!("Forth and back, {size}");
        let face = key_frames_far_apart(folder, size)?;
        let mut command = example(&["turns"]);
        let decoded = number(&process::output(command.arg(face))?)?;
        figures.push(Figure {
            name: format!("{lines}p forth and back: decoded for each frame of the file"),
            value: decoded,
            unit: "",
            limit: Limit::AtMost(2.2),
        });
    }
    Ok(figures)
}

fn key_frames_far_apart(folder: &Path, size: &str) -> Result<PathBuf> {
    let face = folder.join(format!("turns-{size}.mp4"));
    make(&face, |part| {
        ffmpeg(&["-f", "lavfi"])
            .args([
                "-i",
                &format!("testsrc2=size={size}:rate={}", material::FRAMES_PER_SECOND),
            ])
            .args(["-frames:v", &FRAMES.to_string()])
            // Key frames as x264 puts them unless told otherwise.
            .args([
                "-c:v",
                "libx264",
                "-preset",
                "superfast",
                "-pix_fmt",
                "yuv420p",
            ])
            .arg(part)
            .status_ok()
    })?;
    Ok(face)
}

#[cfg(test)]
mod tests {
    use super::{processor, rate};

    #[test]
    fn only_what_ran_beside_each_other_counts() {
        // The second begins when the first has given three frames, and goes on alone.
        let printed = "0 500000 1000000 1500000 2000000\n1000000 2000000 2100000 2200000\n\
                       processor 0.50\nprocessor 0.25\n";
        let found = rate(printed).unwrap();
        assert!((found - 3.0).abs() < 1e-9, "{found}");
        assert!((processor(printed).unwrap() - 0.75).abs() < 1e-9);
        assert!(rate("").is_err());
        assert!(rate("0 x\n").is_err());
    }
}
