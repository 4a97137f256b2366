//! What a job will take, for a dry run.

use std::time::Duration;

use super::speakers::too_few;
use super::{Look, Prepared, prepare, prepare_inputs};
use crate::cancel::Cancel;
use crate::error::Failure;
use crate::event::{Estimate, Plan};
use crate::job::{Job, folder_of};
use crate::pipeline::probe::{self, Video};
use crate::pipeline::sample;
use crate::publish::free_space;

// What a frame costs one core, with the embedded model and the default encoder: fitted to runs at
// 400x300 and 1280x720 on two busy cores that differed by half among themselves, so an estimate is
// good to a factor of two. Other models, encoders and processors are not in it.
const SECONDS_PER_FRAME: f64 = 10e-3;
const SECONDS_PER_PIXEL: f64 = 20e-9;
/// Loading and checking.
const OVERHEAD: Duration = Duration::from_millis(1500);
/// More cores than these don't help: the slowest stage has one thread.
const MOST_CORES: usize = 8;

/// An allowance: a webcam's talking head took 0.03 at the defaults, and noise takes more.
const BITS_PER_PIXEL: f64 = 0.15;
/// An allowance likewise: the same clip took 1.7 with FFV1.
const BITS_PER_PIXEL_LOSSLESS: f64 = 6.0;
const SOUND_BYTES_PER_SECOND: f64 = 24_000.0;
/// Where the rate varies, it is rarely higher.
const USUAL_FPS: (u32, u32) = (30, 1);

/// Finds out what `job` would do, without doing it.
pub fn dry_run(job: &Job, cancel: &Cancel) -> Result<Plan, Failure> {
    let prepared = prepare(job, cancel)?;
    // Made and removed again: only so is it known that the folder can be written to.
    if let Some(output) = &job.output {
        crate::publish::Staged::create(output, true)?;
    }
    let sample = sample::sample(&job.face, prepared.face.duration, cancel)?;
    let mut plan = prepared.plan(job);
    let speakers = job.dialogue.len();
    if (sample.most_faces as usize) < speakers {
        return Err(too_few(job, sample.most_faces.into()));
    }
    if sample.most_faces > 1 && speakers == 0 {
        let which = match (job.parameter("face-select"), job.parameter("face-index")) {
            (Some("index"), Some(number)) => format!("number {number} from the left"),
            (Some(which), _) => format!("the {which} one"),
            (None, _) => "the largest one".into(),
        };
        plan.choices.push(format!(
            "of up to {} faces {which} speaks; --face-choice takes another",
            sample.most_faces
        ));
    }
    let work = work(&prepared);
    plan.estimate = Some(Estimate {
        frames_sampled: sample.frames,
        frames_with_face: sample.with_face,
        most_faces: sample.most_faces,
        seconds: work.map(|work| seconds_for(work, cores())),
        bytes_needed: work
            .filter(|_| job.output.is_some())
            .map(|work| bytes_for(work, job.template.contains("lossless"))),
        bytes_free: job.output.as_deref().map(folder_of).and_then(free_space),
    });
    Ok(plan)
}

/// Seconds and bytes that `job` would take, without looking for faces; 0 where its length is not
/// known. `look` finds out what is in a file.
pub fn of_job(job: &Job, look: &Look<'_>, cancel: &Cancel) -> Result<(f64, u64), Failure> {
    let prepared = prepare_inputs(job, look, cancel)?;
    let work = work(&prepared);
    Ok((
        work.map_or(0.0, |work| seconds_for(work, cores())),
        work.map_or(0, |work| bytes_for(work, job.template.contains("lossless"))),
    ))
}

#[derive(Clone, Copy)]
struct Work {
    frames: f64,
    pixels: f64,
    seconds: f64,
}

fn work(prepared: &Prepared) -> Option<Work> {
    let seconds = prepared.length.known()?.as_secs_f64();
    let Video { width, height, .. } = prepared.face.video?;
    let fps = probe::fps_of(prepared.fps().unwrap_or(USUAL_FPS));
    Some(Work {
        frames: fps * seconds,
        pixels: f64::from(width) * f64::from(height) * fps * seconds,
        seconds,
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What so many frames of so many pixels cost one core, in seconds.
pub fn run_seconds(frames: f64, pixels_per_frame: f64) -> f64 {
    frames * (SECONDS_PER_FRAME + pixels_per_frame * SECONDS_PER_PIXEL)
}

fn seconds_for(work: Work, cores: usize) -> f64 {
    let on_one_core = run_seconds(work.frames, work.pixels / work.frames.max(1.0));
    on_one_core / cores.clamp(1, MOST_CORES) as f64 + OVERHEAD.as_secs_f64()
}

fn bytes_for(work: Work, is_lossless: bool) -> u64 {
    let bits = if is_lossless {
        BITS_PER_PIXEL_LOSSLESS
    } else {
        BITS_PER_PIXEL
    };
    (work.pixels * bits / 8.0 + work.seconds * SOUND_BYTES_PER_SECOND) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(width: f64, height: f64, seconds: f64) -> Work {
        let frames = 25.0 * seconds;
        Work {
            frames,
            pixels: frames * width * height,
            seconds,
        }
    }

    #[test]
    fn time_grows_with_frames_and_pixels_and_shrinks_with_cores() {
        let large = work(1280.0, 720.0, 60.0);
        // 1500 frames of 10 ms and 18.4 ms on two cores.
        let seconds = seconds_for(large, 2);
        assert!((seconds - 22.82).abs() < 0.05, "{seconds}");
        assert!(seconds_for(large, 1) > seconds);
        assert_eq!(seconds_for(large, 64), seconds_for(large, 8));
        let small = work(400.0, 300.0, 60.0);
        assert!(
            seconds_for(small, 2) > seconds / 3.0,
            "a frame costs something whatever its size"
        );
    }

    #[test]
    fn lossless_files_are_larger() {
        let work = work(1280.0, 720.0, 60.0);
        assert!(bytes_for(work, true) > 10 * bytes_for(work, false));
    }
}
