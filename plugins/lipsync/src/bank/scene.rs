//! Tells scenes apart: after a cut the face may be another person's, and may come back later.

use crate::face::Face;
use crate::face::cut::Glance;
use crate::picture::frame::Frame;

/// Scenes that are remembered; further ones are no more known again.
const MOST: usize = 256;
/// Between frames that are further apart, in nanoseconds, something was left out: a seek.
const LEFT_OUT: u64 = 1_000_000_000;
/// Then a scene is held against how it began as if that were so many seconds ago.
const LONG_AGO: f32 = 10.0;
/// A scene that comes back is held as strictly against how it began as one frame against the next:
/// two people in one room must not be taken for one.
const AT_ONCE: f32 = 0.0;

/// The scenes so far.
#[derive(Default)]
pub struct Scenes {
    /// How each began.
    began: Vec<Glance>,
    /// The last frame: whose face it shows, what it looks like, and when.
    last: Option<(u32, Glance, u64)>,
    current: u32,
}

impl Scenes {
    /// The scene of the last frame.
    pub fn current(&self) -> u32 {
        self.current
    }

    /// The scene of a frame that is at `time` (nanoseconds) in its source.
    pub fn of(&mut self, frame: &Frame, face: &Face, time: u64) -> u32 {
        let mesh = face.mesh.as_ref();
        let Some(glance) = mesh.and_then(|mesh| Glance::of(frame, mesh)) else {
            return self.current;
        };
        let goes_on = self.last.as_ref().is_some_and(|(track, before, at)| {
            let seconds = at.abs_diff(time) as f32 * 1e-9;
            *track == face.id && glance.follows(before, seconds)
        });
        if !goes_on {
            let left_out = self
                .last
                .as_ref()
                .is_some_and(|(_, _, at)| at.abs_diff(time) > LEFT_OUT);
            let ago = if left_out { LONG_AGO } else { AT_ONCE };
            let known = self
                .began
                .iter()
                .position(|began| glance.follows(began, ago));
            self.current = known.unwrap_or_else(|| {
                if self.began.len() < MOST {
                    self.began.push(glance.clone());
                }
                self.began.len().saturating_sub(1)
            }) as u32;
        }
        self.last = Some((face.id, glance, time));
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::testing;

    /// The scenes of frames, each given by how bright it is and the track of its face.
    fn scenes(frames: &[(f32, u32)]) -> Vec<u32> {
        let layout = testing::layouts(300, 260)[0];
        let picture = testing::picture(&layout);
        let mesh = testing::face(testing::AT, testing::UNIT);
        let mut scenes = Scenes::default();
        let frames = frames.iter().enumerate();
        frames
            .map(|(i, (light, track))| {
                let plane: Vec<u8> = picture[0]
                    .iter()
                    .map(|v| (f32::from(*v) * light) as u8)
                    .collect();
                let frame = Frame {
                    layout,
                    planes: [&plane, &[], &[]],
                };
                let face = Face {
                    id: *track,
                    bounds: mesh.bounds(),
                    score: 1.0,
                    mesh: Some(mesh.clone()),
                };
                scenes.of(&frame, &face, i as u64 * 40_000_000)
            })
            .collect()
    }

    #[test]
    fn a_cut_begins_a_scene_and_one_that_comes_back_is_known_again() {
        let (bright, dark) = ((1.0, 0), (0.4, 0));
        assert_eq!(
            scenes(&[bright, bright, dark, dark, bright]),
            [0, 0, 1, 1, 0]
        );
        assert_eq!(scenes(&[bright, (0.97, 0), (0.94, 0), (0.9, 0)]), [0; 4]);
    }
}
