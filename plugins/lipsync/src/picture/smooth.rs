//! Transitions between two values.

/// Rises from 0 to 1 while `x` goes from `a` to `b`, level at both ends.
pub fn smoothstep(a: f32, b: f32, x: f32) -> f32 {
    ease((x - a) / (b - a))
}

/// `smoothstep` from 0 to 1.
#[inline]
pub fn ease(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

pub fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}
