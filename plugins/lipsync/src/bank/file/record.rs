//! What a face file has of a mouth beside its pixels: a record of so many bytes.

use std::sync::Arc;

use memmap2::Mmap;

use crate::bank::mouth::{Held, Look, Mouth, Pixels, Shape, packed, packed_len};
use crate::bank::odd::{SKIN_PLACES, Skin};
use crate::bank::points::{self, MESH_LEN};
use crate::face::pose::Pose;
use crate::picture::Region;
use crate::picture::frame::Layout;

/// Numbers of a mouth's look.
const LOOK_NUMBERS: usize = 21 + 2 * SKIN_PLACES;

/// Bytes of a record.
pub const LEN: usize = 8 + 8 + 4 + 4 * 4 + 8 + 8 + 4 * LOOK_NUMBERS + MESH_LEN;

pub fn pack(mouth: &Mouth, pixels_at: u64, length: u64, to: &mut Vec<u8>) {
    let Look {
        frame,
        time,
        shape,
        held:
            Held {
                pose,
                unit,
                skin,
                around,
            },
        sharpness,
        line,
        ends,
        scene,
        odd,
    } = &mouth.look;
    to.extend(frame.to_le_bytes());
    to.extend(time.to_le_bytes());
    to.extend(scene.to_le_bytes());
    let Region {
        x,
        y,
        width,
        height,
    } = mouth.region;
    for value in [x, y, width, height] {
        to.extend((value as u32).to_le_bytes());
    }
    to.extend(pixels_at.to_le_bytes());
    to.extend(length.to_le_bytes());
    let numbers = [
        shape.opening,
        shape.width,
        shape.lips,
        pose.yaw,
        pose.pitch,
        pose.roll,
        *unit,
    ]
    .into_iter()
    .chain(*skin)
    .chain([*sharpness, f32::from(u8::from(*odd))])
    .chain(*line)
    .chain(ends.iter().flatten().copied())
    .chain(around.iter().flatten().copied());
    let start = to.len();
    numbers.for_each(|v| to.extend(v.to_le_bytes()));
    debug_assert_eq!(to.len() - start, 4 * LOOK_NUMBERS);
    points::pack(&mouth.mesh, to);
}

pub fn unpack(bytes: &[u8], source: &Layout, map: &Arc<Mmap>) -> Option<Mouth> {
    let mut from = Reader(bytes);
    let (frame, time, scene) = (from.u64()?, from.u64()?, from.u32()?);
    let mut size = || from.u32().map(|v| v as usize);
    let region = Region {
        x: size()?,
        y: size()?,
        width: size()?,
        height: size()?,
    };
    let even = |v: usize| v & 1 == 0;
    let fits = |start: usize, length: usize, limit: usize| {
        even(start) && length > 0 && start.checked_add(length).is_some_and(|end| end <= limit)
    };
    if !fits(region.x, region.width, source.width) || !fits(region.y, region.height, source.height)
    {
        return None;
    }
    let (start, length) = (from.u64()? as usize, from.u64()? as usize);
    let end = start.checked_add(length)?;
    if end > map.len() || length != packed_len(&packed(source, region)) {
        return None;
    }
    let mut numbers = [0.0; LOOK_NUMBERS];
    for number in &mut numbers {
        *number = from.f32().filter(|v| v.abs() < 1e6)?;
    }
    let [
        opening,
        width,
        lips,
        yaw,
        pitch,
        roll,
        unit,
        r,
        g,
        b,
        sharpness,
        odd,
        rest @ ..,
    ] = numbers;
    let [l0, l1, l2, a0, a1, a2, b0, b1, b2, rest @ ..] = rest;
    let mut around: Skin = [[0.0; 2]; SKIN_PLACES];
    around
        .iter_mut()
        .flatten()
        .zip(rest)
        .for_each(|(to, v)| *to = v);
    if unit < 2.0 {
        return None;
    }
    Some(Mouth {
        look: Look {
            frame,
            time,
            shape: Shape {
                opening,
                width,
                lips,
            },
            held: Held {
                pose: Pose { yaw, pitch, roll },
                unit,
                skin: [r, g, b],
                around,
            },
            sharpness,
            line: [l0, l1, l2],
            ends: [[a0, a1, a2], [b0, b1, b2]],
            scene,
            odd: odd != 0.0,
        },
        mesh: Arc::new(points::unpack(from.0)?),
        region,
        pixels: Pixels::Mapped(map.clone(), start..end),
    })
}

/// Takes numbers from the front of bytes.
pub struct Reader<'a>(pub &'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn f32(&mut self) -> Option<f32> {
        self.take().map(f32::from_le_bytes)
    }
}
