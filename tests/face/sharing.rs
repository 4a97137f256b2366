//! Several who want one face.

use std::fs;
use std::time::Duration;

use crate::run_support::{TestDir, face, finish, lipflow, speech, stderr};

use super::support::*;

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
    let said = events(&batch(&dir));
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
    let said = events(&batch(&dir));
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
