//! `lipflow live`: a speaking face on air.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::options::ShowOptions;
use crate::cancel::Stop;
use crate::error::{Failure, FailureKind};
use crate::event::{Body, Event, Outcome, Progress};
use crate::job::parse_setting;
use crate::job::{LabelOptions, Learn};
use crate::live::address::Address;
use crate::live::pcm::Pcm;
use crate::live::raw_sound::{self, Place};
use crate::live::speech::Speech;
use crate::live::{self, Options, control};
use crate::pipeline::template::{Template, Values};
use crate::progress;
use crate::secret;

/// Puts a speaking face on air: to RTMP, RTSP, SRT, HLS and files at once.
///
/// While nobody speaks, the face idles with its mouth closed. `lipflow control` changes what it says,
/// how it looks and where it goes while it is on air.
#[derive(Args, Debug)]
pub struct LiveArgs {
    /// The face: a video, which runs backwards and forwards, or a picture
    #[arg(long, value_name = "FILE")]
    face: PathBuf,
    /// How much of the face's video is read, once, to learn what the person's own mouths look like: auto
    /// takes a few seconds before it goes on air
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    learn: Learn,
    /// A destination, again for more: rtmp://HOST/APP/KEY, rtmps://, rtsp://HOST:PORT/PATH,
    /// srt://HOST:PORT, or a file that ends in .m3u8, .mkv or .mp4. As @FILE (its first line) or
    /// env:NAME its key is kept from `ps`
    #[arg(long, value_name = "URL|FILE")]
    to: Vec<String>,
    /// The same, without which there is no point: the broadcast ends if it can't be reached
    #[arg(long, value_name = "URL|FILE")]
    must: Vec<String>,
    /// Something to say, again for more: a file, or the URI of another stream, likewise
    #[arg(long, value_name = "FILE|URI")]
    speech: Vec<String>,
    /// Says files that appear in this folder
    #[arg(long, value_name = "FOLDER")]
    watch: Option<PathBuf>,
    /// Speaks while nothing else does: raw sound from standard input (-), a Unix socket (a path) or a
    /// TCP port on this machine, sent by processes of this user
    #[arg(
        long,
        value_name = "WHERE",
        requires = "pcm_format",
        conflicts_with = "speech_pipeline"
    )]
    pcm: Option<Place>,
    /// The format of raw sound: s16le,16000,1
    #[arg(long, value_name = "FORMAT,RATE,CHANNELS")]
    pcm_format: Option<Pcm>,
    /// The same from a piece of a gst-launch pipeline, `pulsesrc` say
    #[arg(long, value_name = "TEXT")]
    speech_pipeline: Option<String>,
    /// Ends when everything has been said
    #[arg(long)]
    until_said: bool,
    /// Size of the picture; by default the face's own
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = parse_size)]
    size: Option<(u32, u32)>,
    /// Frames a second
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=120))]
    fps: u32,
    /// The model: a name from `lipflow model list`, or a file; the one built in by default
    #[arg(long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// Sets a parameter of the template `live`, or of a destination's, as in live-hls.kept=20
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parse_setting)]
    settings: Vec<(String, String)>,
    #[command(flatten)]
    label: LabelOptions,
    /// Time from one showing of the label to the next, for who tunes in late
    #[arg(long, value_name = "SECONDS", requires = "label_seconds", value_parser = clap::value_parser!(u32).range(3..=86_400))]
    label_interval: Option<u32>,
    /// The Unix socket for `lipflow control`
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    #[command(flatten)]
    show: ShowOptions,
}

fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let size = text.split_once('x').and_then(|(width, height)| {
        let side = |text: &str| text.parse().ok().filter(|n| (16..=8192).contains(n));
        Some((side(width)?, side(height)?))
    });
    size.ok_or_else(|| format!("`{text}` is not a size such as 1280x720"))
}

pub fn run(args: LiveArgs) -> anyhow::Result<ExitCode> {
    crate::init().context("GStreamer can't start")?;
    let stop = Stop::on_signals()?;
    let mut renderer = progress::renderer(args.show.progress);
    let result = args
        .into_options()
        .and_then(|options| live::run(options, &stop, &mut |event| renderer.show(event)));
    match result {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(failure) => {
            let outcome = Outcome::of_failure(&failure, &Progress::default());
            renderer.show(&Event::now(Body::Result(outcome)));
            Ok(ExitCode::from(failure.kind.exit_code()))
        }
    }
}

impl LiveArgs {
    fn into_options(self) -> Result<Options, Failure> {
        let to = destinations(&self.to, &self.must)?;
        let mut speech = Vec::new();
        for text in self.speech {
            let text = secret::given(&text)?;
            speech.push(if text.contains("://") {
                Speech::Uri(text)
            } else {
                Speech::File(text.into())
            });
        }
        let (line, socket) = match self.pcm.zip(self.pcm_format) {
            Some((place, pcm)) => {
                let (line, socket) = raw_sound::open(place, pcm)?;
                (Some(line), socket)
            }
            None => (self.speech_pipeline.map(Speech::Pipeline), None),
        };
        let control = match self.control {
            Some(path) => path,
            None => control::default_path().map_err(|e| {
                Failure::new(FailureKind::Usage)
                    .because(e)
                    .advice("See --control")
            })?,
        };
        let fps = self.fps;
        let mut values = Values::new()
            .set("fps", format!("{fps}/1"))
            .set("key-distance", (2 * fps).to_string());
        if let Some(model) = self.model {
            values.insert("model", model);
        }
        let mut label = self.label;
        let configured = label.configure()?;
        let is_more_asked = configured.aigc.is_some() || configured.record;
        label.set_parameters(&mut |name, value| values.insert(name, value));
        if let Some(seconds) = self.label_interval {
            values.insert("label-interval", format!("{seconds}s"));
        }
        if is_more_asked {
            eprintln!(
                "lipflow: A broadcast carries the label alone: no metadata is written into streams, and no record."
            );
        }
        let mut destination_values: BTreeMap<String, Values> = BTreeMap::new();
        for (name, value) in self.settings {
            match name.split_once('.') {
                Some((template, name)) => destination_values
                    .entry(template.into())
                    .or_default()
                    .insert(name, value),
                None => values.insert(&name, value),
            }
        }
        for (template, values) in &destination_values {
            check(template, values)?;
        }
        Ok(Options {
            face: self.face,
            learn: self.learn,
            size: self.size,
            fps: (fps, 1),
            to,
            speech,
            line,
            socket,
            watch: self.watch,
            until_said: self.until_said,
            control,
            values,
            destination_values,
        })
    }
}

/// Where it goes, and what must be reached. A text that is no address is not shown: it may have a
/// key in it.
fn destinations(to: &[String], must: &[String]) -> Result<Vec<(Address, bool)>, Failure> {
    let usage = |reason: &dyn std::fmt::Display, advice: &str| {
        Failure::new(FailureKind::Usage)
            .because(reason)
            .advice(advice)
    };
    let with = |option, must| move |text| (option, must, text);
    let texts = to
        .iter()
        .map(with("--to", false))
        .chain(must.iter().map(with("--must", true)));
    let mut found: Vec<(Address, bool)> = Vec::new();
    for (option, must, text) in texts {
        let address: Address = secret::given(text)?.parse().map_err(|e| {
            usage(
                &format_args!("a value of {option} is no destination: {e}"),
                "See `lipflow live --help`",
            )
        })?;
        if found.iter().any(|(other, _)| other.is_same(&address)) {
            return Err(usage(
                &format_args!("{address} is given twice"),
                "Give each destination once",
            ));
        }
        found.push((address, must));
    }
    if found.is_empty() {
        return Err(usage(
            &"there is no destination",
            "Give one with --to, or with --must",
        ));
    }
    Ok(found)
}

/// Says what is wrong with the values before anything is on air.
fn check(template: &str, values: &Values) -> Result<(), Failure> {
    if !template.starts_with("live-") {
        return Err(Failure::new(FailureKind::Usage)
            .because(format_args!(
                "`{template}` is not the template of a destination"
            ))
            .advice("`lipflow pipeline list` shows them: live-rtmp, live-hls and so on"));
    }
    // The command has every value in its place, and holes where some are to come.
    Template::load(template)
        .and_then(|template| template.command(values))
        .map(drop)
        .map_err(|e| Failure::new(FailureKind::TemplateInvalid).detail(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_told_once_each_and_keys_never() {
        let reason = |to: &[&str]| {
            let to: Vec<_> = to.iter().map(|text| text.to_string()).collect();
            destinations(&to, &[]).unwrap_err().to_string()
        };
        let wrong = reason(&["rtmp://host/s3cret-key"]);
        assert!(
            wrong.contains("APPLICATION/KEY") && !wrong.contains("s3cret"),
            "{wrong}"
        );
        for twice in ["a.mkv", "./a.mkv", "none/../a.mkv"] {
            assert!(reason(&["a.mkv", twice]).contains("twice"), "{twice}");
        }
        assert!(reason(&[]).contains("no destination"));
        let found = destinations(&["a.mkv".into()], &["b.mkv".into()]).unwrap();
        assert_eq!(
            found.iter().map(|(_, must)| *must).collect::<Vec<_>>(),
            [false, true]
        );
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("1280x720"), Ok((1280, 720)));
        for bad in ["720", "0x720", "1280x", "axb"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
