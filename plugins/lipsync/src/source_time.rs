//! When a frame is in the file that it comes from, whatever became of its time stamp since: a
//! `GstReferenceTimestampMeta` that `facesource` attaches, so that a frame that a loop shows again is
//! known again.

use std::sync::LazyLock;

use gst::ClockTime;

static CAPS: LazyLock<gst::Caps> =
    LazyLock::new(|| gst::Caps::new_empty_simple("timestamp/x-lipflow-source"));

/// Notes that the frame is at `time` in its file.
pub fn attach(buffer: &mut gst::BufferRef, time: ClockTime) {
    gst::ReferenceTimestampMeta::add(buffer, &CAPS, time, ClockTime::NONE);
}

/// The frame's time in its file: as it was noted, else its time stamp.
pub fn of(buffer: &gst::BufferRef) -> Option<ClockTime> {
    let noted = buffer
        .iter_meta::<gst::ReferenceTimestampMeta>()
        .find(|meta| meta.reference() == CAPS.as_ref())
        .map(|meta| meta.timestamp());
    noted.or_else(|| buffer.pts())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_known_by_its_time_in_the_file() {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::new();
        let frame = buffer.make_mut();
        frame.set_pts(ClockTime::from_seconds(7));
        assert_eq!(of(frame), Some(ClockTime::from_seconds(7)));
        attach(frame, ClockTime::from_seconds(2));
        assert_eq!(of(frame), Some(ClockTime::from_seconds(2)));
    }
}
