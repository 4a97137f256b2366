//! Ends what a thread waits for, from another thread: a network's run in flight, a turn at a network, or
//! the loading of a model.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use ort::session::RunOptions;

use crate::sync::lock;

/// Where a thread waits that looks at an [`Interrupt`].
pub trait Wake: Send + Sync {
    /// Has it look again. Takes the lock that it looks under, or it might come between look and wait.
    fn wake(&self);
}

/// Raised by whoever stops or flushes a stream, looked at by whoever works on it.
#[derive(Default)]
pub struct Interrupt {
    raised: AtomicBool,
    /// Made when the library is there.
    options: OnceLock<RunOptions>,
    sleepers: Mutex<Vec<Weak<dyn Wake>>>,
}

impl Interrupt {
    /// Ends the runs under [`options`](Self::options), those that begin later too, and wakes who waits.
    pub fn raise(&self) {
        self.raised.store(true, SeqCst);
        if let Some(options) = self.options.get() {
            // Fails only for lack of memory; the run then ends by itself.
            let _ = options.terminate();
        }
        let sleepers = lock(&self.sleepers).clone();
        for sleeper in sleepers.iter().filter_map(Weak::upgrade) {
            sleeper.wake();
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

    /// Has `sleeper` woken by [`raise`](Self::raise), for as long as it lives.
    pub fn wakes<W: Wake + 'static>(&self, sleeper: &Arc<W>) {
        let new: Weak<dyn Wake> = Arc::<W>::downgrade(sleeper);
        let mut sleepers = lock(&self.sleepers);
        sleepers.retain(|old| old.strong_count() > 0);
        if !sleepers.iter().any(|old| old.ptr_eq(&new)) {
            sleepers.push(new);
        }
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
