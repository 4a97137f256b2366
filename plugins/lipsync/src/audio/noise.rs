//! A noise floor: what some networks hear where others hear digital silence.

/// Columns after which the noise begins again, so that those of silence can be kept as a table.
pub(super) const PERIOD: usize = 256;

/// White noise, each value a function of the sample's place on the axis alone.
pub(super) struct Noise {
    values: Vec<f64>,
}

impl Noise {
    /// Noise of `decibel` rms against full scale, which begins again every `period` samples.
    pub fn new(decibel: f64, period: usize) -> Self {
        // Uniform noise of +-1 has an rms of 1 / sqrt(3).
        let height = 10_f64.powf(decibel / 20.0) * 3_f64.sqrt();
        let values = (0..period as u64).map(|i| height * uniform(i)).collect();
        Self { values }
    }

    /// The values from place `first` on.
    pub fn from(&self, first: i64) -> impl Iterator<Item = f64> + '_ {
        let start = first.rem_euclid(self.values.len() as i64) as usize;
        self.values[start..]
            .iter()
            .chain(self.values.iter().cycle())
            .copied()
    }
}

/// A value from -1 to 1 for each index: SplitMix64 (Steele, Lea, Flood, 2014).
fn uniform(index: u64) -> f64 {
    let mut z = (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    z as i64 as f64 / 2_f64.powi(63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_is_white_of_the_asked_level_and_periodic() {
        let noise = Noise::new(-75.0, 40_960);
        let values: Vec<f64> = noise.from(-40_960).take(40_960).collect();
        let product = |lag: usize| {
            let pairs = values.iter().zip(noise.from(lag as i64));
            pairs.map(|(a, b)| a * b).sum::<f64>() / values.len() as f64
        };
        let power = product(0);
        let decibel = 10.0 * power.log10();
        assert!((decibel + 75.0).abs() < 0.1, "{decibel}");
        for lag in [1, 2, 3, 80, 160, 12_345] {
            let likeness = product(lag) / power;
            assert!(likeness.abs() < 0.025, "{likeness} at {lag}");
        }
        let ahead: Vec<f64> = noise.from(40_960 * 7 + 3).take(5).collect();
        assert_eq!(ahead, values[3..8]);
        let over: Vec<f64> = noise.from(-2).take(4).collect();
        assert_eq!(over, [&values[40_958..], &values[..2]].concat());
    }
}
