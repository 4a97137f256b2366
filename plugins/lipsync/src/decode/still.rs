//! What the first bytes of pictures say. No GStreamer objects here, only its time type.

use gst::ClockTime;

use super::heif;

/// Browsers show a GIF's frame that is to last less than 20 ms for 100 ms, and so do we.
const SHORTEST_GIF: ClockTime = ClockTime::from_mseconds(20);
const USUAL_GIF: ClockTime = ClockTime::from_mseconds(100);

/// Width and height of a PNG, GIF, BMP, WebP, JPEG, HEIC or AVIF picture.
pub fn size(head: &[u8]) -> Option<(u32, u32)> {
    match head {
        [0x89, b'P', b'N', b'G', ..] if head.get(12..16)? == b"IHDR" => {
            Some((be32(head, 16)?, be32(head, 20)?))
        }
        [b'G', b'I', b'F', b'8', ..] => Some((le16(head, 6)?, le16(head, 8)?)),
        [b'B', b'M', ..] => Some((
            le32(head, 18)?.cast_signed().unsigned_abs(),
            le32(head, 22)?.cast_signed().unsigned_abs(),
        )),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => webp(head),
        [0xff, 0xd8, ..] => jpeg(head),
        _ => heif::size(head),
    }
}

fn webp(head: &[u8]) -> Option<(u32, u32)> {
    match head.get(12..16)? {
        b"VP8 " => Some((le16(head, 26)? & 0x3fff, le16(head, 28)? & 0x3fff)),
        b"VP8L" => {
            let bits = le32(head, 21)?;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8X" => Some((
            (le32(head, 24)? & 0xff_ffff) + 1,
            (le32(head, 27)? & 0xff_ffff) + 1,
        )),
        _ => None,
    }
}

/// The first frame header behind the application's segments.
fn jpeg(head: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let [0xff, marker, high, low] = *head.get(at..)?.first_chunk()? else {
            return None;
        };
        match marker {
            // Bytes that fill up.
            0xff => at += 1,
            // Any kind of coding, but not the tables that share its numbers.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                return Some((be16(head, at + 7)?, be16(head, at + 5)?));
            }
            0xda => return None,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
}

/// Whether a PNG picture is an animation, of which a decoder gives the first picture.
pub fn is_animated_png(head: &[u8]) -> bool {
    match head {
        // The control chunk of APNG stands before the picture's data.
        [0x89, b'P', b'N', b'G', ..] => {
            let at = |kind: &[u8]| head.windows(4).position(|w| w == kind);
            match (at(b"acTL"), at(b"IDAT")) {
                (Some(control), Some(data)) => control < data,
                (control, None) => control.is_some(),
                (None, _) => false,
            }
        }
        _ => false,
    }
}

/// Whether a WebP picture is an animation, which `webpdec` does not take.
pub fn is_animated_webp(head: &[u8]) -> bool {
    head.starts_with(b"RIFF")
        && head.get(8..16) == Some(b"WEBPVP8X")
        && head.get(20).is_some_and(|flags| flags & 2 != 0)
}

/// How long each frame of a GIF lasts.
pub fn gif_durations(data: &[u8]) -> Option<Vec<ClockTime>> {
    let table = |flags: u8| match flags & 0x80 {
        0 => 0,
        _ => 3 << ((flags & 7) + 1),
    };
    let mut at = 13 + table(*data.get(10)?);
    let mut delay = USUAL_GIF;
    let mut durations = Vec::new();
    loop {
        match *data.get(at)? {
            0x21 => {
                // A graphic control extension: size, flags, hundredths of a second.
                if data.get(at + 1) == Some(&0xf9) {
                    let hundredths = le16(data, at + 4)?;
                    let told = ClockTime::from_mseconds(u64::from(hundredths) * 10);
                    delay = if told < SHORTEST_GIF { USUAL_GIF } else { told };
                }
                at = behind_blocks(data, at + 2)?;
            }
            0x2c => {
                durations.push(delay);
                let flags = *data.get(at + 9)?;
                // The smallest code's size stands before the blocks.
                at = behind_blocks(data, at + 10 + table(flags) + 1)?;
            }
            _ => return Some(durations),
        }
    }
}

/// Past blocks that begin with their length, up to an empty one.
fn behind_blocks(data: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*data.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}

fn be16(data: &[u8], at: usize) -> Option<u32> {
    Some(u16::from_be_bytes(*data.get(at..)?.first_chunk()?).into())
}

fn be32(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*data.get(at..)?.first_chunk()?))
}

fn le16(data: &[u8], at: usize) -> Option<u32> {
    Some(u16::from_le_bytes(*data.get(at..)?.first_chunk()?).into())
}

fn le32(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*data.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_how_large_a_picture_is() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x36\xb0\0\0\x36\xb1";
        assert_eq!(size(png), Some((14_000, 14_001)));
        assert_eq!(size(b"GIF89a\x10\x02\x03\x01\0\0\0"), Some((528, 259)));
        // A table before the frame header: it is not one.
        let jpeg = b"\xff\xd8\xff\xc4\0\x04ab\xff\xc2\0\x0b\x08\x01\x02\x03\x04";
        assert_eq!(size(jpeg), Some((0x304, 0x102)));
        let webp = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0\x0f\x27\0\x07\0\0\0";
        assert_eq!(size(webp), Some((10_000, 8)));
        for len in 0..png.len() {
            assert_eq!(size(&png[..len]), None);
        }
    }

    #[test]
    fn animations_are_told_from_pictures() {
        let png = |chunk: &str| format!("\u{89}PNG....{chunk}....IDAT....acTL");
        let png = |chunk: &str| [&b"\x89PNG"[..], png(chunk).as_bytes()].concat();
        assert!(is_animated_png(&png("acTL")));
        assert!(!is_animated_png(&png("gAMA")));
        let webp = |flags: u8| [&b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0"[..], &[flags, 0]].concat();
        assert!(is_animated_webp(&webp(0x12)) && !is_animated_webp(&webp(0x10)));
        assert!(!is_animated_webp(
            b"RIFF\0\0\0\0WEBPVP8 \x02\x02\x02\x02\x02\x02"
        ));
    }

    #[test]
    fn a_gif_says_how_long_its_frames_last() {
        let mut gif = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff".to_vec();
        for delay in [4, 0, 250] {
            gif.extend([0x21, 0xf9, 4, 0, delay, 0, 0, 0]);
            gif.extend(b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0");
        }
        let ms = ClockTime::from_mseconds;
        let cut = gif_durations(&gif);
        gif.push(0x3b);
        assert_eq!(gif_durations(&gif), Some(vec![ms(40), ms(100), ms(2500)]));
        assert_eq!(cut, None);
    }
}
