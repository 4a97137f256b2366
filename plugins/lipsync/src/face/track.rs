//! One face over the frames in which it is followed.

use super::detector::Detection;
use super::mesh::Roi;
use super::one_euro::OneEuro;
use super::{Face, MESH_POINTS, Mesh, Rect};

/// A face that the detector doesn't confirm is still followed with such a presence: the mesh
/// follows profiles that the detector misses.
const SURE_PRESENCE: f32 = 0.9;

/// A doubtful face is given up after so many detector runs without it.
const MAX_UNCONFIRMED: u32 = 2;

/// Slower than this, in face sizes per second, is noise.
const MIN_SPEED: f32 = 0.1;

/// A movement is not carried further than this, in seconds.
const MAX_DRIFT: f64 = 0.25;

pub(super) struct Track {
    pub id: u32,
    /// When the face was first and last seen.
    pub born: f64,
    pub seen: f64,
    pub lost: bool,
    pub detection: Detection,
    pub pose: Option<Pose>,
    /// Detector runs in a row that didn't find the face.
    unconfirmed: u32,
}

impl Track {
    pub fn new(id: u32, detection: Detection, time: f64) -> Self {
        Self {
            id,
            born: time,
            seen: time,
            lost: false,
            detection,
            pose: None,
            unconfirmed: 0,
        }
    }

    /// The detector has found the face.
    pub fn confirm(&mut self, detection: Detection, time: f64) {
        self.detection = detection;
        self.seen = time;
        self.lost = false;
        self.unconfirmed = 0;
    }

    /// The detector hasn't found the face.
    pub fn miss(&mut self) {
        self.unconfirmed += 1;
        let doubtful = self.pose.as_ref().is_none_or(|pose| {
            pose.presence < SURE_PRESENCE && self.unconfirmed >= MAX_UNCONFIRMED
        });
        if doubtful {
            self.lose();
        }
    }

    pub fn lose(&mut self) {
        if let Some(pose) = self.pose.take() {
            // Where it was last, for when it returns.
            self.detection.bounds = pose.points.bounds();
        }
        self.lost = true;
    }

    /// Where the face was last.
    pub fn bounds(&self) -> Rect {
        match &self.pose {
            Some(pose) => pose.points.bounds(),
            None => self.detection.bounds,
        }
    }

    pub fn face(&self, time: f64) -> Face {
        match &self.pose {
            Some(pose) => {
                let mesh = pose.at(time);
                Face {
                    id: self.id,
                    bounds: mesh.bounds(),
                    score: pose.presence,
                    mesh: Some(mesh),
                }
            }
            None => Face {
                id: self.id,
                bounds: self.detection.bounds,
                score: self.detection.score,
                mesh: None,
            },
        }
    }
}

/// The mesh of a followed face.
pub(super) struct Pose {
    roi: Roi,
    presence: f32,
    filter: OneEuro,
    points: Mesh,
    /// When `points` were measured.
    pub time: f64,
    /// Pixels per second of the whole face.
    velocity: [f32; 2],
}

impl Pose {
    /// `roi` is where to look next.
    pub fn new((mesh, presence): (Mesh, f32), roi: Roi, time: f64) -> Self {
        Self {
            roi,
            presence,
            filter: OneEuro::new(&mesh),
            points: mesh,
            time,
            velocity: [0.0; 2],
        }
    }

    pub fn renew(&mut self, (mesh, presence): (Mesh, f32), time: f64, smooth: bool) {
        let seconds = (time - self.time) as f32;
        let size = mesh.bounds().size();
        let steadied = self.filter.filter(&mesh, seconds, size);
        let points = if smooth { steadied } else { mesh.clone() };
        if seconds > 0.0 {
            let ([x, y], [from_x, from_y]) = (middle(&points), middle(&self.points));
            let velocity = [(x - from_x) / seconds, (y - from_y) / seconds];
            let speed = velocity[0].hypot(velocity[1]);
            self.velocity = if speed < size * MIN_SPEED {
                [0.0; 2]
            } else {
                velocity
            };
        }
        self.roi = self.roi.follow(&mesh);
        self.presence = presence;
        self.points = points;
        self.time = time;
    }

    /// Where to look for the face at `time`.
    pub fn expected(&self, time: f64) -> Roi {
        let [x, y] = self.roi.centre;
        let [dx, dy] = self.drift(time);
        Roi {
            centre: [x + dx, y + dy],
            ..self.roi
        }
    }

    /// The points at `time`, moved on with the face where that is later than the measurement.
    fn at(&self, time: f64) -> Mesh {
        let mut mesh = self.points.clone();
        let [dx, dy] = self.drift(time);
        for [x, y, _] in mesh.0.iter_mut() {
            *x += dx;
            *y += dy;
        }
        mesh
    }

    /// How far the face has moved since it was measured.
    fn drift(&self, time: f64) -> [f32; 2] {
        let seconds = (time - self.time).clamp(0.0, MAX_DRIFT) as f32;
        self.velocity.map(|v| v * seconds)
    }
}

fn middle(mesh: &Mesh) -> [f32; 2] {
    let mut sum = [0.0; 2];
    for [x, y, _] in mesh.0.iter() {
        sum[0] += x;
        sum[1] += y;
    }
    sum.map(|v| v / MESH_POINTS as f32)
}

/// How far apart two boxes are, in face sizes; nothing where they can't be the same face.
pub(super) fn distance(a: &Rect, b: &Rect) -> Option<f32> {
    let ([ax, ay], [bx, by]) = (a.centre(), b.centre());
    let (small, large) = (a.size().min(b.size()), a.size().max(b.size()));
    let distance = (ax - bx).hypot(ay - by) / large;
    (small * 2.0 >= large && distance < 0.6).then_some(distance)
}
