//! One channel of many.
//!
//! The mean of the channels, but where they cancel each other, as those of a wrongly wired microphone do
//! (left = -right), or where the mean has less than a tenth of the loudest one's energy, as where one of
//! many speaks: then the loudest one. The change from the one to the other is a short cross-fade. How the
//! sound is cut into pieces makes no difference.

/// Samples over which energy is measured, and over which a change fades: 0.1 s and 10 ms at 16 kHz.
const MEMORY: f32 = 1.0 / 1600.0;
const FADE: f32 = 1.0 / 160.0;
/// How often it is decided.
const EVERY: u32 = 160;
/// A mean with less than this part of the loudest channel's energy has lost it.
const LOST: f32 = 0.1;
/// Energy of what is too quiet to tell: -70 dB.
const QUIET: f32 = 1e-7;

/// Mixes channels down to one, as the loudest of them asks for.
#[derive(Debug, Default)]
pub struct Mixdown {
    /// Mean square of each channel, and of their mean.
    energies: Vec<f32>,
    mean: f32,
    /// What each channel counts now, and is to count.
    shares: Vec<f32>,
    loudest: Option<usize>,
    count: u32,
    has_cancelled: bool,
}

impl Mixdown {
    /// Whether channels have cancelled each other so far.
    pub fn has_cancelled(&self) -> bool {
        self.has_cancelled
    }

    /// Adds the mix of interleaved `samples` of so many channels to `out`.
    pub fn mix(&mut self, samples: &[f32], channels: usize, out: &mut Vec<f32>) {
        if channels <= 1 {
            out.extend_from_slice(samples);
            return;
        }
        let equal = 1.0 / channels as f32;
        if self.shares.len() != channels {
            *self = Self {
                energies: vec![0.0; channels],
                shares: vec![equal; channels],
                has_cancelled: self.has_cancelled,
                ..Self::default()
            };
        }
        for moment in samples.chunks_exact(channels) {
            let mean = moment.iter().sum::<f32>() * equal;
            self.mean += (mean * mean - self.mean) * MEMORY;
            let mut mixed = 0.0;
            let each = moment.iter().zip(&mut self.energies).zip(&mut self.shares);
            for (i, ((sample, energy), share)) in each.enumerate() {
                *energy += (sample * sample - *energy) * MEMORY;
                let wanted = match self.loudest {
                    Some(loudest) => f32::from(u8::from(i == loudest)),
                    None => equal,
                };
                *share += (wanted - *share) * FADE;
                mixed += sample * *share;
            }
            out.push(mixed);
            self.count += 1;
            if self.count == EVERY {
                self.count = 0;
                self.decide();
            }
        }
    }

    fn decide(&mut self) {
        let loudest = (0..self.energies.len())
            .max_by(|a, b| self.energies[*a].total_cmp(&self.energies[*b]))
            .unwrap_or(0);
        let most = self.energies[loudest];
        if most < QUIET {
            return;
        }
        self.loudest = (self.mean < LOST * most).then(|| match self.loudest {
            // Of channels that are alike, the one that was taken stays.
            Some(taken) if self.energies[taken] > 0.5 * most => taken,
            _ => loudest,
        });
        self.has_cancelled |= self.loudest.is_some();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(i: usize) -> f32 {
        0.5 * (i as f32 * 0.3).sin()
    }

    fn mixed(channels: usize, value: impl Fn(usize, usize) -> f32) -> (Vec<f32>, bool) {
        let samples: Vec<f32> = (0..8000 * channels)
            .map(|i| value(i / channels, i % channels))
            .collect();
        let (mut whole, mut pieces) = (Vec::new(), Vec::new());
        let mut mixdown = Mixdown::default();
        mixdown.mix(&samples, channels, &mut whole);
        let mut other = Mixdown::default();
        for piece in samples.chunks(channels * 77) {
            other.mix(piece, channels, &mut pieces);
        }
        assert_eq!(whole, pieces, "pieces make no difference");
        (whole, mixdown.has_cancelled())
    }

    fn energy(samples: &[f32]) -> f32 {
        samples.iter().map(|v| v * v).sum::<f32>() / samples.len() as f32
    }

    #[test]
    fn channels_that_cancel_each_other_are_heard() {
        let (mix, told) = mixed(2, |i, c| if c == 0 { tone(i) } else { -tone(i) });
        let (alone, _) = mixed(1, |i, _| tone(i));
        let ratio = energy(&mix[1000..]) / energy(&alone[1000..]);
        assert!((0.9..1.1).contains(&ratio) && told, "{ratio}");
    }

    #[test]
    fn one_channel_of_six_is_heard_at_its_loudness() {
        let (mix, _) = mixed(6, |i, c| if c == 2 { tone(i) } else { 0.0 });
        assert!(energy(&mix[1000..]) > 0.1, "{}", energy(&mix[1000..]));
    }

    #[test]
    fn usual_stereo_is_its_mean() {
        let (mix, told) = mixed(2, |i, c| tone(i) * if c == 0 { 1.0 } else { 0.4 });
        assert!(!told);
        for (i, v) in mix.iter().enumerate() {
            assert!((v - 0.7 * tone(i)).abs() < 1e-5, "{i}");
        }
        let (silence, told) = mixed(2, |_, _| 0.0);
        assert!(!told && silence.iter().all(|v| *v == 0.0));
    }
}
