//! Whose speech a pad's is.

use gst::prelude::*;

use super::*;

#[test]
fn each_face_follows_its_own_speech_and_not_the_others() {
    let both = played(
        "",
        &[("audio_0", voice(2.0, 1600)), ("audio_1", other_voice())],
    );
    let left = played("", &[("audio_0", voice(2.0, 1600))]);
    let right = played("", &[("audio_1", other_voice())]);
    let source = two();
    assert_eq!(both.len(), source.len());
    // Whoever has no speech stays as they are, to the bit, and whoever has does not see the other's.
    assert_eq!(changed(&left, source, false), 0);
    assert_eq!(changed(&right, source, true), 0);
    assert_eq!(changed(&both, &left, true), 0);
    assert_eq!(changed(&both, &right, false), 0);
    assert!(changed(&both, source, true) > 15);
    assert!(changed(&both, source, false) > 15);
    // The same seen by somebody who looks at the faces: swapped, the mouths swap what they do.
    let swapped = played(
        "",
        &[("audio_0", other_voice()), ("audio_1", voice(2.0, 1600))],
    );
    let ([a, b], [c, d]) = (openings(&both), openings(&swapped));
    for (own, other) in [
        (correlation(&a, &d), correlation(&a, &b)),
        (correlation(&b, &c), correlation(&c, &d)),
    ] {
        assert!(own > 0.8 && other < 0.4, "{own} {other}");
    }
}

#[test]
fn the_pads_say_whose_speech_they_are() {
    let track = track_of_the_left();
    for (properties, is_left) in [
        ("audio_3::position=0".to_string(), true),
        ("audio_3::position=1".to_string(), false),
        ("audio_3::position=-1".to_string(), false),
        ("audio_3::position=-2".to_string(), true),
        (format!("audio_3::position=1 audio_3::track={track}"), true),
    ] {
        let made = played(&properties, &[("audio_3", voice(2.0, 1600))]);
        assert!(changed(&made, two(), is_left) > 15, "{properties}");
        assert_eq!(changed(&made, two(), !is_left), 0, "{properties}");
    }
}

#[test]
fn the_pad_audio_speaks_for_all_whom_no_other_pad_speaks_for() {
    let speech = voice(2.0, 1600);
    let all = played("", &[("audio", speech.clone())]);
    assert!(changed(&all, two(), true) > 15 && changed(&all, two(), false) > 15);
    let shared = played("", &[("audio", speech), ("audio_1", vec![silence(2.0)])]);
    assert_eq!(changed(&shared, &all, true), 0);
    assert!(changed(&shared, &all, false) > 15);
}

#[test]
fn two_pads_for_one_face_are_told_and_the_first_one_speaks() {
    let stage = Stage::new("audio_1::position=0", &["audio_0", "audio_1"]);
    let made = stage.play(feed(all), vec![voice(2.0, 1600), other_voice()]);
    let told = stage.warnings();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("audio_0 and audio_1 speak for the same face"));
    let alone = played("", &[("audio_0", voice(2.0, 1600))]);
    assert_eq!(changed(&made, &alone, true), 0);
}

/// The man of the clip and, beside him, the woman of the portrait, with a picture of each.
fn a_pair() -> (Vec<gst::Sample>, tempfile::TempDir) {
    init();
    let media = |name: &str| {
        let path = gstlipsync::runtime::data_dir().join("media").join(name);
        gst::glib::filename_to_uri(path, None).unwrap()
    };
    let (clip, portrait) = (media("cap13_edit2.mp4"), media("astronaut.png"));
    let folder = tempfile::tempdir().unwrap();
    let run = |text: String| {
        let pipeline = gst::parse::launch(&text).unwrap();
        let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let mut made = Vec::new();
        match pipeline.by_name("s") {
            Some(sink) => {
                let sink: gst_app::AppSink = sink.downcast().unwrap();
                made.extend(std::iter::from_fn(|| sink.try_pull_sample(LIMIT)));
            }
            None => {
                let end = [gst::MessageType::Eos, gst::MessageType::Error];
                let end = pipeline.bus().unwrap().timed_pop_filtered(LIMIT, &end);
                assert_eq!(end.unwrap().type_(), gst::MessageType::Eos);
            }
        }
        pipeline.set_state(gst::State::Null).unwrap();
        made
    };
    let file = |name: &str| folder.path().join(name).display().to_string();
    // Not of the frames that are shown.
    run(format!(
        "facesource uri={clip} ! identity eos-after=61 ! videoconvert ! pngenc snapshot=false ! \
         multifilesink max-files=1 location={}",
        file("man.png")
    ));
    run(format!(
        "facesource uri={portrait} loop-mode=hold ! identity eos-after=2 ! videoconvert ! pngenc ! filesink location={}",
        file("woman.png")
    ));
    run(format!(
        "videotestsrc num-buffers=1 ! pngenc ! filesink location={}",
        file("nobody.png")
    ));
    let frames = run(format!(
        "facesource uri={clip} ! videoconvert ! video/x-raw,format=I420 ! identity eos-after=21 ! c. \
         facesource uri={portrait} loop-mode=hold ! videoconvert ! videoscale ! \
         video/x-raw,format=I420,width=300,height=300 ! identity eos-after=21 ! c.sink_1 \
         compositor name=c sink_1::xpos=450 ! video/x-raw,format=I420,width=800,height=300 ! \
         facetrack max-faces=2 face-select=leftmost ! appsink name=s sync=false"
    ));
    assert_eq!(frames.len(), 20);
    (frames, folder)
}

#[test]
fn whoever_looks_like_the_picture_speaks() {
    let (frames, folder) = a_pair();
    let play = |picture: &str| {
        let path = folder.path().join(picture);
        let stage = Stage::new(
            &format!("audio_0::picture={}", path.display()),
            &["audio_0"],
        );
        let fed = frames.iter().map(|s| s.buffer_owned().unwrap()).collect();
        stage.play(fed, vec![voice(2.0, 1600)])
    };
    for (picture, is_left) in [("man.png", true), ("woman.png", false)] {
        let made = play(picture);
        assert!(changed(&made, &frames, is_left) > 10, "{picture}");
        assert_eq!(changed(&made, &frames, !is_left), 0, "{picture}");
    }
    // Who is not in the picture does not speak, and a picture without a face is an error.
    let alone = feed(|_, face| is_left(face));
    let woman = folder.path().join("woman.png");
    let stage = Stage::new(
        &format!("audio_0::picture={}", woman.display()),
        &["audio_0"],
    );
    let made = stage.play(alone, vec![voice(2.0, 1600)]);
    assert_eq!(changed(&made, two(), true), 0);
    let nobody = folder.path().join("nobody.png");
    let stage = Stage::new(
        &format!("audio_0::picture={}", nobody.display()),
        &["audio_0"],
    );
    stage.pipeline.set_state(gst::State::Playing).unwrap();
    stage.video.push_buffer(feed(all).remove(0)).unwrap();
    stage.voices[0].push_buffer(silence(1.0)).unwrap();
    let bus = stage.pipeline.bus().unwrap();
    let error = bus.timed_pop_filtered(LIMIT, &[gst::MessageType::Error]);
    let error = error.expect("an error");
    let gst::MessageView::Error(error) = error.view() else {
        panic!("{error:?}");
    };
    let details = error.details().unwrap();
    assert_eq!(details.get::<&str>("kind").unwrap(), "picture-without-face");
    assert!(details.get::<&str>("path").unwrap().ends_with("nobody.png"));
    stage.pipeline.set_state(gst::State::Null).unwrap();
}
