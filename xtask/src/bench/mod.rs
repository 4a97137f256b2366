//! `cargo xtask bench`: speed and memory, as ratios within one run on one machine.

mod material;
mod stages;
mod streams;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::setup::{self, Scope};
use crate::table::{Figure, Figures, Limit, Stages};
use crate::{job, process, workspace};
use material::Clip;

#[derive(clap::Args)]
pub struct Args {
    /// A few minutes instead of a quarter of an hour: shorter clips, one round
    #[arg(long)]
    quick: bool,
}

/// A face at 1280x720, of a minute.
pub fn clip_720p() -> Result<std::path::PathBuf> {
    Ok(material::clip(&material::folder()?, FULL.seconds)?.face)
}

/// How much is measured.
struct Extent {
    /// Length of the clip.
    seconds: u32,
    /// Times that speed is measured.
    rounds: usize,
    /// How many times longer the long job is than the short one.
    longer: u32,
    /// Length of the clip for the generator, which is far slower than real time.
    generator_seconds: u32,
}

const FULL: Extent = Extent {
    seconds: 60,
    rounds: 3,
    longer: 10,
    generator_seconds: 20,
};

const QUICK: Extent = Extent {
    seconds: 20,
    rounds: 1,
    longer: 5,
    generator_seconds: 8,
};

/// The generator runs on one thread, as the other stages need the other core.
const GENERATOR_THREADS: u32 = 1;
const GENERATOR_BATCH: u32 = 4;

/// The template `file` without what is to be measured.
const WITHOUT: &str = "xtask/pipelines/without-lipsync.launch";

pub fn run(args: &Args) -> Result<()> {
    let extent = if args.quick { QUICK } else { FULL };
    setup::ensure(Scope::Test)?;
    eprintln!("Building");
    job::build()?;
    process::run(workspace::cargo().args([
        "build",
        "--release",
        "-p",
        "gst-plugin-lipsync",
        "--examples",
    ]))?;
    eprintln!("Making the clips");
    let folder = material::folder()?;
    let clip = material::clip(&folder, extent.seconds)?;

    let mut figures = first_frame(&folder, &clip)?;
    figures.extend(speed(&folder, &clip, extent.rounds)?);
    figures.extend(memory(&folder, &clip, extent.longer)?);
    figures.extend(generator(&folder, extent.generator_seconds)?);
    let model = material::generator(&folder)?;
    figures.extend(streams::measure(
        &folder,
        &clip,
        &model,
        extent.generator_seconds,
    )?);
    eprintln!("Timing the stages");
    let stages = stages::measure(&clip)?;

    println!("{}\n{}", Figures(&figures), Stages(&stages));
    let missed = figures.iter().filter(|f| !f.is_met()).count();
    if missed > 0 {
        bail!("{missed} of {} limits missed", figures.len());
    }
    Ok(())
}

/// How fast the default model is, and what it costs beside decoding and encoding. The two are
/// measured in turn, so that a machine that slows down slows both.
fn speed(folder: &Path, clip: &Clip, rounds: usize) -> Result<Vec<Figure>> {
    let mut whole = Vec::new();
    let mut without = Vec::new();
    for round in 1..=rounds {
        eprintln!("Speed, round {round} of {rounds}");
        whole.push(job_of(folder, clip, &[])?.wall.as_secs_f64());
        let other = ["--template".into(), workspace::root().join(WITHOUT).into()];
        without.push(job_of(folder, clip, &other)?.wall.as_secs_f64());
    }
    let seconds = f64::from(clip.seconds);
    Ok(vec![
        Figure {
            name: "default model, against real time".into(),
            value: seconds / median(&mut whole),
            unit: "x",
            limit: Limit::AtLeast(3.0),
        },
        Figure {
            name: "default model, against no facetrack and lipsync".into(),
            value: median(&mut without) / median(&mut whole),
            unit: "",
            limit: Limit::AtLeast(0.6),
        },
    ])
}

/// Frames per second of a heavy network in the pipeline, against the network by itself.
fn generator(folder: &Path, seconds: u32) -> Result<Vec<Figure>> {
    eprintln!("Generator model");
    let model = material::generator(folder)?;
    let clip = material::clip(folder, seconds)?;
    let bare = || {
        let output = process::output(
            Command::new(job::binaries().join("examples/bare_model"))
                .arg(&model)
                .args([GENERATOR_BATCH, GENERATOR_THREADS].map(|n| n.to_string()))
                .arg("10"),
        )?;
        let rate: f64 = output.trim().parse().context("bare_model gave no number")?;
        Ok::<_, anyhow::Error>(rate)
    };
    let before = bare()?;
    let mut settings = vec!["--model".into(), model.clone().into_os_string()];
    settings.extend(job::set("threads", GENERATOR_THREADS.to_string()));
    settings.extend(job::set("batch-size", GENERATOR_BATCH.to_string()));
    let mut rate = FrameRate::default();
    let output = folder.join("generator.mp4");
    let mut command = job::command(&clip.face, &clip.speech, &output);
    job::run(command.args(settings), |event| {
        // Other events have a key `frames` too, with another meaning.
        if let Some(frames) = event["frames"]
            .as_u64()
            .filter(|_| event["event"] == "progress")
        {
            rate.note(frames, Instant::now());
        }
    })?;
    let after = bare()?;
    let rate = rate
        .per_second()
        .context("the job was too short to measure")?;
    Ok(vec![Figure {
        name: format!(
            "generator, against the bare model ({:.1} frames/s)",
            (before + after) / 2.0
        ),
        value: rate / ((before + after) / 2.0),
        unit: "",
        limit: Limit::AtLeast(0.95),
    }])
}

/// Frames per second between the first and the last that were seen to come out: loading the model
/// and checking the file are not the pipeline's speed.
#[derive(Default)]
struct FrameRate {
    first: Option<(u64, Instant)>,
    last: Option<(u64, Instant)>,
}

impl FrameRate {
    fn note(&mut self, frames: u64, now: Instant) {
        if frames == 0 || self.last.is_some_and(|(last, _)| last == frames) {
            return;
        }
        self.first.get_or_insert((frames, now));
        self.last = Some((frames, now));
    }

    fn per_second(&self) -> Option<f64> {
        let ((first, started), (last, ended)) = (self.first?, self.last?);
        let seconds = ended.duration_since(started).as_secs_f64();
        (seconds > 0.0).then(|| (last - first) as f64 / seconds)
    }
}

fn memory(folder: &Path, clip: &Clip, longer: u32) -> Result<Vec<Figure>> {
    eprintln!("Memory of a job {longer} times as long");
    let short = job_of(folder, clip, &[])?.peak_memory as f64;
    let long = material::repeated(folder, clip, longer)?;
    let peak = job_of(folder, &long, &[])?.peak_memory as f64;
    Ok(vec![
        Figure {
            name: format!(
                "peak memory, {} s job against {} s",
                long.seconds, clip.seconds
            ),
            value: peak / short,
            unit: "",
            limit: Limit::AtMost(1.1),
        },
        Figure {
            name: "peak memory".into(),
            value: peak / 1e6,
            unit: "MB",
            limit: Limit::AtMost(400.0),
        },
    ])
}

/// From the start of the process to encoded frames on the disk. The sink writes blocks of 64 KiB,
/// so the true figure is a little lower.
fn first_frame(folder: &Path, clip: &Clip) -> Result<Vec<Figure>> {
    eprintln!("Time to the first frame");
    let folder = folder.join("first-frame");
    let mut times = Vec::new();
    // The first run warms the file cache.
    for _ in 0..4 {
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let mut command = job::command(&clip.face, &clip.speech, &folder.join("out.mp4"));
        command.stdout(std::process::Stdio::null());
        let started = Instant::now();
        let mut child = command.spawn().context("can't start lipflow")?;
        let written = wait_for_content(&folder, Duration::from_secs(20));
        let took = started.elapsed().as_secs_f64();
        child.kill()?;
        child.wait()?;
        written?;
        times.push(took);
    }
    Ok(vec![Figure {
        name: "process start to the first encoded frame".into(),
        value: median(&mut times[1..]),
        unit: "s",
        limit: Limit::AtMost(1.5),
    }])
}

/// More than the few bytes of a container's header.
const CONTENT: u64 = 4096;

fn wait_for_content(folder: &Path, limit: Duration) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < limit {
        for entry in std::fs::read_dir(folder)? {
            // The file may be renamed while we look.
            if entry?.metadata().is_ok_and(|m| m.len() > CONTENT) {
                return Ok(());
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bail!("no frame was written within {} s", limit.as_secs())
}

fn job_of(folder: &Path, clip: &Clip, more: &[std::ffi::OsString]) -> Result<job::Finished> {
    let mut command = job::command(&clip.face, &clip.speech, &folder.join("out.mp4"));
    let finished = job::run(command.args(more), |_| ())?;
    let duration = finished.result["duration_s"].as_f64().unwrap_or_default();
    // A job that did only half the work is no measure.
    if (duration - f64::from(clip.seconds)).abs() > 0.1 {
        bail!("{duration} s came out where {} were expected", clip.seconds);
    }
    Ok(finished)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_frames_after_the_first() {
        let start = Instant::now();
        let mut rate = FrameRate::default();
        assert_eq!(rate.per_second(), None);
        // Nothing for 5 s, then 10 a second, then the end of the job without frames.
        for (frames, at) in [(0, 0), (1, 5000), (11, 6000), (21, 7000), (21, 9000)] {
            rate.note(frames, start + Duration::from_millis(at));
        }
        assert_eq!(rate.per_second(), Some(10.0));
    }

    /// Else the bench would hold lipflow against something it is not.
    #[test]
    fn the_template_to_compare_with_is_a_part_of_the_one_measured() {
        let read = |path: &str| std::fs::read_to_string(workspace::root().join(path)).unwrap();
        let own = read("pipelines/file.launch");
        let own: Vec<_> = own.lines().map(str::trim).collect();
        for line in read(WITHOUT).lines().map(str::trim) {
            let told_apart = line.starts_with("#! title") || line.starts_with("#! about");
            // Both lines end on another link, since what they were linked to is not there.
            let relinked = ["! queue ! fit.video", "! audioconvert ! audioresample"];
            assert!(
                told_apart
                    || own.contains(&line)
                    || relinked.contains(&line)
                    || line.starts_with("! queue") && own.iter().any(|l| l.ends_with(line)),
                "not in the template `file`: {line}"
            );
        }
        assert!(!read(WITHOUT).contains("! lipsync"));
    }

    #[test]
    fn the_median_is_not_moved_by_an_outlier() {
        assert_eq!(median(&mut [2.0, 90.0, 1.0]), 2.0);
        assert!(median(&mut []).is_nan());
    }
}
