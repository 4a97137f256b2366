//! `lipflow batch --dry-run`: what would be done, found out without doing it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use indicatif::{ProgressBar, ProgressStyle};

use gstlipsync::model::{self, Model};

use crate::cancel::Cancel;
use crate::error::Failure;
use crate::event::JobState;
use crate::job::{Job, folder_of};
use crate::journal::{Journal, Planned};
use crate::pipeline::probe::{Limits, Probe, Role};
use crate::plan::{Look, estimate};
use crate::progress::{clock, megabytes};
use crate::publish::free_space;
use crate::reach::Named;
use crate::sync::lock;
use crate::terminal::plain;
use crate::worker::look::Lookers;

/// What was found about a job.
enum Finding {
    WillRun { seconds: f64, bytes: u64 },
    Done,
    CanNot(Failure),
}

/// A file, what it is for, and how much there may be of it.
type Question = (PathBuf, Role, Limits);
/// What was found, once it is known.
type Answer = Arc<OnceLock<Result<Probe, Failure>>>;

/// What is in the files, each looked at once: thousands of jobs may share a face.
struct Probes {
    answers: Mutex<HashMap<Question, Answer>>,
    /// Looks into a file.
    look: Box<Look<'static>>,
}

impl Probes {
    /// In workers: what a decoder makes of a file ends none but them.
    fn in_workers(jobs: &[Planned]) -> Self {
        let inputs = jobs.iter().flat_map(|planned| planned.job.inputs());
        let lookers = Lookers::at(Named::files(inputs));
        Self::by(move |file, role, limits| lookers.probe(file, role, limits))
    }

    fn by(look: impl Fn(&Path, Role, &Limits) -> Result<Probe, Failure> + Sync + 'static) -> Self {
        Self {
            answers: Mutex::default(),
            look: Box::new(look),
        }
    }

    /// Who asks while another one looks waits for what it finds.
    fn of(&self, file: &Path, role: Role, limits: &Limits) -> Result<Probe, Failure> {
        let slot = {
            let mut slots = lock(&self.answers);
            slots
                .entry((file.to_owned(), role, *limits))
                .or_default()
                .clone()
        };
        slot.get_or_init(|| (self.look)(file, role, limits)).clone()
    }
}

/// Probes the jobs, as many at once as there are cores, and prints a report.
pub fn run(jobs: &[Planned], state: &Path) -> anyhow::Result<ExitCode> {
    crate::init()?;
    let done = done_before(state);
    let findings: Vec<Mutex<Option<Finding>>> = jobs.iter().map(|_| Mutex::default()).collect();
    let next = AtomicUsize::new(0);
    let probes = Probes::in_workers(jobs);
    // Hidden where nobody watches.
    let bar = ProgressBar::new(jobs.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} jobs looked at") {
        bar.set_style(style);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(planned) = jobs.get(index) else {
                        break;
                    };
                    let finding = if done.contains(&planned.output) {
                        Finding::Done
                    } else {
                        look(&planned.job, &probes)
                    };
                    bar.inc(1);
                    if let Some(slot) = findings.get(index) {
                        *lock(slot) = Some(finding);
                    }
                }
            });
        }
    });
    bar.finish_and_clear();
    let findings: Vec<_> = findings
        .into_iter()
        .filter_map(|slot| slot.into_inner().unwrap_or_else(|e| e.into_inner()))
        .collect();
    let (mut text, can_start) = report(jobs, &findings);
    text += &lacking(jobs);
    super::print(&text)?;
    Ok(if can_start {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

/// Says once which file is not there, where jobs would be done by a simpler model for want of it.
fn lacking(jobs: &[Planned]) -> String {
    let takes_default = |planned: &Planned| {
        let model = planned.job.parameter("model");
        model.is_none_or(|model| model == model::DEFAULT)
    };
    let count = jobs.iter().filter(|planned| takes_default(planned)).count();
    let default = Model::resolve(None).ok().filter(|_| count > 0);
    let lacks = default.as_ref().and_then(Model::lacking);
    lacks.map_or(String::new(), |front| {
        format!(
            "{count} with the simpler model: {} is not there. Run `cargo xtask setup`\n",
            front.display()
        )
    })
}

/// Outputs that an earlier start of a batch has made and that are still there.
fn done_before(state: &Path) -> HashSet<PathBuf> {
    let rows = Journal::read(state).and_then(|journal| {
        let batch = journal.batch(None)?;
        batch.map_or(Ok(Vec::new()), |batch| journal.jobs(batch.id, false))
    });
    rows.unwrap_or_default()
        .into_iter()
        .filter(|job| job.state == JobState::Done && job.output.is_file())
        .map(|job| job.output)
        .collect()
}

fn look(job: &Job, probes: &Probes) -> Finding {
    // The output's folder is made when the job starts.
    let mut there = job.clone();
    if !folder_of(job.output.as_deref().unwrap_or(Path::new("."))).is_dir() {
        there.output = None;
    }
    let probed = estimate::of_job(
        &there,
        &|file, role, limits| probes.of(file, role, limits),
        &Cancel::default(),
    );
    match probed {
        Ok((seconds, bytes)) => Finding::WillRun { seconds, bytes },
        Err(failure) => Finding::CanNot(failure),
    }
}

fn report(jobs: &[Planned], findings: &[Finding]) -> (String, bool) {
    let (mut will_run, mut done, mut seconds, mut bytes) = (0, 0, 0.0, 0);
    let mut failures = Vec::new();
    for (planned, finding) in jobs.iter().zip(findings) {
        match finding {
            Finding::WillRun {
                seconds: s,
                bytes: b,
            } => {
                will_run += 1;
                seconds += s;
                bytes += b;
            }
            Finding::Done => done += 1,
            Finding::CanNot(failure) => failures.push((planned, failure)),
        }
    }
    let mut text = String::new();
    for (planned, failure) in &failures {
        text += &format!(
            "{}: can't work: {failure}\n",
            plain(planned.output.display())
        );
    }
    text += &format!("{will_run} will run\n");
    text += &format!("{done} done already\n");
    text += &format!("{} can't work\n", failures.len());
    text += &format!("time about {}\n", clock(seconds));
    let free = jobs.first().and_then(|planned| {
        let mut folder = folder_of(&planned.output);
        while !folder.is_dir() {
            folder = folder.parent()?;
        }
        free_space(folder)
    });
    text += &format!("disk about {} needed", megabytes(bytes));
    if let Some(free) = free {
        text += &format!(", {} free", megabytes(free));
        if free < bytes {
            text += ": not enough. Make room, or choose another disk";
        }
    }
    text.push('\n');
    (text, will_run + done > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::FailureKind;

    #[test]
    fn each_file_is_looked_at_once_however_many_ask() {
        static LOOKS: AtomicUsize = AtomicUsize::new(0);
        fn look(file: &Path, _: Role, _: &Limits) -> Result<Probe, Failure> {
            LOOKS.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(std::time::Duration::from_millis(20));
            Err(Failure::of(crate::error::FailureKind::InputEmpty, file))
        }
        let (probes, limits) = (Probes::by(look), Limits::default());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let found = probes.of(Path::new("face.mp4"), Role::Face, &limits);
                    assert!(found.is_err());
                });
            }
        });
        assert_eq!(LOOKS.load(Ordering::Relaxed), 1);
        let _ = probes.of(Path::new("face.mp4"), Role::Speech, &limits);
        assert_eq!(LOOKS.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn the_report_adds_up_and_names_what_can_not_work() {
        let job: Job = serde_json::from_value(serde_json::json!({
            "face": "f.mp4", "speech": "s.wav", "output": "/tmp/o.mp4", "template": "file",
            "parameters": [], "end_mode": "speech", "loop_mode": null, "if_exists": "refuse",
            "stuck_after": {"secs": 30, "nanos": 0}, "graph": null, "dry_run": false
        }))
        .unwrap();
        let planned = |output: &str| Planned {
            job: job.clone(),
            output: output.into(),
        };
        let jobs = [
            planned("/tmp/a"),
            planned("/tmp/b"),
            planned("/tmp/c"),
            planned("/tmp/d"),
        ];
        let run = || Finding::WillRun {
            seconds: 40.0,
            bytes: 3_000_000,
        };
        let failure = Failure::of(FailureKind::InputEmpty, Path::new("f.mp4"));
        let (text, can_start) = report(
            &jobs,
            &[run(), Finding::Done, Finding::CanNot(failure), run()],
        );
        assert!(can_start);
        for line in [
            "/tmp/c: can't work: f.mp4: the file is empty.",
            "2 will run\n1 done already\n1 can't work\ntime about 1:20\n",
            "disk about 6.0 MB needed, ",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
