//! Puts a box with text onto a picture.

use super::{Mask, Place};
use crate::picture::frame::{Channel, Colour, FrameMut};

/// Draws the box at `place`: black of that opacity (0 to 1), and the text in it solid white. What of it is
/// beyond the picture is left out. Samples outside the box stay as they are, to the bit.
pub fn draw(frame: &mut FrameMut, mask: &Mask, place: Place, opacity: f32) {
    let layout = frame.layout;
    let ink = |rgb| layout.colour.from_rgb(rgb);
    let (black, white) = (ink([0.0; 3]), ink([255.0; 3]));
    for (c, channel) in layout.channels.iter().enumerate() {
        let plane = &mut *frame.planes[channel.plane];
        let is_luma = c == 0 || layout.colour == Colour::Rgb;
        let (right, bottom) = (channel.width(layout.width), channel.height(layout.height));
        let rows = place.y >> channel.sub_y..(place.y + mask.height).div_ceil(1 << channel.sub_y);
        for y in rows.start..rows.end.min(bottom) {
            let columns =
                place.x >> channel.sub_x..(place.x + mask.width).div_ceil(1 << channel.sub_x);
            for x in columns.start..columns.end.min(right) {
                let at = channel.index(x, y);
                let Some(below) = channel.depth.get(plane, at) else {
                    continue;
                };
                let covered = coverage(mask, channel, x - columns.start, y - rows.start);
                let boxed = below + (black[c] - below) * opacity;
                let value = match is_luma {
                    true => boxed + (white[c] - boxed) * covered,
                    // Black and white have the same colour.
                    false => boxed + (black[c] - boxed) * covered,
                };
                channel.depth.put(plane, at, value);
            }
        }
    }
}

/// How much of a sample is text, 0 to 1; `x` and `y` count samples of the channel from the box's corner.
fn coverage(mask: &Mask, channel: &Channel, x: usize, y: usize) -> f32 {
    let (across, down) = (1 << channel.sub_x, 1 << channel.sub_y);
    let mut sum = 0;
    for row in (y * down..(y + 1) * down).filter(|row| *row < mask.height) {
        let row = &mask.coverage[row * mask.width..][..mask.width];
        let pixels = row.iter().skip(x * across).take(across);
        sum += pixels.map(|c| u32::from(*c)).sum::<u32>();
    }
    sum as f32 / (255 * across * down) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::LEAST_OPACITY;
    use crate::picture::frame::Layout;
    use crate::picture::sample::Depth;

    fn mask() -> Mask {
        let mut coverage = vec![0; 8 * 4];
        coverage[8 + 2] = 255;
        coverage[8 + 3] = 255;
        Mask {
            width: 8,
            height: 4,
            text_height: 1,
            coverage,
        }
    }

    const PLACE: Place = Place { x: 4, y: 2 };

    /// I420 of 16 x 8 pixels in limited range, of one colour.
    fn yuv(value: [u8; 3]) -> ([Vec<u8>; 3], Layout) {
        let channel = |plane: usize| Channel {
            plane,
            offset: 0,
            step: 1,
            stride: if plane == 0 { 16 } else { 8 },
            sub_x: u8::from(plane > 0),
            sub_y: u8::from(plane > 0),
            depth: Depth::Eight,
        };
        let layout = Layout {
            width: 16,
            height: 8,
            channels: [channel(0), channel(1), channel(2)],
            colour: Colour::BT601,
        };
        let planes = [vec![value[0]; 128], vec![value[1]; 32], vec![value[2]; 32]];
        (planes, layout)
    }

    #[test]
    fn text_is_white_in_a_dark_box_and_all_else_stays() {
        let (mut planes, layout) = yuv([235, 90, 200]);
        let before = planes.clone();
        let [a, b, c] = &mut planes;
        let mut frame = FrameMut {
            layout,
            planes: [a, b, c],
        };
        draw(&mut frame, &mask(), PLACE, 0.75);
        let luma = |x: usize, y: usize| planes[0][y * 16 + x];
        assert_eq!(luma(6, 3), 235);
        // A quarter of white, three of black: 235 + (16 - 235) * 0.75.
        assert_eq!(luma(4, 2), 71);
        // Half of the pixels below are text: 90 + 38 * 0.75, and half of the way from there to 128.
        assert_eq!(planes[1][8 + 3], 123);
        assert_eq!(planes[1][2 * 8 + 5], 119);
        for (plane, (width, sub)) in [(16, 0), (8, 1), (8, 1)].into_iter().enumerate() {
            for i in 0..planes[plane].len() {
                let (x, y) = (i % width, i / width);
                let inside =
                    (4 >> sub..12 >> sub).contains(&x) && (2 >> sub..6 >> sub).contains(&y);
                if !inside {
                    assert_eq!(
                        planes[plane][i], before[plane][i],
                        "plane {plane}: {x}, {y}"
                    );
                }
            }
        }
    }

    #[test]
    fn text_can_be_read_on_any_brightness() {
        // Relative luminance after WCAG 2.1, of a grey of sRGB.
        let luminance = |level: u8| {
            let v = f64::from(level) / 255.0;
            match v <= 0.04045 {
                true => v / 12.92,
                false => ((v + 0.055) / 1.055).powf(2.4),
            }
        };
        for level in [0, 80, 160, 255] {
            let mut picture = vec![level; 16 * 8 * 3];
            let mut frame = FrameMut {
                layout: Layout::rgb(16, 8),
                planes: [&mut picture, &mut [], &mut []],
            };
            draw(&mut frame, &mask(), PLACE, LEAST_OPACITY as f32);
            let at = |x: usize, y: usize| luminance(picture[(y * 16 + x) * 3 + 1]);
            let contrast = (at(6, 3) + 0.05) / (at(4, 2) + 0.05);
            assert!(contrast >= 4.5, "on {level}: {contrast:.2}");
        }
    }

    #[test]
    fn a_box_that_reaches_beyond_the_picture_is_cut() {
        let (mut planes, layout) = yuv([100, 128, 128]);
        let [a, b, c] = &mut planes;
        let mut frame = FrameMut {
            layout,
            planes: [a, b, c],
        };
        draw(&mut frame, &mask(), Place { x: 12, y: 6 }, 1.0);
        assert_eq!(planes[0][7 * 16 + 15], 235);
        assert_eq!(planes[0][6 * 16 + 15], 16);
    }
}
