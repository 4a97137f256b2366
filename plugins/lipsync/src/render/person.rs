//! What is learnt about a face from frame to frame: running means, so that neither the source's own
//! talking nor the noise of one frame shows in the drawing.

use super::{
    arches::Turn,
    complexion::Complexion,
    frame::Frame,
    light::Light,
    lips::{Lips, edge, line},
    teeth::{KeptTeeth, View},
    warp::Rest,
};
use crate::{
    face::{Mesh, colour},
    model::JAW_OF_OPENING,
};

/// Seconds over which the running means of a face settle.
const MEMORY: f32 = 2.0;

/// Seconds over which the direction of the light settles: it changes as the head turns.
const LIGHT_MEMORY: f32 = 0.6;

/// Seconds over which the line of touching lips settles: it has to follow the mesh.
const LINE_MEMORY: f32 = 0.48;

/// Seconds over which the ends of the lips settle: they move with the mouth.
const END_MEMORY: f32 = 0.12;

/// From the base of the nose to the chin, in the middle of many faces.
const USUAL_HEIGHT: f32 = 1.06;

/// A running mean over the last so many seconds.
#[derive(Clone, Copy, Debug)]
struct Mean<const N: usize> {
    values: [f32; N],
    /// Seconds for which there were values, up to the memory.
    taken: f32,
}

impl<const N: usize> Mean<N> {
    fn of(values: [f32; N]) -> Self {
        Self { values, taken: 0.0 }
    }

    /// Takes what was so for the last `seconds`.
    fn take(&mut self, values: [f32; N], memory: f32, seconds: f32) {
        if self.is_empty() {
            // Exactly, so that a still picture gives the same frame for ever.
            self.values = values;
        }
        self.taken = (self.taken + seconds).min(memory);
        let share = (seconds / self.taken).min(1.0);
        for (mean, value) in self.values.iter_mut().zip(values) {
            *mean += (value - *mean) * share;
        }
    }

    fn is_empty(&self) -> bool {
        self.taken == 0.0
    }
}

/// A change from one frame to the next by so much is noise of the mesh: of the width of the mouth, as
/// a part of it, and of its line or the thickness of a lip, in units.
const WIDTH_NOISE: f32 = 0.06;
const LINE_NOISE: f32 = 0.01;

/// Something that is followed the faster, the more it moves: a resting mouth would else tremble with
/// the mesh.
#[derive(Clone, Copy, Debug)]
struct Steady {
    value: f32,
}

impl Steady {
    fn follow(&mut self, value: f32, noise: f32, seconds: f32) {
        let off = value - self.value;
        let share = (SLOWEST + (off / noise).powi(2)).min(1.0);
        self.value += off * (1.0 - (1.0 - share).powf(seconds / STEP));
    }
}

/// Share of the way that is gone in a step of so many seconds, at the least.
const SLOWEST: f32 = 0.05;
const STEP: f32 = 0.04;

/// No lip is made thicker by more than this part of itself.
const MOST_SWELLING: f32 = 0.3;
/// The mesh sees but half of what a lower lip shows more of as the mouth opens.
const ROLLED_OUT: f32 = 2.0;
const MOST_ROLLED_OUT: f32 = 0.1;

/// What is known about the face from the frames so far.
#[derive(Clone, Debug)]
pub struct Person {
    skin: Mean<3>,
    lip: Mean<3>,
    light: Mean<2>,
    /// Where touching lips meet, against the mesh.
    offset: Mean<3>,
    /// Where lips that are apart end, against the mesh.
    ends: [Mean<3>; 2],
    /// Width of the mouth, its line below the nose, and the height from there to the resting chin.
    size: Mean<3>,
    /// How thick the lips are while they touch: an open mouth stretches the upper one thin and shows more of the lower
    /// one.
    lips: Mean<2>,
    /// The mouth of the last frame against the mouth at rest: see `Rest`.
    widening: Steady,
    drop: Steady,
    swelling: Steady,
    rolled_out: Steady,
    pub teeth: KeptTeeth,
}

impl Default for Person {
    fn default() -> Self {
        Self {
            skin: Mean::of([180.0, 140.0, 120.0]),
            lip: Mean::of([150.0, 90.0, 85.0]),
            light: Mean::of([0.0; 2]),
            offset: Mean::of([0.0; 3]),
            ends: [Mean::of([0.0; 3]), Mean::of([0.0; 3])],
            size: Mean::of([0.0, 0.0, USUAL_HEIGHT]),
            lips: Mean::of([0.0; 2]),
            widening: Steady { value: 1.0 },
            drop: Steady { value: 0.0 },
            swelling: Steady { value: 0.0 },
            rolled_out: Steady { value: 0.0 },
            teeth: KeptTeeth::default(),
        }
    }
}

impl Person {
    /// Looks at one more frame, `seconds` after the last and before it is drawn on, and puts the line
    /// of touching lips right.
    pub fn look(&mut self, frame: &Frame, mesh: &Mesh, turn: &Turn, lips: &mut Lips, seconds: f32) {
        let new = self.size.is_empty();
        if let Some(skin) = colour::skin(frame, mesh) {
            self.skin.take(skin, MEMORY, seconds);
        }
        if let Some(lip) = colour::lip(frame, mesh) {
            self.lip.take(lip, MEMORY, seconds);
        }
        if let Some(Light { side, top }) = Light::of(frame, mesh) {
            self.light.take([side, top], LIGHT_MEMORY, seconds);
        }
        // Only touching lips show their line, and how thick they are at rest.
        let touching = lips.open < 0.3;
        if touching && let Some(offset) = line::find(frame, lips) {
            self.offset.take(offset, LINE_MEMORY, seconds);
        }
        lips.line = self.offset.values;
        let thickness = lips.thickness();
        if touching {
            self.lips.take(thickness, MEMORY, seconds);
        }
        if !self.lips.is_empty() {
            let [upper, lower] = std::array::from_fn(|i| thickness[i] - self.lips.values[i]);
            let swelling = (-upper).clamp(0.0, MOST_SWELLING * thickness[0]);
            self.swelling
                .follow(swelling * lips.parted, LINE_NOISE, seconds);
            let rolled_out = (ROLLED_OUT * lower).clamp(0.0, MOST_ROLLED_OUT);
            self.rolled_out
                .follow(rolled_out * lips.parted, LINE_NOISE, seconds);
        }
        if lips.open > 0.0 {
            for (end, found) in self.ends.iter_mut().zip(edge::find(frame, lips)) {
                if let Some(found) = found {
                    end.take(found, END_MEMORY, seconds);
                }
            }
        }
        lips.ends = [self.ends[0].values, self.ends[1].values];
        let line = lips.edges(lips.centre)[2] - lips.nose;
        let jaw = JAW_OF_OPENING * lips.gap * lips.parted;
        let height = lips.chin[1] - lips.nose - jaw;
        self.size.take([lips.width, line, height], MEMORY, seconds);
        let [width, rests_at, _] = self.size.values;
        self.widening
            .follow(width / lips.width.max(0.05), WIDTH_NOISE, seconds);
        self.drop.follow(rests_at - line, LINE_NOISE, seconds);
        // What the teeth keeps is drawn against the resting mouth.
        let view = View::new(frame, lips, turn, self.rest().drop);
        self.teeth.look(&view, &self.complexion());
        if new {
            // Nothing was drawn that they would take the place of.
            self.teeth.settle();
        } else {
            self.teeth.pass(seconds);
        }
    }

    pub fn complexion(&self) -> Complexion {
        Complexion {
            skin: self.skin.values,
            lip: self.lip.values,
            light: {
                let [side, top] = self.light.values;
                Light { side, top }
            },
        }
    }

    /// How much further than the usual face this one can open its mouth: a long lower face goes with
    /// a long jaw.
    pub fn gain(&self) -> f32 {
        (self.size.values[2] / USUAL_HEIGHT).clamp(0.85, 1.15)
    }

    /// The mouth of the last frame against the mouth at rest.
    pub fn rest(&self) -> Rest {
        Rest {
            widening: self.widening.value.clamp(0.85, 1.18),
            drop: self.drop.value.clamp(-0.05, 0.05),
            swelling: self.swelling.value,
            rolled_out: self.rolled_out.value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_stays_is_its_own_mean_to_the_last_bit() {
        let mut mean = Mean::of([180.0, -3.0]);
        for _ in 0..100 {
            mean.take([0.1, 1e-7], 2.0, 0.04);
            assert_eq!(mean.values, [0.1, 1e-7]);
        }
        // Another value is approached over the memory.
        mean.take([50.1, 0.0], 2.0, 0.04);
        assert!((mean.values[0] - 1.1).abs() < 1e-4);
    }

    #[test]
    fn memories_count_seconds_and_not_frames() {
        let after = |rate: f32| {
            let step = 1.0 / rate;
            let mut mean = Mean::of([0.0]);
            let mut steady = Steady { value: 0.0 };
            (0..(4.0 * rate) as usize).for_each(|_| mean.take([0.0], 2.0, step));
            for _ in 0..rate as usize {
                mean.take([1.0], 2.0, step);
                steady.follow(0.001, LINE_NOISE, step);
            }
            [mean.values[0], steady.value]
        };
        let [slow, fast] = [10.0, 60.0].map(after);
        for (slow, fast) in slow.into_iter().zip(fast) {
            assert!((slow / fast - 1.0).abs() < 0.05, "{slow} and {fast}");
        }
        // A second of the memory's two has gone by.
        assert!((slow[0] - 0.4).abs() < 0.02, "{}", slow[0]);
    }
}
