//! What is said of a batch in words, however it is shown.

use std::collections::BTreeMap;

use crate::event::{BatchProgress, JobState, Outcome, Retry};
use crate::journal::{Begun, JobRow};
use crate::progress::clock;
use crate::supervisor::Summary;
use crate::terminal::plain;

pub(super) fn begun_lines(begun: &Begun) -> Vec<String> {
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

pub(super) fn batch_line(progress: &BatchProgress) -> String {
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

pub(super) fn retry_line(name: Option<&str>, retry: &Retry) -> String {
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

pub(super) fn short_name(path: &str) -> String {
    let name = std::path::Path::new(path).file_name();
    plain(name.map_or(path.into(), |name| name.to_string_lossy()))
}

/// How the batch ended, and why jobs failed.
pub(super) fn summary_table(summary: &Summary, jobs: &[JobRow], notes: &[String]) -> String {
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
    use super::super::BatchRenderer;
    use super::super::lines::Lines;
    use super::*;
    use crate::error::{Failure, FailureKind};
    use crate::event::{Body, Event, Progress};

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
