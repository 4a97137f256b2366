//! Faces as objects of GstAnalytics: those that `facetrack` attaches, and those that `lipsync` takes from others.
#![cfg(feature = "analytics")]

use gst::glib::Quark;
use gst::prelude::*;
use gst_analytics::prelude::*;
use gst_analytics::{AnalyticsODMtd, AnalyticsRelationMeta, AnalyticsTrackingMtd, RelTypes};
use gst_video::{VideoFormat, VideoInfo, VideoRegionOfInterestMeta};
use gstlipsync::roi;

fn init() {
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
}

/// Plays and gives the first frame that comes to `s`.
fn first_frame(description: &str) -> gst::Sample {
    init();
    let pipeline = gst::parse::launch(description).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    let sink: gst_app::AppSink = pipeline.by_name("s").unwrap().downcast().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let sample = sink.try_pull_sample(gst::ClockTime::from_seconds(20));
    pipeline.set_state(gst::State::Null).unwrap();
    sample.expect("a frame")
}

fn portrait(elements: &str) -> gst::Sample {
    let file = gstlipsync::runtime::data_dir().join("media/astronaut.png");
    let file = file.display();
    first_frame(&format!(
        "filesrc location={file} ! pngdec ! videoconvert ! {elements} ! appsink name=s sync=false"
    ))
}

/// Place, score and track of each object.
fn objects(buffer: &gst::BufferRef) -> Vec<([i32; 4], f32, Option<u64>)> {
    let Some(meta) = buffer.meta::<AnalyticsRelationMeta>() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for object in meta.iter::<AnalyticsODMtd>() {
        assert_eq!(object.obj_type(), Some(Quark::from_str("face")));
        let place = object.location().unwrap();
        let related = RelTypes::RELATE_TO;
        let track = meta
            .iter_direct_related::<AnalyticsTrackingMtd>(object.id(), related)
            .next();
        found.push((
            [place.x, place.y, place.w, place.h],
            place.loc_conf_lvl,
            track.map(|track| track.info().0),
        ));
    }
    found
}

#[test]
fn a_face_is_an_object_with_its_track() {
    let sample = portrait("facetrack");
    let buffer = sample.buffer().unwrap();
    let region = buffer.meta::<VideoRegionOfInterestMeta>().unwrap();
    let (x, y, width, height) = region.rect();
    let [(place, score, track)] = objects(buffer)[..] else {
        panic!("{:?}", objects(buffer));
    };
    assert_eq!(track, Some(region.id() as u64));
    assert!((0.5..=1.0).contains(&score), "{score}");
    for (object, region) in place.iter().zip([x, y, width, height]) {
        assert!(object.abs_diff(region as i32) <= 1, "{place:?}");
    }
}

#[test]
fn who_finds_a_face_again_does_not_double_it() {
    let sample = portrait("facetrack ! facetrack");
    assert_eq!(objects(sample.buffer().unwrap()).len(), 1);
    let info = VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
    assert_eq!(roi::faces_in(sample.buffer().unwrap(), &info).len(), 1);
}

const WIDTH: u32 = 64;
const HEIGHT: u32 = 48;

/// A grey frame.
fn frame() -> gst::Buffer {
    let mut buffer = gst::Buffer::from_mut_slice(vec![100; (WIDTH * HEIGHT * 3 / 2) as usize]);
    let writable = buffer.get_mut().unwrap();
    writable.set_pts(gst::ClockTime::ZERO);
    writable.set_duration(gst::ClockTime::from_mseconds(40));
    buffer
}

/// What a generator makes of a frame.
fn drawn(frame: gst::Buffer) -> Vec<u8> {
    init();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/generator_8.onnx");
    let pipeline = gst::parse::launch(&format!(
        "appsrc name=v format=time ! lipsync name=l model-file={model} batch-size=1 ! appsink name=s sync=false \
         audiotestsrc num-buffers=40 ! audio/x-raw,rate=16000 ! queue ! l.audio"
    ));
    let pipeline = pipeline.unwrap().downcast::<gst::Pipeline>().unwrap();
    let video: gst_app::AppSrc = pipeline.by_name("v").unwrap().downcast().unwrap();
    let info = VideoInfo::builder(VideoFormat::I420, WIDTH, HEIGHT)
        .fps(gst::Fraction::new(25, 1))
        .build();
    video.set_caps(Some(&info.unwrap().to_caps().unwrap()));
    let sink: gst_app::AppSink = pipeline.by_name("s").unwrap().downcast().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    video.push_buffer(frame).unwrap();
    video.end_of_stream().unwrap();
    let sample = sink.try_pull_sample(gst::ClockTime::from_seconds(20));
    pipeline.set_state(gst::State::Null).unwrap();
    let sample = sample.expect("a frame");
    sample.buffer().unwrap().map_readable().unwrap().to_vec()
}

fn with_object(kind: &str) -> gst::Buffer {
    let mut buffer = frame();
    let mut meta = AnalyticsRelationMeta::add(buffer.get_mut().unwrap());
    meta.add_od_mtd(Quark::from_str(kind), 16, 8, 32, 32, 0.9)
        .unwrap();
    drop(meta);
    buffer
}

#[test]
fn the_object_of_another_detector_is_a_face() {
    let mut regioned = frame();
    VideoRegionOfInterestMeta::add(regioned.get_mut().unwrap(), "face", (16, 8, 32, 32));
    let [plain, object, region, other] = [
        frame(),
        with_object("face"),
        regioned,
        with_object("teapot"),
    ]
    .map(drawn);
    assert!(object != plain);
    assert!(object == region);
    assert!(other == plain);
}
