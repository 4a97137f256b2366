//! What a learnt face can do, how good the result will be, and what is in its way: in words, from the
//! figures of its face file.
//!
//! Lengths are in units of the distance between the eyes. The limits come from what speech needs: a mouth
//! that talks opens to about 0.2 and closes for every p, b and m.

use gstlipsync::bank::Summary;
use serde::Serialize;

/// What to expect of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    Poor,
    Fair,
    Good,
}

impl Expect {
    pub const fn words(self) -> &'static str {
        match self {
            Self::Good => "good: the mouth can come from the person's own frames throughout",
            Self::Fair => "fair: some mouths have to be bent or painted",
            Self::Poor => "poor: most mouths have to be bent or painted",
        }
    }
}

/// What is in the way, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    pub reason: String,
    pub remedy: &'static str,
    /// How far it brings the result down.
    #[serde(skip)]
    pub leaves: Expect,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    pub expect: Expect,
    /// What the face shows.
    pub shows: Vec<String>,
    pub obstacles: Vec<Obstacle>,
}

/// Mouths of a kind from which one can be chosen at all.
const FEW: usize = 4;
/// Frames with a face below which there is little to choose from.
const FEW_FRAMES: u64 = 150;
/// The mouth of someone who speaks up.
const WIDE_OPEN: f32 = 0.2;
const PARTED: f32 = 0.1;
/// Between pursed and spread lips.
const VARIED_WIDTH: f32 = 0.08;
/// Degrees from which a head is seen from the side.
const SIDE: f32 = 30.0;
/// How far a head must turn to have been seen from more than the front.
const TURNS: f32 = 20.0;
const SMALL: f32 = 40.0;
const TINY: f32 = 20.0;
const SOFT: f32 = 0.012;
const HIDDEN: f32 = 0.1;
const OFTEN_ABSENT: f64 = 0.8;

/// Judges a face, of which the whole video was looked at or not.
pub fn judge(summary: &Summary, is_whole: bool) -> Judgement {
    let obstacles = obstacles(summary, is_whole);
    let least = obstacles.iter().map(|o| o.leaves).min();
    let fair = obstacles.iter().filter(|o| o.leaves == Expect::Fair);
    let expect = match least.unwrap_or(Expect::Good) {
        // Three weak points are no less than a bad one.
        Expect::Fair if fair.count() >= 3 => Expect::Poor,
        expect => expect,
    };
    Judgement {
        expect,
        shows: shows(summary),
        obstacles,
    }
}

fn shows(summary: &Summary) -> Vec<String> {
    let [closed, open] = [summary.closed_mouths, summary.open_mouths];
    let between = summary.mouths.saturating_sub(closed + open);
    let [narrow, wide] = summary.width_range;
    let [left, right] = summary.yaw;
    vec![
        format!(
            "{} mouths: {closed} closed, {between} a little open, {open} open",
            summary.mouths
        ),
        format!(
            "open up to {:.0} % of the distance between the eyes",
            summary.opening[1] * 100.0
        ),
        format!(
            "wide from {:.0} to {:.0} % of it",
            narrow * 100.0,
            wide * 100.0
        ),
        format!("head turned from {left:.0} to {right:.0} degrees"),
    ]
}

fn obstacles(summary: &Summary, is_whole: bool) -> Vec<Obstacle> {
    let mut found = Vec::new();
    let mut note = |leaves, reason: String, remedy| {
        found.push(Obstacle {
            reason,
            remedy,
            leaves,
        });
    };
    let share = |part: u64, of: u64| part as f64 / of.max(1) as f64;
    if summary.frames_with_face < FEW_FRAMES {
        note(
            Expect::Fair,
            format!(
                "few frames: only {} show the face",
                summary.frames_with_face
            ),
            "Take a longer video: half a minute of talking does",
        );
    }
    if share(summary.frames_with_face, summary.frames) < OFTEN_ABSENT {
        note(
            Expect::Fair,
            format!(
                "the face is seen in {:.0} % of the frames",
                100.0 * share(summary.frames_with_face, summary.frames)
            ),
            "Take a video in which the face stays in the picture, or choose it with --face-choice if it is the wrong one",
        );
    }
    if summary.closed_mouths < FEW {
        note(
            Expect::Poor,
            "no closed mouth: the lips never meet, as they must for p, b and m".into(),
            "Take a video in which the person also pauses with the mouth closed",
        );
    }
    let widest = summary.opening[1];
    if summary.open_mouths < FEW || widest < PARTED {
        note(
            Expect::Poor,
            "no open mouth: teeth and tongue were never seen and have to be painted".into(),
            "Take a video in which the person talks, or says aaa, eee and ooo once",
        );
    } else if widest < WIDE_OPEN {
        note(
            Expect::Fair,
            "the mouth never opens wide".into(),
            "Take a video in which the person talks loud, or says aaa once",
        );
    }
    if summary.width_range[1] - summary.width_range[0] < VARIED_WIDTH {
        note(
            Expect::Fair,
            "the mouth is always of the same width: neither pursed nor spread".into(),
            "Take a video in which the person talks, or says ooo and eee once",
        );
    }
    let [left, right] = summary.yaw;
    if (left + right).abs() / 2.0 > SIDE {
        note(
            Expect::Poor,
            "profile: the head is seen from the side".into(),
            "Take a video in which the person looks at the camera",
        );
    } else if right - left > TURNS * 2.5 {
        note(
            Expect::Fair,
            "the head turns far: for each pose there are fewer mouths".into(),
            "Take a longer video, or one with a quieter head",
        );
    }
    if summary.eyes < SMALL {
        note(
            if summary.eyes < TINY {
                Expect::Poor
            } else {
                Expect::Fair
            },
            format!("small face: {:.0} pixels between the eyes", summary.eyes),
            "Take a video of higher resolution, or one from nearer",
        );
    }
    if summary.sharp < SOFT {
        note(
            Expect::Fair,
            "blur: the mouth is out of focus, or moves too fast for the camera".into(),
            "Take a sharper video: more light, focus on the face, less compression",
        );
    }
    if summary.occluded > HIDDEN {
        note(
            Expect::Fair,
            format!(
                "a hand, a microphone or a shadow is before {:.0} % of the mouths",
                summary.occluded * 100.0
            ),
            "Take a video in which nothing comes before the mouth",
        );
    }
    if summary.scenes > 1 {
        note(
            Expect::Fair,
            format!(
                "{} scenes, perhaps of different people: none gets the mouths of another",
                summary.scenes
            ),
            "Take a video of one person without cuts",
        );
    }
    // Only where it may mend something.
    if !is_whole && !found.is_empty() {
        found.push(Obstacle {
            reason: "only a part of the video was looked at".into(),
            remedy: "Let lipflow read all of it: `lipflow face learn FACE`",
            leaves: Expect::Good,
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Somebody who talks into the camera for half a minute.
    fn talker() -> Summary {
        Summary {
            frames: 800,
            frames_with_face: 799,
            duration: Duration::from_secs(32),
            mouths: 240,
            scenes: 1,
            bytes: 30_000_000,
            width: 1280,
            height: 720,
            eyes: 80.0,
            opening: [0.0, 0.32],
            width_range: [0.7, 0.98],
            yaw: [-9.0, 12.0],
            sharp: 0.03,
            occluded: 0.02,
            closed_mouths: 40,
            open_mouths: 90,
        }
    }

    fn reasons(summary: &Summary) -> String {
        let judgement = judge(summary, true);
        let reasons: Vec<_> = judgement
            .obstacles
            .iter()
            .map(|o| o.reason.clone())
            .collect();
        format!("{:?}: {}", judgement.expect, reasons.join("; "))
    }

    #[test]
    fn who_talks_into_the_camera_is_good() {
        assert_eq!(reasons(&talker()), "Good: ");
        let part = judge(&talker(), false);
        assert_eq!(part.obstacles, [], "more would mend nothing");
    }

    #[test]
    fn each_thing_in_the_way_is_named_with_its_remedy() {
        type Spoil = fn(&mut Summary);
        let cases: [(Spoil, &str); 11] = [
            (|s| s.scenes = 2, "Fair: 2 scenes"),
            (|s| s.closed_mouths = 0, "Poor: no closed mouth"),
            (|s| s.open_mouths = 0, "Poor: no open mouth"),
            (|s| s.opening[1] = 0.14, "Fair: the mouth never opens wide"),
            (|s| s.width_range = [0.8, 0.85], "Fair: the mouth is always"),
            (|s| s.yaw = [30.0, 50.0], "Poor: profile"),
            (|s| s.yaw = [-40.0, 30.0], "Fair: the head turns far"),
            (|s| s.sharp = 0.005, "Fair: blur"),
            (|s| s.occluded = 0.3, "Fair: a hand"),
            (|s| s.frames_with_face = 80, "Fair: few frames"),
            (|s| s.eyes = 12.0, "Poor: small face: 12 pixels"),
        ];
        for (spoil, expected) in cases {
            let mut summary = talker();
            if expected.contains("few frames") {
                summary.frames = 80;
            }
            spoil(&mut summary);
            let found = reasons(&summary);
            assert!(found.starts_with(expected), "{found}");
            assert!(!found.contains(';'), "one thing is wrong: {found}");
            let part = judge(&summary, false);
            let last = part.obstacles.last().unwrap();
            assert!(last.remedy.contains("face learn"), "{part:?}");
        }
    }

    #[test]
    fn many_weak_points_are_a_bad_one() {
        let mut summary = talker();
        summary.sharp = 0.0;
        summary.occluded = 0.5;
        summary.opening[1] = 0.15;
        assert_eq!(judge(&summary, true).expect, Expect::Poor);
    }
}
