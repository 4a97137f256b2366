//! Several speakers and a generator: who is painted, and who is not.

use gst::prelude::*;

use super::*;

#[test]
fn a_generator_paints_each_with_their_own_speech_and_no_bystander() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/generator_8.onnx");
    let model = format!("model-file={model} batch-size=3");
    let made = played(&model, &[("audio_1", voice(2.0, 1600))]);
    assert_eq!(changed(&made, two(), true), 0);
    assert_eq!(changed(&made, two(), false), two().len());
    // Whoever speaks is lost for a while, and somebody else is there.
    let track = track_of_the_left();
    for (lost, whose) in [
        (0..12, format!("audio_0::track={track}")),
        (10..20, String::new()),
    ] {
        let stage = Stage::new(&format!("{model} {whose}"), &["audio_0"]);
        let frames = feed(|number, face| !is_left(face) || !lost.contains(&number));
        let made = stage.play(frames, vec![voice(2.0, 1600)]);
        assert_eq!(changed(&made, two(), false), 0, "{lost:?}");
        assert_eq!(changed(&made, two(), true), two().len() - lost.len());
    }
}

/// The id of the face on the left.

#[test]
fn a_generator_paints_no_bystander_while_the_chosen_face_is_not_found_yet() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/generator_8.onnx");
    // There is no third face, and the two have boxes alone.
    let text = format!(
        "appsrc name=v format=time ! facetrack face-select=index face-index=2 ! queue ! \
         lipsync name=l model-file={model} ! appsink name=s sync=false \
         audiotestsrc num-buffers=40 ! audio/x-raw,rate=16000 ! queue ! l.audio"
    );
    init();
    let pipeline = gst::parse::launch(&text).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    let source: gst_app::AppSrc = pipeline.by_name("v").unwrap().downcast().unwrap();
    let sink: gst_app::AppSink = pipeline.by_name("s").unwrap().downcast().unwrap();
    source.set_caps(two()[0].caps_owned().as_ref());
    pipeline.set_state(gst::State::Playing).unwrap();
    for frame in feed(|_, _| false).into_iter().take(8) {
        source.push_buffer(frame).unwrap();
    }
    source.end_of_stream().unwrap();
    let made: Vec<_> = std::iter::from_fn(|| sink.try_pull_sample(LIMIT)).collect();
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(made.len(), 8);
    for is_left in [true, false] {
        assert_eq!(changed(&made, &two()[..8], is_left), 0);
    }
}
