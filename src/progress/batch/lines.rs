//! A batch as lines, for logs.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use super::BatchRenderer;
use super::words::{batch_line, begun_lines, retry_line, short_name, summary_table};
use crate::event::{Body, Event};
use crate::journal::{Begun, JobRow};
use crate::progress::outcome_line;
use crate::supervisor::Summary;
use crate::terminal::plain;

/// How often lines say how far the batch is.
const INTERVAL: Duration = Duration::from_secs(5);

/// Lines for logs: each job's end as it comes, and how far the batch is every few seconds.
pub(super) struct Lines<W> {
    pub(super) writer: W,
    only_the_end: bool,
    last: Option<Instant>,
    names: BTreeMap<i64, String>,
}

impl<W: Write> Lines<W> {
    pub(super) fn new(writer: W, only_the_end: bool) -> Self {
        Self {
            writer,
            only_the_end,
            last: None,
            names: BTreeMap::new(),
        }
    }

    fn is_due(&self) -> bool {
        !self.only_the_end && self.last.is_none_or(|last| last.elapsed() >= INTERVAL)
    }

    fn line(&mut self, text: &str) {
        // A closed log must not end the batch.
        let _ = writeln!(self.writer, "{}", plain(text));
    }
}

impl<W: Write + Send> BatchRenderer for Lines<W> {
    fn begin(&mut self, begun: &Begun) {
        for line in begun_lines(begun) {
            self.line(&line);
        }
    }

    fn show(&mut self, event: &Event) {
        match (&event.body, event.job) {
            (Body::Started(start), Some(job)) => {
                let name = short_name(start.output.as_deref().unwrap_or(&start.face));
                self.names.insert(job, name);
            }
            (Body::Result(outcome), job) => {
                if let Some(job) = job {
                    self.names.remove(&job);
                }
                if outcome.error.is_some() || !self.only_the_end {
                    self.line(&outcome_line(outcome));
                }
            }
            (Body::Retry(retry), Some(job)) => {
                let name = self.names.get(&job).cloned();
                self.line(&retry_line(name.as_deref(), retry));
            }
            (Body::Warning { message, .. }, _) => self.line(&format!("warning: {message}")),
            (Body::Message { message }, None) => {
                let message = message.clone();
                self.line(&message);
            }
            (Body::Batch(progress), _) if self.is_due() => {
                self.last = Some(Instant::now());
                self.line(&batch_line(progress));
            }
            _ => {}
        }
    }

    fn end(&mut self, summary: &Summary, jobs: &[JobRow], notes: &[String]) {
        let _ = write!(self.writer, "{}", summary_table(summary, jobs, notes));
    }
}
