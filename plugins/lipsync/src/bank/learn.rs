//! Learns a face from the frames of its video, in bounded memory.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::Error;
use super::file::{self, Header};
use super::mouth::{self, Mouth, Pixels};
use super::odd::Usual;
use super::points::{self, FRAME_LEN, FramePoints};
use super::scene::Scenes;
use crate::face::Face;
use crate::picture::frame::{Colour, Frame, Layout};

/// What a face file may take unless told otherwise.
pub const DEFAULT_BYTES: u64 = 64 << 20;

/// Share of the bytes that the points of frames may take; the rest is mouths.
const SHARE_OF_POINTS: f64 = 0.3;

/// Bounds of the variety in which mouths are counted: a cell is so wide in opening, width (units),
/// yaw and pitch (radians).
const CELL: [f32; 4] = [0.025, 0.05, 0.09, 0.09];

/// Frames that are further apart than this, in nanoseconds, say nothing of each other's noise.
const NEIGHBOURS: u64 = 60_000_000;

type Cell = [i16; 4];

/// Looks at frames and keeps what is worth it.
pub struct Learner {
    max_bytes: u64,
    layout: Option<Layout>,
    points: Vec<u8>,
    times: HashSet<u64>,
    mouths: Vec<Mouth>,
    scenes: Scenes,
    mouth_bytes: u64,
    cells: HashMap<Cell, u32>,
    frames_seen: u64,
    frames_with_face: u64,
    duration: u64,
    last_time: Option<u64>,
}

impl Learner {
    /// Keeps mouths of up to `max_bytes` together.
    pub fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            layout: None,
            points: Vec::new(),
            times: HashSet::new(),
            mouths: Vec::new(),
            scenes: Scenes::default(),
            mouth_bytes: 0,
            cells: HashMap::new(),
            frames_seen: 0,
            frames_with_face: 0,
            duration: 0,
            last_time: None,
        }
    }

    /// Frames that were looked at.
    pub fn frames_seen(&self) -> u64 {
        self.frames_seen
    }

    /// Frames among these with a face.
    pub fn frames_with_face(&self) -> u64 {
        self.frames_with_face
    }

    /// The mouths that are kept so far.
    pub fn mouths(&self) -> &[Mouth] {
        &self.mouths
    }

    /// The scene of the last frame.
    pub fn scene(&self) -> u32 {
        self.scenes.current()
    }

    /// How the samples of the mouths lie and what they mean; absent before the first frame.
    pub fn layout(&self) -> Option<Layout> {
        self.layout
    }

    /// Looks at one frame, whose time in the source is `time` (nanoseconds), and the face in it.
    /// Frames that were seen before, or have another format than the first, teach nothing.
    pub fn look(&mut self, frame: &Frame, face: Option<&Face>, time: u64) {
        let scene = face.map_or(0, |face| self.scenes.of(frame, face, time));
        if !self.times.insert(time) {
            return;
        }
        self.frames_seen += 1;
        if let Some(last) = self.last_time
            && time > last
        {
            self.duration += (time - last).min(1_000_000_000);
        }
        self.last_time = Some(time);
        let layout = self.layout.get_or_insert(frame.layout);
        let format = |l: &Layout| {
            let [_, colour, _] = l.channels;
            let sub = [colour.sub_x, colour.sub_y];
            (l.width, l.height, sub, colour.depth, l.colour)
        };
        if format(layout) != format(&frame.layout) {
            return;
        }
        let Some(mesh) = face.and_then(|face| face.mesh.as_ref()) else {
            return;
        };
        self.frames_with_face += 1;
        let score = face.map_or(0.0, |face| face.score);
        let share = self.max_bytes as f64 * SHARE_OF_POINTS;
        if ((self.points.len() + FRAME_LEN) as f64) < share {
            FramePoints {
                time,
                score,
                print: points::fingerprint(frame, mesh.bounds()),
                mesh: mesh.clone(),
            }
            .pack(&mut self.points);
        }
        let number = self.frames_seen - 1;
        let Some((mut look, region)) = mouth::look(frame, mesh, number, time) else {
            return;
        };
        look.scene = scene;
        let pixels = mouth::copy(frame, region);
        self.mouth_bytes += pixels.len() as u64 + FRAME_LEN as u64;
        let mouth = Mouth {
            look,
            mesh: Arc::new(mesh.clone()),
            region,
            pixels: Pixels::Owned(pixels.into()),
        };
        *self.cells.entry(cell(&mouth)).or_default() += 1;
        let share = (self.max_bytes as f64 * (1.0 - SHARE_OF_POINTS)) as u64;
        if self.mouth_bytes > share && !self.mouths.is_empty() {
            self.replace_one(mouth);
        } else {
            self.mouths.push(mouth);
        }
    }

    /// Puts `new` in the place of the mouth of which there are most like it: of those the softest.
    /// All others keep their places.
    fn replace_one(&mut self, new: Mouth) {
        let crowded = |mouth: &Mouth| self.cells.get(&cell(mouth)).copied().unwrap_or_default();
        let most = self.mouths.iter().map(crowded).max().unwrap_or_default();
        let candidates = self.mouths.iter().enumerate();
        let worst = candidates
            .filter(|(_, mouth)| crowded(mouth) == most)
            .min_by(|(_, a), (_, b)| a.look.sharpness.total_cmp(&b.look.sharpness))
            .map(|(i, _)| i);
        if let Some(worst) = worst {
            let mouth = std::mem::replace(&mut self.mouths[worst], new);
            self.mouth_bytes -= mouth.pixels.bytes().len() as u64 + FRAME_LEN as u64;
            if let Some(count) = self.cells.get_mut(&cell(&mouth)) {
                *count -= 1;
            }
        }
    }

    /// Writes what was learnt.
    pub fn write(&mut self, path: &Path, source_id: &str) -> Result<(), Error> {
        let (Some(layout), false) = (self.layout, self.mouths.is_empty()) else {
            return Err(Error::NoFace);
        };
        self.steady();
        self.mark_odd();
        let mut mouths: Vec<&Mouth> = self.mouths.iter().collect();
        mouths.sort_by_key(|mouth| mouth.look.time);
        let [_, colour, _] = layout.channels;
        let header = Header {
            source_id: source_id.into(),
            width: layout.width as u32,
            height: layout.height as u32,
            sub: [colour.sub_x, colour.sub_y],
            depth: colour.depth,
            yuv: match layout.colour {
                Colour::Rgb => None,
                Colour::Yuv { kr, kb, full_range } => Some((kr, kb, full_range)),
            },
            frames_seen: self.frames_seen,
            frames_with_face: self.frames_with_face,
            duration_ns: self.duration,
            frames: self.points.len() / FRAME_LEN,
            mouths: self.mouths.len(),
        };
        file::write(path, &header, &self.points, &mouths)
    }

    /// Takes the noise of the mesh off the points, and puts them in the order of time.
    fn steady(&mut self) {
        let mut frames: Vec<(u64, usize)> = self
            .points
            .chunks_exact(FRAME_LEN)
            .enumerate()
            .filter_map(|(i, packed)| Some((points::time_of(packed)?, i)))
            .collect();
        frames.sort_unstable();
        let unpack = |&(_, i): &(u64, usize)| FramePoints::unpack(&self.points[i * FRAME_LEN..]);
        let by_time: HashMap<u64, usize> = self
            .mouths
            .iter()
            .enumerate()
            .map(|(i, mouth)| (mouth.look.time, i))
            .collect();
        let mut steadied = Vec::with_capacity(self.points.len());
        let mut before: Option<FramePoints> = None;
        let mut here = frames.first().and_then(unpack);
        for next in 1..=frames.len() {
            let after = frames.get(next).and_then(unpack);
            let Some(mut frame) = here.take() else { break };
            let raw = frame.clone();
            if let (Some(before), Some(after)) = (&before, &after)
                && after.time - before.time < 2 * NEIGHBOURS
            {
                frame.mesh = points::steadied(&before.mesh, &raw.mesh, &after.mesh);
            }
            frame.pack(&mut steadied);
            if let Some(i) = by_time.get(&frame.time) {
                self.mouths[*i].mesh = Arc::new(frame.mesh);
            }
            before = Some(raw);
            here = after;
        }
        self.points = steadied;
    }

    /// Marks the mouths that look unlike the others of their scene.
    fn mark_odd(&mut self) {
        let mut scenes: HashMap<u32, Vec<usize>> = HashMap::new();
        for (i, mouth) in self.mouths.iter().enumerate() {
            scenes.entry(mouth.look.scene).or_default().push(i);
        }
        for indices in scenes.values() {
            let skins: Vec<_> = indices
                .iter()
                .map(|i| self.mouths[*i].look.held.around)
                .collect();
            let usual = Usual::of(&skins);
            for (i, skin) in indices.iter().zip(&skins) {
                self.mouths[*i].look.odd = usual.is_odd(skin);
            }
        }
    }
}

fn cell(mouth: &Mouth) -> Cell {
    let look = &mouth.look;
    let place = [
        look.shape.opening,
        look.shape.width,
        look.held.pose.yaw,
        look.held.pose.pitch,
    ];
    std::array::from_fn(|i| (place[i] / CELL[i]).round().clamp(-1e4, 1e4) as i16)
}
