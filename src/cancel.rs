//! Ctrl-C and SIGTERM: the first asks the job to stop and clean up, the second ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::error::{Failure, FailureKind};

/// Says whether the job is to stop, and why.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicI32>);

impl Cancel {
    /// One that the process's signals set.
    pub fn on_signals() -> std::io::Result<Self> {
        let cancel = Self::default();
        let flag = cancel.0.clone();
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                for signal in signals.forever() {
                    let first = flag.swap(signal, Ordering::Relaxed) == 0;
                    if !first {
                        // At once: destructors may be what hangs. What is left on the disk is
                        // hidden and the next run for the same output removes it.
                        signal_hook::low_level::exit(128 + signal);
                    }
                }
            })?;
        Ok(cancel)
    }

    /// As the signal of that number would.
    pub fn cancel(&self, signal: i32) {
        self.0.store(signal, Ordering::Relaxed);
    }

    pub fn check(&self) -> Result<(), Failure> {
        match self.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            SIGINT => Err(Failure::new(FailureKind::Interrupted)),
            _ => Err(Failure::new(FailureKind::Terminated)),
        }
    }
}
