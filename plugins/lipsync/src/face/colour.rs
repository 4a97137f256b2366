//! The colours of a face.

use super::Mesh;
use crate::picture::frame::Frame;

/// Cheeks, chin and nose: skin whatever the mouth does.
const SKIN: [usize; 8] = [50, 280, 205, 425, 117, 346, 199, 4];
/// Within the lower lip.
const LIP: [usize; 6] = [15, 16, 85, 86, 315, 316];

/// What the frame shows of the face's skin; `None` where it is outside the picture.
pub fn skin(frame: &Frame, mesh: &Mesh) -> Option<[f32; 3]> {
    mean(frame, mesh, &SKIN)
}

/// What the frame shows of the lower lip.
pub fn lip(frame: &Frame, mesh: &Mesh) -> Option<[f32; 3]> {
    mean(frame, mesh, &LIP)
}

fn mean(frame: &Frame, mesh: &Mesh, points: &[usize]) -> Option<[f32; 3]> {
    let layout = &frame.layout;
    let mut sum = [0.0; 3];
    let mut count = 0.0;
    for &i in points {
        let [x, y, _] = mesh.0[i];
        if !(x >= 0.0 && y >= 0.0 && x < layout.width as f32 && y < layout.height as f32) {
            continue;
        }
        let values = std::array::from_fn(|c| {
            let channel = &layout.channels[c];
            let (x, y) = (x as usize >> channel.sub_x, y as usize >> channel.sub_y);
            let plane = frame.planes[channel.plane];
            channel.get(plane, x, y).unwrap_or(128.0)
        });
        for (s, v) in sum.iter_mut().zip(layout.colour.to_rgb(values)) {
            *s += v;
        }
        count += 1.0;
    }
    (count > 0.0).then(|| sum.map(|v| (v / count).clamp(0.0, 255.0)))
}
