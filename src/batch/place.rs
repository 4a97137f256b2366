//! Where the journal of a batch is: beside its outputs, and where it was once, it stays. A list that grows
//! has another common folder, but what is known of its jobs may not be left behind.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use crate::journal::Journal;
use crate::path::normalised;

/// The journal's folder, in a folder of outputs.
pub const STATE_FOLDER: &str = ".lipflow";
/// So many folders are looked into, and so deep, for a journal below the one that was named.
const MOST_FOLDERS: usize = 1000;
const DEEPEST: usize = 4;

/// The journal of the batch with these outputs, whose common folder is `root`: one that knows the batch
/// or any of its outputs, or a new one.
pub fn of_batch(root: &Path, source: &str, outputs: &[&Path]) -> PathBuf {
    let below: BTreeSet<_> = outputs
        .iter()
        .flat_map(|output| {
            let folders = output.ancestors().skip(1);
            folders.take_while(|folder| *folder != root)
        })
        .collect();
    let folders = std::iter::once(root)
        .chain(below)
        .chain(root.ancestors().skip(1));
    let own = root.join(STATE_FOLDER);
    folders
        .map(|folder| folder.join(STATE_FOLDER))
        .find(|state| knows(state, |journal| journal.knows(source, outputs)))
        .unwrap_or(own)
}

/// The journal of what is in `folder`.
pub fn of_folder(folder: &Path) -> PathBuf {
    let own = folder.join(STATE_FOLDER);
    if Journal::is_at(&own) {
        return own;
    }
    let folder = &normalised_folder(folder);
    let above = folder.ancestors().skip(1).map(|f| f.join(STATE_FOLDER));
    above
        .chain(below(folder))
        .find(|state| knows(state, |journal| journal.is_of(folder)))
        .unwrap_or(own)
}

/// Journals in the folder and above it.
pub fn at_or_above(folder: &Path) -> Vec<Journal> {
    let folder = normalised_folder(folder);
    let states = folder.ancestors().map(|f| f.join(STATE_FOLDER));
    states
        .filter_map(|state| Journal::read(&state).ok())
        .collect()
}

fn normalised_folder(folder: &Path) -> PathBuf {
    let inside = normalised(&folder.join("x"));
    inside.parent().map_or(inside.clone(), Path::to_owned)
}

/// A journal that can't be read knows nothing.
fn knows(state: &Path, ask: impl FnOnce(&Journal) -> crate::journal::Result<bool>) -> bool {
    Journal::is_at(state)
        && Journal::read(state)
            .and_then(|journal| ask(&journal))
            .unwrap_or(false)
}

/// Places of journals in the folders below.
fn below(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let mut left = VecDeque::from([(folder.to_owned(), 0)]);
    let folders = std::iter::from_fn(move || {
        let (folder, depth) = left.pop_front()?;
        if depth < DEEPEST {
            let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            let is_visible = |name: &std::ffi::OsStr| !name.as_encoded_bytes().starts_with(b".");
            left.extend(
                entries
                    .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                    .filter(|entry| is_visible(&entry.file_name()))
                    .map(|entry| (entry.path(), depth + 1)),
            );
        }
        Some(folder.join(STATE_FOLDER))
    });
    folders.skip(1).take(MOST_FOLDERS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Planned, Start};
    use crate::publish::LocalStore;

    fn journal_with(state: &Path, root: &Path, source: &str, outputs: &[PathBuf]) {
        let journal = Journal::open(state).unwrap();
        let jobs: Vec<_> = outputs
            .iter()
            .map(|output| Planned {
                job: serde_json::from_value(serde_json::json!({
                    "face": "f.mp4", "speech": "s.wav", "output": output, "template": "file",
                    "parameters": [], "end_mode": "speech", "loop_mode": null,
                    "if_exists": "refuse", "stuck_after": {"secs": 30, "nanos": 0},
                    "graph": null, "dry_run": false
                }))
                .unwrap(),
                output: output.clone(),
            })
            .collect();
        let start = Start {
            source,
            command: "",
            root,
            jobs: &jobs,
            force: false,
            store: &LocalStore,
            identity: &|_| Ok(None),
        };
        journal.begin(&start).unwrap();
    }

    #[test]
    fn a_list_that_grows_or_shrinks_or_has_another_name_keeps_its_journal() {
        let folder = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(folder.path()).unwrap();
        let a = root.join("out/a/1.mp4");
        let b = root.join("out/b/c/2.mp4");
        let first = root.join("out/a");
        let state = of_batch(&first, "list x", &[&a]);
        assert_eq!(
            state,
            first.join(STATE_FOLDER),
            "a new one is beside the outputs"
        );
        journal_with(&state, &first, "list x", std::slice::from_ref(&a));
        let out = root.join("out");
        assert_eq!(of_batch(&out, "list x", &[&a, &b]), state);
        assert_eq!(of_batch(&out, "list y", &[&b, &a]), state, "it knows one");
        let deeper = root.join("out/a/d");
        let c = deeper.join("3.mp4");
        assert_eq!(of_batch(&deeper, "list x", &[&c]), state);
        assert_eq!(
            of_batch(&deeper, "list z", &[&c]),
            deeper.join(STATE_FOLDER)
        );
        assert_eq!(of_batch(&out, "list z", &[&b]), out.join(STATE_FOLDER));
    }

    #[test]
    fn the_folder_of_the_outputs_leads_to_the_journal() {
        let folder = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(folder.path()).unwrap();
        let outputs = [root.join("out/a/1.mp4"), root.join("out/b/2.mp4")];
        for output in &outputs {
            std::fs::create_dir_all(output.parent().unwrap()).unwrap();
        }
        let state = root.join("out/a").join(STATE_FOLDER);
        journal_with(&state, &root.join("out"), "list x", &outputs);
        for place in ["out", "out/a", "out/./a/.."] {
            let found = std::fs::canonicalize(of_folder(&root.join(place))).unwrap();
            assert_eq!(found, state, "{place}");
        }
        // From another folder of outputs it is neither above nor below.
        let b = root.join("out/b");
        assert_eq!(of_folder(&b), b.join(STATE_FOLDER));
        let above = root.join(STATE_FOLDER);
        journal_with(&above, &root, "list y", &[root.join("out/b/3.mp4")]);
        assert_eq!(of_folder(&b), above);
    }
}
