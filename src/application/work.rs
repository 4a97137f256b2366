//! How much of the machine a batch takes.

use crate::supervisor::Options;
use crate::worker::limits::{Limits, usual_memory};

/// Memory that a worker may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// Three quarters of the machine's.
    #[default]
    Usual,
    /// So many bytes.
    Bytes(u64),
    /// As much as there is.
    Unlimited,
}

/// How a batch is worked on.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Worker processes; else as many as fit the machine.
    pub workers: Option<usize>,
    /// Pipelines in each, 1 at least.
    pub jobs_per_worker: usize,
    /// How often a job is tried whose cause of failure may pass.
    pub attempts: u32,
    /// Bytes that stay free on the disks of the outputs.
    pub min_free: u64,
    /// Of each worker.
    pub memory: Memory,
    /// Whether workers may reach all files that the user may, and not only what jobs name.
    pub all_files: bool,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            workers: None,
            jobs_per_worker: 1,
            attempts: 3,
            min_free: 500_000_000,
            memory: Memory::Usual,
            all_files: false,
        }
    }
}

impl Work {
    /// On this machine.
    pub(super) fn options(&self) -> Options {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let jobs_per_worker = self.jobs_per_worker.max(1);
        let workers = self
            .workers
            .unwrap_or_else(|| default_workers(cores, jobs_per_worker));
        let pipelines = workers * jobs_per_worker;
        Options {
            workers,
            jobs_per_worker,
            attempts: self.attempts,
            min_free: self.min_free,
            threads: (pipelines > 1).then(|| (cores / pipelines).max(1)),
            limits: Limits {
                memory: match self.memory {
                    Memory::Usual => Some(usual_memory()),
                    Memory::Bytes(bytes) => Some(bytes),
                    Memory::Unlimited => None,
                },
                no_network: true,
                own_files: !self.all_files,
            },
        }
    }
}

/// One pipeline a core: its stages wait for each other now and then, so two on two cores do a third more
/// than one with two threads everywhere.
fn default_workers(cores: usize, jobs_per_worker: usize) -> usize {
    (cores / jobs_per_worker).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_fits_the_machine() {
        assert_eq!(default_workers(1, 1), 1);
        assert_eq!(default_workers(2, 1), 2);
        assert_eq!(default_workers(16, 1), 16);
        assert_eq!(default_workers(16, 4), 4);
    }
}
