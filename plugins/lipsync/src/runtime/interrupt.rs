//! Ends what a thread waits for, from another thread: a network's run in flight, or the loading of a
//! model.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use ort::session::RunOptions;

/// Raised by whoever stops or flushes a stream, looked at by whoever works on it.
#[derive(Default)]
pub struct Interrupt {
    raised: AtomicBool,
    /// Made when the library is there.
    options: OnceLock<RunOptions>,
}

impl Interrupt {
    /// Ends the runs under [`options`](Self::options), those that begin later too.
    pub fn raise(&self) {
        self.raised.store(true, SeqCst);
        if let Some(options) = self.options.get() {
            // Fails only for lack of memory; the run then ends by itself.
            let _ = options.terminate();
        }
    }

    /// Lets runs begin again.
    pub fn clear(&self) {
        self.raised.store(false, SeqCst);
        if let Some(options) = self.options.get() {
            let _ = options.unterminate();
        }
    }

    /// Whether somebody wants the run to end.
    pub fn is_raised(&self) -> bool {
        self.raised.load(SeqCst)
    }

    /// To run a network with. None where the library is not loaded, or gives none.
    pub fn options(&self) -> Option<&RunOptions> {
        if self.options.get().is_none() {
            super::environment().ok()?;
            let _ = self.options.set(RunOptions::new().ok()?);
            if self.is_raised() {
                self.raise();
            }
        }
        self.options.get()
    }
}
