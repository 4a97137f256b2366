//! The models in the program, each with each of its looks.

use super::*;

/// `hearing` hears with what set-up fetches. Where nobody has run it, that is said and the model left
/// out; where somebody has, it must be there.
pub(super) fn has_front() -> bool {
    if weights_dir().join("whisper_front.onnx").is_file() {
        return true;
    }
    let set_up = runtime::data_dir().join("onnxruntime/libonnxruntime.so");
    assert!(
        !set_up.is_file(),
        "set-up has run, but for an older version: run `cargo xtask setup`"
    );
    eprintln!("SKIPPED: the front end is not there, as `cargo xtask setup` has not run");
    false
}

/// The embedded networks that can run here, with their names.
fn all() -> Vec<(String, MouthShape)> {
    let looks = [
        ("mouth", Look::Stream),
        ("hearing", Look::Stream),
        ("hearing", Look::Whole),
    ];
    let can_run = |name: &str| name != "hearing" || has_front();
    looks
        .into_iter()
        .filter(|(name, _)| can_run(name))
        .map(|(name, look)| (format!("{name}, {look:?}"), open_embedded(name, look)))
        .collect()
}

fn open_embedded(name: &str, look: Look) -> MouthShape {
    match Model::resolve(Some(Path::new(name))).and_then(|model| model.open(CPU, look, 1)) {
        Ok(Network::MouthShape(network)) => *network,
        Ok(_) => panic!("{name} is no mouth shape"),
        Err(error) => panic!("{error}"),
    }
}

/// The mouth at 25 frames a second, asked for as soon as the speech is there.
fn live(network: &mut MouthShape, samples: &[f32], chunk: usize) -> Vec<MouthParams> {
    let mut timeline = Timeline::new(network.mel());
    let mut mouths = Vec::new();
    for (i, piece) in samples.chunks(chunk).enumerate() {
        timeline.push((i * chunk) as i64, piece);
        while let Some(mouth) = network
            .params_at(&timeline, mouths.len() as i64 * FRAME, None)
            .unwrap()
        {
            mouths.push(mouth);
            let next = network.columns(mouths.len() as i64 * FRAME);
            timeline.forget_before(next.start);
        }
    }
    mouths
}

#[test]
fn an_embedded_model_does_not_depend_on_the_chunking() {
    for (name, mut network) in all() {
        // Long enough for the longest window, and two seconds more.
        let wait = network.look_ahead_ns() as usize / 62_500;
        let samples = speech(32_000 + wait);
        let whole = live(&mut network, &samples, samples.len());
        assert!(whole.len() > 50, "{name}: {}", whole.len());
        for chunk in [160, 333, 4096] {
            // A speech of its own voids what the network has cached.
            assert_eq!(live(&mut network, &samples, chunk), whole, "{name} {chunk}");
        }
        // Nor on what the same network saw of another speech, on which frames were asked for, or in
        // which order.
        live(&mut network, &samples[5000..], 4096);
        let mut timeline = Timeline::new(network.mel());
        timeline.push(0, &samples);
        for i in [40, 3, 17, 4, 40] {
            let found = network.params_at(&timeline, i * FRAME, None).unwrap();
            assert_eq!(found, Some(whole[i as usize]), "{name}");
        }
    }
}

#[test]
fn the_network_that_hears_by_itself_in_blocks_equals_one_run_over_the_whole() {
    let timeline = timeline(0, 32_000, 4096);
    let mut network = open_embedded("mouth", Look::Stream);
    let before = network.spec().before() as i64;
    let (first, columns) = (-before, 240);
    let mut window = vec![0.0; columns * BANDS];
    assert!(timeline.window(first, columns, &mut window));
    let whole = network
        .session()
        .run(&[("mel", &[1, BANDS, columns], &window)], None, |outputs| {
            outputs[0].1.to_vec()
        })
        .unwrap();
    let names = network.spec().parameters.clone();
    let mut openings = (f32::MAX, f32::MIN);
    for c in 0..160 {
        let found = network.params_at(&timeline, c * 12_500_000, None);
        let found = found.unwrap().unwrap();
        // Without padding, the first column that it speaks of is the first whose past it sees.
        let channels: Vec<&[f32]> = whole.chunks_exact(whole.len() / names.len()).collect();
        let expected = MouthParams::from_fn(|parameter| {
            let channel = names.iter().position(|name| *name == parameter);
            channel.map_or(0.0, |channel| channels[channel][c as usize])
        });
        let all = |m: MouthParams| {
            [
                m.opening, m.width, m.tuck, m.press, m.raise, m.jaw, m.tongue,
            ]
        };
        assert_close(&all(found), &all(expected));
        openings = (openings.0.min(found.opening), openings.1.max(found.opening));
    }
    assert!(openings.1 - openings.0 > 0.05, "the mouth does not move");
}

#[test]
fn the_look_ahead_is_the_longest_wait() {
    for (name, network) in all() {
        let mel = network.mel();
        let column_ns = mel.hop as i64 * 62_500;
        let mut longest = 0;
        // More than a block of the longest.
        for ns in (0..8_000_000_000).step_by(1_000_000) {
            let last = network.columns(ns).end - 1;
            let until = last * column_ns + mel.tail() * 62_500;
            longest = longest.max(until - ns);
        }
        let declared = network.look_ahead_ns() as i64;
        // The frame that waits longest is a hair after its row, not on the millisecond.
        assert!(
            (declared - 1_000_000..=declared).contains(&longest),
            "{name}: {longest} of {declared}"
        );
    }
}

#[test]
fn a_stream_waits_at_most_240_ms() {
    for name in ["mouth", "hearing"] {
        if name == "mouth" || has_front() {
            let network = open_embedded(name, Look::Stream);
            let wait = network.look_ahead_ns();
            assert!(wait <= 240_000_000, "{name}: {wait}");
        }
    }
}

#[test]
fn an_embedded_model_is_closed_in_silence_and_under_low_noise() {
    let mut seed = 1_u32;
    // A linear congruential generator: white noise at -60 dB of full scale.
    let mut noise = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed as f32 / u32::MAX as f32 - 0.5) * 0.0035
    };
    let noise: Vec<f32> = (0..160_000).map(|_| noise()).collect();
    for (name, mut network) in all() {
        for samples in [&vec![0.0; noise.len()], &noise] {
            let mouths = live(&mut network, samples, 4096);
            assert!(mouths.len() > 40, "{name}");
            for (i, mouth) in mouths.into_iter().enumerate() {
                assert!(mouth.opening < 0.01, "{name}, {i}: {mouth:?}");
            }
        }
    }
}
