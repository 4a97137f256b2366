//! One network for many streams: faces of all of them share its runs.
//!
//! A stream hands in its faces and waits. The network runs when a batch is full, when every stream has
//! handed in what it has, or when the first has waited for [`TIMEOUT`]. A stream that is stopped or
//! flushed leaves at once; a run that nobody waits for any more is ended.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Error;
use crate::runtime::{self, Interrupt, Wake};
use crate::sync::{lock, wait, wait_for};

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
            Some(limit) => wait_for(&self.changed, state, limit),
            None => wait(&self.changed, state),
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
mod tests;
