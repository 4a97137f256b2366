//! One case: an input of each kind, and what is to become of them.

use std::fmt;

use crate::formats::{
    BEGINS, Begin, COLOURS, Format, LENGTHS, OUTPUTS, PICTURES, RATES, Rate, Rates, SHAPES, SOUNDS,
    Shape, Sound, Varies,
};
use crate::pairs::{self, Cover};

pub struct Case {
    pub picture: &'static Format,
    pub sound: &'static Sound,
    pub rate: &'static Rate,
    pub begin: Begin,
    pub shape: Shape,
    pub colours: Option<(&'static str, &'static str)>,
    /// Seconds; nothing for one frame.
    pub length: Option<f64>,
    pub template: &'static str,
    pub output: &'static str,
}

const SIZES: [usize; 8] = [
    PICTURES.len(),
    SOUNDS.len(),
    RATES.len(),
    BEGINS.len(),
    SHAPES.len(),
    COLOURS.len(),
    LENGTHS.len(),
    OUTPUTS.len(),
];

/// All pairs, but for those of a picture and a sound: they come from two files that never meet before
/// they are decoded.
pub fn cover() -> Cover {
    pairs::cover(&SIZES, [0, 1], &|choice| Case::of(choice).is_possible())
}

impl Case {
    pub fn of(choice: &[usize]) -> Self {
        let (template, output) = OUTPUTS[choice[7]];
        Self {
            picture: &PICTURES[choice[0]],
            sound: &SOUNDS[choice[1]],
            rate: &RATES[choice[2]],
            begin: BEGINS[choice[3]],
            shape: SHAPES[choice[4]],
            colours: COLOURS[choice[5]],
            length: LENGTHS[choice[6]],
            template,
            output,
        }
    }

    /// The ordinary one with that picture, sound and rate.
    pub fn named(picture: &str, sound: &str, rate: &str) -> Self {
        let at = |found: Option<usize>| found.expect("a name from the lists");
        let mut choice = [0; 8];
        choice[0] = at(PICTURES.iter().position(|p| p.name == picture));
        choice[1] = at(SOUNDS.iter().position(|s| s.name == sound));
        choice[2] = at(RATES.iter().position(|r| r.name == rate));
        Self::of(&choice)
    }

    pub fn is_possible(&self) -> bool {
        let can = self.picture.can;
        let is_mp4 = can.turn && !self.picture.name.contains("fragments");
        let fits = can.rates.has(self.rate)
            && (self.rate.varies == Varies::No || can.any_time && self.length.is_some())
            && (self.colours.is_none() || can.colours);
        let begins = match self.begin {
            Begin::AtZero => true,
            Begin::Late => can.any_time && can.rates == Rates::All,
            Begin::Trimmed => {
                is_mp4 && self.length.is_some() && self.rate.fraction.0 >= 5 * self.rate.fraction.1
            }
            Begin::Wrap => self.picture.extension == "ts",
        };
        let shaped = match self.shape {
            Shape::Even => true,
            Shape::OddWidth | Shape::OddHeight => can.odd && self.colours.is_none(),
            Shape::Turned(_) => is_mp4,
            Shape::Aspect => can.aspect,
        };
        fits && begins && shaped
    }

    /// Whether frames have times of their own.
    pub fn is_timed(&self) -> bool {
        self.rate.varies != Varies::No || self.begin == Begin::Late
    }

    /// Two seconds, or as long as a picture that lasts very long.
    pub fn speech_seconds(&self) -> f64 {
        match self.length {
            Some(seconds) if seconds > 60.0 => seconds,
            _ => 2.0,
        }
    }

    pub fn fps(&self) -> f64 {
        f64::from(self.rate.fraction.0) / f64::from(self.rate.fraction.1)
    }

    /// How many frames are drawn; some may be left out later.
    pub fn frames_made(&self) -> usize {
        match self.length {
            // A frame a second is no video before there are some.
            Some(seconds) => ((seconds * self.fps()).round() as usize).max(3),
            None => 1,
        }
    }
}

impl Case {
    /// What it is made of, a word for each dimension of the table.
    pub fn words(&self) -> [(&'static str, String); 8] {
        let begin = match self.begin {
            Begin::AtZero => "at 0",
            Begin::Late => "late",
            Begin::Trimmed => "trimmed",
            Begin::Wrap => "wraps",
        };
        let shape = match self.shape {
            Shape::Even => "even".into(),
            Shape::OddWidth => "odd width".into(),
            Shape::OddHeight => "odd height".into(),
            Shape::Turned(degrees) => format!("turned {degrees}"),
            Shape::Aspect => "4:3".into(),
        };
        let colours = self.colours.map_or_else(
            || "untold".into(),
            |(range, matrix)| format!("{range} {matrix}"),
        );
        let length = self
            .length
            .map_or_else(|| "1 frame".into(), |seconds| format!("{seconds} s"));
        [
            ("picture", self.picture.name.into()),
            ("sound", self.sound.name.into()),
            ("rate", self.rate.name.into()),
            ("start", begin.into()),
            ("shape", shape),
            ("colours", colours),
            ("length", length),
            ("output", self.output.into()),
        ]
    }
}

/// Names the case in the table, and in the file of results.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words().map(|(_, word)| word);
        f.write_str(&words.join(" | "))
    }
}
