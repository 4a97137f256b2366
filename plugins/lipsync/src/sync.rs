//! The one way to lock and to wait. Whoever panicked with a lock was reported already, and what it guards is
//! still whole: no code here panics half-way through a change.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Locks `mutex`.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for `changed` to be notified.
pub(crate) fn wait<'a, T>(changed: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    changed.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// As [`wait`], for no longer than `limit`.
pub(crate) fn wait_for<'a, T>(
    changed: &Condvar,
    guard: MutexGuard<'a, T>,
    limit: Duration,
) -> MutexGuard<'a, T> {
    let waited = changed.wait_timeout(guard, limit);
    waited.unwrap_or_else(PoisonError::into_inner).0
}

/// As [`wait`], while `is_early` says so.
pub(crate) fn wait_while<'a, T>(
    changed: &Condvar,
    guard: MutexGuard<'a, T>,
    is_early: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    let waited = changed.wait_while(guard, is_early);
    waited.unwrap_or_else(PoisonError::into_inner)
}

/// As [`wait_while`], for no longer than `limit`.
pub(crate) fn wait_while_for<'a, T>(
    changed: &Condvar,
    guard: MutexGuard<'a, T>,
    limit: Duration,
    is_early: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    let waited = changed.wait_timeout_while(guard, limit, is_early);
    waited.unwrap_or_else(PoisonError::into_inner).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_with_a_lock_ends_nobody_else() {
        let number = Mutex::new(1);
        let panicked = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let _guard = lock(&number);
                panic!("on purpose");
            });
            thread.join().is_err()
        });
        assert!(panicked);
        let changed = Condvar::new();
        let guard = wait_while_for(&changed, lock(&number), Duration::ZERO, |_| true);
        assert_eq!(*guard, 1);
        assert_eq!(*wait_while(&changed, guard, |_| false), 1);
    }
}
