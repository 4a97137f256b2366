//! Element `labeloverlay`: what is written where, and for how long.

use gst::prelude::*;
use gst_check::Harness;
use gst_video::{VideoFormat, VideoInfo};
use gstlipsync::face::{Face, Rect};

const WIDTH: u32 = 320;
const HEIGHT: u32 = 240;
const FRAME: gst::ClockTime = gst::ClockTime::from_mseconds(500);

fn info(format: VideoFormat) -> VideoInfo {
    VideoInfo::builder(format, WIDTH, HEIGHT)
        .fps(gst::Fraction::new(2, 1))
        .build()
        .unwrap()
}

fn harness(launch: &str, format: VideoFormat) -> Harness {
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
    let mut harness = Harness::new_parse(&format!("labeloverlay {launch}"));
    harness.set_src_caps(info(format).to_caps().unwrap());
    harness
}

/// A frame without pattern, so that whatever is drawn is seen.
fn frame(number: u64, format: VideoFormat, faces: &[Face]) -> gst::Buffer {
    let info = info(format);
    let bytes = (0..info.size()).map(|i| (i * 7 % 200) as u8 + 20);
    let mut buffer = gst::Buffer::from_mut_slice(bytes.collect::<Vec<u8>>());
    let writable = buffer.get_mut().unwrap();
    writable.set_pts(FRAME * number);
    writable.set_duration(FRAME);
    gstlipsync::roi::attach(writable, faces, &info);
    buffer
}

fn bytes(buffer: &gst::BufferRef) -> Vec<u8> {
    buffer.map_readable().unwrap().to_vec()
}

/// The box of luma that differs: left, top, right, bottom.
fn changed(before: &[u8], after: &[u8]) -> Option<[usize; 4]> {
    let luma = (WIDTH * HEIGHT) as usize;
    let places = (0..luma).filter(|i| before[*i] != after[*i]);
    places
        .map(|i| (i % WIDTH as usize, i / WIDTH as usize))
        .fold(None, |found, (x, y)| {
            let [a, b, c, d] = found.unwrap_or([x, y, x + 1, y + 1]);
            Some([a.min(x), b.min(y), c.max(x + 1), d.max(y + 1)])
        })
}

/// Which of so many frames show the label.
fn shown(launch: &str, count: u64) -> Vec<bool> {
    let mut h = harness(launch, VideoFormat::I420);
    let shows = |number| {
        let before = frame(number, VideoFormat::I420, &[]);
        let original = bytes(&before);
        let address = before.map_readable().unwrap().as_ptr();
        let after = h.push_and_pull(before).unwrap();
        let is_shown = changed(&original, &bytes(&after)).is_some();
        if !is_shown {
            assert_eq!(bytes(&after), original, "every plane");
            assert_eq!(after.map_readable().unwrap().as_ptr(), address, "no copy");
        }
        is_shown
    };
    (0..count).map(shows).collect()
}

#[test]
fn it_is_there_for_as_long_as_is_said() {
    assert_eq!(shown("text=AI", 6), [true; 6]);
    assert_eq!(shown("", 3), [false; 3]);
    let two_seconds = [true, true, true, true, false, false, false, false];
    assert_eq!(shown("text=AI duration=2000000000", 8), two_seconds);
    let again: Vec<bool> = (0..16).map(|n| n % 6 < 4).collect();
    let launch = "text=AI duration=2000000000 interval=3000000000";
    assert_eq!(shown(launch, 16), again);
}

#[test]
fn it_is_high_enough_and_changes_nothing_outside_its_box() {
    for format in [VideoFormat::I420, VideoFormat::Nv12] {
        let mut h = harness("text=AI-generated", format);
        let before = frame(0, format, &[]);
        let original = bytes(&before);
        let after = bytes(&h.push_and_pull(before).unwrap());
        let [left, top, right, bottom] = changed(&original, &after).unwrap();
        // A twentieth of the shorter side, and the space around it.
        assert!(
            bottom - top > 12 && right - left > 60,
            "{left} {top} {right} {bottom}"
        );
        // At the lower right, with a margin.
        let (width, height) = (WIDTH as usize, HEIGHT as usize);
        assert!(right < width && right > width - 12 && bottom < height && bottom > height - 12);
        // The largest letters are white.
        let whites = after[..width * height]
            .iter()
            .filter(|v| **v == 235)
            .count();
        assert!(whites > 40, "{whites}");
    }
}

fn face(x: f32, y: f32) -> Face {
    Face {
        id: 1,
        bounds: Rect {
            x,
            y,
            width: 100.0,
            height: 120.0,
        },
        score: 1.0,
        mesh: None,
    }
}

#[test]
fn it_goes_out_of_the_way_of_a_mouth_and_stays_there() {
    let mut h = harness("text=AI position=bottom-right", VideoFormat::I420);
    let mut at = |number, faces: &[Face]| {
        let before = frame(number, VideoFormat::I420, faces);
        let original = bytes(&before);
        let after = h.push_and_pull(before).unwrap();
        changed(&original, &bytes(&after)).unwrap()
    };
    let right = at(0, &[face(20.0, 20.0)]);
    assert!(right[0] > 200, "{right:?}");
    // Its lower half, where the mouth is, has come to the label.
    let left = at(1, &[face(210.0, 115.0)]);
    assert!(left[2] < 100 && left[1] > 180, "{left:?}");
    // It does not jump back and forth.
    assert_eq!(at(2, &[face(20.0, 20.0)]), left);
    assert_eq!(at(3, &[face(210.0, 20.0)]), left);
}

#[test]
fn what_can_not_be_shown_as_it_should_is_an_error() {
    let long = "a".repeat(200);
    for (text, words) in [(long.as_str(), "does not fit"), ("\u{10FFFD}", "no font")] {
        let mut h = harness(&format!("text={text}"), VideoFormat::I420);
        let bus = gst::Bus::new();
        h.element().unwrap().set_bus(Some(&bus));
        assert!(h.push(frame(0, VideoFormat::I420, &[])).is_err());
        let error = bus.pop_filtered(&[gst::MessageType::Error]).unwrap();
        let gst::MessageView::Error(error) = error.view() else {
            panic!()
        };
        let text = error.error().to_string();
        assert!(text.contains(words), "{text}");
    }
}
