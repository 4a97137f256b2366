//! `lipflow verify`: what a player will see of a file, and what is odd about it.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::print;
use crate::cancel::Cancel;
use crate::error::{Failure, FailureKind};
use crate::event::display;
use crate::job::check_input;
use crate::pipeline::container::{self, Wholeness};
use crate::pipeline::format;
use crate::pipeline::probe::fps_of;
use crate::pipeline::reading::odd::{self, Level, Oddity, seconds};
use crate::pipeline::reading::{self, Kind, Reading, Stream};
use crate::pipeline::runner::Watch;
use crate::terminal::plain;

/// Says what a player will see of a file, and what is odd about it.
///
/// Streams, frames and their times, lengths, rotation, shape of the pixels, colours, edit lists, and
/// whether picture and sound fit together. Nothing is decoded. A job reads its output the same way before
/// it publishes it. The exit code is 28 where a file is odd, and that of the reason where one can't be
/// read.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// Videos, pictures or sound files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Print one JSON object a line and file
    #[arg(long)]
    json: bool,
    /// Tell when each frame of the picture is shown
    #[arg(long)]
    frames: bool,
    /// Seconds without movement after which a file is given up
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    stuck_after: u64,
}

pub fn run(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    crate::init()?;
    let cancel = Cancel::on_signals()?;
    let watch = Watch {
        stuck_after: Duration::from_secs(args.stuck_after),
        graph: None,
    };
    let mut code = 0;
    for file in &args.files {
        let found = verify(file, &watch, &cancel);
        let text = match (&found, args.json) {
            (Ok((reading, odd)), true) => format!("{}\n", json(file, reading, odd, args.frames)),
            (Ok((reading, odd)), false) => text(file, reading, odd, args.frames),
            (Err(failure), true) => format!("{}\n", json_failure(file, failure)),
            (Err(failure), false) => {
                eprintln!("lipflow: {}", plain(failure));
                String::new()
            }
        };
        print(&text)?;
        let own = match &found {
            Ok((_, odd)) if odd.iter().any(|o| o.level == Level::Odd) => {
                FailureKind::MediaOdd.exit_code()
            }
            Ok(_) => 0,
            Err(failure) if failure.is_cancellation() => {
                return Ok(ExitCode::from(failure.kind.exit_code()));
            }
            Err(failure) => failure.kind.exit_code(),
        };
        // The first that is wrong gives the code.
        code = if code == 0 { own } else { code };
    }
    Ok(ExitCode::from(code))
}

fn verify(file: &Path, watch: &Watch, cancel: &Cancel) -> Result<(Reading, Vec<Oddity>), Failure> {
    check_input(file)?;
    let unreadable = |e| Failure::of(FailureKind::InputUnreadable, file).detail(e);
    let wholeness = container::inspect(file).map_err(unreadable)?;
    if wholeness == Wholeness::HeaderOnly {
        return Err(Failure::of(FailureKind::HeaderOnly, file));
    }
    let head = format::head(file).map_err(unreadable)?;
    format::check(&head).map_err(|f| f.file(file))?;
    let reading = reading::read(file, watch, cancel)?;
    let mut odd = odd::oddities(&reading);
    if wholeness == Wholeness::Cut {
        let text = "the file ends before its container says: its end is missing".to_owned();
        let level = Level::Odd;
        odd.insert(
            0,
            Oddity {
                level,
                kind: "cut",
                text,
            },
        );
    }
    Ok((reading, odd))
}

fn text(file: &Path, reading: &Reading, odd: &[Oddity], with_frames: bool) -> String {
    let mut text = format!("{}\n", plain(display(file)));
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<10} {value}");
    };
    let container = reading.container.as_deref().unwrap_or("no container");
    match reading.claimed {
        Some(claimed) => line(
            "container",
            format!("{container}, says {}", seconds(claimed)),
        ),
        None => line("container", container.to_owned()),
    }
    for stream in &reading.streams {
        line(name_of(stream.kind), facts(stream));
    }
    for oddity in odd {
        let name = match oddity.level {
            Level::Note => "note",
            Level::Odd => "odd",
        };
        line(name, plain(&oddity.text));
    }
    if odd.iter().all(|o| o.level == Level::Note) {
        line("verdict", "nothing is odd".into());
    }
    if with_frames && let Some(video) = reading.longest(Kind::Video) {
        for (number, (shown, stays)) in video.times.iter().zip(video.stays()).enumerate() {
            line(
                "frame",
                format!(
                    "{number} at {} for {}",
                    seconds(shown.start),
                    seconds(stays)
                ),
            );
        }
    }
    text
}

const fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Video => "picture",
        Kind::Audio => "sound",
        Kind::Other => "other",
    }
}

fn facts(stream: &Stream) -> String {
    let mut parts = vec![stream.codec.clone()];
    if let Some(picture) = &stream.picture {
        parts.push(format!("{}x{}", picture.width, picture.height));
        let (width, height) = picture.aspect;
        if width != height {
            parts.push(format!("pixels {width}:{height}"));
        }
        if picture.rotation != 0 {
            parts.push(format!("turned by {} degrees", picture.rotation));
        }
        if let Some(colour) = &picture.colorimetry {
            parts.push(format!("colours {colour}"));
        }
        parts.push(format!("{} frames", stream.times.len()));
        if let Some(rate) = stream.rate() {
            parts.push(format!("{rate:.3} frames/s"));
        }
    }
    if let Some(sound) = stream.sound {
        parts.push(format!("{} Hz, {} channels", sound.rate, sound.channels));
    }
    if !stream.times.is_empty() {
        parts.push(format!(
            "from {} to {}, lasts {}",
            seconds(stream.start()),
            seconds(stream.end()),
            seconds(stream.duration())
        ));
    }
    parts.join(", ")
}

/// Times are seconds.
fn json(file: &Path, reading: &Reading, odd: &[Oddity], with_frames: bool) -> Value {
    let streams = reading.streams.iter().map(|stream| {
        let mut object = json!({
            "kind": stream.kind,
            "codec": stream.codec,
            "frames": stream.times.len(),
            "start_s": stream.start().as_secs_f64(),
            "end_s": stream.end().as_secs_f64(),
            "duration_s": stream.duration().as_secs_f64(),
            "uncertain_s": stream.slack().as_secs_f64(),
            "is_default": stream.is_default,
        });
        if let Some(picture) = &stream.picture {
            object["width"] = picture.width.into();
            object["height"] = picture.height.into();
            object["pixel_aspect"] = json!([picture.aspect.0, picture.aspect.1]);
            object["fps"] = stream.rate().into();
            object["claimed_fps"] = picture.fps.map(fps_of).into();
            object["rotation"] = picture.rotation.into();
            object["mirrored"] = picture.is_mirrored.into();
            object["colorimetry"] = picture.colorimetry.clone().into();
            if with_frames {
                let times = stream.times.iter().map(|t| t.start.as_secs_f64());
                object["frame_times_s"] = times.collect::<Vec<f64>>().into();
            }
        }
        if let Some(sound) = stream.sound {
            object["sample_rate"] = sound.rate.into();
            object["channels"] = sound.channels.into();
        }
        object
    });
    json!({
        "file": display(file),
        "container": reading.container,
        "claimed_duration_s": reading.claimed.map(|d| d.as_secs_f64()),
        "tags": reading.tags,
        "streams": streams.collect::<Vec<_>>(),
        "odd": odd,
    })
}

fn json_failure(file: &Path, failure: &Failure) -> Value {
    json!({
        "file": display(file),
        "error": {
            "kind": failure.kind,
            "reason": failure.reason(),
            "remedy": failure.remedy(),
            "exit_code": failure.kind.exit_code(),
        },
    })
}
