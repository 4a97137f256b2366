//! Which folders files can be moved between.

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Where files can be moved from one folder to another: a disk, or a part of it, as it was mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mount {
    /// Parts of a disk (btrfs) are mounted as one and have numbers of their own.
    device: (u32, u32),
    number: u64,
}

impl Mount {
    /// That of a file or folder; none where there is none, or the kernel is older than Linux 5.8.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let path = CString::new(path.as_os_str().as_bytes()).ok()?;
        let mut found = MaybeUninit::<libc::statx>::zeroed();
        // SAFETY: `path` ends with a zero byte, and `found` is large enough for what is written to it.
        let result = unsafe {
            libc::statx(
                libc::AT_FDCWD,
                path.as_ptr(),
                0,
                libc::STATX_MNT_ID,
                found.as_mut_ptr(),
            )
        };
        // SAFETY: all of it is numbers, for which zeros are fine, too.
        let found = unsafe { found.assume_init() };
        (result == 0 && found.stx_mask & libc::STATX_MNT_ID != 0).then_some(Self {
            device: (found.stx_dev_major, found.stx_dev_minor),
            number: found.stx_mnt_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn folders_of_one_mount_are_told_from_others() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        let here = Mount::of(folder.path());
        assert!(here.is_some());
        assert_eq!(Mount::of(&folder.path().join("a")), here);
        assert_ne!(Mount::of(Path::new("/proc")), here);
        assert_eq!(Mount::of(&folder.path().join("none")), None);
    }
}
