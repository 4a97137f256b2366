//! Whether a label can be seen in a video's first frame.

use std::path::Path;
use std::time::Duration;

use gst::prelude::*;
use gst_video::prelude::*;
use gstlipsync::label::{Corner, Mask, place};

use crate::error::{Failure, FailureKind};
use crate::job::uri_of;

/// A file that gives no frame for so long is given up.
const LIMIT: Duration = Duration::from_secs(20);
/// The height of the letters that templates ask for, as a share of the shorter side.
const HEIGHT: f32 = gstlipsync::label::USUAL_HEIGHT as f32;
/// So much the picture goes with the letters where they are: encoders leave more than 0.9.
const LEAST_CORRELATION: f32 = 0.8;
/// By so many levels the letters are brighter than their box.
const LEAST_CONTRAST: f32 = 60.0;

/// The corners and edges that a label may be at, whatever was asked for.
const CORNERS: [Corner; 6] = [
    Corner::BottomRight,
    Corner::BottomLeft,
    Corner::TopRight,
    Corner::TopLeft,
    Corner::Bottom,
    Corner::Top,
];

/// Brightness of a picture, without padding.
struct Grey {
    width: usize,
    height: usize,
    levels: Vec<u8>,
}

/// The first of `texts` that stands in the video's first frame.
pub fn label<'a>(video: &Path, texts: &[&'a str]) -> Result<Option<&'a str>, Failure> {
    let picture = first_frame(video)?;
    Ok(texts.iter().copied().find(|text| shows(&picture, text)))
}

fn shows(picture: &Grey, text: &str) -> bool {
    let size = [picture.width, picture.height];
    let Ok(mask) = Mask::of(text, HEIGHT * size[0].min(size[1]) as f32) else {
        return false;
    };
    CORNERS.iter().any(|corner| {
        let place = place([mask.width, mask.height], size, Some(*corner), &[]);
        place.is_some_and(|place| is_at(picture, &mask, [place.x, place.y]))
    })
}

/// Whether the letters of the mask are at that place.
fn is_at(picture: &Grey, mask: &Mask, [left, top]: [usize; 2]) -> bool {
    let mut pairs = Vec::with_capacity(mask.coverage.len());
    for (row, covered) in mask.coverage.chunks_exact(mask.width).enumerate() {
        let start = (top + row) * picture.width + left;
        let Some(levels) = picture.levels.get(start..start + mask.width) else {
            return false;
        };
        let covered = covered.iter().map(|c| f32::from(*c) / 255.0);
        pairs.extend(covered.zip(levels.iter().map(|l| f32::from(*l))));
    }
    let count = pairs.len() as f32;
    let mean = |of: &dyn Fn(&(f32, f32)) -> f32| pairs.iter().map(of).sum::<f32>() / count;
    let (a, b) = (mean(&|p| p.0), mean(&|p| p.1));
    let common = mean(&|p| (p.0 - a) * (p.1 - b));
    let (own, seen) = (mean(&|p| (p.0 - a).powi(2)), mean(&|p| (p.1 - b).powi(2)));
    // The slope of the line through the pairs: from no letter to all of one.
    common / own.max(1e-6) >= LEAST_CONTRAST
        && common / (own * seen).sqrt().max(1e-6) >= LEAST_CORRELATION
}

fn first_frame(video: &Path) -> Result<Grey, Failure> {
    let failed = |reason: &str| Failure::of(FailureKind::InputDamaged, video).detail(reason);
    let pipeline = gst::parse::launch(
        "uridecodebin name=source ! videoconvert ! video/x-raw,format=GRAY8 \
         ! appsink name=sink sync=false max-buffers=1",
    )
    .map_err(|e| Failure::new(FailureKind::PluginMissing).detail(e.message()))?
    .downcast::<gst::Pipeline>()
    .map_err(|_| failed("no pipeline was built"))?;
    if let Some(source) = pipeline.by_name("source") {
        source.set_property("uri", uri_of(video)?);
        gstlipsync::decode::only_this_file(&source, |_| {});
    }
    let frame = pull(&pipeline).ok_or_else(|| failed("no picture came out of it"));
    crate::pipeline::runner::stop(&pipeline)?;
    frame
}

fn pull(pipeline: &gst::Pipeline) -> Option<Grey> {
    let sink = pipeline.by_name("sink")?;
    let sink = sink.downcast::<gst_app::AppSink>().ok()?;
    pipeline.set_state(gst::State::Paused).ok()?;
    let sample = sink.try_pull_preroll(gst::ClockTime::try_from(LIMIT).ok())?;
    let info = gst_video::VideoInfo::from_caps(sample.caps()?).ok()?;
    let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(sample.buffer()?, &info).ok()?;
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let stride = usize::try_from(*frame.plane_stride().first()?).ok()?;
    let rows = frame.plane_data(0).ok()?.chunks(stride).take(height);
    Some(Grey {
        width,
        height,
        levels: rows.flat_map(|row| row[..width].to_vec()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_that_is_there_is_seen() {
        let mask = Mask::of("AI-generated", HEIGHT * 360.0).unwrap();
        let mut picture = Grey {
            width: 640,
            height: 360,
            // A pattern that has nothing to do with letters.
            levels: (0..640 * 360).map(|i| (i * 7 % 251) as u8).collect(),
        };
        assert!(!shows(&picture, "AI-generated"));
        let place = place(
            [mask.width, mask.height],
            [640, 360],
            Some(Corner::TopLeft),
            &[],
        )
        .unwrap();
        for (i, covered) in mask.coverage.iter().enumerate() {
            let (x, y) = (place.x + i % mask.width, place.y + i / mask.width);
            picture.levels[y * 640 + x] = 40 + (u32::from(*covered) * 190 / 255) as u8;
        }
        assert!(shows(&picture, "AI-generated"));
        assert!(!shows(&picture, "AI"));
        assert!(!shows(&picture, "Hand-crafted"));
    }
}
