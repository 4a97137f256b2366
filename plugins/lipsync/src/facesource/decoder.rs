//! What `uridecodebin` finds in a file, and which of it is decoded.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gst::glib;
use gst::prelude::*;

use super::category::CAT;
use super::error::Error;
use super::inspect::{Facts, inspect};
use super::settings::Most;
use super::status::{Status, Times};
use crate::decode;
use crate::sync::lock;

/// Has the decoder's picture go into `convert`, and `status` know of it.
pub fn connect(
    decode: &gst::Element,
    convert: &gst::Element,
    most: &Most,
    status: &Arc<Status>,
) -> Result<(), glib::BoolError> {
    let into = convert
        .static_pad("sink")
        .ok_or_else(|| glib::bool_error!("videoconvert has no sink pad"))?;
    let into = into.downgrade();
    let on_pad = status.clone();
    decode.connect_pad_added(move |_, pad| {
        let is_video = pad
            .current_caps()
            .is_some_and(|caps| caps.structure(0).is_some_and(|s| s.has_name("video/x-raw")));
        // Of several pictures in one file the first is the face.
        if let Some(into) = into.upgrade().filter(|p| is_video && !p.is_linked()) {
            let linked = match is_interlaced(pad) {
                true => deinterlaced(pad, &into).inspect(|()| {
                    let remark = format!(
                        "{} is interlaced: one field of each frame is taken, and the lines between are made",
                        on_pad.name
                    );
                    on_pad.update(|inner| inner.remarks.push(remark));
                }),
                false => pad.link(&into).map(drop).map_err(unlinked),
            };
            match linked {
                Ok(()) => on_pad.update(|inner| inner.has_video = true),
                Err(e) => gst::warning!(CAT, "{}: {e}", on_pad.name),
            }
        }
    });
    let on_end = status.clone();
    decode.connect_no_more_pads(move |_| {
        if lock(&on_end.inner).has_video {
            return;
        }
        on_end.fail(Error::NoPicture {
            name: on_end.name.clone(),
        });
    });
    let on_element = status.clone();
    decode::on_element(decode, "mpegpsdemux", move |_| {
        on_element.update(|inner| inner.times = Times::WithInventedGaps);
    });
    let on_element = status.clone();
    decode::on_element(decode, "tsdemux", move |_| {
        on_element.update(|inner| inner.is_without_gap = true);
    });
    let on_element = status.clone();
    decode::on_element(decode, "avdemux_gif", move |demuxer| {
        let status = on_element.clone();
        demuxer.connect_pad_added(move |_, pad| {
            if let Times::Given(durations) = &lock(&status.inner).times {
                end_after(pad, durations.len());
            }
        });
    });
    for demuxer in ["qtdemux", "matroskademux"] {
        let status = status.clone();
        decode::on_element(decode, demuxer, move |demuxer| watch_last(demuxer, &status));
    }
    let (most_streams, on_excess) = (most.streams, status.clone());
    decode::limits::no_more_streams_than(decode, most_streams, move || {
        on_excess.fail(Error::Beyond {
            name: on_excess.name.clone(),
            excess: format!("has more than {most_streams} streams"),
            property: "max-streams",
        });
    });
    let most_pixels = most.pixels;
    // Anything but the picture stays as it is in the file: exposed, so that it is known to be there,
    // but not decoded.
    let on_type = status.clone();
    decode.connect("autoplug-continue", false, move |args| {
        let caps = args.get(2)?.get::<gst::Caps>().ok()?;
        let structure = caps.structure(0)?;
        let media = structure.name();
        if let (Ok(width), Ok(height)) = (structure.get::<i32>("width"), structure.get("height"))
            && let Err(error) = check_size(
                &on_type.name,
                width.unsigned_abs(),
                i32::unsigned_abs(height),
                most_pixels,
            )
        {
            on_type.fail(error);
            return Some(false.to_value());
        }
        on_type.update(|inner| {
            inner.file_type.get_or_insert_with(|| media.to_string());
        });
        let other = ["audio/", "text/", "subpicture/", "closedcaption/"];
        Some((!other.iter().any(|o| media.starts_with(o)) || media == "audio/x-m4a").to_value())
    });
    Ok(())
}

/// Ends the stream after so many frames: the demuxer never does, and a decoder keeps what it holds.
fn end_after(pad: &gst::Pad, frames: usize) {
    let passed = AtomicUsize::new(0);
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let number = passed.fetch_add(1, Ordering::Relaxed) + 1;
        if number < frames {
            return gst::PadProbeReturn::Ok;
        }
        if number == frames
            && let Some(gst::PadProbeData::Buffer(buffer)) = info.data.take()
            && let Some(peer) = pad.peer()
        {
            // What comes of it does not matter any more.
            let _ = peer.chain(buffer);
        }
        // The demuxer then says itself that it is at its end.
        info.flow_res = Err(gst::FlowError::Eos);
        gst::PadProbeReturn::Handled
    });
}

/// Notes how long the latest frame lasts that a demuxer gives.
fn watch_last(demuxer: &gst::Element, status: &Arc<Status>) {
    let status = status.clone();
    demuxer.connect_pad_added(move |_, pad| {
        if !pad.name().starts_with("video") {
            return;
        }
        let status = status.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let Some(gst::PadProbeData::Buffer(buffer)) = &info.data
                && let (Some(pts), Some(lasts)) = (buffer.pts(), buffer.duration())
            {
                let mut inner = lock(&status.inner);
                if inner.last.is_none_or(|(at, _)| at <= pts) {
                    inner.last = Some((pts, lasts));
                }
            }
            gst::PadProbeReturn::Ok
        });
    });
}

fn is_interlaced(pad: &gst::Pad) -> bool {
    let caps = pad.current_caps();
    let mode = caps
        .as_ref()
        .and_then(|caps| caps.structure(0)?.get::<&str>("interlace-mode").ok());
    mode.is_some_and(|mode| mode != "progressive")
}

fn unlinked(error: gst::PadLinkError) -> glib::BoolError {
    glib::bool_error!("the picture can't be linked: {error}")
}

/// Links by way of an element that makes whole pictures of fields, one of each frame.
fn deinterlaced(pad: &gst::Pad, into: &gst::Pad) -> Result<(), glib::BoolError> {
    let failed = || glib::bool_error!("the picture can't be deinterlaced");
    let pipeline = into.parent_element().and_then(|e| e.parent());
    let pipeline = pipeline.and_downcast::<gst::Bin>().ok_or_else(failed)?;
    let element = gst::ElementFactory::make("deinterlace")
        .property_from_str("fields", "top")
        .property_from_str("method", "greedyl")
        .build()?;
    pipeline.add(&element)?;
    let (sink, src) = (element.static_pad("sink"), element.static_pad("src"));
    let (sink, src) = sink.zip(src).ok_or_else(failed)?;
    src.link(into).map_err(unlinked)?;
    element.sync_state_with_parent()?;
    pad.link(&sink).map_err(unlinked)?;
    Ok(())
}

/// Before anything is decoded: a small file may ask for more memory than there is.
pub fn check_size(name: &str, width: u32, height: u32, most: u64) -> Result<(), Error> {
    if u64::from(width) * u64::from(height) <= most {
        return Ok(());
    }
    Err(Error::TooLarge {
        name: name.to_owned(),
        width,
        height,
        most,
    })
}

/// Looks at a file before it is opened.
pub fn check_file(path: &Path) -> Result<Facts, Error> {
    let name = path.display().to_string();
    let unreadable = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound { name: name.clone() },
        _ => Error::Unreadable {
            name: name.clone(),
            reason: e.to_string(),
        },
    };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(Error::Folder { name });
    }
    // Looking into a pipe would take away what is read.
    if !metadata.is_file() {
        return Ok(Facts::default());
    }
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    if metadata.len() == 0 {
        return Err(Error::Empty { name });
    }
    inspect(&mut file, metadata.len()).map_err(unreadable)
}
