//! Crops against those of SciPy and OpenCV.

use super::*;
use crate::picture::frame::Layout;

const WIDTH: usize = 16;
const HEIGHT: usize = 12;

fn picture() -> Vec<u8> {
    let pixel = |i: usize| {
        let (x, y) = (i % WIDTH, i / WIDTH);
        [
            (x * 13 + y * 7) as u8,
            (x * x * 3 + y * 5) as u8,
            (x * 5 + y * y * 2 + 40) as u8,
        ]
    };
    (0..WIDTH * HEIGHT).flat_map(pixel).collect()
}

fn i420() -> Layout {
    let channel = |plane, stride, sub| Channel {
        plane,
        offset: 0,
        step: 1,
        stride,
        sub_x: sub,
        sub_y: sub,
        depth: Depth::Eight,
    };
    Layout {
        width: WIDTH,
        height: HEIGHT,
        channels: [
            channel(0, WIDTH, 0),
            channel(1, WIDTH / 2, 1),
            channel(2, WIDTH / 2, 1),
        ],
        colour: Colour::BT601,
    }
}

fn crop_rgb(affine: Affine, size: usize, order: Order) -> Vec<f32> {
    let picture = picture();
    let frame = Frame {
        layout: Layout::rgb(WIDTH, HEIGHT),
        planes: [&picture, &[], &[]],
    };
    crop(&frame, affine, size, order)
}

fn crop(frame: &Frame, affine: Affine, size: usize, order: Order) -> Vec<f32> {
    let tensor = Tensor {
        scale: 1.0,
        ..Tensor::unit(size, size, order)
    };
    let mut out = vec![f32::NAN; tensor.len()];
    sample(frame, &affine, &tensor, &mut out);
    out
}

fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() < 0.02, "value {i}: {f}, expected {e}");
    }
}

// Computed with scipy.ndimage.map_coordinates(order=1, mode="nearest") in double precision.
#[rustfmt::skip]
const ROTATED: [f32; 48] = [103.441, 121.816, 140.190, 158.565, 105.172, 123.547, 141.922, 160.296, 106.904, 125.278, 143.653, 162.028, 108.635, 127.010, 145.384, 163.759, 150.038, 203.100, 8.614, 78.216, 136.810, 186.952, 86.433, 54.684, 124.605, 170.918, 191.979, 32.694, 114.298, 157.691, 208.900, 63.936, 83.444, 94.069, 105.159, 117.730, 93.700, 106.272, 119.914, 134.433, 109.167, 123.686, 139.880, 156.346, 129.845, 146.645, 165.057, 183.699];
#[rustfmt::skip]
const OVER_THE_EDGE: [f32; 48] = [56.300, 68.216, 86.590, 104.965, 64.359, 69.947, 88.322, 106.696, 72.419, 75.826, 87.820, 102.787, 77.000, 77.000, 81.492, 96.459, 40.214, 44.612, 55.334, 73.873, 45.971, 48.908, 56.710, 72.328, 51.728, 54.161, 57.497, 66.852, 55.000, 55.000, 56.037, 62.471, 169.457, 189.280, 211.652, 235.906, 209.379, 228.715, 210.702, 112.290, 166.062, 61.893, 30.161, 35.918, 26.000, 26.000, 27.728, 33.484];
// As above on each plane at its own size, then the BT.601 matrix.
#[rustfmt::skip]
const ROTATED_I420: [f32; 48] = [55.746, 84.182, 112.619, 141.056, 81.682, 110.119, 138.556, 166.993, 107.619, 136.056, 164.493, 192.930, 133.556, 161.992, 190.429, 218.866, 141.918, 150.744, 159.570, 168.396, 143.759, 152.585, 161.410, 170.236, 145.599, 154.425, 163.251, 172.077, 147.439, 156.265, 165.091, 173.917, 0.000, 29.668, 70.164, 110.660, 0.000, 36.773, 77.269, 117.765, 3.382, 43.878, 84.374, 124.870, 10.487, 50.983, 91.479, 131.975];
// Computed with cv2.resize(INTER_AREA) of picture[2:10, 4:12], planes B, G, R.
#[rustfmt::skip]
const HALVED: [f32; 48] = [75.500, 85.500, 95.500, 105.500, 103.500, 113.500, 123.500, 133.500, 147.500, 157.500, 167.500, 177.500, 207.500, 217.500, 227.500, 173.500, 74.000, 140.000, 166.000, 88.000, 84.000, 150.000, 112.000, 98.000, 94.000, 160.000, 122.000, 108.000, 104.000, 170.000, 132.000, 118.000, 76.000, 102.000, 128.000, 154.000, 90.000, 116.000, 142.000, 168.000, 104.000, 130.000, 156.000, 182.000, 118.000, 144.000, 170.000, 196.000];

#[test]
fn rotated_square_equals_scipy() {
    let affine = Affine::from_square([8.3, 5.1], 5.0, 0.4, 4);
    assert_close(&crop_rgb(affine, 4, Order::Rgb), &ROTATED);
}

#[test]
fn the_edge_is_repeated_outside() {
    let affine = Affine::from_square([1.0, 11.0], 5.0, 0.4, 4);
    assert_close(&crop_rgb(affine, 4, Order::Rgb), &OVER_THE_EDGE);
}

#[test]
fn halving_equals_opencv_area() {
    let rect = Rect {
        x: 4.0,
        y: 2.0,
        width: 8.0,
        height: 8.0,
    };
    let affine = Affine::from_rect(rect, 4, 4);
    assert_close(&crop_rgb(affine, 4, Order::Bgr), &HALVED);
}

#[test]
fn subsampled_chroma_equals_scipy() {
    let plane = |width: usize, height: usize, value: fn(usize, usize) -> usize| {
        (0..width * height)
            .map(|i| value(i % width, i / width) as u8)
            .collect::<Vec<_>>()
    };
    let luma = plane(WIDTH, HEIGHT, |x, y| (x * 9 + y * 11) % 220 + 16);
    let blue = plane(WIDTH / 2, HEIGHT / 2, |x, y| (x * 17 + y * 5) % 224 + 16);
    let red = plane(WIDTH / 2, HEIGHT / 2, |x, y| {
        (x * 3 + y * 19 + 60) % 224 + 16
    });
    let frame = Frame {
        layout: i420(),
        planes: [&luma, &blue, &red],
    };
    let affine = Affine::from_square([8.3, 5.1], 5.0, 0.4, 4);
    assert_close(&crop(&frame, affine, 4, Order::Rgb), &ROTATED_I420);
}

#[test]
fn no_picture_is_too_small_and_no_crop_too_odd() {
    for (width, height) in [(0, 0), (1, 1), (1, 7), (3, 1), (5, 5)] {
        let bytes = vec![200; width * height * 3];
        let frame = Frame {
            layout: Layout::rgb(width, height),
            planes: [&bytes, &[], &[]],
        };
        for affine in [
            Affine::from_square([0.5, 0.5], 4.0, 0.3, 4),
            Affine::from_square([-1e9, 1e9], 1e9, 0.0, 4),
            Affine::from_square([1.0, 1.0], 1e-9, 9.0, 4),
            Affine::from_square([f32::NAN, 0.0], f32::INFINITY, 0.0, 4),
        ] {
            crop(&frame, affine, 4, Order::Rgb);
        }
        let values = crop(
            &frame,
            Affine::from_square([0.5, 0.5], 4.0, 0.3, 4),
            4,
            Order::Rgb,
        );
        let expected = if bytes.is_empty() { 0.0 } else { 200.0 };
        assert!(values.iter().all(|v| (v - expected).abs() < 1e-3));
    }
}
