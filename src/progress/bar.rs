//! A bar for people at a terminal.

use indicatif::{ProgressBar, ProgressStyle};

use super::{Renderer, destination_line, live_line, outcome_line, progress_line};
use crate::event::{Body, Event, Progress};

/// A bar counts whole numbers, so it counts milliseconds.
const SCALE: f64 = 1000.0;

pub struct Bar {
    bar: ProgressBar,
    has_length: bool,
}

impl Bar {
    pub fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        bar.set_style(style("{spinner} {prefix:9} {wide_msg}"));
        Self {
            bar,
            has_length: false,
        }
    }

    fn progress(&mut self, progress: &Progress) {
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
        self.bar.set_message(progress_line(progress));
        self.bar.tick();
    }
}

impl Renderer for Bar {
    fn show(&mut self, event: &Event) {
        match &event.body {
            Body::Progress(progress) => self.progress(progress),
            Body::Warning { message, .. } => self.bar.suspend(|| eprintln!("warning: {message}")),
            Body::Destination(status) => self
                .bar
                .suspend(|| eprintln!("{}", destination_line(status))),
            Body::Live(status) => {
                self.bar.set_prefix("on air");
                self.bar.set_message(live_line(status));
                self.bar.tick();
            }
            Body::Message { message } if !self.has_length => self.bar.set_message(message.clone()),
            Body::Result(outcome) => {
                self.bar.finish_and_clear();
                eprintln!("{}", outcome_line(outcome));
            }
            _ => {}
        }
    }
}

/// Both templates are constants; a mistake in one would leave the default look.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
