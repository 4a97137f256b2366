//! Pipelines that are wired the wrong way say so.

use gst::prelude::*;

use crate::rig::*;

/// What is told until the pipeline ends: warnings and the error.
fn told(pipeline: &str) -> Vec<String> {
    init();
    let pipeline = gst::parse::launch(pipeline).unwrap();
    let bus = pipeline.bus().unwrap();
    pipeline.set_state(gst::State::Playing).ok();
    let mut told = Vec::new();
    loop {
        let kinds = [
            gst::MessageType::Eos,
            gst::MessageType::Error,
            gst::MessageType::Warning,
        ];
        let message = bus
            .timed_pop_filtered(gst::ClockTime::from_seconds(20), &kinds)
            .expect("it ends");
        match message.view() {
            gst::MessageView::Warning(warning) => told.push(warning.error().message().into()),
            gst::MessageView::Error(error) => {
                told.push(error.error().message().into());
                break;
            }
            _ => break,
        }
    }
    pipeline.set_state(gst::State::Null).unwrap();
    told
}

const VIDEO: &str = "videotestsrc num-buffers=25 ! video/x-raw,format=I420,width=64,height=48";
const AUDIO: &str = "audiotestsrc num-buffers=60 ! audioconvert ! audioresample ! queue ! l.audio";

#[test]
fn a_pad_without_speech_is_an_error_and_no_silence() {
    let told = told(&format!("{VIDEO} ! lipsync ! fakesink"));
    assert!(
        told.iter().any(|t| t.contains("Link its pad `audio`")),
        "{told:?}"
    );
}

#[test]
fn a_pipeline_that_looks_for_no_face_is_told_once() {
    let count = |tracker: &str| {
        let text = format!("{VIDEO} ! {tracker} queue ! lipsync name=l ! fakesink {AUDIO}");
        let told = told(&text);
        told.iter()
            .filter(|t| t.contains("Put facetrack before it"))
            .count()
    };
    assert_eq!(count(""), 1);
    assert_eq!(count("facetrack ! queue ! tee !"), 0);
}

#[test]
fn interlaced_pictures_are_refused_with_the_remedy() {
    let interlaced = "videotestsrc num-buffers=25 ! video/x-raw,format=I420,width=64,height=48,\
                      framerate=50/1 ! interlace";
    for elements in ["facetrack ! fakesink", "lipsync name=l ! fakesink"] {
        let audio = match elements.contains("name=l") {
            true => AUDIO,
            false => "",
        };
        let told = told(&format!("{interlaced} ! {elements} {audio}"));
        assert!(
            told.iter().any(|t| t.contains("deinterlace fields=top")),
            "{elements}: {told:?}"
        );
    }
}

#[test]
fn pictures_from_the_bottom_up_are_refused_with_the_remedy() {
    init();
    for elements in ["facetrack ! fakesink", "lipsync name=l ! fakesink"] {
        let audio = match elements.contains("name=l") {
            true => AUDIO,
            false => "",
        };
        let text = format!("appsrc name=v format=time ! {elements} {audio}");
        let pipeline = gst::parse::launch(&text).unwrap();
        let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
        let source: gst_app::AppSrc = pipeline.by_name("v").unwrap().downcast().unwrap();
        source.set_caps(Some(&caps(64)));
        pipeline.set_state(gst::State::Playing).unwrap();
        let mut buffer = frame(0);
        gst_video::VideoMeta::add_full(
            buffer.get_mut().unwrap(),
            gst_video::VideoFrameFlags::empty(),
            gst_video::VideoFormat::I420,
            64,
            48,
            &[64 * 47, 64 * 48, 64 * 48 + 32 * 24],
            &[-64, 32, 32],
        )
        .unwrap();
        source.push_buffer(buffer).unwrap();
        let bus = pipeline.bus().unwrap();
        let error = bus.timed_pop_filtered(LIMIT, &[gst::MessageType::Error]);
        let error = error.expect("an error");
        let gst::MessageView::Error(error) = error.view() else {
            panic!("{error:?}");
        };
        let text = error.error().to_string();
        assert!(text.contains("from the bottom up"), "{elements}: {text}");
        pipeline.set_state(gst::State::Null).unwrap();
    }
}
