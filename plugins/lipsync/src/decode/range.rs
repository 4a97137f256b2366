//! The range of pictures in MP4 files.
//!
//! `qtdemux` of GStreamer 1.22 calls every picture with a colour box one of limited range, and parsers and
//! decoders believe it. Where nothing is said of the range, they take what the stream itself says: so
//! nothing is said, unless the box is all there is.
//!
//! Many cameras and recorders of screens say nothing but the range. Where the matrix is missing, GStreamer puts its
//! own default in the place of all, the range too: so the rest is filled in here.

use gst::prelude::*;
use gst_video::{VideoColorMatrix, VideoColorPrimaries, VideoColorRange, VideoColorimetry};
use gst_video::{VideoFormat, VideoFormatInfo, VideoTransferFunction};

use super::events::change_caps;

/// Leaves the range of the pictures that a demuxer will give to their streams.
pub fn apply(demuxer: &gst::Element) {
    demuxer.connect_pad_added(|_, pad| {
        change_caps(pad, without_range);
    });
}

/// Streams that state their range themselves.
const STATING: [&str; 5] = [
    "video/x-h264",
    "video/x-h265",
    "video/mpeg",
    "video/x-prores",
    "image/jpeg",
];

fn without_range(caps: &gst::CapsRef) -> Option<gst::Caps> {
    let structure = caps.structure(0)?;
    let stated = STATING.contains(&structure.name().as_str());
    let told: VideoColorimetry = structure.get::<&str>("colorimetry").ok()?.parse().ok()?;
    if !stated || told.range() == VideoColorRange::Unknown {
        return None;
    }
    let open = VideoColorimetry::new(
        VideoColorRange::Unknown,
        told.matrix(),
        told.transfer(),
        told.primaries(),
    );
    Some(with_colours(caps, &open))
}

fn with_colours(caps: &gst::CapsRef, colours: &VideoColorimetry) -> gst::Caps {
    let mut caps = caps.to_owned();
    for structure in caps.make_mut().iter_mut() {
        structure.set("colorimetry", colours.to_string());
    }
    caps
}

/// Fills in what the colours of decoded pictures that come to `pad` are lacking.
pub fn complete(pad: &gst::Pad) {
    change_caps(pad, completed);
}

/// Of raw pictures with a range and no matrix, those with the usual one of their size.
pub fn completed(caps: &gst::CapsRef) -> Option<gst::Caps> {
    /// Lines of the largest picture that is no HD.
    const MOST_OF_SD: i32 = 576;
    let structure = caps.structure(0)?;
    let told: VideoColorimetry = structure.get::<&str>("colorimetry").ok()?.parse().ok()?;
    let format: VideoFormat = structure.get::<&str>("format").ok()?.parse().ok()?;
    let is_open = told.range() != VideoColorRange::Unknown
        && told.matrix() == VideoColorMatrix::Unknown
        && VideoFormatInfo::from_format(format).is_yuv();
    if !is_open {
        return None;
    }
    let is_sd = structure.get::<i32>("height").ok()? <= MOST_OF_SD;
    let usual: VideoColorimetry = if is_sd { "bt601" } else { "bt709" }.parse().ok()?;
    let transfer = match told.transfer() {
        VideoTransferFunction::Unknown => usual.transfer(),
        known => known,
    };
    let primaries = match told.primaries() {
        VideoColorPrimaries::Unknown => usual.primaries(),
        known => known,
    };
    let whole = VideoColorimetry::new(told.range(), usual.matrix(), transfer, primaries);
    Some(with_colours(caps, &whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_range_of_a_stream_that_has_its_own_is_left_open() {
        gst::init().unwrap();
        let opened = |caps: &str| {
            let caps: gst::Caps = caps.parse().unwrap();
            without_range(&caps).map(|c| c.to_string())
        };
        let h264 = opened("video/x-h264, colorimetry=(string)bt709").unwrap();
        assert!(h264.contains("0:3:5:1"), "{h264}");
        assert_eq!(opened("video/x-vp9, colorimetry=(string)bt709"), None);
        assert_eq!(opened("video/x-h264"), None);
    }

    #[test]
    fn a_range_without_a_matrix_is_kept() {
        gst::init().unwrap();
        let filled = |height: i32, colours: &str| {
            let text =
                format!("video/x-raw,format=I420,width=8,height={height},colorimetry={colours}");
            let caps: gst::Caps = text.parse().unwrap();
            let whole = completed(&caps)?;
            let colours = whole.structure(0)?.get::<&str>("colorimetry").ok()?;
            colours.parse::<VideoColorimetry>().ok()
        };
        let sd = filled(480, "1:0:0:0").unwrap();
        assert_eq!(sd.range(), VideoColorRange::Range0_255);
        assert_eq!(sd.matrix(), VideoColorMatrix::Bt601);
        let hd = filled(720, "1:0:0:0").unwrap();
        assert_eq!(hd.matrix(), VideoColorMatrix::Bt709);
        assert_eq!(filled(480, "bt709"), None);
        assert_eq!(filled(480, "0:0:0:0"), None);
    }
}
