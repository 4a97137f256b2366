//! What people really have, in files that ffmpeg makes: every frame and every sound must come out where
//! a player of the input has it. The figures are ffmpeg's and ffprobe's, programs that are not ours.

mod claims;
mod found;
mod heif;
#[path = "../run_support/mod.rs"]
mod run_support;
mod tools;

use std::path::Path;
use std::process::Command;

use run_support::{face, finish, run, speech, stderr};
use tools::*;

/// A telephone, or a screen recorder.
#[test]
fn frames_of_a_variable_rate_are_shown_for_their_time_in_each_container() {
    let files = Files::new();
    let gaps = "select='not(mod(n,3))+lt(mod(n,20),6)'";
    let clip = files.face(
        "vfr.mp4",
        &["-vf", gaps, "-vsync", "vfr", "-c:v", "libx264"],
    );
    let speech = files.speech("s.wav", &[]);
    let wanted = frame_times(&clip);
    assert_eq!(wanted.len(), 29);
    // The last one lasts from 1.92 s to 1.96.
    for (name, template) in [("o.mp4", "file"), ("o.webm", "webm"), ("o.mkv", "lossless")] {
        let options = [
            "--template",
            template,
            "--loop-mode",
            "none",
            "--end-mode",
            "video",
            "--set",
            "longest-frame=0",
        ];
        let output = files.made(&clip, &speech, name, &options);
        let times = frame_times(&output);
        assert_eq!(times.len(), wanted.len(), "{name}");
        for (found, wanted) in times.iter().zip(&wanted) {
            assert!((found - wanted).abs() < 0.0011, "{name}: {found} {wanted}");
        }
        if name == "o.mp4" {
            assert!((duration(&output, "v") - 1.96).abs() < 0.001);
            assert!((duration(&output, "a") - 1.96).abs() < 0.001);
        }
    }
    // A mixer has frames of its own.
    let options = ["--template", "compare", "--loop-mode", "none"];
    files.made(&clip, &speech, "compare.mp4", &options);
}

#[test]
fn the_sound_is_where_the_speech_has_it_to_the_sample() {
    let files = Files::new();
    let clip = files.face("f.mp4", &["-c:v", "libx264"]);
    let speech = files.speech("s.wav", &[]);
    for (name, template) in [("o.mp4", "file"), ("o.webm", "webm"), ("o.mkv", "lossless")] {
        let output = files.made(&clip, &speech, name, &["--template", template]);
        let lag = lag(&sound(&speech), &sound(&output));
        assert!(lag.abs() <= 1, "{name}: {} ms", lag as f64 * 1000.0 / RATE);
    }
    let mp4 = files.desk.file("o.mp4");
    assert!((duration(&mp4, "a") - 2.0).abs() < 0.0005);
}

/// As telephones trim: the media stays, an edit list says what of it is played.
#[test]
fn a_trimmed_recording_is_heard_to_its_end() {
    let files = Files::new();
    let speech = files.speech("s.wav", &[]);
    let whole = files.desk.file("whole.mp4");
    let both = ["-t", "2", "-i", text(&face()), "-i", text(&speech)].map(str::to_owned);
    let mut arguments: Vec<&str> = both.iter().map(String::as_str).collect();
    arguments.extend([
        "-c:v", "libx264", "-g", "250", "-c:a", "aac", "-ar", "48000",
    ]);
    ffmpeg(&arguments, &whole);
    let trimmed = files.desk.file("trimmed.mp4");
    ffmpeg(&["-ss", "0.35", "-i", text(&whole), "-c", "copy"], &trimmed);
    // What an independent player hears.
    let played = sound(&trimmed);
    assert!((played.len() as f64 / RATE - 1.65).abs() < 0.01);

    let clip = files.face("f.mp4", &["-c:v", "libx264"]);
    let output = files.made(&clip, &trimmed, "o.mp4", &[]);
    let heard = sound(&output);
    // The last frame is whole, so there may be some silence.
    assert!(heard.len() >= played.len() && heard.len() < played.len() + 700);
    let lag = lag(&played, &heard);
    assert!(lag.abs() <= 1, "{} ms", lag as f64 * 1000.0 / RATE);
}

/// Their decoders ask a question that used to wait behind the sound that waited for the answer.
#[test]
fn no_codec_of_sound_stands_still_and_none_is_cut() {
    let files = Files::new();
    let clip = files.face("f.mp4", &["-c:v", "libx264"]);
    let cases: &[(&str, &[&str])] = &[
        ("s.ac3", &["-ac", "2", "-ar", "48000", "-c:a", "ac3"]),
        (
            "s.dts",
            &["-ac", "2", "-ar", "48000", "-c:a", "dca", "-strict", "-2"],
        ),
        ("adpcm.wav", &["-c:a", "adpcm_ms"]),
    ];
    for (name, arguments) in cases {
        let speech = files.speech(name, arguments);
        let output = files.made(&clip, &speech, &format!("{name}.mp4"), &[]);
        let (played, heard) = (sound(&speech), sound(&output));
        assert!(heard.len() + 400 >= played.len(), "{name}: {}", heard.len());
        let lag = lag(&played, &heard);
        // Coders may have a delay of their own, which ffmpeg takes away and GStreamer not.
        assert!(lag.abs() <= 320, "{name}: {lag}");
    }
}

#[test]
fn sound_that_can_not_be_read_to_its_end_is_no_shorter_speech() {
    let files = Files::new();
    let clip = files.face("f.mp4", &["-c:v", "libx264"]);
    let mp3 = |name: &str, rate: &str| {
        let path = files.speech(name, &["-ar", rate, "-c:a", "libmp3lame"]);
        std::fs::read(path).unwrap()
    };
    let joined = [mp3("a.mp3", "44100"), mp3("b.mp3", "16000")].concat();
    let joined = files.desk.write("joined.mp3", joined);
    files.refused(&clip, &joined, 15, "can't be read");
}

#[test]
fn covers_and_tags_of_a_recording_stay_private() {
    let files = Files::new();
    let clip = files.face("f.mp4", &["-c:v", "libx264"]);
    let cover = files.face("c.jpg", &["-frames:v", "1"]);
    let mut arguments = vec![
        "-i",
        text(&cover),
        "-map",
        "0",
        "-map",
        "1",
        "-c:a",
        "libmp3lame",
    ];
    arguments.extend([
        "-metadata",
        "title=SECRET",
        "-disposition:v",
        "attached_pic",
    ]);
    let speech = files.speech("cover.mp3", &arguments);
    let output = files.made(&clip, &speech, "o.mp4", &[]);
    let streams = ffprobe(&output, &["-show_entries", "stream=codec_type"]);
    assert_eq!(streams, ["video", "audio"]);
    let bytes = std::fs::read(&output).unwrap();
    assert!(!bytes.windows(6).any(|w| w == b"SECRET"));
}

#[test]
fn of_several_tracks_the_one_that_is_marked_speaks_or_the_one_that_is_asked_for() {
    let files = Files::new();
    let clip = files.face("f.mp4", &["-c:v", "libx264"]);
    let silence = "anullsrc=r=16000:cl=mono";
    let mut arguments = vec![
        "-f", "lavfi", "-t", "2", "-i", silence, "-map", "1", "-map", "0",
    ];
    arguments.extend(["-c:a", "pcm_s16le", "-disposition:a:0", "0"]);
    arguments.extend(["-disposition:a:1", "default"]);
    let speech = files.speech("two.mkv", &arguments);
    let loudest = |path: &Path| sound(path).iter().fold(0.0, |m: f64, s| m.max(s.abs()));
    let output = files.made(&clip, &speech, "o.mp4", &[]);
    assert!(loudest(&output) > 1000.0);
    let result = finish(run(&clip, &speech, files.desk.file("p.mp4")).arg("--dry-run"));
    let plan = stderr(&result);
    assert!(
        plan.contains("of 2 tracks of sound in the speech the one that is marked"),
        "{plan}"
    );
    let output = files.made(&clip, &speech, "0.mp4", &["--set", "speech-track=0"]);
    assert!(loudest(&output) < 10.0);
    let result =
        finish(run(&clip, &speech, files.desk.file("7.mp4")).args(["--set", "speech-track=7"]));
    assert_eq!(result.status.code(), Some(17), "{}", stderr(&result));
}

#[test]
fn a_gif_ends_and_turns_and_its_frames_have_their_times() {
    let files = Files::new();
    let gif = files.face("f.gif", &["-vf", "scale=200:-2,fps=10"]);
    let speech = files.desk.file("s.wav");
    ffmpeg(&["-i", text(&run_support::speech())], &speech);
    for mode in ["ping-pong", "loop"] {
        let output = files.made(
            &gif,
            &speech,
            &format!("{mode}.mp4"),
            &["--loop-mode", mode],
        );
        let times = frame_times(&output);
        // Three seconds of speech; frames of 100 ms are sent three times, for the mouth to move.
        assert_eq!(times.len(), 90, "{mode}");
        let steady = times
            .windows(2)
            .all(|w| (w[1] - w[0] - 1.0 / 30.0).abs() < 0.001);
        assert!(steady, "{mode}: {times:?}");
    }
}

/// What a coder counts time in is no rate, and neither is what GStreamer makes of it.
#[test]
fn jittered_stamps_of_a_fine_clock_are_no_60000_frames_a_second() {
    let files = Files::new();
    let jitter = "settb=1/60000,setpts='PTS+mod(N*7,5)*30'";
    let mut arguments = vec![
        "-vf",
        jitter,
        "-vsync",
        "passthrough",
        "-enc_time_base",
        "1/60000",
    ];
    arguments.extend([
        "-video_track_timescale",
        "60000",
        "-c:v",
        "mpeg4",
        "-q:v",
        "3",
    ]);
    let clip = files.face("jitter.mp4", &arguments);
    let speech = files.speech("s.wav", &[]);
    let mut plan = run(&clip, &speech, files.desk.file("o.mp4"));
    let plan = finish(plan.args(["--dry-run", "--progress", "json"]));
    let plan = String::from_utf8_lossy(&plan.stdout).into_owned();
    let plan = plan
        .lines()
        .find(|line| line.contains("\"event\":\"plan\""))
        .unwrap();
    let plan: serde_json::Value = serde_json::from_str(plan).unwrap();
    assert_eq!(plan["frames"], 50, "{plan}");

    let output = files.made(&clip, &speech, "o.mp4", &["--loop-mode", "none"]);
    let (wanted, found) = (frame_times(&clip), frame_times(&output));
    assert_eq!((wanted.len(), found.len()), (50, 50));
    for (found, wanted) in found.iter().zip(&wanted) {
        assert!((found - wanted).abs() < 0.001, "{found} {wanted}");
    }
}

/// A screen recorder that saw nothing move: the mouth moves on, and the user is told.
#[test]
fn a_gap_is_filled_so_that_the_mouth_can_move_and_the_plan_is_true() {
    let files = Files::new();
    let gap = "setpts='PTS+gt(N,10)*0.5/TB'";
    let clip = files.face(
        "gap.mkv",
        &["-vf", gap, "-vsync", "passthrough", "-c:v", "libx264"],
    );
    let speech = files.speech("s.wav", &[]);
    let output = files.desk.file("o.mp4");
    let mut command = run(&clip, &speech, &output);
    let options = ["--loop-mode", "none", "--progress", "json"];
    let result = finish(command.args(options));
    assert!(result.status.success(), "{}", stderr(&result));
    let times = frame_times(&output);
    let longest = times.windows(2).map(|w| w[1] - w[0]).fold(0.0, f64::max);
    assert!(longest < 0.041, "{longest}");
    let text = String::from_utf8_lossy(&result.stdout).into_owned();
    assert!(text.contains("they are repeated"), "{text}");
    let events = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let events: Vec<serde_json::Value> = events.collect();
    let progress = events.iter().filter(|e| e["event"] == "progress");
    let counts = progress.map(|e| (e["frames"].as_u64().unwrap(), e["frames_total"].as_u64()));
    let counts: Vec<_> = counts.collect();
    let is_true = |(frames, total): &(u64, Option<u64>)| total.is_none_or(|t| *frames <= t);
    assert!(counts.iter().all(is_true), "{counts:?}");
    let last = counts.last().unwrap();
    assert_eq!(last.1, Some(last.0), "the end is all");
}

/// What the coder of an MP3 has put before the speech is not heard.
#[test]
fn an_mp3_is_heard_where_its_note_says_that_it_begins() {
    let files = Files::new();
    let clip = files.face("f.mp4", &["-c:v", "libx264"]);
    let speech = files.speech("s.mp3", &["-ar", "44100", "-c:a", "libmp3lame"]);
    let output = files.made(&clip, &speech, "o.mp4", &[]);
    let lag = lag(&sound(&speech), &sound(&output));
    assert!(lag.abs() <= 1, "{} ms", lag as f64 * 1000.0 / RATE);
    assert!((duration(&output, "a") - 2.0).abs() < 0.041);
}

/// A recording whose picture begins half a second after its sound, and one whose only sound is in a
/// transport stream.
#[test]
fn what_begins_late_or_does_not_say_how_long_it_is_is_not_damaged() {
    let files = Files::new();
    let late = "settb=1/60000,setpts=PTS+0.5/TB";
    let arguments = ["-vf", late, "-vsync", "passthrough", "-enc_time_base"];
    let arguments = [&arguments[..], &["1/60000", "-c:v", "libx264"]].concat();
    let clip = files.face("late.mkv", &arguments);
    let speech = files.speech("s.ts", &["-c:a", "aac", "-ar", "48000"]);
    let options = ["--loop-mode", "none", "--end-mode", "video"];
    let output = files.made(&clip, &speech, "o.mp4", &options);
    assert_eq!(frame_times(&output).len(), 50);
}

/// What `verify` says is what ffprobe counts, and what is odd has its exit code.
#[test]
fn verify_says_what_a_player_sees_and_what_is_odd() {
    let files = Files::new();
    let verify = |path: &Path, options: &[&str]| {
        let result = finish(run_support::lipflow().arg("verify").args(options).arg(path));
        let text = String::from_utf8_lossy(&result.stdout).into_owned();
        (result.status.code(), text)
    };
    let tone = ["-f", "lavfi", "-t", "2", "-i", "sine"];
    let good = files.face("good.mp4", &[&tone[..], &["-c:v", "libx264"]].concat());
    let (code, text) = verify(&good, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("50 frames, 25.000 frames/s, from 0.000 s to 2.000 s"),
        "{text}"
    );
    assert!(text.contains("nothing is odd"), "{text}");

    let tone = ["-f", "lavfi", "-t", "1.5", "-i", "sine"];
    let gap = [
        "-vf",
        "setpts='PTS+gt(N,10)*0.5/TB'",
        "-vsync",
        "passthrough",
    ];
    let arguments = [
        &tone[..],
        &gap,
        &["-c:v", "libx264", "-metadata", "title=S"],
    ]
    .concat();
    // The first frames of a Matroska file whose sound begins after 0 are read up to 3 ms early.
    for (name, most) in [("odd.mkv", 0.0031), ("odd.mp4", 0.0011)] {
        let odd = files.face(name, &arguments);
        let (code, text) = verify(&odd, &["--json", "--frames"]);
        assert_eq!(code, Some(28), "{text}");
        let found: serde_json::Value = serde_json::from_str(&text).unwrap();
        let kinds: Vec<_> = found["odd"]
            .as_array()
            .unwrap()
            .iter()
            .map(|o| &o["kind"])
            .collect();
        assert_eq!(kinds, ["lengths", "gaps", "tags"], "{text}");
        let streams = found["streams"].as_array().unwrap();
        let video = streams.iter().find(|s| s["kind"] == "video").unwrap();
        let times = video["frame_times_s"].as_array().unwrap().iter();
        let times: Vec<f64> = times.map(|t| t.as_f64().unwrap()).collect();
        let wanted = frame_times(&odd);
        assert_eq!(times.len(), wanted.len());
        // Players count from the first moment of the file, ffprobe from what the container calls 0.
        for (time, shown) in times.iter().zip(&wanted) {
            let apart = (time - times[0]) - (shown - wanted[0]);
            assert!(apart.abs() < most, "{name}: {time} {shown}");
        }
    }
    let (code, _) = verify(&files.desk.write("empty.mp4", ""), &[]);
    assert_eq!(code, Some(13));
    let (code, text) = verify(&files.face("a.gif", &["-vf", "fps=10"]), &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("20 frames, 10.000 frames/s"), "{text}");
}

/// DVDs, and GRID's talkers.
#[test]
fn a_program_stream_is_as_long_as_it_is() {
    let files = Files::new();
    let mut arguments = vec!["-i", "", "-c:v", "mpeg1video", "-q:v", "2", "-c:a", "mp2"];
    let speech = speech();
    arguments[1] = text(&speech);
    arguments.extend(["-ar", "44100", "-t", "2.9", "-f", "mpeg"]);
    let path = files.desk.file("p.mpg");
    let face = face();
    ffmpeg(&[&["-i", text(&face)], &arguments[..]].concat(), &path);
    // Not every frame has a time stamp, so they are counted.
    let counted = [
        "-select_streams",
        "v",
        "-count_packets",
        "-show_entries",
        "stream=nb_read_packets",
    ];
    let frames = numbers(&ffprobe(&path, &counted))[0] as usize;
    let output = files.made(&path, &path, "o.mp4", &[]);
    let times = frame_times(&output);
    assert!(
        times.len().abs_diff(frames) <= 1,
        "{} {frames}",
        times.len()
    );
    let steady = times.windows(2).all(|w| (w[1] - w[0] - 0.04).abs() < 0.001);
    assert!(steady, "{times:?}");
    assert!(lag(&sound(&path), &sound(&output)).abs() <= 640);
}

/// Whatever it names, nothing but the file itself is opened.
#[test]
fn a_playlist_that_poses_as_a_video_or_a_sound_fetches_nothing() {
    let files = Files::new();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let address = server.local_addr().unwrap();
    let clip = files.face("f.mp4", &["-c:v", "libx264"]);
    let speech = files.speech("s.wav", &[]);
    let hls = |uri: &str| {
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:2,\n{uri}\n#EXT-X-ENDLIST\n")
    };
    let dash = format!(
        "<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
         mediaPresentationDuration=\"PT2S\"><Period><AdaptationSet mimeType=\"video/mp4\">\
         <Representation id=\"1\" bandwidth=\"1\"><BaseURL>http://{address}/x.mp4</BaseURL>\
         </Representation></AdaptationSet></Period></MPD>\n"
    );
    let away = hls(&format!("http://{address}/x.ts"));
    let own = hls(&format!("file://{}", text(&clip)));
    for (name, content) in [("away", &away), ("own", &own), ("dash", &dash)] {
        let playlist = files.desk.write(format!("{name}.mp4"), content);
        files.refused(&playlist, &speech, 14, "playlist");
        files.refused(&clip, &playlist, 14, "playlist");
        // The elements alone refuse it, too.
        for source in ["facesource", "speechsource"] {
            assert!(!plays(source, &playlist), "{source} {name}");
        }
    }
    assert!(server.accept().is_err(), "something was fetched");
}

/// Whether anything comes out of that element.
fn plays(element: &str, file: &Path) -> bool {
    use gst::prelude::*;
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
    let pipeline = gst::parse::launch(&format!("{element} name=s ! fakesink")).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    let uri = gst::glib::filename_to_uri(file, None).unwrap();
    pipeline.by_name("s").unwrap().set_property("uri", &uri);
    let _ = pipeline.set_state(gst::State::Playing);
    let end = [gst::MessageType::Eos, gst::MessageType::Error];
    let bus = pipeline.bus().unwrap();
    let message = bus.timed_pop_filtered(gst::ClockTime::from_seconds(20), &end);
    pipeline.set_state(gst::State::Null).unwrap();
    message.expect("it ends").type_() == gst::MessageType::Eos
}

/// Half a megabyte on disk, gigabytes in memory.
#[test]
fn a_picture_too_large_for_the_machine_is_refused_by_its_header() {
    let files = Files::new();
    let speech = files.speech("s.wav", &[]);
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    png.extend(14_000_u32.to_be_bytes());
    png.extend(14_000_u32.to_be_bytes());
    png.extend([8, 2, 0, 0, 0, 0, 0, 0, 0]);
    let picture = files.desk.write("large.png", png);
    files.refused(&picture, &speech, 26, "14000x14000");
    assert!(!plays("facesource", &picture));
}

#[test]
fn a_picture_of_a_foreign_format_is_not_called_damaged() {
    let files = Files::new();
    let speech = files.speech("s.wav", &[]);
    let jxl = b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl ";
    let picture = files.desk.write("photo.jxl", jxl);
    files.refused(&picture, &speech, 27, "libjxl-tools");
}

#[test]
fn an_odd_size_loses_a_row_and_every_other_pixel_stays() {
    let files = Files::new();
    // What is fine shows best whether it was scaled; it is where nothing is drawn.
    let fine = "scale=401:301,split[a][b];[b]crop=401:60:0:0,noise=c0s=80[c];[a][c]overlay=0:0";
    let odd = [
        "-filter_complex",
        fine,
        "-c:v",
        "ffv1",
        "-pix_fmt",
        "yuv444p",
    ];
    let clip = files.face("odd.mkv", &odd);
    let speech = files.speech("s.wav", &[]);
    let output = files.made(&clip, &speech, "o.mp4", &["--set", "crf=1"]);
    let luma = |path: &Path, filter: &str| {
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(path)
            .args(["-frames:v", "1", "-vf", filter])
            .args(["-f", "rawvideo", "-pix_fmt", "gray", "-"])
            .output()
            .expect("ffmpeg runs");
        output.stdout
    };
    let wanted = luma(&clip, "crop=400:300:0:0,crop=400:60:0:0");
    let found = luma(&output, "crop=400:60:0:0");
    assert_eq!(wanted.len(), found.len());
    let error: u64 = wanted
        .iter()
        .zip(&found)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    let mean = error as f64 / wanted.len() as f64;
    assert!(mean < 3.0, "{mean}");
}

#[test]
fn a_name_that_promises_another_kind_of_file_is_refused() {
    let files = Files::new();
    let output = files.desk.file("o.webm");
    let result = finish(&mut run(face(), speech(), &output));
    let said = stderr(&result);
    assert_eq!(result.status.code(), Some(2), "{said}");
    assert!(said.contains("--template webm"), "{said}");
    assert!(!output.exists());
}
