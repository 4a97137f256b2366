//! `cargo xtask evaluate`: how good the mouths are, measured on finished videos by a landmark model
//! that has no part in making them.

mod drawing;
mod material;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::setup::{self, Scope};
use crate::table::{Figure, Figures, Limit};
use crate::{job, process, workspace};
use material::{Face, Material, Talker};

#[derive(clap::Args)]
pub struct Args {
    /// Less of everything: the webcam face only, and shorter
    #[arg(long)]
    quick: bool,
    /// A folder with videos of people who speak, to hold their own lips against ours; may be given
    /// more than once
    #[arg(long, value_name = "DIR")]
    talkers: Vec<PathBuf>,
    /// A folder with videos of faces: only how well they are drawn from their own frames is measured
    #[arg(long, value_name = "DIR")]
    clips: Option<PathBuf>,
    /// The model to evaluate, as for `lipflow run`; else the built-in one
    #[arg(long)]
    model: Option<OsString>,
}

/// Frames by which the mouth may run ahead or behind at most for a lag to be found.
const LAGS: u32 = 5;

pub fn run(args: &Args) -> Result<()> {
    setup::ensure(Scope::Test)?;
    if let Some(folder) = &args.clips {
        return report(&drawing::figures(folder)?);
    }
    let judge = Judge(setup::judge()?);
    eprintln!("Building");
    job::build()?;
    let evaluation = Evaluation {
        judge,
        material: Material::new(if args.quick { 6 } else { 12 })?,
        model: match &args.model {
            Some(model) => vec!["--model".into(), model.clone()],
            None => Vec::new(),
        },
    };

    let mut faces = vec![evaluation.material.webcam()?];
    if !args.quick {
        faces.push(evaluation.material.portrait()?);
    }
    let mut figures = Vec::new();
    if !args.talkers.is_empty() {
        figures.extend(evaluation.follows_speech(&args.talkers, &faces)?);
    }
    for face in &faces {
        figures.extend(evaluation.of(face)?);
    }
    figures.push(evaluation.steady()?);

    if args.talkers.is_empty() {
        println!("Whether the mouth follows speech as a real one does takes --talkers.");
    }
    report(&figures)
}

/// Prints the figures; a limit that is missed is a failure.
fn report(figures: &[Figure]) -> Result<()> {
    println!("{}", Figures(figures));
    let missed = figures.iter().filter(|f| !f.is_met()).count();
    if missed > 0 {
        bail!("{missed} of {} limits missed", figures.len());
    }
    Ok(())
}

struct Evaluation {
    judge: Judge,
    material: Material,
    model: Vec<OsString>,
}

impl Evaluation {
    /// The talkers' own lips against those that their speech makes, on their own faces and on those
    /// given.
    fn follows_speech(&self, folders: &[PathBuf], faces: &[Face]) -> Result<Vec<Figure>> {
        let mut talkers = Vec::new();
        for folder in folders {
            talkers.extend(self.material.talkers(folder)?);
        }
        let mut figures = self.follows("own", &talkers, |talker| &talker.video)?;
        for face in faces {
            figures.extend(self.follows(face.name, &talkers, |_| &face.video)?);
        }
        Ok(figures)
    }

    fn follows<'a>(
        &'a self,
        name: &str,
        talkers: &'a [Talker],
        face: impl Fn(&'a Talker) -> &'a Path,
    ) -> Result<Vec<Figure>> {
        eprintln!("Speech of talkers, {name} face");
        let mut arguments = vec![OsString::from(LAGS.to_string())];
        for (number, talker) in talkers.iter().enumerate() {
            let output = format!("follow-{name}-{number}");
            let output =
                self.material
                    .spoken(&output, face(talker), &talker.speech, &self.model)?;
            let files = [&talker.video, &talker.speech, &output];
            arguments.extend(files.map(OsString::from));
        }
        let found = self.judge.measure("follow", &arguments)?;
        let list = |key: &str| -> Result<Vec<f64>> {
            let values = found[key].as_array().context("judge.py gave no list")?;
            Ok(values.iter().filter_map(Value::as_f64).collect())
        };
        let [correlations, speaking] = [list("correlations")?, list("speaking")?];
        let widths = list("widths")?;
        eprintln!(
            "  one by one: {correlations:.2?}, while they speak {speaking:.2?}, width {widths:.2?}"
        );
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let lag = list("lags")?.into_iter().map(f64::abs).fold(0.0, f64::max);
        Ok(vec![
            figure(
                format!("follows speech, {name}"),
                mean(&correlations),
                "r",
                Limit::AtLeast(0.82),
            ),
            figure(
                format!("  width, {name}"),
                mean(&widths),
                "r",
                // On another face, the widths of that face's own mouths are in the way.
                if name == "own" {
                    Limit::AtLeast(0.55)
                } else {
                    Limit::Any
                },
            ),
            figure(
                format!("  from the first word to the last, {name}"),
                mean(&speaking),
                "r",
                Limit::Any,
            ),
            figure(
                format!("  largest lag, {name}"),
                lag,
                "frames",
                Limit::AtMost(1.0),
            ),
        ])
    }

    fn of(&self, face: &Face) -> Result<Vec<Figure>> {
        let name = face.name;
        eprintln!("Closing for p, b and m, {name}");
        let speaking = self.material.spoken(
            &format!("speaking-{name}"),
            &face.video,
            &self.material.speech()?,
            &self.model,
        )?;
        let readings = Path::new(setup::packages::SPEECH);
        let closes = self
            .judge
            .measure("closes", &[readings, &face.video, &speaking])?;

        eprintln!("Silence, {name}");
        let silent = self.material.spoken(
            &format!("silent-{name}"),
            &face.video,
            &self.material.silence()?,
            &self.model,
        )?;
        let silence = self
            .judge
            .measure("silence", &[&face.video, &speaking, &silent])?;

        eprintln!("Obeying, {name}");
        let follower = self.material.follower(false)?;
        let commanded = self.material.spoken(
            &format!("commanded-{name}"),
            &face.video,
            &follower.tone,
            &["--model".into(), follower.model.into()],
        )?;
        let obeys = self
            .judge
            .measure("obeys", &[&follower.command, &commanded])?;

        eprintln!("Sharpness, {name}");
        let sharp = self.judge.measure("sharp", &[&face.video, &speaking])?;

        let get = |found: &Value, key: &str| found[key].as_f64().unwrap_or(f64::NAN);
        let count = get(&closes, "count");
        Ok(vec![
            figure(
                format!("closes for p, b, m, {name} ({count} of them)"),
                100.0 * get(&closes, "closed"),
                "%",
                Limit::AtLeast(90.0),
            ),
            figure(
                format!("opening in silence, of its range, {name}"),
                100.0 * get(&silence, "opening"),
                "%",
                Limit::AtMost(5.0),
            ),
            figure(
                format!("movement in silence, of the source's, {name}"),
                get(&silence, "movement"),
                "",
                Limit::AtMost(1.0),
            ),
            figure(
                format!("obeys, {name} ({:.2} of the opening)", get(&obeys, "gain")),
                get(&obeys, "correlation"),
                "r",
                Limit::AtLeast(0.95),
            ),
            figure(
                format!("detail of the skin around the mouth, of the source's, {name}"),
                get(&sharp, "sharpness"),
                "",
                Limit::AtLeast(0.9),
            ),
            figure(
                format!("  pixels changed elsewhere, {name}"),
                get(&sharp, "outside"),
                "",
                Limit::AtMost(0.0),
            ),
        ])
    }

    /// A still picture that is asked for one opening all the time.
    fn steady(&self) -> Result<Figure> {
        eprintln!("Steadiness");
        let follower = self.material.follower(true)?;
        let face = self.material.portrait()?;
        let output = self.material.spoken(
            "steady",
            &face.video,
            &follower.tone,
            &["--model".into(), follower.model.into()],
        )?;
        let steady = self.judge.measure("steady", &[&output])?;
        Ok(figure(
            "change from frame to frame of a still picture".into(),
            steady["difference"].as_f64().unwrap_or(f64::NAN),
            "of 255",
            Limit::AtMost(0.0),
        ))
    }
}

fn figure(name: String, value: f64, unit: &'static str, limit: Limit) -> Figure {
    Figure {
        name,
        value,
        unit,
        limit,
    }
}

/// The Python that runs `judge.py`.
struct Judge(PathBuf);

impl Judge {
    fn measure(&self, task: &str, arguments: &[impl AsRef<std::ffi::OsStr>]) -> Result<Value> {
        let text = process::output(
            Command::new(&self.0)
                .arg(workspace::scripts().join("judge.py"))
                .arg(task)
                .args(arguments),
        )?;
        serde_json::from_str(&text).with_context(|| format!("judge.py said {text}"))
    }
}
