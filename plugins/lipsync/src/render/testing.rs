//! Pictures, layouts and faces for the tests of this module.

use super::{
    Region,
    frame::{Channel, Colour, Layout},
    warp::Rest,
};
use crate::{
    face::{MESH_POINTS, Mesh},
    model::{JAW_OF_OPENING, MouthParams},
    picture::sample::Depth,
};

/// Where the middle of the mouth is, and the distance between the eyes.
pub const AT: [f32; 2] = [150.0, 130.0];
pub const UNIT: f32 = 60.0;

/// The source as it rests.
pub const REST: Rest = Rest {
    widening: 1.0,
    drop: 0.0,
    swelling: 0.0,
    rolled_out: 0.0,
};

/// Packed RGB and BGRx, I420 and NV12 with padded rows, 4:4:4 in 709, I420 and NV12 of 10 bits, YUY2.
pub fn layouts(width: usize, height: usize) -> [Layout; 8] {
    let packed = |offsets: [usize; 3], step: usize| Layout {
        width,
        height,
        channels: offsets.map(|offset| Channel {
            plane: 0,
            offset,
            step,
            stride: width * step + 5,
            sub_x: 0,
            sub_y: 0,
            depth: Depth::Eight,
        }),
        colour: Colour::Rgb,
    };
    let luma = Channel {
        plane: 0,
        offset: 0,
        step: 1,
        stride: width + 3,
        sub_x: 0,
        sub_y: 0,
        depth: Depth::Eight,
    };
    let half = width.div_ceil(2);
    let chroma = |plane, offset, step| Channel {
        plane,
        offset,
        step,
        stride: half * step + 4,
        sub_x: 1,
        sub_y: 1,
        depth: Depth::Eight,
    };
    let yuv = |channels, colour| Layout {
        width,
        height,
        channels,
        colour,
    };
    let deep = |c: Channel, depth| Channel {
        offset: 2 * c.offset,
        step: 2 * c.step,
        stride: 2 * c.stride,
        depth,
        ..c
    };
    let yuy2 = |offset, step, sub_x| Channel {
        offset,
        step,
        stride: 4 * half + 8,
        sub_x,
        ..luma
    };
    let full = |plane| Channel { plane, ..luma };
    let bt709 = Colour::Yuv {
        kr: 0.2126,
        kb: 0.0722,
        full_range: true,
    };
    [
        Layout::rgb(width, height),
        packed([2, 1, 0], 4),
        yuv([luma, chroma(1, 0, 1), chroma(2, 0, 1)], Colour::BT601),
        yuv([luma, chroma(1, 0, 2), chroma(1, 1, 2)], Colour::BT601),
        yuv([luma, full(1), full(2)], bt709),
        yuv(
            [luma, chroma(1, 0, 1), chroma(2, 0, 1)].map(|c| deep(c, Depth::Ten)),
            Colour::BT601,
        ),
        yuv(
            [luma, chroma(1, 0, 2), chroma(1, 1, 2)].map(|c| deep(c, Depth::TenAbove)),
            Colour::BT601,
        ),
        yuv([yuy2(0, 2, 0), yuy2(1, 4, 1), yuy2(3, 4, 1)], Colour::BT601),
    ]
}

/// A smooth, skin-coloured picture with some texture, the same in every layout.
pub fn picture(layout: &Layout) -> [Vec<u8>; 3] {
    let mut planes = [0, 1, 2].map(|p| {
        let size = |c: &&Channel| c.stride * c.height(layout.height);
        let of_plane = layout.channels.iter().filter(|c| c.plane == p);
        vec![77u8; of_plane.map(|c| size(&c)).max().unwrap_or(0)]
    });
    for (i, c) in layout.channels.iter().enumerate() {
        for y in 0..c.height(layout.height) {
            for x in 0..c.width(layout.width) {
                let centre = |v: usize, sub: u8| ((v as f32 + 0.5) * f32::from(1u8 << sub)) - 0.5;
                let rgb = skin(centre(x, c.sub_x), centre(y, c.sub_y));
                let value = layout.colour.from_rgb(rgb)[i];
                c.depth.put(&mut planes[c.plane], c.index(x, y), value);
            }
        }
    }
    planes
}

fn skin(x: f32, y: f32) -> [f32; 3] {
    let wave = 18.0 * (x * 0.11).sin() * (y * 0.09).cos();
    [
        190.0 + wave,
        140.0 + wave * 0.8,
        110.0 + wave * 0.6 + 30.0 * (y * 0.14).sin(),
    ]
}

pub fn rgb_at(layout: &Layout, planes: &[Vec<u8>; 3], x: usize, y: usize) -> [f32; 3] {
    layout.colour.to_rgb(layout.channels.map(|c| {
        c.get(&planes[c.plane], x >> c.sub_x, y >> c.sub_y)
            .unwrap_or_default()
    }))
}

/// Every byte outside the region, padding included, is as it was.
pub fn assert_same_outside(
    layout: &Layout,
    before: &[Vec<u8>; 3],
    after: &[Vec<u8>; 3],
    region: Region,
) {
    let mut expected = before.clone();
    for c in &layout.channels {
        for y in 0..c.height(layout.height) {
            for x in 0..c.width(layout.width) {
                if region.contains(x << c.sub_x, y << c.sub_y) {
                    let at = c.index(x, y);
                    let sample = at..at + c.depth.bytes();
                    expected[c.plane][sample.clone()].copy_from_slice(&after[c.plane][sample]);
                }
            }
        }
    }
    assert!(&expected == after, "changed outside {region:?}");
}

/// A frontal face of plain geometry: mouth at `at`, eyes `unit` pixels apart, lips closed.
pub fn face(at: [f32; 2], unit: f32) -> Mesh {
    face_with_gap(at, unit, 0.02)
}

/// The same with the inner lips `gap` units apart.
pub fn face_with_gap(at: [f32; 2], unit: f32, gap: f32) -> Mesh {
    let mut mesh = Mesh(Box::new([[0.0; 3]; MESH_POINTS]));
    for p in mesh.0.iter_mut() {
        *p = [at[0], at[1], 0.0];
    }
    let mut put = |i: usize, x: f32, y: f32| mesh.0[i] = [at[0] + x * unit, at[1] + y * unit, 0.0];
    for (i, x) in [(33, -0.65), (133, -0.35), (362, 0.35), (263, 0.65)] {
        put(i, x, -1.1);
    }
    let mut curve = |points: &[usize], half: f32, bend: f32| {
        let last = (points.len() - 1) as f32;
        for (k, &i) in points.iter().enumerate() {
            let t = k as f32 / last * 2.0 - 1.0;
            put(i, t * half, bend * (1.0 - t * t));
        }
    };
    curve(
        &[78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308],
        0.37,
        -0.2 * gap,
    );
    curve(
        &[78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308],
        0.37,
        0.8 * gap,
    );
    curve(
        &[61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291],
        0.41,
        -0.11,
    );
    curve(
        &[146, 91, 181, 84, 17, 314, 405, 321, 375],
        0.33,
        0.13 + gap,
    );
    // Jaw from ear to ear.
    curve(
        &[
            132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361,
        ],
        0.9,
        0.62,
    );
    for (left, right, x, y) in [(50, 280, 0.55, -0.5), (117, 346, 0.65, -0.7)] {
        put(left, -x, y);
        put(right, x, y);
    }
    put(2, 0.0, -0.32);
    put(205, -0.6, -0.35);
    put(425, 0.6, -0.35);
    put(4, 0.0, -0.5);
    for (i, y) in [(15, 0.05), (16, 0.09), (199, 0.4), (200, 0.47), (175, 0.55)] {
        put(i, 0.0, y + gap);
    }
    mesh
}

/// The face turned about its upright axis by `angle` (radians), cheeks lying further back.
pub fn turned(mut mesh: Mesh, at: [f32; 2], unit: f32, angle: f32) -> Mesh {
    for [x, _, z] in mesh.0.iter_mut() {
        let from = *x - at[0];
        let depth = from * from / unit;
        *x = at[0] + from * angle.cos() + depth * angle.sin();
        *z = depth * angle.cos() - from * angle.sin();
    }
    mesh
}

/// The face tilted in the picture by `angle` (radians).
pub fn tilted(mut mesh: Mesh, at: [f32; 2], angle: f32) -> Mesh {
    let (s, c) = angle.sin_cos();
    for [x, y, _] in mesh.0.iter_mut() {
        let (u, v) = (*x - at[0], *y - at[1]);
        (*x, *y) = (at[0] + u * c - v * s, at[1] + u * s + v * c);
    }
    mesh
}

pub fn shape(opening: f32, width: f32, tuck: f32) -> MouthParams {
    MouthParams {
        opening,
        width,
        tuck,
        jaw: JAW_OF_OPENING * opening,
        ..Default::default()
    }
}

/// Faces that differ in pose and in what their own mouth does.
pub fn faces() -> Vec<Mesh> {
    let mut faces = Vec::new();
    for gap in [0.02, 0.06, 0.16, 0.35] {
        let frontal = face_with_gap(AT, UNIT, gap);
        for angle in [-0.7, 0.4] {
            faces.push(turned(frontal.clone(), AT, UNIT, angle));
        }
        faces.push(tilted(frontal.clone(), AT, 0.5));
        faces.push(frontal);
    }
    faces
}

pub fn shapes() -> Vec<MouthParams> {
    let mut shapes = Vec::new();
    for opening in [-0.1, 0.0, 0.05, 0.15, 0.3, 0.45] {
        for width in [-0.5, -0.2, 0.0, 0.25] {
            for tuck in [0.0, 1.0] {
                shapes.push(shape(opening, width, tuck));
            }
        }
    }
    shapes
}
