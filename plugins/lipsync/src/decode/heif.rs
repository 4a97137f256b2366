//! What HEIC and AVIF files say of themselves (ISO/IEC 23008-12): pictures in boxes like those of MP4. No
//! GStreamer objects here.

use crate::isobmff::boxes::u32_at;

/// The file's brands are within so many bytes.
pub const BRANDS: usize = 64;

/// What the picture is coded with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// HEIC.
    Hevc,
    /// AVIF.
    Av1,
}

/// What codes the picture in a file that begins so; nothing where it is another kind of file.
pub fn coding(head: &[u8]) -> Option<Coding> {
    let (own, others) = brands(head)?;
    let has = |brand: &[u8; 4]| own == brand || others.chunks_exact(4).any(|b| b == brand);
    match own {
        b"avif" | b"avis" => Some(Coding::Av1),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => Some(Coding::Hevc),
        // Any still picture, or sequence: others say of which coding.
        b"mif1" | b"msf1" if has(b"avif") || has(b"avis") => Some(Coding::Av1),
        b"mif1" | b"msf1" => Some(Coding::Hevc),
        _ => None,
    }
}

/// Whether the file has a sequence of pictures.
pub fn is_sequence(head: &[u8]) -> bool {
    coding(head).is_some()
        && brands(head).is_some_and(|(own, _)| matches!(own, b"avis" | b"msf1" | b"hevc" | b"hevx"))
}

/// Width and height of the primary picture as it is shown, unless it is cropped.
pub fn size(head: &[u8]) -> Option<(u32, u32)> {
    coding(head)?;
    // Behind its version and flags it has boxes.
    let meta = find(head, b"meta")?.get(4..)?;
    let primary = match find(meta, b"pitm")? {
        [0, _, _, _, id @ ..] => u32::from(u16::from_be_bytes(*id.first_chunk()?)),
        [_, _, _, _, id @ ..] => u32_at(id, 0)?,
        _ => return None,
    };
    let properties = find(meta, b"iprp")?;
    let own = associated(find(properties, b"ipma")?, primary)?;
    let all: Vec<_> = boxes(find(properties, b"ipco")?).collect();
    let mut size = None;
    let mut is_on_its_side = false;
    for number in own {
        // They are counted from 1.
        match all.get(number.checked_sub(1)?)? {
            (b"ispe", content) => size = Some((u32_at(content, 4)?, u32_at(content, 8)?)),
            (b"irot", content) => is_on_its_side = content.first()? & 1 == 1,
            _ => {}
        }
    }
    size.map(|(width, height)| {
        if is_on_its_side {
            (height, width)
        } else {
            (width, height)
        }
    })
}

/// The numbers of an item's properties.
fn associated(table: &[u8], item: u32) -> Option<Vec<usize>> {
    let (version, flags) = (*table.first()?, *table.get(3)?);
    let mut at = 8;
    for _ in 0..u32_at(table, 4)? {
        let id = match version {
            0 => u32::from(u16::from_be_bytes(*table.get(at..)?.first_chunk()?)),
            _ => u32_at(table, at)?,
        };
        at += if version == 0 { 2 } else { 4 };
        let count = usize::from(*table.get(at)?);
        at += 1;
        let width = if flags & 1 == 1 { 2 } else { 1 };
        let numbers = table.get(at..at + count * width)?;
        at += count * width;
        if id == item {
            // The highest bit says that the property matters.
            return Some(match width {
                1 => numbers.iter().map(|n| usize::from(n & 0x7f)).collect(),
                _ => numbers
                    .chunks_exact(2)
                    .map(|n| usize::from(u16::from_be_bytes([n[0] & 0x7f, n[1]])))
                    .collect(),
            });
        }
    }
    None
}

/// The file's own brand, and the others that it is compatible with.
fn brands(head: &[u8]) -> Option<(&[u8; 4], &[u8])> {
    if head.get(4..8)? != b"ftyp" {
        return None;
    }
    let end = (u32_at(head, 0)? as usize).min(head.len());
    Some((
        head.get(8..)?.first_chunk()?,
        head.get(16..end).unwrap_or_default(),
    ))
}

fn find<'a>(data: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(data).find(|(k, _)| *k == kind).map(|(_, c)| c)
}

/// Boxes that lie behind one another, up to the first that is not whole.
fn boxes(mut data: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let length = u32_at(data, 0)? as usize;
        let kind = data.get(4..)?.first_chunk()?;
        let content = data.get(8..length)?;
        data = data.get(length..)?;
        Some((kind, content))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_box(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat()
    }

    /// A grid of tiles, the first item, and a picture of its own as the second, which is the primary one.
    fn file(brand: &[u8; 4], turned: u8) -> Vec<u8> {
        let size = |w: u32, h: u32| {
            let content = [[0; 4], w.to_be_bytes(), h.to_be_bytes()].concat();
            a_box(b"ispe", &content)
        };
        let properties = [size(512, 512), a_box(b"irot", &[turned]), size(4032, 3024)].concat();
        let mut table = vec![0, 0, 0, 0, 0, 0, 0, 2];
        table.extend([0, 1, 1, 0x81]);
        table.extend([0, 7, 2, 0x03, 0x82]);
        let iprp = [a_box(b"ipco", &properties), a_box(b"ipma", &table)].concat();
        let meta = [
            vec![0; 4],
            a_box(b"hdlr", b"pict"),
            a_box(b"pitm", &[0, 0, 0, 0, 0, 7]),
            a_box(b"iprp", &iprp),
        ]
        .concat();
        let ftyp = [&brand[..], b"\0\0\0\0", b"mif1heic"].concat();
        [a_box(b"ftyp", &ftyp), a_box(b"meta", &meta)].concat()
    }

    #[test]
    fn the_primary_picture_has_its_own_size_and_turn() {
        assert_eq!(size(&file(b"heic", 0)), Some((4032, 3024)));
        assert_eq!(size(&file(b"heic", 1)), Some((3024, 4032)));
        assert_eq!(size(&file(b"heic", 2)), Some((4032, 3024)));
        assert_eq!(size(&file(b"isom", 0)), None);
        let whole = file(b"heic", 1);
        for length in 0..whole.len() {
            assert_eq!(size(&whole[..length]), None, "{length}");
        }
    }

    #[test]
    fn brands_tell_codings_and_sequences() {
        let head = |brands: &[u8]| a_box(b"ftyp", &[&brands[..4], &[0; 4], &brands[4..]].concat());
        assert_eq!(coding(&head(b"heicmif1")), Some(Coding::Hevc));
        assert_eq!(coding(&head(b"avifmif1miaf")), Some(Coding::Av1));
        assert_eq!(coding(&head(b"mif1avifmiaf")), Some(Coding::Av1));
        assert_eq!(coding(&head(b"mif1heic")), Some(Coding::Hevc));
        assert_eq!(coding(&head(b"isomavif")), None);
        assert_eq!(coding(b"\0\0\0\x18"), None);
        assert!(is_sequence(&head(b"avisavif")) && is_sequence(&head(b"hevcheic")));
        assert!(!is_sequence(&head(b"avifavis")));
    }
}
