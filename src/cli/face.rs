//! `lipflow face`: what is learnt of faces, and how to be rid of it.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::options::ShowOptions;
use super::print;
use crate::cancel::Cancel;
use crate::digest;
use crate::error::{Failure, FailureKind};
use crate::event::{Body, Event, JobState, Outcome, Progress, display, seconds};
use crate::faces::judge::{Judgement, judge};
use crate::faces::{self, Amount, Entry, Form, Found, Key, Known, Learnt, Request, Store};
use crate::job::FaceChoice;
use crate::job::check_input;
use crate::pipeline::probe::{self, Kind, Role};
use crate::progress::{self, Renderer, Style, clock, megabytes};
use crate::terminal::plain;

/// Learn faces beforehand, see what a face can do, and remove what was learnt.
///
/// What a video shows of a person's mouth is learnt once and kept in a cache that only you can read.
/// `run`, `batch` and `live` do it by themselves. A face file is personal data: `prune` removes it.
#[derive(Args, Debug)]
pub struct FaceArgs {
    #[command(subcommand)]
    command: FaceCommand,
}

#[derive(Debug, Subcommand)]
enum FaceCommand {
    /// Read face videos whole and keep what they show
    Learn(LearnArgs),
    /// Say what a learnt face can do, and what is in its way
    Show(FaceShowArgs),
    /// List the faces that are kept
    List {
        /// As one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Remove what was learnt: of a face, of all, or what there is no room for
    Prune(PruneArgs),
}

#[derive(Args, Debug)]
struct LearnArgs {
    /// Videos
    #[arg(value_name = "FACE", required = true)]
    faces: Vec<PathBuf>,
    /// Which face, where there are several: as in `lipflow run`
    #[arg(long, value_name = "WHICH")]
    face_choice: Option<FaceChoice>,
    #[command(flatten)]
    show: ShowOptions,
}

#[derive(Args, Debug)]
struct FaceShowArgs {
    /// A video whose face was learnt, or a face file
    #[arg(value_name = "FACE")]
    face: PathBuf,
    /// Which face, where there are several: as in `lipflow run`
    #[arg(long, value_name = "WHICH")]
    face_choice: Option<FaceChoice>,
    /// Write a picture of its mouths, from closed to open
    #[arg(long, value_name = "FILE.png")]
    sheet: Option<PathBuf>,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
#[group(multiple = false)]
struct PruneArgs {
    /// All traces of this face: its video, or where that was when it was learnt
    #[arg(long, value_name = "FACE")]
    face: Option<PathBuf>,
    /// All faces
    #[arg(long)]
    all: bool,
    /// What was used longest ago, until the rest takes so many megabytes; by default what the limit says
    #[arg(long, value_name = "MB")]
    keep_mb: Option<u64>,
}

pub fn run(args: FaceArgs) -> anyhow::Result<ExitCode> {
    let done = match args.command {
        FaceCommand::Learn(args) => return learn(args),
        FaceCommand::Show(args) => show(&args),
        FaceCommand::List { json } => list(json),
        FaceCommand::Prune(args) => prune(&args),
    };
    match done {
        Ok(text) => {
            print(&text)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => {
            eprintln!("lipflow: {}", plain(&failure));
            Ok(ExitCode::from(failure.kind.exit_code()))
        }
    }
}

fn learn(args: LearnArgs) -> anyhow::Result<ExitCode> {
    crate::init().context("GStreamer can't start")?;
    let cancel = Cancel::on_signals()?;
    let selection = selection(args.face_choice);
    let mut code = ExitCode::SUCCESS;
    for face in &args.faces {
        let begin = Instant::now();
        let mut renderer = progress::renderer(args.show.progress);
        let learnt = learn_one(face, selection.clone(), &cancel, renderer.as_mut());
        let mut progress = Progress {
            elapsed_s: seconds(begin.elapsed()),
            ..Default::default()
        };
        let outcome = match &learnt {
            Ok(known) => {
                let summary = &known.summary;
                progress.frames = summary.frames;
                progress.frames_without_face =
                    summary.frames.saturating_sub(summary.frames_with_face);
                Outcome {
                    output: Some(display(&known.path)),
                    ..Outcome::nothing(JobState::Done, &progress)
                }
            }
            Err(failure) => Outcome::of_failure(failure, &progress),
        };
        renderer.show(&Event::now(Body::Result(outcome)));
        match learnt {
            Ok(known) if args.show.progress != Style::Json => {
                print(&format!(
                    "{}: {}\n",
                    plain(face.display()),
                    in_short(&known)
                ))?;
            }
            Ok(_) => {}
            Err(failure) => {
                code = ExitCode::from(failure.kind.exit_code());
                if failure.is_cancellation() {
                    break;
                }
            }
        }
    }
    Ok(code)
}

fn learn_one(
    face: &Path,
    selection: faces::Selection,
    cancel: &Cancel,
    renderer: &mut dyn Renderer,
) -> Result<Known, Failure> {
    check_input(face)?;
    let probe = probe::probe(face, Role::Face)?;
    if probe.kind == Kind::Picture {
        return Err(Failure::of(FailureKind::Usage, face)
            .because("it is a picture: it shows one mouth, and there is nothing to learn")
            .advice("Take a video of the person, or use the picture as it is"));
    }
    let content = digest::of_file(face, cancel)?;
    let key = Key::new(content.clone(), selection.clone(), Form::default());
    let request = Request {
        content: Some(content),
        must: true,
        ..Request::new(face, &probe, selection, Amount::Whole)
    };
    let is_over = || cancel.check().is_err();
    let learnt = faces::aloud(request, &is_over, &mut |event| renderer.show(event))?;
    match learnt {
        Learnt::Face(_) => known(&Store::of_user()?, &key, face),
        Learnt::NoFace | Learnt::Nothing => Err(Failure::of(FailureKind::NoFace, face)),
    }
}

fn in_short(known: &Known) -> String {
    let summary = &known.summary;
    format!(
        "{} mouths of {} frames, {}; {}",
        summary.mouths,
        summary.frames,
        megabytes(summary.bytes),
        judge(summary, known.is_whole()).expect.words()
    )
}

fn selection(choice: Option<FaceChoice>) -> faces::Selection {
    match choice {
        None => faces::Selection::default(),
        Some(FaceChoice::Named(name)) => faces::Selection::new(name, "0"),
        Some(FaceChoice::Index(index)) => faces::Selection::new("index", &index.to_string()),
    }
}

fn known(store: &Store, key: &Key, face: &Path) -> Result<Known, Failure> {
    match store.find(key) {
        Found::Face(known) => Ok(*known),
        Found::Nothing => Err(Failure::of(FailureKind::FaceFile, face)
            .because("this face was not learnt yet")
            .advice("Learn it with `lipflow face learn`, or use it in a job")),
        Found::Unusable(reason) => Err(Failure::of(FailureKind::FaceFile, face)
            .detail(reason)
            .advice("Learn it again with `lipflow face learn`")),
    }
}

/// What `show --json` says.
#[derive(Serialize)]
struct Shown<'a> {
    file: &'a Path,
    whole: bool,
    seconds: f64,
    #[serde(flatten)]
    summary: &'a gstlipsync::bank::Summary,
    #[serde(flatten)]
    judgement: &'a Judgement,
}

fn show(args: &FaceShowArgs) -> Result<String, Failure> {
    check_input(&args.face)?;
    let known = match known_in(&args.face) {
        Some(known) => known,
        None => {
            let content = digest::of_file(&args.face, &Cancel::default())?;
            let key = Key::new(content, selection(args.face_choice), Form::default());
            known(&Store::of_user()?, &key, &args.face)?
        }
    };
    let judgement = judge(&known.summary, known.is_whole());
    let mut text = if args.json {
        let shown = Shown {
            file: &known.path,
            whole: known.is_whole(),
            seconds: known.seconds(),
            summary: &known.summary,
            judgement: &judgement,
        };
        let json = serde_json::to_string_pretty(&shown);
        json.map_err(|e| Failure::new(FailureKind::Internal).detail(e))? + "\n"
    } else {
        in_words(&known, &judgement)
    };
    if let Some(sheet) = &args.sheet {
        faces::sheet::write(&known.file, sheet).map_err(|e| {
            Failure::of(FailureKind::OutputFolderReadOnly, sheet)
                .because(format_args!("the sheet can't be written: {e}"))
        })?;
        if !args.json {
            let _ = writeln!(text, "sheet    {}", plain(sheet.display()));
        }
    }
    Ok(text)
}

/// What is in a face file that was named itself.
fn known_in(path: &Path) -> Option<Known> {
    let file = gstlipsync::bank::FaceFile::open(path).ok()?;
    let summary = file.summary();
    Some(Known {
        path: path.into(),
        summary,
        note: faces::Note::beside(path),
        file,
    })
}

fn in_words(known: &Known, judgement: &Judgement) -> String {
    let summary = &known.summary;
    let mut text = String::new();
    let part = if known.is_whole() {
        "all of the video".into()
    } else {
        format!("{:.0} s of the video", known.seconds())
    };
    let _ = writeln!(
        text,
        "learnt   from {part}: {} frames, {} with the face, {}x{}, {}",
        summary.frames,
        summary.frames_with_face,
        summary.width,
        summary.height,
        megabytes(summary.bytes)
    );
    for (number, line) in judgement.shows.iter().enumerate() {
        let head = if number == 0 { "shows" } else { "" };
        let _ = writeln!(text, "{head:<8} {line}");
    }
    let _ = writeln!(text, "expect   {}", judgement.expect.words());
    for obstacle in &judgement.obstacles {
        let _ = writeln!(
            text,
            "but      {}\n         {}",
            obstacle.reason, obstacle.remedy
        );
    }
    text
}

fn list(json: bool) -> Result<String, Failure> {
    let store = Store::of_user()?;
    let entries = store.list();
    if json {
        let json = serde_json::to_string_pretty(&entries);
        return json
            .map(|json| json + "\n")
            .map_err(|e| Failure::new(FailureKind::Internal).detail(e));
    }
    let mut text = String::new();
    let now = SystemTime::now();
    for entry in &entries {
        let _ = writeln!(text, "{}", line(entry, now));
    }
    let total: u64 = entries.iter().map(|entry| entry.bytes).sum();
    let _ = writeln!(
        text,
        "{}, {} in {}",
        count(entries.len()),
        megabytes(total),
        store.folder().display()
    );
    Ok(text)
}

fn line(entry: &Entry, now: SystemTime) -> String {
    let (face, how) = match &entry.note {
        Some(note) => (
            plain(note.face.display()),
            match (note.whole, note.selection.select.as_str()) {
                (whole, select) if select != "largest" => {
                    format!("{}, {select}", extent(whole, note.seconds))
                }
                (whole, _) => extent(whole, note.seconds),
            },
        ),
        None => (entry.file.display().to_string(), "?".into()),
    };
    let unused = now.duration_since(entry.used).unwrap_or_default();
    format!(
        "{:>9}  {how:<14} used {:<14} {face}",
        megabytes(entry.bytes),
        ago(unused)
    )
}

fn extent(whole: bool, seconds: f64) -> String {
    match whole {
        true => format!("all, {}", clock(seconds)),
        false => format!("{} of it", clock(seconds)),
    }
}

fn ago(past: Duration) -> String {
    match past.as_secs() {
        0..60 => "just now".into(),
        seconds @ 60..3600 => format!("{} min ago", seconds / 60),
        seconds @ 3600..86_400 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}

fn prune(args: &PruneArgs) -> Result<String, Failure> {
    let store = Store::of_user()?;
    let count = match (&args.face, args.all) {
        (Some(face), _) => {
            // The video may be gone, or have changed: what was learnt of that name goes too.
            let content = match check_input(face) {
                Ok(()) => Some(digest::of_file(face, &Cancel::default())?),
                Err(_) => None,
            };
            let path = std::path::absolute(face).unwrap_or_else(|_| face.clone());
            let count = store.remove(|stem, note| {
                let of_content = content.as_ref().is_some_and(|c| stem.starts_with(c));
                of_content || note.is_some_and(|note| note.face == path)
            })?;
            if count == 0 && content.is_none() {
                return Err(Failure::of(FailureKind::InputMissing, face)
                    .because("nothing is kept of a face of that name")
                    .advice("`lipflow face list` shows what is kept"));
            }
            count
        }
        (None, true) => store.remove(|_, _| true)?,
        (None, false) => match args.keep_mb {
            Some(megabytes) => store.prune_to(megabytes.saturating_mul(1_000_000), None),
            None => store.prune(None),
        },
    };
    Ok(format!("{} removed\n", self::count(count)))
}

fn count(faces: usize) -> String {
    match faces {
        1 => "1 face".into(),
        n => format!("{n} faces"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_size_extent_use_and_video() {
        let used = SystemTime::UNIX_EPOCH;
        let mut entry = Entry {
            stem: "ab-cd".into(),
            file: "/cache/ab-cd.face".into(),
            bytes: 30_000_000,
            used,
            note: Some(faces::Note {
                face: "/videos/me.mp4".into(),
                stamp: None,
                selection: faces::Selection::default(),
                whole: true,
                seconds: 62.0,
            }),
        };
        let later = used + Duration::from_secs(7200);
        assert_eq!(
            line(&entry, later),
            "  30.0 MB  all, 1:02      used 2 h ago        /videos/me.mp4"
        );
        entry.note = None;
        assert!(line(&entry, later).ends_with("/cache/ab-cd.face"));
    }
}
