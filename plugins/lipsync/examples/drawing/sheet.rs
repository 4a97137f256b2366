//! A contact sheet of drawn mouths.

use std::io::Write;

use gstlipsync::face::lips::HeadFrame;
use gstlipsync::picture::frame::{Frame, Layout};

/// Side of a tile, in pixels.
const VIEW: usize = 260;

pub fn crop(layout: &Layout, planes: &[Vec<u8>; 3], head: &HeadFrame) -> Vec<u8> {
    let [a, b, c] = planes;
    let frame = Frame {
        layout: *layout,
        planes: [a, b, c],
    };
    let mut rgb = Vec::with_capacity(VIEW * VIEW * 3);
    for j in 0..VIEW {
        for i in 0..VIEW {
            let place = |k: usize| (k as f32 + 0.5) / VIEW as f32 * 2.6 - 1.3;
            let at = head.to_pixel([place(i), place(j) + 0.1]);
            let colour = frame.rgb_at(at).unwrap_or_default();
            rgb.extend(colour.map(|v| v.clamp(0.0, 255.0) as u8));
        }
    }
    rgb
}

/// For each frame a column: the source, the own mouth, the warp.
pub fn write(path: &str, columns: &[[Vec<u8>; 3]]) -> std::io::Result<()> {
    let (width, height) = (columns.len() * VIEW, 3 * VIEW);
    let mut out = vec![0u8; width * height * 3];
    for (k, tiles) in columns.iter().enumerate() {
        for (row, tile) in tiles.iter().enumerate() {
            for (y, line) in tile.chunks_exact(VIEW * 3).enumerate() {
                let at = ((row * VIEW + y) * width + k * VIEW) * 3;
                out[at..at + line.len()].copy_from_slice(line);
            }
        }
    }
    let mut file = std::fs::File::create(path)?;
    write!(file, "P6\n{width} {height}\n255\n")?;
    file.write_all(&out)
}
