//! The inside of this person's mouth, kept from the frame that showed most of it, for frames in
//! which the source's mouth is closed and the drawn one is open.

use super::{
    arches::{Turn, UPPER},
    complexion::{Complexion, luma},
    ease,
    frame::Frame,
    lips::Lips,
    mix, smoothstep,
};

/// Samples along and down the picture that is kept. Along, they lie on the arch: the picture is that of
/// an unturned head.
const WIDTH: usize = 72;
const HEIGHT: usize = 28;
/// What it covers: to both sides of the middle, and above and below the line of the lips.
const REACH: f32 = 0.42;
const ABOVE: f32 = 0.06;
const BELOW: f32 = 0.22;
/// A frame must show so much more than the kept one to take its place, or the teeth would change
/// all the time.
const BETTER: f32 = 1.15;
/// Seconds in which it takes that place.
const FADE: f32 = 0.4;
/// Least share of the picture that is worth keeping.
const LEAST: f32 = 0.04;
/// Teeth are at least so bright, as a part of the skin.
const LEAST_OF_TEETH: f32 = 0.4;
/// Samples to each side that tell whether one shows a tooth.
const BESIDE: usize = 4;
/// Below the upper lip so much is left to it and to its shadow.
const LIP_MARGIN: f32 = 0.012;
/// A sample that is less bright than this part of its column lies in the lip's shadow.
const SHADED: f32 = 0.85;
/// From column to column a row of teeth ends no more than this higher or lower, in samples, on average: what does is
/// spit, or the lower teeth through a gap. Rows of teeth have 0.4 at most, such shreds 1.
const MOST_RAGGED: f32 = 0.7;
/// Upper teeth end within these below where most people's do.
const NO_LOWER: f32 = 0.04;
const NOTHING_LOWER: f32 = 0.07;
/// Where teeth end is read so far from the middle.
const FRONT: f32 = 0.2;
/// Most that teeth end above or below where most people's do.
const MOST_OFF: f32 = 0.06;

/// One sample: R'G'B', and how surely it shows the inside.
type Sample = [f32; 4];

/// Teeth as they were seen.
#[derive(Clone, Debug)]
struct Seen {
    samples: Box<[Sample; WIDTH * HEIGHT]>,
    /// How surely each column shows a tooth down to its end.
    whole: [f32; WIDTH],
    /// Of the teeth, R'G'B', and how much lower than most people's the first ones end.
    colour: [f32; 3],
    lower: f32,
    /// 0 for nobody's teeth.
    known: f32,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            samples: Box::new([[0.0; 4]; WIDTH * HEIGHT]),
            whole: [0.0; WIDTH],
            colour: [0.0; 3],
            lower: 0.0,
            known: 0.0,
        }
    }
}

#[derive(Clone, Debug)]
pub struct KeptTeeth {
    /// What is drawn: on its way to `best`.
    shown: Seen,
    best: Seen,
    /// Seconds to go on that way.
    fading: f32,
    /// Share of the samples that show the inside, weighted by how bright they are.
    worth: f32,
    /// The same of what was no row of teeth.
    refused: f32,
    /// Of the skin when it was kept.
    skin: [f32; 3],
}

impl Default for KeptTeeth {
    fn default() -> Self {
        Self {
            shown: Seen::default(),
            best: Seen::default(),
            fading: 0.0,
            worth: 0.0,
            refused: 0.0,
            skin: [1.0; 3],
        }
    }
}

/// Where sample (i, j) lies against the middle of the line of the lips.
fn place(i: usize, j: usize) -> [f32; 2] {
    let along = (i as f32 + 0.5) / WIDTH as f32;
    let down = (j as f32 + 0.5) / HEIGHT as f32;
    [mix(-REACH, REACH, along), mix(-ABOVE, BELOW, down)]
}

/// A frame that may show teeth.
#[derive(Clone, Copy)]
pub struct View<'a> {
    frame: &'a Frame<'a>,
    lips: &'a Lips,
    turn: &'a Turn,
    /// Line of the resting lips.
    middle: f32,
}

impl<'a> View<'a> {
    /// Of a face whose mouth rests `drop` below where it is now.
    pub fn new(frame: &'a Frame, lips: &'a Lips, turn: &'a Turn, drop: f32) -> Self {
        Self {
            frame,
            lips,
            turn,
            middle: lips.edges(lips.centre)[2] + drop,
        }
    }

    /// Where a column of samples is seen.
    fn column(&self, i: usize) -> f32 {
        self.turn.seen(&UPPER, place(i, 0)[0])
    }

    /// How surely a sample of the column that is seen at `x` is the inside.
    fn sure(&self, x: f32, j: usize) -> f32 {
        inside(self.lips, x, self.middle + place(0, j)[1])
    }

    /// Its colour, if it is in the picture.
    fn colour(&self, x: f32, j: usize) -> Option<[f32; 3]> {
        let at = [x, self.middle + place(0, j)[1]];
        self.frame.rgb_at(self.lips.frame.to_pixel(at))
    }
}

impl KeptTeeth {
    /// Keeps what a frame shows of the inside of its own mouth, if that is more than before.
    /// `complexion` is the face's own.
    pub fn look(&mut self, view: &View, complexion: &Complexion) {
        // From the side, and while the mouth opens, the picture would be of little use.
        if view.lips.open < 1.0 || view.lips.foreshortening < 0.9 {
            return;
        }
        let worth = self.worth_of(view, complexion);
        if worth < LEAST || worth < self.worth.max(self.refused) * BETTER {
            return;
        }
        let mut best = Seen::default();
        for i in 0..WIDTH {
            let x = view.column(i);
            for j in 0..HEIGHT {
                let (Some([r, g, b]), sure) = (view.colour(x, j), view.sure(x, j)) else {
                    continue;
                };
                best.samples[j * WIDTH + i] = [r, g, b, sure];
            }
        }
        let ends = best.keep_upper_teeth(complexion.skin);
        if best.raggedness() > MOST_RAGGED {
            self.refused = worth;
            return;
        }
        best.measure(&ends);
        best.extend_upwards();
        if self.is_empty() {
            self.shown = best.unseen();
        } else {
            self.shown.light(self.gain(complexion.skin));
        }
        self.best = best;
        self.fading = FADE;
        self.worth = worth;
        self.skin = complexion.skin;
    }

    /// Lets `seconds` go by: what is shown turns into what was seen best.
    pub fn pass(&mut self, seconds: f32) {
        if self.fading <= 0.0 {
            return;
        }
        if seconds >= self.fading {
            self.shown.clone_from(&self.best);
        } else {
            self.shown.approach(&self.best, seconds / self.fading);
        }
        self.fading -= seconds;
    }

    /// Shows what was seen best at once: nothing was drawn before.
    pub fn settle(&mut self) {
        self.pass(FADE);
    }

    /// What the frame shows of the teeth, from every fourth sample.
    fn worth_of(&self, view: &View, complexion: &Complexion) -> f32 {
        let light = luma(complexion.skin).max(1.0);
        let mut sum = 0.0;
        for i in (0..WIDTH).step_by(2) {
            let x = view.column(i);
            for j in (0..HEIGHT).step_by(2) {
                let sure = view.sure(x, j);
                if sure > 0.0
                    && let Some(colour) = view.colour(x, j)
                {
                    sum += sure * smoothstep(0.35, 0.8, luma(colour) / light);
                }
            }
        }
        sum / (WIDTH * HEIGHT / 4) as f32
    }

    pub fn is_empty(&self) -> bool {
        self.worth == 0.0
    }

    /// How much is known of the teeth's colour and place, 0 to 1.
    pub fn known(&self) -> f32 {
        self.shown.known
    }

    /// Colour of the teeth in the light `gain`.
    pub fn colour(&self, gain: [f32; 3]) -> [f32; 3] {
        std::array::from_fn(|c| self.shown.colour[c] * gain[c])
    }

    /// How much lower than most people's these teeth end.
    pub fn lower(&self) -> f32 {
        self.shown.lower
    }

    /// The inside at a lateral place of the arch and a height against the middle of the line, in the light
    /// that now falls on `skin`; how surely it was seen there; and how surely a tooth was seen down to its end at
    /// this place.
    #[inline]
    pub fn at(&self, lateral: f32, y: f32, gain: [f32; 3]) -> ([f32; 3], f32, f32) {
        let u = ((lateral + REACH) * (WIDTH as f32 / (2.0 * REACH)) - 0.5)
            .clamp(0.0, WIDTH as f32 - 1.01);
        let v = ((y + ABOVE) * (HEIGHT as f32 / (ABOVE + BELOW)) - 0.5)
            .clamp(0.0, HEIGHT as f32 - 1.01);
        let (i, j) = (u as i32 as usize, v as i32 as usize);
        let (fu, fv) = (u - i as f32, v - j as f32);
        let samples = &self.shown.samples;
        let row = |j: usize| {
            let (a, b) = (&samples[j * WIDTH + i], &samples[j * WIDTH + i + 1]);
            std::array::from_fn::<f32, 4, _>(|k| a[k] + (b[k] - a[k]) * fu)
        };
        let (a, b) = (row(j), row(j + 1));
        let [r, g, b, sure] = std::array::from_fn(|k| a[k] + (b[k] - a[k]) * fv);
        let [before, after] = [self.shown.whole[i], self.shown.whole[i + 1]];
        // Half sure is at the edge of what was seen.
        (
            [r * gain[0], g * gain[1], b * gain[2]],
            ease((sure - 0.3) / 0.7),
            mix(before, after, fu),
        )
    }

    /// By how much the channels are brighter now than when the picture was kept.
    pub fn gain(&self, skin: [f32; 3]) -> [f32; 3] {
        std::array::from_fn(|i| (skin[i] / self.skin[i].max(1.0)).clamp(0.5, 2.0))
    }
}

impl Seen {
    /// The same teeth before anything of them was seen.
    fn unseen(&self) -> Self {
        let mut unseen = self.clone();
        unseen.samples.iter_mut().for_each(|s| s[3] = 0.0);
        unseen.whole = [0.0; WIDTH];
        unseen.known = 0.0;
        unseen
    }

    /// Brings the colours into another light.
    fn light(&mut self, gain: [f32; 3]) {
        for sample in self.samples.iter_mut() {
            (0..3).for_each(|c| sample[c] *= gain[c]);
        }
        (0..3).for_each(|c| self.colour[c] *= gain[c]);
    }

    /// Goes a share of the way to `other`.
    fn approach(&mut self, other: &Self, share: f32) {
        for (own, other) in self.samples.iter_mut().zip(other.samples.iter()) {
            // The colour of what is not sure to be seen counts little.
            let weights = [(own[3] + 1e-3) * (1.0 - share), (other[3] + 1e-3) * share];
            let turn = weights[1] / (weights[0] + weights[1]);
            (0..3).for_each(|c| own[c] = mix(own[c], other[c], turn));
            own[3] = mix(own[3], other[3], share);
        }
        for (own, other) in self.whole.iter_mut().zip(other.whole) {
            *own = mix(*own, other, share);
        }
        self.colour = std::array::from_fn(|c| mix(self.colour[c], other.colour[c], share));
        self.lower = mix(self.lower, other.lower, share);
        self.known = mix(self.known, other.known, share);
    }

    /// Forgets what is no upper tooth: the dark and the tongue are painted, and the lower teeth would
    /// have to go with the jaw. Gives where the tooth of each column is seen to end.
    fn keep_upper_teeth(&mut self, skin: [f32; 3]) -> [Option<f32>; WIDTH] {
        let mut is_tooth = [0.0f32; WIDTH];
        let mut ends = [None; WIDTH];
        for i in 0..WIDTH {
            // Downwards from the upper lip's shadow over the teeth to where they end.
            let (mut brightest, mut left) = (0.0f32, 1.0f32);
            for j in 0..HEIGHT {
                let [r, g, b, sure] = &mut self.samples[j * WIDTH + i];
                if *sure < 0.1 {
                    continue;
                }
                let seen = luma([*r, *g, *b]);
                brightest = brightest.max(seen);
                if brightest > LEAST_OF_TEETH * luma(skin) {
                    left = left.min(smoothstep(0.5, 0.8, seen / brightest));
                    // Lips and gums are redder than skin, teeth are not.
                    if *g * skin[0] > *r * skin[1] {
                        is_tooth[i] = 1.0;
                    }
                    if left < 0.5 && *sure > 0.5 && ends[i].is_none() {
                        ends[i] = Some(place(i, j)[1]);
                    }
                }
                let [lateral, y] = place(i, j);
                let too_low = y - UPPER.end(lateral);
                *sure *= left * smoothstep(NOTHING_LOWER, NO_LOWER, too_low);
            }
        }
        // A tooth is not alone.
        for (i, end) in ends.iter_mut().enumerate() {
            let near = i.saturating_sub(BESIDE)..(i + BESIDE + 1).min(WIDTH);
            let share = is_tooth[near].iter().sum::<f32>() / (2 * BESIDE + 1) as f32;
            let sure = smoothstep(0.3, 0.9, share);
            (0..HEIGHT).for_each(|j| self.samples[j * WIDTH + i][3] *= sure);
            if sure < 0.5 {
                *end = None;
            }
        }
        ends
    }

    /// How much higher or lower than its neighbour a column ends, in samples, on average.
    fn raggedness(&self) -> f32 {
        let end = |i: usize| {
            (0..HEIGHT)
                .rev()
                .find(|&j| self.samples[j * WIDTH + i][3] > 0.5)
        };
        let ends: Vec<_> = (0..WIDTH).map(end).collect();
        let steps = ends.windows(2).filter_map(|pair| match *pair {
            [Some(a), Some(b)] => Some(a.abs_diff(b) as f32),
            [None, None] => None,
            // Between two teeth nothing is missing; at both ends of the row it must be.
            _ => Some(HEIGHT as f32 / 4.0),
        });
        let columns = ends.iter().flatten().count().max(1) as f32;
        (steps.sum::<f32>() - HEIGHT as f32 / 2.0).max(0.0) / columns
    }

    /// The colour of the teeth, and where they end.
    fn measure(&mut self, ends: &[Option<f32>; WIDTH]) {
        let mut sum = [0.0; 4];
        for i in 0..WIDTH {
            let brightest = self.brightest(i);
            for j in 0..HEIGHT {
                let sample = self.samples[j * WIDTH + i];
                if sample[3] > 0.6 && brightness(sample) > SHADED * brightest {
                    (0..3).for_each(|c| sum[c] += sample[c]);
                    sum[3] += 1.0;
                }
            }
        }
        self.colour = std::array::from_fn(|c| sum[c] / f32::max(sum[3], 1.0));
        self.known = smoothstep(0.0, 20.0, sum[3]);
        let off = |i: usize| {
            let [lateral, _] = place(i, 0);
            let end = ends[i].filter(|_| lateral.abs() < FRONT)?;
            Some(end - UPPER.end(lateral))
        };
        let offs: Vec<f32> = (0..WIDTH).filter_map(off).collect();
        let mean = offs.iter().sum::<f32>() / offs.len().max(1) as f32;
        self.lower = mean.clamp(-MOST_OFF, MOST_OFF) * smoothstep(0.0, 8.0, offs.len() as f32);
        for (i, whole) in self.whole.iter_mut().enumerate() {
            let near = &ends[i.saturating_sub(2)..(i + 3).min(WIDTH)];
            let seen = near.iter().filter(|end| end.is_some()).count() as f32;
            *whole = ease((seen / near.len() as f32 - 0.2) / 0.6);
        }
    }

    /// Of what is surely seen in a column.
    fn brightest(&self, i: usize) -> f32 {
        (0..HEIGHT)
            .map(|j| self.samples[j * WIDTH + i])
            .filter(|sample| sample[3] > 0.9)
            .map(brightness)
            .fold(0.0, f32::max)
    }

    /// The teeth go on behind the upper lip, which may be drawn higher than it was. What lies in its shadow there
    /// would make them grey.
    fn extend_upwards(&mut self) {
        for i in 0..WIDTH {
            let column = |j: usize| j * WIDTH + i;
            let brightest = self.brightest(i);
            let first = (0..HEIGHT).find(|&j| {
                let sample = self.samples[column(j)];
                sample[3] > 0.9 && brightness(sample) > SHADED * brightest
            });
            if let Some(first) = first {
                let sample = self.samples[column(first)];
                (0..first).for_each(|j| self.samples[column(j)] = sample);
            }
        }
    }
}

fn brightness([r, g, b, _]: Sample) -> f32 {
    luma([r, g, b])
}

/// How surely (x, y) lies between the source's own lips.
fn inside(lips: &Lips, x: f32, y: f32) -> f32 {
    if x <= lips.left || x >= lips.right {
        return 0.0;
    }
    let [upper, lower, _] = lips.edges(x);
    let gap = lower - upper;
    // The lower teeth would have to go with the jaw: the lower part is left out.
    let below = smoothstep(LIP_MARGIN, LIP_MARGIN + 0.015, y - upper);
    let above = smoothstep(0.15, 0.4, (lower - y) / gap.max(1e-3));
    below * above * smoothstep(0.05, 0.09, gap)
}

#[cfg(test)]
pub mod tests;
