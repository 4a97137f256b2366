use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::*;
use crate::face::MESH_POINTS;
use crate::picture::frame::Layout;

const FPS: f64 = 25.0;

/// A face of the scene: upright, square, as wide as it is high.
#[derive(Clone, Copy)]
struct Actor {
    x: f32,
    size: f32,
    /// Whether the detector sees it.
    detected: bool,
    /// What the mesh says of it.
    presence: f32,
}

fn actor(x: f32, size: f32) -> Actor {
    Actor {
        x,
        size,
        detected: true,
        presence: 0.99,
    }
}

impl Actor {
    fn bounds(&self) -> Rect {
        Rect {
            x: self.x - self.size / 2.0,
            y: 100.0 - self.size / 2.0,
            width: self.size,
            height: self.size,
        }
    }

    fn detection(&self) -> Detection {
        let eye = |side: f32| [self.x + side * self.size / 4.0, 80.0];
        Detection {
            bounds: self.bounds(),
            score: 0.9,
            landmarks: [eye(-1.0), eye(1.0), [self.x, 100.0], eye(-1.0), eye(1.0)],
        }
    }

    fn mesh(&self) -> Mesh {
        let Rect { x, y, width, .. } = self.bounds();
        let mut points = Box::new([[self.x, 100.0, 0.0]; MESH_POINTS]);
        points[0] = [x, y, 0.0];
        points[1] = [x + width, y + width, 0.0];
        points[33] = [x + width * 0.25, 80.0, 0.0];
        points[263] = [x + width * 0.75, 80.0, 0.0];
        Mesh(points)
    }
}

#[derive(Clone, Default)]
struct Scene {
    actors: Rc<RefCell<Vec<Actor>>>,
    /// The detector is off by so many pixels.
    detector_error: Rc<Cell<f32>>,
    /// The size from which on the detector sees anything.
    least_size: Rc<Cell<usize>>,
}

impl Finder for Scene {
    fn detect(&mut self, _: &Frame, size: usize, _: f32) -> Result<Vec<Detection>, Error> {
        let actors = self.actors.borrow();
        let seen = actors
            .iter()
            .filter(|a| a.detected && size >= self.least_size.get());
        Ok(seen
            .map(|a| {
                let mut detection = a.detection();
                detection.bounds.x += self.detector_error.get();
                detection
            })
            .collect())
    }

    fn mesh(&mut self, _: &Frame, roi: &Roi) -> Result<Option<(Mesh, f32)>, Error> {
        let actors = self.actors.borrow();
        let seen = actors
            .iter()
            .filter(|a| (a.x - roi.centre[0]).abs() < roi.side / 3.0)
            .min_by(|a, b| {
                let distance = |a: &Actor| (a.x - roi.centre[0]).abs();
                distance(a).total_cmp(&distance(b))
            });
        Ok(seen.map(|a| {
            // As the real one, it depends a little on where it looks.
            let mut mesh = a.mesh();
            let pull = (roi.centre[0] - a.x) * 0.02;
            mesh.0.iter_mut().for_each(|point| point[0] += pull);
            (mesh, a.presence)
        }))
    }
}

struct Stage {
    scene: Scene,
    tracker: Tracker<Scene>,
    options: Options,
    frame: u32,
}

impl Stage {
    fn new(actors: &[Actor]) -> Self {
        let scene = Scene::default();
        scene.actors.borrow_mut().extend(actors);
        Self {
            tracker: Tracker::new(scene.clone()),
            scene,
            options: Options::default(),
            frame: 0,
        }
    }

    fn set(&self, actors: &[Actor]) {
        *self.scene.actors.borrow_mut() = actors.to_vec();
    }

    fn at(&mut self, time: Option<f64>) -> Vec<Face> {
        let frame = Frame {
            layout: Layout::rgb(1000, 200),
            planes: [&[], &[], &[]],
        };
        self.tracker.update(&frame, time, self.options).unwrap()
    }

    fn next(&mut self) -> Vec<Face> {
        self.frame += 1;
        self.at(Some(f64::from(self.frame) / FPS))
    }

    fn play(&mut self, seconds: f64) -> Vec<Face> {
        for _ in 1..(seconds * FPS) as u32 {
            self.next();
        }
        self.next()
    }
}

/// Ids of the faces that have a mesh.
fn followed(faces: &[Face]) -> Vec<u32> {
    faces
        .iter()
        .filter(|f| f.mesh.is_some())
        .map(|f| f.id)
        .collect()
}

fn x(face: &Face) -> f32 {
    face.bounds.centre()[0]
}

#[test]
fn a_moving_face_keeps_its_id_between_detections() {
    let mut stage = Stage::new(&[actor(100.0, 80.0)]);
    let id = followed(&stage.next());
    for step in 1..=100 {
        let at = 100.0 + step as f32 * 6.0;
        stage.set(&[actor(at, 80.0)]);
        let faces = stage.next();
        assert_eq!(followed(&faces), id);
        assert!((x(&faces[0]) - at).abs() < 4.0, "{} at {at}", x(&faces[0]));
    }
    assert_eq!(stage.tracker.counters.detector_runs, 3);
}

#[test]
fn a_still_picture_gives_the_same_points_from_the_first_frame_on() {
    let mut stage = Stage::new(&[actor(300.0, 80.0)]);
    stage.scene.detector_error.set(9.0);
    let first = stage.next();
    for _ in 0..60 {
        assert!(stage.next()[0].mesh == first[0].mesh, "the points drift");
    }
}

#[test]
fn who_leaves_and_returns_to_the_place_keeps_the_id() {
    let mut stage = Stage::new(&[actor(300.0, 80.0)]);
    let id = followed(&stage.play(1.0));
    stage.set(&[]);
    assert_eq!(stage.play(MEMORY_SECONDS - 0.5), []);
    stage.set(&[actor(330.0, 90.0)]);
    assert_eq!(followed(&stage.play(0.2)), id);
}

#[test]
fn who_returns_after_long_or_elsewhere_is_someone_new() {
    let mut stage = Stage::new(&[actor(300.0, 80.0)]);
    let id = followed(&stage.play(1.0));
    stage.set(&[]);
    stage.play(MEMORY_SECONDS + 0.5);
    stage.set(&[actor(300.0, 80.0)]);
    let second = followed(&stage.play(0.2));
    assert!(second.len() == 1 && second != id);
    stage.set(&[actor(700.0, 80.0)]);
    let third = followed(&stage.play(0.2));
    assert!(third.len() == 1 && third != second);
}

#[test]
fn the_choice_stays_when_another_face_grows_larger() {
    let mut stage = Stage::new(&[actor(300.0, 80.0), actor(700.0, 60.0)]);
    let faces = stage.next();
    let id = followed(&faces);
    assert_eq!(faces.len(), 2);
    assert!((x(&faces[0]) - 300.0).abs() < 1.0 && faces[0].id == id[0]);
    stage.set(&[actor(300.0, 80.0), actor(700.0, 100.0)]);
    assert_eq!(followed(&stage.play(5.0)), id);
}

#[test]
fn a_bystander_does_not_speak_while_the_speaker_is_remembered() {
    let bystander = actor(700.0, 60.0);
    let mut stage = Stage::new(&[actor(300.0, 80.0), bystander]);
    let speaker = followed(&stage.play(1.0));
    stage.set(&[bystander]);
    assert_eq!(followed(&stage.play(MEMORY_SECONDS - 0.5)), [0; 0]);
    stage.set(&[actor(300.0, 80.0), bystander]);
    assert_eq!(followed(&stage.play(0.2)), speaker);

    stage.set(&[bystander]);
    let next = followed(&stage.play(MEMORY_SECONDS + 0.5));
    assert!(next.len() == 1 && next != speaker);
}

#[test]
fn after_a_cut_the_new_face_is_followed_at_once() {
    let mut stage = Stage::new(&[actor(300.0, 80.0)]);
    let first = followed(&stage.play(1.0));
    stage.set(&[actor(600.0, 120.0)]);
    let second = followed(&stage.next());
    assert!(second.len() == 1 && second != first);
}

#[test]
fn an_empty_picture_is_searched_eagerly_and_then_lazily() {
    let mut stage = Stage::new(&[]);
    stage.play(4.0);
    let runs = stage.tracker.counters.detector_runs as u32;
    let lazy = (4 * FPS as u32 - EAGER_SEARCHES) / LAZY_INTERVAL;
    assert_eq!(runs, EAGER_SEARCHES + lazy);
    stage.set(&[actor(300.0, 80.0)]);
    stage.play(f64::from(LAZY_INTERVAL) / FPS);
    assert_eq!(followed(&stage.next()), [0]);
}

#[test]
fn small_faces_are_searched_in_double_size_and_confirmed_in_it() {
    let mut face = actor(300.0, 80.0);
    face.presence = 0.7;
    let mut stage = Stage::new(&[face]);
    stage.scene.least_size.set(640);
    assert_eq!(stage.next(), []);
    assert_eq!(followed(&stage.next()), [0]);
    assert_eq!(followed(&stage.play(6.0)), [0]);
}

#[test]
fn a_detection_does_not_move_the_points() {
    let mut stage = Stage::new(&[actor(300.0, 80.0)]);
    let before = stage.play(1.0);
    stage.scene.detector_error.set(20.0);
    let runs = stage.tracker.counters.detector_runs;
    let after = stage.play(2.0);
    assert!(stage.tracker.counters.detector_runs > runs);
    assert_eq!(before, after);
}

#[test]
fn more_faces_are_followed_when_asked_and_the_chosen_comes_first() {
    let mut stage = Stage::new(&[actor(200.0, 60.0), actor(500.0, 90.0), actor(800.0, 70.0)]);
    stage.options.max_faces = 2;
    let faces = stage.play(1.0);
    let places: Vec<_> = faces.iter().map(|f| x(f).round()).collect();
    assert_eq!(places, [500.0, 800.0, 200.0]);
    assert_eq!(followed(&faces).len(), 2);

    stage.options.select = Select::Leftmost;
    assert_eq!(x(&stage.next()[0]).round(), 200.0);
    stage.options.select = Select::Index(2);
    stage.options.max_faces = 1;
    let faces = stage.next();
    assert_eq!(x(&faces[0]).round(), 800.0);
    assert_eq!(followed(&faces).len(), 1);
}

#[test]
fn two_tracks_on_one_face_become_one() {
    let speaker = actor(300.0, 80.0);
    let mut stage = Stage::new(&[speaker, actor(400.0, 79.0)]);
    stage.options.max_faces = 2;
    let ids = followed(&stage.next());
    assert_eq!(ids.len(), 2);
    // The other one comes near and disappears behind the speaker.
    for step in 0..7 {
        stage.set(&[speaker, actor(400.0 - step as f32 * 10.0, 79.0)]);
        assert_eq!(followed(&stage.next()), ids);
    }
    stage.set(&[speaker]);
    assert_eq!(followed(&stage.play(0.2)), ids[..1]);
}

#[test]
fn what_has_no_mesh_is_passed_over() {
    let poster = Actor {
        presence: 0.1,
        ..actor(300.0, 150.0)
    };
    let mut stage = Stage::new(&[poster, actor(700.0, 60.0)]);
    let faces = stage.next();
    assert!((x(&faces[0]) - 700.0).abs() < 1.0);
    assert_eq!(followed(&faces), [faces[0].id]);
}

#[test]
fn a_doubtful_face_needs_the_detector_and_a_sure_one_does_not() {
    for (presence, stays) in [(0.7, false), (0.99, true)] {
        let mut face = actor(300.0, 80.0);
        face.presence = presence;
        let mut stage = Stage::new(&[face]);
        assert_eq!(followed(&stage.next()).len(), 1);
        face.detected = false;
        stage.set(&[face]);
        assert_eq!(followed(&stage.play(5.0)).len(), usize::from(stays));
    }
}

#[test]
fn skipped_meshes_move_on_with_the_face() {
    let mut stage = Stage::new(&[actor(200.0, 80.0)]);
    stage.options.mesh_interval = 3;
    for step in 0..60 {
        let at = 200.0 + step as f32 * 5.0;
        stage.set(&[actor(at, 80.0)]);
        let faces = stage.next();
        if step > 20 {
            assert!((x(&faces[0]) - at).abs() < 3.0, "{} at {at}", x(&faces[0]));
        }
    }
    // The detector's square was right, so the first look was enough.
    assert_eq!(stage.tracker.counters.mesh_runs, 1 + 60 / 3);
}

#[test]
fn missing_and_backward_times_lose_nobody() {
    let mut stage = Stage::new(&[actor(300.0, 80.0)]);
    let id = followed(&stage.at(Some(100.0)));
    for time in [None, Some(2.0), Some(2.0), None, Some(1e6), Some(0.0)] {
        assert_eq!(followed(&stage.at(time)), id);
    }
}

#[test]
fn a_reset_forgets_everybody_and_uses_no_id_again() {
    let mut stage = Stage::new(&[actor(300.0, 80.0)]);
    let first = followed(&stage.next());
    stage.tracker.reset();
    let second = followed(&stage.next());
    assert!(second.len() == 1 && second != first);
}
