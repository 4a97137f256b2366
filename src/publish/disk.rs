//! What the disk of an output says: its room, and its errors.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Failure, FailureKind};
use crate::job::folder_of;

/// Without locks nobody could tell a file that is being written from a leftover.
pub(super) fn no_locks(folder: &Path, cause: &io::Error) -> Failure {
    Failure::of(FailureKind::OutputFolderReadOnly, folder)
        .because(format_args!("its file system can't lock files: {cause}"))
        .advice("Mount it with locks (NFS without `nolock`), or choose a folder on a local disk")
}

/// What an I/O error at the output's place means.
pub fn output_failure(target: &Path, error: &io::Error) -> Failure {
    let folder = folder_of(target);
    match error.raw_os_error() {
        Some(libc::ENOSPC) => Failure::of(FailureKind::DiskFull, target),
        // Room there may be plenty, and waiting for it changes nothing.
        Some(libc::EDQUOT) => Failure::of(FailureKind::QuotaUsedUp, target),
        Some(libc::EFBIG) => Failure::of(FailureKind::OutputTooLarge, target),
        Some(libc::EACCES | libc::EPERM | libc::EROFS) => {
            Failure::of(FailureKind::OutputFolderReadOnly, folder)
        }
        Some(libc::ENOENT | libc::ENOTDIR) => Failure::of(FailureKind::OutputFolderMissing, folder),
        Some(libc::EEXIST) => Failure::of(FailureKind::OutputExists, target),
        Some(libc::ENAMETOOLONG) => Failure::of(FailureKind::Usage, target)
            .detail("the output's name is too long")
            .advice("Choose a shorter one"),
        _ => Failure::of(FailureKind::Internal, target).detail(error),
    }
}

/// Bytes that an unprivileged process may still write in `folder`.
pub fn free_space(folder: &Path) -> Option<u64> {
    let path = CString::new(folder.as_os_str().as_bytes()).ok()?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` ends with a zero byte, and `stat` is large enough for what is written to it.
    if unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: statvfs succeeded, so it has filled `stat`.
    let stat = unsafe { stat.assume_init() };
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_at_the_output_have_kinds() {
        let kind =
            |code| output_failure(Path::new("a/b"), &io::Error::from_raw_os_error(code)).kind;
        assert_eq!(kind(libc::ENOSPC), FailureKind::DiskFull);
        assert_eq!(kind(libc::EDQUOT), FailureKind::QuotaUsedUp);
        assert_eq!(kind(libc::EFBIG), FailureKind::OutputTooLarge);
        assert_eq!(kind(libc::EROFS), FailureKind::OutputFolderReadOnly);
        assert_eq!(kind(libc::ENOENT), FailureKind::OutputFolderMissing);
    }

    #[test]
    fn free_space_is_known_where_there_is_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_space(folder.path()).is_some_and(|bytes| bytes > 0));
        assert_eq!(free_space(&folder.path().join("none")), None);
    }
}
