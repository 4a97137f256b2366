//! From the magnitudes of an FFT to those of mel bands.

use super::spec::{Filters, MelSpec, Norm, Scale};

/// The bands, each as its first FFT bin and the weights from there on.
pub(super) struct FilterBank {
    bands: Vec<(usize, Vec<f64>)>,
}

impl FilterBank {
    pub fn new(spec: &MelSpec) -> Self {
        let low = to_mel(spec.scale, spec.f_min);
        let high = to_mel(spec.scale, spec.f_max);
        // One point more than bands at each end.
        let points: Vec<f64> = (0..spec.bands + 2)
            .map(|i| low + (high - low) * i as f64 / (spec.bands + 1) as f64)
            .map(|mel| to_hertz(spec.scale, mel))
            .collect();
        let bands = points
            .windows(3)
            .map(|p| match spec.filters {
                Filters::Overlapping => overlapping(spec, [p[0], p[1], p[2]]),
                Filters::Adjacent => adjacent(spec, p[0], p[1]),
            })
            .collect();
        Self { bands }
    }

    /// The magnitude in each band, lowest first.
    pub fn apply<'a>(&'a self, magnitudes: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        self.bands.iter().map(|(first, weights)| {
            weights
                .iter()
                .zip(&magnitudes[*first..])
                .map(|(w, m)| w * m)
                .sum()
        })
    }
}

fn overlapping(spec: &MelSpec, [low, centre, high]: [f64; 3]) -> (usize, Vec<f64>) {
    let hertz_per_bin = f64::from(spec.sample_rate) / spec.n_fft as f64;
    let scale = match spec.norm {
        Norm::Slaney => 2.0 / (high - low),
        Norm::None => 1.0,
    };
    let first = (low / hertz_per_bin).ceil() as usize;
    let last = ((high / hertz_per_bin).floor() as usize).min(spec.n_fft / 2);
    let weights = (first..=last)
        .map(|bin| {
            let f = bin as f64 * hertz_per_bin;
            let rising = (f - low) / (centre - low);
            let falling = (high - f) / (high - centre);
            scale * rising.min(falling).max(0.0)
        })
        .collect();
    (first, weights)
}

fn adjacent(spec: &MelSpec, low: f64, high: f64) -> (usize, Vec<f64>) {
    let bin = |hertz: f64| {
        let bin = (spec.n_fft + 1) as f64 * hertz / f64::from(spec.sample_rate);
        (bin as usize).min(spec.n_fft / 2 + 1)
    };
    let (first, end) = (bin(low), bin(high));
    let n = end - first;
    let scale = match spec.norm {
        Norm::Slaney => 2.0 / (high - low),
        Norm::None => 1.0,
    };
    // A triangle that does not touch zero at its ends.
    let base = if n.is_multiple_of(2) { n } else { n + 1 } as f64;
    let weights = (0..n)
        .map(|i| {
            let steps = (i + 1).min(n - i) as f64;
            let height = if n.is_multiple_of(2) {
                (2.0 * steps - 1.0) / base
            } else {
                2.0 * steps / base
            };
            scale * height
        })
        .collect();
    (first, weights)
}

/// Slaney's scale is linear to here.
const BREAK_HERTZ: f64 = 1000.0;
const HERTZ_PER_MEL: f64 = 200.0 / 3.0;

/// Step of Slaney's scale above the break: 27 mels for a factor of 6.4.
fn log_step() -> f64 {
    6.4_f64.ln() / 27.0
}

fn to_mel(scale: Scale, hertz: f64) -> f64 {
    match scale {
        Scale::Htk => 2595.0 * (1.0 + hertz / 700.0).log10(),
        Scale::Slaney if hertz < BREAK_HERTZ => hertz / HERTZ_PER_MEL,
        Scale::Slaney => BREAK_HERTZ / HERTZ_PER_MEL + (hertz / BREAK_HERTZ).ln() / log_step(),
    }
}

fn to_hertz(scale: Scale, mel: f64) -> f64 {
    let break_mel = BREAK_HERTZ / HERTZ_PER_MEL;
    match scale {
        Scale::Htk => 700.0 * (10_f64.powf(mel / 2595.0) - 1.0),
        Scale::Slaney if mel < break_mel => mel * HERTZ_PER_MEL,
        Scale::Slaney => BREAK_HERTZ * (log_step() * (mel - break_mel)).exp(),
    }
}
