//! The disk of a simulated machine: outputs, the hidden files of those that write them, and other
//! people's files.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::error::{Failure, FailureKind};
use crate::job::Job;
use crate::reach::Named;
use crate::stamp::Stamp;
use crate::store::{Replace, Staging, Store};

/// A file under an output's name.
#[derive(Clone, Debug)]
pub struct Finished {
    pub sha256: String,
    pub stamp: Stamp,
    /// What it is the result of; None where somebody else has put it there.
    pub identity: Option<String>,
}

#[derive(Default)]
pub struct Disk {
    pub files: BTreeMap<PathBuf, Finished>,
    /// Hidden files by number: for which output, and whether its writer lives.
    pub staged: BTreeMap<u64, (PathBuf, bool)>,
    /// Outputs that somebody else has touched, or wants made again.
    pub touched: BTreeSet<PathBuf>,
    /// Outputs of which the user has said that anything may be replaced.
    pub replaceable: BTreeSet<PathBuf>,
    pub is_full: bool,
    /// Whoever runs this may write nothing more, and nobody changes that.
    pub is_over_quota: bool,
    /// It is not mounted.
    pub is_gone: bool,
    /// What broke the rules.
    pub faults: Vec<String>,
    pub commits: u64,
    next: u64,
}

impl Disk {
    fn stamp(&mut self) -> Stamp {
        self.next += 1;
        Stamp {
            size: 1,
            modified: self.next as i64,
        }
    }

    /// Somebody else writes a file.
    pub fn foreign(&mut self, output: &Path) {
        let stamp = self.stamp();
        let file = Finished {
            sha256: format!("foreign {}", stamp.modified),
            stamp,
            identity: None,
        };
        self.files.insert(output.into(), file);
        self.touched.insert(output.into());
    }

    pub fn delete(&mut self, output: &Path) {
        self.files.remove(output);
        self.touched.insert(output.into());
    }
}

/// The disk as controllers and workers have it.
#[derive(Clone)]
pub struct SimulatedStore {
    pub disk: Rc<RefCell<Disk>>,
    /// Lets those who write the output and are dying come to their end.
    pub end_writers: Rc<dyn Fn(&Path)>,
}

impl Store for SimulatedStore {
    fn stamp(&self, path: &Path) -> Option<Stamp> {
        if path.starts_with("/in") {
            return Some(Stamp {
                size: 1,
                modified: 1,
            });
        }
        let disk = self.disk.borrow();
        disk.files.get(path).map(|file| file.stamp.clone())
    }

    fn is_of(&self, path: &Path, sha256: &str) -> bool {
        let disk = self.disk.borrow();
        disk.files
            .get(path)
            .is_some_and(|file| file.sha256 == sha256)
    }

    fn stage(&self, output: &Path, replace: Replace) -> Result<Box<dyn Staging>, Failure> {
        Ok(Box::new(self.stage_for(output, replace)?))
    }

    fn remove_leftovers(&self, output: &Path) {
        let mut disk = self.disk.borrow_mut();
        disk.staged
            .retain(|_, (of, is_written)| of != output || *is_written);
    }

    fn remove_staged(&self, _: &Path) {}

    fn wait_for_writers(&self, output: &Path) {
        (self.end_writers)(output);
    }

    fn make_folder(&self, _: &Path) {}

    fn free_space(&self, _: &Path) -> Option<u64> {
        Some(match self.disk.borrow().is_full {
            true => 0,
            false => 1 << 40,
        })
    }

    fn devices(&self, _: &Path) -> Vec<u64> {
        match self.disk.borrow().is_gone {
            true => vec![1],
            false => vec![7, 1],
        }
    }

    fn named(&self, _: &Job) -> Option<Named> {
        Some(Named::default())
    }

    fn weights(&self, _: &Job) -> Vec<(PathBuf, Stamp)> {
        Vec::new()
    }
}

impl SimulatedStore {
    pub fn stage_for(&self, output: &Path, replace: Replace) -> Result<Written, Failure> {
        self.remove_leftovers(output);
        let mut disk = self.disk.borrow_mut();
        if disk.is_full {
            return Err(Failure::of(FailureKind::DiskFull, output));
        }
        if disk.is_over_quota {
            return Err(Failure::of(FailureKind::QuotaUsedUp, output));
        }
        disk.next += 1;
        let number = disk.next;
        disk.staged.insert(number, (output.into(), true));
        drop(disk);
        Ok(Written {
            store: self.clone(),
            number,
            output: output.into(),
            replace,
            sha256: String::new(),
            identity: String::new(),
        })
    }
}

/// An output that is being written.
pub struct Written {
    store: SimulatedStore,
    number: u64,
    output: PathBuf,
    replace: Replace,
    pub sha256: String,
    pub identity: String,
}

impl Written {
    /// Its writer is killed: the hidden file stays.
    pub fn abandon(self) {
        let mut disk = self.store.disk.borrow_mut();
        if let Some((_, is_written)) = disk.staged.get_mut(&self.number) {
            *is_written = false;
        }
        drop(disk);
        std::mem::forget(self);
    }
}

impl Staging for Written {
    fn path(&self) -> &Path {
        &self.output
    }

    fn location(&self) -> String {
        self.output.display().to_string()
    }

    fn put_beside(&self, _ending: &str, _text: &str) -> Result<(), Failure> {
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), Failure> {
        let mut disk = self.store.disk.borrow_mut();
        let there = disk.files.get(&self.output).cloned();
        let may = match (&self.replace, &there) {
            (_, None) | (Replace::Anything, _) => true,
            (Replace::Nothing, Some(_)) => false,
            (Replace::Own(own), Some(there)) => there.stamp == *own,
        };
        if !may {
            return Err(Failure::of(FailureKind::OutputExists, &self.output));
        }
        let output = self.output.display();
        match there {
            Some(there) if there.identity.is_none() && !disk.replaceable.contains(&self.output) => {
                let fault = format!("{output}: somebody else's file was replaced");
                disk.faults.push(fault);
            }
            Some(there)
                if there.identity.as_ref() == Some(&self.identity)
                    && !disk.touched.contains(&self.output) =>
            {
                let fault = format!("{output}: published twice");
                disk.faults.push(fault);
            }
            _ => {}
        }
        let stamp = disk.stamp();
        let file = Finished {
            sha256: self.sha256.clone(),
            stamp,
            identity: Some(self.identity.clone()),
        };
        disk.files.insert(self.output.clone(), file);
        disk.commits += 1;
        Ok(())
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.store.disk.borrow_mut().staged.remove(&self.number);
    }
}
