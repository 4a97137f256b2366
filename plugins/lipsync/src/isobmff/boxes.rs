//! The boxes of a movie's index (ISO/IEC 14496-12) as a tree that can be changed and written again.

use std::io::{self, Read, Seek, SeekFrom};

/// Boxes that hold nothing but boxes, as far as they matter here.
const CONTAINERS: [&[u8; 4]; 6] = [b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl"];
/// An index of many hours has a few megabytes.
const LARGEST_INDEX: u64 = 256 << 20;

/// A box and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The four characters of its type.
    pub kind: [u8; 4],
    /// Its content.
    pub body: Body,
}

/// What is in a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Boxes.
    Children(Vec<Node>),
    /// Anything else, without the box's header.
    Data(Vec<u8>),
}

/// Where a box lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The four characters of its type.
    pub kind: [u8; 4],
    /// Byte of the file at which its header begins.
    pub start: u64,
    /// Byte behind its last one.
    pub end: u64,
    /// Where its content begins.
    pub content: u64,
}

/// The outermost boxes, up to the first that ends behind the end of the file.
pub fn outermost(file: &mut (impl Read + Seek), size: u64) -> io::Result<Vec<Place>> {
    let mut places = Vec::new();
    let mut start = 0;
    while size - start >= 8 {
        file.seek(SeekFrom::Start(start))?;
        let mut header = [0; 8];
        file.read_exact(&mut header)?;
        let [a, b, c, d, kind @ ..] = header;
        let (length, own) = match u32::from_be_bytes([a, b, c, d]) {
            0 => (size - start, 8),
            1 => {
                let mut large = [0; 8];
                if file.read_exact(&mut large).is_err() {
                    break;
                }
                (u64::from_be_bytes(large), 16)
            }
            length => (u64::from(length), 8),
        };
        if length < own || length > size - start {
            break;
        }
        places.push(Place {
            kind,
            start,
            end: start + length,
            content: start + own,
        });
        start += length;
    }
    Ok(places)
}

/// The index at `place`; nothing where it is larger than any index, or no index.
pub fn read(file: &mut (impl Read + Seek), place: Place) -> io::Result<Option<Node>> {
    if place.end - place.start > LARGEST_INDEX {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(place.content))?;
    let mut data = Vec::new();
    file.take(place.end - place.content)
        .read_to_end(&mut data)?;
    Ok(parse(place.kind, &data))
}

/// The box of that kind with that content.
pub fn parse(kind: [u8; 4], content: &[u8]) -> Option<Node> {
    Some(Node {
        kind,
        body: Body::Children(children(content)?),
    })
}

fn children(mut data: &[u8]) -> Option<Vec<Node>> {
    let mut nodes = Vec::new();
    while !data.is_empty() {
        let length = u32_at(data, 0)? as usize;
        let kind = *data.get(4..)?.first_chunk::<4>()?;
        // QuickTime ends some lists with four zeros.
        let length = if length == 0 { data.len() } else { length };
        let content = data.get(8..length)?;
        let body = match CONTAINERS.contains(&&kind) {
            true => Body::Children(children(content)?),
            false => Body::Data(content.to_vec()),
        };
        nodes.push(Node { kind, body });
        data = data.get(length..)?;
    }
    Some(nodes)
}

impl Node {
    /// A box without boxes in it.
    pub fn leaf(kind: &[u8; 4], data: Vec<u8>) -> Self {
        Self {
            kind: *kind,
            body: Body::Data(data),
        }
    }

    /// The box as it stands in a file, with its header.
    pub fn write(&self) -> Vec<u8> {
        let content = match &self.body {
            Body::Children(nodes) => nodes.iter().flat_map(Node::write).collect(),
            Body::Data(data) => data.clone(),
        };
        let mut bytes = (content.len() as u32 + 8).to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.kind);
        bytes.extend(content);
        bytes
    }

    /// The boxes in it; none where it holds data.
    pub fn children(&self) -> &[Node] {
        match &self.body {
            Body::Children(nodes) => nodes,
            Body::Data(_) => &[],
        }
    }

    /// All children of that kind.
    pub fn each<'a>(&'a self, kind: &[u8; 4]) -> impl Iterator<Item = &'a Node> + use<'a> {
        let kind = *kind;
        self.children().iter().filter(move |n| n.kind == kind)
    }

    /// The content of the box at the end of a path of kinds.
    pub fn data(&self, path: &[&[u8; 4]]) -> Option<&[u8]> {
        match path {
            [] => match &self.body {
                Body::Data(data) => Some(data),
                Body::Children(_) => None,
            },
            [first, rest @ ..] => self.each(first).next()?.data(rest),
        }
    }

    /// The same, to be changed.
    pub fn data_mut(&mut self, path: &[&[u8; 4]]) -> Option<&mut Vec<u8>> {
        match (path, &mut self.body) {
            ([], Body::Data(data)) => Some(data),
            ([first, rest @ ..], Body::Children(nodes)) => {
                nodes.iter_mut().find(|n| n.kind == **first)?.data_mut(rest)
            }
            _ => None,
        }
    }

    /// The boxes in it, to be changed; none where it holds data.
    pub fn children_mut(&mut self) -> &mut [Node] {
        match &mut self.body {
            Body::Children(nodes) => nodes,
            Body::Data(_) => &mut [],
        }
    }
}

/// The big-endian number at byte `at`; `None` beyond the end.
pub fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*data.get(at..)?.first_chunk()?))
}

/// The big-endian number at byte `at`; `None` beyond the end.
pub fn u64_at(data: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*data.get(at..)?.first_chunk()?))
}

/// Puts a number where another one is.
pub fn put(data: &mut [u8], at: usize, bytes: &[u8]) -> Option<()> {
    data.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
    Some(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn what_is_read_is_written_as_it_was_and_rubbish_is_no_index() {
        let index = Node {
            kind: *b"moov",
            body: Body::Children(vec![
                Node::leaf(b"mvhd", vec![1, 2, 3]),
                Node {
                    kind: *b"trak",
                    body: Body::Children(vec![Node::leaf(b"tkhd", vec![4; 9])]),
                },
            ]),
        };
        let bytes = [Node::leaf(b"mdat", vec![7; 30]).write(), index.write()].concat();
        let read_all = |bytes: &[u8]| {
            let mut file = Cursor::new(bytes);
            let places = outermost(&mut file, bytes.len() as u64).unwrap();
            let place = *places.iter().find(|p| p.kind == *b"moov")?;
            read(&mut file, place).unwrap()
        };
        assert_eq!(read_all(&bytes), Some(index));
        for at in 38..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 0xff;
            // Whatever comes of it, nothing panics.
            let _ = read_all(&broken);
            let _ = read_all(&bytes[..at]);
        }
    }
}
