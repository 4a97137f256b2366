//! The range of pictures in MP4 files.
//!
//! `qtdemux` of GStreamer 1.22 calls every picture with a colour box one of limited range, and parsers and
//! decoders believe it. Where nothing is said of the range, they take what the stream itself says: so
//! nothing is said, unless the box is all there is.

use gst::prelude::*;
use gst_video::{VideoColorRange, VideoColorimetry};

/// Leaves the range of the pictures that a demuxer will give to their streams.
pub fn apply(demuxer: &gst::Element) {
    demuxer.connect_pad_added(|_, pad| {
        pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |_, info| {
            if let Some(gst::PadProbeData::Event(event)) = &mut info.data
                && let gst::EventView::Caps(caps) = event.view()
                && let Some(open) = without_range(caps.caps())
            {
                *event = gst::event::Caps::builder(&open)
                    .seqnum(event.seqnum())
                    .build();
            }
            gst::PadProbeReturn::Ok
        });
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
    let mut caps = caps.to_owned();
    for structure in caps.make_mut().iter_mut() {
        structure.set("colorimetry", open.to_string());
    }
    Some(caps)
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
}
