//! Bus messages to failures: decisions only, so that they can be tested without a pipeline.

use std::path::{Path, PathBuf};

use gst::glib;
use gst::prelude::*;

use super::debian;
use crate::error::{Failure, FailureKind};

/// The files of the job, to say which of them an error is about.
#[derive(Clone, Debug, Default)]
pub struct Files {
    pub face: PathBuf,
    pub speeches: Vec<PathBuf>,
    pub output: Option<PathBuf>,
    pub model: Option<PathBuf>,
}

/// What an error message means. `source` names the element, `details` are what the element added
/// for machines.
pub fn failure_of(
    error: &glib::Error,
    debug: Option<&str>,
    source: &str,
    details: Option<&gst::StructureRef>,
    files: &Files,
) -> Failure {
    let detail = format!("{} ({source})", error.message().trim_end_matches('.'));
    if let Some(details) = details
        && let Some(failure) = from_details(details, error, files)
    {
        return failure;
    }
    if error.matches(gst::ResourceError::NoSpaceLeft) {
        return about_output(FailureKind::DiskFull, files);
    }
    if error.matches(gst::CoreError::MissingPlugin)
        || error.matches(gst::StreamError::CodecNotFound)
    {
        return Failure::new(FailureKind::PluginMissing).detail(detail);
    }
    let kind = match error.kind::<gst::ResourceError>() {
        Some(gst::ResourceError::NotFound) => FailureKind::InputMissing,
        Some(
            gst::ResourceError::OpenRead | gst::ResourceError::Read | gst::ResourceError::Seek,
        ) => FailureKind::InputUnreadable,
        Some(gst::ResourceError::OpenWrite | gst::ResourceError::Write) => {
            return about_output(write_failure_kind(debug), files).detail(detail);
        }
        _ => match error.kind::<gst::StreamError>() {
            Some(gst::StreamError::TypeNotFound | gst::StreamError::WrongType) => {
                FailureKind::NotMedia
            }
            Some(gst::StreamError::Decode | gst::StreamError::Demux) => FailureKind::InputDamaged,
            _ => FailureKind::Internal,
        },
    };
    let failure = Failure::new(kind).detail(match debug {
        // What streaming threads report is "Internal data stream error"; the cause is below it.
        Some(debug) if kind == FailureKind::Internal => format!("{detail}: {debug}"),
        _ => detail,
    });
    match input_of(source, files) {
        Some(file) if kind != FailureKind::Internal => failure.file(file),
        _ => failure,
    }
}

/// The elements of our own plugin say in `details` what kind of error it is and which file it is
/// about.
fn from_details(
    details: &gst::StructureRef,
    error: &glib::Error,
    files: &Files,
) -> Option<Failure> {
    let kind = match details.get::<&str>("kind").ok()? {
        "not-found" | "bad-uri" | "no-uri" => FailureKind::InputMissing,
        "unreadable" | "encrypted" | "not-seekable" => FailureKind::InputUnreadable,
        "folder" => FailureKind::InputIsFolder,
        "no-picture" => FailureKind::NoPicture,
        "no-sound" => FailureKind::NoSoundTrack,
        "not-media" | "playlist" => FailureKind::NotMedia,
        "damaged" | "unused" => FailureKind::InputDamaged,
        "no-track" => FailureKind::NoSoundTrack,
        "too-large" => FailureKind::InputTooLarge,
        "empty" => FailureKind::InputEmpty,
        "library-not-found" | "library-unusable" => FailureKind::LibraryMissing,
        "model-missing" => FailureKind::ModelMissing,
        "model-corrupt" | "model-unreadable" | "model-manifest" => FailureKind::ModelCorrupt,
        "model-shape" => FailureKind::ModelShape,
        "provider" => FailureKind::Provider,
        "face-file" => FailureKind::FaceFile,
        "no-face" => FailureKind::NoFace,
        "picture-without-face" => FailureKind::NoSpeaker,
        "missing-plugin" | "missing-codec" => FailureKind::PluginMissing,
        "animation" => FailureKind::FormatUnsupported,
        "not-negotiated" => FailureKind::TemplateInvalid,
        _ => return None,
    };
    let path = details
        .get::<&str>("path")
        .ok()
        .map(PathBuf::from)
        .or_else(|| {
            let (path, _) = glib::filename_from_uri(details.get::<&str>("uri").ok()?).ok()?;
            Some(path)
        });
    // Our elements' messages are a reason, then a remedy.
    let message = error.message().trim_end_matches('.');
    let failure = match message.rsplit_once(". ") {
        Some((reason, remedy)) => Failure::new(kind).because(reason).advice(remedy),
        None => Failure::new(kind).because(message),
    };
    let file = path.as_deref().or(match kind {
        FailureKind::ModelMissing | FailureKind::ModelCorrupt | FailureKind::ModelShape => {
            files.model.as_deref()
        }
        _ => None,
    });
    Some(match file {
        Some(file) => failure.file(as_given(file, files)),
        None => failure,
    })
}

/// The path as the user wrote it, where it is one of the job's.
fn as_given<'a>(path: &'a Path, files: &'a Files) -> &'a Path {
    let inputs = std::iter::once(&files.face).chain(&files.speeches);
    inputs
        .chain(&files.model)
        .find(|file| std::path::absolute(file).is_ok_and(|absolute| absolute == path))
        .map_or(path, PathBuf::as_path)
}

fn about_output(kind: FailureKind, files: &Files) -> Failure {
    let failure = Failure::new(kind);
    match &files.output {
        Some(output) => failure.file(output),
        None => failure,
    }
}

/// GStreamer knows a full disk, but not a full quota or a file-size limit: the system's words are
/// in the debug text.
fn write_failure_kind(debug: Option<&str>) -> FailureKind {
    let debug = debug.unwrap_or_default();
    let says = |code: i32| {
        let text = std::io::Error::from_raw_os_error(code).to_string();
        text.split(" (os error")
            .next()
            .is_some_and(|t| debug.contains(t))
    };
    let kinds = [
        (FailureKind::DiskFull, &[libc::ENOSPC][..]),
        (FailureKind::QuotaUsedUp, &[libc::EDQUOT]),
        (FailureKind::OutputTooLarge, &[libc::EFBIG]),
        (
            FailureKind::OutputFolderReadOnly,
            &[libc::EACCES, libc::EPERM, libc::EROFS],
        ),
    ];
    let said = kinds
        .iter()
        .find(|(_, codes)| codes.iter().copied().any(says));
    said.map_or(FailureKind::Internal, |(kind, _)| *kind)
}

/// The input that an element reads, by the path of its names within the pipeline.
fn input_of<'a>(source: &str, files: &'a Files) -> Option<&'a Path> {
    if source.contains("facesource") || source.contains("face") {
        Some(&files.face)
    } else if source.contains("uridecodebin") || source.contains("speech") {
        // Of several it isn't known which.
        files
            .speeches
            .first()
            .filter(|_| files.speeches.len() == 1)
            .map(PathBuf::as_path)
    } else {
        None
    }
}

/// A warning that means that the pipeline is not what its template says: links behind decoders are
/// made late, and where one fails, a branch stays dry and the pipeline waits for ever.
pub fn is_fatal_warning(error: &glib::Error) -> bool {
    error.matches(gst::ParseError::DelayedLink)
}

/// What is missing and how to get it, from an installer's detail string:
/// `gstreamer|1.0|PROGRAM|DESCRIPTION|TYPE-WHAT`.
pub fn missing_plugin(installer_detail: &str) -> Failure {
    let mut parts = installer_detail.split('|').skip(3);
    let description = parts.next().unwrap_or(installer_detail);
    let failure = Failure::new(FailureKind::PluginMissing).detail(description);
    let package = match parts.next().and_then(|what| what.split_once('-')) {
        Some(("element", name)) => debian::package(name),
        // It decodes nearly everything.
        Some(("decoder", _)) => Some("gstreamer1.0-libav"),
        _ => None,
    };
    match package {
        Some(package) => failure.advice(format_args!("Install it with `apt install {package}`")),
        None => failure,
    }
}

/// The path of an element's names from the pipeline down, as in `face/decodebin0/qtdemux0`.
pub fn path_of(object: &gst::Object) -> String {
    let mut names = vec![object.name().to_string()];
    let mut parent = object.parent();
    while let Some(object) = parent {
        parent = object.parent();
        // The pipeline itself tells nobody anything.
        if parent.is_some() {
            names.push(object.name().to_string());
        }
    }
    names.reverse();
    names.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        Files {
            face: "/in/face.mp4".into(),
            speeches: vec!["/in/speech.wav".into()],
            output: Some("/out/x.mp4".into()),
            model: Some("/m/mine.onnx".into()),
        }
    }

    fn kind_and_file(
        error: glib::Error,
        debug: Option<&str>,
        source: &str,
        details: Option<gst::Structure>,
    ) -> (FailureKind, Option<PathBuf>) {
        let failure = failure_of(&error, debug, source, details.as_deref(), &files());
        (failure.kind, failure.file)
    }

    #[test]
    fn domains_and_codes_tell_the_kind_and_names_the_file() {
        let new = |e: gst::StreamError| glib::Error::new(e, "no");
        assert_eq!(
            kind_and_file(
                new(gst::StreamError::Demux),
                None,
                "uridecodebin0/qtdemux0",
                None
            ),
            (FailureKind::InputDamaged, Some("/in/speech.wav".into()))
        );
        assert_eq!(
            kind_and_file(new(gst::StreamError::Decode), None, "facesource0", None),
            (FailureKind::InputDamaged, Some("/in/face.mp4".into()))
        );
        let full = glib::Error::new(gst::ResourceError::NoSpaceLeft, "no");
        assert_eq!(
            kind_and_file(full, None, "filesink0", None),
            (FailureKind::DiskFull, Some("/out/x.mp4".into()))
        );
        let write = || glib::Error::new(gst::ResourceError::Write, "no");
        let said = [
            ("No space left on device", FailureKind::DiskFull),
            ("Disk quota exceeded", FailureKind::QuotaUsedUp),
            ("File too large", FailureKind::OutputTooLarge),
            ("Read-only file system", FailureKind::OutputFolderReadOnly),
            ("Bad luck", FailureKind::Internal),
        ];
        for (text, kind) in said {
            let debug = format!("system error: {text}");
            let found = kind_and_file(write(), Some(&debug), "s", None).0;
            assert_eq!(found, kind, "{text}");
        }
    }

    #[test]
    fn details_win_over_codes() {
        gst::init().unwrap();
        let error = || glib::Error::new(gst::LibraryError::Init, "no");
        let details = |kind: &str| {
            gst::Structure::builder("details")
                .field("kind", kind)
                .build()
        };
        let expected = [
            ("library-not-found", FailureKind::LibraryMissing, None),
            (
                "model-shape",
                FailureKind::ModelShape,
                Some("/m/mine.onnx".into()),
            ),
            ("provider", FailureKind::Provider, None),
        ];
        for (name, kind, file) in expected {
            assert_eq!(
                kind_and_file(error(), None, "lipsync0", Some(details(name))),
                (kind, file),
                "{name}"
            );
        }
        let with_uri = gst::Structure::builder("details")
            .field("kind", "no-picture")
            .field("uri", "file:///in/a%20b.mp4")
            .build();
        assert_eq!(
            kind_and_file(error(), None, "x", Some(with_uri)),
            (FailureKind::NoPicture, Some("/in/a b.mp4".into()))
        );
        assert_eq!(
            kind_and_file(error(), None, "lipsync0", Some(details("unheard of"))).0,
            FailureKind::Internal
        );
    }

    #[test]
    fn what_is_missing_has_a_name_and_a_package() {
        let failure = missing_plugin("gstreamer|1.0|lipflow|H.265 decoder|decoder-video/x-h265");
        assert_eq!(failure.kind, FailureKind::PluginMissing);
        assert!(failure.reason().ends_with("H.265 decoder"));
        assert!(failure.remedy().contains("gstreamer1.0-libav"));
        assert!(missing_plugin("odd").reason().ends_with("odd"));
    }
}
