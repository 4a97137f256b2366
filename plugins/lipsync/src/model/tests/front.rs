//! A front end before the network: on tiny networks, and ours against numpy.

use super::embedded::has_front;
use super::*;

/// A manifest for the tiny front end, with a stream look of blocks of 4 rows and a whole one of 30.
const TWO_LOOKS: &str = "kind = 'mouth-shape'
[mel]
hop = 160
[front]
file = 'front.onnx'
columns = 2
features = 3
[mouth-shape]
context-before = 3
context-after = 2
block = 4
[mouth-shape.whole]
file = 'whole.onnx'
context-before = 20
context-after = 10
block = 30
";

fn folder(text: &str) -> (tempfile::TempDir, PathBuf) {
    let (folder, path) = manifest(text, "head_free.onnx");
    for (from, to) in [
        ("front.onnx", "front.onnx"),
        ("head_free.onnx", "whole.onnx"),
    ] {
        fs::copy(tiny(from), folder.path().join(to)).unwrap();
    }
    (folder, path)
}

fn look(path: &Path, look: Look) -> MouthShape {
    match Model::resolve(Some(path)).and_then(|model| model.open(CPU, look, 1)) {
        Ok(Network::MouthShape(network)) => *network,
        Ok(_) => panic!("not a mouth shape"),
        Err(error) => panic!("{error}"),
    }
}

fn hearing(network: &MouthShape, n: usize) -> Timeline {
    let mut timeline = Timeline::new(network.mel());
    timeline.push(0, &speech(n));
    timeline.finish();
    timeline
}

#[test]
fn the_network_sees_the_rows_of_its_front_end() {
    let (_folder, path) = folder(TWO_LOOKS);
    for which in [Look::Stream, Look::Whole] {
        let mut network = look(&path, which);
        let timeline = hearing(&network, 32_000);
        // The front end adds up pairs of columns, the head scales bands 0, 10 and 20.
        let mut columns = vec![0.0; 200 * BANDS];
        assert!(timeline.window(0, 200, &mut columns));
        let row = |band: usize, row: usize| {
            let pair = &columns[band * 200 + 2 * row..][..2];
            pair.iter().sum::<f32>()
        };
        for ns in [
            0,
            20_000_000,
            80_000_000,
            90_000_000,
            95_000_000,
            1_500_000_001,
        ] {
            let found = network.params_at(&timeline, ns, None).unwrap().unwrap();
            let at = ns as f64 * 50e-9;
            let (r, t) = (at as usize, at.fract() as f32);
            let expected = [0, 10, 20]
                .map(|band| 0.1 * (row(band, r) + t * (row(band, r + 1) - row(band, r))));
            assert_close(&[found.opening, found.width, found.tuck], &expected);
        }
    }
}

#[test]
fn each_look_has_its_windows_and_its_wait() {
    let (_folder, path) = folder(TWO_LOOKS);
    let stream = look(&path, Look::Stream);
    assert_eq!(stream.columns(0), -6..12);
    // Between the last row of a block and the first of the next.
    assert_eq!(stream.columns(70_000_000), -6..20);
    let samples = (2 * (4 + 2) + 1) * 160 + 400;
    assert_eq!(stream.look_ahead_ns(), samples * 62_500);
    let whole = look(&path, Look::Whole);
    assert_eq!(whole.columns(0), -40..80);
    assert_eq!(whole.columns(600_000_000), 20..140);
    assert!(
        Model::resolve(Some(&path))
            .unwrap()
            .check(CPU)
            .unwrap()
            .fits()
    );
}

#[test]
fn what_does_not_fit_behind_a_front_end_is_named() {
    let (_folder, path) = folder(&TWO_LOOKS.replace("features = 3", "features = 4"));
    let report = Model::resolve(Some(&path)).unwrap().check(CPU).unwrap();
    let text = report.to_string();
    assert!(!report.fits());
    for line in [
        "found     input `mel` [1, 80, ?]",
        "expected  front end: output [1, 9, 4]",
        "front end: output [1, 9, 4]: none has that shape",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    let (_folder, path) = folder(&TWO_LOOKS.replace("columns = 2", "columns = 20"));
    let error = Manifest::read(&path).unwrap_err().to_string();
    assert!(
        error.contains("`front.columns` must be from 1 to 16"),
        "{error}"
    );
    let (_folder, path) = folder("kind = 'generator'\n[front]\nfile = 'f.onnx'\nfeatures = 3\n");
    let error = Manifest::read(&path).unwrap_err().to_string();
    assert!(
        error.contains("`front` does not belong to kind `generator`"),
        "{error}"
    );
}

#[test]
fn a_front_end_that_is_not_there_is_named_with_what_to_do() {
    let (folder, path) = folder(TWO_LOOKS);
    fs::remove_file(folder.path().join("front.onnx")).unwrap();
    let error = Model::resolve(Some(&path)).unwrap_err();
    assert!(matches!(error, Error::FrontMissing { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("front.onnx") && text.contains("cargo xtask setup"),
        "{text}"
    );
    fs::remove_file(folder.path().join("whole.onnx")).unwrap();
    let error = Model::resolve(Some(&path)).unwrap_err().to_string();
    assert!(error.contains("whole.onnx do not exist"), "{error}");
}

/// What `make_golden.py` says the front end makes of the signal: every 16th feature of every row.
#[test]
fn the_front_end_equals_numpy() {
    if !has_front() {
        return;
    }
    let model = Model::resolve(Some(Path::new("hearing"))).unwrap();
    let Network::MouthShape(network) = model.open(CPU, Look::Stream, 1).unwrap() else {
        panic!("not a mouth shape");
    };
    let mut timeline = Timeline::new(network.mel());
    timeline.push(0, &speech(7321));
    timeline.finish();
    let mut window = vec![0.0; 40 * BANDS];
    assert!(timeline.window(2, 40, &mut window));
    let front = runtime::load(&weights_dir().join("whisper_front.onnx"), CPU).unwrap();
    let found = front
        .run(&[("mel", &[1, BANDS, 40], &window)], None, |outputs| {
            assert_eq!(outputs[0].0, [1, 20, 384]);
            outputs[0].1.to_vec()
        })
        .unwrap();
    let found: Vec<f32> = found.into_iter().step_by(16).collect();
    let golden: Vec<f32> = include_bytes!("../../../tests/golden/front.f32")
        .as_chunks()
        .0
        .iter()
        .map(|v| f32::from_le_bytes(*v))
        .collect();
    assert_eq!(found.len(), golden.len());
    for (i, (a, b)) in found.iter().zip(&golden).enumerate() {
        assert!(
            (a - b).abs() < 2e-3,
            "row {}, {}: {a}, not {b}",
            i / 24,
            i % 24
        );
    }
}
