//! A line of text as a mask.

use std::sync::{LazyLock, Mutex};

use cosmic_text::{Attrs, Buffer, Color, FontSystem, Metrics, Shaping, SwashCache};

use crate::sync::lock;

/// Space around the text, as a share of its height.
const PADDING: f32 = 0.45;

/// So often the size is corrected until the text is as high as it has to be.
const TRIES: usize = 4;

/// Looking through the installed fonts takes long; they are the same for all labels of a process.
static FONTS: LazyLock<Mutex<FontSystem>> = LazyLock::new(|| Mutex::new(FontSystem::new()));

/// Why a text can't be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It would be boxes instead of letters.
    #[error(
        "no font that is installed has `{0}`. Install one that has it: the Debian package \
         fonts-wqy-microhei for Chinese, fonts-dejavu-core for Latin letters"
    )]
    NoGlyph(String),
    /// Nothing of it can be seen.
    #[error("`{0}` has no letter that can be seen. Give another text")]
    Invisible(String),
    /// Wider than the picture.
    #[error(
        "`{text}` is {width} pixels wide and the picture {picture}: at the height that is asked for it \
         does not fit. Give a shorter text"
    )]
    TooWide {
        /// The text.
        text: String,
        /// Of the box around it, in pixels.
        width: usize,
        /// Width of the picture, in pixels.
        picture: usize,
    },
    /// A mouth is wherever it could be.
    #[error("there is no place for `{0}` that is not before a mouth. Give a shorter text")]
    NoPlace(String),
}

/// How much of each pixel of a box is covered by the text that is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Of the box in pixels; even, as pixels of half size are drawn into as well.
    pub width: usize,
    /// Of the box in pixels; even.
    pub height: usize,
    /// Of the letters in pixels, from the highest point to the lowest.
    pub text_height: usize,
    /// By rows: 0 none, 255 all.
    pub coverage: Vec<u8>,
}

impl Mask {
    /// Whether the box of that text is no larger than a picture of that size.
    pub fn check_fits(&self, text: &str, picture: [usize; 2]) -> Result<(), Error> {
        match self.width <= picture[0] && self.height <= picture[1] {
            true => Ok(()),
            false => Err(Error::TooWide {
                text: text.to_owned(),
                width: self.width,
                picture: picture[0],
            }),
        }
    }

    /// The text with letters that are at least `height` pixels high, in a box with some space around.
    pub fn of(text: &str, height: f32) -> Result<Self, Error> {
        let text = text.trim();
        let height = height.ceil().max(4.0);
        let mut fonts = lock(&FONTS);
        let mut size = height * 1.3;
        let mut ink = Ink::of(&mut fonts, text, size)?;
        for _ in 0..TRIES {
            if ink.height() >= height as usize && ink.height() as f32 <= height * 1.15 + 1.0 {
                break;
            }
            // A little more, as the edges are rounded.
            size *= (height + 0.5) / ink.height() as f32;
            ink = Ink::of(&mut fonts, text, size)?;
        }
        Ok(ink.boxed((height * PADDING) as usize))
    }
}

/// The pixels of a text.
struct Ink {
    /// Left, top, right and bottom, without the last.
    bounds: [i32; 4],
    /// Place and coverage.
    pixels: Vec<(i32, i32, u8)>,
}

impl Ink {
    fn of(fonts: &mut FontSystem, text: &str, size: f32) -> Result<Self, Error> {
        let mut buffer = Buffer::new(fonts, Metrics::new(size, size * 1.5));
        buffer.set_size(None, None);
        buffer.set_text(text, &Attrs::new(), Shaping::Advanced, None);
        buffer.shape_until_scroll(fonts, false);
        for run in buffer.layout_runs() {
            if let Some(missing) = run.glyphs.iter().find(|glyph| glyph.glyph_id == 0) {
                let letters = run.text.get(missing.start..missing.end);
                return Err(Error::NoGlyph(letters.unwrap_or(text).to_owned()));
            }
        }
        let mut ink = Self {
            bounds: [i32::MAX, i32::MAX, i32::MIN, i32::MIN],
            pixels: Vec::new(),
        };
        let mut cache = SwashCache::new();
        buffer.draw(
            fonts,
            &mut cache,
            Color::rgb(255, 255, 255),
            |x, y, w, h, color| {
                if color.a() == 0 {
                    return;
                }
                for (x, y) in (y..y + h as i32).flat_map(|y| (x..x + w as i32).map(move |x| (x, y)))
                {
                    ink.pixels.push((x, y, color.a()));
                    let [left, top, right, bottom] = ink.bounds;
                    ink.bounds = [left.min(x), top.min(y), right.max(x + 1), bottom.max(y + 1)];
                }
            },
        );
        if ink.pixels.is_empty() {
            return Err(Error::Invisible(text.to_owned()));
        }
        Ok(ink)
    }

    fn height(&self) -> usize {
        (self.bounds[3] - self.bounds[1]) as usize
    }

    fn boxed(&self, padding: usize) -> Mask {
        let [left, top, right, _] = self.bounds;
        let width = ((right - left) as usize + 2 * padding).next_multiple_of(2);
        let height = (self.height() + 2 * padding).next_multiple_of(2);
        let mut coverage = vec![0_u8; width * height];
        for (x, y, alpha) in &self.pixels {
            let (x, y) = ((x - left) as usize + padding, (y - top) as usize + padding);
            if let Some(cell) = coverage.get_mut(y * width + x) {
                // Letters may overlap.
                *cell = (*cell).max(*alpha);
            }
        }
        Mask {
            width,
            height,
            text_height: self.height(),
            coverage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_as_high_as_asked_and_have_space_around_them() {
        for (text, height) in [
            ("AI", 36.0),
            ("AI-generated", 54.0),
            ("x", 18.5),
            ("AI生成", 24.0),
        ] {
            let mask = Mask::of(text, height).unwrap();
            let rows: Vec<usize> = (0..mask.height)
                .filter(|y| {
                    mask.coverage[y * mask.width..][..mask.width]
                        .iter()
                        .any(|c| *c > 0)
                })
                .collect();
            let inked = rows.last().unwrap() - rows[0] + 1;
            assert_eq!(inked, mask.text_height, "{text}");
            assert!(inked as f32 >= height, "{text}: {inked} of {height}");
            assert!(
                inked as f32 <= 1.2 * height + 1.0,
                "{text}: {inked} of {height}"
            );
            let padding = (height.ceil() * PADDING) as usize;
            assert!(rows[0] >= padding, "{text}");
            assert!(mask.height - rows.last().unwrap() > padding, "{text}");
            let columns = (0..mask.width)
                .filter(|x| (0..mask.height).any(|y| mask.coverage[y * mask.width + x] > 0));
            let columns: Vec<usize> = columns.collect();
            assert!(
                columns[0] >= padding && mask.width - columns.last().unwrap() > padding,
                "{text}"
            );
            assert!(mask.coverage.contains(&255), "{text}: solid strokes");
        }
    }

    #[test]
    fn what_no_font_has_and_what_can_not_be_seen_is_refused() {
        // Of a plane that is for private use, which no font fills.
        let private = Mask::of("AI \u{10FFFD}", 30.0);
        assert_eq!(private, Err(Error::NoGlyph("\u{10FFFD}".into())));
        assert_eq!(Mask::of("  ", 30.0), Err(Error::Invisible(String::new())));
    }
}
