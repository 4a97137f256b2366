//! Colours, depths and transparency of what people have: patches in a corner must look in the output as they
//! look in the input. ffmpeg makes the inputs and says what they look like.

mod run_support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use run_support::{TestDir, face, finish, lipflow, run, speech, stderr};

/// Colours of the patches, from black to white, and some with a hue.
const PATCHES: [[u8; 3]; 6] = [
    [0, 0, 0],
    [32, 32, 32],
    [200, 60, 40],
    [40, 180, 80],
    [50, 70, 190],
    [255, 255, 255],
];
/// Side of a patch in pixels.
const SIDE: usize = 40;
const WIDTH: usize = 400;

/// What ffmpeg shows of HLG and PQ on a standard display: the formulas of `colour::light`.
const TONE_MAP: &str = "zscale=t=linear:npl=203:agamma=0,format=gbrpf32le,zscale=p=bt709:agamma=0,\
    tonemap=mobius:param=0.3:peak=4.926108:desat=0,zscale=t=bt709:m=bt709:r=tv:agamma=0,format=yuv444p,";

fn ffmpeg(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(arguments)
        .output()
        .expect("ffmpeg runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    output.stdout
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a name in ASCII")
}

/// Half a second of a face with the patches in its upper left corner, through `filter` and an encoder.
fn clip(dir: &TestDir, name: &str, filter: &str, encoder: &str) -> PathBuf {
    let path = dir.file(name);
    let boxes: Vec<String> = PATCHES
        .iter()
        .enumerate()
        .map(|(i, [r, g, b])| {
            let x = i * SIDE;
            format!("drawbox={x}:0:{SIDE}:{SIDE}:0x{r:02x}{g:02x}{b:02x}:fill")
        })
        .collect();
    let filter = format!("format=gbrp,{},{filter}", boxes.join(","));
    let encoder: Vec<&str> = encoder.split(' ').collect();
    let source = face();
    let input = ["-t", "0.48", "-i", text(&source), "-an", "-vf", &filter];
    ffmpeg(&[&input[..], &encoder, &[text(&path)]].concat());
    path
}

/// A filter that gives R'G'B' the matrix and range of those names, and options that note it.
fn coded(matrix: &str, range: &str, format: &str) -> (String, String) {
    let filter = format!("scale=out_color_matrix={matrix}:out_range={range},format={format}");
    let space = if matrix == "bt601" {
        "smpte170m"
    } else {
        matrix
    };
    let noted = format!(
        "-color_range {range} -colorspace {space} -color_primaries {space} -color_trc {space}"
    );
    (filter, noted)
}

/// The matrix that players take for pictures of this size, where only the range is noted.
fn bare(range: &str) -> (String, String) {
    let filter = format!("scale=out_color_matrix=bt601:out_range={range},format=yuv420p");
    (filter, format!("-color_range {range}"))
}

/// The patches as ffmpeg shows them, those of a picture that is `zoom` times as large and begins at `left`.
fn seen(path: &Path, before: &str, (left, zoom): (usize, f64)) -> Vec<[f64; 3]> {
    let filter = format!("select=eq(n\\,3),{before}scale=out_range=pc,format=rgb24");
    let frame = ["-i", text(path), "-vf", &filter, "-frames:v", "1"];
    let rgb = ffmpeg(&[&frame[..], &["-f", "rawvideo", "-"]].concat());
    let width = if zoom == 1.0 { WIDTH } else { 1280 };
    (0..PATCHES.len())
        .map(|i| {
            let [mut sum, mut count] = [[0.0; 3], [0.0; 3]];
            for y in SIDE / 4..SIDE * 3 / 4 {
                for x in i * SIDE + SIDE / 4..i * SIDE + SIDE * 3 / 4 {
                    let (x, y) = (
                        left + (x as f64 * zoom) as usize,
                        (y as f64 * zoom) as usize,
                    );
                    for k in 0..3 {
                        sum[k] += f64::from(rgb[(y * width + x) * 3 + k]);
                        count[k] += 1.0;
                    }
                }
            }
            std::array::from_fn(|k| sum[k] / count[k])
        })
        .collect()
}

#[track_caller]
fn assert_alike(got: &[[f64; 3]], want: &[[f64; 3]], off: f64, what: &str) {
    for (a, b) in got.iter().flatten().zip(want.iter().flatten()) {
        assert!((a - b).abs() <= off, "{what}: {got:.1?} is not {want:.1?}");
    }
}

struct Jobs {
    dir: TestDir,
    speech: PathBuf,
}

impl Jobs {
    fn new() -> Self {
        let dir = TestDir::new();
        let short = dir.file("speech.wav");
        ffmpeg(&["-t", "0.48", "-i", text(&speech()), text(&short)]);
        Self { dir, speech: short }
    }

    fn made(&self, face: &Path, name: &str, options: &[&str]) -> PathBuf {
        let output = self.dir.file(name);
        let mut job = run(face, &self.speech, &output);
        let result = finish(job.args(["--overwrite", "--learn", "off"]).args(options));
        assert!(result.status.success(), "{name}: {}", stderr(&result));
        output
    }
}

fn pixel_format(path: &Path) -> String {
    let asked = "stream=pix_fmt,color_range,color_space,color_transfer";
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v", "-of", "csv=p=0"])
        .args(["-show_entries", asked])
        .arg(path)
        .output()
        .expect("ffprobe runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

const WHOLE: (usize, f64) = (0, 1.0);

/// Cameras of telephones and screen recorders write full range; GStreamer 1.22 calls it limited.
#[test]
fn colours_of_any_range_and_matrix_look_as_before_in_each_template() {
    let jobs = Jobs::new();
    let patches: Vec<[f64; 3]> = PATCHES.map(|p| p.map(f64::from)).to_vec();
    let clips = [
        ("full.mp4", coded("bt709", "pc", "yuv420p"), "libx264"),
        ("full.mov", coded("bt601", "pc", "yuv420p"), "libx264"),
        (
            "full-hevc.mp4",
            coded("bt709", "pc", "yuv420p"),
            "libx265 -x265-params log-level=error",
        ),
        (
            "mjpeg.mov",
            coded("bt601", "pc", "yuvj420p"),
            "mjpeg -q:v 2",
        ),
        // Nothing is said but the range.
        ("bare.mp4", bare("pc"), "libx264"),
        ("wide.mkv", coded("bt709", "tv", "yuv420p"), "libx264"),
        ("old.mp4", coded("bt601", "tv", "yuv420p"), "libx264"),
    ];
    for (i, (name, (filter, noted), encoder)) in clips.into_iter().enumerate() {
        let encoder = format!("-c:v {encoder} {noted}");
        let clip = clip(&jobs.dir, name, &filter, &encoder);
        let want = seen(&clip, "", WHOLE);
        assert_alike(&want, &patches, 6.0, name);
        let others = [
            ("vp8.webm", &["--template=webm", "--set", "codec=vp8"][..]),
            ("vp9.webm", &["--template=webm", "--set", "codec=vp9"]),
            ("o.mkv", &["--template=lossless"]),
        ];
        // By pairs: each kind meets each template's kind of coding somewhere.
        for (output, options) in [("o.mp4", &["--template=file"][..]), others[i % 3]] {
            let made = jobs.made(&clip, output, options);
            let what = format!("{name} as {output}, {}", pixel_format(&made));
            assert_alike(&seen(&made, "", WHOLE), &want, 3.0, &what);
        }
        if i % 3 != 0 {
            continue;
        }
        let made = jobs.made(&clip, "compare.mp4", &["--template=compare"]);
        for left in [0, 640] {
            let what = format!("{name} at {left} of compare");
            assert_alike(&seen(&made, "", (left, 1.6)), &want, 3.0, &what);
        }
    }
}

/// What a second on air looks like, recorded.
fn recorded(dir: &TestDir, face: &Path) -> PathBuf {
    let tape = dir.file("tape.mkv");
    let _ = std::fs::remove_file(&tape);
    let mut child = lipflow()
        .current_dir(dir.path())
        .args(["live", "--size", "400x300", "--to", "tape.mkv", "--face"])
        .arg(face)
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("lipflow runs");
    let begin = Instant::now();
    let size = || std::fs::metadata(&tape).map_or(0, |m| m.len());
    while size() < 40_000 && begin.elapsed() < Duration::from_secs(40) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let pid = child.id().to_string();
    let told = Command::new("kill").args(["-INT", &pid]).status();
    assert!(told.expect("kill runs").success());
    child.wait().expect("it ends");
    tape
}

#[test]
fn colours_stay_true_on_air() {
    let dir = TestDir::new();
    let patches: Vec<[f64; 3]> = PATCHES.map(|p| p.map(f64::from)).to_vec();
    for (name, (filter, noted)) in [
        ("full.mp4", coded("bt709", "pc", "yuv420p")),
        ("old.mp4", coded("bt601", "tv", "yuv420p")),
    ] {
        let clip = clip(&dir, name, &filter, &format!("-c:v libx264 {noted}"));
        let want = seen(&clip, "", WHOLE);
        assert_alike(&want, &patches, 6.0, name);
        // On air all is BT.709, primaries too.
        let want = seen(&clip, "zscale=p=bt709:t=bt709:m=bt709,", WHOLE);
        let tape = recorded(&dir, &clip);
        let what = format!("{name} on air, {}", pixel_format(&tape));
        assert_alike(&seen(&tape, "", WHOLE), &want, 4.0, &what);
    }
}

#[test]
fn high_dynamic_range_is_mapped_to_standard_or_kept_in_ten_bits() {
    let jobs = Jobs::new();
    for transfer in ["arib-std-b67", "smpte2084"] {
        let filter = format!(
            "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=2020:t={transfer}:m=2020_ncl:r=tv:npl=203,\
             format=yuv420p10le"
        );
        let noted = format!(
            "-c:v libx265 -x265-params log-level=error -color_range tv -colorspace bt2020nc \
             -color_primaries bt2020 -color_trc {transfer}"
        );
        let filter = format!(
            "scale=out_color_matrix=bt709,format=yuv444p10le,setparams=color_primaries=bt709:\
             color_trc=bt709:colorspace=bt709:range=tv,{filter}"
        );
        let clip = clip(&jobs.dir, "hdr.mp4", &filter, &noted);
        let want = seen(&clip, TONE_MAP, WHOLE);
        for (output, template) in [("o.mp4", "file"), ("o.webm", "webm")] {
            let made = jobs.made(&clip, output, &["--template", template]);
            assert_eq!(pixel_format(&made), "yuv420p,tv,bt709,bt709");
            assert_alike(&seen(&made, "", WHOLE), &want, 5.0, transfer);
        }
        let made = jobs.made(&clip, "c.mp4", &["--template=compare"]);
        assert_alike(&seen(&made, "", (640, 1.6)), &want, 5.0, transfer);
        // Kept in 10 bits where that is asked for, with the mouth drawn in them.
        let kept = format!("yuv420p10le,tv,bt2020nc,{transfer}");
        for (output, options) in [
            ("o.mp4", &["--template=file", "--set", "depth=10"][..]),
            ("o.webm", &["--template=webm", "--set", "depth=10"]),
            ("o.mkv", &["--template=lossless"]),
        ] {
            let made = jobs.made(&clip, output, options);
            let format = pixel_format(&made);
            if output == "o.webm" {
                // GStreamer 1.22 notes the matrix of BT.2020 in WebM's header and not in VP9's.
                assert_eq!(format, kept.replace("bt2020nc", "unknown"));
            } else {
                assert_eq!(format, kept, "{output}");
            }
            let tone_map = format!("setparams=colorspace=bt2020nc,{TONE_MAP}");
            assert_alike(&seen(&made, &tone_map, WHOLE), &want, 5.0, output);
        }
        let plan = finish(run(&clip, &jobs.speech, jobs.dir.file("x.mp4")).arg("--dry-run"));
        let plan = String::from_utf8_lossy(&plan.stdout).into_owned() + &stderr(&plan);
        assert!(
            plan.contains("mapped to BT.709, dithered to 8 bits"),
            "{plan}"
        );
    }
}

/// `pngdec` calls 16 bits of red, green, blue and alpha alpha, red, green and blue.
#[test]
fn pictures_of_sixteen_bits_keep_their_colours() {
    let jobs = Jobs::new();
    for (name, format) in [("deep.png", "rgb48be"), ("alpha.png", "rgba64be")] {
        let encoder = format!("-frames:v 1 -pix_fmt {format}");
        let clip = clip(&jobs.dir, name, "null", &encoder);
        let made = jobs.made(&clip, "o.mp4", &[]);
        let patches: Vec<[f64; 3]> = PATCHES.map(|p| p.map(f64::from)).to_vec();
        assert_alike(&seen(&made, "", WHOLE), &patches, 5.0, format);
    }
}

#[test]
fn what_is_hidden_in_a_transparent_picture_is_not_shown_and_that_is_told() {
    let jobs = Jobs::new();
    for (name, format) in [("a.png", "rgba"), ("b.png", "rgba64be"), ("c.webp", "rgba")] {
        // The third patch is there, but hidden.
        let (from, to) = (2 * SIDE, 3 * SIDE);
        let hole = format!(
            "format=rgba,geq=r=r(X\\,Y):g=g(X\\,Y):b=b(X\\,Y):\
             a=255*(1-gte(X\\,{from})*lt(X\\,{to})*lt(Y\\,{SIDE}))"
        );
        let encoder = match name {
            "c.webp" => "-frames:v 1 -c:v libwebp -lossless 1".to_owned(),
            _ => format!("-frames:v 1 -pix_fmt {format}"),
        };
        let clip = clip(&jobs.dir, name, &hole, &encoder);
        for (background, colour) in [("black", [0.0; 3]), ("white", [255.0; 3])] {
            let output = jobs.dir.file("o.mp4");
            let option = format!("background={background}");
            let mut job = run(&clip, &jobs.speech, &output);
            let result = finish(job.args(["--overwrite", "--set", &option]));
            let said = stderr(&result);
            assert!(result.status.success(), "{name}: {said}");
            assert!(said.contains("can be seen through"), "{name}: {said}");
            let got = seen(&output, "", WHOLE);
            assert_alike(&got[2..3], &[colour], 5.0, name);
            assert_alike(&got[3..4], &[PATCHES[3].map(f64::from)], 5.0, name);
        }
    }
}

#[test]
fn an_animation_that_is_taken_as_a_picture_is_told() {
    let jobs = Jobs::new();
    let moving = clip(&jobs.dir, "a.png", "null", "-f apng");
    let mut job = run(&moving, &jobs.speech, jobs.dir.file("o.mp4"));
    let result = finish(&mut job);
    let said = stderr(&result);
    assert!(result.status.success(), "{said}");
    assert!(said.contains("is an animation"), "{said}");
    // Nothing in GStreamer 1.22 decodes these.
    let webp = clip(&jobs.dir, "a.webp", "null", "-c:v libwebp_anim -loop 0");
    let result = finish(&mut run(&webp, &jobs.speech, jobs.dir.file("w.mp4")));
    assert_eq!(result.status.code(), Some(27), "{}", stderr(&result));
    assert!(stderr(&result).contains("webpmux"), "{}", stderr(&result));
    let still = clip(&jobs.dir, "still.png", "null", "-frames:v 1");
    let result = finish(&mut run(&still, &jobs.speech, jobs.dir.file("s.mp4")));
    assert!(
        !stderr(&result).contains("animation"),
        "{}",
        stderr(&result)
    );
}

#[test]
fn the_most_pixels_can_be_chosen() {
    let jobs = Jobs::new();
    let clip = clip(&jobs.dir, "c.mp4", "format=yuv420p", "-c:v libx264");
    let output = jobs.dir.file("o.mp4");
    let limited = |most: &str| {
        let mut job = run(&clip, &jobs.speech, &output);
        finish(job.args(["--learn", "off", "--set", most]))
    };
    let refused = limited("max-pixels=100000");
    assert_eq!(refused.status.code(), Some(26), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("--set max-pixels=120000"));
    let taken = limited("max-pixels=120000");
    assert!(taken.status.success(), "{}", stderr(&taken));
}

#[test]
fn interlaced_video_is_made_whole_and_that_is_told() {
    let jobs = Jobs::new();
    let filter = "format=yuv420p,tinterlace=interleave_top,fieldorder=tff";
    let encoder = "-c:v libx264 -flags +ilme+ildct -x264-params tff=1";
    let clip = clip(&jobs.dir, "i.mp4", filter, encoder);
    let output = jobs.dir.file("o.mp4");
    let mut job = run(&clip, &jobs.speech, &output);
    let result = finish(job.args(["--learn", "off"]));
    let said = stderr(&result);
    assert!(result.status.success(), "{said}");
    assert!(said.contains("is interlaced"), "{said}");
    let asked = "stream=field_order";
    let probed = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v", "-of", "csv=p=0"])
        .args(["-show_entries", asked])
        .arg(&output)
        .output()
        .expect("ffprobe runs");
    assert_eq!(
        String::from_utf8_lossy(&probed.stdout).trim(),
        "progressive"
    );
}

/// A microphone that is wired the wrong way round: the mix of both channels is silence.
#[test]
fn speech_whose_channels_cancel_each_other_moves_the_mouth() {
    let jobs = Jobs::new();
    let filter = "format=yuv420p";
    let clip = clip(&jobs.dir, "c.mp4", filter, "-c:v libx264 -qp 0");
    let of = |name: &str, pan: &str| {
        let path = jobs.dir.file(name);
        let pan = format!("pan={pan}");
        // Past the silence at the beginning.
        let cut = ["-ss", "0.5", "-t", "0.48", "-i"];
        let source = speech();
        let all = [&cut[..], &[text(&source), "-af", &pan, text(&path)]].concat();
        ffmpeg(&all);
        path
    };
    let made = |speech: &Path| {
        let output = jobs.dir.file("o.mkv");
        let mut job = run(&clip, speech, &output);
        let options = ["--overwrite", "--learn", "off", "--template=lossless"];
        let result = finish(job.args(options));
        assert!(result.status.success(), "{}", stderr(&result));
        let frames = [
            "-i",
            text(&output),
            "-f",
            "rawvideo",
            "-pix_fmt",
            "gray",
            "-",
        ];
        (ffmpeg(&frames), stderr(&result))
    };
    let (alone, said) = made(&of("mono.wav", "mono|c0=c0"));
    assert!(!said.contains("cancel"), "{said}");
    let (still, _) = made(&of("none.wav", "mono|c0=0*c0"));
    let (turned, said) = made(&of("turned.wav", "stereo|c0=c0|c1=-1*c0"));
    assert!(said.contains("cancel each other"), "{said}");
    let differ = |a: &[u8], b: &[u8]| {
        let each = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b)));
        each.sum::<u64>()
    };
    let (moved, off) = (differ(&alone, &still), differ(&alone, &turned));
    assert!(moved > 0 && off * 5 < moved, "moved {moved}, off {off}");
}
