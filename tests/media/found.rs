//! Kinds that the full matrix has found, each with the smallest input that has it.

use crate::run_support::{finish, lipflow, run, stderr};
use crate::tools::{Files, duration, ffprobe, frame_times, text};

/// As long as the picture.
const AS_VIDEO: [&str; 4] = ["--loop-mode", "none", "--end-mode", "video"];
/// ffmpeg's words for a clock that is finer than any rate.
const FINE_CLOCK: [&str; 4] = ["-vsync", "passthrough", "-enc_time_base", "1/60000"];

/// Of a clock in sixty-thousandths of a second no frame is made that lasts as long as a tick.
#[test]
fn a_video_or_a_gif_of_one_picture_is_held_at_a_rate_of_pictures() {
    let files = Files::new();
    let speech = files.speech("s.wav", &["-t", "0.6"]);
    let fine = [&["-frames:v", "1"], &FINE_CLOCK[..], &["-c:v", "libx264"]].concat();
    let clips = [
        files.face("fine.mp4", &fine),
        files.face("one.gif", &["-frames:v", "1"]),
    ];
    for (clip, name) in clips.iter().zip(["fine.o.mp4", "gif.o.mp4"]) {
        let output = files.made(clip, &speech, name, &[]);
        let frames = frame_times(&output).len();
        assert!((14..=19).contains(&frames), "{name}: {frames} frames");
        let begin = std::time::Instant::now();
        let planned = files.desk.file(format!("planned.{name}"));
        let result = finish(run(clip, &speech, planned).arg("--dry-run"));
        let said = stderr(&result) + &String::from_utf8_lossy(&result.stdout);
        assert!(
            said.contains(&format!("{frames} frames")),
            "{frames}: {said}"
        );
        assert!(begin.elapsed().as_secs() < 4, "{:?}", begin.elapsed());
    }
}

/// A picture that is there for a moment in a long movie, and a word in a long video.
#[test]
fn a_track_much_shorter_than_its_movie_is_no_preview() {
    let files = Files::new();
    let late = "settb=1/60000,setpts='PTS+0.5/TB'";
    let one = ["-frames:v", "1", "-an", "-vf", late];
    let one = [&one[..], &FINE_CLOCK, &["-c:v", "mpeg4"]].concat();
    let clip = files.face("late.mp4", &one);
    let word = files.speech("word.wav", &["-t", "0.3"]);
    let sounding = ["-i", text(&word), "-map", "0:v", "-map", "1:a"];
    let sounding = [&sounding[..], &["-c:v", "mpeg4", "-c:a", "aac"]].concat();
    let speech = files.face("word.mp4", &sounding);
    let output = files.made(&clip, &speech, "o.mp4", &[]);
    assert!((duration(&output, "a") - 0.32).abs() < 0.03);
}

/// Its whole pictures come often, so that one stands behind where the demuxer takes the end for.
#[test]
fn a_trimmed_picture_comes_to_its_end() {
    let files = Files::new();
    let whole = files.face("whole.mp4", &["-c:v", "mpeg4", "-g", "6", "-an"]);
    let clip = files.desk.file("trimmed.mp4");
    let arguments = ["-ss", "0.48", "-i", text(&whole), "-c", "copy"];
    crate::tools::ffmpeg(&arguments, &clip);
    let speech = files.speech("s.wav", &[]);
    let output = files.made(&clip, &speech, "o.mp4", &AS_VIDEO);
    assert_eq!(frame_times(&output).len(), 38);
    assert!((duration(&output, "v") - 1.52).abs() < 0.001);
}

/// `qtdemux` reads the box for some codecs only, and `pngparse` forgets it.
#[test]
fn the_shape_of_pixels_is_kept_whatever_the_codec() {
    let files = Files::new();
    let speech = files.speech("s.wav", &[]);
    for codec in ["qtrle", "png"] {
        let wide = ["-vf", "setsar=4/3", "-c:v", codec, "-t", "0.4"];
        let clip = files.face(&format!("{codec}.mov"), &wide);
        let output = files.made(&clip, &speech, &format!("{codec}.mp4"), &AS_VIDEO);
        let shape = ["-show_entries", "stream=sample_aspect_ratio"];
        let shape = [&["-select_streams", "v"], &shape[..]].concat();
        assert_eq!(ffprobe(&output, &shape), ["4:3"], "{codec}");
    }
}

/// Nothing is missing of a file whose clock does not begin at 0, and the plan does not count what is not there.
#[test]
fn a_recording_that_begins_late_is_as_long_as_it_is_shown() {
    let files = Files::new();
    let late = "settb=1/60000,setpts='PTS+0.7/TB'";
    let late = [&["-an", "-vf", late], &FINE_CLOCK[..], &["-c:v", "ffv1"]].concat();
    let clip = files.face("late.mkv", &late);
    let speech = files.speech("s.wav", &[]);
    let result = finish(lipflow().arg("verify").arg(&clip));
    let said = String::from_utf8_lossy(&result.stdout).into_owned();
    assert!(result.status.success(), "{said}");
    assert!(said.contains("says 2.000 s"), "{said}");
    let output = files.desk.file("o.mp4");
    let mut run = crate::run_support::run(&clip, &speech, &output);
    let result = finish(run.args(AS_VIDEO).args(["--progress", "plain"]));
    let said = stderr(&result);
    assert!(result.status.success(), "{said}");
    assert!(said.contains("template file, 2.00 s, 50 frames"), "{said}");
    assert!(!said.contains("warning"), "{said}");
}

/// The demuxer reckons the times behind a gap in a transport stream anew, and some of them twice.
#[test]
fn a_gap_in_a_transport_stream_is_one_gap() {
    let files = Files::new();
    let gap = "settb=1/60000,setpts='PTS+gt(N,15)*0.5/TB'";
    let gap = ["-an", "-frames:v", "30", "-vf", gap];
    let gap = [&gap[..], &FINE_CLOCK, &["-c:v", "libx264"]].concat();
    let clip = files.face("gap.ts", &gap);
    let speech = files.speech("s.wav", &[]);
    let options = [&AS_VIDEO[..], &["--set", "longest-frame=0"]].concat();
    let output = files.made(&clip, &speech, "o.mp4", &options);
    let (found, wanted) = (frame_times(&output), frame_times(&clip));
    assert_eq!(found.len(), 30);
    for (found, wanted) in found.iter().zip(&wanted) {
        let wanted = wanted - frame_times(&clip)[0];
        assert!((found - wanted).abs() < 0.0011, "{found} {wanted}");
    }
}

/// The last frame lasts as long as the file says, in a file of ours too, whose header states its true rate.
#[test]
fn the_last_frame_lasts_its_time_and_the_rate_is_true() {
    let files = Files::new();
    let speech = files.speech("s.wav", &[]);
    let jitter = "settb=1/60000,setpts='N/30/TB+mod(N*7,5)*0.002/TB'";
    let jitter = ["-an", "-frames:v", "30", "-vf", jitter];
    let jitter = [&jitter[..], &FINE_CLOCK, &["-c:v", "libx264"]].concat();
    let clip = files.face("jitter.mp4", &jitter);
    let output = files.made(&clip, &speech, "o.mp4", &AS_VIDEO);
    assert_eq!(frame_times(&output).len(), 30);
    assert!((duration(&output, "v") - duration(&clip, "v")).abs() < 0.004);
    let counted = ["-count_frames", "-show_entries", "stream=nb_read_frames"];
    let counted = [&["-select_streams", "v"], &counted[..]].concat();
    assert_eq!(ffprobe(&output, &counted), ["30"]);

    let clip = files.face("plain.mp4", &["-an", "-c:v", "libx264"]);
    let output = files.made(&clip, &speech, "p.mp4", &AS_VIDEO);
    let rate = [
        "-select_streams",
        "v",
        "-show_entries",
        "stream=avg_frame_rate",
    ];
    assert_eq!(ffprobe(&output, &rate), ["25/1"]);
    let result = finish(lipflow().arg("verify").arg(&output));
    assert!(result.status.success(), "{result:?}");
}

/// All frames of an animation are shown, the first too; and the last of a file of which a decoder makes a rate
/// up lasts as long as the others.
#[test]
fn every_frame_of_a_file_without_a_rate_is_shown_for_its_time() {
    let files = Files::new();
    let speech = files.speech("s.wav", &[]);
    let ten = "setpts=N/10/TB";
    let gif = files.face("f.gif", &["-frames:v", "12", "-vf", ten, "-r", "10"]);
    let wmv = [
        "-frames:v",
        "12",
        "-vf",
        ten,
        "-r",
        "10",
        "-c:v",
        "wmv2",
        "-an",
    ];
    let wmv = files.face("f.wmv", &wmv);
    for (clip, name) in [(gif, "gif.mp4"), (wmv, "wmv.mp4")] {
        let output = files.made(&clip, &speech, name, &AS_VIDEO);
        // Frames of 100 ms are sent three times, for the mouth to move.
        assert_eq!(frame_times(&output).len(), 36, "{name}");
        let lasts = duration(&output, "v");
        assert!((lasts - 1.2).abs() < 0.005, "{name}: {lasts} s");
    }
}

/// A stream whose caps a parser corrects is one stream, and faces are looked for in the picture as it stands.
#[test]
fn the_plan_counts_each_track_once_and_looks_at_the_upright_picture() {
    let files = Files::new();
    let speech = files.speech("s.wav", &[]);
    let full = "scale=out_range=pc,format=yuv420p,transpose=clock";
    let full = ["-an", "-vf", full, "-color_range", "pc", "-c:v", "libx264"];
    let stored = files.face("stored.mp4", &full);
    let clip = files.desk.file("turned.mp4");
    let turned = [
        "-i",
        text(&stored),
        "-c",
        "copy",
        "-metadata:s:v:0",
        "rotate=90",
    ];
    crate::tools::ffmpeg(&turned, &clip);
    let mut run = crate::run_support::run(&clip, &speech, files.desk.file("o.mp4"));
    let said = stderr(&finish(run.arg("--dry-run")));
    assert!(said.contains("full range, turned by"), "{said}");
    assert!(!said.contains("tracks of picture"), "{said}");
    assert!(said.contains("faces    in 8 of 8 frames"), "{said}");
}

/// That the demuxer estimates the time behind a longer gap in a transport stream is told.
#[test]
fn a_long_gap_in_a_transport_stream_is_told() {
    let files = Files::new();
    let speech = files.speech("s.wav", &[]);
    let slow = ["-an", "-frames:v", "3", "-vf", "setpts=N/TB", "-r", "1"];
    let clip = files.face("slow.ts", &[&slow[..], &["-c:v", "libx264"]].concat());
    let mut run = crate::run_support::run(&clip, &speech, files.desk.file("o.mp4"));
    let said = stderr(&finish(&mut run));
    assert!(said.contains("when it goes on is an estimate"), "{said}");
    assert!(said.contains("ffmpeg -i IN"), "{said}");
}

/// What comes of some parsers has no name in GStreamer's report, and was counted beside what goes in.
#[test]
fn one_track_of_hevc_is_one() {
    let files = Files::new();
    let arguments = [
        "-t",
        "0.4",
        "-an",
        "-pix_fmt",
        "yuv420p10le",
        "-c:v",
        "libx265",
    ];
    let colours = "-color_range tv -color_primaries bt2020 -color_trc arib-std-b67 \
                   -colorspace bt2020nc -tag:v hvc1 -x265-params log-level=none";
    let colours: Vec<&str> = colours.split_whitespace().collect();
    let arguments = [&arguments[..], &colours].concat();
    let clip = files.face("f.mp4", &arguments);
    let speech = files.speech("s.wav", &["-t", "0.4"]);
    let mut job = run(&clip, &speech, files.desk.file("o.mp4"));
    let result = finish(job.arg("--dry-run"));
    let said = stderr(&result) + &String::from_utf8_lossy(&result.stdout);
    assert!(said.contains("HLG") && !said.contains("tracks"), "{said}");
}

/// Copied into Matroska, the frames of a variable rate are said to last as long as in the mean, and the last one is
/// so much longer than the encoder's, which decodes others after it.
#[test]
fn a_last_frame_that_is_longer_than_the_others_is_shown_for_its_time() {
    let files = Files::new();
    let gap = "select='lt(n,10)+gt(n,30)'";
    let whole = files.face("gap.mp4", &["-vf", gap, "-vsync", "vfr", "-c:v", "libx264"]);
    let clip = files.desk.file("gap.mkv");
    crate::tools::ffmpeg(&["-i", text(&whole), "-c", "copy"], &clip);
    let speech = files.speech("s.wav", &[]);
    // What is decoded last is for the encoder to decide.
    for preset in ["superfast", "faster", "medium"] {
        let name = format!("{preset}.mp4");
        let preset = format!("preset={preset}");
        let options = ["--learn", "off", "--set", &preset];
        let output = files.made(&clip, &speech, &name, &options);
        let [picture, sound] = ["v", "a"].map(|stream| duration(&output, stream));
        assert!((picture - sound).abs() < 0.002, "{picture} {sound}");
    }
}
