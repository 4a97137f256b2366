//! What stands between the reader's converter and its sink: elements that turn and crop the picture, where
//! the file asks for it.

use gst::glib;
use gst::prelude::*;
use gst_app::AppSink;

use super::category::CAT;

/// Puts a videoflip behind the converter when the file's tags ask for it. Without them there is
/// none, because it takes fewer formats than we do.
pub fn turn_when_tagged(
    pipeline: &gst::Pipeline,
    convert: &gst::Element,
    sink: &AppSink,
) -> Result<(), glib::BoolError> {
    let pad = convert
        .static_pad("src")
        .ok_or_else(|| glib::bool_error!("videoconvert has no source pad"))?;
    let (pipeline, from, to) = (pipeline.downgrade(), convert.downgrade(), sink.downgrade());
    // Tags come between the caps and the first frame, in the streaming thread: relinking is safe.
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(gst::PadProbeData::Event(event)) = &info.data
            && let gst::EventView::Tag(event) = event.view()
            && let Some(orientation) = event.tag().get::<gst::tags::ImageOrientation>()
            && orientation.get() != "rotate-0"
            && let (Some(pipeline), Some(from), Some(to)) =
                (pipeline.upgrade(), from.upgrade(), to.upgrade())
        {
            if let Err(e) = insert_flip(&pipeline, &from, &to, "auto") {
                gst::warning!(CAT, "the picture is not turned upright: {e}");
            }
            return gst::PadProbeReturn::Remove;
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// Puts a videocrop behind the converter that leaves out a last column or row that makes a size odd.
pub fn insert_crop(
    pipeline: &gst::Pipeline,
    convert: &gst::Element,
) -> Result<gst::Element, glib::BoolError> {
    let crop = gst::ElementFactory::make("videocrop").build()?;
    pipeline.add(&crop)?;
    convert.link(&crop)?;
    let (Some(pad), weak) = (convert.static_pad("sink"), crop.downgrade()) else {
        return Ok(crop);
    };
    // Before the converter negotiates, so that what follows is never asked about an odd size.
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(gst::PadProbeData::Event(event)) = &info.data
            && let gst::EventView::Caps(event) = event.view()
            && let Some(structure) = event.caps().structure(0)
            && let Some(crop) = weak.upgrade()
        {
            let odd = |side: &str| structure.get::<i32>(side).unwrap_or(0) & 1;
            crop.set_property("right", odd("width"));
            crop.set_property("bottom", odd("height"));
        }
        gst::PadProbeReturn::Ok
    });
    Ok(crop)
}

pub fn insert_flip(
    pipeline: &gst::Pipeline,
    convert: &gst::Element,
    sink: &AppSink,
    direction: &str,
) -> Result<(), glib::BoolError> {
    let flip = gst::ElementFactory::make("videoflip")
        .property_from_str("video-direction", direction)
        .property("qos", false)
        .build()?;
    pipeline.add(&flip)?;
    convert.unlink(sink);
    gst::Element::link_many([convert, &flip, sink.upcast_ref()])?;
    flip.sync_state_with_parent()
}

pub fn exif_direction(orientation: u8) -> Option<&'static str> {
    Some(match orientation {
        2 => "horiz",
        3 => "180",
        4 => "vert",
        5 => "ul-lr",
        6 => "90r",
        7 => "ur-ll",
        8 => "90l",
        _ => return None,
    })
}
