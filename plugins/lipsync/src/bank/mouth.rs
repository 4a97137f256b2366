//! One mouth of a person: pixels of the lower face and what they show.

use std::ops::Range;
use std::sync::Arc;

use memmap2::Mmap;

use super::odd::{self, Skin};
use crate::face::{
    Mesh, colour,
    lips::{HeadFrame, Lips, edge, line},
    pose::Pose,
};
use crate::picture::{
    Rect, Region,
    frame::{Channel, Frame, Layout},
};

/// What is kept of a face around the middle of its mouth, in units of the distance between the eyes.
const ABOVE: f32 = 0.72;
const BELOW: f32 = 1.12;
const BESIDE: f32 = 1.12;

/// How a mouth is shaped, in units of the distance between the eyes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shape {
    /// Between the inner edges of the lips.
    pub opening: f32,
    /// Between the corners, the turn of the head undone.
    pub width: f32,
    /// Between the outer edges of the lips, less the opening: how much of the lips is seen.
    pub lips: f32,
}

impl Shape {
    /// The shape of these lips.
    pub fn of(lips: &Lips) -> Self {
        let [top, .., bottom] = lips.contours(lips.centre);
        let opening = lips.gap * lips.parted;
        Self {
            opening,
            width: lips.width,
            lips: (bottom - top - opening).max(0.0),
        }
    }
}

/// What is between lips is stretched to no more than this, and this much more.
const STRETCH: f32 = 1.7;
const STRETCH_MORE: f32 = 0.012;
/// Lips are brought nearer to each other by no more than this.
const CLOSES: f32 = 0.06;

/// From what to what opening a mouth whose opening is `own` can be bent and still look right.
pub fn bendable(own: f32) -> [f32; 2] {
    [(own - CLOSES).max(0.0), own * STRETCH + STRETCH_MORE]
}

/// How far a mouth whose opening is `own` stays off the one that is asked for.
pub fn unreached(own: f32, asked: f32) -> f32 {
    let [least, most] = bendable(own);
    (asked - most).max(least - asked).max(0.0)
}

/// How a face is held and lit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Held {
    /// How far the head is turned.
    pub pose: Pose,
    /// Pixels between the eyes.
    pub unit: f32,
    /// Mean R'G'B' of the skin.
    pub skin: [f32; 3],
    /// How the skin around the mouth looks, place by place.
    pub around: Skin,
}

impl Held {
    /// `None` where the mesh is no face.
    pub fn of(frame: &Frame, mesh: &Mesh) -> Option<Self> {
        Some(Self {
            pose: Pose::of(mesh),
            unit: HeadFrame::of(mesh)?.0.unit,
            skin: colour::skin(frame, mesh).unwrap_or_default(),
            around: odd::skin(frame, mesh),
        })
    }
}

/// What is known of a mouth beside its pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// Number of the frame in the source, and its time there in nanoseconds.
    pub frame: u64,
    /// Time stamp of its frame in the source, in nanoseconds.
    pub time: u64,
    /// How it is shaped.
    pub shape: Shape,
    /// How the head is held and lit.
    pub held: Held,
    /// Mean change of brightness from pixel to pixel around the lips, as a part of the brightness.
    pub sharpness: f32,
    /// Where touching lips meet, and where the lips of an open mouth end, against the mesh.
    pub line: [f32; 3],
    /// Where the lips of an open mouth end, above and below, against the mesh.
    pub ends: [[f32; 3]; 2],
    /// Number of the scene: mouths of another may be another person's.
    pub scene: u32,
    /// What is seen differs from what the others show, as with a hand before it.
    pub odd: bool,
}

/// Samples of a mouth's channels, in the file or in memory.
#[derive(Clone, Debug)]
pub enum Pixels {
    /// In memory.
    Owned(Arc<[u8]>),
    /// Part of a mapped file.
    Mapped(Arc<Mmap>, Range<usize>),
}

impl Pixels {
    /// The samples, packed.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Mapped(map, range) => map.get(range.clone()).unwrap_or_default(),
        }
    }
}

/// One mouth.
#[derive(Clone, Debug)]
pub struct Mouth {
    /// What was measured of it.
    pub look: Look,
    /// The points of the face in its frame.
    pub mesh: Arc<Mesh>,
    /// Which part of the source's picture the pixels are.
    pub region: Region,
    /// Its samples; [`copy`] says in which order.
    pub pixels: Pixels,
}

impl Mouth {
    /// The picture, whose samples lie in the source as `source` says.
    pub fn frame(&self, source: &Layout) -> Frame<'_> {
        Frame {
            layout: packed(source, self.region),
            planes: [self.pixels.bytes(), &[], &[]],
        }
    }

    /// Where its picture's corner is in the source.
    pub fn corner(&self) -> [f32; 2] {
        [self.region.x as f32, self.region.y as f32]
    }
}

/// The part of a picture that is kept of a face; empty where the mesh is none.
pub fn region(head: &HeadFrame, width: usize, height: usize) -> Region {
    let corners = [
        [-BESIDE, -ABOVE],
        [BESIDE, -ABOVE],
        [BESIDE, BELOW],
        [-BESIDE, BELOW],
    ]
    .map(|p| head.to_pixel(p));
    let Rect {
        x,
        y,
        width: w,
        height: h,
    } = Rect::around(&corners);
    Region::covering([x, y], [x + w, y + h], width, height)
}

/// Channels in planes of their own, each without padding, as mouths are kept.
pub fn packed(layout: &Layout, region: Region) -> Layout {
    let mut offset = 0;
    let channels = layout.channels.map(|channel| {
        let part = region.subsampled(
            channel.sub_x,
            channel.sub_y,
            channel.width(layout.width),
            channel.height(layout.height),
        );
        let kept = Channel {
            plane: 0,
            offset,
            step: channel.depth.bytes(),
            stride: part.width * channel.depth.bytes(),
            ..channel
        };
        offset += kept.stride * part.height;
        kept
    });
    Layout {
        width: region.width,
        height: region.height,
        channels,
        colour: layout.colour,
    }
}

/// Bytes that a mouth takes.
pub fn packed_len(layout: &Layout) -> usize {
    let last = &layout.channels[2];
    last.offset + last.stride * last.height(layout.height)
}

/// Copies a region of a frame.
pub fn copy(frame: &Frame, region: Region) -> Vec<u8> {
    let kept = packed(&frame.layout, region);
    let mut bytes = Vec::with_capacity(packed_len(&kept));
    for (from, to) in frame.layout.channels.iter().zip(&kept.channels) {
        let plane = frame.planes[from.plane];
        let (x, y) = (region.x >> from.sub_x, region.y >> from.sub_y);
        for row in 0..to.height(kept.height) {
            let start = from.index(x, y + row);
            let width = from.depth.bytes();
            let samples = plane[start..].chunks(from.step).take(to.stride / width);
            match width {
                // Kept apart because this one is fast.
                1 => bytes.extend(samples.filter_map(|sample| sample.first())),
                _ => samples.for_each(|sample| bytes.extend(&sample[..width.min(sample.len())])),
            }
        }
    }
    bytes
}

/// Looks at the mouth of a frame: what it shows, and its pixels. `None` where the mesh is no face
/// that lies in the picture.
pub fn look(frame: &Frame, mesh: &Mesh, number: u64, time: u64) -> Option<(Look, Region)> {
    let mut lips = Lips::of(mesh)?;
    let head = lips.frame;
    let (width, height) = (frame.layout.width, frame.layout.height);
    let region = region(&head, width, height);
    // A mouth that the picture's border cuts is none to keep.
    let inside = |p: [f32; 2]| {
        let [x, y] = head.to_pixel(p);
        x >= 1.0 && y >= 1.0 && x < width as f32 - 1.0 && y < height as f32 - 1.0
    };
    if region.is_empty()
        || ![[-0.5, 0.0], [0.5, 0.0], [0.0, 0.35], [0.0, -0.35]].map(inside)[..]
            .iter()
            .all(|i| *i)
    {
        return None;
    }
    if lips.open < 0.3
        && let Some(found) = line::find(frame, &lips)
    {
        lips.line = found;
    }
    if lips.open > 0.0 {
        lips.ends = edge::find(frame, &lips).map(Option::unwrap_or_default);
    }
    let look = Look {
        frame: number,
        time,
        shape: Shape::of(&lips),
        held: Held::of(frame, mesh)?,
        sharpness: sharpness(frame, &head),
        line: lips.line,
        ends: lips.ends,
        scene: 0,
        odd: false,
    };
    Some((look, region))
}

/// Samples along each side of the box that is looked at.
const SHARP_SAMPLES: usize = 48;

fn sharpness(frame: &Frame, head: &HeadFrame) -> f32 {
    let at = |i: usize, j: usize| {
        let place = |k: usize| k as f32 / (SHARP_SAMPLES - 1) as f32 - 0.5;
        let [x, y] = head.to_pixel([place(i), 0.8 * place(j)]);
        // Whole pixels: between them the picture is blurred.
        frame.luma_at(x as usize, y as usize)
    };
    let (mut change, mut light) = (0.0, 0.0);
    for j in 0..SHARP_SAMPLES {
        for i in 0..SHARP_SAMPLES {
            let [x, y] = head.to_pixel([
                i as f32 / (SHARP_SAMPLES - 1) as f32 - 0.5,
                0.8 * (j as f32 / (SHARP_SAMPLES - 1) as f32 - 0.5),
            ]);
            let (x, y) = (x as usize, y as usize);
            let middle = at(i, j);
            let around = frame.luma_at(x.saturating_sub(1), y)
                + frame.luma_at(x + 1, y)
                + frame.luma_at(x, y.saturating_sub(1))
                + frame.luma_at(x, y + 1);
            change += (middle - 0.25 * around).abs();
            light += middle;
        }
    }
    change / f32::max(light, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_mouth_is_bent_further_than_it_looks_right() {
        let [least, most] = bendable(0.2);
        assert!(least > 0.1 && most < 0.4);
        assert_eq!(bendable(0.03)[0], 0.0, "a small one closes");
        assert_eq!(unreached(0.1, 0.12), 0.0);
        assert!((unreached(0.0, 0.15) - (0.15 - STRETCH_MORE)).abs() < 1e-6);
        assert!((unreached(0.2, 0.1) - 0.04).abs() < 1e-6);
    }
}
