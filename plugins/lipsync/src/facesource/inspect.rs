//! What the decoders keep quiet about: files that were cut off, which several demuxers end as if
//! nothing were wrong, the orientation that a camera noted in a picture, and how many pixels a picture
//! will have.

use std::io::{self, Read, Seek, SeekFrom};

use crate::decode::{heif, still};

/// Where a picture's notes are looked for.
const HEAD: u64 = 256 << 10;
/// Pictures up to this size are searched for their end.
const LARGEST_SEARCHED: u64 = 64 << 20;
/// The last chunk with its checksum.
const PNG_END: [u8; 8] = *b"IEND\xae\x42\x60\x82";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The file says that it is longer than it is.
    pub cut: bool,
    /// EXIF orientation, 2 to 8; absent where the picture is upright.
    pub orientation: Option<u8>,
    /// Of a picture: width and height.
    pub size: Option<(u32, u32)>,
    /// Of an animation whose demuxer doesn't tell them: how long each frame lasts.
    pub durations: Option<Vec<gst::ClockTime>>,
    /// An animation of which only the first picture is decoded.
    pub animated: bool,
    /// An animation that no decoder takes.
    pub animated_webp: bool,
}

/// Looks at the structure of MP4, Matroska, RIFF (AVI, WebP), JPEG and PNG files.
pub fn inspect(file: &mut (impl Read + Seek), len: u64) -> io::Result<Facts> {
    let mut head = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut head)?;
    let mut facts = Facts {
        size: still::size(&head),
        animated: still::is_animated_png(&head) || heif::is_sequence(&head),
        animated_webp: still::is_animated_webp(&head),
        ..Facts::default()
    };
    match &head[..] {
        [b'G', b'I', b'F', b'8', ..] if len <= LARGEST_SEARCHED => {
            file.read_to_end(&mut head)?;
            // A single frame is a picture.
            facts.durations = still::gif_durations(&head).filter(|d| !d.is_empty());
        }
        [0xff, 0xd8, ..] => {
            facts.orientation = jpeg_exif(&head).and_then(tiff_orientation);
            if len <= LARGEST_SEARCHED {
                file.read_to_end(&mut head)?;
                facts.cut = !jpeg_has_end(&head);
            }
        }
        [0x89, b'P', b'N', b'G', ..] => {
            facts.orientation = png_exif(&head).and_then(tiff_orientation);
            if len <= LARGEST_SEARCHED {
                file.read_to_end(&mut head)?;
                facts.cut = !head.windows(PNG_END.len()).rev().any(|w| w == PNG_END);
            }
        }
        [b'R', b'I', b'F', b'F', rest @ ..] => {
            let size = rest.first_chunk().map_or(0, |s| u32::from_le_bytes(*s));
            // A recorder that was stopped leaves 0 or the largest number.
            facts.cut = size != u32::MAX && u64::from(size) + 8 > len + 1;
            facts.orientation = webp_exif(&head).and_then(tiff_orientation);
        }
        [0x1a, 0x45, 0xdf, 0xa3, ..] => facts.cut = matroska_end(&head).is_some_and(|e| e > len),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => facts.cut = mp4_is_cut(file, len)?,
        _ => (),
    }
    Ok(facts)
}

/// In compressed data 0xff is followed by 0, so an end marker behind the last scan is a real one.
fn jpeg_has_end(data: &[u8]) -> bool {
    let last = |marker| data.windows(2).rposition(|w| w == [0xff, marker]);
    last(0xd9) > last(0xda)
}

fn jpeg_exif(data: &[u8]) -> Option<&[u8]> {
    let mut at = 2;
    loop {
        let [0xff, marker, high, low] = *data.get(at..)?.first_chunk()? else {
            return None;
        };
        let size = usize::from(u16::from_be_bytes([high, low]));
        if marker == 0xda || size < 2 {
            return None;
        }
        let body = data.get(at + 4..at + 2 + size)?;
        if let Some(tiff) = body.strip_prefix(b"Exif\0\0").filter(|_| marker == 0xe1) {
            return Some(tiff);
        }
        at += 2 + size;
    }
}

fn png_exif(data: &[u8]) -> Option<&[u8]> {
    let mut at = 8;
    loop {
        let size = u32::from_be_bytes(*data.get(at..)?.first_chunk()?) as usize;
        let kind = data.get(at + 4..at + 8)?;
        match kind {
            b"eXIf" => return data.get(at + 8..at + 8 + size),
            b"IDAT" => return None,
            _ => at = at.checked_add(12)?.checked_add(size)?,
        }
    }
}

fn webp_exif(data: &[u8]) -> Option<&[u8]> {
    if data.get(8..12)? != b"WEBP" {
        return None;
    }
    let mut at = 12;
    loop {
        let kind = data.get(at..at + 4)?;
        let size = u32::from_le_bytes(*data.get(at + 4..)?.first_chunk()?) as usize;
        if kind == b"EXIF" {
            let body = data.get(at + 8..at + 8 + size)?;
            return Some(body.strip_prefix(b"Exif\0\0").unwrap_or(body));
        }
        at = at
            .checked_add(8)?
            .checked_add(size)?
            .checked_add(size % 2)?;
    }
}

/// Tag 0x0112 of the first directory.
fn tiff_orientation(tiff: &[u8]) -> Option<u8> {
    let big = match tiff.get(..4)? {
        [b'M', b'M', 0, 42] => true,
        [b'I', b'I', 42, 0] => false,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let bytes = *tiff.get(at..)?.first_chunk()?;
        Some(if big {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    };
    let bytes = *tiff.get(4..)?.first_chunk()?;
    let directory = if big {
        u32::from_be_bytes(bytes)
    } else {
        u32::from_le_bytes(bytes)
    } as usize;
    let entries = usize::from(u16_at(directory)?);
    (0..entries)
        .map(|i| directory + 2 + 12 * i)
        .find(|&at| u16_at(at) == Some(0x0112))
        .and_then(|at| u8::try_from(u16_at(at + 8)?).ok())
        .filter(|o| (2..=8).contains(o))
}

/// Where the segment ends, if the file says so.
fn matroska_end(head: &[u8]) -> Option<u64> {
    let (size, digits) = ebml_size(head.get(4..)?)?;
    let segment = 4 + digits + usize::try_from(size?).ok()?;
    let rest = head
        .get(segment..)?
        .strip_prefix(&[0x18, 0x53, 0x80, 0x67])?;
    let (size, digits) = ebml_size(rest)?;
    (segment as u64 + 4 + digits as u64).checked_add(size?)
}

/// A variable-length size and how many bytes it took; `None` for the size that means unknown.
fn ebml_size(data: &[u8]) -> Option<(Option<u64>, usize)> {
    let first = *data.first()?;
    let digits = first.leading_zeros() as usize + 1;
    let bytes = data.get(..digits).filter(|_| digits <= 8)?;
    let raw = bytes
        .iter()
        .fold(0u64, |value, b| value << 8 | u64::from(*b));
    let mask = (1u64 << (7 * digits)) - 1;
    let value = raw & mask;
    Some(((value != mask).then_some(value), digits))
}

/// Follows the boxes of the file: one of those that matter must not end behind its end.
fn mp4_is_cut(file: &mut (impl Read + Seek), len: u64) -> io::Result<bool> {
    let mut at = 0u64;
    while at + 16 <= len {
        let mut header = [0; 16];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut header)?;
        let [a, b, c, d, kind @ .., _, _, _, _, _, _, _, _] = header;
        let [.., e, f, g, h, i, j, k, l] = header;
        let size = match u32::from_be_bytes([a, b, c, d]) {
            0 => return Ok(false),
            1 => u64::from_be_bytes([e, f, g, h, i, j, k, l]),
            size => u64::from(size),
        };
        let Some(end) = at.checked_add(size.max(8)) else {
            return Ok(false);
        };
        if end > len {
            return Ok(matches!(&kind, b"mdat" | b"moov" | b"moof"));
        }
        at = end;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn facts(data: &[u8]) -> Facts {
        inspect(&mut Cursor::new(data), data.len() as u64).unwrap()
    }

    fn cut(data: &[u8]) -> bool {
        facts(data).cut
    }

    fn mp4_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = 8 + body.len() as u32;
        [&size.to_be_bytes()[..], kind, body].concat()
    }

    #[test]
    fn an_mp4_is_cut_where_its_media_ends_too_early() {
        let whole = [
            mp4_box(b"ftyp", b"isomisom"),
            mp4_box(b"moov", &[0; 40]),
            mp4_box(b"mdat", &[0; 400]),
        ]
        .concat();
        assert!(!cut(&whole));
        assert!(cut(&whole[..whole.len() - 1]));
        assert!(cut(&whole[..80]));
        // Players live with rubbish behind the last box.
        assert!(!cut(&[&whole[..], &[0x7f; 40]].concat()));
    }

    #[test]
    fn a_matroska_segment_of_known_size_must_be_there() {
        let header = [0x1a, 0x45, 0xdf, 0xa3, 0x82, 1, 2, 0x18, 0x53, 0x80, 0x67];
        let whole = [&header[..], &[0x40, 100], &[0; 100]].concat();
        assert!(!cut(&whole));
        assert!(cut(&whole[..whole.len() - 1]));
        let live = [
            &header[..],
            &[0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ]
        .concat();
        assert!(!cut(&live));
    }

    #[test]
    fn a_riff_file_must_be_as_long_as_it_says() {
        let whole = [&b"RIFF\x64\0\0\0AVI "[..], &[0; 96]].concat();
        assert!(!cut(&whole));
        assert!(cut(&whole[..60]));
        assert!(!cut(&[&b"RIFF\xff\xff\xff\xffAVI "[..], &[0; 96]].concat()));
    }

    /// EXIF as a camera writes it: two entries, the second is the orientation.
    fn exif(big: bool, orientation: u8) -> Vec<u8> {
        if big {
            let mut tiff = b"MM\0\x2a\0\0\0\x08\0\x02".to_vec();
            tiff.extend(b"\x01\x00\0\x04\0\0\0\x01\0\0\x02\0");
            tiff.extend(b"\x01\x12\0\x03\0\0\0\x01\0");
            tiff.extend([orientation, 0, 0]);
            tiff
        } else {
            let mut tiff = b"II\x2a\0\x08\0\0\0\x02\0".to_vec();
            tiff.extend(b"\x00\x01\x04\0\x01\0\0\0\0\x02\0\0");
            tiff.extend(b"\x12\x01\x03\0\x01\0\0\0");
            tiff.extend([orientation, 0, 0, 0]);
            tiff
        }
    }

    #[test]
    fn the_camera_s_orientation_is_found() {
        for big in [false, true] {
            let tiff = exif(big, 6);
            let size = (tiff.len() as u16 + 8).to_be_bytes();
            let app0 = [0xff, 0xe0, 0, 4, 1, 2];
            let mut jpeg = [
                &[0xff, 0xd8][..],
                &app0,
                &[0xff, 0xe1],
                &size,
                b"Exif\0\0",
                &tiff,
            ]
            .concat();
            jpeg.extend([0xff, 0xda, 0, 2, 9, 9, 0xff, 0xd9]);
            let found = |data: &[u8]| {
                let facts = facts(data);
                (facts.cut, facts.orientation)
            };
            assert_eq!(found(&jpeg), (false, Some(6)));
            assert!(cut(&jpeg[..jpeg.len() - 2]));

            let size = (tiff.len() as u32).to_be_bytes();
            let start = b"\x89PNG\r\n\x1a\n\0\0\0\x01gAMAxcrc!";
            let mut png = [&start[..], &size[..], b"eXIf", &tiff].concat();
            assert!(cut(&png));
            png.extend(PNG_END);
            assert_eq!(found(&png), (false, Some(6)));

            let chunk = [b"EXIF", &(tiff.len() as u32).to_le_bytes()[..], &tiff].concat();
            let size = (4 + 10 + chunk.len() as u32).to_le_bytes();
            let webp = [b"RIFF", &size[..], b"WEBPVP8X\x01\0\0\0x\0", &chunk].concat();
            assert_eq!(found(&webp), (false, Some(6)));
        }
        assert_eq!(tiff_orientation(&exif(true, 1)), None);
        assert_eq!(tiff_orientation(&exif(true, 9)), None);
    }

    #[test]
    fn damaged_headers_are_survived() {
        let tiff = exif(true, 6);
        let jpeg = [&[0xff, 0xd8, 0xff, 0xe1, 0, 60][..], b"Exif\0\0", &tiff].concat();
        let png = [&b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffeXIf"[..], &tiff].concat();
        let webp = [&b"RIFF\x64\0\0\0WEBPEXIF\xff\xff\xff\xff"[..], &tiff].concat();
        let mkv = [
            0x1a, 0x45, 0xdf, 0xa3, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
        ];
        let mp4 = b"\0\0\0\x01ftyp\xff\xff\xff\xff\xff\xff\xff\xff0000".to_vec();
        for data in [jpeg, png, webp, mkv.to_vec(), mp4] {
            for len in 0..data.len() {
                assert_eq!(facts(&data[..len]).orientation, None);
            }
        }
    }
}
