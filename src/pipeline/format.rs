//! Formats that people have and that nothing in GStreamer 1.22 reads: known by their first bytes, so that
//! a whole file is not called a damaged one.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use gstlipsync::decode::heif::{self, Coding};
use gstlipsync::decode::still;
use gstlipsync::heifdec;

use crate::error::{Failure, FailureKind};

/// In so many bytes is what tells a format, and how large a picture is.
const HEAD: u64 = 256 << 10;

struct Foreign {
    name: &'static str,
    /// As GStreamer calls it.
    media: &'static str,
    /// The program that converts it, and the Debian package that has that.
    converter: Option<(&'static str, &'static str)>,
}

/// The first bytes of a file.
pub fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

/// Refuses a file of a format that is known and that no installed element takes.
pub fn check(head: &[u8]) -> Result<(), Failure> {
    if is_session_description(head) {
        return Err(Failure::new(FailureKind::NotMedia)
            .because("this is a session description (SDP), which names streams on the network")
            .advice("Name the video, picture or sound file itself"));
    }
    if still::is_animated_webp(head) {
        return Err(Failure::new(FailureKind::FormatUnsupported)
            .because("this is an animated WebP picture, which nothing that is installed reads")
            .advice(
                "Take a picture out of it: `apt install webp`, then `webpmux -get frame 1 IN -o OUT.webp`",
            ));
    }
    if let Some(coding) = heif::coding(head) {
        return match heifdec::reads(coding) {
            true => Ok(()),
            false => Err(without_libheif(coding)),
        };
    }
    let Some(foreign) = foreign(head).filter(|f| !is_read(f.media)) else {
        return Ok(());
    };
    let failure = Failure::new(FailureKind::FormatUnsupported).because(format_args!(
        "this is {}, which nothing that is installed reads",
        foreign.name
    ));
    Err(match foreign.converter {
        Some((program, package)) => failure.advice(format_args!(
            "Convert it: `apt install {package}`, then `{program} IN OUT.png`"
        )),
        None => failure,
    })
}

fn without_libheif(coding: Coding) -> Failure {
    let (name, package) = match coding {
        Coding::Av1 => ("an AVIF picture", "libavif-bin`, then `avifdec IN OUT.png"),
        Coding::Hevc => (
            "a HEIC picture",
            "libheif-examples`, then `heif-convert IN OUT.png",
        ),
    };
    Failure::new(FailureKind::FormatUnsupported)
        .because(format_args!(
            "this is {name}, which is read with libheif, and that is not installed or lacks the decoder"
        ))
        .advice(format_args!(
            "Install it with `apt install libheif1`, or convert the picture: `apt install {package}`"
        ))
}

/// RFC 8866: the version stands first, then who made it. A plugin that reads it would fetch what it names.
fn is_session_description(head: &[u8]) -> bool {
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut begins = |start: &[u8]| lines.next().is_some_and(|line| line.starts_with(start));
    begins(b"v=0") && begins(b"o=")
}

fn is_read(media: &str) -> bool {
    let caps = gst::Caps::new_empty_simple(media);
    gst::ElementFactory::factories_with_type(
        gst::ElementFactoryType::DECODABLE,
        gst::Rank::MARGINAL,
    )
    .iter()
    .any(|factory| factory.can_sink_any_caps(&caps))
}

fn foreign(head: &[u8]) -> Option<Foreign> {
    let of = |name, media, converter| {
        Some(Foreign {
            name,
            media,
            converter,
        })
    };
    match head {
        [0xff, 0x0a, ..] | [0, 0, 0, 0x0c, b'J', b'X', b'L', b' ', ..] => of(
            "a JPEG XL picture",
            "image/jxl",
            Some(("djxl", "libjxl-tools")),
        ),
        [b'c', b'a', b'f', b'f', 0, ..] => {
            of("a sound file of Core Audio (CAF)", "audio/x-caf", None)
        }
        [b'8', b'B', b'P', b'S', ..] => of("a Photoshop file", "image/vnd.adobe.photoshop", None),
        [b'%', b'P', b'D', b'F', ..] => of(
            "a PDF file",
            "application/pdf",
            Some(("pdftoppm -png", "poppler-utils")),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_description_is_refused_as_that() {
        let failure = check(b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\n").unwrap_err();
        assert_eq!(failure.kind, FailureKind::NotMedia);
        assert!(failure.reason().contains("SDP"), "{failure}");
        assert!(check(b"v=0 is how a text may begin\n").is_ok());
    }

    #[test]
    fn a_foreign_format_is_told_by_its_name() {
        gst::init().unwrap();
        let said = |head: &[u8]| check(head).map_err(|f| f.to_string());
        let heic = without_libheif(Coding::Hevc).to_string();
        assert!(
            heic.contains("libheif1") && heic.contains("heif-convert"),
            "{heic}"
        );
        let avif = without_libheif(Coding::Av1).to_string();
        assert!(avif.contains("AVIF") && avif.contains("avifdec"), "{avif}");
        assert_eq!(said(b"\0\0\0\x18ftypisom\0\0\0\0"), Ok(()));
        let caf = said(b"caff\0\x01\0\0").unwrap_err();
        assert!(caf.contains("CAF") && caf.contains("WAV"), "{caf}");
        assert_eq!(said(b""), Ok(()));
    }
}
