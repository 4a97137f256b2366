//! Metadata in MP4 and QuickTime files: `moov.udta.meta` with the boxes `keys` and `ilst`, as
//! `ffmpeg -movflags use_metadata_tags` writes it (QuickTime File Format, "Metadata").

use std::fs::File;

use gstlipsync::isobmff::boxes::{self, Body, Node, Place, u32_at};

use super::Error;
use crate::pipeline::mp4::index;

/// The handler of metadata with keys.
const HANDLER: &[u8; 4] = b"mdta";
/// Type of a value: UTF-8.
const TEXT: u32 = 1;
/// Bytes of version and flags before the boxes in `meta`.
const VERSION: usize = 4;

/// Puts the value under the key; one that is there is replaced.
pub fn write(file: &mut File, key: &str, value: &str) -> Result<(), Error> {
    let (place, mut movie) = movie(file)?;
    let mut metadata = Metadata::of(&movie).unwrap_or_default();
    metadata.set(key, value);
    put(&mut movie, &metadata)?;
    index::replace(file, place, movie).map_err(|e| match e {
        index::Error::Io(e) => Error::Io(e),
        other => Error::Unsupported(other.to_string()),
    })
}

/// The value under the key.
pub fn read(file: &mut File, key: &str) -> Result<Option<String>, Error> {
    let (_, movie) = movie(file)?;
    Ok(Metadata::of(&movie).and_then(|metadata| metadata.get(key)))
}

fn movie(file: &mut File) -> Result<(Place, Node), Error> {
    let missing = || Error::Unsupported("the file has no index that can be read".into());
    let size = file.metadata()?.len();
    let places = boxes::outermost(file, size)?;
    let place = places.into_iter().find(|p| p.kind == *b"moov");
    let place = place.ok_or_else(missing)?;
    let movie = boxes::read(file, place)?.ok_or_else(missing)?;
    Ok((place, movie))
}

/// Keys and the boxes of their values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Metadata {
    entries: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Metadata {
    /// That of the movie, if it has any with keys.
    fn of(movie: &Node) -> Option<Self> {
        let udta = boxes::parse(*b"udta", user_data(movie)?)?;
        udta.each(b"meta")
            .find_map(|meta| Self::of_box(meta.data(&[])?))
    }

    fn of_box(data: &[u8]) -> Option<Self> {
        let meta = boxes::parse(*b"meta", data.get(VERSION..)?)?;
        // Version and flags, and four bytes that mean nothing, come before the handler.
        let handler = meta.data(&[b"hdlr"])?.get(8..12)?;
        if handler != HANDLER {
            return None;
        }
        let keys = meta.data(&[b"keys"])?;
        let mut names = Vec::new();
        let mut rest = keys.get(8..)?;
        for _ in 0..u32_at(keys, 4)? {
            let length = u32_at(rest, 0)? as usize;
            // Behind the length and the namespace.
            names.push(rest.get(8..length)?.to_vec());
            rest = rest.get(length..)?;
        }
        let items = boxes::parse(*b"ilst", meta.data(&[b"ilst"])?)?;
        let entries = items.children().iter().filter_map(|item| {
            // The type of an item is the number of its key, from 1.
            let number = u32::from_be_bytes(item.kind).checked_sub(1)? as usize;
            Some((names.get(number)?.clone(), item.data(&[])?.to_vec()))
        });
        Some(Self {
            entries: entries.collect(),
        })
    }

    fn get(&self, key: &str) -> Option<String> {
        let (_, item) = self.entries.iter().find(|(k, _)| k == key.as_bytes())?;
        let item = boxes::parse(*b"item", item)?;
        let data = item.data(&[b"data"])?;
        (u32_at(data, 0)? == TEXT).then_some(())?;
        String::from_utf8(data.get(8..)?.to_vec()).ok()
    }

    fn set(&mut self, key: &str, value: &str) {
        // Type, and a locale that says nothing.
        let mut data = TEXT.to_be_bytes().to_vec();
        data.extend([0; 4]);
        data.extend(value.as_bytes());
        let data = Node::leaf(b"data", data).write();
        match self.entries.iter_mut().find(|(k, _)| k == key.as_bytes()) {
            Some((_, item)) => *item = data,
            None => self.entries.push((key.as_bytes().to_vec(), data)),
        }
    }

    fn write(&self) -> Node {
        let mut handler = vec![0; 8];
        handler.extend(HANDLER);
        // Three numbers that mean nothing, and an empty name.
        handler.extend([0; 13]);
        let mut keys = vec![0; 4];
        keys.extend((self.entries.len() as u32).to_be_bytes());
        let mut items = Vec::new();
        for (number, (key, item)) in (1_u32..).zip(&self.entries) {
            keys.extend((key.len() as u32 + 8).to_be_bytes());
            keys.extend(HANDLER);
            keys.extend(key);
            items.extend(Node::leaf(&number.to_be_bytes(), item.clone()).write());
        }
        let boxes = [
            Node::leaf(b"hdlr", handler),
            Node::leaf(b"keys", keys),
            Node::leaf(b"ilst", items),
        ];
        let mut meta = vec![0; VERSION];
        meta.extend(boxes.iter().flat_map(Node::write));
        Node::leaf(b"meta", meta)
    }
}

fn user_data(movie: &Node) -> Option<&[u8]> {
    movie.data(&[b"udta"])
}

/// Has the movie carry the metadata. Other metadata stays, but for an empty list as GStreamer writes it:
/// a box has one `meta` at most.
fn put(movie: &mut Node, metadata: &Metadata) -> Result<(), Error> {
    let mut kept = Vec::new();
    if let Some(data) = user_data(movie) {
        let udta = boxes::parse(*b"udta", data)
            .ok_or_else(|| Error::Unsupported("the file's user data can't be read".into()))?;
        for node in udta.children() {
            let data = node.data(&[]).unwrap_or_default();
            let is_other =
                node.kind != *b"meta" || (Metadata::of_box(data).is_none() && !is_empty_list(data));
            if is_other {
                kept.push(node.clone());
            }
        }
    }
    kept.push(metadata.write());
    let udta = Node::leaf(b"udta", kept.iter().flat_map(Node::write).collect());
    let Body::Children(nodes) = &mut movie.body else {
        return Err(Error::Unsupported(
            "the file has no index that can be read".into(),
        ));
    };
    nodes.retain(|node| node.kind != *b"udta");
    nodes.push(udta);
    Ok(())
}

fn is_empty_list(meta: &[u8]) -> bool {
    let meta = meta
        .get(VERSION..)
        .and_then(|data| boxes::parse(*b"meta", data));
    meta.is_some_and(|meta| meta.data(&[b"ilst"]).is_none_or(<[u8]>::is_empty))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_laid_out_as_ffmpeg_lays_it_out() {
        let mut metadata = Metadata::default();
        metadata.set("AIGC", "{\"Label\":\"1\"}");
        metadata.set("encoder", "x");
        metadata.set("encoder", "Lavf59.27.100");
        let written = metadata.write();
        // By `ffmpeg -f lavfi -i ... -movflags use_metadata_tags -metadata AIGC='{"Label":"1"}'`, version 5.1.
        let by_ffmpeg = b"\x00\x00\x00\xaameta\x00\x00\x00\x00\
            \x00\x00\x00\x21hdlr\x00\x00\x00\x00\x00\x00\x00\x00mdta\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\
            \x00\x00\x00\x2bkeys\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x0cmdtaAIGC\x00\x00\x00\x0fmdtaencoder\
            \x00\x00\x00\x52ilst\x00\x00\x00\x25\x00\x00\x00\x01\x00\x00\x00\x1ddata\x00\x00\x00\x01\x00\x00\x00\x00{\"Label\":\"1\"}\
            \x00\x00\x00\x25\x00\x00\x00\x02\x00\x00\x00\x1ddata\x00\x00\x00\x01\x00\x00\x00\x00Lavf59.27.100";
        assert_eq!(written.write(), by_ffmpeg);
        let back = Metadata::of_box(written.data(&[]).unwrap()).unwrap();
        assert_eq!(back, metadata);
        assert_eq!(back.get("AIGC").as_deref(), Some("{\"Label\":\"1\"}"));
        assert_eq!(back.get("other"), None);
    }

    #[test]
    fn other_user_data_stays() {
        let list = |items: &[u8]| {
            let mut handler = vec![0; 8];
            handler.extend(b"mdir");
            handler.extend([0; 13]);
            let boxes = [
                Node::leaf(b"hdlr", handler),
                Node::leaf(b"ilst", items.to_vec()),
            ];
            let mut meta = vec![0; VERSION];
            meta.extend(boxes.iter().flat_map(Node::write));
            Node::leaf(b"meta", meta)
        };
        let name = Node::leaf(b"name", b"Anna".to_vec());
        let title = list(&Node::leaf(b"\xa9nam", Vec::new()).write());
        for (user_data, kept) in [
            (vec![name.clone(), list(b"")], 1),
            (vec![name.clone(), title], 2),
        ] {
            let udta = user_data.iter().flat_map(Node::write).collect();
            let mut movie = Node {
                kind: *b"moov",
                body: Body::Children(vec![Node::leaf(b"udta", udta)]),
            };
            for value in ["a", "b"] {
                let mut metadata = Metadata::of(&movie).unwrap_or_default();
                metadata.set("AIGC", value);
                put(&mut movie, &metadata).unwrap();
                let udta = boxes::parse(*b"udta", movie.data(&[b"udta"]).unwrap()).unwrap();
                assert_eq!(udta.children()[..kept], user_data[..kept]);
                assert_eq!(udta.children().len(), kept + 1);
                let found = Metadata::of(&movie).unwrap().get("AIGC");
                assert_eq!(found.as_deref(), Some(value));
            }
        }
    }
}
