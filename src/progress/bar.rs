//! A bar for people at a terminal.

use indicatif::{ProgressBar, ProgressStyle};

use super::{Renderer, destination_line, live_line, outcome_line, progress_line};
use crate::event::{Body, Event, Progress};
use crate::terminal::plain;

/// A bar counts whole numbers, so it counts milliseconds.
const SCALE: f64 = 1000.0;

pub struct Bar(JobBar);

/// How far one job is.
pub(super) struct JobBar {
    pub bar: ProgressBar,
    /// It shows a position; before that, there is only something that turns.
    has_length: bool,
}

impl JobBar {
    /// `waiting` is how it looks before it has a position.
    pub fn new(bar: ProgressBar, waiting: &str) -> Self {
        bar.set_style(style(waiting));
        Self {
            bar,
            has_length: false,
        }
    }

    pub fn show(&mut self, progress: &Progress, message: String) {
        if let Some(total) = progress.duration_s
            && !self.has_length
            && progress.frames > 0
        {
            self.has_length = true;
            self.bar
                .set_style(style("{prefix:9} [{bar:30}] {percent:>3}% {wide_msg}"));
            self.bar.set_length((total * SCALE) as u64);
        }
        if self.has_length {
            self.bar.set_position((progress.position_s * SCALE) as u64);
        }
        self.bar.set_prefix(progress.phase.name());
        self.bar.set_message(plain(message));
        self.bar.tick();
    }
}

impl Bar {
    pub fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        Self(JobBar::new(bar, "{spinner} {prefix:9} {wide_msg}"))
    }
}

impl Renderer for Bar {
    fn show(&mut self, event: &Event) {
        let Self(job) = self;
        match &event.body {
            Body::Progress(progress) => job.show(progress, progress_line(progress)),
            Body::Warning { message, .. } => {
                job.bar.suspend(|| eprintln!("warning: {}", plain(message)));
            }
            Body::Destination(status) => job
                .bar
                .suspend(|| eprintln!("{}", plain(destination_line(status)))),
            Body::Live(status) => {
                job.bar.set_prefix("on air");
                job.bar.set_message(plain(live_line(status)));
                job.bar.tick();
            }
            Body::Message { message } if !job.has_length => job.bar.set_message(plain(message)),
            Body::Result(outcome) => {
                job.bar.finish_and_clear();
                eprintln!("{}", plain(outcome_line(outcome)));
            }
            _ => {}
        }
    }
}

/// The templates are constants; a mistake in one would leave the default look.
pub(super) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
