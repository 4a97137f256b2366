//! Ways to give a file its name that keep what somebody else has put there.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::stamp::Stamp;

fn renameat2(from: &Path, to: &Path, flags: libc::c_uint) -> io::Result<()> {
    let c = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other);
    let (from, to) = (c(from)?, c(to)?);
    // SAFETY: both paths end with a zero byte and live until the call returns.
    let result = unsafe {
        libc::renameat2(
            libc::AT_FDCWD,
            from.as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            flags,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether the file system lacks this kind of renaming.
fn is_unknown(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS))
}

pub(super) fn rename_no_replace(from: &Path, to: &Path) -> io::Result<()> {
    match renameat2(from, to, libc::RENAME_NOREPLACE) {
        Err(error) if is_unknown(&error) => link_then_unlink(from, to),
        result => result,
    }
}

/// Puts `from` in the place of `to` where that has the stamp `own` or is gone; another file that came to
/// be there meanwhile stays. What was taken away is looked at once more before it is removed; where files
/// can't be exchanged, there is a gap of microseconds.
pub(super) fn rename_over(from: &Path, to: &Path, own: &Stamp) -> io::Result<()> {
    let is_own = |path: &Path| Stamp::of(path).is_ok_and(|stamp| stamp == *own);
    if fs::symlink_metadata(to).is_err() {
        return rename_no_replace(from, to);
    }
    if !is_own(to) {
        return Err(io::Error::from_raw_os_error(libc::EEXIST));
    }
    match renameat2(from, to, libc::RENAME_EXCHANGE) {
        Ok(()) if is_own(from) => {
            // One that stays is a leftover, which the next job for this target removes.
            let _ = fs::remove_file(from);
            Ok(())
        }
        Ok(()) => {
            renameat2(from, to, libc::RENAME_EXCHANGE)?;
            Err(io::Error::from_raw_os_error(libc::EEXIST))
        }
        Err(error) if is_unknown(&error) => fs::rename(from, to),
        Err(error) => Err(error),
    }
}

fn link_then_unlink(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(e),
        Err(_) if fs::symlink_metadata(to).is_ok() => {
            Err(io::Error::from_raw_os_error(libc::EEXIST))
        }
        Err(_) => fs::rename(from, to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::tests::files_in;

    #[test]
    fn links_do_where_renames_can_not_refuse() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::write(&from, "new").unwrap();
        fs::write(&to, "old").unwrap();
        let error = link_then_unlink(&from, &to).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&to).unwrap(), "old");
        fs::remove_file(&to).unwrap();
        link_then_unlink(&from, &to).unwrap();
        assert_eq!(files_in(folder.path()), ["to"]);
    }
}
