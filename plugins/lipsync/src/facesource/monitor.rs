//! Where the streaming thread waits for the reader.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::sync::{lock, wait_while_for};

/// The wait was called off: the element flushes or stops.
#[derive(Debug, Clone, Copy)]
pub struct Flushing;

/// Counts what the reader reports, so that no report is missed between looking and waiting.
#[derive(Default)]
pub struct Monitor {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    flushing: bool,
    reports: u64,
}

impl Monitor {
    pub fn notify(&self) {
        lock(&self.inner).reports += 1;
        self.changed.notify_all();
    }

    pub fn set_flushing(&self, flushing: bool) {
        lock(&self.inner).flushing = flushing;
        self.changed.notify_all();
    }

    /// The number of reports so far, to give to [`Monitor::wait`].
    pub fn reports(&self) -> Result<u64, Flushing> {
        let inner = lock(&self.inner);
        if inner.flushing {
            return Err(Flushing);
        }
        Ok(inner.reports)
    }

    /// Waits until there are more than `seen` reports, at most `limit`; false where none came.
    pub fn wait(&self, seen: u64, limit: Duration) -> Result<bool, Flushing> {
        let inner = lock(&self.inner);
        let inner = wait_while_for(&self.changed, inner, limit, |inner| {
            !inner.flushing && inner.reports == seen
        });
        if inner.flushing {
            return Err(Flushing);
        }
        Ok(inner.reports != seen)
    }
}
