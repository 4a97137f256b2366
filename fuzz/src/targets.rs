//! The targets, and inputs from which the mutator begins.

use std::fs::File;
use std::io::{Cursor, Write};
use std::path::Path;

use gstlipsync::bank::FaceFile;
use gstlipsync::isobmff::{boxes, track};
use gstlipsync::model::Manifest;
use lipflow::batch::{list, pattern::Pattern, text};
use lipflow::live::address::Address;
use lipflow::live::control;
use lipflow::pipeline::mp4;
use lipflow::pipeline::template::{Template, Values};
use lipflow::secret;
use lipflow::worker::protocol::{Answer, Order};
use sha2::{Digest, Sha256};

/// Something that reads bytes.
pub struct Target {
    /// As on the command line, and the name of its folder in the corpus.
    pub name: &'static str,
    /// Must come back, whatever the bytes are.
    pub run: fn(&[u8]),
    /// Words that are worth putting in.
    pub words: &'static [&'static str],
}

/// All of them.
pub const ALL: [Target; 8] = [
    Target {
        name: "template",
        run: template,
        words: &[
            "#! param ",
            ": choice(a|b) = ",
            " -- \"",
            "${",
            "}",
            "$",
            "\\",
            "\"",
            "! ",
            "name.",
            "#",
        ],
    },
    Target {
        name: "list",
        run: list,
        words: &[
            "face,speech,output",
            "\"",
            ";",
            "\t",
            "\n",
            "{\"face\":",
            "\u{feff}",
            "#",
            "set.",
        ],
    },
    Target {
        name: "manifest",
        run: manifest,
        words: &[
            "kind = ",
            "\"generator\"",
            "\"mouth-shape\"",
            "[input]",
            "[",
            "]",
            "=",
            "1e999",
            "-1",
            "9223372036854775807",
        ],
    },
    Target {
        name: "isobmff",
        run: isobmff,
        words: &[
            "moov",
            "trak",
            "mdia",
            "minf",
            "stbl",
            "stts",
            "ctts",
            "stsz",
            "elst",
            "mdhd",
            "\0\0\0\x01",
            "\u{7f}",
        ],
    },
    Target {
        name: "face_file",
        run: face_file,
        words: &[
            "LIPFACE\n",
            "\"mouths\":",
            "\"frames\":",
            "\"width\":",
            "\"sub\":",
            "null",
            "9999999999",
        ],
    },
    Target {
        name: "control",
        run: control,
        words: &[
            "{\"do\":\"say\",\"file\":\"",
            "\"}",
            "\"do\":\"add\"",
            "\"to\":",
            "\\u0000",
            "rtmp://",
        ],
    },
    Target {
        name: "worker",
        run: worker,
        words: &[
            "{\"order\":\"run\"",
            "\"answer\":\"made\"",
            "\"lease\":{\"job\":1,\"epoch\":",
            "null",
            "1e400",
            "\\ud800",
        ],
    },
    Target {
        name: "names",
        run: names,
        words: &[
            "{speech.stem}",
            "{row}",
            "{",
            "}",
            "rtmp://user:pass@host/app/key",
            "srt://:1?mode=",
            "%2f",
            "[::1]",
            "#EXT",
        ],
    },
];

/// A template's text is scanned, and its parameters are given the rest as values.
pub fn template(data: &[u8]) {
    let Ok(whole) = std::str::from_utf8(data) else {
        return;
    };
    let (source, value) = whole
        .split_once('\0')
        .unwrap_or((whole, "it's \"${a}\" ! x"));
    if let Ok(template) = Template::parse("fuzzed", "fuzzed.launch", source) {
        let mut values = Values::new();
        for param in template.params() {
            values.insert(&param.name, value);
        }
        let _ = template.render(&values);
        let _ = template.command(&values);
    }
}

/// As a table and as JSON Lines.
pub fn list(data: &[u8]) {
    if let Ok((decoded, _)) = text::decode(data) {
        text::delimiter(&decoded);
        text::without_comments(&decoded);
    }
    for name in ["jobs.csv", "jobs.jsonl"] {
        with_file(name, data, |path| {
            let _ = list::read(path);
        });
    }
}

/// Manifests of models.
pub fn manifest(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Manifest::parse("fuzzed.toml".as_ref(), text);
    }
}

/// Boxes as they are read from inputs, and from outputs that are put right.
pub fn isobmff(data: &[u8]) {
    let mut file = Cursor::new(data);
    if let Ok(places) = boxes::outermost(&mut file, data.len() as u64) {
        for place in places {
            let Ok(Some(node)) = boxes::read(&mut file, place) else {
                continue;
            };
            for trak in node.each(b"trak") {
                if let Some(track) = track::Track::read(trak) {
                    track.shown_at().take(10_000).for_each(drop);
                    track.media_duration();
                }
            }
            node.write();
        }
    }
    with_file("fuzzed.mp4", data, |path| {
        let _ = mp4::timeline(path);
    });
}

/// With a right length and checksum, which nobody has to guess.
pub fn face_file(data: &[u8]) {
    const PREFIX: usize = 56;
    let mut bytes = data.to_vec();
    if bytes.len() >= PREFIX {
        let length = (bytes.len() as u64).to_le_bytes();
        bytes[16..24].copy_from_slice(&length);
        let sum = Sha256::digest(&bytes[PREFIX..]);
        bytes[24..PREFIX].copy_from_slice(&sum);
    }
    with_file("fuzzed.face", &bytes, |path| {
        if let Ok(face) = FaceFile::open(path) {
            face.summary();
            for time in [0, 40_000_000, u64::MAX] {
                face.scene_at(time);
            }
            for index in 0..face.mouths().len().min(4) {
                face.mouth_rgb(index, 16, 16);
            }
        }
    });
}

/// What comes in at the control socket of a broadcast.
pub fn control(data: &[u8]) {
    let _ = serde_json::from_slice::<control::ControlCommand>(data);
    let _ = serde_json::from_slice::<control::Reply>(data);
}

/// Both directions; what can be read must survive being written.
pub fn worker(data: &[u8]) {
    if let Ok(order) = serde_json::from_slice::<Order>(data) {
        let text = serde_json::to_vec(&order).expect("an order can be written");
        let again: Order = serde_json::from_slice(&text).expect("and read again");
        // JSON has no infinite numbers and rounds others.
        assert_eq!(serde_json::to_vec(&again).ok(), Some(text));
    }
    if let Ok(answer) = serde_json::from_slice::<Answer>(data) {
        let text = serde_json::to_vec(&answer).expect("an answer can be written");
        serde_json::from_slice::<Answer>(&text).expect("and read again");
    }
}

/// Names of outputs, addresses, and what hides their keys.
pub fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(pattern) = text.parse::<Pattern>() {
        pattern.output("a/face.mp4".as_ref(), "b/speech.wav".as_ref(), 7);
    }
    if let Ok(address) = text.parse::<Address>() {
        address.redact(text);
        address.unreachable();
        assert!(address.is_same(&address));
    }
    secret::public_url(text);
    secret::public_argument(text);
    secret::redact(text, text);
}

fn with_file(name: &str, data: &[u8], read: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let path = folder.path().join(name);
    File::create(&path)
        .and_then(|mut file| file.write_all(data))
        .expect("a temporary file");
    read(&path);
}
