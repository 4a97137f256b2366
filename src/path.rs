//! One spelling for each path.

use std::path::{Component, Path, PathBuf};

/// A path as it is compared and kept: absolute, without `.` and `..`, links in its folder resolved.
pub fn normalised(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let mut plain = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    // The deepest folder that exists may be a link; the rest does not exist yet.
    let mut rest = Vec::new();
    let mut existing = plain.as_path();
    while let (Some(folder), Some(name)) = (existing.parent(), existing.file_name()) {
        rest.push(name);
        if let Ok(real) = std::fs::canonicalize(folder) {
            return rest.iter().rev().fold(real, |path, name| path.join(name));
        }
        existing = folder;
    }
    plain
}

/// The file beside another one whose name has that ending behind it.
pub fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_spellings_of_a_path_are_one() {
        let folder = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(folder.path()).unwrap();
        std::fs::create_dir(root.join("real")).unwrap();
        std::os::unix::fs::symlink(root.join("real"), root.join("link")).unwrap();
        let expected = root.join("real/new/out.mp4");
        for spelling in [
            "real/new/out.mp4",
            "real/./x/../new/out.mp4",
            "link/new/out.mp4",
        ] {
            assert_eq!(normalised(&root.join(spelling)), expected, "{spelling}");
        }
    }
}
