//! A thread in which a generator paints while other work goes on.

use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::model::{self, Batch};
use crate::runtime::{self, Interrupt};

/// Runs batches in a thread of its own, one at a time.
pub struct Background {
    /// Gone when the thread is to end.
    batches: Option<mpsc::SyncSender<Batch>>,
    runs: mpsc::Receiver<Run>,
    thread: Option<JoinHandle<()>>,
}

/// A batch that was run.
pub struct Run {
    pub batch: Batch,
    pub result: Result<(), model::Error>,
    pub took: Duration,
}

impl Background {
    /// Starts the thread; its runs end when `interrupt` is raised.
    pub fn start(interrupt: Arc<Interrupt>) -> Result<Self, model::Error> {
        let (batches, to_run) = mpsc::sync_channel::<Batch>(1);
        let (done, runs) = mpsc::sync_channel(1);
        let work = move || {
            for mut batch in to_run {
                let begin = Instant::now();
                let result = batch.run(Some(&interrupt));
                let took = begin.elapsed();
                let run = Run {
                    batch,
                    result,
                    took,
                };
                if done.send(run).is_err() {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new().name("lipsync-run".into());
        let thread = thread
            .spawn(work)
            .map_err(|e| failed(format!("no thread could be started for it: {e}")))?;
        Ok(Self {
            batches: Some(batches),
            runs,
            thread: Some(thread),
        })
    }

    /// Starts to run `batch`; [`wait`](Self::wait) gives it back.
    pub fn run(&self, batch: Batch) -> Result<(), model::Error> {
        let sent = self.batches.as_ref().map(|batches| batches.send(batch));
        match sent {
            Some(Ok(())) => Ok(()),
            _ => Err(failed("its thread has ended".into())),
        }
    }

    /// Waits until the batch that was given last is done.
    pub fn wait(&self) -> Result<Run, model::Error> {
        self.runs
            .recv()
            .map_err(|_| failed("its thread has ended".into()))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it was an error of `wait` already.
            let _ = thread.join();
        }
    }
}

fn failed(reason: String) -> model::Error {
    model::Error::Runtime(runtime::Error::Inference {
        model: "the generator".into(),
        reason,
    })
}
