//! SHA-256 of files and of what identifies a job.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::cancel::Cancel;
use crate::error::{Failure, FailureKind};

const CHUNK: usize = 1 << 20;

/// The file's SHA-256 in hexadecimal.
pub fn of_file(path: &Path, cancel: &Cancel) -> Result<String, Failure> {
    let failed = |e| Failure::of(FailureKind::InputUnreadable, path).detail(e);
    let mut file = File::open(path).map_err(failed)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        cancel.check()?;
        match file.read(&mut chunk).map_err(failed)? {
            0 => return Ok(hexadecimal(&hash.finalize())),
            n => hash.update(&chunk[..n]),
        }
    }
}

/// Whether the file is there and has this SHA-256.
pub fn is_of(path: &Path, sha256: &str) -> bool {
    of_file(path, &Cancel::default()).is_ok_and(|found| found == sha256)
}

/// The SHA-256 of `bytes`, as 64 hexadecimal digits.
pub fn of_bytes(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn files_and_bytes_agree_with_the_standard() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(of_file(&path, &Cancel::default()).unwrap(), ABC);
        assert_eq!(of_bytes(b"abc"), ABC);
        assert!(is_of(&path, ABC));
        assert!(!is_of(&path, &of_bytes(b"abd")));
        assert!(!is_of(&folder.path().join("none"), ABC));
    }
}
