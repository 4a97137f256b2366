//! The files of a recording or a playlist: where they go, and which earlier ones make way.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::job::folder_of;

pub(super) fn make_folder(path: &Path) -> Result<(), String> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))
}

/// `path`, or the first of `path-2`, `path-3` and so on where nothing is lost: a recording is never
/// written over, neither one of yesterday nor what there is of this one after a disk was full.
pub(super) fn unwritten(path: &Path) -> PathBuf {
    let is_free = |path: &Path| std::fs::metadata(path).map_or(true, |file| file.len() == 0);
    let numbered = |number: u32| {
        let mut name: OsString = path.file_stem().unwrap_or_default().into();
        name.push(format!("-{number}"));
        if let Some(extension) = path.extension() {
            name.push(".");
            name.push(extension);
        }
        path.with_file_name(name)
    };
    std::iter::once(path.to_owned())
        .chain((2..).map(numbered))
        .find(|path| is_free(path))
        .unwrap_or_else(|| path.to_owned())
}

/// The pattern of a playlist's segments, beside it. The sink prints the number into it as C does, so a
/// percent sign of the operator's must not be one to it. It counts from 0 each time: `begun`, in seconds
/// since 1970, keeps a name from coming again with another content, which caches would not notice.
pub(super) fn segments_of(playlist: &Path, begun: u64) -> String {
    let name = playlist.with_extension("").display().to_string();
    format!("{}-{begun:010}-%05d.ts", name.replace('%', "%%"))
}

/// Removes the segments that an earlier broadcast left beside the playlist: numbers begin anew, and
/// those above would stay for ever.
pub(super) fn remove_segments(playlist: &Path) {
    let stem = playlist.file_stem().unwrap_or_default().to_string_lossy();
    let is_ours = |name: &str| {
        let number = name
            .strip_prefix(&*stem)
            .and_then(|rest| rest.strip_prefix('-'));
        let Some(number) = number.and_then(|rest| rest.strip_suffix(".ts")) else {
            return false;
        };
        // Earlier versions gave no time.
        let (begun, number) = number.split_once('-').unwrap_or(("0000000000", number));
        let is_number = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
        begun.len() == 10 && number.len() >= 5 && is_number(begun) && is_number(number)
    };
    for entry in std::fs::read_dir(folder_of(playlist))
        .into_iter()
        .flatten()
        .flatten()
    {
        if entry.file_name().to_str().is_some_and(is_ours) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_are_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        assert_eq!(unwritten(&file("tape.mkv")), file("tape.mkv"));
        std::fs::write(file("tape.mkv"), "").unwrap();
        assert_eq!(
            unwritten(&file("tape.mkv")),
            file("tape.mkv"),
            "nothing is lost"
        );
        std::fs::write(file("tape.mkv"), "yesterday").unwrap();
        std::fs::write(file("tape-2.mkv"), "this morning").unwrap();
        assert_eq!(unwritten(&file("tape.mkv")), file("tape-3.mkv"));
    }

    #[test]
    fn a_percent_sign_in_a_path_is_no_number() {
        let segments = |path: &str| segments_of(Path::new(path), 1_700_000_000);
        assert_eq!(segments("air/index.m3u8"), "air/index-1700000000-%05d.ts");
        assert_eq!(
            segments("100%s/5%n.v2.m3u8"),
            "100%%s/5%%n.v2-1700000000-%05d.ts"
        );
    }

    #[test]
    fn only_segments_of_the_playlist_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "air-00012.ts",
            "air-1700000000-00012.ts",
            "air.m3u8",
            "air-x.ts",
            "other-00012.ts",
            "air-00013.mkv",
            // Of the playlist air-5.m3u8.
            "air-5-00012.ts",
            "air-5-1700000000-00012.ts",
        ];
        for name in names {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        remove_segments(&folder.path().join("air.m3u8"));
        let left = names.map(|name| folder.path().join(name).exists());
        assert_eq!(left, [false, false, true, true, true, true, true, true]);
    }
}
