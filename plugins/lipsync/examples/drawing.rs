//! How good the drawing is, apart from what speech asks for: a clip's mouths are drawn again.
//!
//! ```text
//! cargo run --release -p gst-plugin-lipsync --example drawing -- CLIP [SHEET.ppm]
//! ```
//!
//! *Redrawn*: each frame gets the mouth that it shows, from the other frames, half a second around it
//! being barred, and is held against itself. *Driven*: each frame gets the mouth of the frame half a
//! clip later, by the own mouths and by the warp, and the result is measured. Prints one JSON object:
//!
//! - `ssim`, `psnr` (dB): brightness around the redrawn mouth;
//! - `obeys`: r between the opening asked and the one that the mesh reads, `range`: the slope
//!   of the one on the other;
//! - `like`: distance of the drawn mouths to the nearest real one (32 by 26 pixels, colour, mean taken
//!   off) over the same of real mouths to others half a second away: median and 95th percentile;
//! - `sharp`: change of brightness from pixel to pixel around the mouth over the source's;
//! - `steady`: second difference of the opening over the source's;
//! - `look_ms`, `choose_ms`, `draw_ms` a frame. Points are not in it.

use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant};

use gst::prelude::*;
use gstlipsync::bank::{self, Ask, Chooser, DEFAULT_BYTES, Habits, Held, Learner, Shape, look};
use gstlipsync::face::lips::{HeadFrame, Lips};
use gstlipsync::face::mesh::{self, Mesher, Roi};
use gstlipsync::face::{Face, Mesh};
use gstlipsync::model::{JAW_OF_OPENING, MouthParams};
use gstlipsync::picture::frame::{Frame, FrameMut, Layout};
use gstlipsync::render::MouthRenderer;
use gstlipsync::render::own::{Layer, OwnMouth, Target, Wanted};
use gstlipsync::{roi, runtime, video};

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
        view(&self.layout, &self.planes)
    }

    fn mesh(&self) -> Option<&Mesh> {
        self.face.as_ref()?.mesh.as_ref()
    }
}

fn view<'a>(layout: &Layout, [a, b, c]: &'a [Vec<u8>; 3]) -> Frame<'a> {
    Frame {
        layout: *layout,
        planes: [a, b, c],
    }
}

fn view_mut<'a>(layout: &Layout, [a, b, c]: &'a mut [Vec<u8>; 3]) -> FrameMut<'a> {
    FrameMut {
        layout: *layout,
        planes: [a, b, c],
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let clip = arguments.next().ok_or("usage: drawing CLIP [SHEET.ppm]")?;
    let sheet = arguments.next();
    let shots = steadied(read(&clip)?);
    let mut learner = Learner::new(DEFAULT_BYTES);
    let begin = Instant::now();
    for shot in &shots {
        learner.look(&shot.frame(), shot.face.as_ref(), shot.time);
    }
    let look_ms = begin.elapsed().as_secs_f64() * 1e3 / shots.len().max(1) as f64;
    // What each frame shows.
    let shown: Vec<Option<(Shape, Held)>> = shots
        .iter()
        .map(|shot| {
            let mesh = shot.mesh()?;
            let (look, _) = look(&shot.frame(), mesh, 0, shot.time)?;
            Some((look.shape, Held::of(&shot.frame(), mesh)?))
        })
        .collect();
    let mut drawing = Drawing {
        learner: &learner,
        shots: &shots,
        shown: &shown,
        sheet: Vec::new(),
        choosing: Duration::ZERO,
        drawing: Duration::ZERO,
        drawn: 0,
    };
    let [ssim, psnr] = drawing.redrawn()?;
    let path = runtime::data_dir().join("models").join(mesh::FILE);
    let mut mesher = Mesher::load(&path, 1)?;
    let own = drawing.driven(true)?;
    let warp = drawing.driven(false)?;
    let [own, warp] = [own, warp].map(|drawn| measure(&shots, &shown, &drawn, &mut mesher));
    let per_frame = |time: Duration| time.as_secs_f64() * 1e3 / drawing.drawn.max(1) as f64;
    println!(
        "{}",
        serde_json::json!({
            "clip": clip, "frames": shots.len(), "mouths": learner.mouths().len(),
            "ssim": ssim, "psnr": psnr, "own": own?, "warp": warp?,
            "look_ms": look_ms, "choose_ms": per_frame(drawing.choosing),
            "draw_ms": per_frame(drawing.drawing),
        })
    );
    if let Some(sheet) = sheet {
        write_sheet(&sheet, &drawing.sheet)?;
    }
    Ok(())
}

/// Frames as they were drawn; none where nothing was.
type Drawn = Vec<Option<[Vec<u8>; 3]>>;

struct Drawing<'a> {
    learner: &'a Learner,
    shots: &'a [Shot],
    shown: &'a [Option<(Shape, Held)>],
    sheet: Vec<[Vec<u8>; 3]>,
    choosing: Duration,
    drawing: Duration,
    drawn: usize,
}

impl Drawing<'_> {
    /// Each frame with the mouth that it shows, from others: SSIM and PSNR against itself.
    fn redrawn(&mut self) -> Result<[f64; 2], Box<dyn Error>> {
        let ask = |i: usize| {
            let (shape, held) = self.shown[i].as_ref()?;
            let time = self.shots[i].time;
            Some(Ask {
                shape: *shape,
                held: *held,
                scene: self.scene(i),
                barred: time.saturating_sub(BARRED)..time + BARRED + 1,
            })
        };
        let asks: Vec<Option<Ask>> = (0..self.shots.len()).map(ask).collect();
        let drawn = self.own(&asks)?;
        let (mut ssims, mut psnrs) = (Vec::new(), Vec::new());
        for (shot, drawn) in self.shots.iter().zip(&drawn) {
            let (Some(drawn), Some(mesh)) = (drawn, shot.mesh()) else {
                continue;
            };
            let (head, _) = HeadFrame::of(mesh).ok_or("no face")?;
            let (ssim, psnr) = compare(&shot.layout, &shot.planes, drawn, mouth_box(&head));
            ssims.push(ssim);
            psnrs.push(psnr);
        }
        Ok([mean(&ssims), mean(&psnrs)])
    }

    /// Each frame with the mouth of the one half a clip later.
    fn driven(&mut self, own: bool) -> Result<Drawn, Box<dyn Error>> {
        let later = |i: usize| (i + self.shots.len() / 2) % self.shots.len();
        let asks: Vec<Option<Ask>> = (0..self.shots.len())
            .map(|i| {
                let (_, held) = self.shown[i].as_ref()?;
                let (shape, _) = self.shown[later(i)].as_ref()?;
                Some(Ask {
                    shape: *shape,
                    held: *held,
                    scene: self.scene(i),
                    barred: 0..0,
                })
            })
            .collect();
        let drawn = if own {
            self.own(&asks)?
        } else {
            self.warped(&asks)?
        };
        let step = (self.shots.len() / 10).max(1);
        for (i, (shot, drawn)) in self.shots.iter().zip(&drawn).enumerate() {
            let (true, Some(drawn), Some(mesh)) = (i % step == 0, drawn, shot.mesh()) else {
                continue;
            };
            let (head, _) = HeadFrame::of(mesh).ok_or("no face")?;
            let picture = crop(&shot.layout, drawn, &head);
            match self
                .sheet
                .iter_mut()
                .find(|tiles| own && tiles[1].is_empty())
            {
                Some(tiles) => tiles[1] = picture,
                None if own => {
                    self.sheet
                        .push([crop(&shot.layout, &shot.planes, &head), picture, Vec::new()])
                }
                None => {
                    if let Some(tiles) = self.sheet.iter_mut().find(|tiles| tiles[2].is_empty()) {
                        tiles[2] = picture;
                    }
                }
            }
        }
        Ok(drawn)
    }

    /// The scene of a frame: that of the mouth that it taught.
    fn scene(&self, shot: usize) -> u32 {
        let time = self.shots[shot].time;
        let mouths = self.learner.mouths().iter();
        let nearest = mouths.min_by_key(|mouth| mouth.look.time.abs_diff(time));
        nearest.map_or(0, |mouth| mouth.look.scene)
    }

    fn own(&mut self, asks: &[Option<Ask>]) -> Result<Drawn, Box<dyn Error>> {
        let mouths = self.learner.mouths();
        let source = self.learner.layout().ok_or("no frames")?;
        let mut chooser = Chooser::default();
        let mut own = OwnMouth::default();
        let mut tickets = Vec::new();
        let mut all = Vec::new();
        for (i, shot) in self.shots.iter().enumerate() {
            let (Some(ask), Some(mesh)) = (&asks[i], shot.mesh()) else {
                chooser.interrupt();
                all.push(None);
                continue;
            };
            let begin = Instant::now();
            let ahead = asks.iter().take(i + WINDOW).skip(tickets.len());
            tickets.extend(ahead.map(|next| Some(chooser.ask(mouths, next.as_ref()?))));
            let choice = tickets[i].and_then(|ticket| chooser.decide(mouths, ticket));
            self.choosing += begin.elapsed();
            let Some(mouth) = choice.and_then(|choice| mouths.get(choice.mouth)) else {
                all.push(None);
                continue;
            };
            let mut planes = shot.planes.clone();
            let target = Target {
                mesh,
                source: &source,
            };
            let wanted = Wanted {
                opening: ask.shape.opening,
                width: ask.shape.width,
            };
            let layer = Layer { mouth, share: 1.0 };
            let begin = Instant::now();
            let mut frame = view_mut(&shot.layout, &mut planes);
            let drawn = own.draw(&mut frame, target, &[layer], wanted, 1.0);
            self.drawing += begin.elapsed();
            self.drawn += 1;
            all.push(drawn.map(|_| planes));
        }
        Ok(all)
    }

    fn warped(&self, asks: &[Option<Ask>]) -> Result<Drawn, Box<dyn Error>> {
        let rest = Habits::of(&self.learner.mouths().iter().collect::<Vec<_>>())
            .shape(&MouthParams::default());
        let mut renderer = MouthRenderer::new();
        let draw = |(shot, ask): (&Shot, &Option<Ask>)| {
            let (ask, mesh) = (ask.as_ref()?, shot.mesh()?);
            let mut planes = shot.planes.clone();
            let params = MouthParams {
                opening: ask.shape.opening,
                jaw: JAW_OF_OPENING * ask.shape.opening,
                width: ask.shape.width - rest.width,
                ..MouthParams::default()
            };
            renderer.render(
                &mut view_mut(&shot.layout, &mut planes),
                mesh,
                &params,
                1.0,
                0.04,
            );
            Some(planes)
        };
        Ok(self.shots.iter().zip(asks).map(draw).collect())
    }
}

/// What is measured of driven mouths.
fn measure(
    shots: &[Shot],
    shown: &[Option<(Shape, Held)>],
    drawn: &Drawn,
    mesher: &mut Mesher,
) -> Result<serde_json::Value, Box<dyn Error>> {
    let later = |i: usize| (i + shots.len() / 2) % shots.len();
    let (mut asked, mut read, mut own) = (Vec::new(), Vec::new(), Vec::new());
    let (mut change, mut of_source) = (0.0, 0.0);
    let (mut thumbs, mut real) = (Vec::new(), Vec::new());
    for (i, (shot, drawn)) in shots.iter().zip(drawn).enumerate() {
        let (Some(planes), Some(mesh), Some((want, _)), Some((had, _))) =
            (drawn, shot.mesh(), &shown[later(i)], &shown[i])
        else {
            continue;
        };
        let frame = view(&shot.layout, planes);
        let Some((found, _)) = mesher.find(&frame, &Roi::from_mesh(mesh))? else {
            continue;
        };
        let (head, _) = HeadFrame::of(mesh).ok_or("no face")?;
        let shape = Lips::of(&found)
            .map(|lips| Shape::of(&lips))
            .unwrap_or_default();
        asked.push(f64::from(want.opening));
        read.push(f64::from(shape.opening));
        own.push(f64::from(had.opening));
        change += detail(&shot.layout, planes, mouth_box(&head));
        of_source += detail(&shot.layout, &shot.planes, mouth_box(&head));
        // Where the drawn mouth is, not the source's own.
        let (there, _) = HeadFrame::of(&found).ok_or("no face")?;
        thumbs.push(thumb(&frame, &there));
        real.push((shot.time, thumb(&shot.frame(), &head)));
    }
    let nearest = |to: &[f32], barred: Option<u64>| {
        let others = real
            .iter()
            .filter(|(time, _)| barred.is_none_or(|at| at.abs_diff(*time) >= BARRED));
        let distance = |other: &[f32]| -> f32 {
            to.iter()
                .zip(other)
                .map(|(a, b)| (a - b) * (a - b))
                .sum::<f32>()
                .sqrt()
        };
        others
            .map(|(_, other)| f64::from(distance(other)))
            .fold(f64::MAX, f64::min)
    };
    let mut drawn: Vec<f64> = thumbs.iter().map(|t| nearest(t, None)).collect();
    let mut source: Vec<f64> = real.iter().map(|(at, t)| nearest(t, Some(*at))).collect();
    drawn.sort_by(f64::total_cmp);
    source.sort_by(f64::total_cmp);
    let at = |values: &[f64], part: usize| {
        values
            .get(values.len() * part / 100)
            .copied()
            .unwrap_or_default()
    };
    let usual = at(&source, 50).max(1e-6);
    Ok(serde_json::json!({
        "obeys": correlation(&asked, &read),
        "range": slope(&asked, &read),
        "like": [at(&drawn, 50) / usual, at(&drawn, 95) / usual],
        "sharp": change / f64::max(of_source, 1e-6),
        "steady": second_difference(&read) / second_difference(&own).max(1e-6),
    }))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Of the straight line through what was read at each asked value, by least squares.
fn slope(asked: &[f64], read: &[f64]) -> f64 {
    let (ma, mr) = (mean(asked), mean(read));
    let both: f64 = asked
        .iter()
        .zip(read)
        .map(|(a, r)| (a - ma) * (r - mr))
        .sum();
    both / asked
        .iter()
        .map(|a| (a - ma).powi(2))
        .sum::<f64>()
        .max(1e-9)
}

fn second_difference(values: &[f64]) -> f64 {
    let bends: Vec<f64> = values
        .windows(3)
        .map(|w| (w[0] - 2.0 * w[1] + w[2]).abs())
        .collect();
    mean(&bends)
}

/// Pearson's r.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (ma, mb) = (mean(a), mean(b));
    let (mut both, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        both += (x - ma) * (y - mb);
        aa += (x - ma).powi(2);
        bb += (y - mb).powi(2);
    }
    both / f64::sqrt(aa * bb).max(1e-9)
}

/// The box around the mouth that is compared: left, top, right, bottom.
fn mouth_box(head: &HeadFrame) -> [usize; 4] {
    let [x0, y0] = head.to_pixel([-0.6, -0.35]);
    let [x1, y1] = head.to_pixel([0.6, 0.55]);
    [x0.min(x1), y0.min(y1), x0.max(x1), y0.max(y1)].map(|v| v.max(0.0) as usize)
}

/// Mean change of brightness from a pixel to those around it.
fn detail(layout: &Layout, planes: &[Vec<u8>; 3], [x0, y0, x1, y1]: [usize; 4]) -> f64 {
    let frame = view(layout, planes);
    let mut sum = 0.0;
    for y in y0.max(1)..y1 {
        for x in x0.max(1)..x1 {
            let around = frame.luma_at(x - 1, y)
                + frame.luma_at(x + 1, y)
                + frame.luma_at(x, y - 1)
                + frame.luma_at(x, y + 1);
            sum += f64::from((frame.luma_at(x, y) - 0.25 * around).abs());
        }
    }
    sum
}

/// An upright mouth, 32 by 26, its mean colour taken off.
fn thumb(frame: &Frame, head: &HeadFrame) -> Vec<f32> {
    let mut rgb = Vec::with_capacity(32 * 26 * 3);
    for j in 0..26 {
        for i in 0..32 {
            let place = [
                (i as f32 + 0.5) / 32.0 - 0.5,
                (j as f32 + 0.5) / 32.0 - 0.35,
            ];
            rgb.extend(frame.rgb_at(head.to_pixel(place)).unwrap_or_default());
        }
    }
    for c in 0..3 {
        let sum: f32 = rgb.iter().skip(c).step_by(3).sum();
        let mean = sum / (32.0 * 26.0);
        rgb.iter_mut().skip(c).step_by(3).for_each(|v| *v -= mean);
    }
    rgb
}

fn read(clip: &str) -> Result<Vec<Shot>, Box<dyn Error>> {
    gst::init()?;
    gstlipsync::plugin_register_static()?;
    let pipeline = gst::parse::launch(
        "filesrc name=file ! decodebin ! videoconvert ! video/x-raw,format=I420 ! facetrack smooth=false \
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

/// The shots with points as a face file has them.
fn steadied(mut shots: Vec<Shot>) -> Vec<Shot> {
    let meshes: Vec<Option<Mesh>> = shots.iter().map(|shot| shot.mesh().cloned()).collect();
    for (shot, near) in shots.iter_mut().skip(1).zip(meshes.windows(3)) {
        if let ([Some(a), Some(b), Some(c)], Some(face)) = (near, &mut shot.face) {
            face.mesh = Some(bank::steadied(a, b, c));
        }
    }
    shots
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

/// For each frame a column: the source, the own mouth, the warp.
fn write_sheet(path: &str, columns: &[[Vec<u8>; 3]]) -> std::io::Result<()> {
    let (width, height) = (columns.len() * VIEW, 3 * VIEW);
    let mut out = vec![0u8; width * height * 3];
    for (k, tiles) in columns.iter().enumerate() {
        for (row, tile) in tiles.iter().enumerate() {
            for (y, line) in tile.chunks_exact(VIEW * 3).enumerate() {
                let at = ((row * VIEW + y) * width + k * VIEW) * 3;
                out[at..at + line.len()].copy_from_slice(line);
            }
        }
    }
    let mut file = std::fs::File::create(path)?;
    write!(file, "P6\n{width} {height}\n255\n")?;
    file.write_all(&out)
}
