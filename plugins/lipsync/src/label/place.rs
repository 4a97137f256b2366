//! Where a box goes on a picture.

use crate::picture::Rect;

/// Space to the edge of the picture, as a share of its shorter side.
const MARGIN: f32 = 0.03;

/// The edge or the corner of the picture that a box is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corner {
    /// At the bottom, on the right.
    BottomRight,
    /// At the bottom, on the left.
    BottomLeft,
    /// At the top, on the right.
    TopRight,
    /// At the top, on the left.
    TopLeft,
    /// In the middle of the bottom edge.
    Bottom,
    /// In the middle of the top edge.
    Top,
}

impl Corner {
    /// In the order in which they are tried.
    const ALL: [Self; 6] = [
        Self::BottomRight,
        Self::BottomLeft,
        Self::TopRight,
        Self::TopLeft,
        Self::Top,
        Self::Bottom,
    ];
}

/// Upper left corner of a box, in pixels; even.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From the left.
    pub x: usize,
    /// From the top.
    pub y: usize,
}

impl Place {
    /// Whether a box of this size at this place has something in common with another one.
    pub fn covers(self, [width, height]: [usize; 2], other: Rect) -> bool {
        let (x, y) = (self.x as f32, self.y as f32);
        other.x < x + width as f32
            && x < other.x + other.width
            && other.y < y + height as f32
            && y < other.y + other.height
    }
}

/// A place for a box of size `size` on a picture: `wanted`, or else the first of the corners and edges, that
/// is before none of `mouths`. Nothing where none is, or the box is larger than the picture.
pub fn place(
    size: [usize; 2],
    picture: [usize; 2],
    wanted: Option<Corner>,
    mouths: &[Rect],
) -> Option<Place> {
    let margin = (MARGIN * picture[0].min(picture[1]) as f32) as usize;
    let free = |axis: usize| picture[axis].checked_sub(size[axis]);
    let (right, bottom) = (free(0)?, free(1)?);
    // Where the box fills the picture nearly, there is less of a margin.
    let (near_x, near_y) = (margin.min(right / 2), margin.min(bottom / 2));
    let at = |corner| {
        let x = match corner {
            Corner::BottomLeft | Corner::TopLeft => near_x,
            Corner::BottomRight | Corner::TopRight => right - near_x,
            Corner::Bottom | Corner::Top => right / 2,
        };
        let y = match corner {
            Corner::TopLeft | Corner::TopRight | Corner::Top => near_y,
            Corner::BottomLeft | Corner::BottomRight | Corner::Bottom => bottom - near_y,
        };
        Place {
            x: x & !1,
            y: y & !1,
        }
    };
    let corners = wanted.into_iter().chain(Corner::ALL);
    corners
        .map(at)
        .find(|place| !mouths.iter().any(|mouth| place.covers(size, *mouth)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rect(x: f32, y: f32, width: f32, height: f32) -> Rect {
        Rect {
            x,
            y,
            width,
            height,
        }
    }

    #[test]
    fn a_box_is_where_it_is_asked_for_unless_a_mouth_is_there() {
        let of = |wanted, mouths: &[Rect]| place([100, 30], [640, 480], wanted, mouths);
        let bottom_right = Place { x: 526, y: 436 };
        assert_eq!(of(None, &[]), Some(bottom_right));
        assert_eq!(of(Some(Corner::TopLeft), &[]), Some(Place { x: 14, y: 14 }));
        assert_eq!(
            of(Some(Corner::Bottom), &[]),
            Some(Place { x: 270, y: 436 })
        );
        let mouth = rect(560.0, 440.0, 40.0, 20.0);
        let bottom_left = Place { x: 14, y: 436 };
        assert_eq!(of(None, &[mouth]), Some(bottom_left));
        assert_eq!(of(Some(Corner::BottomRight), &[mouth]), Some(bottom_left));
        // Beside it is not before it.
        assert_eq!(
            of(None, &[rect(400.0, 440.0, 126.0, 20.0)]),
            Some(bottom_right)
        );
        assert_eq!(of(None, &[rect(0.0, 0.0, 640.0, 480.0)]), None);
        assert_eq!(place([700, 30], [640, 480], None, &[]), None);
        // One that just fits has no room for a margin.
        assert_eq!(
            place([640, 480], [640, 480], None, &[]),
            Some(Place { x: 0, y: 0 })
        );
    }
}
