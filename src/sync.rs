//! Locks between threads.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the mutex guards, also after a thread has panicked with it: everything that is guarded here is whole
/// between any two statements, and one thread's defect must not end the others.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
