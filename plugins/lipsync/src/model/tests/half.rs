//! Networks in half precision do what the same do in single precision.

use super::*;

/// The step of half precision at 1.
const STEP: f32 = 1e-3;

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

#[test]
fn a_generator_in_half_precision_paints_the_same() {
    let speech = timeline(0, 16_000, 4096);
    let paint = |file| {
        let mut network = generator(&tiny(file), 3);
        for i in 0..3 {
            assert!(network.add(&speech, i * FRAME, &crop(i as usize)));
        }
        let painted = network.run(None).unwrap();
        painted.flatten().copied().collect::<Vec<f32>>()
    };
    let [single, half] = ["generator_8.onnx", "generator_8_half.onnx"].map(paint);
    let off = worst(&single, &half);
    assert!(off > 0.0 && off < 4.0 * STEP, "off by {off}");
}

#[test]
fn a_mouth_shape_in_half_precision_says_the_same() {
    let speech = timeline(0, 16_000, 4096);
    let say = |file| {
        let mut network = mouth_shape(&tiny(file));
        let shapes = (0..20).flat_map(|i| {
            let mouth = network
                .params_at(&speech, i * FRAME, None)
                .unwrap()
                .unwrap();
            [mouth.opening, mouth.width, mouth.tuck]
        });
        shapes.collect::<Vec<f32>>()
    };
    let [single, half] = ["mouth_free.onnx", "mouth_free_half.onnx"].map(say);
    let off = worst(&single, &half);
    assert!(off > 0.0 && off < 4.0 * STEP, "off by {off}");
}

#[test]
fn what_is_no_float_is_told() {
    let Error::Mismatch(report) = error(&tiny("wrong_type.onnx")) else {
        panic!("another error");
    };
    assert!(report.to_string().contains("not float"), "{report}");
}
