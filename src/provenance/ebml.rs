//! The elements of EBML (RFC 8794), as far as Matroska's index needs them.

use std::io::{self, Read, Seek, SeekFrom};

/// An element in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// With the marker of its length.
    pub id: u32,
    /// Byte at which its header begins.
    pub start: u64,
    /// Byte at which its size is written.
    pub size_at: u64,
    /// Byte at which its content begins.
    pub content: u64,
    /// Byte behind its last one; nothing where its size is not known.
    pub end: Option<u64>,
}

impl Element {
    /// That at byte `at`; nothing where there is none, or it ends behind `limit`.
    pub fn read(file: &mut (impl Read + Seek), at: u64, limit: u64) -> io::Result<Option<Self>> {
        let mut header = [0; 12];
        file.seek(SeekFrom::Start(at))?;
        let mut read = 0;
        while read < header.len() {
            match file.read(&mut header[read..])? {
                0 => break,
                n => read += n,
            }
        }
        let parsed = Self::parse(&header[..read], at);
        Ok(parsed.filter(|element| element.end.unwrap_or(limit) <= limit))
    }

    fn parse(header: &[u8], at: u64) -> Option<Self> {
        let id_length = header.first()?.leading_zeros() as usize + 1;
        if id_length > 4 {
            return None;
        }
        let id = header.get(..id_length)?;
        let id = id.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
        let (size, size_length) = number(header.get(id_length..)?)?;
        let content = at + (id_length + size_length) as u64;
        Some(Self {
            id,
            start: at,
            size_at: at + id_length as u64,
            content,
            end: match size {
                Some(size) => Some(content.checked_add(size)?),
                None => None,
            },
        })
    }
}

/// A number with the marker of its length, and how many bytes it has; nothing for the one that means that it
/// is not known.
fn number(bytes: &[u8]) -> Option<(Option<u64>, usize)> {
    let length = bytes.first()?.leading_zeros() as usize + 1;
    let bytes = bytes.get(..length)?;
    let all = bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
    let ones = (1_u64 << (7 * length)) - 1;
    let value = all & ones;
    Some(((value != ones).then_some(value), length))
}

/// An element as it stands in a file.
pub fn element(id: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = id_bytes(id);
    bytes.extend(size(content.len() as u64));
    bytes.extend(content);
    bytes
}

/// The ID with the marker of its length.
pub fn id_bytes(id: u32) -> Vec<u8> {
    let bytes = id.to_be_bytes();
    bytes[id.leading_zeros() as usize / 8..].to_vec()
}

/// A size in as few bytes as it needs.
fn size(value: u64) -> Vec<u8> {
    // All ones mean that it is not known.
    let length = (1..8).find(|n| value < (1 << (7 * n)) - 1).unwrap_or(8);
    size_of_length(value, length).unwrap_or_default()
}

/// A size in so many bytes; nothing where it does not fit.
pub fn size_of_length(value: u64, length: usize) -> Option<Vec<u8>> {
    let marker = 1_u64 << (7 * length);
    let bytes = (value < marker - 1).then(|| (marker | value).to_be_bytes())?;
    Some(bytes[8 - length..].to_vec())
}

/// The elements in the content of one: their IDs and contents.
pub fn children(mut data: &[u8]) -> Option<Vec<(u32, &[u8])>> {
    let mut found = Vec::new();
    while !data.is_empty() {
        let element = Element::parse(data, 0)?;
        let end = usize::try_from(element.end?).ok()?;
        found.push((element.id, data.get(element.content as usize..end)?));
        data = data.get(end..)?;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn elements_are_read_as_they_are_written() {
        for length in [0, 1, 126, 127, 16_382, 16_383, 70_000] {
            let content = vec![5; length];
            let bytes = element(0x1254_C367, &content);
            let mut file = Cursor::new(&bytes);
            let found = Element::read(&mut file, 0, bytes.len() as u64)
                .unwrap()
                .unwrap();
            assert_eq!(found.id, 0x1254_C367);
            assert_eq!(found.end, Some(bytes.len() as u64), "{length}");
            assert_eq!(bytes[found.content as usize..], content);
            // Cut off.
            let cut = Element::read(&mut file, 0, bytes.len() as u64 - 1).unwrap();
            assert_eq!(cut, None);
            assert_eq!(children(&bytes), Some(vec![(0x1254_C367, &content[..])]));
        }
        // From RFC 8794, section 4: 2 in one byte and in two; one byte of ones is not known.
        assert_eq!(number(&[0x82]), Some((Some(2), 1)));
        assert_eq!(number(&[0x40, 0x02]), Some((Some(2), 2)));
        assert_eq!(number(&[0xFF]), Some((None, 1)));
        assert_eq!(size(127), [0x40, 0x7F]);
        assert_eq!(size_of_length(200, 1), None);
        assert_eq!(size_of_length(5, 8).unwrap(), [1, 0, 0, 0, 0, 0, 0, 5]);
    }
}
