//! The mel spectrogram of a stream of samples.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::filter_bank::FilterBank;
use super::noise::{self, Noise};
use super::spec::{MelSpec, Padding, Spectrum};

/// Below this the running peak does not normalise: the noise before the first word is not speech.
const LEAST_PEAK: f64 = 0.1;

/// A mel spectrogram that is fed in pieces of any size; the columns never depend on how the samples
/// were cut.
///
/// `n` samples, `n > 0`, give `1 + n / hop` columns once the stream is finished, or, on a noise floor,
/// all whose windows reach a sample. The arithmetic is
/// in 64 bits: in 32 bits the rounding of a loud low band drowns a quiet high one.
pub struct MelStream {
    spec: MelSpec,
    bank: FilterBank,
    fft: Arc<dyn RealToComplex<f64>>,
    window: Vec<f64>,
    noise: Option<Noise>,
    /// Column of the axis that is the first of the stream; it says what the noise is.
    origin: i64,
    /// Pre-emphasised samples from `first_kept` to `count`.
    history: Vec<f64>,
    first_kept: i64,
    count: i64,
    /// The next column to come.
    next: i64,
    last_sample: f64,
    peak: f64,
    frame: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
    magnitudes: Vec<f64>,
    column: Vec<f32>,
}

impl MelStream {
    /// `spec` must be valid (see [`MelSpec::validate`]).
    pub fn new(spec: &MelSpec) -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(spec.n_fft);
        Self {
            bank: FilterBank::new(spec),
            window: hann(spec.window, spec.n_fft),
            noise: spec
                .noise_floor
                .map(|decibel| Noise::new(decibel, noise::PERIOD * spec.hop)),
            origin: 0,
            history: Vec::with_capacity(spec.n_fft + 2 * spec.hop),
            first_kept: 0,
            count: 0,
            next: 0,
            last_sample: 0.0,
            peak: LEAST_PEAK,
            frame: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            magnitudes: vec![0.0; spec.n_fft / 2 + 1],
            column: vec![0.0; spec.bands],
            spec: spec.clone(),
            fft,
        }
    }

    /// What it computes.
    pub fn spec(&self) -> &MelSpec {
        &self.spec
    }

    /// How many columns are done.
    pub fn columns(&self) -> i64 {
        self.next
    }

    /// The columns where there is no sound, column after column: as many as it takes until they come
    /// again, the first being that of the axis's beginning.
    pub fn silence(spec: &MelSpec) -> Vec<f32> {
        let mut nothing = Self::new(spec);
        let count = if nothing.noise.is_some() {
            noise::PERIOD
        } else {
            1
        };
        let mut columns = Vec::with_capacity(count * spec.bands);
        for _ in 0..count {
            nothing.next_column(&mut |_, column| columns.extend_from_slice(column));
        }
        columns
    }

    /// The stream's first column is column `origin` of the axis. Said before the first sample.
    pub fn begin_at(&mut self, origin: i64) {
        self.origin = origin;
    }

    /// Adds samples, -1 to 1; `emit` is given every column that became final: its index and its
    /// values, lowest band first.
    pub fn push(&mut self, samples: &[f32], emit: &mut impl FnMut(i64, &[f32])) {
        self.push_samples(samples.iter().copied(), emit);
    }

    /// Adds `n` samples of silence in a time that does not grow with `n`. Of the columns that become
    /// final, `emit` may not be given those that are [silent](Self::silence).
    pub fn push_silence(&mut self, n: u64, emit: &mut impl FnMut(i64, &[f32])) {
        let hop = self.spec.hop as u64;
        // After so many zeros the pending window holds nothing else.
        let settle = n.min(self.spec.n_fft as u64 + hop);
        self.push_samples(std::iter::repeat_n(0.0, settle as usize), emit);
        let (skipped, rest) = ((n - settle) / hop, (n - settle) % hop);
        self.next += skipped as i64;
        self.count += (skipped * hop) as i64;
        self.first_kept += (skipped * hop) as i64;
        self.push_samples(std::iter::repeat_n(0.0, rest as usize), emit);
    }

    /// Ends the stream: emits the columns whose windows reach past the last sample.
    pub fn finish(&mut self, emit: &mut impl FnMut(i64, &[f32])) {
        if self.count == 0 {
            return;
        }
        let hop = self.spec.hop as i64;
        let end = match self.noise {
            // Behind the sound there is noise, which is no silence as long as sound is seen with it.
            Some(_) => (self.count + self.spec.tail() - 1) / hop + 1,
            None => 1 + self.count / hop,
        };
        while self.next < end {
            self.next_column(emit);
        }
    }

    /// Ready for another stream.
    pub fn reset(&mut self) {
        self.history.clear();
        self.origin = 0;
        self.first_kept = 0;
        self.count = 0;
        self.next = 0;
        self.last_sample = 0.0;
        self.peak = LEAST_PEAK;
    }

    fn push_samples(
        &mut self,
        mut samples: impl ExactSizeIterator<Item = f32>,
        emit: &mut impl FnMut(i64, &[f32]),
    ) {
        // Each column is computed at the same sample whatever the cut, so that the running peak is
        // the same too.
        while samples.len() > 0 {
            let missing = (self.needed() - self.count).max(1) as usize;
            for sample in samples.by_ref().take(missing) {
                self.append(sample);
            }
            while self.count >= self.needed() {
                self.next_column(emit);
            }
        }
    }

    fn append(&mut self, sample: f32) {
        let sample = if sample.is_finite() {
            f64::from(sample)
        } else {
            0.0
        };
        self.history
            .push(sample - self.spec.pre_emphasis * self.last_sample);
        self.last_sample = sample;
        self.peak = self.peak.max(sample.abs());
        self.count += 1;
    }

    /// How many samples the next column waits for: those of its window, and for the first one also
    /// those that its mirror image takes.
    fn needed(&self) -> i64 {
        let half = self.spec.tail();
        let centre = self.next * self.spec.hop as i64;
        (centre + half).max(half - centre + 1)
    }

    fn next_column(&mut self, emit: &mut impl FnMut(i64, &[f32])) {
        self.fill_frame();
        // Sizes are fixed at creation and nothing else can fail.
        let done =
            self.fft
                .process_with_scratch(&mut self.frame, &mut self.spectrum, &mut self.scratch);
        debug_assert!(done.is_ok());

        let gain = if self.spec.peak_normalise {
            self.spec.gain / self.peak
        } else {
            self.spec.gain
        };
        for (magnitude, bin) in self.magnitudes.iter_mut().zip(&self.spectrum) {
            *magnitude = match self.spec.spectrum {
                Spectrum::Magnitude => bin.norm_sqr().sqrt(),
                Spectrum::Power => bin.norm_sqr(),
            };
        }
        for (value, m) in self
            .column
            .iter_mut()
            .zip(self.bank.apply(&self.magnitudes))
        {
            *value = self.spec.value(gain * m);
        }
        emit(self.next, &self.column);
        self.next += 1;

        let first_needed = self.next * self.spec.hop as i64 - self.spec.tail();
        let dead = (first_needed - self.first_kept).clamp(0, self.history.len() as i64);
        self.history.drain(..dead as usize);
        self.first_kept += dead;
    }

    /// Windows the samples around the next column's centre.
    fn fill_frame(&mut self) {
        let start = self.next * self.spec.hop as i64 - self.spec.tail();
        for (i, (value, weight)) in self.frame.iter_mut().zip(&self.window).enumerate() {
            let wanted = start + i as i64;
            let index = match self.spec.padding {
                Padding::Reflect => reflect(wanted, self.count),
                Padding::Zero => wanted,
            };
            let sample = usize::try_from(index - self.first_kept)
                .ok()
                .and_then(|i| self.history.get(i));
            *value = weight * sample.copied().unwrap_or(0.0);
        }
        if let Some(noise) = &self.noise {
            // Beneath the sound and beyond its ends alike.
            let noise = noise.from(self.origin * self.spec.hop as i64 + start);
            for ((value, weight), noise) in self.frame.iter_mut().zip(&self.window).zip(noise) {
                *value += weight * noise;
            }
        }
    }
}

/// `index` mirrored into `0..count` at the first and the last sample, as often as it takes.
fn reflect(index: i64, count: i64) -> i64 {
    if (0..count).contains(&index) {
        return index;
    }
    if count < 2 {
        return 0;
    }
    let period = 2 * (count - 1);
    let folded = index.rem_euclid(period);
    folded.min(period - folded)
}

/// A periodic Hann window of `length`, centred in `n_fft` samples.
fn hann(length: usize, n_fft: usize) -> Vec<f64> {
    let mut window = vec![0.0; n_fft];
    let start = (n_fft - length) / 2;
    for (i, value) in window[start..start + length].iter_mut().enumerate() {
        let phase = std::f64::consts::TAU * i as f64 / length as f64;
        *value = 0.5 - 0.5 * phase.cos();
    }
    window
}
