//! Files by their sha256.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

pub(super) fn check(path: &Path, expected: &str) -> Result<()> {
    let found = sha256(path)?;
    if found != expected {
        bail!(
            "{} has sha256 {found}, but {expected} was expected",
            path.display()
        );
    }
    Ok(())
}

pub fn is_whole(path: &Path, expected: &str) -> bool {
    path.is_file() && sha256(path).is_ok_and(|found| found == expected)
}

fn sha256(path: &Path) -> Result<String> {
    let cant_read = || format!("can't read {}", path.display());
    let mut file = File::open(path).with_context(cant_read)?;
    let mut digest = Sha256::new();
    let mut block = vec![0; 1 << 18];
    loop {
        match file.read(&mut block).with_context(cant_read)? {
            0 => break,
            n => digest.update(&block[..n]),
        }
    }
    Ok(digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_whole_only_with_its_sha256() {
        let path = std::env::temp_dir().join(format!("lipflow-whole-{}", std::process::id()));
        // The digest of "abc" is a test vector of FIPS 180-2.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(!is_whole(&path, abc));
        fs::write(&path, "abc").unwrap();
        assert!(is_whole(&path, abc));
        fs::write(&path, "abd").unwrap();
        assert!(!is_whole(&path, abc));
        let error = check(&path, abc).unwrap_err().to_string();
        assert!(error.contains(abc), "{error}");
        fs::remove_file(&path).unwrap();
    }
}
