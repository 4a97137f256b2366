//! Pictures as telephones and web pages have them. The encoders are those of libheif and libavif; what the
//! result is held against is the same picture as PNG.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run_support::{finish, run, stderr};
use crate::tools::{Files, ffmpeg, text};

fn portrait() -> PathBuf {
    gstlipsync::runtime::data_dir().join("media/astronaut.png")
}

/// A picture of the portrait, coded by `program`, which is given the filtered PNG in the place of `IN`.
fn coded(files: &Files, name: &str, filter: &str, command: &str) -> PathBuf {
    let png = files.desk.file(format!("{name}.png"));
    ffmpeg(&["-i", text(&portrait()), "-vf", filter], &png);
    let path = files.desk.file(name);
    let mut words = command.split(' ');
    let mut encode = Command::new(words.next().expect("a program"));
    for word in words {
        match word {
            "IN" => encode.arg(&png),
            "OUT" => encode.arg(&path),
            word => encode.arg(word),
        };
    }
    let output = encode.output().expect("the encoder runs");
    assert!(output.status.success(), "{name}: {output:?}");
    path
}

/// The first frame, small and grey.
fn first_frame(path: &Path) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-frames:v", "1", "-vf", "scale=64:64,format=gray"])
        .args(["-f", "rawvideo", "-"])
        .output()
        .expect("ffmpeg runs");
    assert_eq!(output.stdout.len(), 64 * 64, "{output:?}");
    output.stdout
}

fn difference(a: &[u8], b: &[u8]) -> f64 {
    let sum: u32 = a
        .iter()
        .zip(b)
        .map(|(a, b)| u32::from(a.abs_diff(*b)))
        .sum();
    f64::from(sum) / a.len() as f64
}

#[test]
fn heic_and_avif_pictures_are_faces_upright() {
    let files = Files::new();
    let speech = files.speech("s.wav", &["-t", "0.6"]);
    let same = first_frame(&files.made(&portrait(), &speech, "png.mp4", &[]));
    let heic = "heif-enc -q 90 IN -o OUT";
    let avif = "avifenc --min 10 --max 20 -s 10";
    let cases = [
        ("a.heic", "null", heic.to_owned()),
        ("a.avif", "null", format!("{avif} IN OUT")),
        // Turned to the right, and shown turned to the left; and from top to bottom.
        (
            "t.avif",
            "transpose=clock",
            format!("{avif} --irot 1 IN OUT"),
        ),
        ("m.avif", "vflip", format!("{avif} --imir 0 IN OUT")),
    ];
    for (name, filter, command) in cases {
        let picture = coded(&files, name, filter, &command);
        let made = files.made(&picture, &speech, &format!("{name}.mp4"), &[]);
        let found = difference(&first_frame(&made), &same);
        assert!(found < 3.0, "{name}: {found}");
    }
}

#[test]
fn what_is_hidden_or_left_out_of_such_a_picture_is_told() {
    let files = Files::new();
    let speech = files.speech("s.wav", &["-t", "0.6"]);
    let hidden = "format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='if(lt(X,100),0,255)'";
    let two = format!("avifenc -s 10 {} IN OUT", text(&portrait()));
    let cases = [
        (
            "a.avif",
            hidden,
            "avifenc -s 10 IN OUT",
            "can be seen through",
        ),
        (
            "a.heic",
            hidden,
            "heif-enc IN -o OUT",
            "can be seen through",
        ),
        ("s.avif", "null", &two, "is an animation"),
    ];
    for (name, filter, command, words) in cases {
        let picture = coded(&files, name, filter, command);
        let output = files.desk.file("o.mp4");
        let result = finish(run(&picture, &speech, &output).arg("--overwrite"));
        assert!(result.status.success(), "{name}: {}", stderr(&result));
        assert!(
            stderr(&result).contains(words),
            "{name}: {}",
            stderr(&result)
        );
    }
}

#[test]
fn one_that_is_too_large_or_cut_is_told_from_the_rest() {
    let files = Files::new();
    let speech = files.speech("s.wav", &["-t", "0.6"]);
    let picture = coded(&files, "a.heic", "null", "heif-enc IN -o OUT");
    let output = files.desk.file("o.mp4");
    let mut job = run(&picture, &speech, &output);
    let result = finish(job.args(["--set", "max-pixels=262143"]));
    assert_eq!(result.status.code(), Some(26), "{}", stderr(&result));
    let content = std::fs::read(&picture).unwrap();
    let cut = files.desk.write("cut.heic", &content[..content.len() / 2]);
    files.refused(&cut, &speech, 15, "damaged");
}
