//! Metadata in Matroska and WebM (RFC 9559): a `SimpleTag` of the whole file, in `Tags` behind all else, to
//! which the `SeekHead` points.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use super::Error;
use super::ebml::{self, Element};

const EBML: u32 = 0x1A45_DFA3;
const SEGMENT: u32 = 0x1853_8067;
const SEEK_HEAD: u32 = 0x114D_9B74;
const SEEK: u32 = 0x4DBB;
const SEEK_ID: u32 = 0x53AB;
const SEEK_POSITION: u32 = 0x53AC;
const VOID: u32 = 0xEC;
const CRC_32: u32 = 0xBF;
const TAGS: u32 = 0x1254_C367;
const TAG: u32 = 0x7373;
const TARGETS: u32 = 0x63C0;
const SIMPLE_TAG: u32 = 0x67C8;
const TAG_NAME: u32 = 0x45A3;
const TAG_STRING: u32 = 0x4487;

/// Of what is read into memory: tags with a picture in them have some megabytes.
const LARGEST: u64 = 64 << 20;

fn unsupported(why: &str) -> Error {
    Error::Unsupported(why.to_owned())
}

/// The segment and the elements in it.
struct Layout {
    segment: Element,
    /// Nothing where it was written for a stream.
    end: Option<u64>,
    /// Of a stream those before its first cluster.
    elements: Vec<Element>,
}

impl Layout {
    fn read(file: &mut File) -> Result<Self, Error> {
        let size = file.metadata()?.len();
        let broken = || unsupported("the file's index can't be read");
        let head = Element::read(file, 0, size)?.filter(|e| e.id == EBML);
        let after = head.and_then(|head| head.end).ok_or_else(broken)?;
        let segment = Element::read(file, after, size)?.filter(|e| e.id == SEGMENT);
        let segment = segment.ok_or_else(broken)?;
        let limit = segment.end.unwrap_or(size);
        let (mut elements, mut at) = (Vec::new(), segment.content);
        while at < limit {
            let element = Element::read(file, at, limit)?.ok_or_else(broken)?;
            elements.push(element);
            match element.end {
                Some(end) => at = end,
                None if segment.end.is_none() => break,
                None => return Err(broken()),
            }
        }
        Ok(Self {
            segment,
            end: segment.end,
            elements,
        })
    }

    fn all(&self, id: u32) -> impl Iterator<Item = &Element> {
        self.elements.iter().filter(move |element| element.id == id)
    }
}

fn content(file: &mut File, element: &Element) -> Result<Vec<u8>, Error> {
    let length = element.end.unwrap_or(element.content) - element.content;
    if length > LARGEST {
        return Err(unsupported("its tags are larger than any"));
    }
    file.seek(SeekFrom::Start(element.content))?;
    let mut data = vec![0; length as usize];
    file.read_exact(&mut data)?;
    Ok(data)
}

/// The value of the tag of that name that is about the whole file.
pub fn read(file: &mut File, name: &str) -> Result<Option<String>, Error> {
    let layout = Layout::read(file)?;
    for tags in layout.all(TAGS) {
        let data = content(file, tags)?;
        let tags = ebml::children(&data).unwrap_or_default();
        if let Some(value) = tags.into_iter().find_map(|tag| value_of(tag, name)) {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// Of one `Tag` that is about the whole file.
fn value_of((id, tag): (u32, &[u8]), name: &str) -> Option<String> {
    let parts = (id == TAG).then(|| ebml::children(tag)).flatten()?;
    let mut targets = parts.iter().filter(|(id, _)| *id == TARGETS);
    if targets.any(|(_, targets)| !targets.is_empty()) {
        return None;
    }
    let simple = parts.iter().filter(|(id, _)| *id == SIMPLE_TAG);
    simple
        .filter_map(|(_, simple)| {
            let parts = ebml::children(simple)?;
            let part = |wanted| {
                parts
                    .iter()
                    .find(|(id, _)| *id == wanted)
                    .map(|(_, data)| *data)
            };
            (part(TAG_NAME)? == name.as_bytes()).then_some(())?;
            String::from_utf8(part(TAG_STRING)?.to_vec()).ok()
        })
        .next()
}

fn tag(name: &str, value: &str) -> Vec<u8> {
    let simple = [
        ebml::element(TAG_NAME, name.as_bytes()),
        ebml::element(TAG_STRING, value.as_bytes()),
    ];
    let parts = [
        ebml::element(TARGETS, &[]),
        ebml::element(SIMPLE_TAG, &simple.concat()),
    ];
    ebml::element(TAG, &parts.concat())
}

/// Has the file carry the tag; one of that name is replaced.
pub fn write(file: &mut File, name: &str, value: &str) -> Result<(), Error> {
    let layout = Layout::read(file)?;
    let size = file.metadata()?.len();
    let end = layout.end.ok_or_else(|| {
        unsupported("it was written for a stream, without an index; let ffmpeg write it anew")
    })?;
    if end != size {
        return Err(unsupported("something lies behind its end"));
    }
    let old = match layout.all(TAGS).collect::<Vec<_>>()[..] {
        [] => None,
        [one] if one.end == Some(end) => Some(*one),
        _ => {
            return Err(unsupported(
                "its tags are not at its end; let ffmpeg write it anew",
            ));
        }
    };
    let mut tags = Vec::new();
    if let Some(old) = &old {
        let data = content(file, old)?;
        let kept = ebml::children(&data).ok_or_else(|| unsupported("its tags can't be read"))?;
        for (id, data) in kept {
            if value_of((id, data), name).is_none() {
                tags.extend(ebml::element(id, data));
            }
        }
    }
    tags.extend(tag(name, value));
    let start = old.map_or(end, |old| old.start);
    let tags = ebml::element(TAGS, &tags);
    let end = start + tags.len() as u64;
    let segment = layout.segment;
    let width = (segment.content - segment.size_at) as usize;
    let length = ebml::size_of_length(end - segment.content, width)
        .ok_or_else(|| unsupported("its length has no room to grow; let ffmpeg write it anew"))?;
    // All that can be refused has been by then.
    let pointer = match old {
        Some(_) => None,
        None => Some(pointer(file, &layout, start)?),
    };
    file.seek(SeekFrom::Start(start))?;
    file.write_all(&tags)?;
    file.set_len(end)?;
    file.seek(SeekFrom::Start(segment.size_at))?;
    file.write_all(&length)?;
    if let Some((at, entry)) = pointer {
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&entry)?;
    }
    Ok(())
}

/// Where in the file an entry for tags at `start` goes, and the entry: players that do not read to the end
/// find tags by it.
fn pointer(file: &mut File, layout: &Layout, start: u64) -> Result<(u64, Vec<u8>), Error> {
    let no_room = || unsupported("its index has no room for tags; let ffmpeg write it anew");
    let position = start - layout.segment.content;
    let parts = [
        ebml::element(SEEK_ID, &ebml::id_bytes(TAGS)),
        ebml::element(SEEK_POSITION, &position.to_be_bytes()),
    ];
    let entry = ebml::element(SEEK, &parts.concat());
    let head = layout.all(SEEK_HEAD).next().ok_or_else(no_room)?;
    let end = head.end.ok_or_else(no_room)?;
    let mut at = head.content;
    while at < end {
        let slot = Element::read(file, at, end)?.ok_or_else(no_room)?;
        let slot_end = slot.end.ok_or_else(no_room)?;
        if slot.id == CRC_32 {
            return Err(unsupported(
                "its index has a checksum; let ffmpeg write it anew",
            ));
        }
        if slot.id == VOID
            && let Some(filled) = fill(&entry, (slot_end - slot.start) as usize)
        {
            return Ok((slot.start, filled));
        }
        at = slot_end;
    }
    Err(no_room())
}

/// The entry and as much nothing behind it as the slot has room for.
fn fill(entry: &[u8], room: usize) -> Option<Vec<u8>> {
    let mut filled = entry.to_vec();
    match room.checked_sub(entry.len())? {
        0 => {}
        // An ID and a size are the least that an element has.
        1 => return None,
        rest => filled.extend((0..=8).find_map(|header| {
            let void = ebml::element(VOID, &vec![0; rest.checked_sub(2 + header)?]);
            (void.len() == rest).then_some(void)
        })?),
    }
    Some(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_fills_its_slot() {
        for room in [21, 23, 28, 40, 400] {
            let filled = fill(&[1; 21], room).unwrap();
            assert_eq!(filled.len(), room);
        }
        assert_eq!(fill(&[1; 21], 22), None);
        assert_eq!(fill(&[1; 21], 20), None);
    }

    #[test]
    fn only_tags_of_the_whole_file_count() {
        let own = tag("AIGC", "x");
        let [(id, data)] = ebml::children(&own).unwrap()[..] else {
            panic!()
        };
        assert_eq!(value_of((id, data), "AIGC").as_deref(), Some("x"));
        assert_eq!(value_of((id, data), "OTHER"), None);
        let parts = [
            ebml::element(TARGETS, &ebml::element(0x63C5, &[1])),
            ebml::element(
                SIMPLE_TAG,
                &[
                    ebml::element(TAG_NAME, b"AIGC"),
                    ebml::element(TAG_STRING, b"x"),
                ]
                .concat(),
            ),
        ];
        assert_eq!(value_of((TAG, &parts.concat()), "AIGC"), None);
    }
}
