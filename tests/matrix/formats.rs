//! What the inputs are made of.

/// A container with a codec.
pub struct Format {
    pub name: &'static str,
    pub extension: &'static str,
    /// ffmpeg's words.
    pub arguments: &'static str,
    pub can: Can,
}

/// What a format of picture can carry.
#[derive(Clone, Copy)]
pub struct Can {
    pub rates: Rates,
    /// Frames may have any time, and begin at any.
    pub any_time: bool,
    pub turn: bool,
    pub aspect: bool,
    /// Range and matrix are written down.
    pub colours: bool,
    pub odd: bool,
    /// Colours come back nearly as they were.
    pub true_colours: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Rates {
    All,
    /// Those that MPEG-1 and MPEG-2 know.
    Mpeg,
    /// Times are hundredths of a second.
    Hundredths,
    /// Nothing says when a frame is shown, but a rate.
    Fixed,
}

const MP4: Can = Can {
    rates: Rates::All,
    any_time: true,
    turn: true,
    aspect: true,
    colours: true,
    odd: false,
    true_colours: true,
};
const MKV: Can = Can { turn: false, ..MP4 };
/// Without colours.
const OLD: Can = Can {
    colours: false,
    ..MKV
};
const AVI: Can = Can {
    any_time: false,
    aspect: false,
    rates: Rates::Fixed,
    ..OLD
};
const MPEG: Can = Can {
    rates: Rates::Mpeg,
    any_time: false,
    ..OLD
};

const fn format(
    name: &'static str,
    extension: &'static str,
    arguments: &'static str,
    can: Can,
) -> Format {
    Format {
        name,
        extension,
        arguments,
        can,
    }
}

const X264: &str = "-c:v libx264 -preset veryfast -crf 12 -pix_fmt yuv420p";

pub const PICTURES: [Format; 38] = [
    format("MP4 H.264", "mp4", X264, MP4),
    format(
        "MP4 H.264, no B-frames",
        "mp4",
        "-c:v libx264 -preset ultrafast -crf 12 -pix_fmt yuv420p -bf 0",
        MP4,
    ),
    format(
        "MP4 H.264, fragments",
        "mp4",
        "-c:v libx264 -preset veryfast -crf 12 -pix_fmt yuv420p -movflags +frag_keyframe+empty_moov",
        MP4,
    ),
    format(
        "MP4 H.264, index first",
        "mp4",
        "-c:v libx264 -preset veryfast -crf 12 -pix_fmt yuv420p -movflags +faststart",
        MP4,
    ),
    format(
        "MP4 H.265",
        "mp4",
        "-c:v libx265 -preset ultrafast -crf 12 -x265-params log-level=none -pix_fmt yuv420p -tag:v hvc1",
        MP4,
    ),
    format(
        "MP4 MPEG-4",
        "mp4",
        "-c:v mpeg4 -q:v 2",
        Can {
            colours: false,
            ..MP4
        },
    ),
    format(
        "MP4 AV1",
        "mp4",
        "-c:v libsvtav1 -preset 12 -crf 12 -pix_fmt yuv420p",
        Can { turn: false, ..MP4 },
    ),
    format(
        "MP4 VP9",
        "mp4",
        "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -crf 8 -b:v 0 -pix_fmt yuv420p",
        Can { odd: true, ..MP4 },
    ),
    format("MOV H.264", "mov", X264, MP4),
    format(
        "MOV ProRes",
        "mov",
        "-c:v prores_ks -pix_fmt yuv422p10le",
        Can {
            colours: false,
            ..MP4
        },
    ),
    format(
        "MOV Motion JPEG",
        "mov",
        "-c:v mjpeg -q:v 2 -pix_fmt yuvj420p",
        Can {
            colours: false,
            odd: true,
            ..MP4
        },
    ),
    format(
        "MOV Animation",
        "mov",
        "-c:v qtrle -pix_fmt rgb24",
        Can {
            colours: false,
            odd: true,
            ..MP4
        },
    ),
    format(
        "MOV PNG",
        "mov",
        "-c:v png -pix_fmt rgb24",
        Can {
            colours: false,
            odd: true,
            ..MP4
        },
    ),
    format(
        "3GP MPEG-4",
        "3gp",
        "-c:v mpeg4 -q:v 2",
        Can {
            colours: false,
            turn: false,
            ..MP4
        },
    ),
    format("MKV H.264", "mkv", X264, MKV),
    format(
        "MKV H.265",
        "mkv",
        "-c:v libx265 -preset ultrafast -crf 12 -x265-params log-level=none -pix_fmt yuv420p",
        MKV,
    ),
    format(
        "MKV VP8",
        "mkv",
        "-c:v libvpx -deadline realtime -cpu-used 8 -crf 4 -b:v 4M",
        OLD,
    ),
    format(
        "MKV FFV1",
        "mkv",
        "-c:v ffv1 -pix_fmt yuv444p",
        Can { odd: true, ..OLD },
    ),
    format(
        "MKV MPEG-2",
        "mkv",
        "-c:v mpeg2video -q:v 2",
        Can {
            rates: Rates::Mpeg,
            ..OLD
        },
    ),
    format("MKV MPEG-4", "mkv", "-c:v mpeg4 -q:v 2", OLD),
    format(
        "WebM VP8",
        "webm",
        "-c:v libvpx -deadline realtime -cpu-used 8 -crf 4 -b:v 4M",
        OLD,
    ),
    format(
        "WebM VP9",
        "webm",
        "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -crf 8 -b:v 0 -pix_fmt yuv420p",
        Can { odd: true, ..MKV },
    ),
    format(
        "WebM AV1",
        "webm",
        "-c:v libsvtav1 -preset 12 -crf 12 -pix_fmt yuv420p",
        MKV,
    ),
    format("AVI MPEG-4", "avi", "-c:v mpeg4 -q:v 2", AVI),
    format(
        "AVI Motion JPEG",
        "avi",
        "-c:v mjpeg -q:v 2 -pix_fmt yuvj420p",
        AVI,
    ),
    format("AVI HuffYUV", "avi", "-c:v huffyuv -pix_fmt yuv422p", AVI),
    format(
        "AVI uncompressed",
        "avi",
        "-c:v rawvideo -pix_fmt yuv420p",
        AVI,
    ),
    format(
        "AVI H.264",
        "avi",
        "-c:v libx264 -preset veryfast -crf 12 -pix_fmt yuv420p -bf 0",
        AVI,
    ),
    format(
        "TS H.264",
        "ts",
        "-c:v libx264 -preset veryfast -crf 12 -pix_fmt yuv420p -muxdelay 0 -muxpreload 0",
        MKV,
    ),
    format(
        "TS H.265",
        "ts",
        "-c:v libx265 -preset ultrafast -crf 12 -x265-params log-level=none -pix_fmt yuv420p",
        MKV,
    ),
    format("TS MPEG-2", "ts", "-c:v mpeg2video -q:v 2", MPEG),
    format(
        "MPG MPEG-1",
        "mpg",
        "-c:v mpeg1video -q:v 2 -f mpeg",
        Can {
            aspect: false,
            ..MPEG
        },
    ),
    format("VOB MPEG-2", "vob", "-c:v mpeg2video -q:v 2 -f vob", MPEG),
    format(
        "FLV H.264",
        "flv",
        X264,
        Can {
            aspect: false,
            ..OLD
        },
    ),
    format(
        "FLV Sorenson",
        "flv",
        "-c:v flv -q:v 2",
        Can {
            aspect: false,
            ..OLD
        },
    ),
    format(
        "OGV Theora",
        "ogv",
        "-c:v libtheora -q:v 10",
        Can {
            any_time: false,
            ..OLD
        },
    ),
    format(
        "WMV",
        "wmv",
        "-c:v wmv2 -q:v 2",
        Can {
            aspect: false,
            any_time: false,
            ..OLD
        },
    ),
    format(
        "GIF",
        "gif",
        "",
        Can {
            rates: Rates::Hundredths,
            any_time: false,
            aspect: false,
            true_colours: false,
            odd: true,
            ..OLD
        },
    ),
];

/// How exactly a format of sound keeps its time, in milliseconds: decoders differ about what coders put
/// before the first sample; of WMA neither knows.
pub struct Sound {
    pub name: &'static str,
    pub extension: &'static str,
    pub arguments: &'static str,
    pub exact_ms: f64,
}

const fn sound(
    name: &'static str,
    extension: &'static str,
    arguments: &'static str,
    exact_ms: f64,
) -> Sound {
    Sound {
        name,
        extension,
        arguments,
        exact_ms,
    }
}

pub const SOUNDS: [Sound; 25] = [
    sound("WAV 16 bits", "wav", "-c:a pcm_s16le", 1.0),
    sound("WAV 8 bits, 11 kHz", "wav", "-c:a pcm_u8 -ar 11025", 1.0),
    sound(
        "WAV 24 bits, 96 kHz",
        "wav",
        "-c:a pcm_s24le -ar 96000",
        1.0,
    ),
    sound("WAV float", "wav", "-c:a pcm_f32le -ac 2 -ar 44100", 1.0),
    sound("WAV A-law", "wav", "-c:a pcm_alaw -ar 8000", 1.0),
    sound("WAV ADPCM", "wav", "-c:a adpcm_ms", 1.0),
    sound("AIFF", "aiff", "-c:a pcm_s16be -ar 44100", 1.0),
    sound("AU", "au", "-c:a pcm_mulaw -ar 8000", 1.0),
    sound("FLAC", "flac", "-c:a flac -ar 48000", 1.0),
    sound("WavPack", "wv", "-c:a wavpack -ar 44100", 1.0),
    sound("TTA", "tta", "-c:a tta -ar 44100", 1.0),
    sound("MP3", "mp3", "-c:a libmp3lame -b:a 128k -ar 44100", 1.0),
    sound(
        "MP3 variable",
        "mp3",
        "-c:a libmp3lame -q:a 4 -ar 44100 -ac 2",
        1.0,
    ),
    sound("MP2", "mp2", "-c:a mp2 -b:a 192k -ar 44100", 25.0),
    sound("M4A AAC", "m4a", "-c:a aac -b:a 128k -ar 44100", 1.0),
    sound("M4A ALAC", "m4a", "-c:a alac -ar 44100", 1.0),
    sound("AAC in ADTS", "aac", "-c:a aac -b:a 128k -ar 44100", 25.0),
    sound("Ogg Vorbis", "ogg", "-c:a libvorbis -q:a 5 -ar 44100", 1.0),
    sound("Ogg Opus", "opus", "-c:a libopus -b:a 96k -ar 48000", 2.0),
    sound("WebM Opus", "webm", "-c:a libopus -b:a 96k -ar 48000", 8.0),
    sound("MKA AC-3", "mka", "-c:a ac3 -b:a 192k -ar 48000", 25.0),
    sound("AC-3", "ac3", "-c:a ac3 -b:a 192k -ar 48000 -ac 2", 25.0),
    sound(
        "E-AC-3 in TS",
        "ts",
        "-c:a eac3 -b:a 192k -ar 48000 -ac 2",
        25.0,
    ),
    sound("DTS", "dts", "-c:a dca -strict -2 -ar 48000 -ac 2", 25.0),
    sound("WMA", "wma", "-c:a wmav2 -b:a 128k -ar 44100", 95.0),
];

/// Frames a second, as a fraction.
pub struct Rate {
    pub name: &'static str,
    pub fraction: (u32, u32),
    pub varies: Varies,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Varies {
    No,
    /// Each frame a little before or behind its time.
    Jitter,
    /// Half a second without a frame.
    Gap,
    /// Every third frame is missing.
    Holes,
}

const fn rate(name: &'static str, num: u32, den: u32, varies: Varies) -> Rate {
    Rate {
        name,
        fraction: (num, den),
        varies,
    }
}

pub const RATES: [Rate; 19] = [
    rate("25", 25, 1, Varies::No),
    rate("1", 1, 1, Varies::No),
    rate("5", 5, 1, Varies::No),
    rate("10", 10, 1, Varies::No),
    rate("12", 12, 1, Varies::No),
    rate("15", 15, 1, Varies::No),
    rate("23.976", 24_000, 1001, Varies::No),
    rate("24", 24, 1, Varies::No),
    rate("29.97", 30_000, 1001, Varies::No),
    rate("30", 30, 1, Varies::No),
    rate("48", 48, 1, Varies::No),
    rate("50", 50, 1, Varies::No),
    rate("59.94", 60_000, 1001, Varies::No),
    rate("60", 60, 1, Varies::No),
    rate("100", 100, 1, Varies::No),
    rate("120", 120, 1, Varies::No),
    rate("30, jitter", 30, 1, Varies::Jitter),
    rate("25, a gap", 25, 1, Varies::Gap),
    rate("30, holes", 30, 1, Varies::Holes),
];

impl Rates {
    pub fn has(self, rate: &Rate) -> bool {
        let (num, den) = rate.fraction;
        match self {
            Self::All => true,
            Self::Fixed => rate.varies == Varies::No,
            Self::Mpeg => {
                let known = ["25", "23.976", "24", "29.97", "30", "50", "59.94", "60"];
                known.contains(&rate.name)
            }
            Self::Hundredths => {
                rate.varies == Varies::No && den == 1 && num <= 50 && 100 % num == 0
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Begin {
    AtZero,
    /// The first frame comes half a second late.
    Late,
    /// The first 0.36 s are cut away, without coding anew.
    Trimmed,
    /// A counter of 33 bits begins anew in the midst of it.
    Wrap,
}

pub const BEGINS: [Begin; 4] = [Begin::AtZero, Begin::Late, Begin::Trimmed, Begin::Wrap];

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    Even,
    OddWidth,
    OddHeight,
    Turned(u32),
    /// Pixels of 4:3.
    Aspect,
}

pub const SHAPES: [Shape; 7] = [
    Shape::Even,
    Shape::OddWidth,
    Shape::OddHeight,
    Shape::Turned(90),
    Shape::Turned(180),
    Shape::Turned(270),
    Shape::Aspect,
];

/// Range and matrix; nothing is written down in the first.
pub const COLOURS: [Option<(&str, &str)>; 5] = [
    None,
    Some(("tv", "bt709")),
    Some(("tv", "smpte170m")),
    Some(("pc", "bt709")),
    Some(("pc", "smpte170m")),
];

/// How many seconds; nothing for one frame.
pub const LENGTHS: [Option<f64>; 3] = [Some(1.2), None, Some(3.0)];

/// Templates, and how the files that they write are called.
pub const OUTPUTS: [(&str, &str); 3] = [("file", "mp4"), ("lossless", "mkv"), ("webm", "webm")];
