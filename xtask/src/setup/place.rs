//! Puts the pinned files in their places: whole and checked, or not at all.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::digest::{check, is_whole};
use super::fetch::Fetcher;
use super::pins::{self, Form};

pub struct Folders {
    /// Where lipflow looks.
    pub data: PathBuf,
    /// Downloads, and the tools that set-up itself needs.
    pub cache: PathBuf,
}

/// Fetches what is missing or differs from its sha256.
pub fn ensure(folders: &Folders) -> Result<()> {
    if missing(folders).is_empty() {
        return Ok(());
    }
    if !pins::SUPPORTED {
        bail!(
            "set-up has ONNX Runtime for Linux on x86_64 and aarch64 only. On this machine, put the files yourself in {}: {}",
            folders.data.display(),
            pins::FILES.map(|f| f.path).join(", ")
        );
    }
    let (_lock, fetcher) = open(&folders.cache)?;
    // Asked again: another set-up may have done the work while this one waited.
    let missing = missing(folders);
    for file in &missing {
        place(file, folders, &fetcher).with_context(|| {
            format!(
                "set-up could not make {}",
                folders.data.join(file.path).display()
            )
        })?;
    }
    for file in missing.iter().filter(|file| !file.archive.is_kept) {
        fetcher.forget(file.archive)?;
    }
    Ok(())
}

/// A Python with the packages that convert models and that build them.
pub fn converter(cache: &Path) -> Result<PathBuf> {
    let (_lock, fetcher) = open(cache)?;
    fetcher.converter().map(Path::to_owned)
}

/// A Python with the packages that measure videos.
pub fn judge(cache: &Path) -> Result<PathBuf> {
    let (_lock, fetcher) = open(cache)?;
    fetcher.judge()
}

/// The cache, for ourselves alone as long as the lock is held.
fn open(cache: &Path) -> Result<(File, Fetcher)> {
    fs::create_dir_all(cache).with_context(|| format!("can't create {}", cache.display()))?;
    let lock = lock(&cache.join("lock"))?;
    Ok((lock, Fetcher::new(cache)?))
}

fn missing(folders: &Folders) -> Vec<&'static pins::File> {
    pins::FILES
        .iter()
        .filter(|f| !is_whole(&folders.data.join(f.path), f.sha256))
        .collect()
}

fn place(file: &pins::File, folders: &Folders, fetcher: &Fetcher) -> Result<()> {
    let archive = fetcher.archive(file.archive)?;
    let target = folders.data.join(file.path);
    let parent = target.parent().unwrap_or(&folders.data);
    fs::create_dir_all(parent).with_context(|| format!("can't create {}", parent.display()))?;

    let scratch = fetcher.scratch(file.archive.name)?;
    let member = scratch.path().join("member");
    fetcher.unpack(&archive, file.member, &member)?;
    let made = match file.form {
        Form::AsPublished => member,
        Form::Converted {
            kind,
            member_sha256,
        } => {
            check(&member, member_sha256)?;
            let made = scratch.path().join("made");
            fetcher.convert(kind, &member, &made)?;
            made
        }
    };
    check(&made, file.sha256)?;

    // Cache and data folder may be on different file systems, hence a copy before the rename.
    let part = target.with_extension("part");
    fs::copy(&made, &part).with_context(|| format!("can't write {}", part.display()))?;
    File::open(&part)?.sync_all()?;
    fs::rename(&part, &target).with_context(|| format!("can't write {}", target.display()))?;
    eprintln!("  {}", target.display());
    Ok(())
}

/// One set-up at a time; the lock goes with the process, however that ends.
fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).with_context(|| format!("can't create {}", path.display()))?;
    if file.try_lock().is_err() {
        eprintln!("Another set-up is at work; waiting for it");
        file.lock()
            .with_context(|| format!("can't lock {}", path.display()))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_goes_with_its_holder() {
        let path = std::env::temp_dir().join(format!("lipflow-lock-{}", std::process::id()));
        let held = lock(&path).unwrap();
        assert!(File::create(&path).unwrap().try_lock().is_err());
        drop(held);
        assert!(File::create(&path).unwrap().try_lock().is_ok());
        fs::remove_file(&path).unwrap();
    }
}
