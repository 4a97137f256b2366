//! Models run on the tiny networks of `tests/models/make_models.py`. They need ONNX Runtime, which
//! set-up installs.

mod embedded;
mod front;
mod half;
mod shared;

use std::fs;

use super::*;
use crate::audio::Timeline;
use crate::audio::tests::speech;
use crate::runtime::Provider;

const BANDS: usize = 80;
const CPU: Options = Options {
    provider: Provider::Cpu,
    device: 0,
    threads: 1,
    sharing: crate::runtime::Sharing::Shared,
};
const FRAME: i64 = 40_000_000;

fn tiny(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/models")
        .join(name)
}

fn open(path: &Path, batch: usize) -> Result<Network, Error> {
    Model::resolve(Some(path))?.open(CPU, Look::Stream, batch)
}

fn generator(path: &Path, batch: usize) -> Generator {
    match open(path, batch) {
        Ok(Network::Generator(network)) => network,
        Ok(_) => panic!("not a generator"),
        Err(e) => panic!("{e}"),
    }
}

fn mouth_shape(path: &Path) -> MouthShape {
    match open(path, 1) {
        Ok(Network::MouthShape(network)) => *network,
        Ok(_) => panic!("not a mouth shape"),
        Err(e) => panic!("{e}"),
    }
}

fn error(path: &Path) -> Error {
    match open(path, 1) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(e) => e,
    }
}

/// The speech of `n` samples at `position`, pushed `chunk` at a time.
fn timeline(position: i64, n: usize, chunk: usize) -> Timeline {
    let mut timeline = Timeline::new(&MelSpec::default());
    for (i, piece) in speech(n).chunks(chunk).enumerate() {
        timeline.push(position + (i * chunk) as i64, piece);
    }
    timeline.finish();
    timeline
}

/// A manifest in a folder of its own, with `weights` beside it.
fn manifest(text: &str, weights: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(tiny(weights), folder.path().join("net.onnx")).unwrap();
    let path = folder.path().join("net.toml");
    let head = "name = 'net'\nlicence = 'MIT'\nsource = 'the test'\n";
    fs::write(&path, format!("{head}{text}")).unwrap();
    (folder, path)
}

fn syntax_error(text: &str) -> String {
    let (_folder, path) = manifest(text, "mouth_free.onnx");
    Manifest::read(&path).unwrap_err().to_string()
}

#[test]
fn the_bundled_manifests_are_sound() {
    let all = bundled().unwrap();
    let names: Vec<_> = all.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, BUNDLED.map(|(name, _)| name));
    let NetworkSpec::Generator(spec) = &all[0].network else {
        panic!("not a generator");
    };
    // What is written out in the file is what a bare ONNX file is taken for.
    let defaults = GeneratorSpec {
        masked_from_row: Some(48),
        ..GeneratorSpec::default()
    };
    assert_eq!((spec, &all[0].mel), (&defaults, &MelSpec::default()));
}

#[test]
fn a_manifest_error_names_the_line_the_key_and_what_is_allowed() {
    let unknown = syntax_error("kind = 'generator'\n[generator]\ncolour = 'bgr'\n");
    assert!(
        unknown.contains("net.toml, line 6 (`colour`): unknown field `colour`")
            && unknown.contains("`channels`"),
        "{unknown}"
    );
    let wrong_type = syntax_error("kind = 'generator'\n[mel]\nhop = 'two hundred'\n");
    assert!(wrong_type.contains("line 6 (`hop`)"), "{wrong_type}");
    let variant = syntax_error("kind = 'painter'\n");
    assert!(
        variant.contains("`painter`") && variant.contains("`mouth-shape`"),
        "{variant}"
    );
    let mel = syntax_error("kind = 'generator'\n[mel]\nsample-rate = 22050\n");
    assert!(mel.contains("`mel.sample-rate` must be 16000"), "{mel}");
    let table = syntax_error("kind = 'generator'\n[mouth-shape]\nblock = 4\n");
    assert!(table.contains("`mouth-shape` does not belong"), "{table}");
    let broken = syntax_error("kind = \n");
    assert!(broken.contains("line 4"), "{broken}");
    assert_eq!(broken.lines().count(), 1);
}

#[test]
fn each_bad_file_has_its_own_error() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.onnx");
    fs::write(&empty, "").unwrap();
    assert!(matches!(error(&tiny("none.onnx")), Error::Missing(_)));
    assert!(matches!(error(&tiny("none.toml")), Error::Missing(_)));
    assert!(matches!(error(folder.path()), Error::Unreadable { .. }));
    assert!(matches!(error(&empty), Error::Unreadable { .. }));
    assert!(matches!(
        error(&tiny("corrupt.onnx")),
        Error::Corrupt { .. }
    ));
    for wrong in ["wrong_kind.onnx", "wrong_bands.onnx", "wrong_type.onnx"] {
        assert!(matches!(error(&tiny(wrong)), Error::Mismatch(_)), "{wrong}");
    }
    assert!(matches!(
        error(Path::new("wav2lip_96")),
        Error::WeightsMissing { .. }
    ));
}

#[test]
fn the_report_lists_what_was_found_and_expected() {
    let (_folder, path) = manifest(
        "kind = 'generator'\n[generator]\ncrop = 96\n",
        "generator_8.onnx",
    );
    let report = Model::resolve(Some(&path)).unwrap().check(CPU).unwrap();
    assert!(!report.fits());
    let text = report.to_string();
    for line in [
        "found     input `mel_spectrogram` [?, 1, 80, 16]",
        "found     input `video_frames` [?, 6, 8, 8]",
        "found     output `out` [?, 3, 8, 8]",
        "expected  input face [?, 6, 96, 96]",
        "it does not fit: input face [?, 6, 96, 96]: none has that shape",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn check_runs_what_seems_to_fit() {
    let default = Model::resolve(None).unwrap().check(CPU).unwrap();
    assert!(default.fits(), "{default}");
    assert_eq!(default.kind, Some(Kind::MouthShape));
    let fits = Model::resolve(Some(&tiny("generator_96.onnx"))).unwrap();
    assert!(fits.check(CPU).unwrap().fits());

    let shrinks = Model::resolve(Some(&tiny("mouth_shrinks.onnx"))).unwrap();
    let report = shrinks.check(CPU).unwrap();
    assert!(report.to_string().contains("[1, 3, 32]"), "{report}");
}

#[test]
fn inputs_are_bound_by_shape_or_by_name() {
    assert_eq!(generator(&tiny("generator_96.onnx"), 1).spec().crop, 96);
    assert_eq!(generator(&tiny("generator_8.onnx"), 1).spec().crop, 8);
    assert_eq!(mouth_shape(&tiny("mouth_fixed.onnx")).spec().block, 8);

    let free = "kind = 'generator'\n[generator]\ncrop = 8\n";
    let (_folder, path) = manifest(free, "generator_8_free.onnx");
    let Error::Mismatch(report) = error(&path) else {
        panic!("bound without a name");
    };
    assert!(report.reasons[0].contains("several have that shape"));
    let named = format!("{free}inputs = {{ mel = 'mel_spectrogram', face = 'video_frames' }}\n");
    let (_folder, path) = manifest(&named, "generator_8_free.onnx");
    assert!(generator(&path, 2).warm_up(None).is_ok());
    let (_folder, path) = manifest(&named.replace("video_", "audio_"), "generator_8_free.onnx");
    let reason = error(&path).to_string();
    assert!(reason.contains("no input face of that name"), "{reason}");
}

/// What the tiny generators make of a frame.
fn painted(crop: &[f32], mel_mean: f32) -> Vec<f32> {
    crop.iter()
        .enumerate()
        .map(|(i, v)| match i % 64 / 8 {
            0..4 => *v,
            _ => 0.25 * v + mel_mean,
        })
        .collect()
}

fn mel_mean(timeline: &Timeline, first: i64) -> f32 {
    let mut window = [0.0; 16 * BANDS];
    assert!(timeline.window(first, 16, &mut window));
    window.iter().sum::<f32>() / window.len() as f32
}

fn crop(seed: usize) -> Vec<f32> {
    (0..3 * 64)
        .map(|i| ((i * 7 + seed) % 100) as f32 / 100.0)
        .collect()
}

fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let worst = found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst < 1e-4, "off by {worst}");
}

#[test]
fn a_generator_gets_mask_crop_and_the_frames_own_columns() {
    let speech = timeline(0, 16_000, 4096);
    // A batch that is never full, one that fits, one of a network that takes one frame at a time.
    for (file, batch, size) in [
        ("generator_8.onnx", 16, 16),
        ("generator_8.onnx", 5, 5),
        ("generator_8_batch_1.onnx", 5, 5),
    ] {
        let mut network = generator(&tiny(file), batch);
        assert_eq!(network.batch_size(), size);
        for start in [0, 5, 10] {
            let frames = start..start + 5;
            for i in frames.clone() {
                assert!(network.add(&speech, i * FRAME, &crop(i as usize)));
            }
            assert_eq!(network.is_full(), size == 5);
            let outputs = network.run(None).unwrap();
            assert_eq!(outputs.len(), 5);
            for (i, output) in frames.zip(outputs) {
                let first = (i as f64 * 80.0 / 25.0) as i64;
                let expected = painted(&crop(i as usize), mel_mean(&speech, first));
                assert_close(output, &expected);
            }
            assert!(network.is_empty());
        }
    }
}

#[test]
fn a_generator_waits_for_its_columns_and_no_longer() {
    let mut network = generator(&tiny("generator_8.onnx"), 4);
    let samples = speech(16_000);
    let mut timeline = Timeline::new(network.mel());
    let needed = (network.look_ahead_ns() * 16 / 1_000_000) as usize;
    assert_eq!(needed, 15 * 200 + 400);
    timeline.push(0, &samples[..needed - 1]);
    assert!(!network.add(&timeline, 0, &crop(0)));
    timeline.push(needed as i64 - 1, &samples[needed - 1..needed]);
    assert!(!network.add(&timeline, 0, &crop(0)[1..]));
    assert!(network.add(&timeline, 0, &crop(0)));
    assert_eq!(network.len(), 1);
}

#[test]
fn past_the_end_a_generator_hears_silence() {
    let speech = timeline(0, 8000, 4096);
    let mut network = generator(&tiny("generator_8.onnx"), 1);
    assert!(network.add(&speech, 1_000_000_000, &[0.0; 3 * 64]));
    let heard = network.run(None).unwrap().next().unwrap()[40];
    assert!((heard - -4.0).abs() < 1e-4);
}

#[test]
fn a_generator_whose_speech_is_late_hears_the_last_for_a_moment_and_then_silence() {
    let mut network = generator(&tiny("generator_8.onnx"), 1);
    let mut speech = Timeline::new(network.mel());
    let black = [0.0; 3 * 64];
    assert!(
        !network.add_late(&speech, 0, &black, 0.1),
        "before any speech"
    );
    let samples: Vec<f32> = (0..8000).map(|n| 0.3 * (n as f32 * 0.1).sin()).collect();
    speech.push(0, &samples);
    let last = speech.available_until() - 16;
    let heard = |network: &mut Generator, ns| {
        assert!(!network.add(&speech, ns, &black));
        assert!(network.add_late(&speech, ns, &black, 0.1));
        network.run(None).unwrap().next().unwrap()[40]
    };
    let of_column = |column: i64| column * 12_500_000;
    let expected = mel_mean(&speech, last);
    assert!((heard(&mut network, of_column(last + 1)) - expected).abs() < 1e-4);
    assert!((heard(&mut network, of_column(last + 8)) - expected).abs() < 1e-4);
    assert!((heard(&mut network, of_column(last + 9)) - -4.0).abs() < 1e-4);
}

#[test]
fn extra_inputs_are_filled_from_the_manifest() {
    let text = "kind = 'generator'\n[generator]\ncrop = 8\npacking = 'full'\n";
    let (_folder, path) = manifest(text, "generator_8_weight.onnx");
    let reason = error(&path).to_string();
    assert!(reason.contains("`weight` [1] is not filled"), "{reason}");

    let text = format!("{text}constants = {{ weight = 0.5 }}\n");
    let (_folder, path) = manifest(&text, "generator_8_weight.onnx");
    let mut network = generator(&path, 2);
    let speech = timeline(0, 8000, 4096);
    assert!(network.add(&speech, 0, &crop(3)));
    let output = network.run(None).unwrap().next().unwrap().to_vec();
    let tone = 0.5 * mel_mean(&speech, 0);
    let expected: Vec<f32> = crop(3)
        .iter()
        .enumerate()
        .map(|(i, v)| if i % 64 / 8 < 4 { *v } else { 1.25 * v + tone })
        .collect();
    assert_close(&output, &expected);
}

#[test]
fn a_mouth_shape_is_interpolated_between_columns() {
    for file in ["mouth_free.onnx", "mouth_fixed.onnx"] {
        let speech = timeline(0, 16_000, 4096);
        let mut network = mouth_shape(&tiny(file));
        let mut window = [0.0; 82 * BANDS];
        assert!(speech.window(-1, 82, &mut window));
        let smooth = |band: usize, c: usize| {
            let row = &window[band * 82..][..82];
            0.25 * row[c] + 0.5 * row[c + 1] + 0.25 * row[c + 2]
        };
        for ns in [
            0,
            12_500_000,
            20_000_000,
            93_750_000,
            95_000_000,
            600_000_001,
        ] {
            let found = network.params_at(&speech, ns, None).unwrap().unwrap();
            let at = ns as f64 * 80e-9;
            let (c, t) = (at as usize, at.fract() as f32);
            let expected = [0, 10, 20].map(|band| {
                0.01 * (band + 10) as f32
                    * (smooth(band, c) + t * (smooth(band, c + 1) - smooth(band, c)))
            });
            assert_close(&[found.opening, found.width, found.tuck], &expected);
        }
    }
}

#[test]
fn past_and_future_have_contexts_of_their_own() {
    let speech = timeline(0, 16_000, 4096);
    let shape = |contexts: &str, weights: &str| {
        let text = format!("kind = 'mouth-shape'\n[mouth-shape]\nblock = 4\n{contexts}\n");
        let (_folder, path) = manifest(&text, weights);
        mouth_shape(&path)
    };
    let at = |network: &mut MouthShape, column: i64| {
        let ns = column * 12_500_000;
        network.params_at(&speech, ns, None).unwrap().unwrap()
    };
    // Three taps: the middle one is this column's own.
    let mut wide = shape("context = 13", "mouth_free.onnx");
    // The same network, whose last column is 10 before the end of what it is given;
    let mut uneven = shape("context-before = 30\ncontext-after = 10", "mouth_free.onnx");
    // one that does not pad, and gives the block alone;
    let mut bare = shape("context = 1", "mouth_shrinks.onnx");
    // and what it says taken for the column two later, without any future.
    let mut late = shape(
        "context-before = 2\ncontext-after = 0",
        "mouth_shrinks.onnx",
    );
    for column in [0, 1, 7, 8, 40, 63] {
        let expected = at(&mut wide, column);
        assert_eq!(at(&mut uneven, column), expected, "{column}");
        assert_eq!(at(&mut bare, column), expected, "{column}");
        assert_eq!(at(&mut late, column + 1), expected, "{column}");
    }
    assert_eq!(uneven.columns(0), -30..14);
    assert_eq!(late.columns(12_500_000), -2..4);
    assert_eq!(late.columns(6_000_000), -2..4);
    assert_eq!(late.columns(49_000_000), -2..8);
    assert_eq!(uneven.look_ahead_ns(), (4 + 10) * 12_500_000 + 25_000_000);
    assert_eq!(late.look_ahead_ns(), 4 * 12_500_000 + 25_000_000);

    for key in ["context-before", "context-after"] {
        let text = format!("kind = 'mouth-shape'\n[mouth-shape]\n{key} = 1001\n");
        let error = syntax_error(&text);
        assert!(error.contains(&format!("mouth-shape.{key}")), "{error}");
    }
}

#[test]
fn parameters_are_what_the_manifest_calls_them() {
    let text = "kind = 'mouth-shape'\n[mouth-shape]\nparameters = ['unused', 'opening', 'width']\n";
    let (_folder, path) = manifest(text, "mouth_free.onnx");
    let speech = timeline(0, 16_000, 4096);
    let plain = mouth_shape(&tiny("mouth_free.onnx")).params_at(&speech, FRAME, None);
    let plain = plain.unwrap().unwrap();
    let renamed = mouth_shape(&path).params_at(&speech, FRAME, None);
    assert_eq!(
        renamed.unwrap().unwrap(),
        MouthParams {
            opening: plain.width,
            width: plain.tuck,
            jaw: JAW_OF_OPENING * plain.width,
            ..MouthParams::default()
        }
    );
}

#[test]
fn every_parameter_has_a_name() {
    let speech = timeline(0, 16_000, 4096);
    let plain = mouth_shape(&tiny("mouth_free.onnx")).params_at(&speech, FRAME, None);
    let plain = plain.unwrap().unwrap();
    let named = |names: &str| {
        let text = format!("kind = 'mouth-shape'\n[mouth-shape]\nparameters = [{names}]\n");
        let (_folder, path) = manifest(&text, "mouth_free.onnx");
        let found = mouth_shape(&path).params_at(&speech, FRAME, None);
        found.unwrap().unwrap()
    };
    let expected = MouthParams {
        opening: plain.tuck,
        raise: plain.opening,
        jaw: plain.width,
        ..MouthParams::default()
    };
    assert_eq!(named("'raise', 'jaw', 'opening'"), expected);
    let expected = MouthParams {
        opening: plain.opening,
        press: plain.width,
        tuck: plain.tuck,
        jaw: JAW_OF_OPENING * plain.opening,
        ..MouthParams::default()
    };
    assert_eq!(named("'opening', 'press', 'tuck'"), expected);
}

#[test]
fn a_jump_back_voids_the_cache() {
    let samples = speech(32_000);
    let mut network = mouth_shape(Path::new("mouth"));
    let mut timeline = Timeline::new(network.mel());
    timeline.push(0, &samples);
    let before = network.params_at(&timeline, 10 * FRAME, None).unwrap();
    timeline.push(0, &samples[3000..]);
    let after = network.params_at(&timeline, 10 * FRAME, None).unwrap();
    assert!(after.is_some() && after != before);
    timeline.reset();
    assert_eq!(
        network.params_at(&timeline, 10 * FRAME, None).unwrap(),
        None
    );
}
