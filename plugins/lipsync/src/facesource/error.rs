//! What can go wrong with the file, said so that a person and a program understand it.

use gst::glib;

/// Why there is no picture. `name` is the file's path, or its URI where it is not local.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("No face is set. Set the property `uri`, as in uri=file:///home/me/face.mp4")]
    NoUri,
    #[error(
        "{uri} is not a URI that can be read: {reason}. A file is written as file:///path/to/file"
    )]
    BadUri { uri: String, reason: String },
    #[error("{name} does not exist. Check the path")]
    NotFound { name: String },
    #[error("{name} can't be read: {reason}. Check its permissions")]
    Unreadable { name: String, reason: String },
    #[error("{name} is a folder. Name a picture or a video in it")]
    Folder { name: String },
    #[error("{name} is empty. Copy or download it again")]
    Empty { name: String },
    #[error("{name} is neither a picture nor a video: {reason}. Name a picture or a video")]
    NotMedia { name: String, reason: String },
    #[error("{name} is a playlist ({kind}). Name the picture or video itself")]
    Playlist { name: String, kind: String },
    #[error(
        "{name} has {width}x{height} pixels, and {most} in all are the most that is decoded. Make it smaller, or raise max-pixels"
    )]
    TooLarge {
        name: String,
        width: u32,
        height: u32,
        most: u64,
    },
    #[error(
        "{name} {excess}, which is the most that is read. Make it smaller, or raise {property}"
    )]
    Beyond {
        name: String,
        /// "has more than 100 streams"
        excess: String,
        property: &'static str,
    },
    #[error("{name} has no picture. Name a picture, or a video that has one")]
    NoPicture { name: String },
    #[error(
        "{name} needs a decoder that is not installed: {codec}. On Debian, install gstreamer1.0-libav and gstreamer1.0-plugins-bad"
    )]
    MissingCodec { name: String, codec: String },
    #[error(
        "{name} is an animated WebP picture, which nothing that is installed reads. Take a picture out of it: `apt install webp`, then `webpmux -get frame 1 IN -o OUT.webp`"
    )]
    Animation { name: String },
    #[error("{name} is encrypted. Name a file without copy protection")]
    Encrypted { name: String },
    #[error(
        "{name} is damaged, or of an unusual kind: {reason}. Download it again, or save it as another format"
    )]
    Damaged {
        name: String,
        reason: String,
        stage: Stage,
    },
    #[error("{name} is cut off: part of it is missing. Copy or download it again")]
    Cut { name: String },
    #[error(
        "{name} can't be played backwards because it can't be seeked. Copy it to a local MP4 or Matroska file, or use loop-mode=loop"
    )]
    NotSeekable { name: String },
    #[error(
        "What follows can't take the picture of {name} ({caps}). Put videoconvert, videoscale or videorate after facesource"
    )]
    NotNegotiated { name: String, caps: String },
}

/// Which part of the reader found the damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Demux,
    Decode,
}

impl Error {
    /// A word for programs, in the details of the error message.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoUri => "no-uri",
            Self::BadUri { .. } => "bad-uri",
            Self::NotFound { .. } => "not-found",
            Self::Unreadable { .. } => "unreadable",
            Self::Folder { .. } => "folder",
            Self::Empty { .. } => "empty",
            Self::NotMedia { .. } => "not-media",
            Self::Playlist { .. } => "playlist",
            Self::TooLarge { .. } | Self::Beyond { .. } => "too-large",
            Self::NoPicture { .. } => "no-picture",
            Self::MissingCodec { .. } => "missing-codec",
            Self::Animation { .. } => "animation",
            Self::Encrypted { .. } => "encrypted",
            Self::Damaged { .. } => "damaged",
            Self::Cut { .. } => "cut",
            Self::NotSeekable { .. } => "not-seekable",
            Self::NotNegotiated { .. } => "not-negotiated",
        }
    }

    /// The error as GStreamer's domains and codes have it.
    pub fn to_glib(&self) -> glib::Error {
        let text = self.to_string();
        let resource = |code: gst::ResourceError| glib::Error::new(code, &text);
        let stream = |code: gst::StreamError| glib::Error::new(code, &text);
        match self {
            Self::NoUri | Self::NotFound { .. } => resource(gst::ResourceError::NotFound),
            Self::BadUri { .. } | Self::Unreadable { .. } | Self::Folder { .. } => {
                resource(gst::ResourceError::OpenRead)
            }
            Self::NotSeekable { .. } => resource(gst::ResourceError::Seek),
            Self::Empty { .. }
            | Self::NoPicture { .. }
            | Self::Playlist { .. }
            | Self::TooLarge { .. }
            | Self::Beyond { .. } => stream(gst::StreamError::WrongType),
            Self::NotMedia { .. } => stream(gst::StreamError::TypeNotFound),
            Self::MissingCodec { .. } | Self::Animation { .. } => {
                stream(gst::StreamError::CodecNotFound)
            }
            Self::Encrypted { .. } => stream(gst::StreamError::Decrypt),
            Self::Damaged { stage, .. } => stream(match stage {
                Stage::Demux => gst::StreamError::Demux,
                Stage::Decode => gst::StreamError::Decode,
            }),
            Self::Cut { .. } => stream(gst::StreamError::Demux),
            Self::NotNegotiated { .. } => glib::Error::new(gst::CoreError::Negotiation, &text),
        }
    }

    /// Puts what an element of the reader reported into our words. `recognised` says whether the
    /// file's type was found.
    pub fn classify(name: &str, error: &glib::Error, recognised: bool) -> Self {
        let name = name.to_owned();
        let reason = error.message().trim_end_matches('.').to_owned();
        if let Some(code) = error.kind::<gst::ResourceError>() {
            return match code {
                gst::ResourceError::NotFound => Self::NotFound { name },
                _ => Self::Unreadable { name, reason },
            };
        }
        if error.matches(gst::CoreError::MissingPlugin) {
            return Self::MissingCodec {
                name,
                codec: reason,
            };
        }
        match error.kind::<gst::StreamError>() {
            // A parser that finds nothing in a file of its own type says "wrong type", too.
            Some(gst::StreamError::TypeNotFound | gst::StreamError::WrongType) if !recognised => {
                Self::NotMedia { name, reason }
            }
            Some(gst::StreamError::CodecNotFound) => Self::MissingCodec {
                name,
                codec: reason,
            },
            Some(gst::StreamError::Decrypt | gst::StreamError::DecryptNokey) => {
                Self::Encrypted { name }
            }
            Some(gst::StreamError::Decode) => Self::Damaged {
                name,
                reason,
                stage: Stage::Decode,
            },
            _ => Self::Damaged {
                name,
                reason,
                stage: Stage::Demux,
            },
        }
    }
}

/// How to call the file when speaking to people.
pub fn display_name(uri: &str) -> String {
    match glib::filename_from_uri(uri) {
        Ok((path, _)) => path.display().to_string(),
        Err(_) => uri.to_owned(),
    }
}
