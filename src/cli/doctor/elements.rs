//! GStreamer, the elements that the templates name, and those that common inputs need.

use std::collections::BTreeMap;

use super::super::pipeline::plugin_folder;
use super::{Finding, Status};
use crate::pipeline::debian;
use crate::pipeline::template::Template;
use crate::pipeline::template::check;

/// The template that a job takes unless another is asked for.
const USUAL_TEMPLATE: &str = "file";

const OLDEST: (u32, u32) = (1, 22);

pub fn findings() -> Vec<Finding> {
    let mut findings = vec![version()];
    findings.extend(refused());
    findings.push(gst_launch());
    findings.extend(Template::builtin().map(template));
    findings.push(inputs());
    findings
}

fn version() -> Finding {
    let (major, minor, micro, _) = gst::version();
    let found = format!("{major}.{minor}.{micro}");
    match (major, minor) >= OLDEST {
        true => Finding::ok("GStreamer", found),
        false => Finding::bad(
            Status::Fail,
            "GStreamer",
            format!("{found} is too old"),
            format!(
                "Install {}.{} or newer, as in Debian 12",
                OLDEST.0, OLDEST.1
            ),
        ),
    }
}

fn refused() -> Option<Finding> {
    let files: Vec<String> = debian::refused_plugins()
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    (!files.is_empty()).then(|| {
        Finding::bad(
            Status::Warn,
            "refused plugins",
            format!("crashed or hung when looked at: {}", files.join(", ")),
            debian::REFUSED_REMEDY,
        )
    })
}

/// Our elements are linked in; gst-launch-1.0 needs the file.
fn gst_launch() -> Finding {
    let detail = match (crate::scanned_plugin(), plugin_folder()) {
        (Some(file), _) => format!("linked in; gst-launch-1.0 uses {}", file.display()),
        (None, Some(folder)) => format!(
            "linked in; for gst-launch-1.0 set GST_PLUGIN_PATH={}",
            folder.display()
        ),
        (None, None) => {
            "linked in; for gst-launch-1.0 run `cargo build -p gst-plugin-lipsync`".into()
        }
    };
    Finding::ok("plugin lipsync", detail)
}

fn template(template: &Template) -> Finding {
    let what = format!("template {}", template.name());
    let elements = match check::elements(template) {
        Ok(elements) => elements,
        Err(error) => {
            return Finding::bad(Status::Fail, &what, error.to_string(), "Please report it");
        }
    };
    let missing: Vec<&str> = elements
        .iter()
        .map(String::as_str)
        .filter(|element| gst::ElementFactory::find(element).is_none())
        .collect();
    if missing.is_empty() {
        return Finding::ok(&what, format!("all of its {} elements", elements.len()));
    }
    let status = match template.name() {
        USUAL_TEMPLATE => Status::Fail,
        _ => Status::Warn,
    };
    Finding::bad(
        status,
        &what,
        format!("lacks {}", missing.join(", ")),
        install(missing.iter().filter_map(|e| debian::package(e))),
    )
}

/// The command that installs `packages`.
fn install<'a>(packages: impl Iterator<Item = &'a str>) -> String {
    let mut packages: Vec<&str> = packages.collect();
    packages.sort_unstable();
    packages.dedup();
    match packages.is_empty() {
        true => "Install the package that has them".into(),
        false => format!("sudo apt install {}", packages.join(" ")),
    }
}

/// What people bring, as the caps that an element must take, and the package where it usually is.
const INPUTS: [(&str, &str, &str); 30] = [
    ("MP4 and MOV", "video/quicktime", "good"),
    ("Matroska", "video/x-matroska", "good"),
    ("WebM", "video/webm", "good"),
    ("AVI", "video/x-msvideo", "good"),
    ("FLV", "video/x-flv", "good"),
    (
        "MPEG-TS",
        "video/mpegts, systemstream=true, packetsize=188",
        "bad",
    ),
    (
        "MPEG-PS",
        "video/mpeg, systemstream=true, mpegversion=2",
        "bad",
    ),
    ("WMA container", "video/x-ms-asf", "ugly"),
    ("Ogg", "application/ogg", "base"),
    (
        "H.264",
        "video/x-h264, stream-format=byte-stream, alignment=au",
        "libav",
    ),
    (
        "H.265",
        "video/x-h265, stream-format=byte-stream, alignment=au",
        "libav",
    ),
    ("VP8", "video/x-vp8", "good"),
    ("VP9", "video/x-vp9", "good"),
    ("AV1", "video/x-av1", "bad"),
    (
        "MPEG-4",
        "video/mpeg, mpegversion=4, systemstream=false",
        "libav",
    ),
    (
        "MPEG-2",
        "video/mpeg, mpegversion=2, systemstream=false",
        "libav",
    ),
    ("Sorenson", "video/x-flash-video, flvversion=1", "libav"),
    ("JPEG", "image/jpeg", "good"),
    ("PNG", "image/png", "good"),
    ("WebP", "image/webp", "bad"),
    ("WAV", "audio/x-wav", "good"),
    ("MP3", "audio/mpeg, mpegversion=1, layer=3", "good"),
    (
        "AAC",
        "audio/mpeg, mpegversion=4, stream-format=raw",
        "libav",
    ),
    ("FLAC", "audio/x-flac, framed=true", "good"),
    ("Vorbis", "audio/x-vorbis", "base"),
    ("Opus", "audio/x-opus, channel-mapping-family=0", "base"),
    ("WMA", "audio/x-wma, wmaversion=2", "libav"),
    ("AC-3", "audio/x-ac3", "libav"),
    ("A-law", "audio/x-alaw", "good"),
    ("ADPCM", "audio/x-adpcm, layout=dvi", "libav"),
];

fn inputs() -> Finding {
    let factories = gst::ElementFactory::factories_with_type(
        gst::ElementFactoryType::DECODABLE,
        gst::Rank::MARGINAL,
    );
    let takes = |caps: &gst::Caps| factories.iter().any(|f| f.can_sink_any_caps(caps));
    let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (what, caps, set) in INPUTS {
        if !caps.parse::<gst::Caps>().is_ok_and(|caps| takes(&caps)) {
            missing.entry(set).or_default().push(what);
        }
    }
    if missing.is_empty() {
        return Finding::ok(
            "inputs",
            format!("all of the {} common formats", INPUTS.len()),
        );
    }
    let packages: Vec<String> = missing
        .keys()
        .map(|set| match *set {
            "libav" => "gstreamer1.0-libav".into(),
            set => format!("gstreamer1.0-plugins-{set}"),
        })
        .collect();
    let lacking: Vec<&str> = missing.into_values().flatten().collect();
    Finding::bad(
        Status::Warn,
        "inputs",
        format!("can't read {}", lacking.join(", ")),
        install(packages.iter().map(String::as_str)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caps_of_all_inputs_can_be_read() {
        gst::init().unwrap();
        for (what, caps, _) in INPUTS {
            assert!(caps.parse::<gst::Caps>().is_ok(), "{what}");
        }
    }

    #[test]
    fn packages_are_named_once() {
        assert_eq!(install(["b", "a", "b"].into_iter()), "sudo apt install a b");
    }
}
