//! Is a container whole? The outermost boxes of the common formats say how long they should be, so
//! a file that was cut in the middle is known at once, and not after an hour of work.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use gstlipsync::decode::heif;

/// What an ISO file, or one of the QuickTime files before it, begins with.
const FIRST_BOXES: [&[u8; 4]; 4] = [b"ftyp", b"wide", b"mdat", b"moov"];

/// Demuxers that play from the first frame of all on, while the length that the file claims counts from 0.
pub const COUNTED_FROM_0: [&str; 2] = ["matroskademux", "flvdemux"];

/// These say in a header how long the file lasts; others reckon it from what there is.
pub const WITH_CLAIM: [&str; 4] = ["qtdemux", "matroskademux", "flvdemux", "avidemux"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wholeness {
    /// As far as the outermost boxes tell, or of a format that has none.
    Whole,
    /// It ends before its boxes do, or its index is missing.
    Cut,
    /// There is no media in it.
    HeaderOnly,
}

/// Looks at the boxes of the file, of which there are few; the content is skipped.
pub fn inspect(path: &Path) -> io::Result<Wholeness> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    inspect_reader(&mut BufReader::new(file), size)
}

fn inspect_reader(reader: &mut (impl Read + Seek), size: u64) -> io::Result<Wholeness> {
    let mut head = [0; 12];
    if size < head.len() as u64 {
        return Ok(Wholeness::Whole);
    }
    reader.read_exact(&mut head)?;
    reader.rewind()?;
    // Still pictures are ISO files too, but without a movie's index.
    let is_still = heif::coding(&head).is_some();
    if FIRST_BOXES.iter().any(|kind| head[4..8] == **kind) && !is_still {
        inspect_iso(reader, size)
    } else if head[..4] == [0x1a, 0x45, 0xdf, 0xa3] {
        inspect_matroska(reader, size)
    } else if &head[..4] == b"RIFF" && (&head[8..] == b"WAVE" || &head[8..] == b"AVI ") {
        inspect_riff(reader, size)
    } else if &head[..4] == b"GIF8" {
        inspect_gif(reader)
    } else {
        Ok(Wholeness::Whole)
    }
}

/// ISO/IEC 14496-12: MP4, MOV, M4A.
fn inspect_iso(reader: &mut (impl Read + Seek), size: u64) -> io::Result<Wholeness> {
    const BOX_HEADER: u64 = 8;
    let (mut position, mut media) = (0, 0);
    let (mut has_index, mut is_cut) = (false, false);
    while size - position >= BOX_HEADER {
        reader.seek(SeekFrom::Start(position))?;
        let short = u64::from(read_u32_be(reader)?);
        let mut kind = [0; 4];
        reader.read_exact(&mut kind)?;
        let (length, header) = match short {
            // To the end of the file.
            0 => (size - position, BOX_HEADER),
            1 if size - position >= 2 * BOX_HEADER => (read_u64_be(reader)?, 2 * BOX_HEADER),
            short => (short, BOX_HEADER),
        };
        if length < header {
            // No box is shorter than its header, so what stands here is none.
            break;
        }
        let present = length.min(size - position);
        match &kind {
            b"moov" => has_index = present == length,
            b"mdat" => media += present - header.min(present),
            _ => {}
        }
        is_cut |= present < length;
        position += present;
    }
    Ok(if media == 0 {
        Wholeness::HeaderOnly
    } else if is_cut || !has_index {
        Wholeness::Cut
    } else {
        Wholeness::Whole
    })
}

/// RFC 8794 (EBML) and RFC 9559: MKV, WebM.
fn inspect_matroska(reader: &mut (impl Read + Seek), size: u64) -> io::Result<Wholeness> {
    const SEGMENT: u32 = 0x1853_8067;
    const CLUSTER: u32 = 0x1f43_b675;
    let (mut has_media, mut is_cut) = (false, false);
    let mut position = 0;
    while position < size {
        reader.seek(SeekFrom::Start(position))?;
        let (Ok(id), Ok(length)) = (read_element_id(reader), read_element_size(reader)) else {
            break;
        };
        let content = reader.stream_position()?;
        has_media |= id == CLUSTER && content < size;
        is_cut |= length.is_some_and(|length| content.saturating_add(length) > size);
        position = match length {
            // Inside the segment are the clusters; everything else is skipped.
            _ if id == SEGMENT => content,
            Some(length) => content.saturating_add(length),
            // A recording that was never closed says no more about its length.
            None => break,
        };
    }
    Ok(match (has_media, is_cut) {
        (false, _) => Wholeness::HeaderOnly,
        (true, true) => Wholeness::Cut,
        (true, false) => Wholeness::Whole,
    })
}

/// Microsoft's RIFF: WAV, AVI.
fn inspect_riff(reader: &mut (impl Read + Seek), size: u64) -> io::Result<Wholeness> {
    const HEADER: u64 = 8;
    // Chunk sizes that mean "not known when this was written".
    const OPEN: [u64; 3] = [0, u32::MAX as u64, 0x7fff_ffff];
    // The form's four bytes follow the header of the outermost chunk.
    let mut position = HEADER + 4;
    let mut media = None;
    let mut is_cut = false;
    while size.saturating_sub(position) >= HEADER {
        reader.seek(SeekFrom::Start(position))?;
        let mut kind = [0; 4];
        reader.read_exact(&mut kind)?;
        let mut length = u64::from(read_u32_le(reader)?);
        let is_media = match &kind {
            b"data" => true,
            b"LIST" => {
                let mut form = [0; 4];
                reader.read_exact(&mut form).is_ok() && &form == b"movi"
            }
            _ => false,
        };
        let rest = size - position - HEADER;
        if is_media && OPEN.contains(&length) {
            length = rest;
        }
        let present = length.min(rest);
        if is_media {
            // A `movi` list has its form's name before any content.
            let own = if kind == *b"LIST" { 4 } else { 0 };
            media = Some(media.unwrap_or(0) + present.saturating_sub(own));
            // Writers that round are forgiven.
            is_cut |= (length - present) * 50 > length;
        }
        position += HEADER + present + present % 2;
    }
    Ok(match media {
        Some(0) | None => Wholeness::HeaderOnly,
        Some(_) if is_cut => Wholeness::Cut,
        Some(_) => Wholeness::Whole,
    })
}

/// GIF89a, whose blocks lie behind one another up to a trailer. `avdemux_gif` reads one in which they don't
/// for ever.
fn inspect_gif(reader: &mut (impl Read + Seek)) -> io::Result<Wholeness> {
    const SCREEN: i64 = 10;
    reader.seek_relative(SCREEN)?;
    let mut frames = 0;
    let blocks = gif_blocks(reader, &mut frames);
    let is_whole = match blocks {
        Ok(is_whole) => is_whole,
        // It ends within a block.
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => false,
        Err(e) => return Err(e),
    };
    Ok(match (is_whole, frames) {
        (true, 0) => Wholeness::HeaderOnly,
        (true, _) => Wholeness::Whole,
        (false, _) => Wholeness::Cut,
    })
}

/// Counts the frames; says whether nothing but blocks stands before the trailer, or before the end of a
/// file that has none.
fn gif_blocks(reader: &mut (impl Read + Seek), frames: &mut u64) -> io::Result<bool> {
    let table = |flags: u8| match flags & 0x80 {
        0 => 0,
        _ => 3_i64 << ((flags & 7) + 1),
    };
    let flags = read_u8(reader)?;
    // Background and aspect ratio stand between.
    reader.seek_relative(2 + table(flags))?;
    loop {
        match read_u8(reader) {
            Ok(0x3b) => return Ok(true),
            Ok(0x21) => reader.seek_relative(1)?,
            Ok(0x2c) => {
                // Behind its place and size.
                reader.seek_relative(8)?;
                let flags = read_u8(reader)?;
                // The smallest code's size stands before the blocks.
                reader.seek_relative(table(flags) + 1)?;
                *frames += 1;
            }
            Ok(_) => return Ok(false),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(true),
            Err(e) => return Err(e),
        }
        loop {
            match read_u8(reader)? {
                0 => break,
                length => reader.seek_relative(length.into())?,
            }
        }
    }
}

fn read_u32_be(reader: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

fn read_u64_be(reader: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes)?;
    Ok(u64::from_be_bytes(bytes))
}

fn read_u32_le(reader: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn read_u8(reader: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    reader.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// One to four bytes; the leading zeros tell how many, and stay part of the number.
fn read_element_id(reader: &mut impl Read) -> io::Result<u32> {
    let first = read_u8(reader)?;
    let more = first.leading_zeros();
    if more > 3 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut id = u32::from(first);
    for _ in 0..more {
        id = id << 8 | u32::from(read_u8(reader)?);
    }
    Ok(id)
}

/// One to eight bytes without the marker; all ones mean that the size is not known.
fn read_element_size(reader: &mut impl Read) -> io::Result<Option<u64>> {
    let first = read_u8(reader)?;
    let more = first.leading_zeros();
    if more > 7 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut size = u64::from(first) & (0x7f >> more);
    for _ in 0..more {
        size = size << 8 | u64::from(read_u8(reader)?);
    }
    let unknown = (1 << (7 * (more + 1))) - 1;
    Ok((size != unknown).then_some(size))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::Wholeness::{Cut, HeaderOnly, Whole};
    use super::*;

    fn judge(bytes: &[u8]) -> Wholeness {
        inspect_reader(&mut Cursor::new(bytes), bytes.len() as u64).unwrap()
    }

    fn iso_box(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let mut bytes = (content.len() as u32 + 8).to_be_bytes().to_vec();
        bytes.extend_from_slice(kind);
        bytes.extend_from_slice(content);
        bytes
    }

    #[test]
    fn mp4_with_its_index_first_or_last() {
        let ftyp = iso_box(b"ftyp", b"isom\0\0\0\0");
        let (moov, mdat) = (iso_box(b"moov", &[1; 40]), iso_box(b"mdat", &[2; 400]));
        let first = [ftyp.clone(), moov.clone(), mdat.clone()].concat();
        let last = [ftyp.clone(), mdat.clone(), moov.clone()].concat();
        assert_eq!(judge(&first), Whole);
        assert_eq!(judge(&last), Whole);
        assert_eq!(judge(&first[..300]), Cut);
        assert_eq!(judge(&last[..300]), Cut);
        assert_eq!(judge(&last[..last.len() - 10]), Cut);
        assert_eq!(
            judge(&[ftyp.clone(), mdat].concat()),
            Cut,
            "no index at all"
        );
        assert_eq!(judge(&first[..ftyp.len() + moov.len()]), HeaderOnly);
        assert_eq!(judge(&first[..ftyp.len() + 20]), HeaderOnly);
        assert_eq!(judge(&last[..ftyp.len() + 8]), HeaderOnly);
        assert_eq!(
            judge(&[ftyp, moov, iso_box(b"mdat", b"")].concat()),
            HeaderOnly
        );
    }

    #[test]
    fn mp4_with_a_64_bit_box_and_one_that_runs_to_the_end() {
        let ftyp = iso_box(b"ftyp", b"isom\0\0\0\0");
        let moov = iso_box(b"moov", &[1; 40]);
        let mut large = 1_u32.to_be_bytes().to_vec();
        large.extend_from_slice(b"mdat");
        large.extend_from_slice(&116_u64.to_be_bytes());
        large.extend_from_slice(&[2; 100]);
        let file = [ftyp.clone(), moov.clone(), large].concat();
        assert_eq!(judge(&file), Whole);
        assert_eq!(judge(&file[..file.len() - 50]), Cut);
        let mut open = iso_box(b"mdat", &[2; 100]);
        open[..4].fill(0);
        assert_eq!(judge(&[ftyp, moov, open].concat()), Whole);
    }

    #[test]
    fn matroska_with_and_without_a_size() {
        let header = [0x1a, 0x45, 0xdf, 0xa3, 0x81, 0x00];
        let info = [0x15, 0x49, 0xa9, 0x66, 0x82, 1, 2];
        let mut cluster = vec![0x1f, 0x43, 0xb6, 0x75, 0x40, 100];
        cluster.extend_from_slice(&[3; 100]);
        let content = [&info[..], &cluster, &cluster].concat();
        let mut file = header.to_vec();
        file.extend_from_slice(&[0x18, 0x53, 0x80, 0x67, 0x40, content.len() as u8]);
        file.extend_from_slice(&content);
        assert_eq!(judge(&file), Whole);
        assert_eq!(judge(&file[..file.len() - 30]), Cut);
        assert_eq!(judge(&file[..19]), HeaderOnly);

        let mut live = header.to_vec();
        live.extend_from_slice(&[0x18, 0x53, 0x80, 0x67, 0xff]);
        live.extend_from_slice(&content);
        assert_eq!(judge(&live), Whole);
        assert_eq!(judge(&live[..18]), HeaderOnly);
    }

    #[test]
    fn wav_that_was_cut_or_never_closed() {
        let mut file = b"RIFF\xf4\x01\0\0WAVEfmt \x10\0\0\0".to_vec();
        file.extend_from_slice(&[1; 16]);
        file.extend_from_slice(b"data\xd0\x01\0\0");
        file.extend_from_slice(&[5; 464]);
        assert_eq!(judge(&file), Whole);
        assert_eq!(judge(&file[..file.len() - 4]), Whole, "rounding");
        assert_eq!(judge(&file[..200]), Cut);
        assert_eq!(judge(&file[..44]), HeaderOnly);
        assert_eq!(judge(&file[..30]), HeaderOnly);
        file[40..44].fill(0xff);
        assert_eq!(judge(&file[..200]), Whole, "a stream that was never closed");
    }

    #[test]
    fn gif_that_was_cut_or_has_something_else_in_it() {
        let mut file = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff".to_vec();
        file.extend([0x21, 0xf9, 4, 0, 10, 0, 0, 0]);
        let header = file.len();
        file.extend(b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0");
        let frame = file.len();
        file.extend(b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3b");
        assert_eq!(judge(&file), Whole);
        assert_eq!(judge(&file[..file.len() - 1]), Whole, "without its trailer");
        assert_eq!(judge(&file[..file.len() - 4]), Cut);
        assert_eq!(judge(&file[..frame]), Whole);
        assert_eq!(judge(&file[..header]), HeaderOnly);
        // A block's length that leads astray.
        file[frame - 4] = 1;
        assert_eq!(judge(&file), Cut);
    }

    #[test]
    fn other_formats_are_not_judged() {
        assert_eq!(judge(b"ID3 whatever this is"), Whole);
        assert_eq!(judge(b"short"), Whole);
    }
}
