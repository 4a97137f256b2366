//! What is drawn on real frames.

use gst::prelude::*;

use crate::rig::*;

#[test]
fn only_pixels_around_the_mouth_change_in_every_family_of_formats() {
    for (format, step) in [("I420", 1), ("NV12", 1), ("RGB", 3), ("BGRx", 4)] {
        let before = real_frames(format, "identity", 1600);
        let after = real_frames(format, "lipsync name=l", 1600);
        assert_eq!(before.len(), 30, "{format}");
        assert_eq!(after.len(), 30, "{format}");
        let mut changed = 0;
        for (before, after) in before.iter().zip(&after) {
            let face = gstlipsync::roi::faces(before.buffer().unwrap())[0].bounds;
            let caps = before.caps().unwrap();
            let info = gst_video::VideoInfo::from_caps(caps).unwrap();
            let stride = info.stride()[0] as usize;
            let (a, b) = (bytes(before), bytes(after));
            // The first plane, where a row is a row of pixels.
            for (y, (a, b)) in a
                .chunks(stride)
                .zip(b.chunks(stride))
                .take(info.height() as usize)
                .enumerate()
            {
                for (x, _) in a.iter().zip(b).enumerate().filter(|(_, (a, b))| a != b) {
                    let (x, y) = ((x / step) as f32, y as f32);
                    changed += 1;
                    let beside = x < face.x - 0.3 * face.width || x > face.x + 1.3 * face.width;
                    let above = y < face.y + 0.35 * face.height;
                    let below = y > face.y + 1.6 * face.height;
                    assert!(
                        !(beside || above || below),
                        "{format}: ({x}, {y}), face {face:?}"
                    );
                }
            }
        }
        assert!(changed > 1000, "{format}: nothing was drawn");
    }
}

#[test]
fn a_face_that_is_lost_is_held_for_a_moment_and_its_mouth_fades() {
    let real = &real_frames("I420", "identity", 1600)[0];
    let source = bytes(real);
    let faces = gstlipsync::roi::faces(real.buffer().unwrap());
    let info = gst_video::VideoInfo::from_caps(real.caps().unwrap()).unwrap();
    // Found in the first frames, then lost for good.
    let frames = (0..30)
        .map(|number| {
            let mut buffer = gst::Buffer::from_mut_slice(source.clone());
            let writable = buffer.get_mut().unwrap();
            writable.set_pts(FRAME * number);
            writable.set_duration(FRAME);
            if number < 10 {
                gstlipsync::roi::attach(writable, &faces, &info);
            }
            buffer
        })
        .collect();
    let rig = Rig::new("");
    rig.video.set_caps(real.caps_owned().as_ref());
    let output = rig.run(frames, voice(2.0, 1600)).unwrap();
    let changed: Vec<bool> = output.iter().map(|s| bytes(s) != source).collect();
    assert_eq!(changed[10..17], [true; 7], "the face is held");
    assert_eq!(changed[22..], [false; 8], "the source's own is back");
    let stats: gst::Structure = rig.lipsync.property("stats");
    assert_eq!(stats.get::<u64>("frames-without-face").unwrap(), 20);
}

#[test]
fn how_the_speech_is_cut_changes_nothing() {
    for look in ["stream", "whole"] {
        let made = |chunk: usize| -> Vec<_> {
            let lipsync = format!("lipsync name=l look={look}");
            let frames = real_frames("I420", &lipsync, chunk);
            frames.iter().map(bytes).collect()
        };
        let uncut = made(32_000);
        for chunk in [97, 1600] {
            assert!(uncut == made(chunk), "{look}, chunks of {chunk} samples");
        }
    }
}

#[test]
fn a_generator_paints_into_the_face_whatever_the_batch() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/generator_8.onnx");
    let before = real_frames("I420", "identity", 1600);
    let paint = |batch: usize| -> Vec<Vec<u8>> {
        let lipsync = format!("lipsync name=l model-file={model} batch-size={batch}");
        real_frames("I420", &lipsync, 1600)
            .iter()
            .map(bytes)
            .collect()
    };
    let one = paint(1);
    assert_eq!(one.len(), 30);
    assert!(
        one.iter()
            .zip(&before)
            .all(|(after, before)| *after != bytes(before))
    );
    assert!(one == paint(7));
}

#[test]
fn ten_bits_are_drawn_at_their_depth() {
    for (format, shift) in [
        ("I420_10LE", 0),
        ("P010_10LE", 6),
        ("I422_10LE", 0),
        ("Y444_10LE", 0),
    ] {
        // A level of 8 bits becomes one of 10 whose last two bits are its first two.
        let is_of_eight = |level: u16| level & 3 == level >> 8;
        let convert = format!("videoconvert dither=none ! video/x-raw,format={format}");
        let before = real_frames("I420", &convert, 1600);
        let after = real_frames("I420", &format!("{convert} ! lipsync name=l"), 1600);
        let levels = |sample: &gst::Sample| -> Vec<u16> {
            let info = gst_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
            // Brightness alone: colours were interpolated on their way to 4:2:2.
            let brightness = (info.width() * info.height()) as usize;
            let bytes = bytes(sample);
            let pairs = bytes.chunks_exact(2).take(brightness);
            pairs
                .map(|pair| u16::from_le_bytes([pair[0], pair[1]]) >> shift)
                .collect()
        };
        let (mut drawn, mut fine) = (0, 0);
        for (before, after) in before.iter().zip(&after) {
            let pairs = levels(before).into_iter().zip(levels(after));
            for (before, after) in pairs.filter(|(before, after)| before != after) {
                assert!(after < 1024, "{format}");
                assert!(is_of_eight(before), "{format}: {before}");
                drawn += 1;
                fine += usize::from(!is_of_eight(after));
            }
        }
        assert!(drawn > 1000, "{format}: {drawn}");
        // Three in four, where every level is as likely.
        assert!(fine * 2 > drawn, "{format}: {fine} of {drawn}");
    }
}
