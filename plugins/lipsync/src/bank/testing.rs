//! Mouths for tests.

use std::sync::Arc;

use super::{Held, Look, Mouth, Pixels, Shape};
use crate::face::pose::Pose;
use crate::picture::Region;
use crate::render::testing;

pub fn shape(opening: f32) -> Shape {
    Shape {
        opening,
        width: 0.8,
        lips: 0.25,
    }
}

pub fn held() -> Held {
    Held {
        pose: Pose::default(),
        unit: 60.0,
        skin: [150.0; 3],
        around: [[1.0; 2]; 26],
    }
}

/// The mouth of a frame, without pixels.
pub fn mouth(frame: u64, opening: f32) -> Mouth {
    Mouth {
        look: Look {
            frame,
            time: frame * 40,
            shape: shape(opening),
            held: held(),
            sharpness: 0.03,
            line: [0.0; 3],
            ends: [[0.0; 3]; 2],
            scene: 0,
            odd: false,
        },
        mesh: Arc::new(testing::face([150.0, 130.0], 60.0)),
        region: Region::EMPTY,
        pixels: Pixels::Owned(Arc::new([])),
    }
}
