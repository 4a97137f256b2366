//! Puts a changed index into a movie, wherever it lies and however large it has become: what lies behind it
//! moves, and all that says where something lies is told.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use gstlipsync::isobmff::boxes::{self, Body, Node, Place, put, u32_at, u64_at};

/// So much is moved at once.
const BLOCK: u64 = 1 << 20;
/// The header of a box.
const HEADER: u64 = 8;
/// In the flags of `tfhd`: it says where its data begins.
const BASE_DATA_OFFSET: u32 = 1;

/// Why an index stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Something in the file says where things lie, and nobody here knows how.
    #[error(
        "the file has a box `{0}` that would point to the wrong place; let ffmpeg write it anew"
    )]
    Unknown(String),
    /// Something in the file ends before it says.
    #[error("a part of the file is missing or broken")]
    Broken,
}

/// Writes `index` in the place of the one at `place`. It stays where it is: a file whose index comes first,
/// so that it can be played while it is loaded, remains one. The content is moved in blocks, in the file
/// itself, so a file that nobody else reads yet is wanted.
pub fn replace(file: &mut File, place: Place, mut index: Node) -> Result<(), Error> {
    let size = file.metadata()?.len();
    let old = place.end - place.start;
    if place.end == size {
        let bytes = index.write();
        file.set_len(place.start)?;
        file.seek(SeekFrom::Start(place.start))?;
        return Ok(file.write_all(&bytes)?);
    }
    let places = boxes::outermost(file, size)?;
    let spare = places
        .iter()
        .find(|p| p.start == place.end && p.kind == *b"free");
    let room = old + spare.map_or(0, |p| p.end - p.start);
    let fits = |length: u64| length == room || length + HEADER <= room;
    if !fits(index.write().len() as u64) {
        check_known(file, &places, size)?;
        // Wider numbers make the index larger, so it is decided first whether they are needed.
        let growth = index.write().len() as u64 - old.min(index.write().len() as u64);
        if largest_offset(&index) + 2 * growth + BLOCK > u64::from(u32::MAX) {
            widen(&mut index);
        }
    }
    let mut bytes = index.write();
    let length = bytes.len() as u64;
    if fits(length) {
        if length < room {
            let rest = vec![0; (room - length - HEADER) as usize];
            bytes.extend(Node::leaf(b"free", rest).write());
        }
        file.seek(SeekFrom::Start(place.start))?;
        return Ok(file.write_all(&bytes)?);
    }
    // Less than a header too short: a free box makes it longer than it was.
    if length < old {
        bytes.extend(Node::leaf(b"free", Vec::new()).write());
    }
    let delta = bytes.len() as u64 - old;
    shift_offsets(&mut index, place.end, delta);
    let shifted = index.write();
    bytes[..shifted.len()].copy_from_slice(&shifted);
    move_behind(file, place.end, size, delta)?;
    file.seek(SeekFrom::Start(place.start))?;
    file.write_all(&bytes)?;
    shift_fragments(file, place.end, delta)
}

/// Moves all from byte `from` on so many bytes towards the end, beginning with the last.
fn move_behind(file: &mut File, from: u64, size: u64, delta: u64) -> io::Result<()> {
    let mut block = vec![0; BLOCK as usize];
    let mut end = size;
    while end > from {
        let start = end.saturating_sub(BLOCK).max(from);
        let block = &mut block[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(block)?;
        file.seek(SeekFrom::Start(start + delta))?;
        file.write_all(block)?;
        end = start;
    }
    Ok(())
}

/// Refuses a file in which something that is not known here may say where things lie.
fn check_known(file: &mut File, places: &[Place], size: u64) -> Result<(), Error> {
    let name = |kind: [u8; 4]| String::from_utf8_lossy(&kind).into_owned();
    if places.last().is_none_or(|last| last.end != size) {
        return Err(Error::Broken);
    }
    for place in places {
        match &place.kind {
            b"ftyp" | b"moov" | b"mdat" | b"free" | b"skip" | b"wide" | b"sidx" | b"styp"
            | b"prft" | b"emsg" => {}
            b"mfra" => drop(read(file, *place)?),
            b"moof" => {
                for traf in read(file, *place)?.each(b"traf") {
                    let parts = parts(b"traf", traf).ok_or(Error::Broken)?;
                    let unknown = parts.children().iter().find(|n| n.kind == *b"saio");
                    if let Some(node) = unknown {
                        return Err(Error::Unknown(name(node.kind)));
                    }
                }
            }
            other => return Err(Error::Unknown(name(*other))),
        }
    }
    Ok(())
}

fn read(file: &mut File, place: Place) -> Result<Node, Error> {
    boxes::read(file, place)?.ok_or(Error::Broken)
}

/// The boxes in a box that was read as data.
fn parts(kind: &[u8; 4], node: &Node) -> Option<Node> {
    boxes::parse(*kind, node.data(&[])?)
}

/// Calls `visit` with the table of places of each track.
fn tables(node: &mut Node, visit: &mut dyn FnMut(&mut Node)) {
    for child in node.children_mut() {
        match &child.kind {
            b"stco" | b"co64" => visit(child),
            _ => tables(child, visit),
        }
    }
}

fn largest_offset(index: &Node) -> u64 {
    let mut largest = 0;
    tables(&mut index.clone(), &mut |table| {
        largest = offsets(table)
            .into_iter()
            .chain([largest])
            .max()
            .unwrap_or(0);
    });
    largest
}

/// The places in a table, behind its version and the number of them.
fn offsets(table: &Node) -> Vec<u64> {
    let data = table.data(&[]).unwrap_or_default();
    let numbers = data.get(8..).unwrap_or_default();
    match &table.kind {
        b"stco" => numbers
            .chunks_exact(4)
            .filter_map(|n| u32_at(n, 0))
            .map(u64::from)
            .collect(),
        _ => numbers
            .chunks_exact(8)
            .filter_map(|n| u64_at(n, 0))
            .collect(),
    }
}

fn set_offsets(table: &mut Node, offsets: &[u64]) {
    let is_narrow = table.kind == *b"stco";
    let mut data = vec![0; 4];
    data.extend((offsets.len() as u32).to_be_bytes());
    for offset in offsets {
        match is_narrow {
            true => data.extend((*offset as u32).to_be_bytes()),
            false => data.extend(offset.to_be_bytes()),
        }
    }
    table.body = Body::Data(data);
}

/// Makes the numbers of all tables 64 bits wide.
fn widen(index: &mut Node) {
    tables(index, &mut |table| {
        let offsets = offsets(table);
        table.kind = *b"co64";
        set_offsets(table, &offsets);
    });
}

fn shift_offsets(index: &mut Node, from: u64, delta: u64) {
    tables(index, &mut |table| {
        let mut offsets = offsets(table);
        for offset in offsets.iter_mut().filter(|offset| **offset >= from) {
            *offset += delta;
        }
        set_offsets(table, &offsets);
    });
}

/// Tells fragments, and the list of fragments at the end, that they have moved.
fn shift_fragments(file: &mut File, from: u64, delta: u64) -> Result<(), Error> {
    let size = file.metadata()?.len();
    for place in boxes::outermost(file, size)? {
        let before = match &place.kind {
            b"moof" | b"mfra" => read(file, place)?,
            _ => continue,
        };
        let mut after = before.clone();
        for node in after.children_mut() {
            match &node.kind {
                b"traf" => {
                    let mut traf = parts(b"traf", node).ok_or(Error::Broken)?;
                    if let Some(header) = traf.data_mut(&[b"tfhd"]) {
                        shift_base(header, from, delta);
                    }
                    *node = Node::leaf(
                        b"traf",
                        traf.children().iter().flat_map(Node::write).collect(),
                    );
                }
                b"tfra" => {
                    if let Some(list) = node.data_mut(&[]) {
                        shift_list(list, from, delta);
                    }
                }
                _ => {}
            }
        }
        if after != before {
            file.seek(SeekFrom::Start(place.start))?;
            file.write_all(&after.write())?;
        }
    }
    Ok(())
}

/// Of `tfhd`: version and flags, the track, and perhaps where its data begins.
fn shift_base(header: &mut [u8], from: u64, delta: u64) {
    let has_base = u32_at(header, 0).is_some_and(|flags| flags & BASE_DATA_OFFSET != 0);
    if let Some(base) = u64_at(header, 8).filter(|base| has_base && *base >= from) {
        put(header, 8, &(base + delta).to_be_bytes());
    }
}

/// Of `tfra`: version, the track, the lengths of three numbers, how many entries, and of each the time, the
/// place of its fragment and the three numbers.
fn shift_list(list: &mut [u8], from: u64, delta: u64) -> Option<()> {
    let is_wide = *list.first()? == 1;
    let lengths = u32_at(list, 8)?;
    let three: usize = [4, 2, 0]
        .iter()
        .map(|bit| (lengths >> bit & 3) as usize + 1)
        .sum();
    let count = u32_at(list, 12)? as usize;
    let (number, mut at) = (if is_wide { 8 } else { 4 }, 16);
    for _ in 0..count {
        let place = at + number;
        if is_wide {
            let offset = u64_at(list, place)?;
            if offset >= from {
                put(list, place, &(offset + delta).to_be_bytes())?;
            }
        } else {
            let offset = u32_at(list, place)?;
            if u64::from(offset) >= from {
                put(list, place, &(offset + delta as u32).to_be_bytes())?;
            }
        }
        at = place + number + three;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(kind: &[u8; 4], nodes: Vec<Node>) -> Node {
        Node {
            kind: *kind,
            body: Body::Children(nodes),
        }
    }

    fn movie(offsets: &[u32], user: usize) -> Node {
        let mut table = vec![0; 4];
        table.extend((offsets.len() as u32).to_be_bytes());
        table.extend(offsets.iter().flat_map(|o| o.to_be_bytes()));
        let samples = branch(b"stbl", vec![Node::leaf(b"stco", table)]);
        let media = branch(b"mdia", vec![branch(b"minf", vec![samples])]);
        let track = branch(b"trak", vec![media]);
        branch(b"moov", vec![track, Node::leaf(b"udta", vec![7; user])])
    }

    /// A file of an index of that size, perhaps some room, and content at the place that the index says.
    fn file(user: usize, room: Option<usize>) -> (tempfile::NamedTempFile, Place) {
        let header = Node::leaf(b"ftyp", b"isom".to_vec()).write();
        let room = room.map(|room| Node::leaf(b"free", vec![0; room]).write());
        let room = room.unwrap_or_default();
        let length = movie(&[0, 0], user).write().len();
        let content = header.len() + length + room.len() + 8;
        let movie = movie(&[content as u32, content as u32 + 5], user).write();
        let media = Node::leaf(b"mdat", b"firstsecond".to_vec()).write();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [header, movie, room, media].concat()).unwrap();
        let place = index_of(&file);
        (file, place)
    }

    fn open(file: &tempfile::NamedTempFile) -> File {
        File::options()
            .read(true)
            .write(true)
            .open(file.path())
            .unwrap()
    }

    fn index_of(file: &tempfile::NamedTempFile) -> Place {
        let mut opened = open(file);
        let size = opened.metadata().unwrap().len();
        let places = boxes::outermost(&mut opened, size).unwrap();
        *places.iter().find(|p| p.kind == *b"moov").unwrap()
    }

    /// What lies at the places that the index says.
    fn content(file: &tempfile::NamedTempFile) -> Vec<String> {
        let bytes = std::fs::read(file.path()).unwrap();
        let mut index = read(&mut open(file), index_of(file)).unwrap();
        let mut places = Vec::new();
        tables(&mut index, &mut |table| places = offsets(table));
        let words = [5, 6].into_iter().zip(places);
        let word = |(n, at): (usize, u64)| String::from_utf8(bytes[at as usize..][..n].to_vec());
        words.map(|w| word(w).unwrap()).collect()
    }

    #[test]
    fn content_is_found_whatever_becomes_of_the_index() {
        for (room, user) in [
            (None, 10),
            (None, 30),
            (None, 2_000_000),
            (None, 3),
            (None, 0),
            (Some(12), 30),
            (Some(12), 26),
            (Some(100), 30),
            (Some(100), 3),
        ] {
            let (file, place) = file(10, room);
            let mut index = read(&mut open(&file), place).unwrap();
            *index.data_mut(&[b"udta"]).unwrap() = vec![9; user];
            replace(&mut open(&file), place, index).unwrap();
            assert_eq!(content(&file), ["first", "second"], "{room:?}, {user}");
            let size = file.as_file().metadata().unwrap().len();
            let places = boxes::outermost(&mut open(&file), size).unwrap();
            assert_eq!(places.last().unwrap().end, size, "{room:?}, {user}");
            // It can still be played while it is loaded.
            let order: Vec<_> = places
                .iter()
                .map(|p| p.kind)
                .filter(|k| k != b"free")
                .collect();
            assert_eq!(order, [*b"ftyp", *b"moov", *b"mdat"]);
            let index = read(&mut open(&file), index_of(&file)).unwrap();
            assert_eq!(index.data(&[b"udta"]).unwrap(), vec![9; user]);
        }
    }

    #[test]
    fn numbers_that_become_too_large_become_wider() {
        let mut index = movie(&[40, u32::MAX - 10], 0);
        assert_eq!(largest_offset(&index), u64::from(u32::MAX) - 10);
        widen(&mut index);
        shift_offsets(&mut index, 50, 100);
        let mut found = Vec::new();
        tables(&mut index, &mut |table| {
            assert_eq!(table.kind, *b"co64");
            found = offsets(table);
        });
        assert_eq!(found, [40, u64::from(u32::MAX) + 90]);
    }

    #[test]
    fn fragments_are_told_and_what_is_not_known_is_refused() {
        let mut header = vec![0, 0, 0, 1, 0, 0, 0, 7];
        header.extend(1000_u64.to_be_bytes());
        let mut narrow = header.clone();
        shift_base(&mut narrow, 2000, 16);
        assert_eq!(narrow, header);
        shift_base(&mut narrow, 900, 16);
        assert_eq!(u64_at(&narrow, 8), Some(1016));
        // Without the flag the number is something else.
        let mut other = header.clone();
        other[3] = 0;
        let before = other.clone();
        shift_base(&mut other, 900, 16);
        assert_eq!(other, before);

        // Two entries; the three numbers have 1, 2 and 1 bytes.
        let mut list = vec![0; 8];
        list.extend((1_u32 << 2).to_be_bytes());
        list.extend(2_u32.to_be_bytes());
        for place in [500_u32, 5000] {
            list.extend([0, 0, 0, 1]);
            list.extend(place.to_be_bytes());
            list.extend([1, 0, 1, 1]);
        }
        shift_list(&mut list, 600, 16).unwrap();
        assert_eq!(
            [u32_at(&list, 20), u32_at(&list, 32)],
            [Some(500), Some(5016)]
        );

        let (file, place) = file(10, None);
        let mut bytes = std::fs::read(file.path()).unwrap();
        bytes.extend(Node::leaf(b"meta", vec![0; 4]).write());
        std::fs::write(file.path(), &bytes).unwrap();
        let grown = movie(&[0, 0], 400);
        let error = replace(&mut open(&file), place, grown).unwrap_err();
        assert!(error.to_string().contains("`meta`"), "{error}");
        assert_eq!(std::fs::read(file.path()).unwrap(), bytes);
    }
}
