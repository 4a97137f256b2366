//! Who does the work that a supervisor orders: it never waits for any of it, and hears of it later.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::journal::{Lease, Result};
use crate::stamp::Stamp;
use crate::worker::limits::Confinement;
use crate::worker::protocol::{Answer, Order};

/// What comes in from workers, and from those who read whole files.
#[derive(Debug)]
pub enum Input {
    /// A worker says something.
    Answer(u64, Box<Answer>),
    /// A worker has ended.
    Gone(u64),
    /// Whether the output of the attempt is the one that was promised.
    Checked(Lease, bool),
    /// So many jobs of dead controllers were given back.
    Recovered(Result<u64>),
}

/// What takes long and needs no worker.
#[derive(Clone, Debug)]
pub enum Aside {
    /// Reads the output, to find out whether it is what the attempt has promised.
    Check {
        lease: Lease,
        output: PathBuf,
        sha256: String,
    },
    /// Gives back the jobs of controllers that have died.
    Recover,
}

/// How a worker ended.
#[derive(Clone, Debug)]
pub struct Exit {
    /// In words, with the last that it said.
    pub reason: String,
    pub signal: Option<i32>,
}

/// Worker processes, and threads for what takes long. Workers are known by their serial numbers, which
/// no two ever share.
pub trait Hands {
    /// Starts a worker; gives its process id. It says [`Answer::Alive`] when it can be given work.
    fn hire(
        &mut self,
        worker: u64,
        is_background: bool,
        confinement: &Confinement,
    ) -> std::io::Result<u32>;

    /// Gives an order; that the worker is dead is heard of by itself.
    fn order(&mut self, worker: u64, order: &Order);

    /// Ends a worker at once, without waiting for it.
    fn kill(&mut self, worker: u64);

    /// Waits, not for long, until a worker that ends by itself or was killed is gone, and forgets it.
    fn reap(&mut self, worker: u64) -> Exit;

    /// Whether the worker has kept more memory than its share among `workers`.
    fn keeps_too_much(&self, worker: u64, workers: usize) -> bool;

    /// Has something done beside the work; says whether it will be.
    fn aside(&mut self, task: Aside) -> bool;

    /// What came in next, waiting for it for so long.
    fn next(&mut self, wait: Duration) -> Option<Input>;
}

/// What a supervisor knows of a worker.
pub(super) struct Worker {
    pub pid: u32,
    /// What it may not do.
    pub confinement: Confinement,
    pub last_heard: Instant,
    /// It has said its first word.
    pub is_ready: bool,
    /// The files of models that it has loaded, as they were then.
    pub weights: HashMap<PathBuf, Stamp>,
    /// The jobs that are in it.
    pub jobs: Vec<i64>,
    /// One job wants it for itself.
    pub is_exclusive: bool,
    /// It is not given any more work: something in it is broken.
    pub is_retired: bool,
}

impl Worker {
    pub fn new(pid: u32, confinement: Confinement, now: Instant) -> Self {
        Self {
            pid,
            confinement,
            last_heard: now,
            is_ready: false,
            weights: HashMap::new(),
            jobs: Vec::new(),
            is_exclusive: false,
            is_retired: false,
        }
    }
}
