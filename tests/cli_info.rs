//! The subcommands that inform, on the binary.

use std::path::Path;
use std::process::{Command, Output};

const TEMPLATES: [&str; 7] = [
    "file", "lossless", "compare", "webm", "preview", "stream", "learn",
];

fn lipflow(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lipflow"))
        .args(arguments)
        .env_remove("LIPFLOW_LOG")
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn template(folder: &Path, text: &str) -> String {
    let path = folder.join("mine.launch");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().into()
}

#[test]
fn every_template_is_listed_with_its_parameters() {
    let output = lipflow(&["pipeline", "list"]);
    assert!(output.status.success());
    let text = stdout(&output);
    for name in TEMPLATES {
        assert!(text.contains(&format!("\n{name}: ")) || text.starts_with(&format!("{name}: ")));
    }
    for parameter in [
        "    face (required) ",
        "    crf = 20 ",
        "    model ",
        "one of vp8, vp9",
    ] {
        assert!(text.contains(parameter), "{parameter}");
    }
}

#[test]
fn every_builtin_template_passes_its_own_check() {
    for name in TEMPLATES {
        let output = lipflow(&["pipeline", "check", name]);
        assert!(
            output.status.success(),
            "{}{}",
            stdout(&output),
            stderr(&output)
        );
    }
}

/// The line is given to a shell as it stands, with a hostile file name.
#[test]
fn what_show_prints_runs_and_a_hostile_name_is_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let text = "#! param speech: uri -- \"In\"\n\
                #! param output: path -- \"Out\"\n\
                uridecodebin uri=${speech} ! audioconvert ! wavenc # comment\n\
                ! filesink location=${output}\n";
    let template = template(folder.path(), text);
    let input = folder.path().join("-a ! b \"c\" '$d' `e` 张🎤.wav");
    let status = Command::new("gst-launch-1.0")
        .args(["-q", "audiotestsrc", "num-buffers=10", "!", "wavenc", "!"])
        .args(["filesink", "location=in.wav"])
        .current_dir(folder.path())
        .status()
        .unwrap();
    assert!(status.success());
    std::fs::rename(folder.path().join("in.wav"), &input).unwrap();
    let output = folder
        .path()
        .join("x ! filesrc location=\"b\\'$c`d\n🎤.wav");
    let shown = lipflow(&[
        "pipeline",
        "show",
        &template,
        "--speech",
        input.to_str().unwrap(),
        "-o",
        output.to_str().unwrap(),
    ]);
    assert!(shown.status.success(), "{}", stderr(&shown));
    // Only our own elements need the variable.
    assert!(stdout(&shown).starts_with("gst-launch-1.0 -e "));
    let ran = Command::new("sh")
        .args(["-c", stdout(&shown)])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", stderr(&ran));
    assert_eq!(
        std::fs::metadata(&input).unwrap().len(),
        std::fs::metadata(&output).unwrap().len()
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn what_is_still_to_be_given_is_clear() {
    let output = lipflow(&["pipeline", "show", "file", "--face", "/a b.mp4"]);
    assert!(output.status.success());
    let line = stdout(&output);
    assert_eq!(line.lines().count(), 1);
    assert!(line.contains(" uri=file:///a%20b.mp4 "), "{line}");
    assert!(line.contains(" uri=file:///PATH/TO/SPEECH "), "{line}");
    assert!(line.ends_with(" location=OUTPUT\n"), "{line}");
    assert!(stderr(&output).contains("or set them: speech, output"));
}

#[test]
fn check_names_line_element_property_and_package() {
    let folder = tempfile::tempdir().unwrap();
    let text = "# a comment\n\
                fakesrc\n\
                \x20 ! queue max-size-bufers=3\n\
                \x20 ! videoconvert n-threads=many ! glnosuch\n\
                \x20 ! fakesink\n";
    let file = template(folder.path(), text);
    let output = lipflow(&["pipeline", "check", &file]);
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<&str> = stdout(&output).lines().collect();
    let expected = [
        ":3:11: `queue` has no property `max-size-bufers`. Did you mean `max-size-buffers`?",
        ":4:18: property `n-threads` of `videoconvert` can't be `many`: ",
        ":4:35: there is no element `glnosuch`",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(&format!("{file}{expected}")), "{line}");
    }
}

/// With an empty list of plugins nothing is installed, as on a fresh machine.
#[test]
fn check_names_the_package_of_what_is_not_installed() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lipflow"))
        .args(["pipeline", "check", "file"])
        .env("GST_PLUGIN_SYSTEM_PATH", folder.path())
        .env("GST_PLUGIN_PATH", folder.path())
        .env("GST_REGISTRY", folder.path().join("registry"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    for (element, package) in [
        ("x264enc", "gstreamer1.0-plugins-ugly"),
        ("avenc_aac", "gstreamer1.0-libav"),
        ("mp4mux", "gstreamer1.0-plugins-good"),
        ("audioresample", "gstreamer1.0-plugins-base"),
    ] {
        let expected =
            format!("there is no element `{element}`. Install the Debian package {package}\n");
        assert!(text.contains(&expected), "{text}");
    }
}

#[test]
fn a_template_that_is_not_there_is_an_error_with_a_cause() {
    let output = lipflow(&["pipeline", "check", "/no/such.launch"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        "lipflow: template /no/such.launch can't be read. Check the path and its permissions\n\
         \x20 because: No such file or directory (os error 2)\n"
    );
    let output = lipflow(&["pipeline", "show", "nosuch"]);
    assert!(stderr(&output).starts_with("lipflow: there is no template `nosuch`. There are file,"));
}

#[test]
fn doctor_finds_nothing_missing_here_and_says_how_to_mend_what_is() {
    let output = lipflow(&["doctor"]);
    assert!(output.status.success(), "{}", stdout(&output));
    assert!(!stdout(&output).contains("FAIL"), "{}", stdout(&output));

    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lipflow"))
        .args(["doctor", "--json"])
        .env("ORT_DYLIB_PATH", folder.path().join("nosuch.so"))
        .env("GST_PLUGIN_SYSTEM_PATH", folder.path())
        .env("GST_PLUGIN_PATH", folder.path())
        .env("GST_REGISTRY", folder.path().join("registry"))
        .env("LIPFLOW_FACES", "/proc/version/faces")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], false);
    let finding = |what: &str| {
        let findings = report["findings"].as_array().unwrap();
        let found = findings.iter().find(|f| f["what"] == what);
        found.unwrap_or_else(|| panic!("{what}: {report}")).clone()
    };
    let library = finding("ONNX Runtime");
    assert_eq!(library["status"], "fail");
    assert!(library["detail"].as_str().unwrap().contains("nosuch.so"));
    assert!(
        library["remedy"]
            .as_str()
            .unwrap()
            .contains("cargo xtask setup")
    );
    let faces = finding("faces");
    assert_eq!(faces["status"], "warn");
    assert!(faces["remedy"].as_str().unwrap().contains("LIPFLOW_FACES"));
    let file = finding("template file");
    assert_eq!(file["status"], "fail");
    let remedy = file["remedy"].as_str().unwrap();
    assert!(remedy.starts_with("sudo apt install gstreamer1.0-libav "));
    assert!(remedy.contains("gstreamer1.0-plugins-ugly"));
    assert_eq!(finding("inputs")["status"], "warn");
}

#[test]
fn models_are_listed_and_checked() {
    let output = lipflow(&["model", "list"]);
    assert!(output.status.success());
    for name in [
        "hearing (mouth-shape)\n  built in, the default\n",
        "mouth (mouth-shape)\n  built in\n",
        "wav2lip_96 (generator)",
    ] {
        assert!(stdout(&output).contains(name), "{}", stdout(&output));
    }
    let output = lipflow(&["model", "check", "models/mouth.toml"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("found     input `mel` [1, 80, ?]"));
    // Seven parameters and a context of its own are more than shapes can tell.
    let output = lipflow(&["model", "check", "models/mouth.onnx"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stdout(&output).contains("a manifest can describe"),
        "{}",
        stdout(&output)
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.onnx");
    std::fs::write(&path, "not a network").unwrap();
    for (path, expected) in [
        (path.as_path(), "is not a usable ONNX file"),
        (Path::new("/no/such.onnx"), "does not exist"),
    ] {
        let output = lipflow(&["model", "check", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        let text = stderr(&output);
        assert!(text.starts_with("lipflow: model ") && text.contains(expected));
    }
}

#[test]
fn completions_and_the_manual_page_know_the_subcommands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = lipflow(&["completions", shell]);
        assert!(output.status.success());
        for word in ["pipeline", "face", "learn", "sheet"] {
            assert!(stdout(&output).contains(word), "{shell}: {word}");
        }
    }
    let output = lipflow(&["man"]);
    let page = stdout(&output);
    assert!(page.contains(".TH lipflow 1"));
    assert!(page.contains(".SH \"LIPFLOW PIPELINE SHOW\""));
    assert!(page.contains(".SH \"LIPFLOW FACE PRUNE\""));
    assert!(page.contains("\\-\\-learn"));
    assert!(page.contains("\\-\\-set"));
    assert!(!page.contains("HELP HELP"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    use std::process::Stdio;
    let mut child = Command::new(env!("CARGO_BIN_EXE_lipflow"))
        .args(["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
}
