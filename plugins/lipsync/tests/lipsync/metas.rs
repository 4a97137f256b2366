//! Faces that were found before the picture was scaled, cut or turned.

use gst_video::VideoInfo;
use gstlipsync::roi;

use crate::rig::*;

fn info(sample: &gst::Sample) -> VideoInfo {
    VideoInfo::from_caps(sample.caps().unwrap()).unwrap()
}

/// The middle of the pixels of the first plane that differ, and how many they are.
fn changed(a: &gst::Sample, b: &gst::Sample, step: usize) -> ([f32; 2], usize) {
    let stride = info(a).stride()[0] as usize;
    let (width, height) = (info(a).width() as usize, info(a).height() as usize);
    let (a, b) = (bytes(a), bytes(b));
    let (mut x, mut y, mut count) = (0, 0, 0);
    let is_changed = |&i: &usize| i % stride < width * step && a[i].abs_diff(b[i]) > 8;
    for i in (0..stride * height).filter(is_changed) {
        x += i % stride / step;
        y += i / stride;
        count += 1;
    }
    let mean = |sum: usize| sum as f32 / count.max(1) as f32;
    ([mean(x), mean(y)], count)
}

/// Between the corners of the mouth.
fn mouth(face: &gstlipsync::face::Face) -> [f32; 2] {
    let mesh = face.mesh.as_ref().expect("a mesh");
    std::array::from_fn(|c| (mesh.0[61][c] + mesh.0[291][c]) / 2.0)
}

#[test]
fn mouths_are_drawn_where_the_faces_have_gone() {
    for (between, format, step) in [
        ("videoscale ! video/x-raw,width=640,height=480", "I420", 1),
        (
            "videoscale ! video/x-raw,width=300,height=300,pixel-aspect-ratio=1/1",
            "I420",
            1,
        ),
        ("videoscale ! video/x-raw,width=260", "I420", 1),
        ("videoconvert ! video/x-raw,format=BGRx", "I420", 4),
        ("videocrop left=37 top=11 right=20 bottom=6", "I420", 1),
        ("videocrop left=64 top=21", "BGRx", 4),
        ("videocrop left=37 top=11", "NV12", 1),
        ("aspectratiocrop aspect-ratio=1/1 ! queue", "I420", 1),
        ("videoconvert ! videocrop left=30 ! videoconvert", "I420", 1),
    ] {
        let expected = real_frames(format, &format!("{between} ! facetrack"), 1600);
        let drawn = play_real(format, &format!("{between} ! lipsync name=l"), 1600);
        let stats = drawn.stats.unwrap();
        assert_eq!(
            stats.get::<u64>("frames-without-face").unwrap(),
            0,
            "{between}"
        );
        assert_eq!(drawn.frames.len(), 30, "{between}");
        assert_eq!(drawn.warnings, Vec::<String>::new(), "{between}");
        let mut most = 0;
        for (drawn, expected) in drawn.frames.iter().zip(&expected) {
            assert_eq!(drawn.caps(), expected.caps(), "{between}");
            let (middle, count) = changed(drawn, expected, step);
            if count < 100 {
                continue;
            }
            most = most.max(count);
            let face = &roi::faces(expected.buffer().unwrap())[0];
            let mouth = mouth(face);
            // The chin goes with the lower lip.
            let beside = (middle[0] - mouth[0]) / face.bounds.width;
            let below = (middle[1] - mouth[1]) / face.bounds.height;
            assert!(
                beside.abs() < 0.08 && (-0.08..0.35).contains(&below),
                "{between}: drawn at {middle:?}, the mouth is at {mouth:?}"
            );
        }
        assert!(most > 100, "{between}: nothing was drawn");
    }
}

#[test]
fn points_follow_a_scaled_picture_to_a_part_of_a_pixel() {
    let scale = "videoscale ! video/x-raw,width=640,height=480";
    let before = real_frames("I420", "identity", 1600);
    let scaled = real_frames("I420", scale, 1600);
    for (before, scaled) in before.iter().zip(&scaled) {
        let was = mouth(&roi::faces(before.buffer().unwrap())[0]);
        let is = mouth(&roi::faces_in(scaled.buffer().unwrap(), &info(scaled))[0]);
        for c in 0..2 {
            assert!((is[c] - was[c] * 1.6).abs() < 0.01, "{was:?} became {is:?}");
        }
    }
}

#[test]
fn a_picture_that_is_turned_is_told_once() {
    let turned = play_real(
        "I420",
        "videoflip video-direction=horiz ! lipsync name=l",
        1600,
    );
    let [warning] = &turned.warnings[..] else {
        panic!("{} warnings", turned.warnings.len());
    };
    assert!(warning.contains("Put facetrack behind it"), "{warning}");
    assert_eq!(turned.frames.len(), 30);
    let good = play_real("I420", "lipsync name=l", 1600);
    assert_eq!(good.warnings, Vec::<String>::new());
}
