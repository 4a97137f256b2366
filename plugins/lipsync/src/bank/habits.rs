//! How a person's mouth is shaped at rest and as it opens, and with that what a network's
//! parameters ask of it.

use super::mouth::{Held, Mouth, Shape};
use super::odd::Usual;
use crate::face::lips::Lips;
use crate::model::{JAW_OF_OPENING, MouthParams};

/// From the base of the nose to the chin, in the middle of many faces.
const USUAL_HEIGHT: f32 = 1.06;
/// Lips nearer than this touch.
const TOUCHING: f32 = 0.012;
/// How much less of the lips is seen when they are pressed, or the lower one is tucked in.
const PRESSED: f32 = 0.05;
const TUCKED: f32 = 0.05;

/// How far speech opens the usual mouth, and by how much less a mouth is taken to open that was never
/// seen so far open. It may have been silent all the while.
const USUAL_OPENING: f32 = 0.16;
const LEAST_REACH: f32 = 0.7;

/// With fewer mouths than this, or all as far open, there is nothing to choose from.
pub(super) const LEAST_MOUTHS: usize = 12;
const LEAST_RANGE: f32 = 0.05;

/// What is usual for a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Habits {
    /// Width of the resting mouth.
    width: f32,
    /// How much of the lips is seen: when they touch, and for each unit of opening more.
    lips: [f32; 2],
    /// How much further than the usual face this one opens its mouth: a long lower face goes with a
    /// long jaw.
    gain: f32,
    /// How far it opens its mouth as a part of what the usual face does with its speech.
    reach: f32,
    /// From the most closed to the widest of the mouths, a few at each end apart.
    range: f32,
    around: Usual,
    /// Mouths that this was read from.
    count: usize,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            width: 0.75,
            lips: [0.24, 0.1],
            gain: 1.0,
            reach: 1.0,
            range: 0.0,
            around: Usual::of(&[]),
            count: 0,
        }
    }
}

impl Habits {
    /// The habits that these mouths show.
    pub fn of(mouths: &[&Mouth]) -> Self {
        let usual = Self::default();
        let mut closed: Vec<f32> = widths(mouths, |shape| shape.opening < TOUCHING);
        if closed.len() < 5 {
            closed = widths(mouths, |_| true);
        }
        let mut heights: Vec<f32> = mouths
            .iter()
            .filter_map(|mouth| {
                let lips = Lips::of(&mouth.mesh)?;
                let jaw = JAW_OF_OPENING * lips.gap * lips.parted;
                Some(lips.chin[1] - lips.nose - jaw)
            })
            .collect();
        let height = middle(&mut heights).unwrap_or(USUAL_HEIGHT);
        let gain = (height / USUAL_HEIGHT).clamp(0.85, 1.15);
        let [closest, widest] = extremes(mouths);
        Self {
            width: middle(&mut closed).unwrap_or(usual.width),
            lips: lips(mouths).unwrap_or(usual.lips),
            gain,
            reach: (widest / (gain * USUAL_OPENING)).clamp(LEAST_REACH, 1.0),
            range: widest - closest,
            around: Usual::of(
                &mouths
                    .iter()
                    .map(|m| m.look.held.around)
                    .collect::<Vec<_>>(),
            ),
            count: mouths.len(),
        }
    }

    /// Whether the person was seen with mouths that differ enough to choose among them.
    pub fn are_varied(&self) -> bool {
        self.count >= LEAST_MOUTHS && self.range > LEAST_RANGE
    }

    /// Whether something is before the face.
    pub fn is_hidden(&self, held: &Held) -> bool {
        self.around.is_odd(&held.around)
    }

    /// Whether there are so many mouths more by now that it is worth reading them again.
    pub fn is_outdated(&self, mouths: usize) -> bool {
        mouths > self.count + self.count / 8
    }

    /// `params` for someone who opens the mouth as this person does.
    pub fn adapted(&self, params: &MouthParams) -> MouthParams {
        MouthParams {
            opening: params.opening * self.reach,
            jaw: params.jaw * self.reach,
            ..*params
        }
    }

    /// The shape of the person's mouth that `params` ask for.
    pub fn shape(&self, params: &MouthParams) -> Shape {
        let opening = params.opening * self.gain;
        // Wide and narrow saturate: a network asks for more than a face can do.
        let wider = params.width / self.width;
        let wider = wider / (1.0 + wider.abs());
        let [closed, more] = self.lips;
        let lips = closed + more * opening - PRESSED * params.press - TUCKED * params.tuck;
        Shape {
            opening,
            width: self.width * (1.0 + wider),
            lips: lips.max(0.05),
        }
    }
}

/// The least and the greatest opening, a few at each end apart.
fn extremes(mouths: &[&Mouth]) -> [f32; 2] {
    let mut openings: Vec<f32> = mouths.iter().map(|m| m.look.shape.opening).collect();
    openings.sort_by(f32::total_cmp);
    let at = |part: usize| openings.get(openings.len() * part / 100).copied();
    [3, 97].map(|part| at(part).unwrap_or_default())
}

fn widths(mouths: &[&Mouth], is: impl Fn(&Shape) -> bool) -> Vec<f32> {
    let shapes = mouths.iter().map(|mouth| &mouth.look.shape);
    shapes.filter(|s| is(s)).map(|s| s.width).collect()
}

/// A straight line through how much of the lips is seen at each opening, by least squares.
fn lips(mouths: &[&Mouth]) -> Option<[f32; 2]> {
    let n = mouths.len() as f32;
    let mean =
        |value: fn(&Shape) -> f32| mouths.iter().map(|m| value(&m.look.shape)).sum::<f32>() / n;
    if mouths.len() < 5 {
        return None;
    }
    let (x, y) = (mean(|s| s.opening), mean(|s| s.lips));
    let (mut both, mut own) = (0.0, 1e-3 * n);
    for shape in mouths.iter().map(|mouth| &mouth.look.shape) {
        both += (shape.opening - x) * (shape.lips - y);
        own += (shape.opening - x).powi(2);
    }
    let more = (both / own).clamp(-0.5, 0.5);
    Some([y - more * x, more])
}

fn middle(values: &mut [f32]) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::testing;

    /// What is usual for a face that was seen this far open.
    fn habits(widest: f32) -> Habits {
        let mouths: Vec<Mouth> = (0..50)
            .map(|i| testing::mouth(i, widest * i as f32 / 48.0))
            .collect();
        Habits::of(&mouths.iter().collect::<Vec<_>>())
    }

    #[test]
    fn who_never_opens_wide_does_not_in_speech_either() {
        let asked = MouthParams {
            opening: 0.16,
            ..MouthParams::default()
        };
        let opening = |widest: f32| habits(widest).adapted(&asked).opening;
        assert_eq!(opening(0.4), 0.16, "nobody opens wider than speech asks");
        assert!(opening(0.14) < 0.16 && opening(0.14) > opening(0.12));
        let silent = opening(0.02);
        assert!((silent - LEAST_REACH * 0.16).abs() < 1e-6, "{silent}");
    }
}
