//! The report: one page that needs nothing but itself.

use std::path::Path;

use maud::{DOCTYPE, PreEscaped, html};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::relative;
use crate::event::{BatchProgress, JobState};
use crate::journal::JobRow;
use crate::progress::clock;

/// What could mean something in a relative URL.
const IN_A_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b':');

const STYLE: &str = "
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em; color: #222; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4em .8em; border-bottom: 1px solid #ddd; vertical-align: top; }
img { width: 160px; display: block; }
.failed { background: #fdecea; } .cancelled, .queued { background: #f5f5f5; }
code { font-size: 12px; color: #666; }
";

pub fn page(root: &Path, progress: &BatchProgress, jobs: &[JobRow]) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { "lipflow: " (progress.done) " of " (progress.total) " done" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (progress.done) " of " (progress.total) " done" }
                p {
                    (progress.failed) " failed, " (progress.cancelled) " cancelled. "
                    (clock(progress.video_s)) " of video in " (clock(progress.elapsed_s))
                    @if let Some(speed) = progress.speed {
                        ", " (format!("{speed:.1}")) " times real time"
                    }
                    "."
                }
                table {
                    thead { tr { th {} th { "File" } th { "Made of" } th { "Result" } } }
                    tbody { @for job in jobs { (row(root, job)) } }
                }
            }
        }
    }
    .into_string()
}

fn row(root: &Path, job: &JobRow) -> maud::Markup {
    let output = relative(root, &job.output).to_string_lossy();
    let link = utf8_percent_encode(&output, IN_A_PATH).to_string();
    html! {
        tr class=(job.state.name()) {
            td {
                @if let Some(jpeg) = &job.thumbnail {
                    img alt="" src=(format!("data:image/jpeg;base64,{}", base64(jpeg)));
                }
            }
            td {
                @if job.state == JobState::Done { a href=(link) { (output) } }
                @else { (output) }
                @if let Some(sha256) = &job.sha256 { br; code { (sha256) } }
            }
            td {
                (job.face.display()) br;
                @if job.dialogue.is_empty() { (job.speech.display()) }
                @for part in &job.dialogue { (part) br; }
            }
            td {
                b { (job.state.name()) }
                @if let Some(error) = job.error() {
                    br;
                    @if let Some(file) = &error.file { (file) ": " }
                    (error.reason) br; i { (error.remedy) }
                }
                @if let Some(outcome) = &job.outcome {
                    @if let Some(duration) = outcome.duration_s {
                        br; (format!("{duration:.2} s, {} frames", outcome.frames))
                    }
                    @if let Some(speed) = outcome.speed {
                        ", " (format!("{speed:.1}")) " times real time"
                    }
                    @if outcome.frames_without_face > 0 {
                        br; (outcome.frames_without_face) " frames without a face"
                    }
                }
                @if job.attempts > 1 { br; (job.attempts) " attempts" }
            }
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    gst::glib::base64_encode(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::tests::job;
    use super::*;

    #[test]
    fn names_are_data() {
        let jobs = [
            job("<b>#1 & 2.mp4", JobState::Done),
            job("bad.mp4", JobState::Failed),
        ];
        let page = page(Path::new("/out"), &BatchProgress::default(), &jobs);
        assert!(
            page.contains("href=\"sub/%3Cb%3E%231%20&amp;%202.mp4\""),
            "{page}"
        );
        assert!(page.contains("sub/&lt;b&gt;#1 &amp; 2.mp4</a>"), "{page}");
        assert!(page.contains("/in/a &amp; b.mp4"));
        assert!(
            page.contains("src=\"data:image/jpeg;base64,/9g=\""),
            "{page}"
        );
        assert!(
            !page.contains("href=\"sub/bad.mp4\""),
            "there is no such file"
        );
    }
}
