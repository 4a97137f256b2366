//! What a mel spectrogram is made of: the `[mel]` table of a model's manifest.

use serde::Deserialize;

/// Spacing of the bands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Linear below 1 kHz, logarithmic above, as in Slaney's Auditory Toolbox and librosa.
    #[default]
    Slaney,
    /// `2595 log10(1 + f / 700)`, as in HTK.
    Htk,
}

/// Weight of a whole band.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Norm {
    /// Bands of equal area: each triangle is divided by half its width in Hz.
    #[default]
    Slaney,
    /// Triangles with their tip at 1.
    None,
}

/// Shape of the bands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filters {
    /// Triangles that reach from the centre of the band below to the centre of the band above.
    #[default]
    Overlapping,
    /// Triangles side by side, each on the FFT bins between two neighbouring mel points, as in
    /// FaceFusion.
    Adjacent,
}

/// What stands beyond the first and the last sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// The signal mirrored at its first and last sample.
    #[default]
    Reflect,
    /// Silence.
    Zero,
}

/// What of each FFT bin goes into the bands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spectrum {
    /// The square root of the power.
    #[default]
    Magnitude,
    /// The square of the magnitude, as in Whisper.
    Power,
}

/// A mel spectrogram, by default that of Wav2Lip.
///
/// Column `k` is centred at sample `k * hop`. Its values are
/// `clamp(log_multiplier * log10(max(log_floor, gain * m)) + log_offset, +-clamp)`, where `m` is the
/// magnitude or power in the band of the pre-emphasised signal under a periodic Hann window.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct MelSpec {
    /// Hz.
    pub sample_rate: u32,
    /// Samples of an FFT.
    pub n_fft: usize,
    /// Samples from column to column.
    pub hop: usize,
    /// Length of the Hann window in samples; centred in the `n_fft` samples where it is shorter.
    pub window: usize,
    /// Rows of the spectrogram.
    pub bands: usize,
    /// Hz.
    pub f_min: f64,
    /// Hz.
    pub f_max: f64,
    /// Where the bands are.
    pub scale: Scale,
    /// How much a band weighs.
    pub norm: Norm,
    /// How bands overlap.
    pub filters: Filters,
    /// What stands before the first sample and after the last.
    pub padding: Padding,
    /// What of the FFT is summed.
    pub spectrum: Spectrum,
    /// White noise that is heard beneath all sound, before it and after it: its rms in dB against
    /// full scale. None where absent.
    pub noise_floor: Option<f64>,
    /// `a` in `y[n] = x[n] - a x[n - 1]`, `x[-1] = 0`.
    pub pre_emphasis: f64,
    /// Factor on what is in a band; 1 / (sum of the window) where the reference scales its spectrum.
    pub gain: f64,
    /// The reference divides the whole audio by its highest magnitude. A stream can't know it: the
    /// highest magnitude so far, at least 0.1, is taken instead, so that the columns equal the
    /// reference's from the loudest sample on and are louder before it.
    pub peak_normalise: bool,
    /// See the formula above.
    pub log_multiplier: f64,
    /// See the formula above.
    pub log_offset: f64,
    /// See the formula above; values below become this.
    pub log_floor: f64,
    /// See the formula above: no value is farther from 0.
    pub clamp: f64,
}

impl Default for MelSpec {
    fn default() -> Self {
        Self {
            sample_rate: 16_000,
            n_fft: 800,
            hop: 200,
            window: 800,
            bands: 80,
            f_min: 55.0,
            f_max: 7600.0,
            scale: Scale::Slaney,
            norm: Norm::Slaney,
            filters: Filters::Overlapping,
            padding: Padding::Reflect,
            spectrum: Spectrum::Magnitude,
            noise_floor: None,
            pre_emphasis: 0.97,
            gain: 1.0,
            peak_normalise: false,
            log_multiplier: 1.6,
            log_offset: 2.4,
            log_floor: 1e-5,
            clamp: 4.0,
        }
    }
}

/// A key of the `[mel]` table whose value can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` {reason}")]
pub struct SpecError {
    /// The key in the `[mel]` table.
    pub key: &'static str,
    /// What is wrong with its value, as the end of a sentence.
    pub reason: String,
}

impl MelSpec {
    /// The one rate that the elements bring the speech to.
    pub const SAMPLE_RATE: u32 = 16_000;

    /// Checks what the arithmetic depends on.
    pub fn validate(&self) -> Result<(), SpecError> {
        let nyquist = f64::from(self.sample_rate) / 2.0;
        let finite = |v: f64| v.is_finite();
        let checks = [
            (
                "sample-rate",
                self.sample_rate == Self::SAMPLE_RATE,
                format!("must be {}", Self::SAMPLE_RATE),
            ),
            (
                "n-fft",
                (16..=16_384).contains(&self.n_fft) && self.n_fft.is_multiple_of(2),
                "must be an even number from 16 to 16384".into(),
            ),
            (
                "hop",
                self.hop > 0 && self.hop < self.n_fft / 2,
                "must be above 0 and below half of `n-fft`".into(),
            ),
            (
                "window",
                self.window > 1 && self.window <= self.n_fft,
                "must be above 1 and not above `n-fft`".into(),
            ),
            (
                "bands",
                (1..=512).contains(&self.bands),
                "must be from 1 to 512".into(),
            ),
            (
                "f-max",
                finite(self.f_max) && self.f_max <= nyquist,
                format!("must not be above {nyquist} Hz, half of the sample rate"),
            ),
            (
                "f-min",
                finite(self.f_min) && self.f_min >= 0.0 && self.f_min < self.f_max,
                "must be from 0 to below `f-max`".into(),
            ),
            (
                "noise-floor",
                self.noise_floor
                    .is_none_or(|db| (-150.0..=-30.0).contains(&db)),
                "must be from -150 to -30 dB".into(),
            ),
            (
                "padding",
                self.noise_floor.is_none() || self.padding == Padding::Zero,
                "must be `zero` where there is a `noise-floor`: the noise stands beyond the sound"
                    .into(),
            ),
            (
                "pre-emphasis",
                (0.0..=1.0).contains(&self.pre_emphasis),
                "must be from 0 to 1".into(),
            ),
            (
                "gain",
                finite(self.gain) && self.gain > 0.0,
                "must be above 0".into(),
            ),
            (
                "log-multiplier",
                finite(self.log_multiplier),
                "must be a finite number".into(),
            ),
            (
                "log-offset",
                finite(self.log_offset),
                "must be a finite number".into(),
            ),
            (
                "log-floor",
                finite(self.log_floor) && self.log_floor > 0.0,
                "must be above 0".into(),
            ),
            (
                "clamp",
                finite(self.clamp) && self.clamp > 0.0,
                "must be above 0".into(),
            ),
        ];
        match checks.into_iter().find(|(_, holds, _)| !holds) {
            Some((key, _, reason)) => Err(SpecError { key, reason }),
            None => Ok(()),
        }
    }

    /// Columns per second: `sample_rate / hop`.
    pub fn columns_per_second(&self) -> f64 {
        f64::from(self.sample_rate) / self.hop as f64
    }

    /// The value of a band in which there is `m`.
    pub(super) fn value(&self, m: f64) -> f32 {
        let log = self.log_multiplier * m.max(self.log_floor).log10() + self.log_offset;
        log.clamp(-self.clamp, self.clamp) as f32
    }

    /// The grid of the columns.
    pub fn grid(&self) -> Grid {
        self.rows(1)
    }

    /// The grid of every `columns`-th column.
    pub fn rows(&self, columns: usize) -> Grid {
        Grid {
            sample_rate: self.sample_rate,
            hop: self.hop * columns,
        }
    }

    /// How far behind the centre of a column its window ends, in samples.
    pub fn tail(&self) -> i64 {
        self.n_fft as i64 / 2
    }
}

/// Points on the axis of running time, `hop` samples from one to the next, the first at zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    sample_rate: u32,
    hop: usize,
}

impl Grid {
    /// Where running time `ns` lies between the points.
    pub fn position(&self, ns: i64) -> f64 {
        ns as f64 * 1e-9 * (f64::from(self.sample_rate) / self.hop as f64)
    }

    /// The last point that is not after running time `ns`. Timestamps that were rounded to less
    /// than 10 us below a point count as on it.
    pub fn at(&self, ns: i64) -> i64 {
        const SLACK_NS: i128 = 10_000;
        let scaled = (i128::from(ns) + SLACK_NS) * i128::from(self.sample_rate);
        scaled.div_euclid(1_000_000_000 * self.hop as i128) as i64
    }
}
