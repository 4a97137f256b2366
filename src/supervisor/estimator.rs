//! How long the rest will take, from what has been measured so far.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::job::{EndMode, Job, LoopMode};
use crate::journal::Media;
use crate::plan::estimate;

/// Weight of the assumptions, in jobs: the first few measurements already count for more.
const PRIOR_JOBS: f64 = 1.0;
/// What a job takes besides its frames, in seconds, before any was measured.
const USUAL_FIXED: f64 = 0.8;

/// Learns what jobs take on this machine, with this model and this template.
///
/// A job takes a fixed time (probing, loading, checking, publishing) and a time that grows with its
/// frames and their pixels ([`estimate::run_seconds`]). Both are measured: the fixed part is a mean,
/// the other one a factor on the prediction.
#[derive(Debug, Default)]
pub struct Estimator {
    jobs: f64,
    fixed: f64,
    ran: f64,
    predicted: f64,
    media: HashMap<PathBuf, Media>,
    asked: HashSet<PathBuf>,
}

impl Estimator {
    pub fn learn_media(&mut self, path: PathBuf, media: Media) {
        self.media.insert(path, media);
    }

    /// Whether the file is known, or was asked about.
    pub fn knows(&self, path: &Path) -> bool {
        self.media.contains_key(path) || self.asked.contains(path)
    }

    /// Notes that the file was asked about; some have no answer.
    pub fn ask(&mut self, path: PathBuf) {
        self.asked.insert(path);
    }

    /// A job was done: `ran` seconds in its pipeline of `took` in all.
    pub fn learn_job(&mut self, job: &Job, took: f64, ran: f64) {
        self.jobs += 1.0;
        self.fixed += (took - ran).max(0.0);
        if let Some(predicted) = self.prediction(job) {
            self.ran += ran;
            self.predicted += predicted;
        }
    }

    /// What the job would take in its pipeline, on an ordinary machine.
    fn prediction(&self, job: &Job) -> Option<f64> {
        let face = self.media.get(&job.face)?;
        let mut speech = Some(0.0);
        for file in job.speeches() {
            let duration = self.media.get(file)?.duration_s;
            speech = speech.zip(duration).map(|(a, b): (f64, f64)| a.max(b));
        }
        let duration = match (job.end_mode, face.duration_s, speech) {
            (EndMode::Video, face, _) => face?,
            (_, Some(face), Some(speech))
                if job.end_mode == EndMode::Shortest || job.loop_mode == Some(LoopMode::None) =>
            {
                face.min(speech)
            }
            (_, _, speech) => speech?,
        };
        let fps = face.fps.unwrap_or(25.0);
        Some(estimate::run_seconds(fps * duration, face.pixels as f64))
    }

    fn factor(&self) -> f64 {
        // Before anything was measured, two cores at their usual speed.
        let prior = PRIOR_JOBS * self.predicted.max(1.0) / self.jobs.max(1.0);
        (self.ran + prior * 0.5) / (self.predicted + prior)
    }

    fn fixed(&self) -> f64 {
        (self.fixed + PRIOR_JOBS * USUAL_FIXED) / (self.jobs + PRIOR_JOBS)
    }

    /// Seconds that the jobs will take one after the other; those of which nothing is known take as
    /// long as the others on average. None if nothing is known of any.
    pub fn seconds<'a>(&self, jobs: impl IntoIterator<Item = &'a Job>) -> Option<f64> {
        let (mut count, mut known, mut sum) = (0.0, 0.0, 0.0);
        for job in jobs {
            count += 1.0;
            if let Some(prediction) = self.prediction(job) {
                known += 1.0;
                sum += prediction;
            }
        }
        let mean = match (known > 0.0, self.jobs > 0.0) {
            (true, _) => sum / known * self.factor(),
            // Those that were done are the only measure.
            (false, true) => self.ran / self.jobs,
            (false, false) if count == 0.0 => 0.0,
            (false, false) => return None,
        };
        Some(count * (mean + self.fixed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(face: &str, speech: &str) -> Job {
        serde_json::from_value(serde_json::json!({
            "face": face, "speech": speech, "output": null, "template": "file",
            "parameters": [], "end_mode": "speech", "loop_mode": null, "if_exists": "refuse",
            "stuck_after": {"secs": 30, "nanos": 0}, "graph": null, "dry_run": false
        }))
        .unwrap()
    }

    fn video(seconds: f64, pixels: u64) -> Media {
        Media {
            duration_s: Some(seconds),
            is_picture: false,
            pixels,
            fps: Some(25.0),
        }
    }

    /// Files of different lengths and sizes on a machine that needs 1.2 s besides and runs at 0.3 of
    /// the usual speed.
    #[test]
    fn after_ten_files_the_estimate_is_within_a_third() {
        let mut estimator = Estimator::default();
        let truth = |seconds: f64, pixels: u64| {
            1.2 + 0.3 * estimate::run_seconds(25.0 * seconds, pixels as f64)
        };
        let mut expected = 0.0;
        let mut rest = Vec::new();
        for n in 0..60_u64 {
            let (seconds, pixels) = (2.0 + (n * 7 % 40) as f64, 120_000 * (1 + n % 7));
            let (face, speech) = (format!("f{n}"), format!("s{n}"));
            estimator.learn_media(face.clone().into(), video(9.0, pixels));
            estimator.learn_media(speech.clone().into(), video(seconds, 0));
            let job = job(&face, &speech);
            if n < 10 {
                let took = truth(seconds, pixels);
                estimator.learn_job(&job, took, took - 1.2);
            } else {
                expected += truth(seconds, pixels);
                rest.push(job);
            }
        }
        let estimated = estimator.seconds(&rest).unwrap();
        let error = (estimated / expected - 1.0).abs();
        assert!(error < 0.3, "{estimated} instead of {expected}");
        assert!(error < 0.1, "no noise, so it should be close: {error}");
    }

    #[test]
    fn what_is_not_known_takes_as_long_as_the_rest() {
        let mut estimator = Estimator::default();
        assert_eq!(estimator.seconds(&[job("f", "s")]), None);
        assert_eq!(estimator.seconds(&[]), Some(0.0));
        estimator.learn_media("f".into(), video(9.0, 100_000));
        estimator.learn_media("s".into(), video(10.0, 0));
        let one = estimator.seconds(&[job("f", "s")]).unwrap();
        let two = estimator.seconds(&[job("f", "s"), job("x", "y")]).unwrap();
        assert!((two - 2.0 * one).abs() < 1e-9);
    }
}
