//! `lipflow batch` under second starts, second controllers, signals from outside and bad updates.

mod run_support;

use std::ffi::OsStr;
use std::fs;
use std::io::BufReader;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use run_support::batch::{
    LIMIT, SLOW, batch, outputs, short_jobs, short_speech, signal, slow_jobs, start, wait,
    wait_for, wait_until_moving,
};
use run_support::{TestDir, face, finish, lipflow, speech, stderr};
use rusqlite::Connection;

fn kill(process: i64, signal: i32) {
    // SAFETY: the supervisor has not been told of its end, so the process id is still the worker's.
    unsafe { libc::kill(process as i32, signal) };
}

#[test]
fn a_file_that_was_left_alone_survives_every_start() {
    let dir = TestDir::new();
    let mut command = short_jobs(&dir, 1);
    command.args(["--skip-existing", "--progress", "plain"]);
    fs::create_dir(dir.file("out")).unwrap();
    fs::write(dir.file("out/0.mp4"), "theirs").unwrap();
    for _ in 0..2 {
        let output = finish(&mut command);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(fs::read(dir.file("out/0.mp4")).unwrap(), b"theirs");
    }
}

#[test]
fn reports_and_zip_files_of_others_are_left_alone() {
    let dir = TestDir::new();
    let mut command = short_jobs(&dir, 1);
    fs::create_dir(dir.file("out")).unwrap();
    for name in ["out/report.html", "out/manifest.json", "all.zip"] {
        fs::write(dir.file(name), "theirs").unwrap();
    }
    let refused = finish(command.args(["--zip", "all.zip"]));
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    let text = stderr(&refused);
    assert!(
        text.contains("all.zip: there is a file of this name"),
        "{text}"
    );
    fs::remove_file(dir.file("all.zip")).unwrap();
    let output = finish(&mut command);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for name in ["out/report.html", "out/manifest.json"] {
        assert_eq!(fs::read(dir.file(name)).unwrap(), b"theirs", "{name}");
    }
    assert!(dir.file("all.zip").is_file());
}

#[test]
fn a_list_that_grows_keeps_what_is_done() {
    let dir = TestDir::new();
    let sound = short_speech(&dir);
    let row = |output: &str| format!("{},{},{output}\n", face().display(), sound.display());
    let mut list = format!("face,speech,output\n{}", row("out/a/1.mp4"));
    dir.write("jobs.csv", &list);
    let output = finish(batch(&dir).args(["--progress", "plain"]));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    list += &row("out/b/2.mp4");
    dir.write("jobs.csv", &list);
    let output = finish(batch(&dir).args(["--progress", "plain"]));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stderr(&output);
    assert!(text.contains("2 jobs, 1 of them done already"), "{text}");
    for folder in ["out", "out/a"] {
        let status = finish(lipflow().arg("status").arg(dir.file(folder)));
        let text = String::from_utf8(status.stdout).unwrap();
        assert!(text.contains("of 2 jobs: 2 done"), "{folder}: {text}");
    }
}

#[test]
fn a_job_that_was_taken_over_is_given_up_and_not_published_twice() {
    let dir = TestDir::new();
    let (child, mut reader) = start(&mut slow_jobs(&dir, 1));
    wait_until_moving(&mut reader);
    // As another controller does that holds this one for dead.
    let journal = Connection::open(dir.file("out/.lipflow/journal.db")).unwrap();
    journal
        .execute_batch("UPDATE jobs SET epoch = epoch + 2, controller = NULL, state = 'cancelled'")
        .unwrap();
    wait_for(&mut reader, |event| {
        assert_ne!(event["event"], "result", "{event}");
        let message = event["message"].as_str().unwrap_or_default();
        event["event"] == "warning" && message.contains("Another controller has job")
    });
    let last = wait_for(&mut reader, |event| event["event"] == "batch-result");
    assert_eq!((&last["done"], &last["cancelled"]), (&0.into(), &1.into()));
    assert_eq!(wait(child).status.code(), Some(1));
    let expected = [".lipflow", "manifest.json", "report.html"];
    assert_eq!(outputs(&dir), expected);
    let state: String = journal
        .query_row("SELECT state FROM jobs", [], |row| row.get(0))
        .unwrap();
    assert_eq!(state, "cancelled", "it is the other one's");
}

#[test]
fn a_service_manager_that_ends_the_whole_group_loses_no_file() {
    let dir = TestDir::new();
    let (child, mut reader) = start(&mut slow_jobs(&dir, 2));
    let started = wait_for(&mut reader, |event| event["event"] == "started");
    wait_until_moving(&mut reader);
    kill(started["worker"].as_i64().unwrap(), libc::SIGTERM);
    signal(&child, libc::SIGTERM);
    let last = wait_for(&mut reader, |event| {
        assert_ne!(event["event"], "retry", "{event}");
        event["event"] == "batch-result"
    });
    assert_eq!((&last["done"], &last["queued"]), (&1.into(), &1.into()));
    assert_eq!(wait(child).status.code(), Some(130));
    assert!(dir.file("out/0.mp4").is_file());
}

#[test]
fn nohup_holds() {
    let dir = TestDir::new();
    let template = dir.template_with("identity sleep-time=20000");
    let mut command = short_jobs(&dir, 1);
    command
        .args(["--progress", "json", "--template"])
        .arg(template);
    // SAFETY: between fork and exec the call only sets what becomes of a signal.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            Ok(())
        })
    };
    let (child, mut reader) = start(&mut command);
    wait_until_moving(&mut reader);
    signal(&child, libc::SIGHUP);
    let last = wait_for(&mut reader, |event| {
        let message = event["message"].as_str().unwrap_or_default();
        assert!(!message.starts_with("Finishing"), "{message}");
        event["event"] == "batch-result"
    });
    assert_eq!(last["done"], 1);
    assert_eq!(wait(child).status.code(), Some(0));
}

/// A batch whose two workers have a long job and a short one each; `None` where they share them otherwise.
fn two_workers_that_take_turns() -> Option<(TestDir, Child, BufReader<ChildStdout>, Vec<i64>)> {
    let dir = TestDir::new();
    let template = dir.template_with(SLOW);
    let sound = short_speech(&dir);
    let mut list = "face,speech,output\n".to_owned();
    // The first and the last are six times as long as the others.
    for (n, speech) in [&speech(), &sound, &sound, &speech()]
        .into_iter()
        .enumerate()
    {
        list += &format!("{},{},out/{n}.mp4\n", face().display(), speech.display());
    }
    dir.write("jobs.csv", list);
    let mut command = lipflow();
    command
        .current_dir(dir.path())
        .args(["batch", "jobs.csv", "--min-free", "0"]);
    command.args([
        "--workers",
        "2",
        "--jobs-per-worker",
        "2",
        "--progress",
        "json",
    ]);
    let (mut child, mut reader) = start(command.arg("--template").arg(template));
    let mut workers = Vec::new();
    for _ in 0..4 {
        let started = wait_for(&mut reader, |event| event["event"] == "started");
        workers.push(started["worker"].as_i64().unwrap());
    }
    if workers[2..] != workers[..2] {
        child.kill().unwrap();
        child.wait().unwrap();
        return None;
    }
    Some((dir, child, reader, workers))
}

#[test]
fn an_interrupt_does_not_wait_for_a_job_that_waits_for_a_worker() {
    // Which worker is ready first is the machine's affair: until each has a long job and a short one.
    let (_desk, child, mut reader, workers) = (0..20)
        .find_map(|_| two_workers_that_take_turns())
        .expect("workers take turns in one of twenty starts");
    // Its two jobs want a worker each. The long one gets it at once; the other one waits until the other
    // worker, which has room but not for it alone, has done the other long one.
    kill(workers[0], libc::SIGABRT);
    wait_for(&mut reader, |event| event["event"] == "result");
    signal(&child, libc::SIGINT);
    wait_for(&mut reader, |event| {
        event["event"] == "message" && event["job"].is_null()
    });
    signal(&child, libc::SIGINT);
    let last = wait_for(&mut reader, |event| event["event"] == "batch-result");
    let counts = ["done", "running", "queued"].map(|count| last[count].as_u64());
    assert_eq!(counts, [Some(1), Some(0), Some(3)]);
    assert_eq!(wait(child).status.code(), Some(130));
}

#[test]
fn a_program_that_can_not_start_sets_nothing_aside() {
    let dir = TestDir::new();
    let template = dir.template_with(SLOW);
    let own = dir.file("lipflow");
    let good = env!("CARGO_BIN_EXE_lipflow");
    fs::copy(good, &own).unwrap();
    short_jobs(&dir, 2);
    let (child, mut reader) = start(
        Command::new(&own)
            .current_dir(dir.path())
            .env("LIPFLOW_FACES", run_support::faces())
            .args(["batch", "jobs.csv", "--min-free", "0", "--workers", "1"])
            .args(["--progress", "json", "--template"])
            .arg(template)
            .stdin(Stdio::null()),
    );
    let started = wait_for(&mut reader, |event| event["event"] == "started");
    // A bad update comes, and then a worker dies. To the running program its own file has this name
    // once it is gone, and by it workers are started.
    let update = dir.file("lipflow (deleted)");
    let bad = dir.write("bad", "#!/bin/sh\necho no such library >&2\nexit 127\n");
    fs::set_permissions(&bad, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(&bad, &update).unwrap();
    fs::remove_file(&own).unwrap();
    kill(started["worker"].as_i64().unwrap(), libc::SIGKILL);
    let paused = wait_for(&mut reader, |event| {
        assert_ne!(event["event"], "result", "{event}");
        event["event"] == "batch" && event["paused"].is_string()
    });
    let reason = paused["paused"].as_str().unwrap();
    assert!(reason.contains("no such library"), "{reason}");
    fs::remove_file(&update).unwrap();
    let last = wait_for(&mut reader, |event| event["event"] == "batch-result");
    assert_eq!((&last["done"], &last["failed"]), (&2.into(), &0.into()));
    assert_eq!(wait(child).status.code(), Some(0));
}

#[test]
fn a_reader_that_takes_nothing_holds_up_no_job() {
    let dir = TestDir::new();
    let (child, mut reader) = start(short_jobs(&dir, 3).args(["--progress", "json"]));
    // As little as a pipe can hold.
    // SAFETY: the descriptor is the reader's, and the call changes nothing but the pipe's size.
    let size = unsafe { libc::fcntl(reader.get_ref().as_raw_fd(), libc::F_SETPIPE_SZ, 4096) };
    assert!(size > 0);
    let begin = Instant::now();
    while !dir.file("out/2.mp4").exists() {
        assert!(begin.elapsed() < LIMIT, "the jobs stand still");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut results = 0;
    wait_for(&mut reader, |event| {
        results += usize::from(event["event"] == "result");
        event["event"] == "batch-result"
    });
    assert_eq!(results, 3);
    assert_eq!(wait(child).status.code(), Some(0));
}

#[test]
fn files_of_a_list_are_beside_it_and_a_confined_one_brings_no_code() {
    let dir = TestDir::new();
    short_jobs(&dir, 1);
    let folder = dir.file("lists");
    fs::create_dir(&folder).unwrap();
    fs::rename(dir.template_with("identity"), folder.join("own.launch")).unwrap();
    for (name, file) in [("f.mp4", face()), ("s.wav", dir.file("short.wav"))] {
        fs::copy(file, folder.join(name)).unwrap();
    }
    let list = "face;speech;output;template\n#1.mp4;s.wav;o1.mp4;own.launch\nf.mp4;s.wav;o2.mp4;own.launch\n";
    fs::copy(face(), folder.join("#1.mp4")).unwrap();
    fs::write(folder.join("jobs.csv"), list).unwrap();
    let batch = || {
        let mut command = lipflow();
        command.current_dir(dir.path());
        command.args([
            "batch",
            "lists/jobs.csv",
            "--min-free",
            "0",
            "--progress",
            "plain",
        ]);
        command
    };
    let refused = finish(batch().args(["--confine", "lists"]));
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(
        stderr(&refused).contains("can't bring a template"),
        "{}",
        stderr(&refused)
    );
    let output = finish(&mut batch());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(folder.join("o1.mp4").is_file() && folder.join("o2.mp4").is_file());
}

#[test]
fn one_name_that_a_journal_can_not_have_stops_no_other_job() {
    let dir = TestDir::new();
    let sound = short_speech(&dir);
    let faces = dir.file("faces");
    fs::create_dir(&faces).unwrap();
    fs::copy(face(), faces.join("a.mp4")).unwrap();
    fs::copy(face(), faces.join(OsStr::from_bytes(b"\xc1\xb3.mp4"))).unwrap();
    let mut command = lipflow();
    command
        .current_dir(dir.path())
        .args(["batch", "--face", "faces", "--min-free", "0"]);
    command.arg("--speech").arg(sound);
    command.args(["-o", "out/{face.stem}.mp4", "--progress", "plain"]);
    let output = finish(&mut command);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("left out"), "{}", stderr(&output));
    assert!(dir.file("out/a.mp4").is_file());
}

#[test]
fn prune_frees_what_is_left_and_keeps_what_is_known() {
    let dir = TestDir::new();
    let mut command = short_jobs(&dir, 1);
    let output = finish(&mut command);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let leftover = dir.file("out/.0.mp4.lipflow-1-0000abcd.tmp");
    fs::write(&leftover, vec![0; 2_000_000]).unwrap();
    let staged = dir.file("out/.lipflow/staging/1-0");
    fs::create_dir_all(&staged).unwrap();
    fs::write(staged.join("1-1"), vec![0; 3_000_000]).unwrap();
    let prune = |arguments: &[&str]| {
        let mut command = lipflow();
        command.arg("prune").arg(dir.file("out")).args(arguments);
        let output = finish(&mut command);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = prune(&["--older-than", "0", "--dry-run"]);
    assert!(
        text.contains("would free") && text.contains("1 old batches"),
        "{text}"
    );
    assert!(text.contains(".0.mp4.lipflow-1-0000abcd.tmp"), "{text}");
    assert!(text.contains("staging/1-0/1-1"), "{text}");
    assert!(leftover.is_file() && staged.is_dir(), "nothing was removed");
    let text = prune(&["--json"]);
    let freed: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(freed["batches"], 0, "a batch of today is not old: {freed}");
    assert!(freed["freed"].as_u64().unwrap() >= 5_000_000, "{freed}");
    assert!(!leftover.exists() && !staged.exists());
    let text = prune(&["--older-than", "0"]);
    assert!(
        text.contains("1 old batches") && !text.contains(" 0 events"),
        "{text}"
    );
    // What was made is known, so nothing is made again.
    let made = fs::metadata(dir.file("out/0.mp4"))
        .unwrap()
        .modified()
        .unwrap();
    let output = finish(&mut command);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let now = fs::metadata(dir.file("out/0.mp4"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(made, now);
}

#[test]
fn workers_have_limits() {
    let dir = TestDir::new();
    let limits_of = |arguments: &[&str]| {
        let mut command = short_jobs(&dir, 1);
        command
            .args(["--force", "--progress", "json"])
            .args(arguments);
        let (child, mut reader) = start(&mut command);
        let begun = wait_for(&mut reader, |event| event["event"] == "started");
        let limits = fs::read_to_string(format!("/proc/{}/limits", begun["worker"])).unwrap();
        wait_for(&mut reader, |event| event["event"] == "batch-result");
        assert_eq!(wait(child).status.code(), Some(0));
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max data size"));
        line.unwrap().split_whitespace().nth(3).unwrap().to_owned()
    };
    assert!(limits_of(&[]).parse::<u64>().unwrap() >= 4 << 30);
    assert_eq!(limits_of(&["--worker-memory", "2000"]), "2000000000");
    assert_eq!(limits_of(&["--worker-memory", "0"]), "unlimited");
    let refused = finish(short_jobs(&dir, 1).args(["--worker-memory", "60"]));
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("at least 500"),
        "{}",
        stderr(&refused)
    );
}
