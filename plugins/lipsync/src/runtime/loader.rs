//! Loads what takes long beside the streaming threads, so that the bus can speak meanwhile and nobody who
//! stops or seeks has to wait.

use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use super::interrupt::{Interrupt, Wake};
use crate::sync::{lock, wait};

/// The longest that an element waits for a load that nobody wants any more.
const PATIENCE: Duration = Duration::from_secs(1);

enum Outcome<T> {
    Loading,
    Loaded(T),
    Taken,
    Failed,
    Cancelled,
}

struct Shared<T> {
    outcome: Mutex<Outcome<T>>,
    changed: Condvar,
}

impl<T: Send> Wake for Shared<T> {
    fn wake(&self) {
        let _outcome = lock(&self.outcome);
        self.changed.notify_all();
    }
}

/// A thing on its way.
pub struct Loader<T> {
    shared: Arc<Shared<T>>,
    interrupt: Arc<Interrupt>,
    /// Says nothing; it ends with the thread's work.
    working: Mutex<mpsc::Receiver<()>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl<T: Send + 'static> Loader<T> {
    /// Begins to load in a thread of that name; `load` gives nothing where it failed, and has told so.
    /// `interrupt` ends waits.
    pub fn start(
        thread: &str,
        interrupt: Arc<Interrupt>,
        load: impl FnOnce() -> Option<T> + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            outcome: Mutex::new(Outcome::Loading),
            changed: Condvar::new(),
        });
        interrupt.wakes(&shared);
        let loading = shared.clone();
        let (work, working) = mpsc::channel();
        let builder = std::thread::Builder::new().name(thread.into());
        let thread = builder.spawn(move || {
            let _work: mpsc::Sender<()> = work;
            let loaded = load().map_or(Outcome::Failed, Outcome::Loaded);
            let mut outcome = lock(&loading.outcome);
            if matches!(*outcome, Outcome::Loading) {
                *outcome = loaded;
            }
            loading.changed.notify_all();
        })?;
        Ok(Self {
            shared,
            interrupt,
            working: Mutex::new(working),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Waits for the thing and takes it; `None` when it failed or was taken, the element was stopped,
    /// or the wait is interrupted.
    pub fn take(&self) -> Option<T> {
        let mut outcome = lock(&self.shared.outcome);
        while matches!(*outcome, Outcome::Loading) && !self.interrupt.is_raised() {
            outcome = wait(&self.shared.changed, outcome);
        }
        if self.interrupt.is_raised() {
            return None;
        }
        match std::mem::replace(&mut *outcome, Outcome::Taken) {
            Outcome::Loaded(thing) => Some(thing),
            other => {
                *outcome = other;
                None
            }
        }
    }

    /// Nobody wants it any more. False: the thread goes on with what can't be ended.
    pub fn end(&self) -> bool {
        self.cancel();
        self.join()
    }

    /// Makes [`Self::take`] return at once.
    fn cancel(&self) {
        *lock(&self.shared.outcome) = Outcome::Cancelled;
        self.shared.changed.notify_all();
    }

    /// Waits for the thread, after [`Self::cancel`]. ONNX Runtime crashes where a process ends while
    /// it loads; a large model may take longer than anybody waits, and is left alone then: false.
    fn join(&self) -> bool {
        let waited = lock(&self.working).recv_timeout(PATIENCE);
        if waited == Err(mpsc::RecvTimeoutError::Timeout) {
            return false;
        }
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            // What it panicked with was reported by the panic itself.
            let _ = thread.join();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_is_loaded_is_taken_once() {
        let loader = Loader::start("test", Arc::default(), || Some(1)).unwrap();
        assert_eq!(loader.take(), Some(1));
        assert_eq!(loader.take(), None);
        let failed = Loader::<u8>::start("test", Arc::default(), || None).unwrap();
        assert_eq!(failed.take(), None);
    }

    #[test]
    fn neither_an_interrupt_nor_the_end_waits_for_the_load() {
        let interrupt = Arc::new(Interrupt::default());
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let load = move || may_go_on.recv().ok().map(|()| 1);
        let loader = Arc::new(Loader::start("test", interrupt.clone(), load).unwrap());
        let taking = loader.clone();
        let taker = std::thread::spawn(move || taking.take());
        std::thread::sleep(Duration::from_millis(20));
        let begun = Instant::now();
        interrupt.raise();
        assert_eq!(taker.join().unwrap(), None);
        // It goes on, and is there for the next who asks.
        interrupt.clear();
        go_on.send(()).unwrap();
        assert_eq!(loader.take(), Some(1));
        assert!(begun.elapsed() < PATIENCE);

        let (hold, held) = mpsc::channel::<()>();
        let load = move || held.recv().ok().map(|()| 1);
        let loader = Loader::start("test", interrupt, load).unwrap();
        loader.cancel();
        assert_eq!(loader.take(), None);
        assert!(!loader.join());
        drop(hold);
        assert!(loader.join());
    }
}
