//! What the elements look like from outside, as `elements.txt` has it: pads, properties, ranges.

use std::fmt::Write;

use gst::glib::ParamSpec;
use gst::prelude::*;

const UPDATE: &str = "UPDATE_ELEMENTS";

/// All that `gst-inspect-1.0` tells of an element that belongs to it and not to the machine.
fn describe(factory: &gst::ElementFactory) -> String {
    let mut text = String::new();
    let about = |key: &str| factory.metadata(key).unwrap_or_default().to_string();
    let _ = writeln!(text, "{}: {}", factory.name(), about("long-name"));
    let _ = writeln!(text, "  {} ({})", about("description"), about("klass"));
    let _ = writeln!(
        text,
        "  {}, rank {}",
        about("author"),
        i32::from(factory.rank())
    );
    let element = factory.create().build().expect("the element");
    for template in factory.static_pad_templates() {
        let caps = template.caps().to_string().replace("; ", "\n    ");
        let (direction, presence) = (template.direction(), template.presence());
        let name = template.name_template();
        let _ = writeln!(text, "  pad {name}: {direction:?} {presence:?}\n    {caps}");
        if template.presence() == gst::PadPresence::Request {
            let pad = element.request_pad_simple(name).expect("the pad");
            describe_properties(&mut text, "    ", pad.upcast_ref());
        }
    }
    describe_properties(&mut text, "  ", element.upcast_ref());
    text
}

fn describe_properties(text: &mut String, indent: &str, object: &gst::glib::Object) {
    let properties = object.list_properties();
    let own = properties
        .iter()
        .filter(|spec| spec.owner_type() == object.type_());
    for spec in own {
        let _ = writeln!(text, "{indent}{}", property(object, spec));
        let _ = writeln!(text, "{indent}  {}", spec.blurb().unwrap_or_default());
    }
}

fn property(object: &gst::glib::Object, spec: &ParamSpec) -> String {
    let flags = spec.flags();
    let has = |bit: u32| flags.bits() & bit != 0;
    let mut words = vec![spec.value_type().to_string()];
    words.extend(range(spec));
    if spec.value_type() != gst::Structure::static_type() {
        let default = spec.default_value().transform::<String>();
        let default = default
            .ok()
            .and_then(|value| value.get::<Option<String>>().ok());
        words.push(format!(
            "default {}",
            default.flatten().unwrap_or("none".into())
        ));
    }
    if !flags.contains(gst::glib::ParamFlags::WRITABLE) {
        words.push("read only".into());
    }
    // GST_PARAM_CONTROLLABLE and GST_PARAM_MUTABLE_*.
    for (bit, word) in [
        (1 << 9, "controllable"),
        (1 << 10, "before PAUSED"),
        (1 << 11, "before PLAYING"),
        (1 << 12, "any time"),
    ] {
        if has(bit) {
            words.push(word.into());
        }
    }
    // One that can't be read would be a fault of its own.
    let _ = object.property_value(spec.name());
    format!("{}: {}", spec.name(), words.join(", "))
}

fn range(spec: &ParamSpec) -> Option<String> {
    use gst::glib::{
        EnumClass, ParamSpecDouble, ParamSpecFloat, ParamSpecInt, ParamSpecInt64, ParamSpecUInt,
        ParamSpecUInt64,
    };
    macro_rules! of {
        ($($kind:ty),*) => {
            $(if let Some(spec) = spec.downcast_ref::<$kind>() {
                return Some(format!("{} to {}", spec.minimum(), spec.maximum()));
            })*
        };
    }
    of!(
        ParamSpecUInt,
        ParamSpecUInt64,
        ParamSpecInt,
        ParamSpecInt64,
        ParamSpecDouble,
        ParamSpecFloat
    );
    let class = EnumClass::with_type(spec.value_type())?;
    let nicks: Vec<&str> = class.values().iter().map(|value| value.nick()).collect();
    Some(nicks.join("|"))
}

/// The head of the file that documents an element.
fn head_of(element: &str) -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src")
        .join(element);
    let mut heads = ["mod.rs", "imp.rs"].map(|file| {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let head = text.lines().take_while(|line| line.starts_with("//!"));
        head.collect::<Vec<_>>().join("\n")
    });
    heads.sort_by_key(String::len);
    let [_, longest] = heads;
    longest
}

#[test]
fn each_element_is_documented_with_its_pads_and_properties() {
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
    let features = gst::Registry::get().features_by_plugin("lipsync");
    let factories = features.into_iter().map(|f| f.downcast());
    // A type finder is no element.
    for factory in factories.filter_map(Result::<gst::ElementFactory, _>::ok) {
        let name = factory.name();
        let head = head_of(&name);
        assert!(
            head.contains(&format!("SECTION:element-{name}\n")),
            "{name}"
        );
        for part in ["Since: ", "gst-launch-1.0 ", "Messages: "] {
            assert!(head.contains(part), "{name}: {part}");
        }
        let pads = factory.static_pad_templates();
        let mut names: Vec<String> = pads.iter().map(|p| p.name_template().into()).collect();
        let element = factory.create().build().unwrap();
        let properties = element.list_properties();
        let own = properties
            .iter()
            .filter(|p| p.owner_type() == element.type_());
        names.extend(own.map(|property| property.name().into()));
        for word in names {
            assert!(head.contains(&format!("`{word}`")), "{name}: {word}");
        }
    }
}

#[test]
fn the_elements_look_as_they_are_described() {
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
    let registry = gst::Registry::get();
    let features = registry.features_by_plugin("lipsync");
    let mut elements: Vec<_> = features
        .into_iter()
        .filter_map(|feature| feature.downcast::<gst::ElementFactory>().ok())
        .map(|factory| describe(&factory))
        .collect();
    elements.sort();
    let text = elements.join("\n");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/elements.txt");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap();
    let line = text.lines().zip(kept.lines()).find(|(is, was)| is != was);
    assert!(
        text == kept,
        "it differs at {line:?}. If that is meant, run \
         `{UPDATE}=1 cargo test -p gst-plugin-lipsync --test elements`"
    );
}
