//! A small picture of a video, for reports.

use std::path::Path;
use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::error::{Failure, FailureKind};
use crate::job::uri_of;

/// Large enough to know a face by.
const WIDTH: u32 = 160;
const LIMIT: Duration = Duration::from_secs(20);

/// A JPEG picture of a frame from the middle of the video.
pub fn of(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |reason: &str| Failure::of(FailureKind::InputDamaged, path).detail(reason);
    let pipeline = gst::parse::launch(&format!(
        "uridecodebin name=source ! videoconvert ! videoscale \
         ! video/x-raw,width={WIDTH},pixel-aspect-ratio=1/1 ! jpegenc quality=75 \
         ! appsink name=sink sync=false max-buffers=1"
    ))
    .map_err(|e| Failure::new(FailureKind::PluginMissing).detail(e.message()))?
    .downcast::<gst::Pipeline>()
    .map_err(|_| failed("no pipeline was built"))?;
    if let Some(source) = pipeline.by_name("source") {
        source.set_property("uri", uri_of(path)?);
    }
    let jpeg = pull(&pipeline).ok_or_else(|| failed("no picture came out of it"));
    super::runner::stop(&pipeline)?;
    jpeg
}

fn pull(pipeline: &gst::Pipeline) -> Option<Vec<u8>> {
    let deadline = Instant::now() + LIMIT;
    let left = || {
        let left = deadline.saturating_duration_since(Instant::now());
        gst::ClockTime::try_from(left).ok()
    };
    let sink = pipeline.by_name("sink")?;
    let sink = sink.downcast::<gst_app::AppSink>().ok()?;
    pipeline.set_state(gst::State::Paused).ok()?;
    let (state, ..) = pipeline.state(left());
    state.ok()?;
    if let Some(duration) = pipeline.query_duration::<gst::ClockTime>() {
        let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT;
        // What can't be searched is shown by its first frame.
        let _ = pipeline.seek_simple(flags, duration / 2);
    }
    let sample = sink.try_pull_preroll(left())?;
    let map = sample.buffer()?.map_readable().ok()?;
    Some(map.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_video_gives_a_small_jpeg() {
        crate::init().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mkv");
        let pipeline = gst::parse::launch(&format!(
            "videotestsrc num-buffers=20 ! video/x-raw,width=640,height=360 ! jpegenc \
             ! matroskamux ! filesink location={}",
            path.display()
        ))
        .unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let bus = pipeline.bus().unwrap();
        let end = [gst::MessageType::Eos, gst::MessageType::Error];
        bus.timed_pop_filtered(gst::ClockTime::from_seconds(20), &end);
        pipeline.set_state(gst::State::Null).unwrap();
        let jpeg = of(&path).unwrap();
        assert_eq!(jpeg[..3], [0xff, 0xd8, 0xff]);
        // The size is in the first frame header: ITU T.81, B.2.2.
        let frame = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
        let size = &jpeg[frame + 5..frame + 9];
        assert_eq!(size, [0, 90, 0, 160], "height and width");
    }

    #[test]
    fn what_is_no_video_is_an_error() {
        crate::init().unwrap();
        assert!(of(Path::new("/none/such.mp4")).is_err());
    }
}
