//! Lines for logs: one at each change of state, one every 5 % or every two seconds, whichever comes
//! later.

use std::io::Write;
use std::time::{Duration, Instant};

use super::{Renderer, destination_line, live_line, outcome_line, plan_lines, progress_line};
use crate::event::{Body, Event, Learning, LiveStatus, Progress};
use crate::terminal::plain;

const INTERVAL: Duration = Duration::from_secs(2);
/// The longest that a log is silent, however slowly the job moves.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);
const STEP: f64 = 0.05;

pub struct Plain<W> {
    writer: W,
    only_the_end: bool,
    last: Option<(Instant, f64)>,
    /// The last line was about a face that is learnt.
    was_learning: bool,
}

impl<W: Write> Plain<W> {
    pub fn new(writer: W) -> Self {
        Self {
            writer,
            only_the_end: false,
            last: None,
            was_learning: false,
        }
    }

    pub fn only_the_end(writer: W) -> Self {
        Self {
            only_the_end: true,
            ..Self::new(writer)
        }
    }

    fn line(&mut self, text: &str) {
        // A closed log must not end the job.
        let _ = writeln!(self.writer, "{}", plain(text));
    }

    fn progress(&mut self, progress: &Progress, now: Instant) {
        if progress.learning.is_some() != self.was_learning {
            self.was_learning = !self.was_learning;
            self.last = None;
        }
        let share = match (&progress.learning, progress.duration_s) {
            (
                Some(Learning {
                    frames,
                    frames_total: Some(total),
                    ..
                }),
                _,
            ) if *total > 0 => *frames as f64 / *total as f64,
            (None, Some(total)) if total > 0.0 => progress.position_s / total,
            _ => 0.0,
        };
        let due = self.last.is_none_or(|(at, shown)| {
            let silent = now - at;
            let step_made = share - shown >= STEP || progress.duration_s.is_none();
            silent >= LONGEST_SILENCE || (silent >= INTERVAL && step_made)
        });
        if due && (progress.frames > 0 || progress.learning.is_some()) {
            self.last = Some((now, share));
            self.line(&format!(
                "{}: {}",
                progress.phase.name(),
                progress_line(progress)
            ));
        }
    }
}

impl<W: Write> Plain<W> {
    fn live(&mut self, status: &LiveStatus) {
        let now = Instant::now();
        if self
            .last
            .is_none_or(|(at, _)| now - at >= LONGEST_SILENCE / 3)
        {
            self.last = Some((now, 0.0));
            self.line(&live_line(status));
        }
    }
}

impl<W: Write> Renderer for Plain<W> {
    fn show(&mut self, event: &Event) {
        match &event.body {
            Body::Result(outcome) => self.line(&outcome_line(outcome)),
            Body::Warning { message, .. } => self.line(&format!("warning: {message}")),
            _ if self.only_the_end => {}
            Body::State { state } => self.line(state.name()),
            Body::Plan(plan) => {
                for line in plan_lines(plan) {
                    self.line(&line);
                }
            }
            Body::Progress(progress) => self.progress(progress, Instant::now()),
            Body::Message { message } => self.line(message),
            // Of batches, which have a renderer of their own.
            Body::Started(_) | Body::Retry(_) | Body::Batch(_) | Body::BatchResult(_) => {}
            Body::Destination(status) => self.line(&destination_line(status)),
            Body::Live(status) => self.live(status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Phase;

    fn lines_of(steps: &[(u64, f64)]) -> usize {
        let begin = Instant::now();
        let mut plain = Plain::new(Vec::new());
        for (second, position) in steps {
            let progress = Progress {
                frames: 1,
                position_s: *position,
                duration_s: Some(100.0),
                ..Default::default()
            };
            plain.progress(&progress, begin + Duration::from_secs(*second));
        }
        String::from_utf8(plain.writer).unwrap().lines().count()
    }

    #[test]
    fn a_face_that_is_learnt_is_a_line_and_what_comes_then_another() {
        let begin = Instant::now();
        let mut plain = Plain::new(Vec::new());
        let mut progress = Progress {
            phase: Phase::Learning,
            duration_s: Some(100.0),
            learning: Some(Learning {
                frames: 90,
                frames_total: Some(100),
                ..Default::default()
            }),
            ..Default::default()
        };
        plain.progress(&progress, begin);
        progress.learning = None;
        progress.phase = Phase::Running;
        progress.frames = 1;
        plain.progress(&progress, begin + Duration::from_millis(10));
        let text = String::from_utf8(plain.writer).unwrap();
        assert_eq!(
            text,
            "learning: frame 90 of 100\nrunning: frame 1, 0:00 of 1:40\n"
        );
    }

    #[test]
    fn lines_come_neither_too_often_nor_too_seldom() {
        assert_eq!(lines_of(&[(0, 0.0), (1, 50.0)]), 1, "a second apart");
        assert_eq!(lines_of(&[(0, 0.0), (3, 1.0)]), 1, "one percent apart");
        assert_eq!(lines_of(&[(0, 0.0), (3, 6.0)]), 2);
        assert_eq!(lines_of(&[(0, 0.0), (31, 0.1)]), 2, "slow, but alive");
    }
}
