//! Media files of all kinds, changed here and there, through a real batch: its controller has to stay,
//! its jobs have to end within their limits, and nothing may be left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use gst::prelude::*;

use crate::mutate::mutate_media;

/// How long one job may take at most: what stands still is ended after `STUCK` seconds, a few times in
/// its phases.
const JOB: Duration = Duration::from_secs(60);
const STUCK: &str = "5";

/// Containers and what is in them.
const VIDEOS: [(&str, &str); 5] = [
    ("mp4", "x264enc speed-preset=ultrafast ! mp4mux"),
    ("webm", "vp8enc deadline=1 ! webmmux"),
    (
        "ts",
        "x264enc speed-preset=ultrafast ! h264parse ! mpegtsmux",
    ),
    ("png", "pngenc snapshot=true"),
    ("jpg", "jpegenc snapshot=true"),
];
const SOUNDS: [(&str, &str); 4] = [
    ("wav", "wavenc"),
    ("mp3", "lamemp3enc ! id3v2mux"),
    ("ogg", "vorbisenc ! oggmux"),
    ("flac", "flacenc"),
];

/// What is given.
pub struct Given<'a> {
    /// The binary.
    pub lipflow: &'a Path,
    /// A video of a face, of which mutants are made.
    pub face: &'a Path,
    /// A sound file, likewise.
    pub speech: &'a Path,
    /// Mutants in all.
    pub count: usize,
    /// The same seed gives the same mutants.
    pub seed: u64,
    /// Where inputs that break a rule are kept.
    pub keep: &'a Path,
}

/// Makes short files of each kind, those whose elements are there.
fn originals(folder: &Path, given: &Given<'_>) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    gst::init()?;
    let make = |source: &Path, ending: &str, decode: &str, encode: &str| {
        let output = folder.join(format!("original.{ending}"));
        let text = format!("filesrc name=in ! decodebin ! {decode} ! {encode} ! filesink name=out");
        let Ok(pipeline) = gst::parse::launch(&text) else {
            eprintln!("{ending}: left out, its elements are missing");
            return Ok(None);
        };
        let pipeline = pipeline
            .downcast::<gst::Pipeline>()
            .ok()
            .context("a pipeline")?;
        for (name, path) in [("in", source), ("out", &output)] {
            let element = pipeline.by_name(name).context("an element")?;
            element.set_property("location", path.to_str().context("a path in UTF-8")?);
        }
        pipeline.set_state(gst::State::Playing)?;
        let bus = pipeline.bus().context("a bus")?;
        let end = bus.timed_pop_filtered(
            gst::ClockTime::from_seconds(60),
            &[gst::MessageType::Eos, gst::MessageType::Error],
        );
        pipeline.set_state(gst::State::Null)?;
        match end.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Eos(_)) => Ok(Some(output)),
            Some(gst::MessageView::Error(e)) => {
                eprintln!("{ending}: left out: {}, {:?}", e.error(), e.debug());
                Ok(None)
            }
            _ => bail!("{ending}: takes too long"),
        }
    };
    let (mut videos, mut sounds) = (Vec::new(), Vec::new());
    for (ending, encode) in VIDEOS {
        let decode = "videoconvert ! videoscale ! videorate ! video/x-raw,width=160,height=120,framerate=25/1 ! identity eos-after=11 ! videoconvert";
        videos.extend(make(given.face, ending, decode, encode)?);
    }
    // GStreamer writes none of these, or not from everything.
    for name in ["original.gif", "original.mpg"] {
        let path = folder.join(name);
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-y", "-t", "0.4", "-i"])
            .arg(given.face)
            .args(["-vf", "scale=160:120", "-r", "25", "-an"])
            .arg(&path)
            .status();
        if made.is_ok_and(|status| status.success()) {
            videos.push(path);
        }
    }
    for (ending, encode) in SOUNDS {
        let decode = "audioconvert ! audioresample ! audio/x-raw,rate=16000,channels=1 ! audiobuffersplit output-buffer-duration=1/10 ! identity eos-after=5 ! audioconvert";
        sounds.extend(make(given.speech, ending, decode, encode)?);
    }
    Ok((videos, sounds))
}

/// Files of one batch at the most.
const BATCH: usize = 250;

/// Sends mutated media through batches of the binary; an error where one breaks a rule.
pub fn run(given: &Given<'_>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (videos, sounds) = originals(folder.path(), given)?;
    ensure!(
        !videos.is_empty() && !sounds.is_empty(),
        "no media could be made"
    );
    let mut random = fastrand::Rng::with_seed(given.seed);
    let mut kinds = [0_u64; 4];
    for first in (0..given.count).step_by(BATCH) {
        let place = folder.path().join(format!("batch-{first}"));
        fs::create_dir(&place)?;
        let mut rows = Vec::new();
        let last = (first + BATCH).min(given.count);
        for n in first..last {
            let is_video = random.bool();
            let from = if is_video { &videos } else { &sounds };
            let original = &from[random.usize(..from.len())];
            let ending = original.extension().and_then(|e| e.to_str()).unwrap_or("");
            let path = place.join(format!("{n}.{ending}"));
            fs::write(&path, mutate_media(&fs::read(original)?, &mut random))?;
            let (face, speech) = match is_video {
                true => (path.as_path(), sounds[0].as_path()),
                false => (videos[0].as_path(), path.as_path()),
            };
            let output = format!("out/{n}.mp4");
            let row = format!("{},{},{output}\n", face.display(), speech.display());
            rows.push((output, row));
        }
        if let Err(error) = batch(given, &place, &rows, &mut kinds) {
            let kept = given.keep.join(format!("media-{}-{first}", given.seed));
            fs::create_dir_all(given.keep)?;
            let _ = fs::remove_dir_all(&kept);
            copy(&place, &kept)?;
            return Err(error.context(format!("the files are in {}", kept.display())));
        }
        fs::remove_dir_all(&place)?;
    }
    let [done, failed, died, refused] = kinds;
    println!(
        "media: {} files looked at, {refused} refused by that; of the others {done} made all the same, {failed} refused, {died} killed their worker",
        given.count
    );
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// A job's output, and its row in the list.
type Row = (String, String);

/// All are looked at; those that may work are done, and one in so many of the others is tried all the
/// same.
const REFUSED_TRIED: usize = 8;

fn write_list(place: &Path, rows: &[&Row]) -> Result<()> {
    let rows: String = rows.iter().map(|(_, row)| row.as_str()).collect();
    Ok(fs::write(
        place.join("jobs.csv"),
        format!("face,speech,output\n{rows}"),
    )?)
}

fn batch(given: &Given<'_>, place: &Path, rows: &[Row], kinds: &mut [u64; 4]) -> Result<()> {
    let faces = place.join("faces");
    let lipflow = |arguments: &[&str], limit: Duration| -> Result<(Option<i32>, String)> {
        let output = fs::File::create(place.join("said.jsonl"))?;
        let mut child = Command::new(given.lipflow)
            .current_dir(place)
            .env("LIPFLOW_FACES", &faces)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(fs::File::create(place.join("stderr.txt"))?)
            .spawn()?;
        let end = Instant::now() + limit;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() > end {
                child.kill()?;
                child.wait()?;
                bail!("{arguments:?} takes longer than {limit:?}");
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        Ok((status.code(), fs::read_to_string(place.join("said.jsonl"))?))
    };
    let limit = JOB + JOB * rows.len() as u32 / 4;
    write_list(place, &rows.iter().collect::<Vec<_>>())?;
    let (code, said) = lipflow(&["batch", "jobs.csv", "--dry-run"], limit)?;
    ensure!(
        code.is_some_and(|code| code <= 2),
        "--dry-run ended with {code:?}"
    );
    let is_refused = |output: &str| {
        let mut lines = said.lines();
        lines.any(|line| line.contains(&format!("/{output}: can't work")))
    };
    let (refused, accepted): (Vec<_>, Vec<_>) =
        rows.iter().partition(|(output, _)| is_refused(output));
    let mut tried = accepted;
    tried.extend(refused.iter().copied().step_by(REFUSED_TRIED));
    kinds[3] += (rows.len() - tried.len()) as u64;
    write_list(place, &tried)?;
    let jobs = tried.len();
    let arguments = [
        "batch",
        "jobs.csv",
        "--workers",
        "2",
        "--attempts",
        "1",
        "--min-free",
        "0",
        "--stuck-after",
        STUCK,
        "--progress",
        "json",
    ];
    let (code, said) = lipflow(&arguments, limit)?;
    ensure!(matches!(code, Some(0 | 1)), "the batch ended with {code:?}");
    let mut results = 0;
    for line in said.lines() {
        let event: serde_json::Value = serde_json::from_str(line)?;
        if event["event"] == "result" {
            results += 1;
            let code = event["error"]["code"].as_str();
            kinds[match code {
                None => 0,
                Some("worker-died") => 2,
                Some(_) => 1,
            }] += 1;
            let is_odd = matches!(code, Some("internal" | "worker-died" | "stuck"));
            if is_odd {
                println!("{}", event["error"]);
            }
        }
    }
    ensure!(results == jobs, "{results} results of {jobs} jobs");
    for folder in [place.join("out"), faces] {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            let is_left = name.ends_with(".tmp") || name.ends_with(".lock");
            ensure!(!is_left, "{name} is left");
        }
    }
    Ok(())
}
