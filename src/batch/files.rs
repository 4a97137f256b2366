//! Faces and speeches given as files, folders and globs, and how they are put together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Failure, FailureKind};
use crate::pipeline::probe::Role;

const PICTURES: &[&str] = &["png", "jpg", "jpeg", "webp"];
const VIDEOS: &[&str] = &[
    "mp4", "mov", "m4v", "mkv", "webm", "avi", "ts", "mts", "m2ts", "mpg", "mpeg", "ogv", "flv",
    "wmv", "3gp",
];
const SOUNDS: &[&str] = &[
    "wav", "flac", "mp3", "m4a", "aac", "ogg", "oga", "opus", "wma", "aiff", "aif",
];

/// How faces and speeches meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Pairing {
    /// Every face with every speech.
    #[default]
    Cross,
    /// A face with the speech of the same name.
    Name,
}

/// The files that `arguments` name: a file itself, all files of a folder that can play the role, or
/// what a glob finds; in the order of their names. What is found may be an output of an earlier start,
/// which nobody meant; what is named is meant.
pub fn expand(
    arguments: &[PathBuf],
    role: Role,
    is_output: &dyn Fn(&Path) -> bool,
) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for argument in arguments {
        if argument.is_dir() {
            let mut found = in_folder(argument, role)?;
            found.retain(|file| !is_output(file));
            if found.is_empty() {
                return Err(Failure::of(FailureKind::InputMissing, argument)
                    .because(format_args!("no {} was found in the folder", noun(role)))
                    .advice("Name the files themselves if they have unusual extensions"));
            }
            files.extend(found);
        } else if argument.exists() || !is_glob(argument) {
            // One that is missing fails as a job of its own, with its reason.
            files.push(argument.clone());
        } else {
            files.extend(matches(argument)?.into_iter().filter(|f| !is_output(f)));
        }
    }
    let mut seen = std::collections::HashSet::new();
    files.retain(|file| seen.insert(file.clone()));
    Ok(files)
}

/// Pairs of a face and a speech.
pub fn pair(
    faces: &[PathBuf],
    speeches: &[PathBuf],
    pairing: Pairing,
) -> Result<Vec<(PathBuf, PathBuf)>, Failure> {
    match pairing {
        Pairing::Cross => Ok(speeches
            .iter()
            .flat_map(|speech| faces.iter().map(move |face| (face.clone(), speech.clone())))
            .collect()),
        Pairing::Name => by_name(faces, speeches),
    }
}

fn by_name(faces: &[PathBuf], speeches: &[PathBuf]) -> Result<Vec<(PathBuf, PathBuf)>, Failure> {
    let mut left: BTreeMap<_, &PathBuf> = BTreeMap::new();
    for speech in speeches {
        if let Some(other) = left.insert(speech.file_stem(), speech) {
            return Err(Failure::of(FailureKind::Usage, speech)
                .because(format_args!("{} has the same name", other.display()))
                .advice("Pair them in a job list"));
        }
    }
    let mut pairs = Vec::new();
    for face in faces {
        let Some(speech) = left.remove(&face.file_stem()) else {
            return Err(alone(face, "speech"));
        };
        pairs.push((face.clone(), speech.clone()));
    }
    match left.values().next() {
        Some(speech) => Err(alone(speech, "face")),
        None => Ok(pairs),
    }
}

fn alone(file: &Path, other: &str) -> Failure {
    Failure::of(FailureKind::Usage, file)
        .because(format_args!(
            "no {other} has the same name, or two files share theirs"
        ))
        .advice("Give both the same name, or pair them in a job list")
}

fn in_folder(folder: &Path, role: Role) -> Result<Vec<PathBuf>, Failure> {
    let failed = |e| Failure::of(FailureKind::InputUnreadable, folder).detail(e);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !is_hidden && path.is_file() && plays(&path, role) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a file of that extension can play the role; what is really in it is seen later.
fn plays(path: &Path, role: Role) -> bool {
    let Some(extension) = path.extension().and_then(|e| e.to_str()) else {
        return false;
    };
    let extension = extension.to_ascii_lowercase();
    let kinds: [&[&str]; 2] = match role {
        Role::Face => [PICTURES, VIDEOS],
        Role::Speech => [SOUNDS, VIDEOS],
    };
    kinds.iter().any(|kind| kind.contains(&extension.as_str()))
}

fn noun(role: Role) -> &'static str {
    match role {
        Role::Face => "video or picture",
        Role::Speech => "sound or video",
    }
}

fn is_glob(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '['])
}

fn matches(pattern: &Path) -> Result<Vec<PathBuf>, Failure> {
    let text = pattern.to_string_lossy();
    let failed = |e: &dyn std::fmt::Display| Failure::of(FailureKind::Usage, pattern).because(e);
    let mut files = Vec::new();
    for found in glob::glob(&text).map_err(|e| failed(&e))? {
        let path = found.map_err(|e| failed(&e))?;
        if path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Failure::of(FailureKind::InputMissing, pattern)
            .because("no file has a name like this")
            .advice("Check the pattern; quote it so that the shell leaves it alone"));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn folders_give_what_can_play_the_role() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.MP4", "a.png", "c.wav", "notes.txt", ".hidden.mp4"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        let names = |role| -> Vec<_> {
            let found = expand(&[folder.path().to_owned()], role, &|_| false).unwrap();
            let names = found.iter().map(|p| p.file_name().unwrap().to_owned());
            names.collect()
        };
        assert_eq!(names(Role::Face), ["a.png", "b.MP4"]);
        assert_eq!(names(Role::Speech), ["b.MP4", "c.wav"]);
        let expand = |paths: &[PathBuf]| expand(paths, Role::Face, &|_| false);
        let glob = expand(&[folder.path().join("[ab].*")]).unwrap();
        assert_eq!(glob.len(), 2);
        let twice = expand(&[glob[0].clone(), glob[0].clone()]).unwrap();
        assert_eq!(twice.len(), 1);
        let none = expand(&[folder.path().join("*.mkv")]).unwrap_err();
        assert_eq!(none.kind, FailureKind::InputMissing);
    }

    #[test]
    fn outputs_of_an_earlier_start_are_not_taken_for_faces() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["face.mp4", "made.mp4"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        let made = folder.path().join("made.mp4");
        let expand = |path: &Path| expand(&[path.to_owned()], Role::Face, &|file| file == made);
        let face = [folder.path().join("face.mp4")];
        assert_eq!(expand(folder.path()).unwrap(), face);
        assert_eq!(expand(&folder.path().join("*.mp4")).unwrap(), face);
        assert_eq!(expand(&made).unwrap().len(), 1, "it was named");
    }

    #[test]
    fn crossed_every_face_says_every_speech() {
        let pairs = pair(
            &paths(&["f1", "f2"]),
            &paths(&["s1", "s2", "s3"]),
            Pairing::Cross,
        );
        let pairs = pairs.unwrap();
        assert_eq!(pairs.len(), 6);
        assert_eq!(pairs[1], ("f2".into(), "s1".into()));
    }

    #[test]
    fn paired_by_name_nobody_is_left_over() {
        let faces = paths(&["a/x.mp4", "a/y.mp4"]);
        let pairs = pair(&faces, &paths(&["b/y.wav", "b/x.wav"]), Pairing::Name).unwrap();
        assert_eq!(pairs[0], ("a/x.mp4".into(), "b/x.wav".into()));
        for speeches in [
            &["b/x.wav"][..],
            &["b/x.wav", "b/y.wav", "b/z.wav"],
            &["b/x.wav", "b/y.wav", "b/x.mp3"],
        ] {
            let failure = pair(&faces, &paths(speeches), Pairing::Name).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Usage);
        }
    }
}
