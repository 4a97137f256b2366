//! What jobs learn and know of a face, and what they do without.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::run_support::{TestDir, face, finish, lipflow, schema, speech};
use serde_json::Value;

use super::support::*;

#[test]
fn the_first_job_learns_the_face_and_the_next_one_knows_it() {
    let dir = TestDir::new();
    let first = events(&finish(&mut job(&dir, &face(), "a.mp4")));
    let said = learning(&first);
    assert!(said.len() > 1, "{first:?}");
    assert_eq!(said[0]["frames_total"], 250, "ten seconds are the least");
    let last = said.last().unwrap();
    assert!(last["frames"].as_u64() >= Some(250), "{last}");
    assert!(last["mouths"].as_u64() > Some(0), "{last}");
    assert_eq!(last["waiting"], false);
    let of_output = first
        .iter()
        .filter(|e| e["phase"] == "learning")
        .all(|e| e["frames"] == 0);
    assert!(of_output, "frames of the output are counted apart");
    // By the schema, and in its place.
    let printed = finish(lipflow().arg("schema"));
    let schema: Value = serde_json::from_slice(&printed.stdout).unwrap();
    for event in &first {
        assert_eq!(schema::violation(&schema, event, &schema), None);
    }
    let mut phases: Vec<_> = first.iter().filter_map(|e| e["phase"].as_str()).collect();
    phases.dedup();
    assert_eq!(&phases[..3], ["probing", "learning", "loading"]);

    let files = kept(&dir, "face");
    assert_eq!(files.len(), 1);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&cache(&dir)), 0o700);
    assert_eq!(mode(&files[0]), 0o600);
    assert_eq!(mode(&kept(&dir, "json")[0]), 0o600);
    assert_eq!(
        fs::read_dir(cache(&dir)).unwrap().count(),
        2,
        "no leftovers"
    );
    assert_eq!(dir.names(), ["a.mp4", "faces"], "nothing beside the output");

    let second = events(&finish(&mut job(&dir, &face(), "b.mp4")));
    assert_eq!(learning(&second), [] as [Value; 0]);
    // All of it is more than a part.
    let full = events(&finish(
        job(&dir, &face(), "b.mp4").args(["--learn", "full"]),
    ));
    assert_eq!(learning(&full)[0]["frames_total"], 765);
    assert_eq!(kept(&dir, "face"), files, "it takes the place of the part");
    let again = events(&finish(
        job(&dir, &face(), "b.mp4").args(["--learn", "full"]),
    ));
    assert_eq!(learning(&again), [] as [Value; 0]);
}

/// Of a short transport stream nobody knows how long it is before it has ended.
#[test]
fn a_video_of_unknown_length_that_was_read_to_its_end_is_known_whole() {
    let dir = TestDir::new();
    let face = cut(&dir, "short.ts", &["-t", "1", "-c:v", "libx264"]);
    events(&finish(&mut job(&dir, &face, "a.mp4")));
    let listed = faces(&dir, &["list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed[0]["whole"], true, "{listed}");
    assert_eq!(listed[0]["seconds"], 1.0, "{listed}");
}

#[test]
fn what_needs_no_learning_learns_nothing() {
    let dir = TestDir::new();
    let picture = gstlipsync::runtime::data_dir().join("media/astronaut.png");
    let mut off = job(&dir, &face(), "a.mp4");
    off.args(["--learn", "off"]);
    let mut dry = job(&dir, &face(), "a.mp4");
    dry.arg("--dry-run");
    for mut command in [job(&dir, &picture, "a.mp4"), off, dry] {
        let said = events(&finish(&mut command));
        assert_eq!(learning(&said), [] as [Value; 0]);
        assert!(!cache(&dir).exists());
    }
}

#[test]
fn a_damaged_a_foreign_and_an_old_file_are_told_and_made_anew() {
    let dir = TestDir::new();
    let face = short_face(&dir);
    events(&finish(&mut job(&dir, &face, "a.mp4")));
    let path = kept(&dir, "face").remove(0);
    let good = fs::read(&path).unwrap();
    let mut damaged = good.clone();
    let end = damaged.len() - 10;
    damaged.truncate(end);
    let mut old = good.clone();
    old[8] = old[8].wrapping_add(1);
    for bad in [damaged, b"of another program".to_vec(), old] {
        fs::write(&path, &bad).unwrap();
        let said = events(&finish(&mut job(&dir, &face, "a.mp4")));
        let warnings = warnings(&said);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("can't be used"), "{warnings:?}");
        assert!(warnings[0].contains("learnt anew"), "{warnings:?}");
        assert!(!learning(&said).is_empty());
        assert_eq!(fs::read(&path).unwrap(), good, "same input, same bytes");
    }
}

#[test]
fn a_cache_that_can_not_be_written_is_told_once_and_the_job_goes_on() {
    let dir = TestDir::new();
    let face = short_face(&dir);
    // Root may write everywhere, but not below a file.
    dir.write("faces", "a file");
    let said = events(&finish(&mut job(&dir, &face, "a.mp4")));
    let warnings = warnings(&said);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("LIPFLOW_FACES"), "{warnings:?}");
    assert_eq!(said.last().unwrap()["state"], "done");

    // Once in a batch, too, whatever the number of jobs and workers.
    let mut list = "face,speech,output\n".to_owned();
    for n in 0..4 {
        list += &format!("{},{},out/{n}.mp4\n", face.display(), speech().display());
    }
    dir.write("jobs.csv", list);
    let said = events(&batch(&dir));
    assert_eq!(self::warnings(&said).len(), 1);
    assert_eq!(said.last().unwrap()["done"], 4);
}
