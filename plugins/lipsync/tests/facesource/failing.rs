//! Files that are no face, or only part of one.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::Path;

use tempfile::TempDir;

use crate::player::*;

#[test]
fn what_is_no_face_is_said_to_be_none() {
    use gst::{ResourceError, StreamError};

    let _guard = init();
    let dir = TempDir::new().unwrap();
    let whole = std::fs::read(mp4(&dir, 50)).unwrap();
    let png = std::fs::read(picture(&dir, "face.png", "pngenc")).unwrap();
    let holes = [&png[..60], &[0; 40], &png[100..]].concat();
    let text = "It is a truth universally acknowledged. ".repeat(100);
    let write = |name: &str, data: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, data).unwrap();
        uri(&path)
    };
    let sound = |name: &str, encoder: &str| {
        let path = dir.path().join(name);
        make(&format!(
            "audiotestsrc num-buffers=20 ! {encoder} ! filesink location={}",
            path.display()
        ));
        uri(&path)
    };
    let text = write("text.mp4", text.as_bytes());
    let zip = write("zip.mp4", b"PK\x03\x04 and so on and on");
    let missing = uri(&dir.path().join("none.mp4"));
    let empty = write("empty.mp4", b"");
    let head = write("head.mp4", &whole[..whole.len() / 3]);
    let half = write("half.png", &png[..png.len() / 2]);
    let holes = write("holes.png", &holes);
    let mka = sound("sound.mka", "vorbisenc ! matroskamux");
    let wav = sound("sound.wav", "wavenc");
    let resource = |code| (Some(code), None);
    let stream = |code| (None, Some(code));
    for (uri, kind, code) in [
        (
            "/tmp/face.mp4",
            "bad-uri",
            resource(ResourceError::OpenRead),
        ),
        (&missing, "not-found", resource(ResourceError::NotFound)),
        (
            &uri(dir.path()),
            "folder",
            resource(ResourceError::OpenRead),
        ),
        (&empty, "empty", stream(StreamError::WrongType)),
        (&text, "not-media", stream(StreamError::TypeNotFound)),
        (&zip, "not-media", stream(StreamError::TypeNotFound)),
        (&head, "cut", stream(StreamError::Demux)),
        (&half, "cut", stream(StreamError::Demux)),
        (&holes, "damaged", stream(StreamError::Decode)),
        (&mka, "no-picture", stream(StreamError::WrongType)),
        (&wav, "no-picture", stream(StreamError::WrongType)),
    ] {
        let player = Player::new(uri, "loop-mode=loop", "identity");
        player.start();
        let (found, named, error) = player.error();
        assert_eq!(found, kind, "{uri}: {error}");
        assert_eq!(named, uri);
        assert_eq!((error.kind(), error.kind()), code, "{uri}: {error}");
        let name = Path::new(uri).file_name().unwrap().to_str().unwrap();
        assert!(error.message().contains(name), "{error}");
    }
}

#[test]
fn a_cut_file_gives_what_is_there_and_then_an_error() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("face.mkv");
    clip(&path, "25/1", &format!("{H264} ! matroskamux"), &[40; 90]);
    let mut data = std::fs::read(&path).unwrap();
    data.truncate(data.len() * 2 / 3);
    std::fs::write(&path, data).unwrap();
    let player = Player::play(&path, "loop-mode=loop");
    let numbers = player.numbers(1000);
    assert!((20..90).contains(&numbers.len()), "{numbers:?}");
    assert!(numbers.iter().enumerate().all(|(n, &f)| f == n));
    assert_eq!(player.error().0, "cut");
}

#[test]
fn what_cannot_be_seeked_cannot_go_backwards() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("face.mkv");
    let tail = format!("{H264} ! matroskamux streamable=true");
    clip(&path, "25/1", &tail, &[40; 50]);
    let (reader, mut writer) = std::io::pipe().unwrap();
    let uri = format!("fd://{}", reader.as_raw_fd());
    let player = Player::new(&uri, "loop-mode=ping-pong", "identity");
    player.start();
    writer.write_all(&std::fs::read(&path).unwrap()).unwrap();
    drop(writer);
    assert_eq!(player.frames(1000).len(), 50);
    assert_eq!(player.error().0, "not-seekable");
}
