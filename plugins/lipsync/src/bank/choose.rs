//! Chooses the mouth that each frame gets: the cheapest path through the mouths that there are.
//!
//! A mouth costs what its shape, pose, size and light are off from what is asked, and a step from
//! one mouth to the next costs more where they don't follow each other in the source. The path is
//! decided a bounded number of frames ahead, frame by frame, always from what was decided before.

use std::collections::VecDeque;
use std::ops::Range;

use super::mouth::{Held, Look, Mouth, Shape, unreached};

/// So many of the best mouths for a frame are looked at.
const CANDIDATES: usize = 40;

// What a difference of one unit (or radian, or e-fold) costs.
const OPENING: f32 = 28.0;
const WIDTH: f32 = 10.0;
const LIPS: f32 = 10.0;
const YAW: f32 = 14.0;
const PITCH: f32 = 14.0;
const ROLL: f32 = 3.0;
const SIZE: f32 = 2.0;
/// For a level of brightness.
const LIGHT: f32 = 0.01;
/// For a unit that a mouth stays off what is asked when it is bent as far as it goes: a mouth from
/// another pose looks better than one that is painted open.
const UNREACHED: f32 = 40.0;
/// For a mouth without any detail against the sharpest.
const SOFT: f32 = 1.5;
const HIDDEN: f32 = 50.0;

// Steps.
const CUT: f32 = 0.7;
/// For a frame that the source leaves out or that is shown again, up to so many of them.
const SKIPPED: f32 = 0.06;
const MOST_SKIPPED: f32 = 12.0;
/// For a unit by which the mouths' openings differ otherwise than those asked for.
const JUMP: f32 = 6.0;

/// What a frame asks of its mouth.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The mouth that the speech wants.
    pub shape: Shape,
    /// How the head is held and lit in the frame that it is for.
    pub held: Held,
    /// Only mouths of this scene are of the same person for sure.
    pub scene: u32,
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

/// Which of the questions a decision is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// A frame that waits for its mouth.
struct Question {
    ticket: Ticket,
    shape: Shape,
    candidates: Vec<Candidate>,
}

/// Chooses for one face.
#[derive(Default)]
pub struct Chooser {
    /// What was asked and not decided yet, the oldest first.
    open: VecDeque<Question>,
    asked: u64,
    /// What was decided last.
    last: Option<(usize, Shape)>,
    sharpest: f32,
    /// So many mouths there were when the sharpest were looked for.
    counted: usize,
}

impl Chooser {
    /// Forgets what was shown last; the frames that wait still get their mouths.
    pub fn interrupt(&mut self) {
        self.last = None;
    }

    /// Forgets all: tickets that are out get no mouth.
    pub fn reset(&mut self) {
        self.open.clear();
        self.last = None;
    }

    /// Adds the next frame.
    pub fn ask(&mut self, mouths: &[Mouth], ask: &Ask) -> Ticket {
        if mouths.len() > self.counted + self.counted / 8 {
            self.counted = mouths.len();
            self.sharpest = upper_quartile(mouths.iter().map(|m| m.look.sharpness));
        }
        let mut candidates: Vec<Candidate> = mouths
            .iter()
            .enumerate()
            .filter(|(_, mouth)| mouth.look.scene == ask.scene)
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
        let ticket = Ticket(self.asked);
        self.asked += 1;
        self.open.push_back(Question {
            ticket,
            shape: ask.shape,
            candidates,
        });
        ticket
    }

    /// Decides about a frame, with what is known of those after it; those before it get no mouth any
    /// more. `None` where the frame was forgotten, or there is no mouth for it.
    pub fn decide(&mut self, mouths: &[Mouth], ticket: Ticket) -> Option<Choice> {
        while self.open.front().is_some_and(|q| q.ticket < ticket) {
            self.open.pop_front();
        }
        let mut frames = self.open.iter();
        let Question {
            shape,
            candidates: first,
            ..
        } = frames.next().filter(|q| q.ticket == ticket)?;
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
        for Question {
            shape, candidates, ..
        } in frames
        {
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
        let Held {
            pose, unit, skin, ..
        } = ask.held;
        let light: f32 = (0..3).map(|i| off(skin[i], look.held.skin[i])).sum();
        let soft = (1.0 - look.sharpness / self.sharpest.max(1e-6)).max(0.0);
        let unreached = unreached(look.shape.opening, ask.shape.opening);
        OPENING * off(ask.shape.opening, look.shape.opening)
            + UNREACHED * unreached
            + WIDTH * off(ask.shape.width, look.shape.width)
            + LIPS * off(ask.shape.lips, look.shape.lips)
            + YAW * off(pose.yaw, look.held.pose.yaw)
            + PITCH * off(pose.pitch, look.held.pose.pitch)
            + ROLL * off(pose.roll, look.held.pose.roll)
            + SIZE * (unit / look.held.unit).ln().abs()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::testing;

    /// Mouths that open and close, one for each frame of the source.
    fn mouths(openings: &[f32]) -> Vec<Mouth> {
        let frames = openings.iter().zip(0..);
        frames
            .map(|(opening, frame)| testing::mouth(frame, *opening))
            .collect()
    }

    fn ask(opening: f32) -> Ask {
        Ask {
            shape: testing::shape(opening),
            held: testing::held(),
            scene: 0,
            barred: 0..0,
        }
    }

    fn path(mouths: &[Mouth], asks: &[Ask], ahead: usize) -> Vec<usize> {
        let mut chooser = Chooser::default();
        let mut path = Vec::new();
        let mut tickets = VecDeque::new();
        let mut decide = |chooser: &mut Chooser, ticket: Option<Ticket>| {
            let choice = ticket.and_then(|ticket| chooser.decide(mouths, ticket));
            path.extend(choice.map(|choice| choice.mouth));
        };
        for ask in asks {
            tickets.push_back(chooser.ask(mouths, ask));
            if tickets.len() > ahead {
                decide(&mut chooser, tickets.pop_front());
            }
        }
        while !tickets.is_empty() {
            decide(&mut chooser, tickets.pop_front());
        }
        path
    }

    #[test]
    fn a_run_of_the_source_is_shown_as_a_run() {
        let wave: Vec<f32> = (0..60)
            .map(|i| 0.1 + 0.1 * (i as f32 * 0.4).sin())
            .collect();
        let mouths = mouths(&wave);
        // Asked for what the frames from 20 on show, with a little noise.
        let asks: Vec<Ask> = (0..20)
            .map(|i| ask(wave[20 + i] + 0.004 * (i % 3) as f32))
            .collect();
        let path = path(&mouths, &asks, 5);
        let follows = path.windows(2).filter(|w| w[0].abs_diff(w[1]) == 1).count();
        assert!(follows >= 17, "{path:?}");
        assert_eq!(path, self::path(&mouths, &asks, 5), "the same again");
    }

    #[test]
    fn a_closed_mouth_comes_from_a_frame_in_which_it_is_closed() {
        let mouths = mouths(&[0.2, 0.15, 0.1, 0.0, 0.1, 0.2, 0.12]);
        assert_eq!(path(&mouths, &[ask(0.2), ask(0.0), ask(0.2)], 2)[1], 3);
    }

    #[test]
    fn a_mouth_that_can_be_bent_to_it_is_taken_from_another_pose() {
        let mut mouths = mouths(&[0.0, 0.0, 0.12, 0.0]);
        mouths[2].look.held.pose.yaw = 0.25;
        assert_eq!(path(&mouths, &[ask(0.12)], 0), [2]);
        mouths[2].look.held.pose.yaw = 0.9;
        assert_ne!(path(&mouths, &[ask(0.12)], 0), [2], "too far turned");
    }

    #[test]
    fn what_is_hidden_or_barred_is_not_taken() {
        let mut mouths = mouths(&[0.0, 0.1, 0.1, 0.1]);
        mouths[1].look.odd = true;
        let mut asked = ask(0.1);
        asked.barred = 80..81;
        assert_eq!(path(&mouths, &[asked], 0), [3]);
    }

    #[test]
    fn nobody_gets_the_mouth_of_another_scene() {
        let mut mouths = mouths(&[0.1, 0.1, 0.3]);
        mouths[0].look.scene = 1;
        mouths[1].look.scene = 1;
        assert_eq!(path(&mouths, &[ask(0.1)], 0), [2]);
    }

    #[test]
    fn looking_ahead_avoids_a_cut() {
        // Frame 0 fits the first ask a little better, but only frames 3 and 4 go on as asked.
        let mouths = mouths(&[0.100, 0.30, 0.30, 0.105, 0.15, 0.20, 0.25]);
        let asks = [ask(0.1), ask(0.15), ask(0.2), ask(0.25)];
        assert_eq!(path(&mouths, &asks, 3), [3, 4, 5, 6]);
        assert_eq!(path(&mouths, &asks, 0)[0], 0);
    }

    #[test]
    fn without_mouths_there_is_no_choice() {
        let mut chooser = Chooser::default();
        let ticket = chooser.ask(&[], &ask(0.1));
        assert_eq!(chooser.decide(&[], ticket), None);
        assert_eq!(chooser.decide(&[], ticket), None);
    }

    #[test]
    fn each_frame_gets_the_mouth_it_asked_for_whatever_is_forgotten() {
        let mouths = mouths(&[0.0, 0.1, 0.2]);
        let mut chooser = Chooser::default();
        let [_, second, third, fourth] =
            [0.0, 0.1, 0.2, 0.0].map(|opening| chooser.ask(&mouths, &ask(opening)));
        // The first frame turned out to have no face, and is not asked about.
        chooser.interrupt();
        let choice = |chooser: &mut Chooser, ticket| Some(chooser.decide(&mouths, ticket)?.mouth);
        assert_eq!(choice(&mut chooser, second), Some(1));
        chooser.interrupt();
        assert_eq!(choice(&mut chooser, third), Some(2));
        assert_eq!(choice(&mut chooser, second), None, "it is over");
        chooser.reset();
        assert_eq!(choice(&mut chooser, fourth), None, "all is forgotten");
        let fifth = chooser.ask(&mouths, &ask(0.2));
        assert_eq!(choice(&mut chooser, fifth), Some(2));
    }
}
