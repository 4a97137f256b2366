//! Edit lists: which part of a track is played, and after what delay.

use crate::isobmff::boxes::{Body, Node};
use crate::isobmff::track::{Edit, Track};

/// What an edit list says of one track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// What is shown nothing for first.
    pub delay: gst::ClockTime,
    /// The part of the media that is played.
    pub start: gst::ClockTime,
    pub stop: Option<gst::ClockTime>,
}

impl Trim {
    /// The segment of the track, of that which the demuxer has made without the list.
    pub fn segment(self, event: &gst::event::Segment) -> Option<gst::Event> {
        let mut segment = event.segment().downcast_ref::<gst::ClockTime>()?.clone();
        // A seek's segment is in the time of the movie, which the demuxer takes for that of the media.
        let sought = segment.start()?;
        let start = self.start + sought.saturating_sub(self.delay);
        segment.set_start(start);
        segment.set_stop(self.stop);
        segment.set_position(start);
        segment.set_time(sought.max(self.delay));
        let base = segment.base().unwrap_or_default() + self.delay.saturating_sub(sought);
        segment.set_base(base);
        let moved = gst::event::Segment::builder(&segment).seqnum(event.seqnum());
        Some(moved.build())
    }
}

/// Makes the lists free space.
pub fn free_edits(trak: &mut Node) {
    for node in trak
        .children_mut()
        .iter_mut()
        .filter(|n| n.kind == *b"edts")
    {
        let content = node.children().iter().flat_map(Node::write).collect();
        *node = Node {
            kind: *b"free",
            body: Body::Data(content),
        };
    }
}

/// Nothing where there is no list, or one of several parts, which is the demuxer's business.
pub fn of_edits(track: &Track, movie_scale: u32) -> Option<Trim> {
    let (delay, edit) = match track.edits[..] {
        [edit] => (0, edit),
        [
            Edit {
                duration,
                media_time: None,
            },
            edit,
        ] => (duration, edit),
        _ => return None,
    };
    let start = time(edit.media_time?, track.timescale)?;
    Some(Trim {
        delay: time(delay, movie_scale)?,
        start,
        stop: match edit.duration {
            0 => None,
            duration => Some(start + time(duration, movie_scale)?),
        },
    })
}

/// Nothing for more than a lifetime.
pub fn time(ticks: u64, scale: u32) -> Option<gst::ClockTime> {
    let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(scale);
    let nanos = u64::try_from(nanos).ok()?;
    (nanos < u64::MAX / 4).then(|| gst::ClockTime::from_nseconds(nanos))
}
