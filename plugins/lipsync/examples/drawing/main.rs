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
//! - `wide`: r between the width asked and read;
//! - `seam`: change of brightness across the rim of what is drawn over the source's there, `step`: what
//!   the last of the rim differs in colour from the source, in levels;
//! - `like`: distance of the drawn mouths to the nearest real one (32 by 26 pixels, colour, mean taken
//!   off) over the same of real mouths to others half a second away: median and 95th percentile;
//! - `sharp`: change of brightness from pixel to pixel around the mouth over the source's;
//! - `steady`: second difference of the opening over the source's;
//! - `look_ms`, `choose_ms`, `draw_ms` a frame. Points are not in it.

mod clip;
mod measure;
mod sheet;

use std::error::Error;
use std::time::{Duration, Instant};

use clip::{Shot, view_mut};
use gstlipsync::bank::{
    Ask, Chooser, DEFAULT_BYTES, Habits, Held, Learner, Shape, look, unreached,
};
use gstlipsync::face;
use gstlipsync::face::lips::HeadFrame;
use gstlipsync::face::mesh::{self, Mesher};
use gstlipsync::model::{JAW_OF_OPENING, MouthParams};
use gstlipsync::render::MouthRenderer;
use gstlipsync::render::own::{Layer, OwnMouth, Target, Wanted, share_of_warp};
use gstlipsync::runtime;
use measure::{compare, mean, measure, mouth_box};
use sheet::crop;

/// Frames that are looked ahead, and what is barred around each, in nanoseconds.
const WINDOW: usize = 6;
const BARRED: u64 = 500_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let clip = arguments.next().ok_or("usage: drawing CLIP [SHEET.ppm]")?;
    let sheet = arguments.next();
    let shots = clip::steadied(clip::read(&clip)?);
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
        rest: Habits::of(&learner.mouths().iter().collect::<Vec<_>>())
            .shape(&MouthParams::default()),
        shots: &shots,
        shown: &shown,
        sheet: Vec::new(),
        choosing: Duration::ZERO,
        drawing: Duration::ZERO,
        drawn: 0,
    };
    let [ssim, psnr] = drawing.redrawn()?;
    let path = runtime::data_dir().join("models").join(mesh::FILE);
    let mut mesher = Mesher::load(&path, face::OPTIONS)?;
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
    if let Some(path) = sheet {
        sheet::write(&path, &drawing.sheet)?;
    }
    Ok(())
}

/// Frames as they were drawn; none where nothing was.
type Drawn = Vec<Option<[Vec<u8>; 3]>>;

struct Drawing<'a> {
    learner: &'a Learner,
    /// The mouth at rest.
    rest: Shape,
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
        let mut renderer = MouthRenderer::new();
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
            let off = unreached(mouth.look.shape.opening, wanted.opening);
            let share = share_of_warp(off);
            if share > 0.0 {
                let head = HeadFrame::of(mesh).ok_or("no face")?.0;
                let drawn = own.drawn(&head).ok_or("nothing was drawn")?;
                let params = self.params(&ask.shape);
                renderer.render_part(&mut frame, &drawn, &params, 1.0, 0.04, share);
            } else {
                renderer.pause();
            }
            self.drawing += begin.elapsed();
            self.drawn += 1;
            all.push(drawn.map(|_| planes));
        }
        Ok(all)
    }

    /// What a network would have to say for the shape.
    fn params(&self, shape: &Shape) -> MouthParams {
        MouthParams {
            opening: shape.opening,
            jaw: JAW_OF_OPENING * shape.opening,
            width: shape.width - self.rest.width,
            ..MouthParams::default()
        }
    }

    fn warped(&self, asks: &[Option<Ask>]) -> Result<Drawn, Box<dyn Error>> {
        let mut renderer = MouthRenderer::new();
        let draw = |(shot, ask): (&Shot, &Option<Ask>)| {
            let (ask, mesh) = (ask.as_ref()?, shot.mesh()?);
            let mut planes = shot.planes.clone();
            let params = self.params(&ask.shape);
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
