//! A contact sheet of a learnt face: its mouths in the order of their opening, as a PNG.

use std::fs::OpenOptions;
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use gstlipsync::bank::FaceFile;

/// One mouth on the sheet, in pixels.
const WIDTH: usize = 96;
const HEIGHT: usize = 78;
const GAP: usize = 2;
const COLUMNS: usize = 12;
const MOST: usize = 12 * 12;
const BACKGROUND: u8 = 32;

/// Writes the mouths of `face` to `path`; at most 144, spread over all.
pub fn write(face: &FaceFile, path: &Path) -> Result<(), png::EncodingError> {
    let openings: Vec<f32> = face.mouths().iter().map(|m| m.look.shape.opening).collect();
    let order = order(&openings);
    let columns = order.len().clamp(1, COLUMNS);
    let rows = order.len().div_ceil(columns).max(1);
    let width = columns * (WIDTH + GAP) + GAP;
    let height = rows * (HEIGHT + GAP) + GAP;
    let mut sheet = vec![BACKGROUND; width * height * 3];
    for (place, mouth) in order.into_iter().enumerate() {
        let picture = face.mouth_rgb(mouth, WIDTH, HEIGHT);
        let x = GAP + place % columns * (WIDTH + GAP);
        let y = GAP + place / columns * (HEIGHT + GAP);
        for (row, line) in picture.chunks_exact(WIDTH * 3).enumerate() {
            let at = ((y + row) * width + x) * 3;
            if let Some(target) = sheet.get_mut(at..at + line.len()) {
                target.copy_from_slice(line);
            }
        }
    }
    // A picture of a person, like the face file.
    let mut options = OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&sheet)?;
    writer.finish()
}

/// Which mouths are shown, from closed to open.
fn order(openings: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..openings.len()).collect();
    order.sort_by(|a, b| openings[*a].total_cmp(&openings[*b]).then(a.cmp(b)));
    let count = order.len().min(MOST);
    // The first and the last are the most telling ones.
    let step = order.len().saturating_sub(1) as f64 / count.saturating_sub(1).max(1) as f64;
    (0..count)
        .map(|n| order[(n as f64 * step).round() as usize])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mouths_go_from_closed_to_open_and_too_many_are_thinned_out() {
        assert_eq!(order(&[0.3, 0.0, f32::NAN, 0.1]), [1, 3, 0, 2]);
        assert!(order(&[]).is_empty());
        assert_eq!(order(&[0.1]), [0]);
        let many: Vec<f32> = (0..1000).map(|n| n as f32).collect();
        let shown = order(&many);
        assert_eq!(shown.len(), MOST);
        assert_eq!((shown[0], shown[MOST - 1]), (0, 999));
        assert!(shown.windows(2).all(|w| w[0] < w[1]));
    }
}
