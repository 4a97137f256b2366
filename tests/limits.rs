//! Outputs that may not get as large as they want to: a full disk, and `ulimit -f`.

mod run_support;

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use run_support::batch::{batch, events, outputs, short_jobs};
use run_support::{Desk, face, finish, run, speech, stderr};

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
    short_jobs(&desk, 1);
    let mut command = batch(&desk);
    // The journal is smaller, and ends nothing where it isn't.
    limit_files(&mut command, 300_000);
    command.args(["--progress", "json", "--learn", "off"]);
    let output = finish(command.args(["--template", "lossless", "--output", "out/{row}.mkv"]));
    let events = events(&output);
    let result = events.iter().find(|event| event["event"] == "result");
    let error = &result.unwrap()["error"];
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
