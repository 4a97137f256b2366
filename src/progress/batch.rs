//! How a batch is shown: bars, lines, or its events as they are.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar};

use super::bar::{JobBar, style};
use super::{Renderer, Style, clock, json, outcome_line, progress_line};
use crate::event::{BatchProgress, Body, Event, JobState, Outcome, Progress, Retry};
use crate::journal::{Begun, JobRow};
use crate::supervisor::Summary;
use crate::terminal::plain;

/// How often lines say how far the batch is.
const INTERVAL: Duration = Duration::from_secs(5);

/// Shows a batch to someone.
pub trait BatchRenderer: Send {
    fn begin(&mut self, begun: &Begun);
    fn show(&mut self, event: &Event);
    /// `notes` say what else was written.
    fn end(&mut self, summary: &Summary, jobs: &[JobRow], notes: &[String]);
}

pub fn batch_renderer(style: Style) -> Box<dyn BatchRenderer> {
    let style = match style {
        Style::Auto if std::io::stderr().is_terminal() => Style::Bar,
        Style::Auto => Style::Plain,
        asked => asked,
    };
    match style {
        Style::Json => Box::new(Json(json::Json::new(std::io::stdout()))),
        Style::Bar => Box::new(Bars::new()),
        Style::None => Box::new(Lines::new(std::io::stderr(), true)),
        Style::Plain | Style::Auto => Box::new(Lines::new(std::io::stderr(), false)),
    }
}

struct Json<W>(json::Json<W>);

impl<W: Write + Send> BatchRenderer for Json<W> {
    fn begin(&mut self, _: &Begun) {}

    fn show(&mut self, event: &Event) {
        self.0.show(event);
    }

    fn end(&mut self, _: &Summary, _: &[JobRow], _: &[String]) {}
}

/// A bar for the batch, one for each running job, and what happens above them.
struct Bars {
    all: MultiProgress,
    batch: ProgressBar,
    jobs: BTreeMap<i64, NamedBar>,
}

struct NamedBar {
    bar: JobBar,
    name: String,
}

impl Bars {
    fn new() -> Self {
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

/// Lines for logs: each job's end as it comes, and how far the batch is every few seconds.
struct Lines<W> {
    writer: W,
    only_the_end: bool,
    last: Option<Instant>,
    names: BTreeMap<i64, String>,
}

impl<W: Write> Lines<W> {
    fn new(writer: W, only_the_end: bool) -> Self {
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

fn begun_lines(begun: &Begun) -> Vec<String> {
    let mut lines = vec![format!(
        "{} jobs, {} of them done already",
        begun.total, begun.already_done
    )];
    if begun.elsewhere > 0 {
        lines.push(format!(
            "{} are being worked on by another controller",
            begun.elsewhere
        ));
    }
    if begun.set_aside > 0 {
        lines.push(format!(
            "{} were set aside because their workers died; `lipflow retry` takes them up again",
            begun.set_aside
        ));
    }
    lines
}

fn batch_line(progress: &BatchProgress) -> String {
    let mut parts = vec![format!("{} of {} done", progress.done, progress.total)];
    for (count, word) in [
        (progress.failed, "failed"),
        (progress.cancelled, "cancelled"),
        (progress.running, "running"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    if let Some(speed) = progress.speed {
        parts.push(format!("{speed:.1}x"));
    }
    match (&progress.paused, progress.eta_s) {
        (Some(reason), _) => parts.push(format!("paused: {reason}")),
        (None, Some(left)) if progress.running + progress.queued > 0 => {
            parts.push(format!("{} left", clock(left)));
        }
        _ => {}
    }
    parts.join(", ")
}

fn retry_line(name: Option<&str>, retry: &Retry) -> String {
    let name = name.map_or(String::new(), |name| format!("{name}: "));
    let reason = retry.error.reason.trim_end_matches('.');
    if retry.after_s < 0.5 {
        return format!("{name}{reason}. Attempt {} follows.", retry.attempt);
    }
    format!(
        "{name}{reason}. Attempt {} follows in {:.0} s.",
        retry.attempt, retry.after_s
    )
}

fn short_name(path: &str) -> String {
    let name = std::path::Path::new(path).file_name();
    plain(name.map_or(path.into(), |name| name.to_string_lossy()))
}

/// How the batch ended, and why jobs failed.
fn summary_table(summary: &Summary, jobs: &[JobRow], notes: &[String]) -> String {
    let progress = &summary.progress;
    let mut rows = vec![("done".to_owned(), progress.done, String::new())];
    if progress.already_done > 0 {
        rows.push((
            "  of them before".into(),
            progress.already_done,
            String::new(),
        ));
    }
    let mut reasons: BTreeMap<String, (u64, Option<&Outcome>)> = BTreeMap::new();
    for job in jobs {
        if let (JobState::Failed, Some(outcome), Some(error)) =
            (job.state, &job.outcome, job.error())
        {
            let entry = reasons.entry(error.code.reason().into());
            let (count, first) = entry.or_default();
            *count += 1;
            first.get_or_insert(outcome);
        }
    }
    rows.push(("failed".into(), progress.failed, String::new()));
    for (reason, (count, first)) in reasons {
        let file = first
            .and_then(|outcome| outcome.error.as_ref()?.file.as_deref())
            .map(short_name)
            .unwrap_or_default();
        rows.push((format!("  {reason}"), count, file));
    }
    for (name, count) in [
        ("cancelled", progress.cancelled),
        ("not done", progress.queued + progress.running),
    ] {
        if count > 0 {
            rows.push((name.into(), count, String::new()));
        }
    }
    let width = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, count, example) in rows {
        let example = if example.is_empty() {
            example
        } else {
            format!("  {example}{}", if count > 1 { ", ..." } else { "" })
        };
        text += &format!("{name:<width$}  {count:>6}{example}\n");
    }
    text += &format!(
        "{} of video in {}",
        clock(progress.video_s),
        clock(progress.elapsed_s)
    );
    if let Some(speed) = progress.speed {
        text += &format!(", {speed:.1} times real time");
    }
    text.push('\n');
    if summary.is_interrupted {
        text += "Interrupted. The same command goes on where it stopped.\n";
    }
    for note in notes {
        text += &plain(note);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Failure, FailureKind};

    fn job(id: i64, failure: Option<&Failure>) -> JobRow {
        let progress = Progress::default();
        JobRow {
            id,
            state: if failure.is_some() {
                JobState::Failed
            } else {
                JobState::Done
            },
            output: "o.mp4".into(),
            face: "f.mp4".into(),
            speech: "s.wav".into(),
            dialogue: Vec::new(),
            attempts: 1,
            progress: None,
            outcome: Some(match failure {
                Some(failure) => Outcome::of_failure(failure, &progress),
                None => Outcome::nothing(JobState::Done, &progress),
            }),
            sha256: None,
            bytes: None,
            thumbnail: None,
        }
    }

    #[test]
    fn the_table_counts_failures_by_reason() {
        let damaged = Failure::of(FailureKind::InputDamaged, std::path::Path::new("x/b.mp4"));
        let no_face = Failure::of(FailureKind::NoFace, std::path::Path::new("c.mp4"));
        let jobs = [
            job(1, None),
            job(2, Some(&damaged)),
            job(3, Some(&damaged)),
            job(4, Some(&no_face)),
        ];
        let summary = Summary {
            progress: BatchProgress {
                total: 5,
                done: 1,
                failed: 3,
                queued: 1,
                video_s: 62.0,
                elapsed_s: 31.0,
                speed: Some(2.0),
                ..BatchProgress::default()
            },
            is_interrupted: true,
        };
        let text = summary_table(&summary, &jobs, &["report: out/report.html".into()]);
        let expected = "\
done                                         1
failed                                       3
  no face was found in the whole video       1  c.mp4
  the file is damaged                        2  b.mp4, ...
not done                                     1
1:02 of video in 0:31, 2.0 times real time
Interrupted. The same command goes on where it stopped.
report: out/report.html
";
        assert_eq!(text, expected);
    }

    #[test]
    fn names_of_files_give_the_terminal_no_orders() {
        let name = "x/\u{1b}[2K\u{9b}1;31m\n.mp4";
        let failure = Failure::of(FailureKind::InputEmpty, std::path::Path::new(name));
        let outcome = Outcome::of_failure(&failure, &Progress::default());
        let mut lines = Lines::new(Vec::new(), false);
        lines.show(&Event::of_job(1, Body::Result(outcome)));
        let message = format!("{name}: it has no end");
        lines.show(&Event::now(Body::Warning {
            message,
            source: None,
        }));
        let summary = Summary {
            progress: BatchProgress::default(),
            is_interrupted: false,
        };
        lines.end(
            &summary,
            &[job(1, Some(&failure))],
            &[format!("zip: {name}")],
        );
        let text = String::from_utf8(lines.writer).unwrap();
        let orders = text.chars().filter(|c| c.is_control() && *c != '\n');
        assert_eq!(orders.count(), 0, "{text:?}");
        assert!(!text.contains("\n.mp4"), "{text:?}");
    }

    #[test]
    fn the_line_of_a_batch_says_why_it_waits() {
        let mut progress = BatchProgress {
            total: 9,
            done: 3,
            failed: 1,
            running: 2,
            queued: 3,
            eta_s: Some(61.0),
            ..BatchProgress::default()
        };
        assert_eq!(
            batch_line(&progress),
            "3 of 9 done, 1 failed, 2 running, 1:01 left"
        );
        progress.paused = Some("no room".into());
        assert_eq!(
            batch_line(&progress),
            "3 of 9 done, 1 failed, 2 running, paused: no room"
        );
    }
}
