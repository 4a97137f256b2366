//! What the tests of `lipflow run` share: real media, the binary, and a folder that says what is
//! left in it.

// Each test binary uses its own part of this.
#![allow(dead_code)]

pub mod batch;
pub mod schema;

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// No job in these tests takes longer.
const LIMIT: Duration = Duration::from_secs(60);

/// The program under test: that of this build, or the one that LIPFLOW_UNDER_TEST names, so that a long run
/// keeps its own while others are built.
pub fn binary() -> PathBuf {
    std::env::var_os("LIPFLOW_UNDER_TEST")
        .map_or_else(|| env!("CARGO_BIN_EXE_lipflow").into(), PathBuf::from)
}

pub fn lipflow() -> Command {
    let mut command = Command::new(binary());
    command.stdin(Stdio::null());
    command.env("LIPFLOW_FACES", faces());
    command
}

/// Where the tests keep learnt faces: what the user has is neither used nor changed. All of them share it,
/// as all jobs of a user do.
pub fn faces() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("faces")
}

/// A silent video of a real face, 31 seconds at 25 frames/s.
pub fn face() -> PathBuf {
    let path = gstlipsync::runtime::data_dir().join("media/cap13_edit2.mp4");
    assert!(path.is_file(), "run `cargo xtask setup` first: {path:?}");
    path
}

/// Three seconds of real speech.
pub fn speech() -> PathBuf {
    let folder = Path::new("/usr/share/pocketsphinx/test/data/librivox");
    let path = folder.join("sense_and_sensibility_01_austen_64kb-0880.wav");
    assert!(path.is_file(), "run `cargo xtask setup` first: {path:?}");
    path
}

/// A folder for one test.
pub struct TestDir(TempDir);

impl TestDir {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A copy of the template `file` in which each frame passes through `element` before it is
    /// encoded.
    pub fn template_with(&self, element: &str) -> PathBuf {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/file.launch");
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains("! x264enc"), "the template has changed");
        let text = text.replace("! x264enc", &format!("! {element} ! x264enc"));
        self.write("own.launch", text)
    }

    /// Everything in it, hidden files too.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// `lipflow run` with these inputs and this output.
pub fn run(
    face: impl AsRef<OsStr>,
    speech: impl AsRef<OsStr>,
    output: impl AsRef<OsStr>,
) -> Command {
    let mut command = lipflow();
    command.arg("run");
    for (option, value) in [
        ("--face", face.as_ref()),
        ("--speech", speech.as_ref()),
        ("--output", output.as_ref()),
    ] {
        let mut argument = std::ffi::OsString::from(option);
        argument.push("=");
        argument.push(value);
        command.arg(argument);
    }
    command
}

/// Runs to the end, or fails the test when there is none.
pub fn finish(command: &mut Command) -> Output {
    finish_within(command, LIMIT).unwrap_or_else(|fault| panic!("{fault}"))
}

/// Runs to the end, or is killed after that time and says how far it came.
pub fn finish_within(command: &mut Command, limit: Duration) -> Result<Output, String> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Read meanwhile: more than a pipe holds would stop it.
    let stdout = read_all(child.stdout.take());
    let stderr = read_all(child.stderr.take());
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if begin.elapsed() > limit {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let Some(status) = status else {
        let said = String::from_utf8_lossy(&stderr);
        return Err(format!("it did not end: {said}"));
    };
    Ok(Output {
        status,
        stdout,
        stderr,
    })
}

fn read_all(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Makes a file with a gst-launch text whose sink is `filesink name=out`.
pub fn make(path: &Path, text: &str) {
    use gst::prelude::*;
    gst::init().unwrap();
    let pipeline = gst::parse::launch(text).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    let sink = pipeline.by_name("out").unwrap();
    sink.set_property("location", path.to_str().unwrap());
    pipeline.set_state(gst::State::Playing).unwrap();
    let message = pipeline.bus().unwrap().timed_pop_filtered(
        gst::ClockTime::from_seconds(20),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    pipeline.set_state(gst::State::Null).unwrap();
    let message = message.expect("the file was not made in time");
    assert_eq!(message.type_(), gst::MessageType::Eos, "{message:?}");
}
