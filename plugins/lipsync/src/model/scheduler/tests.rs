use std::sync::mpsc;

use super::*;

const SIZES: Sizes = Sizes {
    mel: 1,
    face: 2,
    output: 1,
};

/// Adds up what is there of each face.
fn sums(batch: &mut Gathered, _stop: &Interrupt) -> Result<(), Error> {
    for n in 0..batch.filled {
        batch.outputs[n] = batch.mels[n] + batch.faces[2 * n] + batch.faces[2 * n + 1];
    }
    Ok(())
}

fn paint(member: &Member, values: &[f32], stop: Option<&Interrupt>) -> Result<Vec<f32>, Error> {
    let faces: Vec<f32> = values.iter().flat_map(|v| [10.0 * v, 100.0 * v]).collect();
    let mut outputs = vec![0.0; values.len()];
    member.paint(values.len(), values, &faces, &mut outputs, stop)?;
    Ok(outputs)
}

#[test]
fn streams_share_runs_and_get_their_own_faces() {
    let scheduler = Arc::new(Scheduler::start(4, SIZES, Box::new(sums)).unwrap());
    let members = [0, 1, 2, 3].map(|_| scheduler.clone().join());
    let threads: Vec<_> = members
        .into_iter()
        .enumerate()
        .map(|(stream, member)| {
            std::thread::spawn(move || {
                for n in 0..50 {
                    let value = (stream * 100 + n) as f32;
                    assert_eq!(paint(&member, &[value], None).unwrap(), [111.0 * value]);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    // 200 faces: 50 runs where all come together, and some where they do not.
    let runs = scheduler.runs();
    assert!((50..100).contains(&runs), "{runs}");
}

#[test]
fn nobody_waits_long_for_a_stream_that_gives_nothing() {
    let scheduler = Arc::new(Scheduler::start(4, SIZES, Box::new(sums)).unwrap());
    let (busy, _idle) = (scheduler.clone().join(), scheduler.clone().join());
    let begun = Instant::now();
    assert_eq!(paint(&busy, &[1.0, 2.0], None).unwrap(), [111.0, 222.0]);
    let took = begun.elapsed();
    assert!(took >= TIMEOUT && took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn one_alone_waits_for_nobody() {
    let scheduler = Arc::new(Scheduler::start(64, SIZES, Box::new(sums)).unwrap());
    let member = scheduler.clone().join();
    let begun = Instant::now();
    for n in 0..100 {
        paint(&member, &[n as f32], None).unwrap();
    }
    assert!(begun.elapsed() < TIMEOUT * 100);
    assert_eq!(scheduler.runs(), 100);
}

/// A network that works until it is told to go on, or stopped.
fn slow() -> (Run, mpsc::Receiver<usize>, mpsc::Sender<()>) {
    let (begun, has_begun) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let run = move |batch: &mut Gathered, stop: &Interrupt| {
        begun.send(batch.filled).unwrap();
        loop {
            if stop.is_raised() {
                return Err(interrupted());
            }
            if may_go_on.recv_timeout(Duration::from_millis(1)).is_ok() {
                return sums(batch, stop);
            }
        }
    };
    (Box::new(run), has_begun, go_on)
}

#[test]
fn a_stream_that_is_flushed_leaves_a_run_to_the_others() {
    let (run, has_begun, go_on) = slow();
    let scheduler = Arc::new(Scheduler::start(2, SIZES, run).unwrap());
    let (stays, goes) = (scheduler.clone().join(), scheduler.clone().join());
    let stop = Arc::new(Interrupt::default());
    let stopped = stop.clone();
    let leaving = std::thread::spawn(move || paint(&goes, &[1.0], Some(&stopped)).is_err());
    let staying = std::thread::spawn(move || paint(&stays, &[2.0], None).unwrap());
    assert_eq!(has_begun.recv().unwrap(), 2);
    stop.raise();
    assert!(leaving.join().unwrap());
    go_on.send(()).unwrap();
    assert_eq!(staying.join().unwrap(), [222.0]);
}

#[test]
fn a_run_that_nobody_waits_for_ends_and_the_next_one_begins() {
    let (run, has_begun, go_on) = slow();
    let scheduler = Arc::new(Scheduler::start(2, SIZES, run).unwrap());
    let member = Arc::new(scheduler.clone().join());
    let stop = Arc::new(Interrupt::default());
    let (stopped, alone) = (stop.clone(), member.clone());
    let leaving = std::thread::spawn(move || paint(&alone, &[1.0], Some(&stopped)).is_err());
    has_begun.recv().unwrap();
    stop.raise();
    assert!(leaving.join().unwrap());
    stop.clear();
    // The first run has ended, or this one would never be told to go on.
    let again = std::thread::spawn(move || paint(&member, &[3.0], Some(&stop)).unwrap());
    assert_eq!(has_begun.recv().unwrap(), 1);
    go_on.send(()).unwrap();
    assert_eq!(again.join().unwrap(), [333.0]);
}

#[test]
fn a_failure_is_told_to_all_whose_faces_were_in_it() {
    let run = |_: &mut Gathered, _: &Interrupt| Err(Error::Missing("it".into()));
    let scheduler = Arc::new(Scheduler::start(2, SIZES, Box::new(run)).unwrap());
    let members = [0, 1].map(|_| scheduler.clone().join());
    let threads = members.map(|member| {
        std::thread::spawn(move || matches!(paint(&member, &[1.0], None), Err(Error::Missing(_))))
    });
    assert_eq!(threads.map(|thread| thread.join().unwrap()), [true, true]);
}
