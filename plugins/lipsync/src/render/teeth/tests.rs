use super::*;
use crate::{
    face::Mesh,
    render::{frame::Layout, light::Light, testing},
};

const AT: [f32; 2] = [150.0, 110.0];
const UNIT: f32 = 90.0;
const COMPLEXION: Complexion = Complexion {
    skin: [190.0, 140.0, 110.0],
    lip: [150.0, 90.0, 85.0],
    light: Light {
        side: 0.0,
        top: 0.0,
    },
};

/// Looks at a face whose inner lips are `gap` apart, everything being of one colour.
fn look(teeth: &mut KeptTeeth, gap: f32, rgb: [u8; 3]) {
    look_again(teeth, gap, rgb);
    teeth.settle();
}

/// The same; what was drawn before is still there.
fn look_again(teeth: &mut KeptTeeth, gap: f32, rgb: [u8; 3]) {
    let layout = Layout::rgb(300, 240);
    let pixels: Vec<u8> = rgb.into_iter().cycle().take(300 * 240 * 3).collect();
    let frame = Frame {
        layout,
        planes: [&pixels, &[], &[]],
    };
    look_at(teeth, &frame, &testing::face_with_gap(AT, UNIT, gap));
}

fn look_at(teeth: &mut KeptTeeth, frame: &Frame, mesh: &Mesh) {
    let lips = Lips::of(mesh).unwrap();
    let turn = Turn::of(mesh, &lips);
    let view = View::new(frame, &lips, &turn, 0.0);
    teeth.look(&view, &COMPLEXION);
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
    let (colour, sure, _) = teeth.at(0.0, 0.03, [1.0; 3]);
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
    let (colour, ..) = teeth.at(0.0, 0.03, gain);
    for (got, want) in colour.into_iter().zip([100.0, 95.0, 170.0]) {
        assert!((got - want).abs() < 1.0, "{colour:?}");
    }
}

#[test]
fn teeth_come_gradually_and_give_way_gradually_to_better_ones() {
    let at = |teeth: &KeptTeeth| teeth.at(0.0, 0.03, [1.0; 3]);
    let mut teeth = KeptTeeth::default();
    look_again(&mut teeth, 0.2, [200, 190, 170]);
    let mut last = at(&teeth).1;
    assert!(last == 0.0 && teeth.known() == 0.0);
    for _ in 0..10 {
        teeth.pass(0.04);
        let (colour, sure, _) = at(&teeth);
        assert!(sure >= last && sure < last + 0.3, "{sure} after {last}");
        assert!((colour[0] - 200.0).abs() < 1.0, "{colour:?}");
        last = sure;
    }
    teeth.pass(0.04);
    assert!(last > 0.99 && teeth.known() == 1.0);
    look_again(&mut teeth, 0.3, [220, 190, 170]);
    for k in 0..=10 {
        let red = at(&teeth).0[0];
        assert!(
            (red - 200.0 - 2.0 * k as f32).abs() < 1.0,
            "{red} after {k}"
        );
        teeth.pass(0.04);
    }
}

fn turned(angle: f32) -> (Turn, Lips, Mesh) {
    let mesh = testing::turned(testing::face_with_gap(AT, UNIT, 0.25), AT, UNIT, angle);
    let lips = Lips::of(&mesh).unwrap();
    (Turn::of(&mesh, &lips), lips, mesh)
}

/// Teeth of which one, at a lateral place of the arch, is brighter than the others, seen on a head turned by `angle`.
pub fn with_a_bright_one(lateral: f32, angle: f32) -> KeptTeeth {
    let (turn, lips, mesh) = turned(angle);
    let [x, _] = lips.frame.to_pixel([turn.seen(&UPPER, lateral), 0.0]);
    let row = (0..300).flat_map(|i| {
        let bright = (i as f32 - x).abs() < 0.04 * UNIT;
        if bright {
            [240, 230, 220]
        } else {
            [170, 165, 150]
        }
    });
    let pixels: Vec<u8> = row.cycle().take(300 * 240 * 3).collect();
    let frame = Frame {
        layout: Layout::rgb(300, 240),
        planes: [&pixels, &[], &[]],
    };
    let mut teeth = KeptTeeth::default();
    look_at(&mut teeth, &frame, &mesh);
    teeth.settle();
    teeth
}

#[test]
fn teeth_turn_with_the_head() {
    for seen_at in [-0.3, 0.0, 0.3] {
        let teeth = with_a_bright_one(0.2, seen_at);
        let red = |lateral: f32| teeth.at(lateral, 0.03, [1.0; 3]).0[0];
        let brightest = (-30..30)
            .map(|k| 0.01 * k as f32)
            .max_by(|a, b| red(*a).total_cmp(&red(*b)))
            .unwrap();
        assert!(
            (brightest - 0.2).abs() < 0.05,
            "{brightest}, seen at {seen_at}"
        );
    }
}

#[test]
fn teeth_that_were_in_the_lips_shadow_are_not_grey() {
    // The upper fifth of the opening lies in deep shade.
    let mut pixels = Vec::new();
    for y in 0..240 {
        let shaded = y < 108;
        let rgb = if shaded {
            [110, 104, 96]
        } else {
            [210, 200, 185]
        };
        (0..300).for_each(|_| pixels.extend(rgb));
    }
    let frame = Frame {
        layout: Layout::rgb(300, 240),
        planes: [&pixels, &[], &[]],
    };
    let mut teeth = KeptTeeth::default();
    look_at(&mut teeth, &frame, &testing::face_with_gap(AT, UNIT, 0.25));
    teeth.settle();
    let ([red, ..], sure, _) = teeth.at(0.05, -0.05, [1.0; 3]);
    assert!(sure > 0.9 && red > 190.0, "{red}, {sure}");
    assert!(teeth.colour([1.0; 3])[0] > 190.0);
}

#[test]
fn what_shows_teeth_in_shreds_is_not_kept() {
    let layout = Layout::rgb(300, 240);
    let mut pixels = Vec::new();
    for y in 0..240u32 {
        for x in 0..300u32 {
            // Streaks of light of all lengths on darkness.
            let end = 112 + (x / 3 * 7) % 9;
            let lit = (x / 3) % 2 == 0 && y < end;
            pixels.extend(if lit { [230, 220, 210] } else { [40, 25, 25] });
        }
    }
    let frame = Frame {
        layout,
        planes: [&pixels, &[], &[]],
    };
    let mut teeth = KeptTeeth::default();
    look_at(&mut teeth, &frame, &testing::face_with_gap(AT, UNIT, 0.25));
    assert!(teeth.is_empty());
}
