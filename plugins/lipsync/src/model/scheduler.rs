//! One network for many streams: faces of all of them share its runs.
//!
//! A stream hands in its faces and waits. The network runs when a batch is full, when every stream has
//! handed in what it has, or when the first has waited for [`TIMEOUT`]. A stream that is stopped or
//! flushed leaves at once; a run that nobody waits for any more is ended.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Error;
use crate::runtime::{self, Interrupt, Wake, lock};

/// How long a face waits for those of other streams: half a frame at the usual 25 a second.
const TIMEOUT: Duration = Duration::from_millis(20);

/// Values for each face, inputs and outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub mel: usize,
    pub face: usize,
    pub output: usize,
}

/// Faces that go through the network at once.
pub struct Gathered {
    pub filled: usize,
    pub mels: Vec<f32>,
    pub faces: Vec<f32>,
    pub outputs: Vec<f32>,
}

impl Gathered {
    pub fn new(frames: usize, sizes: Sizes) -> Self {
        Self {
            filled: 0,
            mels: vec![0.0; frames * sizes.mel],
            faces: vec![0.0; frames * sizes.face],
            outputs: vec![0.0; frames * sizes.output],
        }
    }
}

/// Runs the network on what was gathered.
pub type Run = Box<dyn FnMut(&mut Gathered, &Interrupt) -> Result<(), Error> + Send>;

/// A batch that was run, for those whose faces are in it.
type Painted = Result<Arc<Gathered>, Error>;

pub struct Scheduler {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    capacity: usize,
    sizes: Sizes,
    state: Mutex<State>,
    changed: Condvar,
    /// Ends the run in flight.
    stop: Interrupt,
}

#[derive(Default)]
struct State {
    members: usize,
    /// What the next run gets; away where all batches are in use.
    gathering: Option<Gathered>,
    /// Who has faces in it.
    waiting: Vec<u64>,
    since: Option<Instant>,
    /// Those whose faces are in the run in flight and who still want them.
    running: Vec<u64>,
    done: Vec<(u64, Painted)>,
    next: u64,
    is_closed: bool,
    #[cfg(test)]
    runs: u64,
}

impl Wake for Shared {
    fn wake(&self) {
        let _state = lock(&self.state);
        self.changed.notify_all();
    }
}

impl Scheduler {
    /// `capacity` faces make a full batch.
    pub fn start(capacity: usize, sizes: Sizes, run: Run) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            capacity,
            sizes,
            state: Mutex::new(State {
                gathering: Some(Gathered::new(capacity, sizes)),
                ..State::default()
            }),
            changed: Condvar::new(),
            stop: Interrupt::default(),
        });
        let working = shared.clone();
        let thread = std::thread::Builder::new().name("lipsync-batch".into());
        let thread = thread.spawn(move || working.work(run))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// How often the network has run.
    #[cfg(test)]
    pub fn runs(&self) -> u64 {
        lock(&self.shared.state).runs
    }

    /// Makes a stream one of those that are waited for.
    pub fn join(self: Arc<Self>) -> Member {
        lock(&self.shared.state).members += 1;
        Member { scheduler: self }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        lock(&self.shared.state).is_closed = true;
        self.shared.stop.raise();
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // What it panicked with was reported by the panic itself.
            let _ = thread.join();
        }
    }
}

/// A stream at its scheduler.
pub struct Member {
    scheduler: Arc<Scheduler>,
}

impl Drop for Member {
    fn drop(&mut self) {
        let shared = &self.scheduler.shared;
        lock(&shared.state).members -= 1;
        // The others need not wait for this one.
        shared.changed.notify_all();
    }
}

impl Member {
    /// Has `count` faces painted into `outputs`; at most a batch.
    pub fn paint(
        &self,
        count: usize,
        mels: &[f32],
        faces: &[f32],
        outputs: &mut [f32],
        stop: Option<&Interrupt>,
    ) -> Result<(), Error> {
        let shared = &self.scheduler.shared;
        let Sizes { mel, face, output } = shared.sizes;
        if let Some(stop) = stop {
            stop.wakes(shared);
        }
        let (number, first) =
            shared.hand_in(count, &mels[..count * mel], &faces[..count * face], stop)?;
        let painted = shared.wait(number, stop)?;
        outputs[..count * output]
            .copy_from_slice(&painted.outputs[first * output..][..count * output]);
        Ok(())
    }
}

impl Shared {
    /// Puts faces into the next batch: gives the number of who waits for them, and where they are.
    fn hand_in(
        &self,
        count: usize,
        mels: &[f32],
        faces: &[f32],
        stop: Option<&Interrupt>,
    ) -> Result<(u64, usize), Error> {
        let mut state = lock(&self.state);
        loop {
            if stop.is_some_and(Interrupt::is_raised) {
                return Err(interrupted());
            }
            let State {
                gathering,
                waiting,
                next,
                since,
                ..
            } = &mut *state;
            if let Some(batch) = gathering
                && batch.filled + count <= self.capacity
            {
                let first = batch.filled;
                batch.mels[first * self.sizes.mel..][..mels.len()].copy_from_slice(mels);
                batch.faces[first * self.sizes.face..][..faces.len()].copy_from_slice(faces);
                batch.filled += count;
                let number = *next;
                *next += 1;
                waiting.push(number);
                since.get_or_insert_with(Instant::now);
                self.changed.notify_all();
                return Ok((number, first));
            }
            state = self.sleep(state, None);
        }
    }

    /// Waits until the faces of `number` are painted, or nobody wants them.
    fn wait(&self, number: u64, stop: Option<&Interrupt>) -> Result<Arc<Gathered>, Error> {
        let mut state = lock(&self.state);
        loop {
            if let Some(index) = state.done.iter().position(|(done, _)| *done == number) {
                return state.done.swap_remove(index).1;
            }
            if stop.is_some_and(Interrupt::is_raised) {
                state.waiting.retain(|other| *other != number);
                let before = state.running.len();
                state.running.retain(|other| *other != number);
                if before > 0 && state.running.is_empty() {
                    self.stop.raise();
                }
                self.changed.notify_all();
                return Err(interrupted());
            }
            state = self.sleep(state, None);
        }
    }

    fn sleep<'a>(
        &self,
        state: MutexGuard<'a, State>,
        limit: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        match limit {
            Some(limit) => {
                let waited = self.changed.wait_timeout(state, limit);
                waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0
            }
            None => {
                let waited = self.changed.wait(state);
                waited.unwrap_or_else(|poisoned| poisoned.into_inner())
            }
        }
    }

    /// The thread that runs the network.
    fn work(&self, mut run: Run) {
        // Two are enough: one is filled while the other runs, or is read by whom it is for.
        let mut spare = Some(Arc::new(Gathered::new(self.capacity, self.sizes)));
        while let Some(mut batch) = self.next_batch(&mut spare) {
            let result = run(&mut batch, &self.stop);
            let batch = Arc::new(batch);
            let mut state = lock(&self.state);
            #[cfg(test)]
            {
                state.runs += 1;
            }
            for number in std::mem::take(&mut state.running) {
                let painted = match &result {
                    Ok(()) => Ok(batch.clone()),
                    Err(e) => Err(e.clone()),
                };
                state.done.push((number, painted));
            }
            drop(state);
            spare = Some(batch);
            self.changed.notify_all();
        }
    }

    /// Waits for a batch to run; none when there is nobody left. `spare` is filled meanwhile.
    fn next_batch(&self, spare: &mut Option<Arc<Gathered>>) -> Option<Gathered> {
        let mut state = lock(&self.state);
        loop {
            if state.is_closed {
                return None;
            }
            if state.gathering.is_none() {
                // Who reads it is quick, and another one is made at most once for each who is not.
                let free = spare.take().and_then(|spare| Arc::try_unwrap(spare).ok());
                let mut free = free.unwrap_or_else(|| Gathered::new(self.capacity, self.sizes));
                free.filled = 0;
                state.gathering = Some(free);
                self.changed.notify_all();
            }
            if state.waiting.is_empty() {
                // Those who handed something in have left.
                if let Some(batch) = &mut state.gathering {
                    batch.filled = 0;
                }
                state.since = None;
                state = self.sleep(state, None);
                continue;
            }
            let waited = state.since.map_or(TIMEOUT, |since| since.elapsed());
            let filled = state.gathering.as_ref().map_or(0, |batch| batch.filled);
            let is_due = filled >= self.capacity
                || state.waiting.len() >= state.members
                || waited >= TIMEOUT;
            if !is_due {
                state = self.sleep(state, Some(TIMEOUT - waited));
                continue;
            }
            state.running = std::mem::take(&mut state.waiting);
            state.since = None;
            self.stop.clear();
            return state.gathering.take();
        }
    }
}

fn interrupted() -> Error {
    Error::Runtime(runtime::Error::Interrupted)
}

#[cfg(test)]
mod tests {
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
            std::thread::spawn(move || {
                matches!(paint(&member, &[1.0], None), Err(Error::Missing(_)))
            })
        });
        assert_eq!(threads.map(|thread| thread.join().unwrap()), [true, true]);
    }
}
