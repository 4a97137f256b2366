//! Showing events beside the work: a terminal or a pipe that takes nothing any more must not hold up
//! whoever looks after the jobs.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

use super::BatchRenderer;
use crate::event::Event;
use crate::journal::{Begun, JobRow};
use crate::supervisor::Summary;
use crate::sync::lock;

/// Events that may wait before those are left out that pass: the next one says the same. What the journal
/// keeps always gets through; of that each job has a few.
const BEHIND: usize = 200;

/// A renderer in a thread of its own.
pub struct Aside {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<Box<dyn BatchRenderer>>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    is_over: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The next event; nothing when it is over and all have been given.
    fn next(&self) -> Option<Event> {
        let mut state = self.lock();
        while state.events.is_empty() && !state.is_over {
            state = self.changed.wait(state).unwrap_or_else(|e| e.into_inner());
        }
        state.events.pop_front()
    }

    fn close(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }
}

impl Aside {
    pub fn start(mut renderer: Box<dyn BatchRenderer>, begun: Begun) -> io::Result<Self> {
        let queue: Arc<Queue> = Arc::default();
        let events = queue.clone();
        let thread = std::thread::Builder::new()
            .name("show".into())
            .spawn(move || {
                renderer.begin(&begun);
                while let Some(event) = events.next() {
                    renderer.show(&event);
                }
                renderer
            })?;
        Ok(Self {
            queue,
            thread: Some(thread),
        })
    }

    /// Never waits.
    pub fn show(&self, event: &Event) {
        let mut state = self.queue.lock();
        if event.id.is_some() || state.events.len() < BEHIND {
            state.events.push_back(event.clone());
            self.queue.changed.notify_all();
        }
    }

    /// Shows what is left, and how it ended.
    pub fn end(mut self, summary: &Summary, jobs: &[JobRow], notes: &[String]) {
        self.queue.close();
        let renderer = self.thread.take().and_then(|thread| thread.join().ok());
        if let Some(mut renderer) = renderer {
            renderer.end(summary, jobs, notes);
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::event::{Body, JobState, Progress};

    /// Shows nothing before it is let.
    struct Stalled {
        let_go: mpsc::Receiver<()>,
        shown: mpsc::Sender<Event>,
    }

    impl BatchRenderer for Stalled {
        fn begin(&mut self, _: &Begun) {
            let _ = self.let_go.recv();
        }

        fn show(&mut self, event: &Event) {
            let _ = self.shown.send(event.clone());
        }

        fn end(&mut self, _: &Summary, _: &[JobRow], _: &[String]) {}
    }

    #[test]
    fn a_reader_that_stalls_holds_up_nobody_and_misses_nothing_that_is_kept() {
        let (go, let_go) = mpsc::channel();
        let (shown, events) = mpsc::channel();
        let stalled = Box::new(Stalled { let_go, shown });
        let aside = Aside::start(stalled, Begun::default()).unwrap();
        let count = 10 * BEHIND as i64;
        for id in 0..count {
            aside.show(&Event::now(Body::from(Progress::default())));
            let mut kept = Event::now(JobState::Running);
            kept.id = Some(id);
            aside.show(&kept);
        }
        assert_eq!(events.try_iter().count(), 0);
        go.send(()).unwrap();
        drop(aside);
        let (kept, passing): (Vec<_>, Vec<_>) = events.iter().partition(|e| e.id.is_some());
        assert!(kept.iter().map(|e| e.id.unwrap()).eq(0..count));
        assert!(passing.len() < BEHIND, "{}", passing.len());
    }
}
