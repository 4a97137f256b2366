//! A batch as bars on a terminal.

use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar};

use super::BatchRenderer;
use super::words::{batch_line, begun_lines, retry_line, short_name, summary_table};
use crate::event::{Body, Event, JobState, Progress};
use crate::journal::{Begun, JobRow};
use crate::progress::bar::{JobBar, style};
use crate::progress::{outcome_line, progress_line};
use crate::supervisor::Summary;
use crate::terminal::plain;

/// A bar for the batch, one for each running job, and what happens above them.
pub(super) struct Bars {
    all: MultiProgress,
    batch: ProgressBar,
    jobs: BTreeMap<i64, NamedBar>,
}

struct NamedBar {
    bar: JobBar,
    name: String,
}

impl Bars {
    pub(super) fn new() -> Self {
        let all = MultiProgress::new();
        let batch = all.add(ProgressBar::new(0));
        batch.set_style(style("batch     [{bar:30}] {percent:>3}% {wide_msg}"));
        Self {
            all,
            batch,
            jobs: BTreeMap::new(),
        }
    }

    fn say(&self, text: &str) {
        let text = plain(text);
        // Without a terminal there are no bars to be above of.
        if self.all.println(&text).is_err() {
            eprintln!("{text}");
        }
    }

    fn progress(&mut self, job: i64, progress: &Progress) {
        let Some(job) = self.jobs.get_mut(&job) else {
            return;
        };
        let message = format!("{}  {}", job.name, progress_line(progress));
        job.bar.show(progress, message);
    }
}

impl BatchRenderer for Bars {
    fn begin(&mut self, begun: &Begun) {
        for line in begun_lines(begun) {
            self.say(&line);
        }
    }

    fn show(&mut self, event: &Event) {
        match (&event.body, event.job) {
            (Body::Started(start), Some(job)) => {
                let bar = self
                    .all
                    .insert_before(&self.batch, ProgressBar::new_spinner());
                let bar = JobBar::new(bar, "{prefix:9} {spinner} {wide_msg}");
                let name = short_name(start.output.as_deref().unwrap_or(&start.face));
                bar.bar.set_message(name.clone());
                self.jobs.insert(job, NamedBar { bar, name });
            }
            (Body::Progress(progress), Some(job)) => self.progress(job, progress),
            (Body::Result(outcome), Some(job)) => {
                if let Some(job) = self.jobs.remove(&job) {
                    job.bar.bar.finish_and_clear();
                }
                if outcome.state != JobState::Done {
                    self.say(&outcome_line(outcome));
                }
            }
            (Body::Retry(retry), Some(job)) => {
                let name = self.jobs.remove(&job).map(|job| {
                    job.bar.bar.finish_and_clear();
                    job.name
                });
                self.say(&retry_line(name.as_deref(), retry));
            }
            (Body::Warning { message, .. }, _) => self.say(&format!("warning: {message}")),
            (Body::Message { message }, None) => self.say(message),
            (Body::Batch(progress) | Body::BatchResult(progress), _) => {
                self.batch.set_length(progress.total);
                self.batch
                    .set_position(progress.done + progress.failed + progress.cancelled);
                self.batch.set_message(plain(batch_line(progress)));
                self.batch.tick();
            }
            _ => {}
        }
    }

    fn end(&mut self, summary: &Summary, jobs: &[JobRow], notes: &[String]) {
        for job in self.jobs.values() {
            job.bar.bar.finish_and_clear();
        }
        self.batch.finish_and_clear();
        eprint!("{}", summary_table(summary, jobs, notes));
    }
}
