//! Who speaks: which of the voices is that of which face.
//!
//! A voice that found its face stays with it, by its track, wherever it goes in the picture. While the
//! face is gone nobody else gets the voice, but whoever looks like the picture that says who is meant, or,
//! of places, where as many faces are there as when it was chosen, as after a cut; after [`MEMORY`] it is
//! given anew. So a bystander never gets the speech of somebody who turned away. Places are counted once all whom they are asked for are in the
//! picture: who is left of two can't be told while there is one.

use std::collections::BTreeMap;
use std::path::Path;

use gst::ClockTime;
use smallvec::SmallVec;

use super::settings::Whose;
use crate::face::Face;

/// So long a face that is gone keeps its voice; as long as `facetrack` remembers it.
const MEMORY: ClockTime = ClockTime::from_seconds(5);

/// Whom a voice was given.
struct Given {
    /// As the pad said then.
    whose: Whose,
    track: u32,
    seen: ClockTime,
    /// Faces in the picture then.
    among: usize,
}

/// Tells the voices of a stream apart. A pad that was released and requested again is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VoiceId(pub u32);

/// Why a voice has no face in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silent {
    /// No such face is in the picture.
    NoSuchFace,
    /// Its face has a box, but no points.
    NotFollowed,
    /// Another voice has its face already.
    Taken(VoiceId),
}

/// The voices and whom they were given.
#[derive(Default)]
pub struct Cast {
    given: BTreeMap<VoiceId, Given>,
}

/// Something of each voice: mostly there is one, or two.
pub type Each<T> = SmallVec<[T; 2]>;

/// Indices of faces.
pub type Indices = SmallVec<[usize; 4]>;

/// Of one voice: the faces that it moves.
pub type Part = Result<Indices, Silent>;

impl Cast {
    /// Whose faces are in another stream.
    pub fn reset(&mut self) {
        self.given.clear();
    }

    /// Says for each of `voices` which of the faces it moves. `likeness` says which face looks like the one
    /// in a picture. Where `needs_points`, a face without them can't be moved.
    pub fn parts(
        &mut self,
        voices: &[(VoiceId, Whose)],
        faces: &[Face],
        time: ClockTime,
        needs_points: bool,
        likeness: &mut dyn FnMut(&Path) -> Option<usize>,
    ) -> Each<Part> {
        self.given.retain(|id, given| {
            let mut voices = voices.iter();
            voices.any(|(voice, whose)| voice == id && *whose == given.whose)
        });
        // Faces, and who has them.
        let mut taken: Each<(usize, VoiceId)> = Each::new();
        let has = |taken: &Each<(usize, VoiceId)>, index| {
            let mut taken = taken.iter().filter(|(face, _)| *face == index);
            taken.next().map(|(_, voice)| *voice)
        };
        let mut parts: Each<Part> = voices.iter().map(|_| Err(Silent::NoSuchFace)).collect();
        // Those who have their face keep it, whoever else would get it.
        for (id, whose) in voices {
            if matches!(whose, Whose::Position(_) | Whose::Picture(_))
                && let Some(given) = self.given.get_mut(id)
                && let Some(index) = index_of(faces, given.track)
            {
                given.seen = time;
                if has(&taken, index).is_none() {
                    taken.push((index, *id));
                }
            }
        }
        let order = match faces.len() >= least(voices) {
            true => from_the_left(faces),
            false => Indices::new(),
        };
        for (part, (id, whose)) in parts.iter_mut().zip(voices) {
            let index = match whose {
                Whose::Others => continue,
                Whose::Track(track) => index_of(faces, *track),
                Whose::Position(_) | Whose::Picture(_) if self.keeps(*id, faces, time) => {
                    self.given.get(id).and_then(|g| index_of(faces, g.track))
                }
                Whose::Position(position) => at(&order, *position),
                Whose::Picture(picture) => likeness(picture),
            };
            let Some(index) = index else {
                continue;
            };
            match has(&taken, index) {
                Some(other) if other != *id => {
                    *part = Err(Silent::Taken(other));
                    continue;
                }
                Some(_) => {}
                None => taken.push((index, *id)),
            }
            self.given.insert(
                *id,
                Given {
                    whose: whose.clone(),
                    track: faces[index].id,
                    seen: time,
                    among: faces.len(),
                },
            );
            *part = match needs_points && faces[index].mesh.is_none() {
                true => Err(Silent::NotFollowed),
                false => Ok(Indices::from_slice(&[index])),
            };
        }
        for (part, _) in parts
            .iter_mut()
            .zip(voices)
            .filter(|(_, (_, whose))| *whose == Whose::Others)
        {
            let free = (0..faces.len()).filter(|index| has(&taken, *index).is_none());
            let free = free.filter(|index| !needs_points || faces[*index].mesh.is_some());
            *part = Ok(free.collect());
        }
        parts
    }

    /// Whether a voice stays with whom it was given.
    fn keeps(&self, id: VoiceId, faces: &[Face], time: ClockTime) -> bool {
        let Some(given) = self.given.get(&id) else {
            return false;
        };
        let is_here = index_of(faces, given.track).is_some();
        // Whoever is meant by a picture can be told among any number of faces.
        let is_counted = matches!(given.whose, Whose::Position(_));
        let is_remembered = given.seen + MEMORY > time;
        is_here || (is_counted && is_remembered && faces.len() < given.among)
    }
}

/// How many faces there must be for places to be counted.
fn least(voices: &[(VoiceId, Whose)]) -> usize {
    let positions = voices.iter().filter_map(|(_, whose)| match whose {
        Whose::Position(position) => Some(*position),
        _ => None,
    });
    let farthest = positions.clone().map(|position| match position {
        0.. => position as usize + 1,
        _ => position.unsigned_abs() as usize,
    });
    positions.count().max(farthest.max().unwrap_or(0))
}

fn index_of(faces: &[Face], track: u32) -> Option<usize> {
    faces.iter().position(|face| face.id == track)
}

/// The faces in their order from the left.
fn from_the_left(faces: &[Face]) -> Indices {
    let mut order: Indices = (0..faces.len()).collect();
    let x = |index: &usize| faces[*index].bounds.centre()[0];
    order.sort_by(|a, b| x(a).total_cmp(&x(b)));
    order
}

fn at(order: &[usize], position: i32) -> Option<usize> {
    let position = match position {
        0.. => position as usize,
        _ => order.len().checked_sub(position.unsigned_abs() as usize)?,
    };
    order.get(position).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::{MESH_POINTS, Mesh, Rect};

    fn face(id: u32, x: f32) -> Face {
        Face {
            id,
            bounds: Rect {
                x,
                y: 0.0,
                width: 10.0,
                height: 10.0,
            },
            score: 1.0,
            mesh: Some(Mesh(Box::new([[x, 5.0, 0.0]; MESH_POINTS]))),
        }
    }

    fn faces_of(indices: &[usize]) -> Part {
        Ok(Indices::from_slice(indices))
    }

    const A: VoiceId = VoiceId(1);
    const B: VoiceId = VoiceId(2);

    /// The tracks that each voice moves, frame by frame; a frame is a second and the faces in it.
    fn play(voices: &[(VoiceId, Whose)], frames: &[(u64, &[Face])]) -> Vec<Vec<Vec<u32>>> {
        let mut cast = Cast::default();
        let frames = frames.iter();
        frames
            .map(|(second, faces)| {
                let time = ClockTime::from_seconds(*second);
                let parts = cast.parts(voices, faces, time, true, &mut |_| None);
                let tracks = |part: &Part| {
                    let indices = part.clone().unwrap_or_default();
                    indices.into_iter().map(|index| faces[index].id).collect()
                };
                parts.iter().map(tracks).collect::<Vec<_>>()
            })
            .collect()
    }

    fn left_and_right() -> [(VoiceId, Whose); 2] {
        [(A, Whose::Position(0)), (B, Whose::Position(-1))]
    }

    #[test]
    fn voices_are_counted_from_the_left_and_from_the_right() {
        let faces = [face(7, 200.0), face(8, 100.0), face(9, 300.0)];
        assert_eq!(
            play(&left_and_right(), &[(0, &faces)]),
            [[vec![8], vec![9]]]
        );
        let middle = [(A, Whose::Position(1)), (B, Whose::Position(-3))];
        assert_eq!(play(&middle, &[(0, &faces)]), [[vec![7], vec![8]]]);
        // A fourth from the right is not there yet, so nobody knows who is the second from the left.
        let more = [(A, Whose::Position(1)), (B, Whose::Position(-4))];
        let nobody: [Vec<u32>; 2] = Default::default();
        assert_eq!(play(&more, &[(0, &faces)]), [nobody]);
    }

    #[test]
    fn a_voice_stays_with_its_face_when_places_are_changed() {
        let changed = [face(1, 300.0), face(2, 100.0)];
        let before = [face(1, 100.0), face(2, 300.0)];
        let parts = play(&left_and_right(), &[(0, &before), (1, &changed)]);
        assert_eq!(parts[1], [[1], [2]]);
    }

    #[test]
    fn nobody_gets_the_voice_of_a_face_that_is_gone_for_a_moment() {
        let three = [face(1, 100.0), face(2, 200.0), face(3, 300.0)];
        let voices = [(A, Whose::Position(0)), (B, Whose::Position(1))];
        let gone = [face(2, 200.0), face(3, 300.0)];
        let bystanders = [face(3, 300.0)];
        let parts = play(
            &voices,
            &[(0, &three), (1, &gone), (2, &bystanders), (3, &three)],
        );
        assert_eq!(parts[1], [vec![], vec![2]]);
        assert_eq!(parts[2], [vec![], vec![]] as [Vec<u32>; 2]);
        assert_eq!(parts[3], [[1], [2]]);
    }

    #[test]
    fn after_a_cut_and_after_a_while_voices_are_given_anew() {
        let before = [face(1, 100.0), face(2, 300.0)];
        let cut = [face(3, 300.0), face(4, 100.0)];
        let parts = play(&left_and_right(), &[(0, &before), (1, &cut)]);
        assert_eq!(parts[1], [[4], [3]]);
        let alone = [face(5, 100.0)];
        let nobody = [vec![], vec![]] as [Vec<u32>; 2];
        assert_eq!(play(&left_and_right(), &[(0, &alone)]), [nobody]);
        let voices = [(A, Whose::Position(0))];
        let parts = play(&voices, &[(0, &before), (4, &alone), (5, &alone)]);
        assert_eq!(parts[1..], [[vec![]], [vec![5]]]);
    }

    #[test]
    fn a_voice_that_is_to_be_another_face_s_moves_on_at_once() {
        let faces = [face(1, 100.0), face(2, 300.0)];
        let mut cast = Cast::default();
        for (position, index) in [(0, 0), (1, 1), (-2, 0)] {
            let voices = [(A, Whose::Position(position))];
            let parts = cast.parts(&voices, &faces, ClockTime::ZERO, true, &mut |_| None);
            assert_eq!(parts[..], [faces_of(&[index])]);
        }
    }

    #[test]
    fn whoever_is_meant_by_a_picture_is_known_again_in_a_close_up() {
        let voices = [(A, Whose::Picture(Path::new("a.png").into()))];
        let mut cast = Cast::default();
        let mut tracks = |faces: &[Face], found: Option<usize>| {
            let mut likeness = |_: &Path| found;
            let parts = cast.parts(&voices, faces, ClockTime::ZERO, true, &mut likeness);
            parts.into_iter().next().unwrap()
        };
        let both = [face(1, 100.0), face(2, 300.0)];
        assert_eq!(tracks(&both, Some(1)), faces_of(&[1]));
        // Found once, it is followed.
        assert_eq!(tracks(&both, None), faces_of(&[1]));
        assert_eq!(tracks(&[face(3, 0.0)], None), Err(Silent::NoSuchFace));
        assert_eq!(tracks(&[face(4, 0.0)], Some(0)), faces_of(&[0]));
    }

    #[test]
    fn two_voices_never_move_one_face() {
        let faces = [face(1, 100.0), face(2, 300.0)];
        let twice = [(A, Whose::Position(0)), (B, Whose::Track(1))];
        assert_eq!(play(&twice, &[(0, &faces)]), [[vec![1], vec![]]]);
        let mut cast = Cast::default();
        let parts = cast.parts(&twice, &faces, ClockTime::ZERO, true, &mut |_| None);
        assert_eq!(parts[1], Err(Silent::Taken(A)));
    }

    #[test]
    fn the_others_are_those_whom_nobody_speaks_for() {
        let faces = [face(1, 100.0), face(2, 300.0), face(3, 200.0)];
        let voices = [(A, Whose::Others), (B, Whose::Track(3))];
        assert_eq!(play(&voices, &[(0, &faces)]), [[vec![1, 2], vec![3]]]);
        let mut boxed = faces.clone();
        boxed[0].mesh = None;
        assert_eq!(play(&voices, &[(0, &boxed)]), [[vec![2], vec![3]]]);
        let mut cast = Cast::default();
        let voices = [(A, Whose::Position(0))];
        let parts = cast.parts(&voices, &boxed, ClockTime::ZERO, true, &mut |_| None);
        assert_eq!(parts[..], [Err(Silent::NotFollowed)]);
    }
}
