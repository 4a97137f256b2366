//! How well faces are drawn from their own frames, on clips: the plugin's example `drawing` measures.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::figure;
use crate::table::{Figure, Limit};
use crate::{process, workspace};

const FILES: [&str; 6] = ["mp4", "mpg", "mov", "mkv", "webm", "m4v"];

/// Measures each clip of a folder, prints a line for each, and gives the means.
pub fn figures(folder: &Path) -> Result<Vec<Figure>> {
    let mut clips: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| format!("can't read {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let ending = path.extension().and_then(|e| e.to_str());
            ending.is_some_and(|ending| FILES.contains(&ending))
        })
        .collect();
    clips.sort();
    if clips.is_empty() {
        bail!("{} has no videos in it", folder.display());
    }
    process::run(
        workspace::cargo()
            .args("build --quiet --release -p gst-plugin-lipsync --example drawing".split(' ')),
    )?;
    let program = workspace::target().join("release/examples/drawing");
    let mut measured = Vec::new();
    eprintln!(
        "Drawing: clip, SSIM, PSNR | own mouths, then warp: obeys, range, wide, like, sharp, steady, seam, step | ms"
    );
    for clip in &clips {
        let text = process::output(Command::new(&program).arg(clip))?;
        let found: Value = serde_json::from_str(&text).context("`drawing` printed no JSON")?;
        eprintln!("  {}", line(clip, &found));
        measured.push(found);
    }
    let mean = |path: &str| {
        let values = measured
            .iter()
            .filter_map(|found| found.pointer(path)?.as_f64());
        values.sum::<f64>() / measured.len() as f64
    };
    let row = |name: &str, path: &str, unit, limit| figure(name.into(), mean(path), unit, limit);
    Ok(vec![
        row("redrawn mouths, SSIM", "/ssim", "", Limit::AtLeast(0.93)),
        row("redrawn mouths, PSNR", "/psnr", "dB", Limit::Any),
        row("own mouths obey", "/own/obeys", "r", Limit::AtLeast(0.95)),
        row(
            "  range of what is asked",
            "/own/range",
            "",
            Limit::AtLeast(0.9),
        ),
        row("  width, r", "/own/wide", "", Limit::AtLeast(0.85)),
        row(
            "  change across the rim, of the source's",
            "/own/seam",
            "",
            Limit::AtMost(1.05),
        ),
        row(
            "  step of colour at its end",
            "/own/step",
            "levels",
            Limit::AtMost(1.0),
        ),
        row(
            "  distance to real mouths, median",
            "/own/like/0",
            "",
            Limit::AtMost(0.7),
        ),
        row(
            "  the same, 95th percentile",
            "/own/like/1",
            "",
            Limit::AtMost(1.1),
        ),
        row(
            "  sharpness, of the source's",
            "/own/sharp",
            "",
            Limit::AtLeast(0.9),
        ),
        row(
            "  second difference, of the source's",
            "/own/steady",
            "",
            Limit::AtMost(1.2),
        ),
        row("warped mouths obey", "/warp/obeys", "r", Limit::Any),
        row("  range of what is asked", "/warp/range", "", Limit::Any),
        row(
            "  distance to real mouths, median",
            "/warp/like/0",
            "",
            Limit::Any,
        ),
        row(
            "  the same, 95th percentile",
            "/warp/like/1",
            "",
            Limit::Any,
        ),
        row(
            "  sharpness, of the source's",
            "/warp/sharp",
            "",
            Limit::Any,
        ),
        row(
            "  second difference, of the source's",
            "/warp/steady",
            "",
            Limit::Any,
        ),
    ])
}

fn line(clip: &Path, found: &Value) -> String {
    let number = |path: &str| {
        found
            .pointer(path)
            .and_then(Value::as_f64)
            .unwrap_or(f64::NAN)
    };
    let drawn = |kind: &str| {
        let number = |name: &str| number(&format!("/{kind}/{name}"));
        format!(
            "{:.2} {:.2} {:.2} {:.2}/{:.2} {:.2} {:.2} {:.2} {:.1}",
            number("obeys"),
            number("range"),
            number("wide"),
            number("like/0"),
            number("like/1"),
            number("sharp"),
            number("steady"),
            number("seam"),
            number("step")
        )
    };
    format!(
        "{:16} {:.3} {:.1} | {} | {} | {:.2}",
        clip.file_name().unwrap_or_default().to_string_lossy(),
        number("/ssim"),
        number("/psnr"),
        drawn("own"),
        drawn("warp"),
        number("/draw_ms")
    )
}
