mod over_time;

use super::*;
use crate::picture::sample::Depth;
use crate::{
    face::MESH_POINTS,
    model::JAW_OF_OPENING,
    render::{
        complexion::Complexion,
        frame::Layout,
        light::Light,
        teeth::KeptTeeth,
        testing::{self, AT, REST, UNIT, faces, shape, shapes},
        warp::Rest,
    },
};

const SIZE: (usize, usize) = (301, 247);
/// Seconds between frames.
const STEP: f32 = 0.04;

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
    renderer.render(&mut frame, mesh, shape, 1.0, STEP)
}

fn drawn(layout: &Layout, mesh: &Mesh, shape: &MouthParams) -> ([Vec<u8>; 3], Region) {
    let mut planes = testing::picture(layout);
    let region = draw(&mut MouthRenderer::new(), layout, &mut planes, mesh, shape);
    (planes, region)
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
            let before = testing::picture(&layout);
            if layout.channels[0].depth == Depth::Eight {
                assert!(after == before);
                continue;
            }
            // Quarters of a level show what rounds away in whole ones.
            for y in 0..h {
                for x in 0..w {
                    let rgb = |planes| testing::rgb_at(&layout, planes, x, y);
                    for (a, b) in rgb(&after).into_iter().zip(rgb(&before)) {
                        assert!((a - b).abs() < 0.75, "at {x}, {y}: {b} becomes {a}");
                    }
                }
            }
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
fn subsampled_colour_has_as_much_of_the_line_between_the_lips_as_brightness_has() {
    let lips = Lips::of(&testing::face_with_gap(AT, UNIT, 0.2)).unwrap();
    let mut warp = Warp::default();
    warp.prepare(&lips, &MouthParams::default(), &REST);
    let complexion = Complexion {
        skin: [180.0, 140.0, 120.0],
        lip: [150.0, 90.0, 85.0],
        light: Light::default(),
    };
    let teeth = KeptTeeth::default();
    let rows = Teeth::default();
    let column = warp.place([lips.centre, 0.0], UNIT).column;
    let [fine, coarse] = [1.0, 2.0].map(|size| {
        let interior = Interior::new(&complexion, &teeth, &rows, &warp, &lips, size / UNIT);
        let at = |k: i32| interior.at([lips.centre, column.upper + 0.001 * k as f32], &column);
        (-200..200).filter_map(at).map(|i| i.coverage).sum::<f32>()
    });
    assert!(fine > 1.0);
    assert!((0.8..1.2).contains(&(coarse / fine)), "{coarse}, {fine}");
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
    MouthRenderer::new().render(&mut frame, &mesh, &shape(0.25, 0.125, 0.5), 0.5, STEP);
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
