//! Pictures, and which way up they are.

use tempfile::TempDir;

use crate::player::*;

#[test]
fn a_picture_is_decoded_once_and_shown_for_ever() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    for (name, encoder) in [
        ("face.png", "pngenc"),
        ("face.jpg", "jpegenc"),
        ("face.webp", "webpenc"),
    ] {
        let path = picture(&dir, name, encoder);
        for mode in ["loop", "ping-pong", "hold"] {
            let player = Player::play(&path, &format!("loop-mode={mode}"));
            let samples = player.samples(30);
            assert_eq!(samples.len(), 30, "{name}, {mode}");
            let memory = |s: &gst::Sample| s.buffer().unwrap().peek_memory(0).as_ptr();
            assert!(samples.iter().all(|s| memory(s) == memory(&samples[0])));
            for (n, sample) in samples.iter().enumerate() {
                let buffer = sample.buffer().unwrap();
                assert_eq!(buffer.pts(), Some(n as u64 * 40 * MS));
                assert_eq!(buffer.duration(), Some(40 * MS));
            }
            let caps = player.caps();
            let s = caps.structure(0).unwrap();
            assert_eq!(s.get::<i32>("width").unwrap(), 80);
            let rate = s.get::<gst::Fraction>("framerate").unwrap();
            assert_eq!(rate, gst::Fraction::new(25, 1));
        }
        let player = Player::play(&path, "fps=10/1");
        let duration = player.sample().unwrap().buffer().unwrap().duration();
        assert_eq!(duration, Some(100 * MS), "{name}");
        assert!(player.sample().is_none() && player.sink.is_eos(), "{name}");
    }
}

/// Brightness of the upper left, upper right and lower left, and the size.
fn corners(sample: &gst::Sample) -> ([u8; 3], (u32, u32)) {
    let info = gst_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
    let (width, height) = (info.width() as usize, info.height() as usize);
    let map = sample.buffer().unwrap().map_readable().unwrap();
    let at = |x: usize, y: usize| map[y * info.stride()[0] as usize + x];
    let (x, y) = (width / 4, height / 4);
    (
        [at(x, y), at(width - x, y), at(x, height - y)],
        (info.width(), info.height()),
    )
}

#[test]
fn a_rotation_tag_is_applied() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let path = mp4(&dir, 10);
    let mut file = std::fs::read(&path).unwrap();
    let at = file.windows(4).position(|w| w == b"tkhd").unwrap();
    // a, b, u, c, d, v of the matrix, as phones write it that are held upright.
    let quarter_turn = [0i32, 1 << 16, 0, -1 << 16, 0, 0];
    let matrix: Vec<_> = quarter_turn.iter().flat_map(|v| v.to_be_bytes()).collect();
    file[at + 44..at + 44 + matrix.len()].copy_from_slice(&matrix);
    std::fs::write(&path, file).unwrap();
    let player = Player::play(&path, "loop-mode=loop");
    let samples = player.samples(30);
    for n in [9, 19, 29] {
        // Frame 9 is bright above (nine units) and dark below (no tens): turned to the right, it is
        // bright on the right.
        let ([left, right, below], size) = corners(&samples[n]);
        assert_eq!(size, (HEIGHT as u32, WIDTH as u32));
        assert!(
            left < 60 && right > 180 && below < 60,
            "{left} {right} {below}"
        );
    }
    let par = player
        .caps()
        .structure(0)
        .unwrap()
        .get("pixel-aspect-ratio");
    assert_eq!(par, Ok(gst::Fraction::new(3, 4)));
}

#[test]
fn a_camera_s_note_in_a_jpeg_is_applied() {
    let _guard = init();
    let dir = TempDir::new().unwrap();
    let path = picture(&dir, "face.jpg", "video/x-raw,format=I420 ! jpegenc");
    let ([left, right, below], size) = corners(&Player::play(&path, "").sample().unwrap());
    assert_eq!(size, (80, 40));
    assert!(left.abs_diff(right) < 10 && left.abs_diff(below) > 50);
    let mut jpeg = std::fs::read(&path).unwrap();
    let note =
        b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    jpeg.splice(2..2, note.iter().copied());
    std::fs::write(&path, jpeg).unwrap();
    let ([turned, right, _], size) = corners(&Player::play(&path, "").sample().unwrap());
    assert_eq!(size, (40, 80));
    assert!(turned.abs_diff(below) < 10 && right.abs_diff(left) < 10);
}
