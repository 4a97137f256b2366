//! How a batch is shown: bars, lines, or its events as they are.

mod bars;
mod lines;
mod words;

use std::io::{IsTerminal, Write};

use super::{Renderer, Style, json};
use crate::event::Event;
use crate::journal::{Begun, JobRow};
use crate::supervisor::Summary;

use bars::Bars;
use lines::Lines;

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
