//! Events of a pad, changed on their way.

use gst::prelude::*;

/// Puts what `change` gives in the place of an event that leaves or reaches the pad.
fn change(
    pad: &gst::Pad,
    change: impl Fn(&gst::Event) -> Option<gst::Event> + Send + Sync + 'static,
) {
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(gst::PadProbeData::Event(event)) = &mut info.data
            && let Some(changed) = change(event)
        {
            *event = changed;
        }
        gst::PadProbeReturn::Ok
    });
}

/// Changes segments.
pub fn change_segments(
    pad: &gst::Pad,
    changed: impl Fn(&gst::event::Segment) -> Option<gst::Event> + Send + Sync + 'static,
) {
    change(pad, move |event| match event.view() {
        gst::EventView::Segment(segment) => changed(segment),
        _ => None,
    });
}

/// Changes caps.
pub fn change_caps(
    pad: &gst::Pad,
    changed: impl Fn(&gst::CapsRef) -> Option<gst::Caps> + Send + Sync + 'static,
) {
    change(pad, move |event| match event.view() {
        gst::EventView::Caps(caps) => {
            let caps = changed(caps.caps())?;
            let told = gst::event::Caps::builder(&caps);
            Some(told.seqnum(event.seqnum()).build())
        }
        _ => None,
    });
}

/// The caps with pixels of that shape.
pub fn shaped(caps: &gst::CapsRef, aspect: gst::Fraction) -> gst::Caps {
    let mut caps = caps.to_owned();
    caps.make_mut().set("pixel-aspect-ratio", aspect);
    caps
}
