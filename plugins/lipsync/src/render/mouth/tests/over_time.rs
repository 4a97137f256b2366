//! What one frame has to do with the next: grain, teeth that come into view, faces that come and go.

use super::*;

#[test]
fn teeth_that_are_seen_first_do_not_pop_up() {
    let (w, h) = SIZE;
    let layout = Layout::rgb(w, h);
    let closed = testing::face(AT, UNIT);
    let wide = shape(0.2, 0.0, 0.0);
    let mut renderer = MouthRenderer::new();
    let shown = |renderer: &mut MouthRenderer, mesh: &Mesh, source: [Vec<u8>; 3]| {
        let mut planes = source;
        draw(renderer, &layout, &mut planes, mesh, &wide);
        let middle = testing::rgb_at(&layout, &planes, AT[0] as usize + 2, AT[1] as usize + 1);
        middle[0]
    };
    let before = (0..60)
        .map(|_| shown(&mut renderer, &closed, testing::picture(&layout)))
        .fold(0.0, |_, now| now);
    let toothy = testing::face_with_gap(AT, UNIT, 0.25);
    shown(&mut renderer, &toothy, with_teeth(&layout, 0.25));
    let mut last = before;
    for frame in 0..14 {
        let now = shown(&mut renderer, &closed, testing::picture(&layout));
        assert!(
            now >= last - 4.0 && now < last + 30.0,
            "{now} after {last}, frame {frame}"
        );
        last = now;
    }
    assert!(last > before + 60.0, "{last} after {before}");
}

/// The picture with noise of about two levels, another for each `seed`.
fn noisy(layout: &Layout, seed: u32) -> [Vec<u8>; 3] {
    let mut planes = testing::picture(layout);
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    for v in &mut planes[0] {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        *v = v.saturating_add_signed(((state >> 8) % 8) as i8 - 4);
    }
    planes
}

#[test]
fn what_is_painted_has_the_grain_of_the_picture() {
    let (w, h) = SIZE;
    let layout = Layout::rgb(w, h);
    let mesh = testing::face(AT, UNIT);
    let wide = shape(0.35, 0.0, 0.0);
    let painted = |mut planes: [Vec<u8>; 3]| {
        draw(
            &mut MouthRenderer::new(),
            &layout,
            &mut planes,
            &mesh,
            &wide,
        );
        let at =
            |x, y| testing::rgb_at(&layout, &planes, AT[0] as usize + x - 8, AT[1] as usize + y)[1];
        // On the tongue.
        (0..96)
            .map(|k| at(k % 16, 5 + k / 16))
            .collect::<Vec<f32>>()
    };
    let smooth = painted(testing::picture(&layout));
    let [first, again, next] = [1, 1, 2].map(|seed| painted(noisy(&layout, seed)));
    let strength = |grainy: &[f32]| {
        let off: Vec<f32> = grainy.iter().zip(&smooth).map(|(a, b)| a - b).collect();
        let mean = off.iter().sum::<f32>() / off.len() as f32;
        (off.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / off.len() as f32).sqrt()
    };
    assert!(
        (1.0..3.0).contains(&strength(&first)),
        "{}",
        strength(&first)
    );
    assert!(first == again, "the same picture has the same grain");
    assert!(first != next, "grain moves");
}

/// The picture in another light: a quarter darker.
fn darker(layout: &Layout) -> [Vec<u8>; 3] {
    testing::picture(layout).map(|plane| plane.into_iter().map(|v| v - v / 4).collect())
}

#[test]
fn a_cut_forgets_the_person_and_a_moving_head_does_not() {
    let (w, h) = SIZE;
    let layout = Layout::rgb(w, h);
    let rest = MouthParams::default();
    let after = |mut planes: [Vec<u8>; 3], at: [f32; 2]| {
        let mut renderer = MouthRenderer::new();
        let mut seen = with_teeth(&layout, 0.25);
        let toothy = testing::face_with_gap(AT, UNIT, 0.25);
        draw(&mut renderer, &layout, &mut seen, &toothy, &rest);
        assert!(!renderer.known.teeth.is_empty());
        let closed = testing::face(at, UNIT);
        draw(&mut renderer, &layout, &mut planes, &closed, &rest);
        renderer.known.teeth.is_empty()
    };
    let picture = || testing::picture(&layout);
    let near = [AT[0] + 0.4 * UNIT, AT[1]];
    let far = [AT[0] + 1.5 * UNIT, AT[1]];
    assert!(!after(picture(), AT) && !after(picture(), near));
    assert!(after(picture(), far), "the face is elsewhere");
    assert!(after(darker(&layout), AT), "the light is another");
}

/// Holds a face of which the last frame was `seen`, for each of so many frames, and gives those.
fn held(renderer: &mut MouthRenderer, source: &[Vec<u8>; 3], faces: &[Face]) -> [Vec<u8>; 3] {
    let (w, h) = SIZE;
    let mut planes = source.clone();
    let [a, b, c] = &mut planes;
    let mut frame = FrameMut {
        layout: Layout::rgb(w, h),
        planes: [a, b, c],
    };
    renderer.hold(&mut frame, faces, &shape(0.3, 0.0, 0.0), 1.0, STEP);
    planes
}

#[test]
fn a_face_that_is_lost_is_held_and_gives_way_to_the_source() {
    let (w, h) = SIZE;
    let layout = Layout::rgb(w, h);
    let source = testing::picture(&layout);
    let mesh = testing::face(AT, UNIT);
    let wide = shape(0.3, 0.0, 0.0);
    let mut renderer = MouthRenderer::new();
    assert!(!renderer.holds());
    let mut seen = source.clone();
    draw(&mut renderer, &layout, &mut seen, &mesh, &wide);
    let off = |planes: &[Vec<u8>; 3]| -> u32 {
        let both = planes[0].iter().zip(&source[0]);
        both.map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
    };
    for _ in 0..7 {
        assert!(held(&mut renderer, &source, &[]) == seen);
    }
    let mut last = off(&seen);
    for _ in 0..5 {
        let now = off(&held(&mut renderer, &source, &[]));
        assert!(now < last, "{now} after {last}");
        last = now;
    }
    assert!(held(&mut renderer, &source, &[]) == source && !renderer.holds());
    // And comes back over as long.
    let mut back = source.clone();
    draw(&mut renderer, &layout, &mut back, &mesh, &wide);
    assert!((1..off(&seen) / 3).contains(&off(&back)), "{}", off(&back));
    for _ in 0..5 {
        back.clone_from(&source);
        draw(&mut renderer, &layout, &mut back, &mesh, &wide);
    }
    assert!(back == seen);
}

#[test]
fn a_lost_face_is_not_held_over_a_cut_nor_beside_itself() {
    let (w, h) = SIZE;
    let layout = Layout::rgb(w, h);
    let source = testing::picture(&layout);
    let mesh = testing::face(AT, UNIT);
    let wide = shape(0.3, 0.0, 0.0);
    let mut renderer = MouthRenderer::new();
    let mut seen = source.clone();
    draw(&mut renderer, &layout, &mut seen, &mesh, &wide);
    let other = darker(&layout);
    assert!(held(&mut renderer, &other, &[]) == other);
    // Back in the old shot it is drawn on at once.
    let mut again = source.clone();
    draw(&mut renderer, &layout, &mut again, &mesh, &wide);
    assert!(again == seen);
    let named_anew = Face {
        id: 2,
        bounds: mesh.bounds(),
        score: 1.0,
        mesh: Some(mesh),
    };
    assert!(held(&mut renderer, &source, &[named_anew]) == source);
}
