//! Follows faces from frame to frame.
//!
//! The detector looks at the whole picture at the start, when a followed face is lost, and every so
//! many frames; between those, the mesh of one frame says where to look in the next. While there is
//! nothing to follow, the detector runs on every frame for [`EAGER_SEARCHES`] frames and after that
//! on every [`LAZY_INTERVAL`]th, so that an empty picture costs little. Every other search looks at the
//! picture in double size, for small faces, and what finds a face is what is used from then on.
//!
//! A face keeps its track id while it is seen. One that is lost is remembered for
//! [`MEMORY_SECONDS`]: a face of about its size that appears within about half its size of where it
//! was is the same one.
//! A choice of face stays with its track id, also while the face is lost but remembered, so that
//! the mouth of the next person doesn't start to move when the speaker turns away. It passes on at
//! once if a face appears that wasn't there before: that is a cut, or the speaker elsewhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::detector::{Detection, Detector};
use super::mesh::{Mesher, Roi};
use super::selection::Select;
use super::track::{Pose, Track, distance};
use super::{Error, Face, Mesh, Rect};
use crate::picture::frame::Frame;
use crate::runtime::Interrupt;

/// How long a lost face is remembered.
pub const MEMORY_SECONDS: f64 = 5.0;

/// Searches on successive frames before the detector slows down.
pub const EAGER_SEARCHES: u32 = 12;

/// Frames between searches after that.
pub const LAZY_INTERVAL: u32 = 4;

/// The mesh is a face from this presence on.
const MIN_PRESENCE: f32 = 0.5;

/// Most runs of the mesh for a face that was just detected.
const SETTLING_RUNS: u32 = 4;

/// Two tracks that overlap more than this are one face.
const DUPLICATE_IOU: f32 = 0.5;

/// Time between frames where the stream doesn't say.
const DEFAULT_INTERVAL: f64 = 1.0 / 30.0;

/// What the tracker is asked to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    pub select: Select,
    /// How many faces are followed with a mesh.
    pub max_faces: usize,
    /// Frames between detector runs while faces are followed; 0 for none.
    pub redetect_interval: u32,
    /// Least confidence of the detector, 0 to 1.
    pub min_score: f32,
    /// Long side of the detector's input.
    pub detector_size: usize,
    /// Frames between mesh runs; in between, the points move on as they did.
    pub mesh_interval: u32,
    /// The points are steadied against the noise of the mesh, by what came before.
    pub smooth: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            select: Select::default(),
            max_faces: 1,
            redetect_interval: 50,
            min_score: 0.6,
            detector_size: 320,
            mesh_interval: 1,
            smooth: true,
        }
    }
}

/// The eyes of the tracker.
pub trait Finder {
    fn detect(
        &mut self,
        frame: &Frame,
        size: usize,
        min_score: f32,
    ) -> Result<Vec<Detection>, Error>;

    fn mesh(&mut self, frame: &Frame, roi: &Roi) -> Result<Option<(Mesh, f32)>, Error>;
}

/// The two networks.
pub struct Models {
    pub detector: Detector,
    pub mesher: Mesher,
    /// Ends their runs.
    pub stop: Arc<Interrupt>,
}

impl Finder for Models {
    fn detect(
        &mut self,
        frame: &Frame,
        size: usize,
        min_score: f32,
    ) -> Result<Vec<Detection>, Error> {
        self.detector
            .detect(frame, size, min_score, Some(&self.stop))
    }

    fn mesh(&mut self, frame: &Frame, roi: &Roi) -> Result<Option<(Mesh, f32)>, Error> {
        self.mesher.find(frame, roi, Some(&self.stop))
    }
}

/// What the tracker has spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub detector_runs: u64,
    pub detector_time: Duration,
    pub mesh_runs: u64,
    pub mesh_time: Duration,
}

/// Followed faces over the frames of one stream.
pub struct Tracker<F> {
    finder: F,
    tracks: Vec<Track>,
    /// Tracks that get the mesh, in the order of choice.
    chosen: Vec<u32>,
    next_id: u32,
    options: Options,
    time: Option<f64>,
    /// Frames since the detector ran; none before its first run.
    since_detection: Option<u32>,
    since_mesh: u32,
    /// Detector runs in a row that left something to search for.
    vain_searches: u32,
    /// The detector looks at the picture in double size.
    enlarged: bool,
    pub counters: Counters,
}

impl<F: Finder> Tracker<F> {
    pub fn new(finder: F) -> Self {
        Self {
            finder,
            tracks: Vec::new(),
            chosen: Vec::new(),
            next_id: 0,
            options: Options::default(),
            time: None,
            since_detection: None,
            since_mesh: 0,
            vain_searches: 0,
            enlarged: false,
            counters: Counters::default(),
        }
    }

    /// Forgets all faces, for a stream that starts anew. Ids are not used again.
    pub fn reset(&mut self) {
        self.tracks.clear();
        self.chosen.clear();
        self.time = None;
        self.since_detection = None;
        self.vain_searches = 0;
        self.enlarged = false;
    }

    /// The faces in the next frame, the chosen ones first. `time` is in seconds.
    pub fn update(
        &mut self,
        frame: &Frame,
        time: Option<f64>,
        options: Options,
    ) -> Result<Vec<Face>, Error> {
        let time = self.advance(time);
        if options != self.options {
            let choice = |o: &Options| (o.select, o.max_faces);
            if choice(&options) != choice(&self.options) {
                self.chosen.clear();
            }
            self.options = options;
            self.since_detection = None;
        }
        let lost_one = self.follow(frame, time)?;
        self.since_detection = self.since_detection.map(|n| n.saturating_add(1));
        if lost_one || self.detection_due() {
            self.renew(frame, time)?;
        }
        self.merge_duplicates();
        self.forget(time);
        Ok(self.faces(time))
    }

    /// The frame's time, which never goes back while faces are followed.
    fn advance(&mut self, time: Option<f64>) -> f64 {
        let now = match (time, self.time) {
            (Some(time), Some(last)) if time < last => {
                // A new segment without a flush; the faces may well still be there.
                self.shift(time - last - DEFAULT_INTERVAL);
                time
            }
            (Some(time), _) => time,
            (None, Some(last)) => last + DEFAULT_INTERVAL,
            (None, None) => 0.0,
        };
        self.time = Some(now);
        now
    }

    fn shift(&mut self, seconds: f64) {
        for track in &mut self.tracks {
            track.born += seconds;
            track.seen += seconds;
            if let Some(pose) = &mut track.pose {
                pose.time += seconds;
            }
        }
    }

    /// Moves the meshes on to this frame. Tells whether a face was lost.
    fn follow(&mut self, frame: &Frame, time: f64) -> Result<bool, Error> {
        self.since_mesh = self.since_mesh.saturating_add(1);
        if self.since_mesh < self.options.mesh_interval {
            return Ok(false);
        }
        self.since_mesh = 0;
        let mut lost_one = false;
        for track in self.tracks.iter_mut().filter(|t| !t.lost) {
            let Some(pose) = &mut track.pose else {
                continue;
            };
            let roi = pose.expected(time);
            match measure(&mut self.finder, &mut self.counters, frame, &roi)? {
                Some(found) => {
                    pose.renew(found, time, self.options.smooth);
                    track.seen = time;
                }
                None => {
                    track.lose();
                    lost_one = true;
                }
            }
        }
        Ok(lost_one)
    }

    fn detection_due(&self) -> bool {
        let Some(frames) = self.since_detection else {
            return true;
        };
        let interval = self.options.redetect_interval;
        if interval > 0 && frames >= interval {
            return true;
        }
        let pause = if self.vain_searches < EAGER_SEARCHES {
            1
        } else {
            LAZY_INTERVAL
        };
        self.searching() && frames >= pause
    }

    /// Whether a face is missing that should be followed.
    fn searching(&self) -> bool {
        let followed = |id: &u32| {
            self.tracks
                .iter()
                .any(|t| t.id == *id && !t.lost && t.pose.is_some())
        };
        self.chosen.is_empty() || !self.chosen.iter().all(followed)
    }

    /// Runs the detector and brings tracks and choice up to date with it.
    fn renew(&mut self, frame: &Frame, time: f64) -> Result<(), Error> {
        let large = frame.layout.width.max(frame.layout.height) > self.options.detector_size;
        let factor = if self.enlarged && large { 2 } else { 1 };
        let size = self.options.detector_size * factor;
        let started = Instant::now();
        let found = self.finder.detect(frame, size, self.options.min_score)?;
        self.counters.detector_runs += 1;
        self.counters.detector_time += started.elapsed();
        self.since_detection = Some(0);

        self.associate(found, time);
        self.pass_on_choice(frame, time)?;
        self.choose(frame, time)?;
        if self.searching() {
            self.vain_searches = self.vain_searches.saturating_add(1);
            self.enlarged = !self.enlarged;
        } else {
            self.vain_searches = 0;
        }
        Ok(())
    }

    fn associate(&mut self, found: Vec<Detection>, time: f64) {
        let mut confirmed = vec![false; self.tracks.len()];
        let mut unknown = Vec::new();
        // Faces that are seen have the first claim, those that were lost the second.
        for detection in found {
            match self.nearest(&detection, &confirmed, false) {
                Some(i) => {
                    confirmed[i] = true;
                    self.tracks[i].confirm(detection, time);
                }
                None => unknown.push(detection),
            }
        }
        for detection in unknown {
            match self.nearest(&detection, &confirmed, true) {
                Some(i) => {
                    confirmed[i] = true;
                    self.tracks[i].confirm(detection, time);
                }
                None => {
                    let id = self.next_id;
                    self.next_id = self.next_id.wrapping_add(1);
                    self.tracks.push(Track::new(id, detection, time));
                }
            }
        }
        for (_, track) in confirmed
            .iter()
            .zip(&mut self.tracks)
            .filter(|(confirmed, _)| !**confirmed)
        {
            track.miss();
        }
    }

    /// The track that the detection is most likely to belong to.
    fn nearest(&self, detection: &Detection, taken: &[bool], lost: bool) -> Option<usize> {
        let candidates = self.tracks.iter().zip(taken).enumerate();
        candidates
            .filter(|(_, (track, taken))| !**taken && track.lost == lost)
            .filter_map(|(i, (track, _))| {
                let distance = distance(&track.bounds(), &detection.bounds)?;
                Some((i, distance))
            })
            .min_by(|(_, a), (_, b)| a.total_cmp(b))
            .map(|(i, _)| i)
    }

    /// Gives up a lost choice when a face has come since.
    fn pass_on_choice(&mut self, frame: &Frame, time: f64) -> Result<(), Error> {
        for n in (0..self.chosen.len()).rev() {
            let id = self.chosen[n];
            let Some(left) = self.tracks.iter().find(|t| t.id == id && t.lost) else {
                continue;
            };
            let left = left.seen;
            for i in 0..self.tracks.len() {
                let track = &self.tracks[i];
                if track.lost || track.born <= left || self.chosen.contains(&track.id) {
                    continue;
                }
                // The detector alone may be wrong about it.
                self.find_pose(i, frame, time)?;
                if self.tracks[i].pose.is_some() {
                    self.chosen.remove(n);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Chooses faces up to the number that is wanted and finds the mesh of those that lack one.
    fn choose(&mut self, frame: &Frame, time: f64) -> Result<(), Error> {
        for i in 0..self.tracks.len() {
            let track = &self.tracks[i];
            if !track.lost && track.pose.is_none() && self.chosen.contains(&track.id) {
                self.find_pose(i, frame, time)?;
            }
        }
        let visible: Vec<usize> = (0..self.tracks.len())
            .filter(|&i| !self.tracks[i].lost)
            .collect();
        let bounds: Vec<Rect> = visible.iter().map(|&i| self.tracks[i].bounds()).collect();
        let layout = &frame.layout;
        let order = self
            .options
            .select
            .rank(&bounds, layout.width, layout.height);
        for i in order.into_iter().map(|n| visible[n]) {
            if self.chosen.len() >= self.options.max_faces {
                break;
            }
            let id = self.tracks[i].id;
            if self.chosen.contains(&id) {
                continue;
            }
            if self.tracks[i].pose.is_none() {
                self.find_pose(i, frame, time)?;
            }
            // What has no mesh can't be followed: the next one may.
            if self.tracks[i].pose.is_some() {
                self.chosen.push(id);
            }
        }
        for track in &mut self.tracks {
            if !self.chosen.contains(&track.id) {
                track.pose = None;
            }
        }
        Ok(())
    }

    /// Finds the mesh of a detected face.
    fn find_pose(&mut self, track: usize, frame: &Frame, time: f64) -> Result<(), Error> {
        // From where the mesh says the face is, as all following frames do, until that stays the same
        // square: else the points of the first frames would drift, even in a still picture.
        let mut roi = Roi::from_detection(&self.tracks[track].detection);
        let mut found = None;
        for _ in 0..SETTLING_RUNS {
            found = measure(&mut self.finder, &mut self.counters, frame, &roi)?;
            let Some((mesh, _)) = &found else {
                break;
            };
            let next = roi.follow(mesh);
            if next == roi {
                break;
            }
            roi = next;
        }
        self.tracks[track].pose = found.map(|found| Pose::new(found, roi, time));
        Ok(())
    }

    fn merge_duplicates(&mut self) {
        let mut i = 0;
        while i < self.tracks.len() {
            let track = &self.tracks[i];
            let rank = |t: &Track| (!self.chosen.contains(&t.id), t.id);
            let better = |t: &Track| {
                t.id != track.id
                    && !t.lost
                    && !track.lost
                    && rank(t) < rank(track)
                    && t.bounds().iou(&track.bounds()) > DUPLICATE_IOU
            };
            if self.tracks.iter().any(better) {
                let id = self.tracks.remove(i).id;
                self.chosen.retain(|&c| c != id);
            } else {
                i += 1;
            }
        }
    }

    fn forget(&mut self, time: f64) {
        self.tracks
            .retain(|t| !t.lost || time - t.seen <= MEMORY_SECONDS);
        let tracks = &self.tracks;
        self.chosen.retain(|id| tracks.iter().any(|t| t.id == *id));
    }

    fn faces(&self, time: f64) -> Vec<Face> {
        let chosen = |t: &Track| self.chosen.iter().position(|id| *id == t.id);
        let mut visible: Vec<&Track> = self.tracks.iter().filter(|t| !t.lost).collect();
        visible.sort_by_key(|t| (chosen(t).unwrap_or(usize::MAX), t.id));
        visible.into_iter().map(|t| t.face(time)).collect()
    }
}

/// Runs the mesh; nothing where there is no face in `roi`, or one that has left the picture.
fn measure<F: Finder>(
    finder: &mut F,
    counters: &mut Counters,
    frame: &Frame,
    roi: &Roi,
) -> Result<Option<(Mesh, f32)>, Error> {
    let started = Instant::now();
    let found = finder.mesh(frame, roi)?;
    counters.mesh_runs += 1;
    counters.mesh_time += started.elapsed();
    Ok(found.filter(|(mesh, presence)| {
        let [x, y] = mesh.bounds().centre();
        let inside = |v: f32, side: usize| v >= 0.0 && v <= side as f32;
        *presence >= MIN_PRESENCE && inside(x, frame.layout.width) && inside(y, frame.layout.height)
    }))
}

#[cfg(test)]
mod tests;
