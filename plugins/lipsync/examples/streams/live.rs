//! The same face and speech by the clock and without one.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, Mutex};

use gst::prelude::*;

use super::{PATIENCE, Result, finish, launched, named, uri};

/// What each frame looks like, by its time.
type Frames = HashMap<gst::ClockTime, u64>;

/// Frames that came by the clock, that were drawn without their speech, and that differ from those that
/// came without one, as JSON.
pub fn compare(seconds: u64, face: &str, speech: &str) -> Result<String> {
    let (expected, _) = play(seconds, face, speech, false)?;
    let (live, stats) = play(seconds, face, speech, true)?;
    let differ = live
        .iter()
        .filter(|(time, look)| expected.get(time).is_some_and(|other| other != *look))
        .count();
    let missing = expected
        .keys()
        .filter(|time| !live.contains_key(time))
        .count();
    let without = stats.get::<u64>("frames-without-speech")?;
    Ok(format!(
        "{{\"frames\": {}, \"without_speech\": {without}, \"differ\": {differ}, \"missing\": {missing}}}",
        live.len()
    ))
}

fn play(seconds: u64, face: &str, speech: &str, live: bool) -> Result<(Frames, gst::Structure)> {
    // `identity sync` lets a buffer through when it is time for it, and says that it is live.
    let source = match live {
        true => "! identity sync=true",
        false => "",
    };
    let pipeline = launched(&format!(
        "facesource uri={} loop-mode=ping-pong prefetch=true num-buffers={} {source} ! facetrack \
         ! queue max-size-buffers=50 max-size-bytes=0 max-size-time=0 ! lipsync name=l ! queue \
         ! fakesink name=s sync={live} signal-handoffs=true \
         uridecodebin uri={} ! audioconvert ! audioresample ! audio/x-raw,rate=16000,channels=1 \
         ! audiobuffersplit output-buffer-duration=1/50 {source} ! queue ! l.audio",
        uri(face)?,
        seconds * 25,
        uri(speech)?
    ))?;
    let frames = Arc::new(Mutex::new(Frames::new()));
    let seen = frames.clone();
    named(&pipeline, "s")?.connect("handoff", false, move |values| {
        let buffer = values.get(1)?.get::<gst::Buffer>().ok()?;
        let mut hasher = DefaultHasher::new();
        hasher.write(&buffer.map_readable().ok()?);
        let mut seen = seen.lock().ok()?;
        seen.insert(buffer.pts()?, hasher.finish());
        None
    });
    pipeline.set_state(gst::State::Playing)?;
    finish(
        &pipeline,
        gst::ClockTime::from_seconds(seconds * 10) + PATIENCE,
    )?;
    let stats = named(&pipeline, "l")?.property::<gst::Structure>("stats");
    pipeline.set_state(gst::State::Null)?;
    let frames = std::mem::take(&mut *frames.lock().map_err(|_| "a handler panicked")?);
    Ok((frames, stats))
}
