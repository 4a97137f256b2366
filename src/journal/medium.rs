//! What the journal's folder is on. SQLite's WAL is a file that all processes have in their memory:
//! between machines it comes apart, and nobody would notice.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What `statfs` calls them (linux/magic.h and the file systems' own sources).
const NETWORKS: [(i64, &str); 8] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x5346_414f, "AFS"),
    (0x7375_7245, "Coda"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
];

/// The network file system that the folder is on, if it is on one.
pub fn network_name(folder: &Path) -> Option<&'static str> {
    let path = CString::new(folder.as_os_str().as_bytes()).ok()?;
    let mut stat = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: `path` ends with a zero byte, and `stat` is large enough for what is written to it.
    if unsafe { libc::statfs(path.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: statfs succeeded, so it has filled `stat`.
    named(unsafe { stat.assume_init() }.f_type)
}

fn named(kind: i64) -> Option<&'static str> {
    // Some file systems' numbers are negative where the field has 32 bits.
    let kind = kind & 0xffff_ffff;
    let found = NETWORKS.iter().find(|(magic, _)| *magic == kind);
    found.map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_told_from_disks() {
        assert_eq!(named(0x6969), Some("NFS"));
        assert_eq!(named(i64::from(0xff53_4d42_u32 as i32)), Some("CIFS"));
        assert_eq!(named(0xef53), None, "ext4");
        assert_eq!(named(0x0102_1994), None, "tmpfs");
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(network_name(&folder.path().join("none")), None);
    }
}
