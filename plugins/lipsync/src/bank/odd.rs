//! Tells mouths with something before them: the skin around them looks unlike that of the others.

use std::ops::Range;

use crate::face::Mesh;
use crate::picture::frame::Frame;

/// Chin, then jaw, cheeks and the skin around the lips.
const PLACES: [usize; 26] = [
    199, 200, 175, 18, 83, 313, 201, 421, 208, 428, 32, 262, 140, 369, 172, 397, 136, 365, 50, 280,
    205, 425, 187, 411, 164, 202,
];

/// So many of them are on the chin, which a wide open mouth reddens all by itself.
const ON_CHIN: usize = 10;

/// Brightness at each place against the mean of all, and how red it is.
pub type Skin = [[f32; 2]; SKIN_PLACES];

/// Places that a skin is seen at.
pub const SKIN_PLACES: usize = PLACES.len();

/// What differs by more than so many usual differences is unlike the others, and by no less than
/// this: a grimace changes the light on the skin by a third, and its colour less than a hand does.
const UNLIKE: f32 = 6.0;
const LEAST: [f32; 2] = [0.5, 0.045];
/// So many places must be unlike the others.
const PLACES_UNLIKE: usize = 3;

/// A place that is not in the picture.
const UNKNOWN: [f32; 2] = [-1.0; 2];

/// The skin around a mouth; what lies outside the picture is not known (negative).
pub fn skin(frame: &Frame, mesh: &Mesh) -> Skin {
    let mut skin = PLACES.map(|i| {
        let rgb = frame.rgb_at([mesh.0[i][0], mesh.0[i][1]]);
        rgb.map_or(UNKNOWN, |[r, g, b]| {
            [0.299 * r + 0.587 * g + 0.114 * b, r / (r + g + b).max(1.0)]
        })
    });
    let light = |skin: &Skin| {
        let seen = skin.iter().map(|[light, _]| *light).filter(|v| *v >= 0.0);
        let count = seen.clone().count().max(1) as f32;
        (seen.sum::<f32>() / count).max(1.0)
    };
    let mean = light(&skin);
    let seen = skin.iter_mut().filter(|place| **place != UNKNOWN);
    seen.for_each(|[light, _]| *light /= mean);
    skin
}

/// How the skin around a person's mouth usually looks.
#[derive(Clone, Debug, PartialEq)]
pub struct Usual {
    middle: Skin,
    /// What is further off is unlike.
    limit: Skin,
}

impl Usual {
    pub fn of(skins: &[Skin]) -> Self {
        let mut usual = Self {
            middle: [[0.0; 2]; PLACES.len()],
            limit: [[f32::MAX; 2]; PLACES.len()],
        };
        for place in 0..PLACES.len() {
            for kind in 0..2 {
                let values = skins.iter().map(|skin| skin[place][kind]);
                let usually = middle(values.clone());
                let known = values.filter(|value| *value >= 0.0);
                let off = middle(known.map(|value| (value - usually).abs()));
                usual.middle[place][kind] = usually;
                usual.limit[place][kind] = (UNLIKE * off).max(LEAST[kind]);
            }
        }
        usual
    }

    /// Whether something is before the face.
    pub fn is_odd(&self, skin: &Skin) -> bool {
        let unlike = |place: usize| {
            skin[place] != UNKNOWN
                && (0..2).any(|kind| {
                    let off = (skin[place][kind] - self.middle[place][kind]).abs();
                    off > self.limit[place][kind]
                })
        };
        let count = |places: Range<usize>| places.filter(|place| unlike(*place)).count();
        let beside = count(ON_CHIN..PLACES.len());
        beside > 0 && count(0..ON_CHIN) + beside >= PLACES_UNLIKE
    }
}

fn middle(values: impl Iterator<Item = f32>) -> f32 {
    let mut values: Vec<f32> = values.filter(|v| *v >= 0.0).collect();
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hand_before_the_chin_is_seen_and_a_change_of_light_is_not() {
        let plain = |k: usize| PLACES.map(|i| [1.0 + 0.01 * ((i * k) % 7) as f32, 0.4]);
        let mut skins: Vec<Skin> = (0..40).map(plain).collect();
        skins[7][6..12].iter_mut().for_each(|place| place[0] = 1.6);
        // A laugh.
        skins[8].iter_mut().for_each(|place| place[0] = 1.3);
        skins[8].iter_mut().for_each(|place| place[1] = 0.43);
        skins[9][6..12].iter_mut().for_each(|place| place[1] = 0.33);
        // A shout.
        skins[10][..6].iter_mut().for_each(|place| place[1] = 0.47);
        // A highlight in one place, and a border that cuts some off.
        skins[11][3][0] = 1.6;
        skins[12][..8].fill(UNKNOWN);
        let usual = Usual::of(&skins);
        let odd: Vec<usize> = (0..40).filter(|&i| usual.is_odd(&skins[i])).collect();
        assert_eq!(odd, [7, 9]);
    }
}
