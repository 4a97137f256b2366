//! Each property at the ends of its range, and each value of each enumeration: all that can be set works.

use std::fmt::Write;

use gst::glib::{self, ParamSpec};
use gst::prelude::*;

/// Values that are refused, and must be, by element and property.
const REFUSED: [(&str, &str, &str); 5] = [
    // No picture is so small.
    ("facesource", "max-pixels", "1"),
    // No video is so short, no speech either.
    ("facesource", "max-frames", "1"),
    ("facesource", "max-duration", "1"),
    ("speechsource", "max-duration", "1"),
    // No file has so many tracks.
    ("speechsource", "track", "2147483647"),
];

/// A pipeline with the element, which is named `e`, at work.
fn pipeline(element: &str, folder: &str) -> Vec<String> {
    let media = gstlipsync::runtime::data_dir().join("media");
    let uri = |file: &str| glib::filename_to_uri(media.join(file), None).unwrap();
    let face = format!("facesource uri={} num-buffers=12", uri("cap13_edit2.mp4"));
    let sink = "fakesink name=s sync=false";
    let speech = "audiotestsrc num-buffers=40 ! audio/x-raw,rate=16000 ! queue";
    let generator = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/generator_8.onnx");
    match element {
        "colorconvert" => vec![format!(
            "videotestsrc num-buffers=5 ! video/x-raw,width=64,height=48 ! colorconvert name=e ! {sink}"
        )],
        "facelearn" => vec![format!(
            "{face} ! facetrack smooth=false ! facelearn name=e location={folder}/face ! {sink}"
        )],
        "facesource" => vec![format!(
            "facesource name=e uri={} num-buffers=12 ! {sink}",
            uri("cap13_edit2.mp4")
        )],
        "facetrack" => vec![format!("{face} ! facetrack name=e ! {sink}")],
        // What can be set there is GStreamer's own.
        "heifdec" => Vec::new(),
        "labeloverlay" => vec![format!(
            "videotestsrc num-buffers=5 ! video/x-raw,width=320,height=240 ! labeloverlay name=e text=AI ! {sink}"
        )],
        "lipsync" => ["".into(), format!("model-file={generator}")]
            .map(|model| {
                format!("{face} ! facetrack ! queue ! lipsync name=e {model} ! {sink} {speech} ! e.audio_0")
            })
            .into(),
        "soundfit" => vec![format!(
            "videotestsrc num-buffers=12 ! queue ! e.video {speech} ! e.sound soundfit name=e \
             e.video_src ! queue ! {sink} e.sound_src ! queue ! fakesink sync=false"
        )],
        "speechsource" => vec![format!(
            "speechsource name=e uri={} ! {sink}",
            glib::filename_to_uri(format!("{folder}/speech.wav"), None).unwrap()
        )],
        other => panic!("say how {other} is to be played"),
    }
}

/// The ends of the range, or all values.
fn extremes(spec: &ParamSpec) -> Vec<glib::Value> {
    use glib::{
        EnumClass, ParamSpecDouble, ParamSpecFloat, ParamSpecInt, ParamSpecInt64, ParamSpecUInt,
        ParamSpecUInt64,
    };
    macro_rules! ends {
        ($($kind:ty),*) => {
            $(if let Some(spec) = spec.downcast_ref::<$kind>() {
                return vec![spec.minimum().to_value(), spec.maximum().to_value()];
            })*
        };
    }
    ends!(
        ParamSpecUInt,
        ParamSpecUInt64,
        ParamSpecInt,
        ParamSpecInt64,
        ParamSpecDouble,
        ParamSpecFloat
    );
    if let Some(spec) = spec.downcast_ref::<gst::ParamSpecFraction>() {
        return vec![spec.minimum().to_value(), spec.maximum().to_value()];
    }
    if spec.value_type() == glib::Type::BOOL {
        return vec![false.to_value(), true.to_value()];
    }
    let class = EnumClass::with_type(spec.value_type());
    class.map_or_else(Vec::new, |class| {
        let values = class.values().iter();
        values
            .filter_map(|value| class.to_value(value.value()))
            .collect()
    })
}

/// What can be set of the object's own.
fn settable(object: &glib::Object) -> Vec<ParamSpec> {
    let properties = object.list_properties();
    let own = properties.iter().filter(|spec| {
        spec.owner_type() == object.type_() && spec.flags().contains(glib::ParamFlags::WRITABLE)
    });
    own.cloned().collect()
}

/// Plays to the end.
fn play(description: &str, set: impl Fn(&gst::Element)) -> Result<(), String> {
    let pipeline = gst::parse::launch(description).map_err(|e| e.to_string())?;
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    set(&pipeline.by_name("e").unwrap());
    let bus = pipeline.bus().unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let started = pipeline.set_state(gst::State::Playing);
    let message = bus.timed_pop_filtered(gst::ClockTime::from_seconds(30), &ends);
    let shown = pipeline
        .by_name("s")
        .unwrap()
        .property::<Option<gst::Sample>>("last-sample");
    pipeline.set_state(gst::State::Null).unwrap();
    match message.as_deref().map(gst::MessageRef::view) {
        Some(gst::MessageView::Eos(_)) if shown.is_some() => Ok(()),
        Some(gst::MessageView::Eos(_)) => Err("nothing came out".into()),
        Some(gst::MessageView::Error(error)) => Err(error.error().to_string()),
        _ => Err(format!("it hangs ({started:?})")),
    }
}

/// What can be set on the element itself, or on its pad, if that is said.
fn try_all(element: &str, pad: Option<&str>, folder: &str, wrong: &mut String) -> usize {
    let mut tried = 0;
    for description in pipeline(element, folder) {
        let specs = std::cell::RefCell::new(Vec::new());
        let target = |element: &gst::Element| match pad {
            Some(pad) => element.static_pad(pad).unwrap().upcast::<glib::Object>(),
            None => element.clone().upcast(),
        };
        let usual = play(&description, |element| {
            let object = target(element);
            specs.borrow_mut().extend(settable(&object));
        });
        if let Err(error) = usual {
            let _ = writeln!(wrong, "{description}: {error}");
            continue;
        }
        for spec in specs.into_inner() {
            for value in extremes(&spec) {
                let name = spec.name();
                let text = value.transform::<String>().unwrap();
                let text = text.get::<String>().unwrap();
                let played = play(&description, |element| {
                    target(element).set_property_from_value(name, &value);
                });
                tried += 1;
                let is_refused = REFUSED.contains(&(element, name, &text));
                if played.is_err() != is_refused {
                    let _ = writeln!(wrong, "{element} {pad:?} {name}={text}: {played:?}");
                }
            }
        }
    }
    tried
}

#[test]
fn all_that_can_be_set_works() {
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    play(
        &format!(
            "audiotestsrc num-buffers=20 ! wavenc name=e ! filesink name=s location={folder}/speech.wav"
        ),
        |_| {},
    )
    .unwrap();
    let features = gst::Registry::get().features_by_plugin("lipsync");
    let mut elements: Vec<(String, Option<&str>)> = features
        .into_iter()
        .filter_map(|feature| feature.downcast::<gst::ElementFactory>().ok())
        .filter(|factory| {
            let element = factory.create().build().unwrap();
            !settable(element.upcast_ref()).is_empty()
        })
        .map(|factory| (factory.name().into(), None))
        .collect();
    elements.push(("lipsync".into(), Some("audio_0")));
    let told = std::sync::Mutex::new((0, String::new()));
    let next = std::sync::Mutex::new(elements.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some((element, pad)) = next.lock().unwrap().next() else {
                        return;
                    };
                    let mut found = String::new();
                    let tried = try_all(&element, pad, folder, &mut found);
                    let mut told = told.lock().unwrap();
                    told.0 += tried;
                    told.1.push_str(&found);
                }
            });
        }
    });
    let (tried, wrong) = told.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong}");
    assert!(tried > 100, "{tried}");
}
