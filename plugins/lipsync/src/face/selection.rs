//! Which of several faces is meant.

use super::Rect;

/// By what the face is chosen, when there is no choice yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Select {
    #[default]
    Largest,
    Leftmost,
    /// Nearest to the middle of the picture.
    Centre,
    /// So many faces from the left, the leftmost being 0.
    Index(usize),
}

impl Select {
    /// The positions of `faces` in the order in which they are chosen.
    pub fn rank(self, faces: &[Rect], width: usize, height: usize) -> Vec<usize> {
        let middle = [width as f32 / 2.0, height as f32 / 2.0];
        let key = |face: &Rect| {
            let [x, y] = face.centre();
            match self {
                Self::Largest => -face.area(),
                Self::Leftmost | Self::Index(_) => x,
                Self::Centre => (x - middle[0]).hypot(y - middle[1]),
            }
        };
        let mut order: Vec<usize> = (0..faces.len()).collect();
        order.sort_by(|&a, &b| key(&faces[a]).total_cmp(&key(&faces[b])));
        if let Self::Index(skip) = self {
            order.drain(..skip.min(faces.len()));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_choosing_has_its_own_first() {
        let face = |x, y, size| Rect {
            x,
            y,
            width: size,
            height: size,
        };
        // Left and small, in the middle and smallest, right and large.
        let faces = [
            face(70.0, 0.0, 30.0),
            face(45.0, 45.0, 10.0),
            face(0.0, 0.0, 20.0),
        ];
        let rank = |select: Select| select.rank(&faces, 100, 100);
        assert_eq!(rank(Select::Largest), [0, 2, 1]);
        assert_eq!(rank(Select::Leftmost), [2, 1, 0]);
        assert_eq!(rank(Select::Centre)[0], 1);
        assert_eq!(rank(Select::Index(1)), [1, 0]);
        assert_eq!(rank(Select::Index(7)), [0; 0]);
    }
}
