use std::sync::Arc;

use super::*;
use crate::bank::{self, Pixels, Shape};
use crate::render::testing::{self, AT, UNIT};

const SIZE: (usize, usize) = (300, 260);

fn mouth(layout: &Layout, planes: &[Vec<u8>; 3], mesh: &Mesh) -> Mouth {
    let [a, b, c] = planes;
    let frame = Frame {
        layout: *layout,
        planes: [a, b, c],
    };
    let (look, region) = bank::look(&frame, mesh, 0, 0).unwrap();
    Mouth {
        look,
        mesh: Arc::new(mesh.clone()),
        region,
        pixels: Pixels::Owned(bank::copy(&frame, region).into()),
    }
}

/// Draws `mouth` onto the face as it is, or as `wanted` says.
fn draw(
    layout: &Layout,
    planes: &mut [Vec<u8>; 3],
    mesh: &Mesh,
    mouth: &Mouth,
    wanted: Option<Wanted>,
) -> Option<Drawn> {
    let Shape { opening, width, .. } = Shape::of(&Lips::of(mesh).unwrap());
    let [a, b, c] = planes;
    let mut frame = FrameMut {
        layout: *layout,
        planes: [a, b, c],
    };
    let target = Target {
        mesh,
        source: layout,
    };
    let wanted = wanted.unwrap_or(Wanted { opening, width });
    OwnMouth::default().draw(
        &mut frame,
        target,
        &[Layer { mouth, share: 1.0 }],
        wanted,
        1.0,
    )
}

#[test]
fn a_mouth_drawn_where_it_was_changes_nothing_to_speak_of() {
    for layout in testing::layouts(SIZE.0, SIZE.1) {
        let mesh = testing::face_with_gap(AT, UNIT, 0.1);
        let before = testing::picture(&layout);
        let mut after = before.clone();
        let drawn = draw(
            &layout,
            &mut after,
            &mesh,
            &mouth(&layout, &before, &mesh),
            None,
        )
        .unwrap();
        testing::assert_same_outside(&layout, &before, &after, drawn.region);
        let most = before.iter().flatten().zip(after.iter().flatten());
        let most = most.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(most <= 3, "{layout:?}: {most}");
        assert!(drawn.mismatch < 1.0, "{}", drawn.mismatch);
    }
}

#[test]
fn a_mouth_goes_with_the_face_it_is_laid_on() {
    let layout = testing::layouts(SIZE.0, SIZE.1)[2];
    // A dark spot on the lower lip.
    let mesh = testing::face_with_gap(AT, UNIT, 0.1);
    let mut source = testing::picture(&layout);
    let spot = [AT[0] + 4.0, AT[1] + 0.16 * UNIT];
    for y in 0..4 {
        for x in 0..4 {
            let at = layout.channels[0].index(spot[0] as usize + x, spot[1] as usize + y);
            source[0][at] = 30;
        }
    }
    let mouth = mouth(&layout, &source, &mesh);
    for (dx, dy) in [(0.0, 0.0), (11.0, -7.0), (-20.0, 12.0)] {
        let here = Mesh(Box::new(mesh.0.map(|[x, y, z]| [x + dx, y + dy, z])));
        let mut planes = testing::picture(&layout).map(|plane| vec![150; plane.len()]);
        draw(&layout, &mut planes, &here, &mouth, None).unwrap();
        let darkest = (0..SIZE.0 * SIZE.1)
            .min_by_key(|i| planes[0][layout.channels[0].index(i % SIZE.0, i / SIZE.0)]);
        let darkest = darkest.unwrap();
        let (x, y) = ((darkest % SIZE.0) as f32, (darkest / SIZE.0) as f32);
        let off = (x - spot[0] - 1.5 - dx).hypot(y - spot[1] - 1.5 - dy);
        assert!(off < 4.0, "{off} at {dx}, {dy}");
    }
}

#[test]
fn a_mouth_takes_the_light_of_the_face_it_is_laid_on() {
    for layout in testing::layouts(SIZE.0, SIZE.1) {
        let mesh = testing::face_with_gap(AT, UNIT, 0.1);
        let source = testing::picture(&layout);
        let mouth = mouth(&layout, &source, &mesh);
        // Half as bright.
        let mut dark = source.clone();
        for (c, channel) in layout.channels.iter().enumerate() {
            let black = zero(layout.colour, c);
            for y in 0..channel.height(SIZE.1) {
                for x in 0..channel.width(SIZE.0) {
                    let at = channel.index(x, y);
                    let v = f32::from(source[channel.plane][at]);
                    dark[channel.plane][at] = (black + 0.6 * (v - black)).round() as u8;
                }
            }
        }
        let before = dark.clone();
        draw(&layout, &mut dark, &mesh, &mouth, None).unwrap();
        for (x, y) in [(150, 135), (130, 150), (170, 110), (150, 160)] {
            let [was, is] = [&before, &dark].map(|p| testing::rgb_at(&layout, p, x, y));
            for (a, b) in was.into_iter().zip(is) {
                assert!((a - b).abs() < 7.0, "{layout:?} ({x}, {y}): {was:?} {is:?}");
            }
        }
    }
}

#[test]
fn a_picture_that_lies_off_its_points_is_put_right() {
    let layout = testing::layouts(SIZE.0, SIZE.1)[2];
    let mesh = testing::face_with_gap(AT, UNIT, 0.1);
    let source = testing::picture(&layout);
    // The points of the other frame were read a pixel too far to the right and down.
    let wrong = Mesh(Box::new(mesh.0.map(|[x, y, z]| [x + 1.0, y + 1.0, z])));
    let mouth = mouth(&layout, &source, &wrong);
    let mut planes = source.clone();
    draw(&layout, &mut planes, &mesh, &mouth, None).unwrap();
    let off = source[0]
        .iter()
        .zip(&planes[0])
        .map(|(a, b)| u32::from(a.abs_diff(*b)));
    let most = off.max().unwrap();
    assert!(most <= 4, "{most}");
}

#[test]
fn the_mouth_opens_and_closes_to_what_is_asked() {
    let layout = testing::layouts(SIZE.0, SIZE.1)[2];
    let mesh = testing::face_with_gap(AT, UNIT, 0.12);
    // The lips as the mesh has them: red outside, white between.
    let lips = Lips::of(&mesh).unwrap();
    let mut source = testing::picture(&layout);
    let luma = layout.channels[0];
    for y in 0..SIZE.1 {
        for x in 0..SIZE.0 {
            let [u, v] = lips.frame.to_local([x as f32 + 0.5, y as f32 + 0.5]);
            if u > lips.left && u < lips.right {
                let [upper, lower, _] = lips.edges(u);
                let inside = v > upper && v < lower;
                let [top, .., bottom] = lips.contours(u);
                if inside || (v > top && v < bottom) {
                    source[0][luma.index(x, y)] = if inside { 235 } else { 80 };
                }
            }
        }
    }
    let mouth = mouth(&layout, &source, &mesh);
    let gap = |opening: f32| {
        let mut planes = source.clone();
        let width = lips.width;
        draw(
            &layout,
            &mut planes,
            &mesh,
            &mouth,
            Some(Wanted { opening, width }),
        )
        .unwrap();
        let x = AT[0] as usize;
        let white = (0..SIZE.1)
            .filter(|&y| planes[0][luma.index(x, y)] > 160)
            .count();
        // The skin is no brighter than that.
        white as f32 / UNIT
    };
    let own = lips.gap * lips.parted;
    let as_it_is = gap(own);
    for change in [-0.05, -0.03, 0.03, 0.06] {
        let changed = gap(own + change) - as_it_is;
        assert!((changed - change).abs() < 0.025, "{change}: {changed}");
    }
}

#[test]
fn without_a_face_or_in_other_colours_nothing_is_drawn() {
    let layouts = testing::layouts(SIZE.0, SIZE.1);
    let (yuv, rgb) = (layouts[2], layouts[0]);
    let mesh = testing::face_with_gap(AT, UNIT, 0.1);
    let mouth = mouth(&yuv, &testing::picture(&yuv), &mesh);
    let mut planes = testing::picture(&yuv);
    let before = planes.clone();
    let none = Mesh(Box::new([[0.0; 3]; crate::face::MESH_POINTS]));
    let [a, b, c] = &mut planes;
    let mut frame = FrameMut {
        layout: yuv,
        planes: [a, b, c],
    };
    let layers = [Layer {
        mouth: &mouth,
        share: 1.0,
    }];
    let wanted = Wanted {
        opening: 0.1,
        width: 0.8,
    };
    let mut own = OwnMouth::default();
    for (mesh, source) in [(&none, &yuv), (&mesh, &rgb)] {
        let target = Target { mesh, source };
        assert_eq!(own.draw(&mut frame, target, &layers, wanted, 1.0), None);
    }
    assert_eq!(planes, before);
}
