use super::*;
use crate::{
    face::MESH_POINTS,
    model::JAW_OF_OPENING,
    render::{
        frame::Layout,
        gallery::Gallery,
        interior::Complexion,
        testing,
        warp::{Place, Rest},
    },
};

const AT: [f32; 2] = [150.0, 130.0];
const UNIT: f32 = 60.0;
const SIZE: (usize, usize) = (301, 247);

/// The source as it rests.
const REST: Rest = Rest {
    widening: 1.0,
    drop: 0.0,
    swelling: 0.0,
    rolled_out: 0.0,
};

fn shape(opening: f32, width: f32, tuck: f32) -> MouthParams {
    MouthParams {
        opening,
        width,
        tuck,
        jaw: JAW_OF_OPENING * opening,
        ..Default::default()
    }
}

fn draw(
    renderer: &mut MouthRenderer,
    layout: &Layout,
    planes: &mut [Vec<u8>; 3],
    mesh: &Mesh,
    shape: &MouthParams,
) -> Region {
    let [a, b, c] = planes;
    let mut frame = FrameMut {
        layout: *layout,
        planes: [a, b, c],
    };
    renderer.render(&mut frame, mesh, shape, 1.0)
}

fn drawn(layout: &Layout, mesh: &Mesh, shape: &MouthParams) -> ([Vec<u8>; 3], Region) {
    let mut planes = testing::picture(layout);
    let region = draw(&mut MouthRenderer::new(), layout, &mut planes, mesh, shape);
    (planes, region)
}

/// Faces that differ in pose and in what their own mouth does.
fn faces() -> Vec<Mesh> {
    let mut faces = Vec::new();
    for gap in [0.02, 0.06, 0.16, 0.35] {
        let frontal = testing::face_with_gap(AT, UNIT, gap);
        for angle in [-0.7, 0.4] {
            faces.push(testing::turned(frontal.clone(), AT, UNIT, angle));
        }
        faces.push(testing::tilted(frontal.clone(), AT, 0.5));
        faces.push(frontal);
    }
    faces
}

fn shapes() -> Vec<MouthParams> {
    let mut shapes = Vec::new();
    for opening in [-0.1, 0.0, 0.05, 0.15, 0.3, 0.45] {
        for width in [-0.5, -0.2, 0.0, 0.25] {
            for tuck in [0.0, 1.0] {
                shapes.push(shape(opening, width, tuck));
            }
        }
    }
    shapes
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
fn outside_the_region_every_byte_stays() {
    let (w, h) = SIZE;
    for layout in testing::layouts(w, h) {
        for mesh in faces() {
            for shape in [shape(0.3, -0.3, 0.0), shape(0.0, 0.2, 1.0)] {
                let before = testing::picture(&layout);
                let (after, region) = drawn(&layout, &mesh, &shape);
                assert!(before != after);
                testing::assert_same_outside(&layout, &before, &after, region);
                // The frame around the region is reached by nothing: no seam.
                let edge = |x: usize, y: usize| {
                    let [old, new] = [&before, &after].map(|p| testing::rgb_at(&layout, p, x, y));
                    let most = (0..3).map(|i| (old[i] - new[i]).abs()).fold(0.0, f32::max);
                    assert!(most <= 3.0, "seam of {most} at ({x}, {y})");
                };
                for x in region.x..region.x + region.width {
                    edge(x, region.y);
                    edge(x, region.y + region.height - 1);
                }
                for y in region.y..region.y + region.height {
                    edge(region.x, y);
                    edge(region.x + region.width - 1, y);
                }
            }
        }
    }
}

#[test]
fn a_resting_face_asked_to_rest_keeps_every_byte() {
    let (w, h) = SIZE;
    for layout in testing::layouts(w, h) {
        for mesh in [
            testing::face(AT, UNIT),
            testing::tilted(testing::face(AT, UNIT), AT, -0.3),
        ] {
            let (after, _) = drawn(&layout, &mesh, &MouthParams::default());
            assert!(after == testing::picture(&layout));
        }
    }
}

/// Paints the opening of the face's own mouth white.
fn with_teeth(layout: &Layout, gap: f32) -> [Vec<u8>; 3] {
    let mut planes = testing::picture(layout);
    for y in 0..layout.height {
        for x in 0..layout.width {
            let t = (x as f32 + 0.5 - AT[0]) / (0.37 * UNIT);
            let v = (y as f32 + 0.5 - AT[1]) / UNIT;
            let lens = 1.0 - t * t;
            if lens > 0.0 && v > -0.2 * gap * lens && v < 0.8 * gap * lens {
                for c in 0..3 {
                    planes[0][layout.channels[c].index(x, y)] = 255;
                }
            }
        }
    }
    planes
}

#[test]
fn closed_is_closed_even_over_a_mouth_full_of_teeth() {
    let (w, h) = SIZE;
    let layout = Layout::rgb(w, h);
    let mesh = testing::face_with_gap(AT, UNIT, 0.2);
    let white = |planes: &[Vec<u8>; 3]| planes[0].iter().filter(|&&v| v > 235).count();
    let source = with_teeth(&layout, 0.2);
    assert!(white(&source) > 600);
    for opening in [0.0, -0.05] {
        let mut planes = source.clone();
        let shape = shape(opening, 0.0, 0.0);
        draw(
            &mut MouthRenderer::new(),
            &layout,
            &mut planes,
            &mesh,
            &shape,
        );
        assert_eq!(white(&planes), 0, "teeth shine through at {opening}");
    }
    // Half closed, the teeth stay where the skull has them.
    let mut planes = source.clone();
    draw(
        &mut MouthRenderer::new(),
        &layout,
        &mut planes,
        &mesh,
        &shape(0.1, 0.0, 0.0),
    );
    let left = white(&planes);
    assert!(left > 150 && left < white(&source), "{left}");
}

#[test]
fn teeth_that_were_seen_once_are_shown_again() {
    let (w, h) = SIZE;
    let layout = Layout::rgb(w, h);
    let toothy = testing::face_with_gap(AT, UNIT, 0.25);
    let closed = testing::face(AT, UNIT);
    let white = |seen: bool| {
        let mut renderer = MouthRenderer::new();
        if seen {
            let mut planes = with_teeth(&layout, 0.25);
            let rest = MouthParams::default();
            draw(&mut renderer, &layout, &mut planes, &toothy, &rest);
        }
        let mut planes = testing::picture(&layout);
        let wide = shape(0.2, 0.0, 0.0);
        draw(&mut renderer, &layout, &mut planes, &closed, &wide);
        // The painted ones are no brighter than the skin.
        planes[0].iter().filter(|&&v| v > 220).count()
    };
    let (before, after) = (white(false), white(true));
    assert!(before == 0 && after > 150, "{before}, then {after}");
}

#[test]
fn the_mouth_opens_as_far_as_it_is_told() {
    let (w, h) = SIZE;
    let layout = Layout::rgb(w, h);
    for gap in [0.02, 0.2] {
        let mesh = testing::face_with_gap(AT, UNIT, gap);
        for opening in [0.1, 0.2, 0.3] {
            let lips = Lips::of(&mesh).unwrap();
            let mut warp = Warp::default();
            warp.prepare(&lips, &shape(opening, 0.0, 0.0), &REST);
            let column = warp.place([lips.centre, 0.0], UNIT).column;
            let got = column.lower - column.upper;
            assert!((got - opening).abs() < 0.005, "{got} for {opening}");
            // Lower lip and chin do the work, and the neck stays.
            let chin = warp.place([lips.centre, lips.chin[1]], UNIT).moved[1];
            let own = if gap > 0.1 { gap } else { 0.0 };
            let share = -chin / (opening - own);
            if (opening - own).abs() > 0.05 {
                assert!((0.5..0.9).contains(&share), "chin goes {share} of the way");
            }
            let neck = warp.place([lips.centre, lips.chin[1] + 1.1], UNIT).moved;
            assert_eq!(neck, [0.0, 0.0]);
        }
    }
    let (after, _) = drawn(&layout, &testing::face(AT, UNIT), &shape(0.3, 0.0, 0.0));
    let dark = (0..h)
        .filter(|&y| testing::rgb_at(&layout, &after, AT[0] as usize + 14, y)[1] < 95.0)
        .count();
    let lens = 0.3 * UNIT;
    assert!(
        dark as f32 > 0.4 * lens && (dark as f32) < lens,
        "{dark} of {lens}"
    );
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
fn every_layout_shows_the_same_mouth() {
    let (w, h) = SIZE;
    let layouts = testing::layouts(w, h);
    let mesh = testing::face(AT, UNIT);
    let shape = shape(0.25, -0.1, 0.0);
    let (reference, region) = drawn(&layouts[0], &mesh, &shape);
    let luma = |[r, g, b]: [f32; 3]| 0.299 * r + 0.587 * g + 0.114 * b;
    for layout in &layouts[1..] {
        let (planes, same) = drawn(layout, &mesh, &shape);
        assert_eq!(same, region);
        let mut sums = [0.0; 3];
        for y in region.y..region.y + region.height {
            for x in region.x..region.x + region.width {
                let want = testing::rgb_at(&layouts[0], &reference, x, y);
                let got = testing::rgb_at(layout, &planes, x, y);
                let miss = (luma(want) - luma(got)).abs();
                assert!(miss < 16.0, "({x}, {y}): {got:?} for {want:?}");
                for (sum, (a, b)) in sums.iter_mut().zip(want.into_iter().zip(got)) {
                    *sum += (a - b).abs();
                }
            }
        }
        // Chroma of half the size blurs the edges of the lips.
        let mean = sums.map(|v| v / (region.width * region.height) as f32);
        assert!(mean.iter().all(|&v| v < 2.0), "{mean:?}: {layout:?}");
    }
}

#[test]
fn straight_lines_away_from_the_lips_are_as_good_as_the_map_itself() {
    for unit in [20.0, 60.0, 220.0] {
        let layout = Layout::rgb((4.2 * unit) as usize, (4.0 * unit) as usize);
        let at = [2.1 * unit, 1.7 * unit];
        let mesh = testing::tilted(testing::face(at, unit), at, 0.15);
        let head = Lips::of(&mesh).unwrap().frame;
        for shape in [shape(0.4, -0.3, 0.0), shape(0.1, 0.25, 1.0)] {
            let mut planes = testing::picture(&layout);
            let mut renderer = MouthRenderer::new();
            let region = draw(&mut renderer, &layout, &mut planes, &mesh, &shape);
            let map = &renderer.traced.map;
            let mut off = 0;
            for (y, row) in (region.y..).zip(map.chunks_exact(region.width)) {
                for (x, got) in (region.x..).zip(row) {
                    let point = head.to_local([x as f32 + 0.5, y as f32 + 0.5]);
                    let want = head.vector(renderer.warp.place(point, unit).moved);
                    let miss = (got[0] - want[0]).hypot(got[1] - want[1]);
                    assert!(miss < 0.5, "{miss} pixels at ({x}, {y}), unit {unit}");
                    off += usize::from(miss > 0.1);
                }
            }
            assert!(off * 1000 < map.len(), "{off} of {}", map.len());
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
        let mut warp = Warp::default();
        warp.prepare(&lips, &tamed(&shape, 1.0), &REST);
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
    let mut warp = Warp::default();
    warp.prepare(&lips, &shape(0.15, 0.0, 0.0), &REST);
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
        let mut warp = Warp::default();
        warp.prepare(&lips, &shape(opening, 0.0, 0.0), &rest);
        let from = |y: f32| y + warp.place([lips.centre, y], UNIT).moved[1];
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
        let mut warp = Warp::default();
        warp.prepare(&lips, &shape(opening, 0.0, 0.0), &rest);
        let lower = warp.place([lips.centre, 0.0], UNIT).column.lower + 1e-4;
        lower + warp.place([lips.centre, lower], UNIT).moved[1] - edge
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
        let mut warp = Warp::default();
        warp.prepare(&lips, &press, &REST);
        let upper = warp.place([lips.centre, 0.0], UNIT).column.upper - 1e-4;
        let rolled = edge - (upper + warp.place([lips.centre, upper], UNIT).moved[1]);
        assert!(rolled > 0.015, "{rolled}");
        assert!(rolled < 0.31 * thickness, "{rolled} of {thickness}");
    }
    // The red of an open mouth's upper lip is at its edge, and stays.
    let lips = Lips::of(&testing::face_with_gap(AT, UNIT, 0.2)).unwrap();
    let mut warp = Warp::default();
    warp.prepare(&lips, &press, &REST);
    let upper = warp.place([lips.centre, 0.0], UNIT).column.upper - 1e-4;
    let moved = warp.place([lips.centre, upper], UNIT).moved[1];
    let rolled = lips.edges(lips.centre)[0] - (upper + moved);
    assert!((0.0..0.01).contains(&rolled), "{rolled}");
}

#[test]
fn an_open_mouth_closes_in_a_line_without_hooks() {
    let mut mesh = testing::face_with_gap(AT, UNIT, 0.2);
    // The upper lip rises steeply at the corners and is level between them.
    for i in [191, 80, 81, 82, 13, 312, 311, 310, 415] {
        mesh.0[i][1] = AT[1] - 0.08 * UNIT;
    }
    let lips = Lips::of(&mesh).unwrap();
    let line =
        |t: f32| lips.edges(0.5 * (lips.left + lips.right + t * (lips.right - lips.left)))[2];
    let [corner, middle] = [line(-1.0), line(0.0)];
    assert!(middle < corner - 0.03, "{middle} against {corner}");
    for t in [-0.9, 0.9] {
        let risen = (corner - line(t)) / (corner - middle);
        assert!((0.1..0.3).contains(&risen), "{risen} of the way");
    }
}

#[test]
fn colour_next_to_the_lips_of_an_open_mouth_is_the_lips_own() {
    for gap in [0.02, 0.2] {
        let lips = Lips::of(&testing::face_with_gap(AT, UNIT, gap)).unwrap();
        let mut warp = Warp::default();
        warp.prepare(&lips, &MouthParams::default(), &REST);
        // Lips that touch have nothing to smear.
        assert_eq!(warp.most_smear > 0.0, gap > 0.1);
        let edge = warp.place([lips.centre, 0.0], UNIT).column.upper;
        let from = |warp: &Warp, y: f32| y + warp.place([lips.centre, y], UNIT).moved[1];
        let [near, far] = [0.001, 0.05].map(|above| from(&warp, edge - above));
        warp.smear = warp.most_smear;
        let smear = warp.smear;
        assert!((from(&warp, edge - 0.001) - (near - smear)).abs() < 0.003);
        assert_eq!(from(&warp, edge - 0.05), far);
    }
}

#[test]
fn subsampled_colour_has_as_much_of_the_line_between_the_lips_as_brightness_has() {
    let lips = Lips::of(&testing::face_with_gap(AT, UNIT, 0.2)).unwrap();
    let mut warp = Warp::default();
    warp.prepare(&lips, &MouthParams::default(), &REST);
    let complexion = Complexion {
        skin: [180.0, 140.0, 120.0],
        lip: [150.0, 90.0, 85.0],
    };
    let gallery = Gallery::default();
    let column = warp.place([lips.centre, 0.0], UNIT).column;
    let [fine, coarse] = [1.0, 2.0].map(|size| {
        let interior = Interior::new(&complexion, &gallery, &warp, &lips, size / UNIT);
        let at = |k: i32| interior.at([lips.centre, column.upper + 0.001 * k as f32], &column);
        (-200..200).filter_map(at).map(|i| i.coverage).sum::<f32>()
    });
    assert!(fine > 1.0);
    assert!((0.8..1.2).contains(&(coarse / fine)), "{coarse}, {fine}");
}

#[test]
fn lips_that_hang_between_open_and_closed_meet_at_their_corners() {
    for gap in [0.04, 0.055, 0.07, 0.1, 0.2] {
        let mut lips = Lips::of(&testing::face_with_gap(AT, UNIT, gap)).unwrap();
        lips.line = [0.03, 0.02, -0.02];
        for x in [lips.left, lips.right, lips.right + 0.1] {
            let [upper, lower, line] = lips.edges(x);
            assert!(
                (upper - line).abs() < 1e-5 && (lower - line).abs() < 1e-5,
                "{gap}"
            );
        }
    }
    // What is taken for closed lips never moves faster than the lips themselves.
    let closed = |gap: f32| {
        let lips = Lips::of(&testing::face_with_gap(AT, UNIT, gap)).unwrap();
        let [upper, lower, _] = lips.edges(lips.centre);
        gap - (lower - upper)
    };
    for step in 0..60 {
        let gap = 0.02 + 0.002 * step as f32;
        let speed = (closed(gap + 0.002) - closed(gap)) / 0.002;
        assert!(speed.abs() < 1.05, "{speed} at {gap}");
    }
}

#[test]
fn pressed_lips_are_closed_whatever_the_opening_says() {
    let pressed = |press: f32| MouthParams {
        press,
        ..shape(0.12, 0.0, 0.0)
    };
    let opening = |press: f32| tamed(&pressed(press), 1.0).opening;
    assert_eq!(opening(0.0), 0.12);
    assert!(opening(0.1) > 0.09 && opening(0.3) < 0.05);
    assert_eq!([0.5, 1.0, 7.0].map(opening), [0.0; 3]);
    // At half strength the lips move half as far.
    assert!(tamed(&pressed(1.0), 0.5).opening < 0.03);
}

#[test]
fn strength_scales_the_shape() {
    let (w, h) = SIZE;
    let layout = Layout::rgb(w, h);
    let mesh = testing::face(AT, UNIT);
    let mut half = testing::picture(&layout);
    let [a, b, c] = &mut half;
    let mut frame = FrameMut {
        layout,
        planes: [a, b, c],
    };
    MouthRenderer::new().render(&mut frame, &mesh, &shape(0.25, 0.125, 0.5), 0.5);
    let (whole, _) = drawn(&layout, &mesh, &shape(0.125, 0.0625, 0.25));
    assert!(half == whole);
}

#[test]
fn a_long_face_opens_its_mouth_further_than_a_short_one() {
    let (w, h) = SIZE;
    let layout = Layout::rgb(w, h);
    let gain = |gap: f32, chin: f32| {
        let mut mesh = testing::face_with_gap(AT, UNIT, gap);
        mesh.0[152][1] = AT[1] + chin * UNIT;
        let mut renderer = MouthRenderer::new();
        let rest = MouthParams::default();
        draw(
            &mut renderer,
            &layout,
            &mut testing::picture(&layout),
            &mesh,
            &rest,
        );
        renderer.known.gain()
    };
    let [short, usual, long] = [0.62, 0.74, 0.86].map(|chin| gain(0.02, chin));
    assert!((usual - 1.0).abs() < 0.01 && short < 0.9 && long > 1.1);
    // That the source's mouth stands open makes its face no longer.
    assert!((gain(0.2, 0.74 + JAW_OF_OPENING * 0.2) - usual).abs() < 0.01);
    let wide = adapted(&shape(0.2, 0.1, 0.5), 1.1);
    assert!((wide.opening - 0.22).abs() < 1e-6 && wide.width == 0.1 && wide.tuck == 0.5);
    assert!((wide.jaw - JAW_OF_OPENING * 0.22).abs() < 1e-6);
}

#[test]
fn a_still_picture_gives_the_same_frame_for_ever() {
    let (w, h) = SIZE;
    for layout in testing::layouts(w, h) {
        let mesh = testing::turned(testing::face_with_gap(AT, UNIT, 0.12), AT, UNIT, 0.2);
        let mut renderer = MouthRenderer::new();
        let shape = shape(0.2, 0.1, 0.0);
        let mut first = testing::picture(&layout);
        draw(&mut renderer, &layout, &mut first, &mesh, &shape);
        for frame in 1..80 {
            let mut next = testing::picture(&layout);
            draw(&mut renderer, &layout, &mut next, &mesh, &shape);
            assert!(next == first, "frame {frame} differs");
        }
        let mut other = testing::picture(&layout);
        renderer.reset();
        draw(&mut renderer, &layout, &mut other, &mesh, &shape);
        assert!(other == first);
    }
}

#[test]
fn the_sources_own_talking_does_not_shine_through() {
    let (w, h) = SIZE;
    let layout = Layout::rgb(w, h);
    let mut renderer = MouthRenderer::new();
    let calm = testing::face(AT, UNIT);
    for _ in 0..60 {
        let mut planes = testing::picture(&layout);
        draw(
            &mut renderer,
            &layout,
            &mut planes,
            &calm,
            &MouthParams::default(),
        );
    }
    let mut widening_of = |spread: f32| {
        let mut mesh = calm.clone();
        for i in [61, 291, 78, 308] {
            mesh.0[i][0] = AT[0] + (mesh.0[i][0] - AT[0]) * spread;
        }
        let mut planes = testing::picture(&layout);
        let rest = MouthParams::default();
        draw(&mut renderer, &layout, &mut planes, &mesh, &rest);
        renderer.known.rest().widening
    };
    // A mesh that trembles is not followed.
    for frame in 0..20 {
        let widening = widening_of([0.99, 1.01][frame % 2]);
        assert!((widening - 1.0).abs() < 0.0015, "{widening}");
    }
    // The source spreads its mouth by a tenth for one frame: it is drawn narrower by as much.
    let widening = widening_of(1.1);
    assert!((widening - 1.0 / 1.1).abs() < 0.01, "{widening}");
}

#[test]
fn how_thick_the_lips_rest_is_learnt_while_they_touch() {
    let (w, h) = SIZE;
    let layout = Layout::rgb(w, h);
    let mut renderer = MouthRenderer::new();
    let mut rest_after = |frames: usize, mesh: &Mesh| {
        for _ in 0..frames {
            let mut planes = testing::picture(&layout);
            let rest = MouthParams::default();
            draw(&mut renderer, &layout, &mut planes, mesh, &rest);
        }
        let Rest {
            swelling,
            rolled_out,
            ..
        } = renderer.known.rest();
        [swelling, rolled_out]
    };
    let closed = testing::face(AT, UNIT);
    let mut open = testing::face_with_gap(AT, UNIT, 0.2);
    let [[_, resting], [_, lower]] =
        [&closed, &open].map(|mesh| Lips::of(mesh).unwrap().thickness());
    // The upper lip gets thinner, the lower one thicker than it rests.
    for i in [185, 40, 39, 37, 0, 267, 269, 270, 409] {
        open.0[i][1] += 0.02 * UNIT;
    }
    for i in [146, 91, 181, 84, 17, 314, 405, 321, 375] {
        open.0[i][1] += (resting + 0.02 - lower) * UNIT;
    }
    assert_eq!(rest_after(5, &open), [0.0; 2], "nothing is known yet");
    assert_eq!(rest_after(30, &closed), [0.0; 2]);
    let [swelling, rolled_out] = rest_after(10, &open);
    assert!((0.005..0.02).contains(&swelling), "{swelling}");
    assert!((0.03..0.05).contains(&rolled_out), "{rolled_out}");
}

#[test]
fn nothing_that_a_stream_brings_makes_it_fail() {
    let broken =
        |f: &dyn Fn(usize) -> [f32; 3]| Mesh(Box::new(std::array::from_fn::<_, MESH_POINTS, _>(f)));
    let noise = |i: usize, k: usize| ((i * 7919 + k * 104_729) % 1000) as f32;
    let meshes = [
        broken(&|_| [f32::NAN; 3]),
        broken(&|_| [f32::INFINITY; 3]),
        broken(&|_| [50.0, 50.0, 0.0]),
        broken(&|i| [noise(i, 1), noise(i, 2), noise(i, 3)]),
        broken(&|i| [noise(i, 1) * 1e6, -noise(i, 2) * 1e6, 0.0]),
        testing::face([-20.0, 30.0], 40.0),
        testing::face([10.0, 5.0], 40.0),
        testing::face([60.0, 44.0], 30.0),
        testing::face([1e7, 1e7], 40.0),
        testing::face([30.0, 20.0], 4.0),
        testing::face([30.0, 20.0], 1.0),
        testing::face([30.0, 20.0], 5000.0),
        testing::turned(testing::face([30.0, 20.0], 20.0), [30.0, 20.0], 20.0, 1.5),
        testing::tilted(testing::face([30.0, 20.0], 20.0), [30.0, 20.0], 3.1),
    ];
    let mut wild = shapes();
    wild.push(shape(f32::NAN, f32::NEG_INFINITY, f32::NAN));
    wild.push(shape(1e30, -1e30, 1e30));
    for (w, h) in [(64, 48), (63, 47), (1, 1), (2, 3)] {
        for layout in testing::layouts(w, h) {
            let before = testing::picture(&layout);
            let mut renderer = MouthRenderer::new();
            for mesh in &meshes {
                for shape in wild.iter().step_by(3).chain(&wild[wild.len() - 2..]) {
                    let mut after = before.clone();
                    let region = draw(&mut renderer, &layout, &mut after, mesh, shape);
                    assert!(region.x + region.width <= w && region.y + region.height <= h);
                    testing::assert_same_outside(&layout, &before, &after, region);
                }
            }
        }
    }
    let no_numbers = MouthParams {
        press: f32::NAN,
        raise: f32::NAN,
        ..shape(f32::NAN, f32::NAN, f32::NAN)
    };
    let (a, _) = drawn(&Layout::rgb(64, 48), &meshes[6], &no_numbers);
    let (b, _) = drawn(&Layout::rgb(64, 48), &meshes[6], &MouthParams::default());
    assert!(a == b, "what is not a number means rest");
}
