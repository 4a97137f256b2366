//! Whether a job is to stop or to wait. Ctrl-C and SIGTERM: the first asks it to stop and clean up, the
//! second ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::error::{Failure, FailureKind};

/// The signals that ask this process to end. One that it was started to ignore, by `nohup` or in the
/// background of a script, stays ignored.
fn requests() -> Vec<i32> {
    let mut signals = vec![SIGINT, SIGTERM, SIGHUP];
    signals.retain(|signal| !is_ignored(*signal));
    signals
}

fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action the call only writes the present one, for which there is room.
    if unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: sigaction succeeded, so it has filled `action`.
    unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Lets these signals pass by this process. A handler that does nothing, unlike ignoring, is not passed
/// on to programs that libraries start.
pub fn disregard_requests() -> std::io::Result<()> {
    for signal in requests() {
        signal_hook::flag::register(signal, Arc::default())?;
    }
    Ok(())
}

/// Makes `ulimit -f` an error of the file that would get too large, and not the end of the process.
pub fn outlive_size_limits() {
    // Where that can't be had, the process ends as others do.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
}

/// Says whether the job is to stop, and why.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<Requests>);

#[derive(Debug, Default)]
struct Requests {
    signal: AtomicI32,
    pause: AtomicBool,
}

impl Cancel {
    /// One that the process's signals set.
    pub fn on_signals() -> std::io::Result<Self> {
        let cancel = Self::default();
        let flag = cancel.0.clone();
        let mut signals = Signals::new(requests())?;
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                for signal in signals.forever() {
                    let first = flag.signal.swap(signal, Ordering::Relaxed) == 0;
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
        self.0.signal.store(signal, Ordering::Relaxed);
    }

    /// Makes a running pipeline wait, or go on.
    pub fn pause(&self, pause: bool) {
        self.0.pause.store(pause, Ordering::Relaxed);
    }

    /// Whether running pipelines are to wait.
    pub fn is_paused(&self) -> bool {
        self.0.pause.load(Ordering::Relaxed)
    }

    /// An error once it was cancelled: [`FailureKind::Interrupted`] by SIGINT, [`FailureKind::Terminated`]
    /// by any other signal.
    pub fn check(&self) -> Result<(), Failure> {
        match self.0.signal.load(Ordering::Relaxed) {
            0 => Ok(()),
            SIGINT => Err(Failure::new(FailureKind::Interrupted)),
            _ => Err(Failure::new(FailureKind::Terminated)),
        }
    }
}

/// How a batch is asked to end: the first signal lets the running files finish, the second stops them,
/// the third ends the process.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicU32>);

/// How far a batch has been asked to end; each is more than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shutdown {
    /// Not at all.
    No,
    /// Nothing new is begun.
    Drain,
    /// What runs is cancelled.
    Now,
}

impl Stop {
    /// One that the process's signals set.
    pub fn on_signals() -> std::io::Result<Self> {
        let stop = Self::default();
        let count = stop.0.clone();
        let mut signals = Signals::new(requests())?;
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                for signal in signals.forever() {
                    if count.fetch_add(1, Ordering::Relaxed) >= 2 {
                        signal_hook::low_level::exit(128 + signal);
                    }
                }
            })?;
        Ok(stop)
    }

    /// Asks once more, as a signal does.
    pub fn ask(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How far it has been asked so far.
    pub fn shutdown(&self) -> Shutdown {
        match self.0.load(Ordering::Relaxed) {
            0 => Shutdown::No,
            1 => Shutdown::Drain,
            _ => Shutdown::Now,
        }
    }
}
