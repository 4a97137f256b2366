//! The elements by the clock: no frame may be drawn without its speech.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::bench::clip_720p;
use crate::material::{make, readings};
use crate::table::{Figure, Figures, Limit};
use crate::{job, process, workspace};

pub fn run(folder: &Path, minutes: u32) -> Result<()> {
    process::run(workspace::cargo().args([
        "build",
        "--release",
        "-p",
        "gst-plugin-lipsync",
        "--example",
        "streams",
    ]))?;
    let seconds = (minutes * 60).to_string();
    let face = clip_720p()?;
    let speech = folder.join(format!("speech-{seconds}.wav"));
    make(&speech, |part| readings(part, &["-t", &seconds]))?;
    eprintln!("{minutes} minutes by the clock, and as fast as it goes");
    let output = process::output(
        Command::new(job::binaries().join("examples/streams"))
            .args(["live", &seconds])
            .args([face, speech]),
    )?;
    let found: Value = serde_json::from_str(&output).context("`streams` gave no JSON")?;
    let count = |key: &str| found[key].as_f64().unwrap_or(f64::NAN);
    let none = |name: &str, key: &str| Figure {
        name: name.into(),
        value: count(key),
        unit: "",
        limit: Limit::Exactly(0.0),
    };
    let figures = [
        Figure {
            name: "frames by the clock".into(),
            value: count("frames"),
            unit: "",
            limit: Limit::AtLeast(f64::from(minutes * 60 * 25)),
        },
        none("frames drawn without their speech", "without_speech"),
        none("frames unlike those without a clock", "differ"),
        none("frames that did not come", "missing"),
    ];
    println!("{}", Figures(&figures));
    match figures.iter().filter(|figure| !figure.is_met()).count() {
        0 => Ok(()),
        missed => bail!("{missed} of {} limits missed", figures.len()),
    }
}
