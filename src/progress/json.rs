//! One JSON object a line, for programs.

use std::io::Write;

use super::Renderer;
use crate::event::Event;

pub struct Json<W>(W);

impl<W: Write> Json<W> {
    pub fn new(writer: W) -> Self {
        Self(writer)
    }
}

impl<W: Write> Renderer for Json<W> {
    fn show(&mut self, event: &Event) {
        // A reader that went away must not end the job.
        if let Ok(mut line) = serde_json::to_vec(event) {
            line.push(b'\n');
            let _ = self.0.write_all(&line).and_then(|()| self.0.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Body, JobState};

    #[test]
    fn each_event_is_a_line() {
        let mut lines = Vec::new();
        let mut json = Json::new(&mut lines);
        json.show(&Event::now(JobState::Queued));
        json.show(&Event::now(Body::Message {
            message: "two\nlines".into(),
        }));
        let text = String::from_utf8(lines).unwrap();
        let events: Vec<Event> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(events.len(), 2);
        assert_eq!(events[0].body, JobState::Queued.into());
    }
}
