//! Outputs that may not get as large as they want to, and workers that may not reach what they want to.

mod run_support;

use std::ffi::CString;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use run_support::batch::{batch, events, outputs, short_speech, start, wait, wait_for};
use run_support::{Desk, face, finish, lipflow, run, speech, stderr};

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
    let desk = Desk::new();
    let mut command = run(face(), speech(), desk.file("out.mp4"));
    limit_files(&mut command, TOO_SMALL);
    let output = finish(command.args(["--learn", "off"]));
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(37), "{text}");
    assert!(
        text.contains("out.mp4") && text.contains("ulimit -f"),
        "{text}"
    );
    assert!(desk.names().is_empty(), "{:?}", desk.names());
}

#[test]
fn a_worker_meets_the_size_limit_as_a_failure_of_its_job() {
    let desk = Desk::new();
    let row = format!("{},{},out/0.mkv", face().display(), speech().display());
    desk.write("jobs.csv", format!("face,speech,output\n{row}\n"));
    let mut command = batch(&desk);
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
    let hidden: Vec<_> = outputs(&desk)
        .into_iter()
        .filter(|name| name.ends_with(".tmp"))
        .collect();
    assert!(hidden.is_empty(), "{hidden:?}");
}

#[test]
fn a_disk_that_fills_up() {
    let desk = Desk::new();
    let folder = desk.file("small");
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

/// What a worker that may reach `files` finds in `path`.
fn looked_into(path: &Path, files: Value) -> Value {
    let mut worker = lipflow();
    let mut worker = worker
        .arg("worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut orders = worker.stdin.take().unwrap();
    let confinement = json!({"memory": null, "no_network": true, "files": files});
    let order = json!({"order": "look", "path": path, "role": "face"});
    writeln!(orders, "{confinement}\n{order}").unwrap();
    let mut reader = BufReader::new(worker.stdout.take().unwrap());
    let found = loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the worker ended");
        let answer: Value = serde_json::from_str(&line).unwrap();
        if answer["answer"] == "looked" {
            break answer["found"].clone();
        }
    };
    drop(orders);
    worker.wait().unwrap();
    found
}

#[test]
fn a_worker_reads_what_its_jobs_name_and_nothing_else() {
    let desk = Desk::new();
    let own = desk.file("face.mp4");
    fs::copy(face(), &own).unwrap();
    assert!(looked_into(&own, Value::Null)["Ok"].is_object());
    if !lipflow::reach::is_enforced().unwrap() {
        eprintln!("skipped: this kernel has no Landlock");
        return;
    }
    let nothing = looked_into(&own, json!({"read": {}, "write": {}}));
    assert_eq!(nothing["Err"]["kind"], "input-unreadable", "{nothing}");
    let metadata = fs::metadata(&own).unwrap();
    let read = json!({ own.to_str().unwrap(): [metadata.dev(), metadata.ino()] });
    let found = looked_into(&own, json!({"read": read, "write": {}}));
    assert!(found["Ok"].is_object(), "{found}");
}

#[test]
fn files_that_come_late_are_reached_too() {
    let desk = Desk::new();
    let sound = short_speech(&desk);
    let (first, second) = (desk.file("1.mp4"), desk.file("2.mp4"));
    for path in [&first, &second] {
        fs::copy(face(), path).unwrap();
    }
    let row =
        |face: &Path, output: &str| format!("{},{},{output}\n", face.display(), sound.display());
    // Folders that are made when their jobs begin, one of them far from the others.
    let far = tempfile::tempdir().unwrap();
    let far = far.path().join("new/2.mp4");
    let list = row(&first, "out/a/1.mp4") + &row(&second, far.to_str().unwrap());
    desk.write("jobs.csv", format!("face,speech,output\n{list}"));
    let mut command = batch(&desk);
    let (child, mut reader) = start(command.args(["--progress", "json", "--state", "state"]));
    wait_for(&mut reader, |event| event["event"] == "started");
    // Another file takes the name of one that the worker was to reach.
    let other = desk.file("other.mp4");
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
    assert!(desk.file("out/a/1.mp4").is_file() && far.is_file());
}

/// Found by fuzzing: to resample it took for ever.
#[test]
fn a_sound_of_a_rate_that_no_sound_has_is_refused() {
    let desk = Desk::new();
    let mut bytes = fs::read(short_speech(&desk)).unwrap();
    bytes[24..28].copy_from_slice(&838_876_800_u32.to_le_bytes());
    let odd = desk.write("odd.wav", bytes);
    let output = finish(run(face(), &odd, desk.file("out.mp4")).args(["--dry-run"]));
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(15), "{text}");
    assert!(text.contains("838876800 samples a second"), "{text}");
}
