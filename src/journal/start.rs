//! How a batch begins.

use std::path::{Path, PathBuf};

use super::Result;
use crate::job::Job;
use crate::store::Store;

/// A job that is to be in the batch.
pub struct Planned {
    /// What is to be done.
    pub job: Job,
    /// The file that it makes, which names it in the batch.
    pub output: PathBuf,
}

/// How a batch begins.
pub struct Start<'a> {
    /// What makes two starts the same batch.
    pub source: &'a str,
    /// The command line, to start it again.
    pub command: &'a str,
    /// The folder that all outputs are in.
    pub root: &'a Path,
    /// In the order in which they are to be done.
    pub jobs: &'a [Planned],
    /// Do also what is done.
    pub force: bool,
    /// Where outputs are looked at.
    pub store: &'a dyn Store,
    /// Tells what a job would make; only asked where something was made before.
    pub identity: &'a dyn Fn(&Job) -> Result<Option<String>>,
}

/// What the start of a batch found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Begun {
    /// Number of the batch in the ledger.
    pub batch: i64,
    /// Jobs of the batch.
    pub total: u64,
    /// Jobs whose output is there, made of the same.
    pub already_done: u64,
    /// Another controller works on them.
    pub elsewhere: u64,
    /// They killed their workers, and wait for `lipflow retry`.
    pub set_aside: u64,
}
