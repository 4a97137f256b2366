//! What goes into the decoder: how many frames, and which of them can be decoded by themselves.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use gst::prelude::*;

use crate::sync::lock;

/// Counts coded frames, and notes the times of key frames for whoever takes them.
#[derive(Default)]
pub struct Coded {
    frames: AtomicU64,
    is_noting: AtomicBool,
    has_keys: AtomicBool,
    keys: Mutex<Vec<gst::ClockTime>>,
}

impl Coded {
    /// How many frames a decoder was given.
    pub fn frames(&self) -> u64 {
        self.frames.load(Relaxed)
    }

    /// Whether key frames are noted from now on.
    pub fn note_keys(&self, noted: bool) {
        self.is_noting.store(noted, Relaxed);
        lock(&self.keys).clear();
    }

    /// Whether a key frame lies at `time` in the file or before it, after those that were asked for.
    pub fn take_key(&self, time: gst::ClockTime) -> bool {
        let mut keys = lock(&self.keys);
        let before = keys.len();
        keys.retain(|key| *key > time);
        keys.len() < before
    }

    /// Whether any were noted: without a decoder there are none, and each frame is whole.
    pub fn has_keys(&self) -> bool {
        self.has_keys.load(Relaxed)
    }

    fn note(&self, pad: &gst::Pad, buffer: &gst::BufferRef) {
        self.frames.fetch_add(1, Relaxed);
        if !self.is_noting.load(Relaxed) || buffer.flags().contains(gst::BufferFlags::DELTA_UNIT) {
            return;
        }
        let segment = pad.sticky_event::<gst::event::Segment>(0);
        let time = segment.zip(buffer.pts()).and_then(|(segment, pts)| {
            let segment = segment.segment().downcast_ref::<gst::ClockTime>()?;
            segment.to_stream_time(pts)
        });
        if let Some(time) = time {
            self.has_keys.store(true, Relaxed);
            lock(&self.keys).push(time);
        }
    }
}

/// Has `coded` follow the decoders of pictures in a `uridecodebin`.
pub fn watch(decode: &gst::Element, coded: &Arc<Coded>) {
    let coded = coded.clone();
    crate::decode::on_any_element(decode, move |factory, element| {
        let klass = factory.metadata("klass").unwrap_or_default();
        let of_pictures = klass.contains("Video") || klass.contains("Image");
        if !klass.contains("Decoder") || !of_pictures {
            return;
        }
        let Some(pad) = element.static_pad("sink") else {
            return;
        };
        let coded = coded.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            if let Some(gst::PadProbeData::Buffer(buffer)) = &info.data {
                coded.note(pad, buffer);
            }
            gst::PadProbeReturn::Ok
        });
    });
}
