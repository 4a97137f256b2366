//! What says that an output is synthetic, as independent programs read it.

mod run_support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lipflow::marks::Aigc;
use lipflow::provenance;
use run_support::{TestDir, batch, face, finish, lipflow, run, stderr};
use serde_json::Value;

/// A code as services publish theirs.
const CODE: &str = "001191110102MAD55U9H0F10002";
/// Not in effect where nothing is configured for this machine.
const NO_CONFIG: (&str, &str) = ("LIPFLOW_CONFIG", "/dev/null");

fn output_of(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(file).output();
    String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
}

fn ffmpeg(arguments: &[&str], output: &Path) {
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(arguments)
        .arg(output)
        .status();
    assert!(status.unwrap().success(), "{arguments:?}");
}

/// The metadata as ffprobe reads it.
fn by_ffprobe(file: &Path) -> String {
    let ask = [
        "-v",
        "error",
        "-show_entries",
        "format_tags=AIGC",
        "-of",
        "csv=p=0",
    ];
    let found = output_of("ffprobe", &ask, file);
    // Quoted as CSV quotes.
    found.trim().trim_matches('"').replace("\"\"", "\"")
}

/// A digest of each decoded frame and packet of sound, with its time.
fn frames(file: &Path) -> String {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-f", "framemd5", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", file.display());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn inspect(file: &Path) -> (i32, Value) {
    let output = finish(lipflow().args(["inspect", "--json"]).arg(file));
    let found = serde_json::from_slice(&output.stdout);
    let found = found.unwrap_or_else(|e| panic!("{e}: {}", stderr(&output)));
    (output.status.code().unwrap(), found)
}

fn wrong(found: &Value) -> String {
    found["wrong"].to_string()
}

#[test]
fn outputs_say_it_to_people_and_to_programs_in_every_container() {
    let dir = TestDir::new();
    let speech = batch::short_speech(&dir);
    for (name, template, label, text) in [
        ("a.mp4", "file", "zh", "AI生成合成"),
        ("b.webm", "webm", "en", "AI-generated"),
        (
            "c.mkv",
            "lossless",
            "Made by a machine",
            "Made by a machine",
        ),
    ] {
        let output = dir.file(name);
        let mut command = run(face(), &speech, &output);
        command.env(NO_CONFIG.0, NO_CONFIG.1);
        command.args(["--template", template, "--learn", "off", "--label", label]);
        command.args(["--aigc-producer", CODE, "--consent", "contract 7"]);
        let result = finish(&mut command);
        assert!(result.status.success(), "{}", stderr(&result));

        let (code, found) = inspect(&output);
        assert_eq!((code, wrong(&found).as_str()), (0, "[]"), "{name}");
        assert_eq!(found["label"], text);
        assert_eq!(found["record"]["consent"], "contract 7");
        assert_eq!(found["record"]["inputs"].as_array().unwrap().len(), 2);
        let aigc: Aigc = serde_json::from_value(found["aigc"].clone()).unwrap();
        assert_eq!(
            (aigc.label.as_str(), aigc.content_producer.as_str()),
            ("1", CODE)
        );
        assert_eq!(aigc.produce_id.len(), 32);

        let json = aigc.json();
        assert_eq!(by_ffprobe(&output), json, "{name}");
        let mediainfo = output_of("mediainfo", &["--Output=JSON"], &output);
        let mediainfo: Value = serde_json::from_str(&mediainfo).unwrap();
        let general = &mediainfo["media"]["track"][0]["extra"]["AIGC"];
        assert_eq!(general.as_str(), Some(json.as_str()), "{name}");
        if name == "a.mp4" {
            let exiftool = output_of("exiftool", &["-s3", "-AIGC"], &output);
            assert_eq!(exiftool.trim(), json);
        }
        // What a program that packs it anew has to be told, MP4 alone.
        let again = dir.file(format!("again-{name}"));
        let path = output.to_str().unwrap();
        ffmpeg(
            &["-i", path, "-c", "copy", "-movflags", "use_metadata_tags"],
            &again,
        );
        assert_eq!(by_ffprobe(&again), json, "{name}");
        assert_eq!(provenance::read(&again).unwrap(), Some(json), "{name}");
    }
    // The same work has the same number, and other work another.
    let record = |name: &str| fs::read_to_string(dir.file(name)).unwrap();
    let [a, b] = ["a.mp4", "b.webm"].map(|name| record(&format!("{name}.provenance.json")));
    let number = |record: &str| {
        let record: Value = serde_json::from_str(record).unwrap();
        record["aigc"]["ProduceID"].as_str().unwrap().to_owned()
    };
    assert_ne!(number(&a), number(&b));

    // One that was changed is not what the record is of.
    let output = dir.file("a.mp4");
    fs::copy(dir.file("again-a.mp4"), &output).unwrap();
    let (code, found) = inspect(&output);
    assert_eq!(code, 39);
    assert!(wrong(&found).contains("changed since"), "{found}");
    // Without the option that tool leaves the metadata out, and that is told.
    let path = dir.file("b.webm");
    ffmpeg(&["-i", path.to_str().unwrap(), "-c", "copy"], &output);
    let (code, found) = inspect(&output);
    assert_eq!(code, 39);
    assert!(
        wrong(&found).contains("not what the record notes"),
        "{found}"
    );
}

#[test]
fn a_video_that_says_nothing_is_told() {
    let (code, found) = inspect(&face());
    assert_eq!(code, 39);
    assert!(wrong(&found).contains("Nothing in it"), "{found}");
}

/// The picture outside the label's box, and frames after it, are those of the same work without one.
#[test]
fn a_label_changes_nothing_but_its_box() {
    let dir = TestDir::new();
    let speech = run_support::speech();
    let rows = |name: &str, options: &[&str]| {
        let output = dir.file(name);
        let mut command = run(face(), &speech, &output);
        command.env(NO_CONFIG.0, NO_CONFIG.1);
        command
            .args(["--template", "lossless", "--learn", "off"])
            .args(options);
        let result = finish(&mut command);
        assert!(result.status.success(), "{}", stderr(&result));
        let raw = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(&output)
            .args(["-vf", "crop=iw:ih/2:0:0", "-f", "framemd5", "-"])
            .output()
            .unwrap();
        let upper = String::from_utf8(raw.stdout).unwrap();
        (upper, frames(&output))
    };
    let (upper, whole) = rows("plain.mkv", &[]);
    let (upper_labelled, labelled) = rows("label.mkv", &["--label", "en", "--label-seconds", "2"]);
    // How sound is cut into packets depends on the time of day.
    let pictures = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with("0,"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(pictures(&upper), pictures(&upper_labelled));
    let (whole, labelled) = (pictures(&whole), pictures(&labelled));
    let differ: Vec<bool> = whole.iter().zip(&labelled).map(|(a, b)| a != b).collect();
    assert!(differ.len() > 60, "{}", differ.len());
    let expected: Vec<bool> = (0..differ.len()).map(|n| n < 50).collect();
    assert_eq!(differ, expected);
}

#[test]
fn batches_follow_the_configuration_and_lists_can_only_add() {
    let dir = TestDir::new();
    let speech = batch::short_speech(&dir);
    let config = dir.write(
        "lipflow.toml",
        format!(
            "[provenance]\nlabel = \"en\"\nconsent-required = true\n[provenance.aigc]\nproducer = \"{CODE}\"\n"
        ),
    );
    let start = |list: &str| {
        dir.write("jobs.csv", list);
        let mut command = batch::batch(&dir);
        finish(command.args(["--learn", "off", "--config"]).arg(&config))
    };
    let row = |rest: &str| format!("{},{},{rest}\n", face().display(), speech.display());
    let refused = |list: &str, words: &str| {
        let result = start(list);
        assert_eq!(result.status.code(), Some(2));
        assert!(stderr(&result).contains(words), "{}", stderr(&result));
        assert!(!dir.file("out").exists());
    };
    refused(
        &format!("face,speech,output\n{}", row("out/a.mp4")),
        "agrees",
    );
    let list = format!(
        "face,speech,output,consent,label\n{}",
        row("out/a.mp4,c 1,off")
    );
    refused(&list, "can't take away the label");
    let header = "face,speech,output,consent,label\n".to_owned();
    let result = start(&(header + &row("out/a.mp4,c 1,AI") + &row("out/b.mp4,c 2,")));
    assert!(result.status.success(), "{}", stderr(&result));
    for (name, consent, label) in [("a", "c 1", "AI"), ("b", "c 2", "AI-generated")] {
        let (code, found) = inspect(&dir.file(format!("out/{name}.mp4")));
        assert_eq!((code, wrong(&found).as_str()), (0, "[]"));
        assert_eq!(found["record"]["consent"], consent);
        assert_eq!(found["label"], label);
    }
    assert!(
        batch::left_over(&dir).is_empty(),
        "{:?}",
        batch::left_over(&dir)
    );
}

#[test]
fn what_can_not_be_done_is_told_before_the_work() {
    let dir = TestDir::new();
    let speech = batch::short_speech(&dir);
    let refused = |name: &str, options: &[&str], code: i32, words: &str| {
        let mut command = run(face(), &speech, dir.file(name));
        command.env(NO_CONFIG.0, NO_CONFIG.1);
        let result = finish(command.args(["--learn", "off"]).args(options));
        let said = stderr(&result);
        assert_eq!(result.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(!dir.file(name).exists());
    };
    refused(
        "a.mp4",
        &["--aigc-producer", "001191110102MAD55U9H0F1000"],
        2,
        "27 characters",
    );
    refused("a.mp4", &["--aigc-producer", "a\"b"], 2, "ContentProducer");
    refused("a.avi", &["--aigc-producer", CODE], 38, ".avi");
    let long = "a".repeat(300);
    refused("a.mp4", &["--label", &long], 2, "does not fit");
    let config = dir.write("bad.toml", "[provenance]\nlable = \"en\"\n");
    refused("a.mp4", &["--config", config.to_str().unwrap()], 2, "lable");
    dir.write("a.mp4.provenance.json", "mine");
    refused("a.mp4", &["--consent", "c"], 34, "no record");
    assert_eq!(
        fs::read(dir.file("a.mp4.provenance.json")).unwrap(),
        b"mine"
    );
}

/// Files of other programs, whose index lies elsewhere.
fn foreign(dir: &TestDir) -> Vec<PathBuf> {
    let source = "testsrc=d=2:s=160x120:r=25";
    let sound = "sine=d=2";
    let both = ["-f", "lavfi", "-i", source, "-f", "lavfi", "-i", sound];
    let made = [
        (
            "start.mp4",
            vec!["-c:v", "libx264", "-movflags", "faststart"],
        ),
        ("plain.mov", vec!["-c:v", "libx264"]),
        (
            "fragments.mp4",
            vec![
                "-c:v",
                "libx264",
                "-g",
                "25",
                "-movflags",
                "frag_keyframe+empty_moov",
            ],
        ),
        (
            "dash.mp4",
            vec![
                "-c:v",
                "libx264",
                "-g",
                "25",
                "-movflags",
                "frag_keyframe+empty_moov+default_base_moof+global_sidx",
            ],
        ),
        ("a.mkv", vec!["-c:v", "libx264"]),
        // For a stream: without an index.
        ("live.mkv", vec!["-c:v", "libx264", "-live", "1"]),
    ];
    let made = made.into_iter().map(|(name, options)| {
        let path = dir.file(name);
        ffmpeg(&[&both[..], &options].concat(), &path);
        path
    });
    made.collect()
}

#[test]
fn files_of_others_play_as_before_or_stay_as_they_are() {
    let dir = TestDir::new();
    let aigc = Aigc::made_by(CODE);
    for path in foreign(&dir) {
        let before = frames(&path);
        let bytes = fs::read(&path).unwrap();
        match provenance::write(&path, &aigc) {
            Ok(()) => {
                assert_eq!(provenance::read(&path).unwrap(), Some(aigc.json()));
                assert_eq!(by_ffprobe(&path), aigc.json(), "{}", path.display());
            }
            Err(error) => {
                // Of Matroska that others wrote, the index has no room, or is not there.
                let is_mkv = path.extension().is_some_and(|e| e == "mkv");
                assert!(is_mkv, "{}: {error}", path.display());
                assert_eq!(provenance::read(&path).unwrap(), None);
                assert!(error.to_string().contains("let ffmpeg"), "{error}");
                assert_eq!(fs::read(&path).unwrap(), bytes);
            }
        }
        assert_eq!(frames(&path), before, "{}", path.display());
        // Jumping is as it was.
        let jump = |path: &Path| {
            let path = path.to_str().unwrap();
            let arguments = [
                "-v",
                "error",
                "-ss",
                "1.2",
                "-i",
                path,
                "-frames:v",
                "1",
                "-f",
                "framemd5",
            ];
            output_of("ffmpeg", &arguments, Path::new("-"))
        };
        let copy = dir.write("copy", &bytes);
        assert_eq!(jump(&path), jump(&copy), "{}", path.display());
    }
}

#[test]
fn damaged_files_are_refused_or_written_right() {
    let dir = TestDir::new();
    let aigc = Aigc::made_by(CODE);
    let mut random = fastrand::Rng::with_seed(7);
    for source in foreign(&dir) {
        let whole = fs::read(&source).unwrap();
        let copy = source.with_extension("damaged");
        for _ in 0..150 {
            let mut bytes = whole.clone();
            for _ in 0..random.usize(1..6) {
                // Where the indexes are.
                let near_end = random.bool();
                let at = random.usize(0..bytes.len().min(4000));
                let at = if near_end { bytes.len() - 1 - at } else { at };
                bytes[at] = random.u8(..);
            }
            if random.bool() {
                bytes.truncate(random.usize(1..bytes.len()));
            }
            fs::write(&copy, &bytes).unwrap();
            match provenance::write(&copy, &aigc) {
                Ok(()) => assert_eq!(provenance::read(&copy).unwrap(), Some(aigc.json())),
                Err(_) => assert_eq!(fs::read(&copy).unwrap(), bytes, "stays as it was"),
            }
        }
    }
}
