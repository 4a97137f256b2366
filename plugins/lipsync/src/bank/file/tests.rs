use super::*;
use crate::bank::{Habits, Learner};
use crate::face::Face;
use crate::render::testing::{self, AT, UNIT};

const SIZE: (usize, usize) = (300, 260);

/// A learner that saw a face open its mouth over `count` frames.
fn learner(count: usize, max_bytes: u64) -> (Learner, Layout, [Vec<u8>; 3]) {
    let layout = testing::layouts(SIZE.0, SIZE.1)[2];
    let planes = testing::picture(&layout);
    let mut learner = Learner::new(max_bytes);
    for i in 0..count {
        let gap = 0.02 + 0.25 * i as f32 / count as f32;
        let face = face(gap);
        let [a, b, c] = &planes;
        let frame = Frame {
            layout,
            planes: [a, b, c],
        };
        learner.look(&frame, Some(&face), i as u64 * 40_000_000);
        // Seen again: it teaches nothing.
        learner.look(&frame, Some(&face), i as u64 * 40_000_000);
    }
    (learner, layout, planes)
}

fn face(gap: f32) -> Face {
    let mesh = testing::face_with_gap(AT, UNIT, gap);
    Face {
        id: 0,
        bounds: mesh.bounds(),
        score: 0.9,
        mesh: Some(mesh),
    }
}

fn written(count: usize, max_bytes: u64) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.face");
    learner(count, max_bytes)
        .0
        .write(&path, "the source")
        .unwrap();
    (folder, path)
}

#[test]
fn what_was_learnt_is_read_back() {
    let (_folder, path) = written(20, 64 << 20);
    let file = FaceFile::open(&path).unwrap();
    assert_eq!(file.source_id(), "the source");
    let (learner, layout, planes) = learner(20, 64 << 20);
    assert_eq!(file.mouths().len(), 20);
    for (a, b) in file.mouths().iter().zip(learner.mouths()) {
        assert_eq!((&a.look, a.region), (&b.look, b.region));
        assert_eq!(a.pixels.bytes(), b.pixels.bytes());
    }
    let summary = file.summary();
    assert_eq!((summary.frames, summary.frames_with_face), (20, 20));
    assert_eq!(summary.duration, Duration::from_millis(19 * 40));
    assert!(summary.opening[0] == 0.0 && summary.opening[1] > 0.2);
    assert_eq!(file.mouth_rgb(3, 40, 30).len(), 40 * 30 * 3);
    assert!(file.mouth_rgb(20, 40, 30).is_empty());

    // Points are found by time, a little off too, and only if the picture is the same.
    let [a, b, c] = &planes;
    let mut frame = Frame {
        layout,
        planes: [a, b, c],
    };
    for time in [80_000_000, 80_900_000] {
        let points = file.points_of(&frame, time).unwrap();
        assert_eq!(points.time, 80_000_000);
    }
    assert_eq!(file.points_of(&frame, 100_000_000), None);
    let other = vec![90; a.len()];
    frame.planes[0] = &other;
    assert_eq!(file.points_of(&frame, 80_000_000), None);
}

#[test]
fn a_face_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path) = written(3, 64 << 20);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn it_stays_within_its_bytes_and_keeps_the_variety() {
    let (_folder, path) = written(200, 2 << 20);
    let bytes = std::fs::metadata(&path).unwrap().len();
    assert!(bytes < 2_300_000, "{bytes}");
    let file = FaceFile::open(&path).unwrap();
    let [least, most] = file.summary().opening;
    assert!(file.mouths().len() < 100 && least < 0.02 && most > 0.2);
}

#[test]
fn files_that_are_none_are_told_apart() {
    let (folder, path) = written(4, 64 << 20);
    let good = std::fs::read(&path).unwrap();
    let open = |bytes: &[u8]| {
        let path = folder.path().join("bad.face");
        std::fs::write(&path, bytes).unwrap();
        FaceFile::open(&path).map(|_| ()).unwrap_err()
    };
    assert!(matches!(open(b"GIF89a"), Error::Foreign(_)));
    assert!(matches!(open(&vec![0; 4000]), Error::Foreign(_)));
    let mut old = good.clone();
    old[8] = 0;
    assert!(matches!(open(&old), Error::Version { found: 0, .. }));
    assert!(matches!(
        open(&good[..good.len() - 1]),
        Error::Damaged { .. }
    ));
    for at in [PREFIX + 3, good.len() / 2, good.len() - 1] {
        let mut bent = good.clone();
        bent[at] ^= 4;
        assert!(matches!(open(&bent), Error::Damaged { .. }), "{at}");
    }
    assert!(matches!(
        FaceFile::open(Path::new("/nonexistent/a.face")),
        Err(Error::Unreadable { .. })
    ));
    assert!(FaceFile::open(&path).is_ok());
}

/// Changed bytes behind a checksum that is right: refused, or read without harm.
#[test]
fn what_a_file_claims_is_never_trusted() {
    let (folder, path) = written(4, 64 << 20);
    let good = std::fs::read(&path).unwrap();
    let path = folder.path().join("bad.face");
    let mut seed = 1u64;
    let mut random = move || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    let mut read = 0;
    for _ in 0..300 {
        let mut bytes = good.clone();
        for _ in 0..1 + random() % 6 {
            // Header, points and looks, which come first.
            let at = PREFIX + random() % (good.len() / 3);
            bytes[at] = random() as u8;
        }
        if random() % 4 == 0 {
            bytes.truncate(PREFIX + random() % (good.len() - PREFIX));
        }
        let length = (bytes.len() as u64).to_le_bytes();
        bytes[16..24].copy_from_slice(&length);
        let sum = Sha256::digest(&bytes[PREFIX..]);
        bytes[24..PREFIX].copy_from_slice(&sum);
        std::fs::write(&path, &bytes).unwrap();
        let Ok(file) = FaceFile::open(&path) else {
            continue;
        };
        read += 1;
        for i in 0..file.mouths().len() {
            file.mouth_rgb(i, 8, 8);
        }
        Habits::of(&file.mouths().iter().collect::<Vec<_>>());
        file.summary();
    }
    assert!(read > 20, "{read} were read");
}

#[test]
fn one_process_opens_a_face_once() {
    let (_folder, path) = written(4, 64 << 20);
    let first = FaceFile::shared(&path).unwrap();
    assert!(Arc::ptr_eq(&first, &FaceFile::shared(&path).unwrap()));
    learner(6, 64 << 20).0.write(&path, "another").unwrap();
    assert_eq!(FaceFile::shared(&path).unwrap().source_id(), "another");
}

#[test]
fn nothing_is_written_where_no_face_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.face");
    assert!(matches!(
        Learner::new(1 << 20).write(&path, ""),
        Err(Error::NoFace)
    ));
    assert!(!path.exists());
    let path = folder.path().join("none/a.face");
    let error = learner(3, 1 << 20).0.write(&path, "").unwrap_err();
    assert!(matches!(error, Error::Unwritable { .. }) && error.to_string().contains("a.face"));
}
