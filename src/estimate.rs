//! What a job will take, for a dry run.

use std::time::Duration;

use crate::cancel::Cancel;
use crate::error::Failure;
use crate::event::{Estimate, Plan};
use crate::job::{Job, folder_of};
use crate::pipeline::probe::{self, Video};
use crate::pipeline::sample;
use crate::publish::free_space;
use crate::worker::{self, Prepared};

/// Pixels a second that one core takes through the whole pipeline with the embedded model: three
/// times real time for 1280x720 at 25 frames/s on two cores, which `cargo xtask bench` measures.
const PIXELS_PER_CORE: f64 = 3.0 * 1280.0 * 720.0 * 25.0 / 2.0;
/// Loading and checking.
const OVERHEAD: Duration = Duration::from_millis(1500);
/// More cores than these don't help: the slowest stage has one thread.
const MOST_CORES: usize = 8;

/// Bits a pixel: what x264 takes at its defaults for a talking head, at most.
const BITS_PER_PIXEL: f64 = 0.15;
/// FFV1 and x264 at quantiser 0, of 12 bits that the picture has.
const BITS_PER_PIXEL_LOSSLESS: f64 = 6.0;
const SOUND_BYTES_PER_SECOND: f64 = 24_000.0;
/// Where the rate varies, it is rarely higher.
const USUAL_FPS: (u32, u32) = (30, 1);

/// Finds out what `job` would do, without doing it.
pub fn dry_run(job: &Job, cancel: &Cancel) -> Result<Plan, Failure> {
    let prepared = worker::prepare(job, cancel)?;
    // Made and removed again: only so is it known that the folder can be written to.
    if let Some(output) = &job.output {
        crate::publish::Staged::create(output, true)?;
    }
    let sample = sample::sample(&job.face, prepared.face.duration, cancel)?;
    let mut plan = prepared.plan(job);
    let work = work(&prepared);
    plan.estimate = Some(Estimate {
        frames_sampled: sample.frames,
        frames_with_face: sample.with_face,
        most_faces: sample.most_faces,
        seconds: work.map(|work| seconds_for(work.pixels, cores())),
        bytes_needed: work
            .filter(|_| job.output.is_some())
            .map(|work| bytes_for(work, job.template.contains("lossless"))),
        bytes_free: job.output.as_deref().map(folder_of).and_then(free_space),
    });
    Ok(plan)
}

#[derive(Clone, Copy)]
struct Work {
    pixels: f64,
    seconds: f64,
}

fn work(prepared: &Prepared) -> Option<Work> {
    let seconds = prepared.length.known()?.as_secs_f64();
    let Video { width, height, .. } = prepared.face.video?;
    let fps = probe::fps_of(prepared.fps().unwrap_or(USUAL_FPS));
    Some(Work {
        pixels: f64::from(width) * f64::from(height) * fps * seconds,
        seconds,
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn seconds_for(pixels: f64, cores: usize) -> f64 {
    pixels / (PIXELS_PER_CORE * cores.clamp(1, MOST_CORES) as f64) + OVERHEAD.as_secs_f64()
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

    #[test]
    fn a_minute_of_720p_takes_twenty_seconds_on_two_cores() {
        let pixels = 1280.0 * 720.0 * 25.0 * 60.0;
        let seconds = seconds_for(pixels, 2);
        assert!((seconds - 21.5).abs() < 0.01, "{seconds}");
        assert!(seconds_for(pixels, 1) > seconds);
        assert_eq!(seconds_for(pixels, 64), seconds_for(pixels, 8));
        let work = Work {
            pixels,
            seconds: 60.0,
        };
        assert!(bytes_for(work, true) > 10 * bytes_for(work, false));
    }
}
