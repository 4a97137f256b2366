use super::*;
use crate::render::{
    mouth::tamed,
    testing::{self, AT, REST, UNIT, faces, shape, shapes},
};

fn prepared(lips: &Lips, shape: &MouthParams, rest: &Rest) -> Warp {
    let mut warp = Warp::default();
    warp.prepare(lips, shape, rest);
    warp
}

/// Which height of the source is seen at the height `y`, in the middle of the mouth.
fn source(warp: &Warp, lips: &Lips, y: f32) -> f32 {
    y + warp.place([lips.centre, y], UNIT).moved[1]
}

fn warps() -> impl Iterator<Item = (Lips, Warp)> {
    faces().into_iter().flat_map(|mesh| {
        shapes().into_iter().enumerate().map(move |(i, shape)| {
            let mut lips = Lips::of(&mesh).unwrap();
            // Lips that end elsewhere than the mesh says.
            lips.ends = [
                [[0.0; 3]; 2],
                [[-0.05, 0.0, 0.02], [0.03, 0.02, 0.0]],
                [[0.03, -0.02, 0.0], [-0.02, 0.0, 0.01]],
            ][i % 3];
            // And meet elsewhere, and are not at rest.
            lips.line = [[0.0; 3], [0.02, 0.01, -0.01]][i % 2];
            let mut warp = Warp::default();
            let rest = [(1.0, 0.0), (1.08, 0.02), (0.93, -0.02), (1.0, 0.0)][i % 4];
            let rest = Rest {
                widening: rest.0,
                drop: rest.1,
                swelling: 0.04,
                rolled_out: 0.05,
            };
            warp.prepare(&lips, &tamed(&shape, 1.0), &rest);
            (lips, warp)
        })
    })
}

#[test]
fn at_the_corners_and_beyond_both_lips_move_alike() {
    for (lips, warp) in warps() {
        for corner in [lips.left, lips.right] {
            let side = (corner - lips.centre).signum();
            for step in 0..40 {
                let x = corner + side * (0.25 + step as f32 * 0.02);
                let column = warp.place([x, 0.0], UNIT).column;
                if column.across.abs() < 1.0 {
                    continue;
                }
                let line = (column.upper + column.lower) / 2.0;
                let [a, b] = [-1e-4, 1e-4].map(|d| warp.place([x, line + d], UNIT).moved);
                let jump = (a[0] - b[0]).hypot(a[1] - b[1]);
                assert!(jump < 2e-3, "tear of {jump} at {x}");
            }
        }
        // Away from the opening the map is continuous everywhere.
        let at = |x: f32, y: f32| {
            let Place { moved, column, .. } = warp.place([x, y], UNIT);
            (moved, y < column.upper, y > column.lower)
        };
        for i in -30..30 {
            for j in -20..45 {
                let (x, y) = (i as f32 * 0.05, j as f32 * 0.05);
                let (here, upper, lower) = at(x, y);
                for (dx, dy) in [(0.002, 0.0), (0.0, 0.002)] {
                    let (there, upper2, lower2) = at(x + dx, y + dy);
                    let jump = (here[0] - there[0]).hypot(here[1] - there[1]);
                    let same = (upper && upper2) || (lower && lower2);
                    assert!(!same || jump < 0.03, "jump of {jump} at ({x}, {y})");
                }
            }
        }
    }
}

#[test]
fn the_map_never_folds() {
    for (_, warp) in warps() {
        let source = |x: f32, y: f32| {
            let Place { moved, column, .. } = warp.place([x, y], UNIT);
            let side = (y < column.upper, y > column.lower);
            ([x + moved[0], y + moved[1]], side)
        };
        let d = 0.003;
        for i in -30..30 {
            for j in -25..50 {
                let (x, y) = (i as f32 * 0.043 + 0.001, j as f32 * 0.041);
                let (p, side) = source(x, y);
                let (px, side_x) = source(x + d, y);
                let (py, side_y) = source(x, y + d);
                // Between the lips nothing of the map is seen.
                if side == (false, false) || side != side_x || side != side_y {
                    continue;
                }
                let (ax, ay) = (px[0] - p[0], px[1] - p[1]);
                let (bx, by) = (py[0] - p[0], py[1] - p[1]);
                let area = (ax * by - ay * bx) / (d * d);
                assert!(area > 0.02, "fold ({area}) at ({x}, {y})");
            }
        }
    }
}

#[test]
fn nothing_moves_on_the_border_of_the_box() {
    for (_, warp) in warps() {
        for k in 0..=40 {
            let t = k as f32 / 40.0;
            let [x, y] = [0, 1].map(|i| warp.min[i] + t * (warp.max[i] - warp.min[i]));
            for point in [
                [x, warp.min[1]],
                [x, warp.max[1]],
                [warp.min[0], y],
                [warp.max[0], y],
            ] {
                let [dx, dy] = warp.place(point, UNIT).moved;
                assert!(dx.hypot(dy) < 1e-4, "({dx}, {dy}) at {point:?}");
            }
        }
    }
}

#[test]
fn jaw_press_and_raise_each_move_what_is_theirs() {
    let lips = Lips::of(&testing::face(AT, UNIT)).unwrap();
    let at = |shape: MouthParams, y: f32| {
        let warp = prepared(&lips, &tamed(&shape, 1.0), &REST);
        let place = warp.place([lips.centre, y], UNIT);
        (place.moved[1], place.column)
    };
    let line = lips.edges(lips.centre)[2];
    let jaw = MouthParams {
        jaw: 0.1,
        ..MouthParams::default()
    };
    let (chin, column) = at(jaw, lips.chin[1]);
    assert!((chin + 0.1).abs() < 0.005, "the chin goes by {chin}");
    assert!(
        column.upper == column.lower,
        "the jaw alone opens no closed lips"
    );
    let press = MouthParams {
        press: 1.0,
        ..MouthParams::default()
    };
    // What is next to the line comes from further away, on both sides: the lips are thinner.
    assert!(at(press, line - 0.001).0 < -0.03 && at(press, line + 0.001).0 > 0.03);
    let raise = MouthParams {
        opening: 0.1,
        raise: 1.0,
        ..MouthParams::default()
    };
    let plain = MouthParams {
        raise: 0.0,
        ..raise
    };
    let (raised, plain) = (at(raise, line).1, at(plain, line).1);
    assert!((plain.upper - raised.upper - 0.06).abs() < 0.002);
    assert!((plain.lower - raised.lower).abs() < 0.002);
}

#[test]
fn lips_move_as_a_whole_and_the_skin_gives_way() {
    let lips = Lips::of(&testing::face(AT, UNIT)).unwrap();
    let warp = prepared(&lips, &shape(0.15, 0.0, 0.0), &REST);
    let column = warp.place([lips.centre, 0.0], UNIT).column;
    let moved = |y: f32| warp.place([lips.centre, y], UNIT).moved[1];
    for (edge, outwards) in [(column.upper, -1.0), (column.lower, 1.0)] {
        let near = moved(edge + 0.002 * outwards);
        let [within, skin] = [0.06, 0.3].map(|far| moved(edge + far * outwards) / near);
        assert!((0.85..1.01).contains(&within), "{within} in the lip");
        assert!(skin < 0.8, "{skin} in the skin");
    }
}

#[test]
fn a_lip_that_was_stretched_thin_closes_as_thick_as_it_rests() {
    let lips = Lips::of(&testing::face_with_gap(AT, UNIT, 0.2)).unwrap();
    let [outer, ..] = lips.contours(lips.centre);
    let [thin, _] = lips.thickness();
    let thickness = |swelling: f32, opening: f32| {
        let rest = Rest { swelling, ..REST };
        let warp = prepared(&lips, &shape(opening, 0.0, 0.0), &rest);
        let from = |y: f32| source(&warp, &lips, y);
        let edge = warp.place([lips.centre, 0.0], UNIT).column.upper;
        let steps = (1..400).find(|&k| from(edge - k as f32 * 0.001) < outer);
        steps.unwrap() as f32 * 0.001
    };
    let swollen = thickness(0.4 * thin, 0.0);
    assert!((swollen - 1.4 * thin).abs() < 0.01, "{swollen} for {thin}");
    // As far open as it was, it is as thin as it was.
    assert_eq!(thickness(0.4 * thin, 0.2), thickness(0.0, 0.2));
}

#[test]
fn what_an_open_mouth_shows_of_the_lower_lip_goes_in_as_it_closes() {
    let lips = Lips::of(&testing::face_with_gap(AT, UNIT, 0.2)).unwrap();
    let [_, edge, _] = lips.edges(lips.centre);
    // How far within the source's lower lip its edge is taken from.
    let cut = |rolled_out: f32, opening: f32| {
        let rest = Rest { rolled_out, ..REST };
        let warp = prepared(&lips, &shape(opening, 0.0, 0.0), &rest);
        let lower = warp.place([lips.centre, 0.0], UNIT).column.lower + 1e-4;
        source(&warp, &lips, lower) - edge
    };
    assert!(cut(0.0, 0.0).abs() < 0.002);
    assert!((cut(0.04, 0.0) - 0.04).abs() < 0.002);
    assert_eq!(cut(0.04, 0.2), cut(0.0, 0.2));
}

#[test]
fn a_thin_lip_is_not_pressed_away() {
    let press = MouthParams {
        press: 1.0,
        ..MouthParams::default()
    };
    for thinner in [0.0, 0.03] {
        let mut mesh = testing::face(AT, UNIT);
        for i in [185, 40, 39, 37, 0, 267, 269, 270, 409] {
            mesh.0[i][1] += thinner * UNIT;
        }
        let lips = Lips::of(&mesh).unwrap();
        let [thickness, _] = lips.thickness();
        let [edge, ..] = lips.edges(lips.centre);
        let warp = prepared(&lips, &press, &REST);
        let upper = warp.place([lips.centre, 0.0], UNIT).column.upper - 1e-4;
        let rolled = edge - source(&warp, &lips, upper);
        assert!(rolled > 0.015, "{rolled}");
        assert!(rolled < 0.31 * thickness, "{rolled} of {thickness}");
    }
    // The red of an open mouth's upper lip is at its edge, and stays.
    let lips = Lips::of(&testing::face_with_gap(AT, UNIT, 0.2)).unwrap();
    let warp = prepared(&lips, &press, &REST);
    let upper = warp.place([lips.centre, 0.0], UNIT).column.upper - 1e-4;
    let rolled = lips.edges(lips.centre)[0] - source(&warp, &lips, upper);
    assert!((0.0..0.01).contains(&rolled), "{rolled}");
}

#[test]
fn colour_next_to_the_lips_of_an_open_mouth_is_the_lips_own() {
    for gap in [0.02, 0.2] {
        let lips = Lips::of(&testing::face_with_gap(AT, UNIT, gap)).unwrap();
        let mut warp = prepared(&lips, &MouthParams::default(), &REST);
        // Lips that touch have nothing to smear.
        assert_eq!(warp.most_smear > 0.0, gap > 0.1);
        let edge = warp.place([lips.centre, 0.0], UNIT).column.upper;
        let [near, far] = [0.001, 0.05].map(|above| source(&warp, &lips, edge - above));
        warp.set_smear(1.0);
        let smear = warp.most_smear;
        assert!((source(&warp, &lips, edge - 0.001) - (near - smear)).abs() < 0.003);
        assert_eq!(source(&warp, &lips, edge - 0.05), far);
    }
}
