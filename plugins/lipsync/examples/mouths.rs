//! A contact sheet of drawn mouths: the first face of a picture, or of one frame of a clip, with its own mouth and
//! with others.
//!
//! ```text
//! cargo run --release -p gst-plugin-lipsync --example mouths -- PICTURE[@FRAME] ... SHEET.ppm
//! ```
//!
//! One row for each picture: as it is, closed, half open, wide open, rounded, teeth on lip, spread with the jaw up,
//! tongue behind the teeth.
//! The frames before `@FRAME` are looked at first, as a stream would. Prints milliseconds a frame for
//! copying and drawing, the best of some runs.

use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant};

use gst::prelude::*;
use gstlipsync::face::Face;
use gstlipsync::face::lips::HeadFrame;
use gstlipsync::face::pose::Pose;
use gstlipsync::model::{JAW_OF_OPENING, MouthParams};
use gstlipsync::picture::frame::{Frame, FrameMut, Layout};
use gstlipsync::render::MouthRenderer;
use gstlipsync::{roi, video};

/// Side of one view, in pixels and in units around the mouth.
const VIEW: usize = 300;
const WIDE: f32 = 1.5;
/// Seconds between frames.
const STEP: f32 = 0.04;
/// Times that a mouth is drawn to take the time.
const RUNS: usize = 20;

struct Shot {
    planes: [Vec<u8>; 3],
    layout: Layout,
    face: Option<Face>,
}

fn shapes() -> [MouthParams; 7] {
    let open = |opening: f32| MouthParams {
        opening,
        jaw: JAW_OF_OPENING * opening,
        ..Default::default()
    };
    [
        MouthParams {
            press: 0.4,
            ..open(0.0)
        },
        open(0.13),
        open(0.32),
        MouthParams {
            width: -0.3,
            ..open(0.15)
        },
        MouthParams {
            tuck: 1.0,
            ..open(0.05)
        },
        MouthParams {
            width: 0.15,
            jaw: 0.04,
            raise: 0.3,
            ..open(0.16)
        },
        MouthParams {
            tongue: 1.0,
            ..open(0.16)
        },
    ]
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let sheet = arguments
        .pop()
        .ok_or("usage: mouths PICTURE[@FRAME] ... SHEET.ppm")?;
    gst::init()?;
    gstlipsync::plugin_register_static()?;
    let mut rows = Vec::new();
    for argument in &arguments {
        let (file, at) = argument.split_once('@').unwrap_or((argument, "0"));
        let shots = read(file, at.parse()?)?;
        let mut renderer = MouthRenderer::new();
        let Some((last, before)) = shots.split_last() else {
            continue;
        };
        let mut draw = |shot: &Shot, shape: &MouthParams| {
            let mut planes = shot.planes.clone();
            let mesh = shot.face.as_ref()?.mesh.as_ref()?;
            let [a, b, c] = &mut planes;
            let mut frame = FrameMut {
                layout: shot.layout,
                planes: [a, b, c],
            };
            renderer.render(&mut frame, mesh, shape, 1.0, STEP);
            Some(planes)
        };
        for shot in before {
            draw(shot, &MouthParams::default());
        }
        let Some(mesh) = last.face.as_ref().and_then(|f| f.mesh.as_ref()) else {
            println!("{argument}: no face");
            continue;
        };
        let (head, _) = HeadFrame::of(mesh).ok_or("no face")?;
        let mut row = vec![crop(&last.layout, &last.planes, &head)];
        let mut best = Duration::MAX;
        for _ in 0..RUNS {
            let begin = Instant::now();
            for shape in shapes() {
                draw(last, &shape).ok_or("no face")?;
            }
            best = best.min(begin.elapsed());
        }
        let ms = best.as_secs_f64() * 1e3 / shapes().len() as f64;
        for shape in shapes() {
            let planes = draw(last, &shape).ok_or("no face")?;
            row.push(crop(&last.layout, &planes, &head));
        }
        let Pose { yaw, pitch, .. } = Pose::of(mesh);
        println!(
            "{argument}: unit {:.0}, yaw {yaw:.2}, pitch {pitch:.2}, {ms:.2} ms a frame",
            head.unit
        );
        rows.push(row);
    }
    write_sheet(&sheet, &rows)?;
    Ok(())
}

/// The frames up to and with `last`.
fn read(file: &str, last: usize) -> Result<Vec<Shot>, Box<dyn Error>> {
    let pipeline = gst::parse::launch(
        "filesrc name=file ! decodebin ! videoconvert ! video/x-raw,format=I420 ! facetrack \
         ! appsink name=sink sync=false max-buffers=4",
    )?;
    let pipeline = pipeline
        .downcast::<gst::Pipeline>()
        .map_err(|_| "no pipeline")?;
    pipeline
        .by_name("file")
        .ok_or("no file")?
        .set_property("location", file);
    let sink = pipeline
        .by_name("sink")
        .and_then(|s| s.downcast::<gst_app::AppSink>().ok());
    let sink = sink.ok_or("no sink")?;
    pipeline.set_state(gst::State::Playing)?;
    let mut shots = Vec::new();
    while shots.len() <= last
        && let Ok(sample) = sink.pull_sample()
    {
        let info = gst_video::VideoInfo::from_caps(sample.caps().ok_or("no caps")?)?;
        let buffer = sample.buffer_owned().ok_or("no buffer")?;
        let mapped = gst_video::VideoFrameRef::from_buffer_ref_readable(&buffer, &info)?;
        let frame = video::frame(&mapped);
        shots.push(Shot {
            planes: frame.planes.map(<[u8]>::to_vec),
            layout: frame.layout,
            face: roi::faces(&buffer).into_iter().find(|f| f.mesh.is_some()),
        });
    }
    pipeline.set_state(gst::State::Null)?;
    Ok(shots)
}

fn crop(layout: &Layout, planes: &[Vec<u8>; 3], head: &HeadFrame) -> Vec<u8> {
    let [a, b, c] = planes;
    let frame = Frame {
        layout: *layout,
        planes: [a, b, c],
    };
    let mut rgb = Vec::with_capacity(VIEW * VIEW * 3);
    for j in 0..VIEW {
        for i in 0..VIEW {
            let place = |k: usize| ((k as f32 + 0.5) / VIEW as f32 - 0.5) * WIDE;
            let at = head.to_pixel([place(i), place(j) + 0.1]);
            let colour = frame.rgb_at(at).unwrap_or_default();
            rgb.extend(colour.map(|v| v.clamp(0.0, 255.0) as u8));
        }
    }
    rgb
}

fn write_sheet(path: &str, rows: &[Vec<Vec<u8>>]) -> std::io::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(1);
    let (width, height) = (columns * VIEW, rows.len() * VIEW);
    let mut out = vec![0u8; width * height * 3];
    for (j, row) in rows.iter().enumerate() {
        for (i, picture) in row.iter().enumerate() {
            for (y, line) in picture.chunks_exact(VIEW * 3).enumerate() {
                out[((j * VIEW + y) * width + i * VIEW) * 3..][..VIEW * 3].copy_from_slice(line);
            }
        }
    }
    let mut file = std::fs::File::create(path)?;
    write!(file, "P6\n{width} {height}\n255\n")?;
    file.write_all(&out)
}
