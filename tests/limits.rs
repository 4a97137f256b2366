//! Outputs that may not get as large as they want to, and workers that may not reach what they want to.

mod run_support;

use std::ffi::CString;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use run_support::batch::{
    batch, events, left_over, outputs, short_jobs, short_speech, start, wait, wait_for,
    wait_until_moving,
};
use run_support::{TestDir, face, finish, lipflow, run, speech, stderr};

/// Less than half a second of video takes.
const TOO_SMALL: u64 = 12_000;

/// As `ulimit -f` does.
fn limit_files(command: &mut Command, bytes: u64) {
    // SAFETY: between fork and exec the call only sets a limit of the process.
    unsafe {
        command.pre_exec(move || {
            let limit = libc::rlimit {
                rlim_cur: bytes,
                rlim_max: bytes,
            };
            match libc::setrlimit(libc::RLIMIT_FSIZE, &limit) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        });
    }
}

/// Lets the command see a small disk at `folder`, of `size` as `mount` takes it. Says whether this machine
/// lets it.
fn mount_small_disk(command: &mut Command, folder: &Path, size: &str) -> bool {
    let folder = CString::new(folder.as_os_str().as_bytes()).unwrap();
    let options = CString::new(format!("size={size},mode=777")).unwrap();
    // SAFETY: the call has no conditions.
    let is_root = unsafe { libc::geteuid() } == 0;
    let mount = move || {
        let done = |result: libc::c_int| match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        };
        let user = if is_root { 0 } else { libc::CLONE_NEWUSER };
        // SAFETY: between fork and exec, and all strings end with a zero byte and live until exec.
        unsafe {
            done(libc::unshare(libc::CLONE_NEWNS | user))?;
            let private = libc::MS_REC | libc::MS_PRIVATE;
            let none = std::ptr::null();
            done(libc::mount(none, c"/".as_ptr(), none, private, none.cast()))?;
            done(libc::mount(
                c"tmpfs".as_ptr(),
                folder.as_ptr(),
                c"tmpfs".as_ptr(),
                0,
                options.as_ptr().cast(),
            ))
        }
    };
    // SAFETY: as said there.
    unsafe {
        let try_it = mount.clone();
        let tried = Command::new("true").pre_exec(try_it).status();
        command.pre_exec(mount);
        tried.is_ok()
    }
}

#[test]
fn a_file_that_may_not_get_that_large_is_told_from_a_full_disk() {
    let dir = TestDir::new();
    let mut command = run(face(), speech(), dir.file("out.mp4"));
    limit_files(&mut command, TOO_SMALL);
    let output = finish(command.args(["--learn", "off"]));
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(37), "{text}");
    assert!(
        text.contains("out.mp4") && text.contains("ulimit -f"),
        "{text}"
    );
    assert!(dir.names().is_empty(), "{:?}", dir.names());
}

#[test]
fn a_worker_meets_the_size_limit_as_a_failure_of_its_job() {
    let dir = TestDir::new();
    let row = format!("{},{},out/0.mkv", face().display(), speech().display());
    dir.write("jobs.csv", format!("face,speech,output\n{row}\n"));
    let mut command = batch(&dir);
    // The journal is smaller, and ends nothing where it isn't.
    limit_files(&mut command, 1_000_000);
    command.args(["--progress", "json", "--learn", "off"]);
    let output = finish(command.args(["--template", "lossless"]));
    let events = events(&output);
    let result = events.iter().find(|event| event["event"] == "result");
    let error = &result.unwrap_or_else(|| panic!("{}", stderr(&output)))["error"];
    assert_eq!(error["code"], "output-too-large", "{error}");
    assert!(
        events.iter().all(|event| event["event"] != "retry"),
        "waiting changes nothing"
    );
    assert_eq!(left_over(&dir), [""; 0]);
}

#[test]
fn a_disk_that_fills_up() {
    let dir = TestDir::new();
    let folder = dir.file("small");
    fs::create_dir(&folder).unwrap();
    let mut command = run(face(), speech(), folder.join("out.mp4"));
    if !mount_small_disk(&mut command, &folder, "16k") {
        eprintln!("skipped: nobody may mount a disk here");
        return;
    }
    let output = finish(command.args(["--learn", "off"]));
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(32), "{text}");
    assert!(text.contains("the disk is full"), "{text}");
}

/// A worker that takes its orders from the test.
struct Worker {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// One that may reach these files.
    fn that_reaches(files: &Value) -> Self {
        let mut command = lipflow();
        command.arg("worker");
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = pipes.spawn().unwrap();
        let mut worker = Self {
            orders: process.stdin.take().unwrap(),
            answers: BufReader::new(process.stdout.take().unwrap()),
            process,
        };
        worker.order(&json!({"memory": null, "no_network": true, "files": files}));
        worker
    }

    fn order(&mut self, order: &Value) {
        writeln!(self.orders, "{order}").unwrap();
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line).unwrap();
        assert!(read > 0, "the worker ended");
        serde_json::from_str(&line).unwrap()
    }

    fn end(self) {
        drop(self.orders);
        let mut process = self.process;
        process.wait().unwrap();
    }
}

/// A file or folder as a worker's limits name it.
fn named(paths: &[&Path]) -> Value {
    let ids = paths.iter().map(|path| {
        let metadata = fs::metadata(path).unwrap();
        let id = json!([metadata.dev(), metadata.ino()]);
        (path.to_str().unwrap().to_owned(), id)
    });
    Value::Object(ids.collect())
}

/// What a worker that may reach `files` finds in `path`.
fn looked_into(path: &Path, files: Value) -> Value {
    let mut worker = Worker::that_reaches(&files);
    worker.order(&json!({"order": "look", "path": path, "role": "face", "decodes": true}));
    let found = loop {
        let answer = worker.answer();
        if answer["answer"] == "looked" {
            break answer["found"].clone();
        }
    };
    worker.end();
    found
}

#[test]
fn a_worker_reads_what_its_jobs_name_and_nothing_else() {
    let dir = TestDir::new();
    let own = dir.file("face.mp4");
    fs::copy(face(), &own).unwrap();
    assert!(looked_into(&own, Value::Null)["Ok"].is_object());
    if !lipflow::reach::is_enforced().unwrap() {
        eprintln!("skipped: this kernel has no Landlock");
        return;
    }
    let nothing = looked_into(&own, json!({"read": {}, "write": {}}));
    assert_eq!(nothing["Err"]["kind"], "input-unreadable", "{nothing}");
    let found = looked_into(&own, json!({"read": named(&[&own]), "write": {}}));
    assert!(found["Ok"].is_object(), "{found}");
}

#[test]
fn an_output_is_written_out_of_reach_of_other_workers() {
    if !lipflow::reach::is_enforced().unwrap() {
        eprintln!("skipped: this kernel has no Landlock");
        return;
    }
    let dir = TestDir::new();
    let mut command = short_jobs(&dir, 2);
    command.args(["--progress", "json", "--learn", "off"]);
    let (child, mut reader) = start(&mut command);
    wait_until_moving(&mut reader);
    let staging = dir.file("out/.lipflow/staging");
    let folders = || fs::read_dir(&staging).unwrap().map(|entry| entry.unwrap());
    let written: Vec<_> = folders()
        .flat_map(|folder| fs::read_dir(folder.path()).unwrap())
        .filter(|file| file.as_ref().unwrap().file_name() == "1-1")
        .collect();
    assert_eq!(written.len(), 1);
    assert_eq!(outputs(&dir), [".lipflow"], "nothing beside the outputs");
    let last = wait_for(&mut reader, |event| event["event"] == "batch-result");
    assert_eq!(last["done"], 2);
    assert_eq!(wait(child).status.code(), Some(0));
    assert!(!staging.exists());
    let report = fs::read_to_string(dir.file("out/report.html")).unwrap();
    assert_eq!(report.matches("data:image/jpeg").count(), 2);
}

#[test]
fn outputs_on_another_disk_than_the_journal_are_made_there() {
    let dir = TestDir::new();
    let sound = short_speech(&dir);
    let Ok(disk) = tempfile::tempdir_in("/dev/shm") else {
        eprintln!("skipped: there is no other disk");
        return;
    };
    let output = disk.path().join("out/0.mp4");
    let row = format!(
        "{},{},{}",
        face().display(),
        sound.display(),
        output.display()
    );
    dir.write("jobs.csv", format!("face,speech,output\n{row}\n"));
    let mut command = batch(&dir);
    command.args(["--state", "state", "--learn", "off"]);
    let result = finish(&mut command);
    assert_eq!(result.status.code(), Some(0), "{}", stderr(&result));
    assert!(output.is_file());
    let names = fs::read_dir(disk.path().join("out")).unwrap();
    let names: Vec<_> = names.map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "one output, two reports: {names:?}");
    assert!(!dir.file("state/staging").exists());
    let report = fs::read_to_string(disk.path().join("out/report.html")).unwrap();
    assert!(report.contains("data:image/jpeg"));
}

/// What becomes of a job whose output is another's, in a worker that may make `own`.
fn overwritten(own: &Path, other: &Path, staged: Option<&Path>) -> Value {
    let read = named(&[&face(), &speech()]);
    let mut worker = Worker::that_reaches(&json!({"read": read, "write": named(&[own])}));
    let spec = json!({
        "face": face(), "speech": speech(), "output": other, "template": "file",
        "parameters": [], "end_mode": "speech", "loop_mode": null, "learn": "off",
        "if_exists": "overwrite", "stuck_after": {"secs": 30, "nanos": 0}, "graph": null,
        "dry_run": false
    });
    let lease = json!({"job": 1, "epoch": 1});
    worker.order(&json!({"order": "run", "lease": lease, "spec": spec, "staged": staged}));
    let outcome = loop {
        let answer = worker.answer();
        match answer["answer"].as_str() {
            Some("ended") => break answer["outcome"].clone(),
            // Whoever works on it says that all may have their names.
            Some("made") => worker.order(&json!({"order": "publish", "lease": lease})),
            _ => {}
        }
    };
    worker.end();
    outcome
}

#[test]
fn a_worker_can_not_write_another_output_or_the_journal() {
    if !lipflow::reach::is_enforced().unwrap() {
        eprintln!("skipped: this kernel has no Landlock");
        return;
    }
    let dir = TestDir::new();
    let own = dir.file("own");
    fs::create_dir(&own).unwrap();
    let other = dir.write("other.mp4", "another output");
    let journal = dir.write("journal.db", "the journal");
    let outcome = overwritten(&own, &other, None);
    assert_eq!(
        outcome["error"]["code"], "output-folder-read-only",
        "{outcome}"
    );
    let outcome = overwritten(&own, &other, Some(&journal.with_extension("db-wal")));
    assert_eq!(
        outcome["error"]["code"], "output-folder-read-only",
        "{outcome}"
    );
    assert_eq!(fs::read(&other).unwrap(), b"another output");
    assert_eq!(dir.names(), ["journal.db", "other.mp4", "own"]);
}

#[test]
fn files_that_come_late_are_reached_too() {
    let dir = TestDir::new();
    let sound = short_speech(&dir);
    let (first, second) = (dir.file("1.mp4"), dir.file("2.mp4"));
    for path in [&first, &second] {
        fs::copy(face(), path).unwrap();
    }
    let row =
        |face: &Path, output: &str| format!("{},{},{output}\n", face.display(), sound.display());
    // Folders that are made when their jobs begin, one of them far from the others.
    let far = tempfile::tempdir().unwrap();
    let far = far.path().join("new/2.mp4");
    let list = row(&first, "out/a/1.mp4") + &row(&second, far.to_str().unwrap());
    dir.write("jobs.csv", format!("face,speech,output\n{list}"));
    let mut command = batch(&dir);
    let (child, mut reader) = start(command.args(["--progress", "json", "--state", "state"]));
    wait_for(&mut reader, |event| event["event"] == "started");
    // Another file takes the name of one that the worker was to reach.
    let other = dir.file("other.mp4");
    fs::copy(face(), &other).unwrap();
    fs::rename(&other, &second).unwrap();
    let last = wait_for(&mut reader, |event| {
        if event["event"] == "result" {
            assert!(event["error"].is_null(), "{event}");
        }
        event["event"] == "batch-result"
    });
    assert_eq!(last["done"], 2);
    assert_eq!(wait(child).status.code(), Some(0));
    assert!(dir.file("out/a/1.mp4").is_file() && far.is_file());
}

/// Found by fuzzing: to resample it took for ever.
#[test]
fn a_sound_of_a_rate_that_no_sound_has_is_refused() {
    let dir = TestDir::new();
    let mut bytes = fs::read(short_speech(&dir)).unwrap();
    bytes[24..28].copy_from_slice(&838_876_800_u32.to_le_bytes());
    let odd = dir.write("odd.wav", bytes);
    let output = finish(run(face(), &odd, dir.file("out.mp4")).args(["--dry-run"]));
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(15), "{text}");
    assert!(text.contains("838876800 samples a second"), "{text}");
}
