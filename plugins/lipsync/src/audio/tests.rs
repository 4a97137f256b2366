//! The columns against those of librosa and scipy (see `tests/golden/make_golden.py`).

use std::f64::consts::PI;

use super::*;

const BANDS: usize = 80;

/// The signal of `make_golden.py`.
pub(crate) fn speech(n: usize) -> Vec<f32> {
    let mut state = 1u32;
    (0..n)
        .map(|i| {
            let t = i as f64 / 16_000.0;
            let phase = 2.0 * PI * 120.0 * t + 30.0 / 0.7 * (1.0 - (2.0 * PI * 0.7 * t).cos());
            let voiced: f64 = (1..=30)
                .map(|h| {
                    let h = f64::from(h);
                    let f = 120.0 * h;
                    let gain = 1.0 / (1.0 + ((f - 700.0) / 150.0).powi(2))
                        + 0.5 / (1.0 + ((f - 1900.0) / 250.0).powi(2))
                        + 0.02;
                    gain * (h * phase).cos()
                })
                .sum();
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = f64::from(state) / f64::from(1u32 << 31) - 1.0;
            let syllable = (2.0 * PI * 4.0 * t).sin();
            let x = 0.12 * voiced * syllable.max(0.0).powi(2) + 0.05 * noise * (-syllable).max(0.0);
            x as f32
        })
        .collect()
}

fn golden(bytes: &[u8]) -> Vec<f32> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|v| f32::from_le_bytes(*v))
        .collect()
}

/// The columns of `samples`, pushed `chunk` at a time.
fn columns(spec: &MelSpec, samples: &[f32], chunk: usize) -> Vec<f32> {
    let mut mel = MelStream::new(spec);
    let mut all = Vec::new();
    let mut emit = |index: i64, column: &[f32]| {
        assert_eq!(index as usize * BANDS, all.len());
        all.extend_from_slice(column);
    };
    for piece in samples.chunks(chunk) {
        mel.push(piece, &mut emit);
    }
    mel.finish(&mut emit);
    all
}

fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        let (column, band) = (i / BANDS, i % BANDS);
        assert!(
            (a - b).abs() < 1e-3,
            "column {column}, band {band}: {a}, not {b}"
        );
    }
}

fn check(spec: &MelSpec, samples: &[f32], expected: &[u8]) {
    let whole = columns(spec, samples, samples.len());
    assert_close(&whole, &golden(expected));
    for chunk in [1, 7, 160, 333, 4096] {
        let found = columns(spec, samples, chunk);
        assert!(found == whole, "differs when {chunk} samples are pushed");
    }
}

fn facefusion() -> MelSpec {
    MelSpec {
        scale: Scale::Htk,
        norm: Norm::None,
        filters: Filters::Adjacent,
        padding: Padding::Zero,
        gain: 1.0 / 400.0,
        peak_normalise: true,
        log_offset: 3.2,
        ..MelSpec::default()
    }
}

/// As in models/hearing.toml.
fn whisper() -> MelSpec {
    MelSpec {
        n_fft: 400,
        window: 400,
        hop: 160,
        f_min: 0.0,
        f_max: 8000.0,
        pre_emphasis: 0.0,
        padding: Padding::Zero,
        spectrum: Spectrum::Power,
        noise_floor: Some(-75.0),
        log_multiplier: 0.25,
        log_offset: 1.0,
        log_floor: 10_f64.powf(-6.5),
        ..MelSpec::default()
    }
}

fn with_gap() -> Vec<f32> {
    let mut samples = speech(6100);
    samples[1533..4633].fill(0.0);
    samples
}

/// All columns of a timeline from `first` on, column after column.
fn read(timeline: &Timeline, first: i64, count: usize) -> Vec<f32> {
    let mut window = vec![f32::NAN; BANDS * count];
    assert!(timeline.window(first, count, &mut window));
    (0..count)
        .flat_map(|c| (0..BANDS).map(move |b| (b, c)))
        .map(|(b, c)| window[b * count + c])
        .collect()
}

#[test]
fn equals_librosa_at_any_chunking() {
    check(
        &MelSpec::default(),
        &speech(7321),
        include_bytes!("../../tests/golden/speech.f32"),
    );
}

#[test]
fn equals_librosa_with_silence_in_the_middle() {
    check(
        &MelSpec::default(),
        &with_gap(),
        include_bytes!("../../tests/golden/gap.f32"),
    );
}

#[test]
fn equals_librosa_when_shorter_than_half_a_window() {
    check(
        &MelSpec::default(),
        &speech(301),
        include_bytes!("../../tests/golden/short.f32"),
    );
}

#[test]
fn equals_the_facefusion_recipe_from_the_peak_on() {
    let mut samples = speech(4000);
    samples[3] = 0.9;
    check(
        &facefusion(),
        &samples,
        include_bytes!("../../tests/golden/facefusion.f32"),
    );
}

/// Noise beneath the sound, before it and after it, however the sound is cut.
#[test]
fn equals_whispers_columns_on_the_noise_floor() {
    let samples = speech(7321);
    let expected = golden(include_bytes!("../../tests/golden/whisper.f32"));
    for chunk in [1, 7, 160, 333, 7321] {
        let mut timeline = Timeline::new(&whisper());
        for (i, piece) in samples.chunks(chunk).enumerate() {
            timeline.push((i * chunk) as i64, piece);
        }
        timeline.finish();
        assert_close(&read(&timeline, -4, 60), &expected);
    }
}

#[test]
fn the_noise_floor_is_a_function_of_the_place_alone() {
    // Where there is no sound, zeros, a gap and nothing at all are the same.
    const FAR: i64 = 3600 * 16_000 + 37;
    let zeros = |timeline: &mut Timeline| {
        timeline.push(FAR, &vec![0.0; 300 * 160]);
    };
    let gap = |timeline: &mut Timeline| timeline.push_gap(FAR, 300 * 160);
    let nothing = |_: &mut Timeline| {};
    let columns = |sound: &dyn Fn(&mut Timeline)| {
        let mut timeline = Timeline::new(&whisper());
        sound(&mut timeline);
        timeline.finish();
        read(&timeline, FAR / 160 - 5, 310)
    };
    let of_zeros = columns(&zeros);
    assert!(of_zeros == columns(&gap));
    assert!(of_zeros == columns(&nothing));
    // It is heard, now and then.
    let floor = of_zeros.iter().copied().fold(f32::MAX, f32::min);
    let above = of_zeros.iter().filter(|v| **v > floor + 0.01).count();
    assert!((10..of_zeros.len() / 10).contains(&above), "{above}");
}

#[test]
fn the_running_peak_does_not_depend_on_the_chunking() {
    let samples = speech(7321);
    let whole = columns(&facefusion(), &samples, samples.len());
    assert!(whole == columns(&facefusion(), &samples, 1));
    assert!(whole == columns(&facefusion(), &samples, 333));
}

#[test]
fn odd_streams_have_columns_too() {
    for (samples, expected) in [
        (0, 0),
        (1, 1),
        (2, 1),
        (199, 1),
        (200, 2),
        (400, 3),
        (401, 3),
    ] {
        let found = columns(&MelSpec::default(), &speech(samples), 50);
        assert_eq!(found.len() / BANDS, expected, "{samples} samples");
        assert!(found.iter().all(|v| (-4.0..=4.0).contains(v)));
    }
}

#[test]
fn samples_that_are_no_numbers_are_silence() {
    let mut samples = speech(2000);
    samples[700] = f32::NAN;
    samples[900] = f32::INFINITY;
    let found = columns(&MelSpec::default(), &samples, 2000);
    samples[700] = 0.0;
    samples[900] = 0.0;
    assert!(found == columns(&MelSpec::default(), &samples, 2000));
}

#[test]
fn a_gap_in_the_positions_is_silence() {
    let samples = with_gap();
    let mut timeline = Timeline::new(&MelSpec::default());
    assert_eq!(timeline.push(0, &samples[..1533]), Placement::Continuous);
    assert_eq!(timeline.push(4633, &samples[4633..]), Placement::Gap(3100));
    timeline.finish();
    assert_close(
        &read(&timeline, 0, 31),
        &golden(include_bytes!("../../tests/golden/gap.f32")),
    );
}

#[test]
fn an_hour_without_sound_costs_nothing() {
    const HOUR: i64 = 3600 * 16_000;
    let samples = speech(2000);
    let mut timeline = Timeline::new(&MelSpec::default());
    timeline.push(0, &samples);
    timeline.push_gap(2000, HOUR as u64);
    timeline.push(2000 + HOUR, &samples);
    timeline.finish();
    assert!(timeline.kept() < 40);

    // Far from the edges of the stream, the same as with every zero pushed.
    let mut plain = samples.clone();
    plain.resize(2000 + 8000, 0.0);
    plain.extend(&samples);
    let plain = columns(&MelSpec::default(), &plain, 4096);
    assert_eq!(read(&timeline, 0, 30), plain[..30 * BANDS]);
    let after = (2000 + HOUR) / 200;
    assert_eq!(read(&timeline, after, 10), plain[50 * BANDS..60 * BANDS]);
    assert!(read(&timeline, 5000, 100).iter().all(|v| *v == -4.0));
}

#[test]
pub(crate) fn speech_that_begins_late_keeps_to_the_axis() {
    const START: i64 = 2 * 3600 * 16_000;
    let expected = golden(include_bytes!("../../tests/golden/speech.f32"));
    let mut timeline = Timeline::new(&MelSpec::default());
    timeline.push(START, &speech(7321));
    timeline.finish();
    let first = START / 200;
    assert_close(&read(&timeline, first, 37), &expected);
    assert!(read(&timeline, first - 50, 50).iter().all(|v| *v == -4.0));
    assert!(read(&timeline, first + 37, 50).iter().all(|v| *v == -4.0));
    assert_eq!(timeline.end_position(), Some(START + 7321));
}

#[test]
pub(crate) fn speech_that_begins_between_columns_has_silence_before_it() {
    let samples = speech(3000);
    let mut timeline = Timeline::new(&MelSpec::default());
    timeline.push(1000 + 37, &samples);
    timeline.finish();
    let mut padded = vec![0.0; 37];
    padded.extend(&samples);
    let expected = columns(&MelSpec::default(), &padded, 4096);
    assert_eq!(read(&timeline, 5, expected.len() / BANDS), expected);
}

#[test]
fn jitter_of_the_positions_changes_nothing() {
    let samples = speech(7321);
    let mut timeline = Timeline::new(&MelSpec::default());
    for (i, piece) in samples.chunks(512).enumerate() {
        let jitter = [0, 8, -8, 15][i % 4];
        let placed = timeline.push(i as i64 * 512 + jitter, piece);
        assert_eq!(placed, Placement::Continuous);
    }
    timeline.finish();
    let expected = columns(&MelSpec::default(), &samples, samples.len());
    assert_eq!(read(&timeline, 0, 37), expected);
}

#[test]
fn an_overlap_is_heard_once() {
    let samples = speech(7321);
    let mut timeline = Timeline::new(&MelSpec::default());
    timeline.push(0, &samples[..4000]);
    assert_eq!(
        timeline.push(3000, &samples[3000..3500]),
        Placement::Overlap(500)
    );
    assert_eq!(
        timeline.push(3000, &samples[3000..]),
        Placement::Overlap(1000)
    );
    timeline.finish();
    let expected = columns(&MelSpec::default(), &samples, samples.len());
    assert_eq!(read(&timeline, 0, 37), expected);
}

#[test]
fn a_jump_back_begins_anew_from_there() {
    let samples = speech(16_000);
    let mut timeline = Timeline::new(&MelSpec::default());
    timeline.push(0, &samples);
    let before = timeline.generation();
    let kept = read(&timeline, 0, 20);
    assert_eq!(timeline.push(4000, &samples[..3000]), Placement::Restarted);
    assert_ne!(timeline.generation(), before);
    timeline.finish();
    assert_eq!(read(&timeline, 0, 20), kept);
    let expected = columns(&MelSpec::default(), &samples[..3000], 3000);
    assert_eq!(read(&timeline, 20, expected.len() / BANDS), expected);
    assert!(read(&timeline, 36, 60).iter().all(|v| *v == -4.0));
}

#[test]
fn columns_are_final_when_their_window_is_there() {
    let samples = speech(2000);
    let mut timeline = Timeline::new(&MelSpec::default());
    assert_eq!(timeline.available_until(), i64::MIN);
    timeline.push(0, &samples[..400]);
    assert_eq!(timeline.available_until(), 0);
    timeline.push(400, &samples[400..401]);
    assert_eq!(timeline.available_until(), 1);
    timeline.push(401, &samples[401..1000]);
    assert_eq!(timeline.available_until(), 4);
    assert!(!timeline.window(3, 2, &mut [0.0; 2 * BANDS]));
    timeline.finish();
    assert_eq!(timeline.available_until(), i64::MAX);
}

#[test]
fn an_empty_speech_is_silence_for_ever() {
    let mut timeline = Timeline::new(&MelSpec::default());
    timeline.finish();
    assert!(read(&timeline, -3, 100).iter().all(|v| *v == -4.0));
}

#[test]
fn memory_stays_constant_when_the_past_is_forgotten() {
    let piece = speech(1600);
    let mut timeline = Timeline::new(&MelSpec::default());
    for i in 0..1000 {
        timeline.push(i * 1600, &piece);
        timeline.forget_before(timeline.available_until() - 30);
        assert!(timeline.kept() <= 30);
    }
    let mut window = [0.0; 30 * BANDS];
    assert!(timeline.window(timeline.available_until() - 30, 30, &mut window));
    assert!(window.iter().any(|v| *v > -4.0));
}

#[test]
fn the_first_column_of_a_frame_is_the_references() {
    let spec = MelSpec::default();
    for i in 0..100_000i64 {
        assert_eq!(
            spec.grid().at(i * 40_000_000),
            (i as f64 * (80.0 / 25.0)) as i64
        );
    }
    // A timestamp that was rounded down to the nanosecond.
    assert_eq!(spec.grid().at(99_999_999), 8);
    assert_eq!(spec.grid().at(-1_000_000), -1);
}

#[test]
fn a_spec_that_can_not_be_computed_is_named() {
    let mut spec = MelSpec {
        hop: 0,
        ..MelSpec::default()
    };
    assert_eq!(spec.validate().unwrap_err().key, "hop");
    spec.hop = 200;
    spec.f_max = 9000.0;
    assert_eq!(spec.validate().unwrap_err().key, "f-max");
    assert_eq!(MelSpec::default().validate(), Ok(()));
    assert_eq!(whisper().validate(), Ok(()));
    spec = whisper();
    spec.padding = Padding::Reflect;
    assert_eq!(spec.validate().unwrap_err().key, "padding");
    spec.noise_floor = Some(3.0);
    assert_eq!(spec.validate().unwrap_err().key, "noise-floor");
}
