use super::*;
use crate::{
    model::{JAW_OF_OPENING, MouthParams},
    render::{
        teeth,
        testing::{self, AT, REST, UNIT, shape},
    },
};

/// Of a large face.
const PIXEL: f32 = 0.003;
const SKIN: [f32; 3] = [190.0, 140.0, 110.0];

/// Brightness of the painted inside at places along and down the middle of a closed face that is made to do `shape`.
struct Painted {
    lips: Lips,
    warp: Warp,
    complexion: Complexion,
    teeth: KeptTeeth,
    rows: Teeth,
}

impl Painted {
    fn new(shape: &MouthParams, light: Light, turn: f32) -> Self {
        let mesh = testing::turned(testing::face(AT, UNIT), AT, UNIT, turn);
        let lips = Lips::of(&mesh).unwrap();
        let mut warp = Warp::default();
        warp.prepare(&lips, shape, &REST);
        let mut rows = Teeth::default();
        rows.look(&Turn::of(&mesh, &lips), PIXEL);
        Self {
            lips,
            warp,
            complexion: Complexion {
                skin: SKIN,
                lip: [150.0, 90.0, 85.0],
                light,
            },
            teeth: KeptTeeth::default(),
            rows,
        }
    }

    fn at(&self, x: f32, y: f32) -> Option<[f32; 3]> {
        let interior = Interior::new(
            &self.complexion,
            &self.teeth,
            &self.rows,
            &self.warp,
            &self.lips,
            PIXEL,
        );
        let x = self.lips.centre + x;
        let column = self.warp.place([x, y], UNIT).column;
        let inside = interior.at([x, y], &column)?;
        (inside.coverage > 0.9).then_some(inside.colour)
    }

    /// Teeth are brighter than anything else, and hardly red.
    fn is_tooth(&self, x: f32, y: f32) -> bool {
        self.at(x, y)
            .is_some_and(|rgb| luma(rgb) > 0.55 * luma(SKIN) && rgb[1] > 0.7 * rgb[0])
    }

    /// Where teeth are seen down the middle: the lowest upper one, the highest lower one.
    fn ends(&self) -> [Option<f32>; 2] {
        let seen: Vec<f32> = (-20..110)
            .map(|k| 0.004 * k as f32)
            .filter(|&y| self.is_tooth(0.02, y))
            .collect();
        let gap = seen.windows(2).find(|pair| pair[1] - pair[0] > 0.01);
        match gap {
            Some(pair) => [Some(pair[0]), Some(pair[1])],
            None => [seen.last().copied(), None],
        }
    }
}

#[test]
fn lower_teeth_show_behind_a_low_lip_and_go_with_the_jaw() {
    let light = Light::default();
    let ends = |opening: f32, jaw: f32| {
        let shape = MouthParams {
            opening,
            jaw,
            ..MouthParams::default()
        };
        Painted::new(&shape, light, 0.0).ends()
    };
    // Wide, with the jaw that goes with it.
    let [upper, lower] = ends(0.4, JAW_OF_OPENING * 0.4);
    assert!((upper.unwrap() - UPPER.first).abs() < 0.03, "{upper:?}");
    let wide = lower.unwrap();
    // The upper ones stay where the skull has them, the lower ones are where the jaw is.
    let [same, low] = ends(0.4, 0.34);
    assert!((same.unwrap() - upper.unwrap()).abs() < 0.005);
    assert!(
        low.is_none_or(|low| low > wide + 0.02),
        "{low:?} for {wide}"
    );
    // A lip that goes down with its jaw covers them.
    let [_, hidden] = ends(0.2, 0.2);
    assert_eq!(hidden, None);
    let [_, shown] = ends(0.2, 0.03);
    assert!(shown.is_some());
}

#[test]
fn teeth_and_tongue_are_lit_from_where_the_face_is() {
    let side = |side: f32, y: f32| {
        let light = Light { side, top: 0.0 };
        let painted = Painted::new(&shape(0.35, 0.0, 0.0), light, 0.0);
        let [left, right] = [-0.2, 0.2].map(|x| luma(painted.at(x, y).unwrap()));
        right / left
    };
    for y in [0.005, 0.16] {
        assert!((side(0.0, y) - 1.0).abs() < 0.03, "{} at {y}", side(0.0, y));
        assert!(
            side(0.1, y) > 1.1 && side(-0.1, y) < 0.9,
            "{} at {y}",
            side(0.1, y)
        );
    }
    // Light from above leaves the upper teeth in the lip's shadow.
    let shaded = |top: f32| {
        let painted = Painted::new(&shape(0.3, 0.0, 0.0), Light { side: 0.0, top }, 0.0);
        luma(painted.at(0.03, painted.warp.line - 0.03).unwrap())
    };
    assert!(
        shaded(0.2) < 0.95 * shaded(-0.2),
        "{} {}",
        shaded(0.2),
        shaded(-0.2)
    );
}

#[test]
fn painted_teeth_turn_with_the_head() {
    let middle = |turn: f32| {
        let painted = Painted::new(&shape(0.3, 0.2, 0.0), Light::default(), turn);
        let teeth: Vec<f32> = (-90..90)
            .map(|k| 0.005 * k as f32)
            .filter(|&x| painted.is_tooth(x, 0.005))
            .collect();
        0.5 * (teeth[0] + teeth[teeth.len() - 1])
    };
    assert!(middle(0.0).abs() < 0.01);
    assert!(
        middle(0.35) * middle(-0.35) < 0.0 && middle(0.35).abs() > 0.03,
        "{}",
        middle(0.35)
    );
}

#[test]
fn teeth_that_were_seen_turn_with_the_head() {
    let brightest = |turn: f32| {
        let mut painted = Painted::new(&shape(0.3, 0.2, 0.0), Light::default(), turn);
        painted.teeth = teeth::tests::with_a_bright_one(0.1, 0.0);
        let red = |x: f32| painted.at(x, 0.005).map_or(0.0, |rgb| rgb[0]);
        (-60..60)
            .map(|k| 0.005 * k as f32)
            .max_by(|a, b| red(*a).total_cmp(&red(*b)))
            .unwrap()
    };
    // The face's turn to the left of the picture takes it along, beyond what narrows it.
    assert!((brightest(0.0) - 0.1).abs() < 0.04, "{}", brightest(0.0));
    let [left, right] = [0.4, -0.4].map(brightest);
    assert!(left > 0.12 && right < 0.085, "{left} {right}");
}

#[test]
fn the_dark_of_an_open_mouth_is_neither_black_nor_grey() {
    for opening in [0.12, 0.2, 0.4] {
        let painted = Painted::new(&shape(opening, 0.0, 0.0), Light::default(), 0.0);
        for k in 0..100 {
            for x in [-0.15, 0.0, 0.15] {
                let Some([r, g, b]) = painted.at(x, 0.004 * k as f32) else {
                    continue;
                };
                let rgb = [r, g, b];
                assert!(luma(rgb) > 0.08 * luma(SKIN), "{rgb:?}");
                let grey = r - g.min(b) < 0.12 * r;
                assert!(!grey || luma(rgb) > 0.5 * luma(SKIN), "{rgb:?}");
            }
        }
    }
}

#[test]
fn a_lifted_tongue_is_seen_behind_the_upper_teeth() {
    let painted = |tongue: f32| {
        let shape = MouthParams {
            tongue,
            ..shape(0.2, 0.0, 0.0)
        };
        Painted::new(&shape, Light::default(), 0.0)
    };
    let [down, half, up] = [0.0, 0.5, 1.0].map(painted);
    // In the dark below the upper teeth, the flesh of the tongue.
    let y = down.warp.line + UPPER.first + 0.02;
    let [dark, some, flesh] = [&down, &half, &up].map(|p| p.at(0.02, y).unwrap());
    assert!(luma(flesh) > 1.5 * luma(dark), "{flesh:?} for {dark:?}");
    assert!(flesh[0] > 1.5 * flesh[1], "{flesh:?} is no flesh");
    assert!(luma(some) <= luma(flesh), "{some:?} for {flesh:?}");
    // The teeth stand before it, and its tip is narrow.
    assert!(up.is_tooth(0.02, up.warp.line + 0.5 * UPPER.first));
    let aside = TIP_HALF_WIDTH + 0.05;
    assert_eq!(up.at(aside, y), down.at(aside, y));
}
