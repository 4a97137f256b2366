//! Chooses the mouth that each frame gets: the cheapest path through the mouths that there are.
//!
//! A mouth costs what its shape, pose, size and light are off from what is asked, and a step from
//! one mouth to the next costs more where they don't follow each other in the source. The path is
//! decided a bounded number of frames ahead, frame by frame, always from what was decided before.

use std::collections::VecDeque;
use std::ops::Range;

use super::mouth::{Held, Look, Mouth, Shape};

/// So many of the best mouths for a frame are looked at.
const CANDIDATES: usize = 40;

// What a difference of one unit (or radian, or e-fold) costs.
const OPENING: f32 = 40.0;
const WIDTH: f32 = 10.0;
const LIPS: f32 = 10.0;
const YAW: f32 = 14.0;
const PITCH: f32 = 14.0;
const ROLL: f32 = 3.0;
const SIZE: f32 = 2.0;
/// For a level of brightness.
const LIGHT: f32 = 0.01;
/// For a mouth without any detail against the sharpest.
const SOFT: f32 = 1.5;
const HIDDEN: f32 = 50.0;

// Steps.
const CUT: f32 = 0.35;
/// For a frame that the source leaves out or that is shown again, up to so many of them.
const SKIPPED: f32 = 0.06;
const MOST_SKIPPED: f32 = 12.0;
/// For a unit by which the mouths' openings differ otherwise than those asked for.
const JUMP: f32 = 6.0;

/// What a frame asks of its mouth.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    pub shape: Shape,
    pub held: Held,
    /// Times in the source from which nothing is taken: for measuring, else empty.
    pub barred: Range<u64>,
}

/// The mouth that a frame gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Index of the mouth.
    pub mouth: usize,
    /// What it costs by itself.
    pub cost: f32,
    /// It follows the one before in the source, forwards or backwards.
    pub follows: bool,
}

#[derive(Clone, Copy)]
struct Candidate {
    mouth: usize,
    cost: f32,
}

/// Chooses for one face.
#[derive(Default)]
pub struct Chooser {
    /// What was asked and not decided yet, the oldest first.
    open: VecDeque<(Shape, Vec<Candidate>)>,
    /// What was decided last.
    last: Option<(usize, Shape)>,
    sharpest: f32,
    /// So many mouths there were when the sharpest were looked for.
    counted: usize,
}

impl Chooser {
    /// Frames that wait for their decision.
    pub fn waiting(&self) -> usize {
        self.open.len()
    }

    /// Forgets what was shown, after a cut or a seek.
    pub fn reset(&mut self) {
        self.open.clear();
        self.last = None;
    }

    /// Adds the next frame.
    pub fn ask(&mut self, mouths: &[Mouth], ask: &Ask) {
        if mouths.len() > self.counted + self.counted / 8 {
            self.counted = mouths.len();
            self.sharpest = upper_quartile(mouths.iter().map(|m| m.look.sharpness));
        }
        let mut candidates: Vec<Candidate> = mouths
            .iter()
            .enumerate()
            .filter(|(_, mouth)| !ask.barred.contains(&mouth.look.time))
            .map(|(mouth, kept)| Candidate {
                mouth,
                cost: self.cost(ask, &kept.look),
            })
            .collect();
        if candidates.len() > CANDIDATES {
            let by_cost = |a: &Candidate, b: &Candidate| {
                a.cost.total_cmp(&b.cost).then(a.mouth.cmp(&b.mouth))
            };
            candidates.select_nth_unstable_by(CANDIDATES, by_cost);
            candidates.truncate(CANDIDATES);
        }
        candidates.sort_by_key(|candidate| candidate.mouth);
        self.open.push_back((ask.shape, candidates));
    }

    /// Decides about the oldest frame that waits, with what is known of those after it. `None` where
    /// none waits, or there is no mouth for it.
    pub fn decide(&mut self, mouths: &[Mouth]) -> Option<Choice> {
        let mut frames = self.open.iter();
        let (shape, first) = frames.next()?;
        // Cost of the best path to each candidate of a frame, and the first candidate on it.
        let mut paths: Vec<(f32, usize)> = first
            .iter()
            .enumerate()
            .map(|(i, candidate)| {
                let step = self.last.map_or(0.0, |(last, asked)| {
                    step(mouths, (last, asked), (candidate.mouth, *shape))
                });
                (candidate.cost + step, i)
            })
            .collect();
        let mut before = (shape, first);
        for (shape, candidates) in frames {
            if candidates.is_empty() {
                break;
            }
            let next = candidates.iter().map(|candidate| {
                let best = before.1.iter().zip(&paths).map(|(from, (cost, first))| {
                    let step = step(mouths, (from.mouth, *before.0), (candidate.mouth, *shape));
                    (cost + step, *first)
                });
                let (cost, first) = best.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default();
                (cost + candidate.cost, first)
            });
            paths = next.collect();
            before = (shape, candidates);
        }
        let best = paths.iter().min_by(|a, b| a.0.total_cmp(&b.0)).map(|p| p.1);
        let chosen = best.and_then(|best| first.get(best)).copied();
        let shape = *shape;
        self.open.pop_front();
        let Some(chosen) = chosen else {
            self.last = None;
            return None;
        };
        let follows = self
            .last
            .is_some_and(|(last, _)| apart(mouths, last, chosen.mouth) <= 1);
        self.last = Some((chosen.mouth, shape));
        Some(Choice {
            mouth: chosen.mouth,
            cost: chosen.cost,
            follows,
        })
    }

    fn cost(&self, ask: &Ask, look: &Look) -> f32 {
        let off = |a: f32, b: f32| (a - b).abs();
        let Held { pose, unit, skin } = ask.held;
        let light: f32 = (0..3).map(|i| off(skin[i], look.skin[i])).sum();
        let soft = (1.0 - look.sharpness / self.sharpest.max(1e-6)).max(0.0);
        OPENING * off(ask.shape.opening, look.shape.opening)
            + WIDTH * off(ask.shape.width, look.shape.width)
            + LIPS * off(ask.shape.lips, look.shape.lips)
            + YAW * off(pose.yaw, look.pose.yaw)
            + PITCH * off(pose.pitch, look.pose.pitch)
            + ROLL * off(pose.roll, look.pose.roll)
            + SIZE * (unit / look.unit).ln().abs()
            + LIGHT * light
            + SOFT * soft
            + if look.odd { HIDDEN } else { 0.0 }
    }
}

/// Frames of the source between two mouths.
fn apart(mouths: &[Mouth], a: usize, b: usize) -> u64 {
    let frame = |i: usize| mouths.get(i).map_or(0, |mouth| mouth.look.frame);
    frame(a).abs_diff(frame(b))
}

/// What it costs to show one mouth after another.
fn step(mouths: &[Mouth], (a, asked_a): (usize, Shape), (b, asked_b): (usize, Shape)) -> f32 {
    let apart = apart(mouths, a, b);
    if apart == 1 {
        return 0.0;
    }
    let opening = |i: usize| mouths.get(i).map_or(0.0, |mouth| mouth.look.shape.opening);
    let jump = (opening(b) - opening(a)) - (asked_b.opening - asked_a.opening);
    let skipped = apart.abs_diff(1) as f32;
    let cut = if apart == 0 { 0.0 } else { CUT };
    cut + SKIPPED * skipped.min(MOST_SKIPPED) + JUMP * jump.abs()
}

fn upper_quartile(values: impl Iterator<Item = f32>) -> f32 {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(f32::total_cmp);
    values
        .get(values.len() * 3 / 4)
        .copied()
        .unwrap_or_default()
}
