//! Closed outlines of straight edges.

/// Distance of a point to a closed outline, negative outside.
pub fn inside(polygon: &[[f32; 2]], [x, y]: [f32; 2]) -> f32 {
    // Squared until the end: this runs for every sample of a mask and every edge.
    let mut nearest = f32::MAX;
    let mut within = false;
    for (i, &[bx, by]) in polygon.iter().enumerate() {
        let [ax, ay] = polygon[(i + polygon.len() - 1) % polygon.len()];
        let (ex, ey) = (bx - ax, by - ay);
        let (px, py) = (x - ax, y - ay);
        let t = ((px * ex + py * ey) / (ex * ex + ey * ey).max(1e-12)).clamp(0.0, 1.0);
        let (dx, dy) = (px - t * ex, py - t * ey);
        nearest = nearest.min(dx * dx + dy * dy);
        if (ay > y) != (by > y) && x < ax + (y - ay) / (by - ay) * ex {
            within = !within;
        }
    }
    let nearest = nearest.sqrt();
    if within { nearest } else { -nearest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_positive_inside_and_negative_outside() {
        let square = [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]];
        for (point, distance) in [([2.0, 2.0], 2.0), ([1.0, 2.0], 1.0), ([7.0, 8.0], -5.0)] {
            assert!(
                (inside(&square, point) - distance).abs() < 1e-5,
                "{point:?}"
            );
        }
    }
}
