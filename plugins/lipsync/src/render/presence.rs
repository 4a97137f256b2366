//! How much is seen of a drawn mouth while its face comes and goes.

/// A face that is not found for so many seconds is taken to be where it was.
const HELD: f32 = 0.3;
/// Seconds in which a mouth gives way to the source's own and comes back.
const FADE: f32 = 0.2;

/// How much a face is there, from frame to frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Presence {
    share: f32,
    /// Seconds for which the face was not found.
    missing: f32,
    /// What comes next is another shot.
    cut: bool,
}

impl Default for Presence {
    /// A new face is drawn on at once.
    fn default() -> Self {
        Self {
            share: 1.0,
            missing: 0.0,
            cut: false,
        }
    }
}

impl Presence {
    /// The share of the drawn mouth in a frame in which the face was found, `seconds` after the last.
    pub fn found(&mut self, seconds: f32) -> f32 {
        let share = self.share + seconds / FADE;
        *self = Self {
            share: if self.cut { 1.0 } else { share.min(1.0) },
            ..Self::default()
        };
        self.share
    }

    /// The same where it was not found.
    pub fn missed(&mut self, seconds: f32) -> f32 {
        self.missing += seconds;
        let fading = (self.missing - HELD).clamp(0.0, seconds);
        self.share = (self.share - fading / FADE).max(0.0);
        self.share
    }

    /// It was lost in a cut: it goes, and comes back, at once.
    pub fn cut(&mut self) {
        self.share = 0.0;
        self.cut = true;
    }

    /// Nothing is left of a face that was lost.
    pub fn is_gone(&self) -> bool {
        self.share <= 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_face_is_held_and_fades_whatever_the_frame_rate() {
        for rate in [12.0, 25.0, 60.0] {
            let step = 1.0 / rate;
            let mut presence = Presence::default();
            assert_eq!(presence.found(step), 1.0);
            let after = |presence: &mut Presence, seconds: f32| {
                let frames = (seconds * rate) as usize;
                (0..frames).fold(1.0, |_, _| presence.missed(step))
            };
            assert_eq!(after(&mut presence.clone(), 0.29), 1.0);
            let half = after(&mut presence.clone(), 0.4);
            assert!((half - 0.5).abs() < step / FADE, "{half}");
            assert_eq!(after(&mut presence, 0.6), 0.0);
            assert!(presence.is_gone());
            // It comes back as it went.
            let back = presence.found(step);
            assert!((back - step / FADE).abs() < 1e-5, "{back}");
            for _ in 0..(0.2 * rate) as usize {
                presence.found(step);
            }
            assert!((presence.found(step) - 1.0).abs() < 1e-5);
            presence.cut();
            assert!(presence.is_gone());
            assert_eq!(presence.found(step), 1.0);
        }
    }
}
