//! `lipflow batch` with an element that breaks on purpose. `cargo xtask chaos` does more of it.

mod run_support;

use std::path::{Path, PathBuf};
use std::process::Command;

use run_support::{TestDir, face, finish, lipflow, speech, stderr};
use serde_json::Value;

/// A batch in which workers know the element `poison`, and every frame passes through it.
fn batch(dir: &TestDir, rows: &[(&str, &str)]) -> Command {
    let mut list = "face,speech,output,stuck-after,set.poison\n".to_owned();
    for (output, poison) in rows {
        let (face, speech) = (face(), speech());
        let (face, speech) = (face.display(), speech.display());
        list += &format!("{face},{speech},out/{output}.mp4,1,{poison}\n");
    }
    dir.write("jobs.csv", list);
    let mut command = lipflow();
    command
        .current_dir(dir.path())
        .args(["batch", "jobs.csv", "--min-free", "0", "--progress", "json"])
        .arg("--template")
        .arg(template(dir))
        .env("GST_PLUGIN_PATH", plugins(dir))
        .env("GST_REGISTRY", registry(dir));
    command
}

fn template(dir: &TestDir) -> PathBuf {
    let path = dir.template_with("poison mode=${poison} after=5");
    let text = std::fs::read_to_string(&path).unwrap();
    let parameter = "#! param poison: choice(none|abort|hang) = none -- \"What goes wrong\"\n";
    dir.write("own.launch", format!("{parameter}{text}"))
}

/// A folder with nothing but the element.
fn plugins(dir: &TestDir) -> PathBuf {
    let binaries = Path::new(env!("CARGO_BIN_EXE_lipflow")).parent().unwrap();
    let library = binaries.join("libgstpoison.so");
    assert!(library.is_file(), "run `cargo build --workspace` first");
    let folder = dir.file("plugins");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(library, folder.join("libgstpoison.so")).unwrap();
    folder
}

/// A list of plugins of its own: the usual one is not to know the element. A copy of it is soon
/// completed.
fn registry(dir: &TestDir) -> PathBuf {
    let own = dir.file("registry.bin");
    if let Some(usual) = std::env::var_os("GST_REGISTRY") {
        let _ = std::fs::copy(usual, &own);
    }
    own
}

fn results(stdout: &[u8]) -> Vec<Value> {
    let lines = stdout.split(|b| *b == b'\n').filter(|l| !l.is_empty());
    lines
        .map(|line| serde_json::from_slice(line).unwrap())
        .filter(|event: &Value| event["event"] == "result")
        .collect()
}

#[test]
fn what_kills_two_workers_is_set_aside_and_the_rest_is_made() {
    let dir = TestDir::new();
    let rows = [("bad", "abort"), ("good", "none")];
    let output = finish(&mut batch(&dir, &rows));
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let results = results(&output.stdout);
    let bad = results.iter().find(|r| r["state"] == "failed").unwrap();
    assert_eq!(bad["error"]["code"], "worker-died");
    let reason = bad["error"]["reason"].as_str().unwrap();
    assert!(reason.contains("killed by signal 6 (SIGABRT)"), "{reason}");
    assert!(dir.file("out/good.mp4").is_file());
    assert_eq!(run_support::batch::left_over(&dir), [""; 0]);

    // It stays aside until somebody asks for it.
    let mut jobs = lipflow();
    jobs.arg("jobs").arg(dir.file("out")).arg("--json");
    let text = String::from_utf8(finish(&mut jobs).stdout).unwrap();
    let job: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(job["attempts"], 2, "{text}");
}

#[test]
fn what_hangs_is_named_and_leaves_a_graph() {
    let dir = TestDir::new();
    let rows = [("bad", "hang"), ("good", "none")];
    let output = finish(batch(&dir, &rows).args(["--attempts", "1"]));
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let results = results(&output.stdout);
    let bad = results.iter().find(|r| r["state"] == "failed").unwrap();
    assert_eq!(bad["error"]["code"], "stuck");
    let reason = bad["error"]["reason"].as_str().unwrap();
    assert!(reason.contains("it stopped at `poison0`"), "{reason}");
    assert!(reason.contains("the last buffer was seen at `"), "{reason}");
    let graph = dir.file(format!("out/.lipflow/stuck-{}.dot", bad["job"]));
    let graph = std::fs::read_to_string(graph).unwrap();
    assert!(graph.contains("poison0"), "{graph}");
    assert!(dir.file("out/good.mp4").is_file());
}
