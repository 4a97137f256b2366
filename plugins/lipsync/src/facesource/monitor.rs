//! Where the streaming thread waits for the reader.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

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
        self.inner.lock().unwrap().reports += 1;
        self.changed.notify_all();
    }

    pub fn set_flushing(&self, flushing: bool) {
        self.inner.lock().unwrap().flushing = flushing;
        self.changed.notify_all();
    }

    /// The number of reports so far, to give to [`Monitor::wait`].
    pub fn reports(&self) -> Result<u64, Flushing> {
        let inner = self.inner.lock().unwrap();
        if inner.flushing {
            return Err(Flushing);
        }
        Ok(inner.reports)
    }

    /// Waits until there are more than `seen` reports, at most `limit`; false where none came.
    pub fn wait(&self, seen: u64, limit: Duration) -> Result<bool, Flushing> {
        let inner = self.inner.lock().unwrap();
        let (inner, _) = self
            .changed
            .wait_timeout_while(inner, limit, |i| !i.flushing && i.reports == seen)
            .unwrap();
        if inner.flushing {
            return Err(Flushing);
        }
        Ok(inner.reports != seen)
    }
}
