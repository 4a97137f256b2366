//! How well a face is drawn from its own other frames: each frame of a clip is drawn again with the
//! mouth that it shows, half a second around it being barred, and held against itself.
//!
//! ```text
//! cargo run --release -p gst-plugin-lipsync --example redraw -- CLIP [SHEET.ppm]
//! ```
//!
//! Prints one line: SSIM and PSNR (dB) of the brightness around the mouth, the share of frames that
//! were drawn, and milliseconds a frame for looking (points aside), choosing and drawing.

use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant};

use gst::prelude::*;
use gstlipsync::bank::{Ask, Chooser, Held, Learner, look};
use gstlipsync::face::Face;
use gstlipsync::face::lips::HeadFrame;
use gstlipsync::picture::frame::{Frame, FrameMut, Layout};
use gstlipsync::render::own::{Layer, OwnMouth, Target, Wanted};
use gstlipsync::{roi, video};

/// Frames that are looked ahead, and what is barred around each, in nanoseconds.
const WINDOW: usize = 6;
const BARRED: u64 = 500_000_000;

struct Shot {
    planes: [Vec<u8>; 3],
    layout: Layout,
    face: Option<Face>,
    time: u64,
}

impl Shot {
    fn frame(&self) -> Frame<'_> {
        let [a, b, c] = &self.planes;
        Frame {
            layout: self.layout,
            planes: [a, b, c],
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let clip = arguments.next().ok_or("usage: redraw CLIP [SHEET.ppm]")?;
    let sheet = arguments.next();
    let shots = read(&clip)?;
    let mut learner = Learner::new(gstlipsync::bank::DEFAULT_BYTES);
    let begin = Instant::now();
    for shot in &shots {
        learner.look(&shot.frame(), shot.face.as_ref(), shot.time);
    }
    let looked = begin.elapsed();
    let source = learner.layout().ok_or("no frames")?;
    let mouths = learner.mouths();

    let mut chooser = Chooser::default();
    let mut own = OwnMouth::default();
    let asks: Vec<Option<Ask>> = shots
        .iter()
        .enumerate()
        .map(|(i, shot)| {
            let mesh = shot.face.as_ref()?.mesh.as_ref()?;
            let (look, _) = look(&shot.frame(), mesh, i as u64, shot.time)?;
            Some(Ask {
                shape: look.shape,
                held: Held::of(&shot.frame(), mesh)?,
                barred: shot.time.saturating_sub(BARRED)..shot.time + BARRED + 1,
            })
        })
        .collect();
    let (mut ssims, mut psnrs, mut mismatches) = (Vec::new(), Vec::new(), Vec::new());
    let (mut choosing, mut drawing) = (Duration::ZERO, Duration::ZERO);
    let mut pictures = Vec::new();
    let mut cuts = 0;
    let mut asked = 0;
    for (i, shot) in shots.iter().enumerate() {
        let (Some(ask), Some(mesh)) = (&asks[i], shot.face.as_ref().and_then(|f| f.mesh.as_ref()))
        else {
            chooser.reset();
            asked = i + 1;
            continue;
        };
        let begin = Instant::now();
        while asked < shots.len() && asked < i + WINDOW {
            let Some(next) = &asks[asked] else { break };
            chooser.ask(mouths, next);
            asked += 1;
        }
        let choice = chooser.decide(mouths);
        choosing += begin.elapsed();
        let Some(choice) = choice else { continue };
        cuts += usize::from(!choice.follows);
        let mut planes = shot.planes.clone();
        let [a, b, c] = &mut planes;
        let mut frame = FrameMut {
            layout: shot.layout,
            planes: [a, b, c],
        };
        let layer = Layer {
            mouth: &mouths[choice.mouth],
            share: 1.0,
        };
        let wanted = Wanted {
            opening: ask.shape.opening,
            width: ask.shape.width,
        };
        let begin = Instant::now();
        let drawn = own.draw(
            &mut frame,
            Target {
                mesh,
                source: &source,
            },
            &[layer],
            wanted,
            1.0,
        );
        drawing += begin.elapsed();
        let Some(drawn) = drawn else { continue };
        mismatches.push(f64::from(drawn.mismatch));
        let (head, _) = HeadFrame::of(mesh).ok_or("no face")?;
        let corner = |x: f32, y: f32| head.to_pixel([x, y]);
        let [x0, y0] = corner(-0.6, -0.35);
        let [x1, y1] = corner(0.6, 0.55);
        let bounds = [x0.min(x1), y0.min(y1), x0.max(x1), y0.max(y1)].map(|v| v.max(0.0) as usize);
        let (ssim, psnr) = compare(&shot.layout, &shot.planes, &planes, bounds);
        ssims.push(ssim);
        psnrs.push(psnr);
        if sheet.is_some() && i % (shots.len() / 16).max(1) == 0 {
            let view = |planes: &[Vec<u8>; 3]| crop(&shot.layout, planes, &head);
            pictures.push([view(&shot.planes), view(&planes)]);
        }
    }
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len().max(1) as f64;
    let n = ssims.len().max(1) as f64;
    let ms = |d: Duration| d.as_secs_f64() * 1e3 / n;
    println!(
        "{clip}: SSIM {:.3} PSNR {:.1} dB drawn {}/{} mouths {} cuts {cuts} look {:.2} choose {:.2} draw {:.2} ms mismatch {:.1} to {:.1}",
        mean(&ssims),
        mean(&psnrs),
        ssims.len(),
        shots.len(),
        mouths.len(),
        looked.as_secs_f64() * 1e3 / shots.len().max(1) as f64,
        ms(choosing),
        ms(drawing),
        mean(&mismatches),
        mismatches.iter().copied().fold(0.0, f64::max)
    );
    if let Some(sheet) = sheet {
        write_sheet(&sheet, &pictures)?;
    }
    Ok(())
}

fn read(clip: &str) -> Result<Vec<Shot>, Box<dyn Error>> {
    gst::init()?;
    gstlipsync::plugin_register_static()?;
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
        .set_property("location", clip);
    let sink = pipeline
        .by_name("sink")
        .and_then(|s| s.downcast::<gst_app::AppSink>().ok());
    let sink = sink.ok_or("no sink")?;
    pipeline.set_state(gst::State::Playing)?;
    let mut shots = Vec::new();
    while let Ok(sample) = sink.pull_sample() {
        let info = gst_video::VideoInfo::from_caps(sample.caps().ok_or("no caps")?)?;
        let buffer = sample.buffer_owned().ok_or("no buffer")?;
        let mapped = gst_video::VideoFrameRef::from_buffer_ref_readable(&buffer, &info)?;
        let frame = video::frame(&mapped);
        shots.push(Shot {
            planes: frame.planes.map(<[u8]>::to_vec),
            layout: frame.layout,
            face: roi::faces(&buffer).into_iter().find(|f| f.mesh.is_some()),
            time: buffer.pts().unwrap_or_default().nseconds(),
        });
    }
    pipeline.set_state(gst::State::Null)?;
    Ok(shots)
}

/// Mean SSIM (7 by 7, Wang and others 2004) and PSNR of the brightness in a box.
fn compare(
    layout: &Layout,
    a: &[Vec<u8>; 3],
    b: &[Vec<u8>; 3],
    [x0, y0, x1, y1]: [usize; 4],
) -> (f64, f64) {
    let channel = &layout.channels[0];
    let (x1, y1) = (x1.min(layout.width - 1), y1.min(layout.height - 1));
    let at = |planes: &[Vec<u8>; 3], x, y| f64::from(planes[0][channel.index(x, y)]);
    let (mut sum, mut count, mut error, mut pixels) = (0.0, 0.0, 0.0, 0.0);
    for y in y0..y1 {
        for x in x0..x1 {
            error += (at(a, x, y) - at(b, x, y)).powi(2);
            pixels += 1.0;
            if x < x0 + 3 || y < y0 + 3 || x + 3 >= x1 || y + 3 >= y1 {
                continue;
            }
            let (mut ma, mut mb, mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0, 0.0, 0.0);
            for v in y - 3..=y + 3 {
                for u in x - 3..=x + 3 {
                    let (p, q) = (at(a, u, v), at(b, u, v));
                    ma += p;
                    mb += q;
                    aa += p * p;
                    bb += q * q;
                    ab += p * q;
                }
            }
            let n = 49.0;
            let (ma, mb) = (ma / n, mb / n);
            let (va, vb, cov) = (aa / n - ma * ma, bb / n - mb * mb, ab / n - ma * mb);
            sum += (2.0 * ma * mb + 6.5025) * (2.0 * cov + 58.5225)
                / ((ma * ma + mb * mb + 6.5025) * (va + vb + 58.5225));
            count += 1.0;
        }
    }
    let mse: f64 = error / f64::max(pixels, 1.0);
    (
        sum / f64::max(count, 1.0),
        10.0 * (255.0 * 255.0 / mse.max(0.05)).log10(),
    )
}

const VIEW: usize = 260;

fn crop(layout: &Layout, planes: &[Vec<u8>; 3], head: &HeadFrame) -> Vec<u8> {
    let [a, b, c] = planes;
    let frame = Frame {
        layout: *layout,
        planes: [a, b, c],
    };
    let mut rgb = Vec::with_capacity(VIEW * VIEW * 3);
    for j in 0..VIEW {
        for i in 0..VIEW {
            let place = |k: usize| (k as f32 + 0.5) / VIEW as f32 * 2.6 - 1.3;
            let at = head.to_pixel([place(i), place(j) + 0.1]);
            let colour = frame.rgb_at(at).unwrap_or_default();
            rgb.extend(colour.map(|v| v.clamp(0.0, 255.0) as u8));
        }
    }
    rgb
}

/// Columns of pairs: the real frame above the drawn one.
fn write_sheet(path: &str, pictures: &[[Vec<u8>; 2]]) -> std::io::Result<()> {
    let columns = pictures.len().clamp(1, 6);
    let rows = pictures.len().div_ceil(columns) * 2;
    let (width, height) = (columns * VIEW, rows * VIEW);
    let mut out = vec![0u8; width * height * 3];
    for (k, pair) in pictures.iter().enumerate() {
        for (half, picture) in pair.iter().enumerate() {
            let (left, top) = (k % columns * VIEW, (k / columns * 2 + half) * VIEW);
            for (y, line) in picture.chunks_exact(VIEW * 3).enumerate() {
                out[((top + y) * width + left) * 3..][..VIEW * 3].copy_from_slice(line);
            }
        }
    }
    let mut file = std::fs::File::create(path)?;
    write!(file, "P6\n{width} {height}\n255\n")?;
    file.write_all(&out)
}
