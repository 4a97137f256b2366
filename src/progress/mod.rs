//! Renderers of events. Each shows the same stream to another kind of reader.

pub mod aside;
mod bar;
mod batch;
mod json;
mod plain;

use std::io::IsTerminal;

use crate::event::{
    DestinationState, DestinationStatus, Event, Learning, LiveStatus, Outcome, Plan, Progress,
};

/// How a job's events are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Style {
    /// A bar on a terminal, lines elsewhere.
    #[default]
    Auto,
    /// A bar.
    Bar,
    /// A line every few seconds.
    Plain,
    /// One JSON object a line, on standard output; `lipflow schema` prints what they look like.
    Json,
    /// Only how it ended.
    None,
}

pub use batch::{BatchRenderer, batch_renderer};

/// Shows events to someone.
pub trait Renderer {
    fn show(&mut self, event: &Event);
}

pub fn renderer(style: Style) -> Box<dyn Renderer> {
    // Bars and lines go to standard error, so that is the terminal that counts.
    let style = match style {
        Style::Auto if std::io::stderr().is_terminal() => Style::Bar,
        Style::Auto => Style::Plain,
        asked => asked,
    };
    match style {
        Style::Json => Box::new(json::Json::new(std::io::stdout())),
        Style::Bar => Box::new(bar::Bar::new()),
        Style::None => Box::new(plain::Plain::only_the_end(std::io::stderr())),
        Style::Plain | Style::Auto => Box::new(plain::Plain::new(std::io::stderr())),
    }
}

/// Seconds as a clock shows them: `1:02:03`, `2:03`.
pub fn clock(seconds: f64) -> String {
    let total = seconds.max(0.0).round() as u64;
    let (hours, minutes, seconds) = (total / 3600, total / 60 % 60, total % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// What is known about how far it is, in words.
fn progress_line(progress: &Progress) -> String {
    let mut parts = Vec::new();
    if let Some(learning) = &progress.learning {
        return learning_line(learning);
    }
    if progress.frames == 0 && progress.duration_s.is_none() {
        return String::new();
    }
    match progress.frames_total {
        Some(total) => parts.push(format!("frame {} of {total}", progress.frames)),
        None => parts.push(format!("frame {}", progress.frames)),
    }
    match progress.duration_s {
        Some(total) => parts.push(format!(
            "{} of {}",
            clock(progress.position_s),
            clock(total)
        )),
        None => parts.push(clock(progress.position_s)),
    }
    if let Some(speed) = progress.speed {
        parts.push(format!("{speed:.1}x"));
    }
    if let Some(left) = progress.eta_s {
        parts.push(format!("{} left", clock(left)));
    }
    if progress.frames_without_face > 0 {
        parts.push(format!("{} without a face", progress.frames_without_face));
    }
    parts.join(", ")
}

/// How far a face is learnt, in words.
fn learning_line(learning: &Learning) -> String {
    let mut parts = Vec::new();
    if learning.waiting {
        parts.push("another process learns this face".into());
    }
    match learning.frames_total {
        Some(total) => parts.push(format!("frame {} of {total}", learning.frames)),
        None => parts.push(format!("frame {}", learning.frames)),
    }
    if learning.mouths > 0 {
        parts.push(format!("{} mouths", learning.mouths));
    }
    if let Some(left) = learning.eta_s {
        parts.push(format!("{} left", clock(left)));
    }
    parts.join(", ")
}

fn plan_lines(plan: &Plan) -> Vec<String> {
    let input = |name: &str, input: &crate::event::InputSummary| {
        let mut parts = vec![input.kind.clone()];
        if !input.format.is_empty() {
            parts.push(input.format.clone());
        }
        if let (Some(width), Some(height)) = (input.width, input.height) {
            parts.push(format!("{width}x{height}"));
        }
        if let Some(fps) = input.fps {
            let text = format!("{fps:.3}");
            let text = text.trim_end_matches('0').trim_end_matches('.');
            parts.push(format!("{text} frames/s"));
        }
        parts.extend(input.colour.clone());
        if let Some(rotation) = input.rotation.filter(|r| *r != 0) {
            parts.push(format!("turned by {rotation} degrees"));
        }
        if let (Some(rate), Some(channels)) = (input.sample_rate, input.channels) {
            parts.push(format!("{rate} Hz, {channels} channels"));
        }
        if let Some(duration) = input.duration_s {
            parts.push(format!("{duration:.2} s"));
        }
        format!("{name:<9}{} ({})", input.file, parts.join(", "))
    };
    let mut lines = vec![input("face", &plan.face)];
    match plan.speakers.is_empty() {
        true => lines.push(input("speech", &plan.speech)),
        false => lines.extend(plan.speakers.iter().map(|speaker| {
            let number = speaker.who.parse::<u32>();
            let who = match number {
                Ok(number) => format!("number {number} from the left"),
                Err(_) => speaker.who.clone(),
            };
            format!("{}, said by {who}", input("speech", &speaker.speech))
        })),
    }
    let length = match (plan.duration_s, plan.frames) {
        (Some(duration), Some(frames)) => format!("{duration:.2} s, {frames} frames"),
        (Some(duration), None) => format!("{duration:.2} s"),
        _ => "as long as the inputs last".into(),
    };
    let output = plan.output.as_deref().unwrap_or("no file");
    lines.push(format!(
        "output   {output} (template {}, {length}; ends with: {}, loop: {})",
        plan.template, plan.end_mode, plan.loop_mode
    ));
    if let Some(model) = &plan.model {
        let lacks = plan.model_lacks.as_ref().map_or(String::new(), |file| {
            format!(", the simpler one: {file} is not there. Run `cargo xtask setup`")
        });
        lines.push(format!("model    {model}{lacks}"));
    }
    if let Some(changes) = &plan.colours {
        lines.push(format!("colours  {changes}"));
    }
    lines.extend(
        plan.choices
            .iter()
            .map(|choice| format!("choice   {choice}")),
    );
    if let Some(estimate) = &plan.estimate {
        lines.push(format!(
            "faces    in {} of {} frames looked at, at most {} at once",
            estimate.frames_with_face, estimate.frames_sampled, estimate.most_faces
        ));
        if let Some(seconds) = estimate.seconds {
            lines.push(format!("time     about {}", clock(seconds)));
        }
        if let Some(needed) = estimate.bytes_needed {
            let free = estimate
                .bytes_free
                .map_or(String::new(), |free| format!(", {} free", megabytes(free)));
            lines.push(format!("disk     about {}{free}", megabytes(needed)));
        }
    }
    lines
}

pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn live_line(status: &LiveStatus) -> String {
    let mut parts = vec![
        clock(status.elapsed_s),
        format!("{} frames", status.frames),
        format!("{:.0} ms behind", status.latency_ms),
        format!("{:.0} kbit/s", status.bitrate_kbps),
    ];
    if status.frames_late > 0 {
        parts.push(format!("{} late", status.frames_late));
    }
    match &status.speaking {
        _ if status.paused => parts.push("paused".into()),
        Some(name) => parts.push(format!("saying {name}")),
        None => parts.push("silent".into()),
    }
    if status.queue_s > 0.0 {
        parts.push(format!("{} of speech left", clock(status.queue_s)));
    }
    parts.join(", ")
}

fn destination_line(status: &DestinationStatus) -> String {
    let state = match status.state {
        DestinationState::Connecting => "connecting",
        DestinationState::OnAir => "on air",
        DestinationState::Waiting => "failed",
        DestinationState::Ended => "ended",
    };
    let mut line = format!("{}: {state}", status.destination);
    if let Some(reason) = &status.reason {
        line += &format!(": {}", reason.trim_end_matches('.'));
    }
    if let Some(remedy) = &status.remedy {
        line += &format!(". {remedy}");
    }
    if let Some(pause) = status.retry_in_s {
        line += &format!("; the next try is in {pause:.0} s");
    }
    line
}

/// How it ended, on one line.
fn outcome_line(outcome: &Outcome) -> String {
    if let Some(error) = &outcome.error {
        let file = error
            .file
            .as_ref()
            .map_or(String::new(), |file| format!("{file}: "));
        let end = |text: &str| text.trim_end_matches('.').to_owned();
        return format!(
            "lipflow: {file}{}. {}.",
            end(&error.reason),
            end(&error.remedy)
        );
    }
    if outcome.output.is_none() && outcome.frames == 0 {
        return "nothing was written".into();
    }
    let output = outcome.output.as_deref().unwrap_or("done");
    if outcome.skipped {
        return format!("{output} is there already and was left alone");
    }
    let mut line = format!("{output}: {} frames", outcome.frames);
    if let Some(duration) = outcome.duration_s {
        line += &format!(", {duration:.2} s");
    }
    line += &format!(", made in {:.1} s", outcome.elapsed_s);
    if let Some(speed) = outcome.speed {
        line += &format!(" ({speed:.1} times real time)");
    }
    if outcome.frames_without_face > 0 {
        line += &format!(", {} frames without a face", outcome.frames_without_face);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Failure, FailureKind};

    #[test]
    fn clocks() {
        assert_eq!(clock(0.4), "0:00");
        assert_eq!(clock(62.0), "1:02");
        assert_eq!(clock(3723.6), "1:02:04");
        assert_eq!(clock(-3.0), "0:00");
    }

    #[test]
    fn a_line_tells_what_is_known_and_no_more() {
        let mut progress = Progress {
            frames: 5,
            position_s: 0.2,
            ..Default::default()
        };
        assert_eq!(progress_line(&progress), "frame 5, 0:00");
        progress.frames_total = Some(100);
        progress.duration_s = Some(4.0);
        progress.speed = Some(3.1);
        progress.eta_s = Some(1.2);
        progress.frames_without_face = 1;
        assert_eq!(
            progress_line(&progress),
            "frame 5 of 100, 0:00 of 0:04, 3.1x, 0:01 left, 1 without a face"
        );
    }

    #[test]
    fn who_waits_for_another_says_so() {
        let mut progress = Progress {
            learning: Some(Learning {
                frames: 50,
                frames_total: Some(250),
                mouths: 12,
                eta_s: Some(2.0),
                ..Default::default()
            }),
            duration_s: Some(4.0),
            ..Default::default()
        };
        let own = "frame 50 of 250, 12 mouths, 0:02 left";
        assert_eq!(progress_line(&progress), own);
        progress.learning.as_mut().unwrap().waiting = true;
        let waiting = format!("another process learns this face, {own}");
        assert_eq!(progress_line(&progress), waiting);
    }

    #[test]
    fn a_failure_reads_the_same_everywhere() {
        let failure = Failure::of(FailureKind::InputEmpty, std::path::Path::new("a.mp4"));
        let outcome = Outcome::of_failure(&failure, &Progress::default());
        assert_eq!(outcome_line(&outcome), format!("lipflow: {failure}"));
    }
}
