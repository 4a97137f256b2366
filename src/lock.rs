//! Locks of files (`flock`), which the kernel drops however their holder dies.
//!
//! That a lock is taken and that locking fails are two things: some network file systems have no locks,
//! and a process may run out of descriptors.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// By this process, as long as the file is open.
    Held,
    /// By somebody else.
    Taken,
}

/// Takes the file's lock, if nobody has it.
pub fn exclusive(file: &File) -> io::Result<Lock> {
    told_apart(file.try_lock())
}

/// Whether somebody has the lock of the file at `path`.
pub fn is_taken(path: &Path) -> io::Result<bool> {
    let file = File::open(path)?;
    Ok(told_apart(file.try_lock_shared())? == Lock::Taken)
}

fn told_apart(tried: Result<(), TryLockError>) -> io::Result<Lock> {
    match tried {
        Ok(()) => Ok(Lock::Held),
        Err(TryLockError::WouldBlock) => Ok(Lock::Taken),
        Err(TryLockError::Error(cause)) => Err(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_and_failed_are_two_things() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let file = File::create(&path).unwrap();
        assert!(!is_taken(&path).unwrap());
        assert_eq!(exclusive(&file).unwrap(), Lock::Held);
        assert!(is_taken(&path).unwrap());
        assert_eq!(exclusive(&File::open(&path).unwrap()).unwrap(), Lock::Taken);
        drop(file);
        assert!(!is_taken(&path).unwrap());
        let error = is_taken(&folder.path().join("none")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let failed = TryLockError::Error(io::Error::from_raw_os_error(libc::ENOLCK));
        let error = told_apart(Err(failed)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOLCK));
    }
}
