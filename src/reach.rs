//! Which files a worker can reach: those that its jobs name, and what every job needs. Landlock keeps it
//! from the rest, whatever a file makes of its decoders, where the kernel knows how (since Linux 5.19).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use gstlipsync::runtime;
use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use serde::{Deserialize, Serialize};

use crate::job::{Job, folder_of};
use crate::mount::Mount;

/// What Linux 6.2 can refuse; an older kernel refuses less of it.
const KNOWN: ABI = ABI::V3;
/// Programs, libraries, settings and devices.
const SYSTEM: [&str; 17] = [
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/sbin",
    "/opt",
    "/nix",
    "/gnu",
    "/snap",
    "/etc",
    "/proc",
    "/sys",
    "/run",
    "/var/lib",
    "/var/cache",
    "/dev",
];
/// Lists of folders, and single files, that the libraries are told of.
const LISTS: [&str; 6] = [
    "GST_PLUGIN_PATH",
    "GST_PLUGIN_PATH_1_0",
    "GST_PLUGIN_SYSTEM_PATH",
    "GST_PLUGIN_SYSTEM_PATH_1_0",
    "GST_PRESET_PATH",
    "LD_LIBRARY_PATH",
];
const FILES: [&str; 4] = [
    "GST_REGISTRY",
    "GST_REGISTRY_1_0",
    "GST_PLUGIN_SCANNER",
    "CUDA_PATH",
];
/// Below the user's home.
const SETTINGS: [&str; 3] = [".local/share/gstreamer-1.0", ".config", ".local/lib"];
const CACHES: [&str; 3] = [".cache/gstreamer-1.0", ".nv", ".cache/nvidia"];

/// Templates of ours that read and write files only.
const OF_FILES: [&str; 6] = ["file", "webm", "lossless", "compare", "dialogue", "learn"];
/// Their parameters that name files, beside a job's own; those of speakers have a number behind them.
const FILE_PARAMETERS: [&str; 2] = ["face-file", "picture-"];

/// Whether the job's template is one of ours that reads and writes files only: somebody else's may do
/// anything.
pub(crate) fn is_of_files(job: &Job) -> bool {
    OF_FILES.contains(&job.template.as_str())
}

/// The files that jobs name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    read: BTreeSet<PathBuf>,
    /// Folders of outputs, which may not be there yet.
    write: BTreeSet<PathBuf>,
}

impl Named {
    /// Those of a job; none where its template is somebody's own and may name any.
    pub(crate) fn by(job: &Job) -> Option<Self> {
        if !is_of_files(job) {
            return None;
        }
        let mut named = Self::default();
        named.read.extend(job.inputs().map(Path::to_owned));
        let is_file = |name: &str| FILE_PARAMETERS.iter().any(|of| name.starts_with(of));
        let files = job.parameters.iter().filter(|(name, _)| is_file(name));
        named.read.extend(files.map(|(_, file)| file.into()));
        // Weights lie beside a model's manifest or its graph.
        let model = job.parameter("model").map(Path::new);
        let model = model.filter(|path| path.components().count() > 1 || path.exists());
        named
            .read
            .extend(model.map(|model| folder_of(model).into()));
        named
            .write
            .extend(job.output.as_deref().map(|output| folder_of(output).into()));
        Some(named)
    }

    /// Files that are only read.
    pub(crate) fn files<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        Self {
            read: paths.into_iter().map(Path::to_owned).collect(),
            write: BTreeSet::new(),
        }
    }

    pub(crate) fn extend(&mut self, others: Self) {
        self.read.extend(others.read);
        self.write.extend(others.write);
    }

    /// Of a folder that is not there yet, the nearest above it that is.
    fn folders(&self) -> impl Iterator<Item = &Path> {
        let folders = self.write.iter();
        folders.filter_map(|folder| folder.ancestors().find(|above| id_of(above).is_some()))
    }
}

/// Device and number of a file: a rule is for the file that was there, and not for another that takes its
/// name.
type Id = (u64, u64);

fn id_of(path: &Path) -> Option<Id> {
    // An empty one is the folder in which the program runs.
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// What a process can reach of what was named, as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reach {
    read: BTreeMap<PathBuf, Id>,
    write: BTreeMap<PathBuf, Id>,
    /// Outputs that are to be here are written elsewhere on it, in a folder of the worker's own.
    #[serde(default)]
    staged: Option<Mount>,
}

impl Reach {
    /// That of a process which only reads.
    pub(crate) fn to_read(named: &Named) -> Self {
        let ids = |path: &PathBuf| Some((path.clone(), id_of(path)?));
        Self {
            read: named.read.iter().filter_map(ids).collect(),
            ..Self::default()
        }
    }

    /// That of one that makes outputs. Where these can be moved to their place from the folder `state`,
    /// their place is out of its reach.
    pub(crate) fn to_make(named: &Named, state: &Path) -> Self {
        let mut reach = Self {
            staged: Mount::of(state),
            ..Self::to_read(named)
        };
        let apart = named.folders().filter(|folder| !reach.stages(folder));
        let write = apart.filter_map(|folder| Some((folder.to_owned(), id_of(folder)?)));
        reach.write = write.collect();
        reach
    }

    /// That of one that looks into inputs and outputs.
    pub(crate) fn to_look(named: &Named, state: &Path) -> Self {
        let mut reach = Self::to_make(named, state);
        reach.read.append(&mut reach.write);
        reach
    }

    /// Whether an output that is to be in the folder is written elsewhere first.
    pub(crate) fn stages(&self, folder: &Path) -> bool {
        self.staged.is_some() && Mount::of(folder) == self.staged
    }

    /// Adds a folder to read from.
    pub(crate) fn read_in(&mut self, folder: &Path) {
        self.read
            .extend(id_of(folder).map(|id| (folder.to_owned(), id)));
    }

    /// Adds a folder to write in.
    pub(crate) fn write_in(&mut self, folder: &Path) {
        self.write
            .extend(id_of(folder).map(|id| (folder.to_owned(), id)));
    }

    /// Whether all that is there of what is named can be reached.
    pub(crate) fn covers(&self, named: &Named) -> bool {
        let is_below = |path: &Path| {
            let mut above = path.ancestors();
            above.any(|folder| {
                self.write
                    .get(folder)
                    .is_some_and(|id| Some(*id) == id_of(folder))
            })
        };
        let reads = |path: &PathBuf| match id_of(path) {
            Some(id) => self.read.get(path) == Some(&id) || is_below(path),
            // It is said elsewhere that it is missing.
            None => true,
        };
        let is_written = |folder: &Path| self.stages(folder) || is_below(folder);
        named.read.iter().all(reads) && named.folders().all(is_written)
    }

    /// Keeps this thread, and those that it starts, from all other files but those in `faces`, where learnt
    /// faces are kept.
    pub(crate) fn restrict(&self, faces: Option<&Path>) -> Result<RulesetStatus, RulesetError> {
        let read = AccessFs::from_read(KNOWN);
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let at_home = |names: &'static [&str]| {
            let home = home.clone();
            names
                .iter()
                .filter_map(move |name| Some(home.as_ref()?.join(name)))
        };
        let status = Ruleset::default()
            // Without it (before Linux 5.19) no learnt face could be put into its folder.
            .set_compatibility(CompatLevel::SoftRequirement)
            .handle_access(AccessFs::Refer)?
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(KNOWN))?
            // Nor does it end its controller or other workers (since Linux 6.12).
            .scope(Scope::from_all(ABI::V6))?
            .create()?
            .add_rules(path_beneath_rules(SYSTEM, read))?
            .add_rules(path_beneath_rules(
                ["/dev"],
                AccessFs::WriteFile | AccessFs::Truncate,
            ))?
            .add_rules(path_beneath_rules(["/dev/shm"], AccessFs::from_all(KNOWN)))?
            .add_rules(path_beneath_rules(libraries(), read))?
            .add_rules(path_beneath_rules(at_home(&SETTINGS), read))?
            .add_rules(path_beneath_rules(
                at_home(&CACHES),
                AccessFs::from_all(KNOWN),
            ))?
            .add_rules(path_beneath_rules(faces, AccessFs::from_all(KNOWN)))?
            .add_rules(path_beneath_rules(self.read.keys(), read))?
            .add_rules(path_beneath_rules(self.write.keys(), plain_files()))?
            .restrict_self()?;
        Ok(status.ruleset)
    }
}

/// Files and folders may be made and changed, and nothing that leads elsewhere or waits.
fn plain_files() -> BitFlags<AccessFs> {
    AccessFs::from_all(KNOWN)
        & !(AccessFs::Execute
            | AccessFs::MakeSym
            | AccessFs::MakeFifo
            | AccessFs::MakeSock
            | AccessFs::MakeChar
            | AccessFs::MakeBlock)
}

/// Where plugins, models and ONNX Runtime are, as the environment says.
fn libraries() -> Vec<PathBuf> {
    let mut paths = vec![runtime::data_dir()];
    for library in runtime::candidates() {
        paths.extend(library.parent().map(Path::to_owned));
        // It may be a link into a package's folder.
        paths.extend(
            library
                .canonicalize()
                .ok()
                .and_then(|p| Some(p.parent()?.to_owned())),
        );
    }
    for name in LISTS {
        paths.extend(
            std::env::var_os(name)
                .iter()
                .flat_map(std::env::split_paths),
        );
    }
    for name in FILES {
        paths.extend(std::env::var_os(name).map(PathBuf::from));
    }
    paths.retain(|path| !path.as_os_str().is_empty());
    paths
}

/// Whether this kernel keeps workers from files: it is tried, in a thread that ends.
pub fn is_enforced() -> io::Result<bool> {
    let tried = std::thread::spawn(|| Reach::default().restrict(None)).join();
    match tried {
        Ok(Ok(status)) => Ok(status != RulesetStatus::NotEnforced),
        Ok(Err(error)) => Err(io::Error::other(error)),
        Err(_) => Err(io::Error::other("the attempt panicked")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::job::Speeches;
    use crate::pipeline::template::Template;
    use crate::publish::StagingFolder;

    fn job(face: &Path, output: &Path, template: &str) -> Job {
        serde_json::from_value(serde_json::json!({
            "face": face, "speech": "/no/such/s.wav", "output": output, "template": template,
            "parameters": [], "end_mode": "speech", "loop_mode": null, "if_exists": "refuse",
            "stuck_after": {"secs": 30, "nanos": 0}, "graph": null, "dry_run": false
        }))
        .unwrap()
    }

    #[test]
    fn what_jobs_name_is_covered_until_another_file_takes_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("out")).unwrap();
        fs::write(at("f.mp4"), "a face").unwrap();
        // Its folder is made later, by whoever gives the order.
        let named = Named::by(&job(&at("f.mp4"), &at("out/a/1.mp4"), "file")).unwrap();
        let reach = Reach::to_make(&named, Path::new("/proc"));
        assert!(reach.covers(&named));
        fs::create_dir(at("out/a")).unwrap();
        assert!(reach.covers(&named));
        let other = Named::by(&job(&at("g.mp4"), &at("out/2.mp4"), "file")).unwrap();
        assert!(reach.covers(&other), "a file that is not there");
        fs::write(at("g.mp4"), "another").unwrap();
        assert!(!reach.covers(&other));
        fs::rename(at("g.mp4"), at("f.mp4")).unwrap();
        assert!(!reach.covers(&named));
        let elsewhere = Named::by(&job(&at("g.mp4"), &at("1.mp4"), "file")).unwrap();
        let reach = Reach::to_make(&named, Path::new("/proc"));
        assert!(!reach.covers(&elsewhere), "another folder");
        let reach = Reach::to_make(&named, folder.path());
        assert!(reach.covers(&elsewhere), "moved there by others");
        assert_eq!(
            Named::by(&job(&at("f.mp4"), &at("1.mp4"), "own.launch")),
            None
        );
    }

    /// In a thread: the limit is for the thread that takes it on.
    #[test]
    fn only_what_is_named_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("out")).unwrap();
        fs::write(at("f.mp4"), "a face").unwrap();
        fs::write(at("secret.txt"), "not yours").unwrap();
        let named = Named::by(&job(&at("f.mp4"), &at("out/1.mp4"), "file")).unwrap();
        let reach = Reach::to_make(&named, Path::new("/proc"));
        let (face, secret, out) = (at("f.mp4"), at("secret.txt"), at("out/1.mp4"));
        let beside = at("2.mp4");
        let tried = std::thread::spawn(move || {
            let status = reach.restrict(None).unwrap();
            fs::write(&out, "made").unwrap();
            fs::rename(&out, out.with_extension("mov")).unwrap();
            assert_eq!(fs::read(&face).unwrap(), b"a face");
            assert!(fs::read("/proc/self/maps").is_ok());
            let is_kept_away = [
                fs::read(&secret).is_err(),
                fs::write(&face, "changed").is_err(),
                fs::write(&beside, "put there").is_err(),
            ];
            (status, is_kept_away)
        });
        let (status, is_kept_away) = tried.join().unwrap();
        // A kernel without Landlock goes without.
        let is_enforced = status != RulesetStatus::NotEnforced;
        assert_eq!(is_kept_away, [is_enforced; 3]);
        assert_eq!(super::is_enforced().unwrap(), is_enforced);
        assert!(fs::read(at("secret.txt")).is_ok(), "others still can");
    }

    #[test]
    fn a_worker_reaches_neither_the_journal_nor_other_outputs() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("out/.lipflow")).unwrap();
        fs::write(at("f.mp4"), "a face").unwrap();
        fs::write(at("out/.lipflow/journal.db"), "the journal").unwrap();
        fs::write(at("out/2.mp4"), "another output").unwrap();
        let state = at("out/.lipflow");
        let named = Named::by(&job(&at("f.mp4"), &at("out/1.mp4"), "file")).unwrap();
        let mut reach = Reach::to_make(&named, &state);
        let own = StagingFolder::create(&state).unwrap();
        let others = StagingFolder::create(&state).unwrap();
        fs::write(others.path().join("2-1"), "half").unwrap();
        reach.write_in(own.path());
        assert!(reach.covers(&named));
        let (journal, other) = (at("out/.lipflow/journal.db"), at("out/2.mp4"));
        let (mine, half) = (own.path().join("1-1"), others.path().join("2-1"));
        let new = at("out/.lipflow/journal.db-wal");
        let tried = std::thread::spawn(move || {
            let status = reach.restrict(None).unwrap();
            fs::write(&mine, "made").unwrap();
            assert_eq!(fs::read(&mine).unwrap(), b"made");
            // What does not fit into memory is put aside there, in a file without a name.
            assert!(tempfile::tempfile_in(mine.parent().unwrap()).is_ok());
            let moved = mine.with_extension("moved");
            let done = [
                fs::read(&journal).is_ok(),
                fs::OpenOptions::new().write(true).open(&journal).is_ok(),
                fs::hard_link(&journal, &moved).is_ok(),
                fs::rename(&journal, &moved).is_ok(),
                fs::remove_file(&journal).is_ok(),
                fs::write(&new, "a log to be replayed").is_ok(),
                fs::read(&other).is_ok(),
                fs::write(&other, "changed").is_ok(),
                fs::rename(&mine, &other).is_ok(),
                fs::read(&half).is_ok(),
                fs::write(&half, "changed").is_ok(),
                symlink(&journal, &moved).is_ok(),
            ];
            (status, done)
        });
        let (status, done) = tried.join().unwrap();
        if status != RulesetStatus::NotEnforced {
            assert_eq!(done, [false; 12]);
            assert_eq!(fs::read(at("out/2.mp4")).unwrap(), b"another output");
        }
    }

    /// Of a kernel that knows how.
    fn keeps_from_signals() -> bool {
        let known = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .scope(Scope::Signal);
        known.is_ok()
    }

    #[test]
    fn a_worker_sends_no_signal_to_others() {
        let child = std::process::Command::new("sleep").arg("60").spawn();
        let mut child = child.unwrap();
        let pid = child.id() as i32;
        // SAFETY: nothing is sent; it is only asked whether it could be.
        let may_end = move || unsafe { libc::kill(pid, 0) } == 0;
        assert!(may_end());
        let tried = std::thread::spawn(move || {
            Reach::default().restrict(None).unwrap();
            may_end()
        });
        let may_end = tried.join().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(may_end, !keeps_from_signals());
    }

    #[test]
    fn templates_of_ours_are_confined_unless_they_go_on_air() {
        for template in Template::builtin().map(|template| template.name()) {
            let is_on_air = ["live", "stream", "preview"]
                .iter()
                .any(|of| template.starts_with(of));
            let named = Named::by(&job(Path::new("f"), Path::new("o"), template));
            assert_eq!(named.is_none(), is_on_air, "{template}");
        }
    }

    #[test]
    fn all_files_of_a_dialogue_are_named() {
        let parts = ["left=/a.wav", "picture:/anna.png=/b.wav"].map(PathBuf::from);
        let Ok(Speeches::BySeveral { parts, heard }) = Speeches::read(&parts, None) else {
            panic!("two speak");
        };
        let mut job = job(Path::new("/f.mp4"), Path::new("/o.mp4"), "file");
        job.speech = "/a.wav".into();
        let mut job = job.spoken_by(parts, heard.as_ref());
        job.parameters.push(("picture-0".into(), "/ben.png".into()));
        let named = Named::by(&job).unwrap();
        let read: Vec<_> = named
            .read
            .iter()
            .map(|path| path.to_str().unwrap())
            .collect();
        let all = ["/a.wav", "/anna.png", "/b.wav", "/ben.png", "/f.mp4"];
        assert_eq!(read, all);
    }
}
