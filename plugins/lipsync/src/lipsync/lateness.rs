//! What a mouth does while the speech of a live frame has not come: it goes on as it was for a
//! moment, then comes to rest, and never snaps shut.

use crate::model::MouthParams;

/// So long, in seconds, the last shape stays. About a phone: less would show in every jitter.
pub const STAYS: f32 = 0.1;
/// So long, in seconds, it takes to come to rest after that.
const EASES: f32 = 0.25;

/// The last shape that speech gave.
#[derive(Default)]
pub struct LastShape {
    params: MouthParams,
    /// Seconds since its frame.
    age: f32,
}

impl LastShape {
    /// The shape for a frame `seconds` after the one before: what its speech says, or else what is
    /// left of the last.
    pub fn or_eased(&mut self, params: Option<MouthParams>, seconds: f32) -> MouthParams {
        match params {
            Some(params) => {
                *self = Self { params, age: 0.0 };
                params
            }
            None => {
                self.age += seconds.max(0.0);
                let gone = ((self.age - STAYS) / EASES).clamp(0.0, 1.0);
                self.params.scaled(1.0 - gone)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mouth_without_speech_stays_then_eases_and_rests() {
        let open = MouthParams {
            opening: 0.2,
            ..MouthParams::default()
        };
        let mut last = LastShape::default();
        assert_eq!(last.or_eased(None, 0.04), MouthParams::default());
        assert_eq!(last.or_eased(Some(open), 0.04), open);
        let eased: Vec<f32> = (0..10).map(|_| last.or_eased(None, 0.04).opening).collect();
        assert_eq!(eased[..2], [0.2, 0.2]);
        let steps = eased.windows(2).map(|pair| pair[0] - pair[1]);
        assert!(
            steps.clone().all(|step| (0.0..0.05).contains(&step)),
            "{eased:?}"
        );
        assert_eq!(eased[9], 0.0);
        assert_eq!(last.or_eased(Some(open), 0.04), open);
    }
}
