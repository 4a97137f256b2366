//! Speech on air: sources one after the other, silence between them, never a click.
//!
//! Sound leaves in blocks of 20 ms whatever comes in. A few milliseconds are held back so that speech
//! that stops, by itself or because it was cut, can be faded out.

use std::collections::VecDeque;
use std::time::Duration;

/// Samples a second, of one channel.
pub const RATE: usize = 48_000;
/// Samples of a block.
pub const BLOCK: usize = RATE / 50;
/// Samples over which speech comes and goes: 5 ms.
const FADE: usize = RATE / 200;

/// When block `number` begins. In whole seconds and the rest, because nanoseconds times samples leave
/// 64 bits after four days.
pub fn time_of(number: u64) -> Duration {
    let samples = number.saturating_mul(BLOCK as u64);
    let rest = samples % RATE as u64 * 1_000_000_000 / RATE as u64;
    Duration::new(samples / RATE as u64, rest as u32)
}

/// What a source can say after giving samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// There was as much as was wanted.
    More,
    /// There is nothing more now.
    Dry,
    /// There will be nothing more.
    Ended,
}

/// Something that speaks.
pub trait Source: Send {
    /// Appends up to `wanted` samples, without waiting for any.
    fn take(&mut self, wanted: usize, into: &mut Vec<f32>) -> Supply;
}

/// What happened while a block was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MixEvent {
    Began,
    Ended,
}

/// Turns what sources have into an unbroken stream.
#[derive(Default)]
pub struct Mixer {
    /// Taken in and not given out yet.
    pending: VecDeque<f32>,
    taken: Vec<f32>,
    /// Samples of the fade-in that are still to come.
    fade_in: usize,
    is_speaking: bool,
    /// What is pending goes out, and nothing more is taken in before it has.
    is_closing: bool,
}

impl Mixer {
    /// Makes the next block from `source`; without one, there is silence.
    pub fn block(
        &mut self,
        source: Option<&mut dyn Source>,
        out: &mut [f32; BLOCK],
    ) -> Option<MixEvent> {
        let mut happening = None;
        match source {
            Some(source) if !self.is_closing => happening = self.fill(source),
            _ if self.is_speaking => self.is_closing = true,
            _ => {}
        }
        if self.is_closing {
            self.close(out);
        } else if self.is_speaking {
            for (to, from) in out.iter_mut().zip(self.pending.drain(..BLOCK)) {
                *to = from;
            }
        } else {
            out.fill(0.0);
        }
        happening
    }

    /// Whether everything that was taken in has gone out.
    pub fn is_silent(&self) -> bool {
        !self.is_speaking
    }

    fn fill(&mut self, source: &mut dyn Source) -> Option<MixEvent> {
        let wanted = (BLOCK + FADE).saturating_sub(self.pending.len());
        self.taken.clear();
        let supply = source.take(wanted, &mut self.taken);
        let began = !self.is_speaking && !self.taken.is_empty();
        if began {
            self.is_speaking = true;
            self.fade_in = FADE;
        }
        for sample in &mut self.taken {
            if self.fade_in > 0 {
                *sample *= 1.0 - self.fade_in as f32 / FADE as f32;
                self.fade_in -= 1;
            }
        }
        self.pending.extend(&self.taken);
        if self.is_speaking && self.pending.len() < BLOCK + FADE {
            self.is_closing = true;
        }
        match supply {
            Supply::Ended => Some(MixEvent::Ended),
            _ if began => Some(MixEvent::Began),
            _ => None,
        }
    }

    /// Gives out the rest, faded, and silence behind it.
    fn close(&mut self, out: &mut [f32; BLOCK]) {
        let left = self.pending.len();
        for (index, to) in out.iter_mut().enumerate() {
            *to = match self.pending.pop_front() {
                Some(sample) => {
                    let to_come = (left - index) as f32;
                    sample * (to_come / FADE as f32).min(1.0)
                }
                None => 0.0,
            };
        }
        if self.pending.is_empty() {
            self.is_closing = false;
            self.is_speaking = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A constant level, given in portions.
    struct Level {
        left: usize,
        portion: usize,
        ends: bool,
    }

    impl Source for Level {
        fn take(&mut self, wanted: usize, into: &mut Vec<f32>) -> Supply {
            let given = wanted.min(self.left).min(self.portion);
            into.resize(into.len() + given, 0.5);
            self.left -= given;
            match (self.left, self.ends) {
                (0, true) => Supply::Ended,
                _ if given < wanted => Supply::Dry,
                _ => Supply::More,
            }
        }
    }

    fn mix(mixer: &mut Mixer, source: &mut Level, blocks: usize) -> Vec<f32> {
        let mut sound = Vec::new();
        let mut out = [0.0; BLOCK];
        let mut there = true;
        for _ in 0..blocks {
            let source = there.then_some(&mut *source as &mut dyn Source);
            if mixer.block(source, &mut out) == Some(MixEvent::Ended) {
                there = false;
            }
            sound.extend(out);
        }
        sound
    }

    fn largest_step(sound: &[f32]) -> f32 {
        let steps = sound.windows(2).map(|w| (w[1] - w[0]).abs());
        steps.fold(0.0, f32::max)
    }

    fn level(left: usize, portion: usize, ends: bool) -> Level {
        Level {
            left,
            portion,
            ends,
        }
    }

    #[test]
    fn blocks_are_on_time_for_days_and_years() {
        const DAY: u64 = 24 * 60 * 60;
        assert_eq!(time_of(0), Duration::ZERO);
        // The last one that 64 bits of samples times nanoseconds held, and the next.
        for number in [19_215_358, 19_215_359, 30 * DAY * 50, 365 * DAY * 50 + 1] {
            let exact = Duration::from_millis(20) * u32::try_from(number).unwrap();
            assert_eq!(time_of(number), exact, "{number}");
            assert_eq!(time_of(number + 1) - exact, Duration::from_millis(20));
        }
        assert!(time_of(u64::MAX) > time_of(365 * DAY), "no panic at least");
    }

    #[test]
    fn all_that_was_said_is_heard_once_and_nothing_clicks() {
        for length in [1, 100, FADE, BLOCK, 5000, 5 * BLOCK + FADE] {
            let mut mixer = Mixer::default();
            let sound = mix(&mut mixer, &mut level(length, usize::MAX, true), 20);
            assert_eq!(sound.len(), 20 * BLOCK);
            let heard = sound.iter().rposition(|s| *s != 0.0).map_or(0, |i| i + 1);
            assert!(
                heard <= length && heard + 2 >= length,
                "{heard} of {length}"
            );
            assert!(largest_step(&sound) <= 0.5 / FADE as f32 * 1.01, "{length}");
            assert!(mixer.is_silent());
            if length > 4 * FADE {
                assert_eq!(sound[length / 2], 0.5, "in the middle it is as it was");
            }
        }
    }

    #[test]
    fn a_source_that_runs_dry_fades_and_comes_back() {
        let mut mixer = Mixer::default();
        let mut source = level(BLOCK + BLOCK / 2, usize::MAX, false);
        let mut sound = mix(&mut mixer, &mut source, 6);
        source.left = 4 * BLOCK;
        sound.extend(mix(&mut mixer, &mut source, 8));
        assert!(largest_step(&sound) <= 0.5 / FADE as f32 * 1.01);
        let silent = |range: std::ops::Range<usize>| sound[range].iter().all(|s| *s == 0.0);
        assert!(silent(3 * BLOCK..6 * BLOCK), "dry");
        assert_eq!(sound[8 * BLOCK], 0.5, "back");
    }

    #[test]
    fn what_is_cut_is_faded() {
        let mut mixer = Mixer::default();
        let mut sound = mix(&mut mixer, &mut level(100 * BLOCK, usize::MAX, true), 5);
        let mut out = [0.0; BLOCK];
        for _ in 0..3 {
            mixer.block(None, &mut out);
            sound.extend(out);
        }
        assert!(largest_step(&sound) <= 0.5 / FADE as f32 * 1.01);
        assert_eq!(sound.last(), Some(&0.0));
        assert!(mixer.is_silent());
    }
}
