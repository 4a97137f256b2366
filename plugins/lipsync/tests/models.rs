//! Models that are missing or broken: one way for all elements.

use std::path::Path;
use std::process::Command;

use gst::prelude::*;

fn init() {
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
}

/// What an element said when it was to play with its property set.
struct Told {
    has_started: bool,
    /// Text, kind and path.
    errors: Vec<(String, String, Option<String>)>,
    progress: Vec<gst::ProgressType>,
}

/// Sets the element to PAUSED, and waits for the end of the loading where that begins.
fn told(element: &str, property: &str, value: &str) -> Told {
    let element = gst::ElementFactory::make(element)
        .property(property, value)
        .build()
        .unwrap();
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let has_started = element.set_state(gst::State::Paused).is_ok();
    let mut told = Told {
        has_started,
        errors: Vec::new(),
        progress: Vec::new(),
    };
    let limit = gst::ClockTime::from_seconds(20);
    let kinds = [gst::MessageType::Error, gst::MessageType::Progress];
    while let Some(message) = bus.timed_pop_filtered(limit, &kinds) {
        match message.view() {
            gst::MessageView::Progress(progress) => told.progress.push(progress.get().0),
            gst::MessageView::Error(error) => {
                let details = error.details().unwrap();
                told.errors.push((
                    error.error().message().into(),
                    details.get("kind").unwrap(),
                    details.get("path").ok(),
                ));
            }
            _ => {}
        }
        let ends = [gst::ProgressType::Error, gst::ProgressType::Complete];
        let is_over = told.progress.last().is_some_and(|last| ends.contains(last));
        if is_over || !has_started {
            break;
        }
    }
    element.set_state(gst::State::Null).unwrap();
    told
}

const ELEMENTS: [(&str, &str); 3] = [
    ("lipsync", "model-file"),
    ("facetrack", "detector-model"),
    ("facetrack", "mesh-model"),
];

#[test]
fn what_is_known_at_once_is_refused_with_an_error_that_names_it() {
    init();
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.onnx");
    let empty = folder.path().join("empty.onnx");
    std::fs::write(&empty, "").unwrap();
    let files = [
        (absent.as_path(), "model-missing"),
        (&empty, "model-unreadable"),
        (folder.path(), "model-unreadable"),
    ];
    for (element, property) in ELEMENTS {
        for (path, kind) in files {
            let path = path.to_str().unwrap();
            let told = told(element, property, path);
            let case = format!("{element} {property}={path}");
            assert!(!told.has_started && told.progress.is_empty(), "{case}");
            let [(text, found, about)] = told.errors.as_slice() else {
                panic!("{case}: {:?}", told.errors);
            };
            assert_eq!(
                (found.as_str(), about.as_deref()),
                (kind, Some(path)),
                "{case}"
            );
            assert!(text.contains(path) && text.contains(". "), "{case}: {text}");
        }
    }
    for element in ["lipsync", "facetrack"] {
        let told = told(element, "execution-provider", "abacus");
        assert!(!told.has_started, "{element}");
        let [(text, kind, None)] = told.errors.as_slice() else {
            panic!("{element}: {:?}", told.errors);
        };
        assert!(kind == "provider" && text.contains("abacus"), "{text}");
    }
}

#[test]
fn what_turns_out_while_it_is_loaded_is_an_error_and_the_end_of_the_progress() {
    init();
    let folder = tempfile::tempdir().unwrap();
    let junk = folder.path().join("junk.onnx");
    std::fs::write(&junk, "no network").unwrap();
    // A network, but one for something else.
    let other = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/generator_96.onnx");
    let detector = gstlipsync::runtime::data_dir().join("models/face_detection_yunet.onnx");
    for (element, property) in ELEMENTS {
        let misfit = match element {
            "lipsync" => &detector,
            _ => &other,
        };
        for (path, kind) in [(&junk, "model-corrupt"), (misfit, "model-shape")] {
            let path = path.to_str().unwrap();
            let told = told(element, property, path);
            let case = format!("{element} {property}={path}");
            assert!(told.has_started, "{case}: {:?}", told.errors);
            let [(text, found, _)] = told.errors.as_slice() else {
                panic!("{case}: {:?}", told.errors);
            };
            assert_eq!(found, kind, "{case}");
            assert!(text.contains(path), "{case}: {text}");
            let progress = [gst::ProgressType::Start, gst::ProgressType::Error];
            assert_eq!(told.progress, progress, "{case}");
        }
    }
}

/// Where the child's cache is.
const CACHE: &str = "LIPFLOW_TEST_CACHE";

#[test]
fn the_library_keeps_nothing_of_what_it_is_used_for() {
    let cache = tempfile::tempdir().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "load_all", "--test-threads=1"])
        .env("XDG_CACHE_HOME", cache.path())
        .env(CACHE, cache.path())
        .env_remove("ORT_DISABLE_TELEMETRY")
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && out.contains("1 passed"), "{out}");
    let kept = std::fs::read_dir(cache.path()).unwrap();
    let kept: Vec<_> = kept.map(|entry| entry.unwrap().file_name()).collect();
    assert!(kept.iter().all(|name| name == "gstreamer-1.0"), "{kept:?}");
}

/// Run by the test above, in a process of its own.
#[test]
#[ignore = "its environment is the test's above"]
fn load_all() {
    if std::env::var_os(CACHE).is_none() {
        return;
    }
    init();
    for element in ["lipsync", "facetrack"] {
        let told = told(element, "execution-provider", "cpu");
        let progress = [gst::ProgressType::Start, gst::ProgressType::Complete];
        assert_eq!(told.progress, progress, "{element}");
    }
}
