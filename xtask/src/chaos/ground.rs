//! What all scenarios stand on: binaries, material, folders, and the watch over silence.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::Findings;
use super::material::{self, Clip};
use crate::table::Limit;
use crate::{job, process, workspace};

/// Marks every process of ours in its environment, so that strays are found.
const MARK: &str = "LIPFLOW_CHAOS";
/// Different faces, and as many speeches.
const CLIPS: usize = 10;

pub struct Ground {
    pub folder: PathBuf,
    pub clips: Vec<Clip>,
    /// A copy of the template `file` with `poison` in it.
    pub template: PathBuf,
    pub quiet: Quiet,
    plugins: PathBuf,
    registry: PathBuf,
    mark: String,
}

impl Ground {
    pub fn prepare() -> Result<Self> {
        let packages = ["-p", "lipflow", "-p", "gst-plugin-poison"];
        let mut build = workspace::cargo();
        build.arg("build").args(packages);
        if !job::is_test_build() {
            build.arg("--release");
        }
        process::run(&mut build)?;
        let folder = workspace::target().join("chaos");
        let material = folder.join("material");
        fs::create_dir_all(&material)?;
        // By itself: beside it lies the plugin that `lipflow` has in it.
        let plugins = fresh(&folder.join("plugins"))?;
        let library = "libgstpoison.so";
        fs::copy(job::binaries().join(library), plugins.join(library))
            .context("the poison was not built")?;
        Ok(Self {
            clips: material::clips(&material, CLIPS)?,
            template: poisonous(&folder)?,
            quiet: Quiet::start(),
            registry: folder.join("registry.bin"),
            mark: format!("{}-{:?}", std::process::id(), Instant::now()),
            plugins,
            folder,
        })
    }

    /// An empty folder for a scenario.
    pub fn place(&self, name: &str) -> Result<PathBuf> {
        fresh(&self.folder.join(name))
    }

    /// `lipflow` as every scenario starts it.
    pub fn lipflow(&self, command: &str) -> Command {
        let mut lipflow = job::lipflow();
        lipflow
            .arg(command)
            .env("GST_PLUGIN_PATH", &self.plugins)
            .env("GST_REGISTRY", &self.registry)
            .env(MARK, &self.mark);
        lipflow
    }

    /// A batch of the list in `place`.
    pub fn batch(&self, place: &Path, workers: usize) -> Command {
        let mut batch = self.lipflow("batch");
        batch
            .arg(place.join("jobs.jsonl"))
            .args(["--workers", &workers.to_string()])
            .args(["--progress", "json", "--set", "preset=ultrafast"]);
        batch
    }

    /// The inputs of job `n`: no two of a hundred have the same.
    pub fn inputs(&self, n: usize) -> (&Path, &Path) {
        let count = self.clips.len();
        let face = &self.clips[n % count];
        let speech = &self.clips[(n / count + n) % count];
        (&face.face, &speech.speech)
    }

    /// Writes the list of `place`: job n makes `outputs[n]`, with the further columns.
    pub fn list(&self, place: &Path, rows: &[Row]) -> Result<()> {
        let mut text = String::new();
        for row in rows {
            let (face, speech) = self.inputs(row.inputs);
            let mut line = serde_json::json!({
                "face": row.face.as_deref().unwrap_or(face),
                "speech": speech,
                "output": place.join(&row.output),
            });
            for (name, value) in &row.columns {
                line[name] = value.as_str().into();
            }
            text += &format!("{line}\n");
        }
        fs::write(place.join("jobs.jsonl"), text)?;
        Ok(())
    }

    /// Process ids of what lives of ours, except this program.
    pub fn living(&self) -> Vec<i32> {
        let wanted = format!("{MARK}={}", self.mark);
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| {
            fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|all| all.split(|b| *b == 0).any(|v| v == wanted.as_bytes()))
        })
        .collect()
    }

    /// Those that still live when they have had a moment to end.
    pub fn strays(&self) -> Vec<String> {
        let end = Instant::now() + Duration::from_secs(3);
        loop {
            let living = self.living();
            if living.is_empty() || Instant::now() > end {
                let name = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm"));
                return living
                    .iter()
                    .map(|pid| format!("{pid} {}", name(pid).unwrap_or_default().trim()))
                    .collect();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the journal says of each output: its state, and how many attempts ended well.
    pub fn endings(&self, state: &Path) -> Result<BTreeMap<PathBuf, (String, u32)>> {
        let text = process::output(helper().arg("endings").arg(state))?;
        text.lines()
            .map(|line| {
                let mut parts = line.split('\t');
                let mut part = || parts.next().context("not an ending");
                Ok((
                    part()?.into(),
                    (part()?.into(), part()?.parse().context("not a count")?),
                ))
            })
            .collect()
    }
}

/// The program that looks into journals.
pub fn helper() -> Command {
    Command::new(job::binaries().join("chaos-journal"))
}

/// One job of a list.
#[derive(Clone, Debug, Default)]
pub struct Row {
    pub inputs: usize,
    /// Instead of the usual one.
    pub face: Option<PathBuf>,
    pub output: String,
    pub columns: Vec<(String, String)>,
}

impl Row {
    pub fn new(inputs: usize, output: impl Into<String>) -> Self {
        Self {
            inputs,
            output: output.into(),
            ..Self::default()
        }
    }

    pub fn with(mut self, column: &str, value: &str) -> Self {
        self.columns.push((column.into(), value.into()));
        self
    }
}

fn fresh(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("can't empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("can't create {}", folder.display()))?;
    Ok(folder.into())
}

fn poisonous(folder: &Path) -> Result<PathBuf> {
    let text = fs::read_to_string(workspace::root().join("pipelines/file.launch"))?;
    let path = folder.join("poisonous.launch");
    fs::write(
        &path,
        with_poison(&text).context("the template has changed")?,
    )?;
    Ok(path)
}

/// The template with two parameters more, and each frame through the element before it is encoded.
fn with_poison(text: &str) -> Option<String> {
    let (parameter, encoder) = ("#! param crf:", "! x264enc");
    if text.matches(parameter).count() != 1 || text.matches(encoder).count() != 1 {
        return None;
    }
    let parameters = "\
        #! param poison: choice(none|abort|segfault|hang|leak|error) = none -- \"What goes wrong\"\n\
        #! param after: int(0..) = 10 -- \"After how many frames\"\n";
    let text = text.replacen(parameter, &format!("{parameters}{parameter}"), 1);
    let element = format!("! poison mode=${{poison}} after=${{after}} {encoder}");
    Some(text.replacen(encoder, &element, 1))
}

pub fn sha256(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("can't read {}", path.display()))?;
    let digest = Sha256::digest(bytes);
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Where workers write, in the folder of a journal.
const STAGING: &str = "staging";

/// Files below a folder that were to become outputs.
pub fn left_over(folder: &Path) -> Result<Vec<String>> {
    let mut names = files(folder)?;
    let staging = format!(".lipflow/{STAGING}/");
    names.retain(|name| name.ends_with(".tmp") || name.contains(&staging));
    Ok(names)
}

/// All files in a folder and those below it, from the folder's view, but for the journal's.
pub fn files(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        for entry in fs::read_dir(&current)? {
            let path = entry?.path();
            if path.is_dir() {
                match path.ends_with(".lipflow") {
                    false => folders.push(path),
                    true => folders.extend(Some(path.join(STAGING)).filter(|p| p.is_dir())),
                }
                continue;
            }
            let name = path.strip_prefix(folder)?;
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The longest that a batch said nothing, and how late events came. A thread that does nothing but
/// sleep tells how much of that is the machine's doing.
pub struct Quiet {
    longest: Mutex<Option<(Duration, String)>>,
    /// Of every event.
    delays: Mutex<Vec<Duration>>,
    stall: &'static AtomicU64,
}

impl Quiet {
    fn start() -> Self {
        static STALL: AtomicU64 = AtomicU64::new(0);
        std::thread::spawn(|| {
            const NAP: Duration = Duration::from_millis(10);
            loop {
                let begin = Instant::now();
                std::thread::sleep(NAP);
                let late = begin.elapsed().saturating_sub(NAP);
                STALL.fetch_max(late.as_micros() as u64, Ordering::Relaxed);
            }
        });
        Self {
            longest: Mutex::default(),
            delays: Mutex::default(),
            stall: &STALL,
        }
    }

    pub fn note_silence(&self, silence: Duration, what: impl FnOnce() -> String) {
        let mut longest = self.longest.lock().unwrap_or_else(|e| e.into_inner());
        if longest.as_ref().is_none_or(|(most, _)| *most < silence) {
            *longest = Some((silence, what()));
        }
    }

    pub fn note_delay(&self, delay: Duration) {
        let mut delays = self.delays.lock().unwrap_or_else(|e| e.into_inner());
        delays.push(delay);
    }

    pub fn report(&self, findings: &mut Findings) {
        let longest = self.longest.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((silence, what)) = &*longest {
            let name = "longest silence on the event stream";
            findings.figure(name, silence.as_secs_f64(), "s", Limit::AtMost(1.0));
            findings.notes.push(format!("{name}: {what}"));
        }
        let mut delays = self.delays.lock().unwrap_or_else(|e| e.into_inner());
        delays.sort();
        let of = |share: f64| {
            let index = (delays.len() as f64 * share) as usize;
            let delay = delays.get(index).or(delays.last());
            delay.map_or(f64::NAN, |d| d.as_secs_f64() * 1e3)
        };
        let name = format!(
            "way of an event to its reader, 99 of 100 of {}",
            delays.len()
        );
        findings.figure(name, of(0.99), "ms", Limit::AtMost(100.0));
        findings.figure("the longest such way", of(1.0), "ms", Limit::Any);
        let stall = self.stall.load(Ordering::Relaxed) as f64 / 1e3;
        let name = "longest that the machine let a sleeping thread wait";
        findings.figure(name, stall, "ms", Limit::Any);
        if stall > 100.0 {
            findings.notes.push(
                "the machine was busy with other things: figures of time are its own, too".into(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_takes_poison() {
        let text = fs::read_to_string(workspace::root().join("pipelines/file.launch")).unwrap();
        let text = with_poison(&text).unwrap();
        assert!(text.contains("! poison mode=${poison} after=${after} ! x264enc"));
        assert_eq!(with_poison("videotestsrc ! fakesink"), None);
    }
}
