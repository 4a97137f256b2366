//! The inside of this person's mouth, kept from the frame that showed most of it, for frames in
//! which the source's mouth is closed and the drawn one is open.

use super::{ease, frame::Frame, interior::Complexion, lips::Lips, mix, smoothstep};

/// Samples along and down the picture that is kept.
const WIDTH: usize = 72;
const HEIGHT: usize = 28;
/// What it covers: to both sides of the middle, and above and below the line of the lips.
const REACH: f32 = 0.42;
const ABOVE: f32 = 0.06;
const BELOW: f32 = 0.22;
/// A frame must show so much more than the kept one to take its place, or the teeth would change
/// all the time.
const BETTER: f32 = 1.15;
/// Least share of the picture that is worth keeping.
const LEAST: f32 = 0.04;
/// Teeth are at least so bright, as a part of the skin.
const LEAST_OF_TEETH: f32 = 0.4;
/// Samples to each side that tell whether one shows a tooth.
const BESIDE: usize = 4;
/// Below the upper lip so much is left to it and to its shadow.
const LIP_MARGIN: f32 = 0.012;

/// One sample: R'G'B', and how surely it shows the inside.
type Sample = [f32; 4];

#[derive(Clone, Debug)]
pub struct KeptTeeth {
    samples: Box<[Sample; WIDTH * HEIGHT]>,
    /// Share of the samples that show the inside, weighted by how bright they are.
    worth: f32,
    /// Of the skin when it was kept.
    skin: [f32; 3],
}

impl Default for KeptTeeth {
    fn default() -> Self {
        Self {
            samples: Box::new([[0.0; 4]; WIDTH * HEIGHT]),
            worth: 0.0,
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

impl KeptTeeth {
    /// Keeps what `frame` shows of the inside of its own mouth, if that is more than before.
    /// `complexion` is the face's own; its mouth rests `drop` below where it is now.
    pub fn look(&mut self, frame: &Frame, lips: &Lips, complexion: &Complexion, drop: f32) {
        // From the side, and while the mouth opens, the picture would be of little use.
        if lips.open < 1.0 || lips.foreshortening < 0.9 {
            return;
        }
        let worth = self.worth_of(frame, lips, complexion, drop);
        if worth < LEAST || worth < self.worth * BETTER {
            return;
        }
        self.worth = worth;
        self.skin = complexion.skin;
        let middle = lips.edges(lips.centre)[2] + drop;
        for j in 0..HEIGHT {
            for i in 0..WIDTH {
                let [x, y] = place(i, j);
                let (x, y) = (lips.centre + x, middle + y);
                let sure = inside(lips, x, y);
                let colour = frame.rgb_at(lips.frame.to_pixel([x, y]));
                let [r, g, b] = colour.unwrap_or_default();
                let sure = if colour.is_some() { sure } else { 0.0 };
                self.samples[j * WIDTH + i] = [r, g, b, sure];
            }
        }
        self.keep_upper_teeth(complexion.skin);
        self.extend_upwards();
    }

    /// Forgets what is no upper tooth: the dark and the tongue are painted, and the lower teeth would
    /// have to go with the jaw.
    fn keep_upper_teeth(&mut self, skin: [f32; 3]) {
        let mut is_tooth = [0.0f32; WIDTH];
        for (i, is_tooth) in is_tooth.iter_mut().enumerate() {
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
                        *is_tooth = 1.0;
                    }
                }
                *sure *= left;
            }
        }
        // A tooth is not alone.
        for i in 0..WIDTH {
            let near = i.saturating_sub(BESIDE)..(i + BESIDE + 1).min(WIDTH);
            let share = is_tooth[near].iter().sum::<f32>() / (2 * BESIDE + 1) as f32;
            let sure = smoothstep(0.3, 0.9, share);
            (0..HEIGHT).for_each(|j| self.samples[j * WIDTH + i][3] *= sure);
        }
    }

    /// The teeth go on behind the upper lip, which may be drawn higher than it was.
    fn extend_upwards(&mut self) {
        for i in 0..WIDTH {
            let column = |j: usize| j * WIDTH + i;
            let first = (0..HEIGHT).find(|&j| self.samples[column(j)][3] > 0.9);
            if let Some(first) = first {
                let sample = self.samples[column(first)];
                (0..first).for_each(|j| self.samples[column(j)] = sample);
            }
        }
    }

    /// What the frame shows of the teeth, from every fourth sample.
    fn worth_of(&self, frame: &Frame, lips: &Lips, complexion: &Complexion, drop: f32) -> f32 {
        let middle = lips.edges(lips.centre)[2] + drop;
        let light = luma(complexion.skin).max(1.0);
        let mut sum = 0.0;
        for j in (0..HEIGHT).step_by(2) {
            for i in (0..WIDTH).step_by(2) {
                let [x, y] = place(i, j);
                let (x, y) = (lips.centre + x, middle + y);
                let sure = inside(lips, x, y);
                if sure > 0.0
                    && let Some(colour) = frame.rgb_at(lips.frame.to_pixel([x, y]))
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

    /// The inside at a place against the middle of the line, in the light that now falls on `skin`,
    /// and how surely it was seen there.
    #[inline]
    pub fn at(&self, x: f32, y: f32, gain: [f32; 3]) -> ([f32; 3], f32) {
        let u =
            ((x + REACH) * (WIDTH as f32 / (2.0 * REACH)) - 0.5).clamp(0.0, WIDTH as f32 - 1.01);
        let v = ((y + ABOVE) * (HEIGHT as f32 / (ABOVE + BELOW)) - 0.5)
            .clamp(0.0, HEIGHT as f32 - 1.01);
        let (i, j) = (u as i32 as usize, v as i32 as usize);
        let (fu, fv) = (u - i as f32, v - j as f32);
        let row = |j: usize| {
            let (a, b) = (
                &self.samples[j * WIDTH + i],
                &self.samples[j * WIDTH + i + 1],
            );
            std::array::from_fn::<f32, 4, _>(|k| a[k] + (b[k] - a[k]) * fu)
        };
        let (a, b) = (row(j), row(j + 1));
        let [r, g, b, sure] = std::array::from_fn(|k| a[k] + (b[k] - a[k]) * fv);
        // Half sure is at the edge of what was seen.
        (
            [r * gain[0], g * gain[1], b * gain[2]],
            ease((sure - 0.3) / 0.7),
        )
    }

    /// By how much the channels are brighter now than when the picture was kept.
    pub fn gain(&self, skin: [f32; 3]) -> [f32; 3] {
        std::array::from_fn(|i| (skin[i] / self.skin[i].max(1.0)).clamp(0.5, 2.0))
    }
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

fn luma([r, g, b]: [f32; 3]) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{frame::FrameMut, frame::Layout, testing};

    const AT: [f32; 2] = [150.0, 110.0];
    const UNIT: f32 = 90.0;
    const COMPLEXION: Complexion = Complexion {
        skin: [190.0, 140.0, 110.0],
        lip: [150.0, 90.0, 85.0],
    };

    /// Looks at a face whose inner lips are `gap` apart, everything being of one colour.
    fn look(teeth: &mut KeptTeeth, gap: f32, rgb: [u8; 3]) {
        let layout = Layout::rgb(300, 240);
        let mut pixels: Vec<u8> = rgb.into_iter().cycle().take(300 * 240 * 3).collect();
        let frame = FrameMut {
            layout,
            planes: [&mut pixels, &mut [], &mut []],
        };
        let lips = Lips::of(&testing::face_with_gap(AT, UNIT, gap)).unwrap();
        teeth.look(&frame.as_ref(), &lips, &COMPLEXION, 0.0);
    }

    #[test]
    fn only_an_open_mouth_with_teeth_is_kept() {
        let mut teeth = KeptTeeth::default();
        look(&mut teeth, 0.02, [200, 190, 170]);
        assert!(teeth.is_empty(), "the mouth is closed");
        look(&mut teeth, 0.25, [60, 20, 20]);
        assert!(teeth.is_empty(), "there is nothing but darkness");
        look(&mut teeth, 0.25, [200, 190, 170]);
        assert!(!teeth.is_empty());
        let (colour, sure) = teeth.at(0.0, 0.03, [1.0; 3]);
        assert!(sure > 0.95 && (colour[0] - 200.0).abs() < 1.0, "{colour:?}");
        // On the lips and beyond the corners nothing was seen.
        assert_eq!(teeth.at(0.0, 0.21, [1.0; 3]).1, 0.0);
        assert_eq!(teeth.at(0.41, 0.03, [1.0; 3]).1, 0.0);
        // The teeth go on behind the upper lip.
        assert!(teeth.at(0.0, -0.05, [1.0; 3]).1 > 0.95);
    }

    #[test]
    fn what_is_kept_changes_only_for_the_better() {
        let mut teeth = KeptTeeth::default();
        let red = |teeth: &KeptTeeth| teeth.at(0.0, 0.03, [1.0; 3]).0[0];
        look(&mut teeth, 0.2, [200, 190, 170]);
        for (gap, colour) in [(0.12, 210), (0.2, 201)] {
            look(&mut teeth, gap, [colour, 190, 170]);
            assert!((red(&teeth) - 200.0).abs() < 0.1);
        }
        look(&mut teeth, 0.3, [210, 190, 170]);
        assert!((red(&teeth) - 210.0).abs() < 0.1);
    }

    #[test]
    fn the_teeth_take_the_light_that_falls_on_the_skin() {
        let mut teeth = KeptTeeth::default();
        look(&mut teeth, 0.25, [200, 190, 170]);
        let gain = teeth.gain([95.0, 70.0, 110.0]);
        let (colour, _) = teeth.at(0.0, 0.03, gain);
        for (got, want) in colour.into_iter().zip([100.0, 95.0, 170.0]) {
            assert!((got - want).abs() < 1.0, "{colour:?}");
        }
    }
}
