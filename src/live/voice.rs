//! The voice on air: the thread that gives the sound by the clock.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::Notice;
use super::address::back_off;
use super::engine::Engine;
use super::mix::{self, BLOCK, MixEvent, Mixer, time_of};
use super::queue::{Heard, SharedQueue};
use super::speech::{Decoded, Speech};
use crate::error::{Failure, FailureKind};
use crate::sync::lock;

/// The thread that gives the sound.
pub struct Voice {
    pub engine: Arc<Engine>,
    pub queue: SharedQueue,
    pub said: mpsc::Sender<Notice>,
    pub is_over: Arc<AtomicBool>,
    pub begin: Instant,
}

/// What speaks while nothing else does.
#[derive(Default)]
struct Line {
    source: Option<Decoded>,
    /// To open it again: a pipeline of the operator's is not given up.
    again: Option<String>,
    /// Brings it when it is open.
    opening: Option<mpsc::Receiver<Result<Decoded, Failure>>>,
    failures: u32,
    next_try: Option<Instant>,
    since: Option<Instant>,
}

/// A line that has lasted this long was a good one: pauses begin anew.
const GOOD: Duration = Duration::from_secs(10);

impl Line {
    /// Opens it in a thread of its own.
    fn begin(&mut self, speech: Speech) {
        let (sender, opening) = mpsc::sync_channel(1);
        self.opening = Some(opening);
        // One that can't be started drops its end, which is noticed.
        let _ = std::thread::Builder::new()
            .name("opening".into())
            .spawn(move || drop(sender.send(speech.open())));
    }

    /// What has become of the opening.
    fn opened(&mut self) -> Option<Result<Decoded, Failure>> {
        let opened = match self.opening.as_ref()?.try_recv() {
            Ok(opened) => opened,
            Err(mpsc::TryRecvError::Empty) => return None,
            Err(mpsc::TryRecvError::Disconnected) => {
                Err(Failure::new(FailureKind::Internal).detail("no thread could open it"))
            }
        };
        self.opening = None;
        Some(opened)
    }

    fn may_speak(&self) -> bool {
        self.source.is_some() || self.again.is_some() || self.opening.is_some()
    }
}

impl Voice {
    /// Gives sound until the broadcast is over.
    pub fn run(self, line: Option<Speech>) {
        let mut mixer = Mixer::default();
        let mut block = [0.0; BLOCK];
        let mut current: Option<Decoded> = None;
        // Since when the next one could have been said.
        let mut free_since = self.begin;
        let mut wanted_since = None;
        let mut line = self.open_line(line);
        for number in 0.. {
            if self.is_over.load(Relaxed) {
                break;
            }
            self.open_next(current.is_none());
            if current.is_none()
                && mixer.is_silent()
                && let Some((next, arrived)) = self.next()
            {
                current = Some(next);
                wanted_since = Some(arrived.max(free_since));
            }
            self.reopen(&mut line);
            let turn = lock(&self.queue).turn(Heard {
                is_saying: current.is_some(),
                line: line.source.as_ref().map(|source| source.name.clone()),
                may_line_speak: line.may_speak(),
                is_speaking: !mixer.is_silent(),
            });
            if turn.is_cut {
                current = None;
                wanted_since = None;
            }
            let is_silenced = turn.is_silenced;
            if (is_silenced || current.is_some())
                && let Some(line) = &mut line.source
            {
                line.let_pass();
            }
            let source = match (&mut current, &mut line.source) {
                _ if is_silenced => None,
                (Some(current), _) => Some(current as &mut dyn mix::Source),
                (None, Some(line)) => Some(line as &mut dyn mix::Source),
                (None, None) => None,
            };
            match mixer.block(source, &mut block) {
                Some(MixEvent::Began) => {
                    // What a file interrupted goes on when the file is said, however long that was.
                    let arrived = line.source.as_ref().and_then(Decoded::arrived);
                    let of_line = arrived.map(|at| at.max(free_since));
                    let since = wanted_since.take().or(of_line);
                    if let Some(since) = since {
                        self.engine.expect(number, since);
                    }
                }
                Some(MixEvent::Ended) => match current.take() {
                    Some(ended) => self.ended(&ended),
                    None => self.line_ended(&mut line),
                },
                None => {}
            }
            if !mixer.is_silent() || current.is_some() {
                free_since = Instant::now();
            }
            if self.engine.speak(number, &block).is_err() {
                break;
            }
            let due = self.begin + time_of(number + 1);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }

    /// Has what waits first opened, streams only with `streams`.
    fn open_next(&self, streams: bool) {
        let now = Instant::now();
        let mut queue = lock(&self.queue);
        if let Some(text) = queue.too_long(now) {
            let _ = self.said.send(Notice::Warning(text));
        }
        let streams = streams && !queue.is_paused();
        let Some(speech) = queue.take_to_open(streams, now) else {
            return;
        };
        drop(queue);
        let (queue, said) = (self.queue.clone(), self.said.clone());
        let open = move || {
            let opened = speech.open();
            let failed = lock(&queue).opened(now, opened);
            if let Some(text) = failed {
                let _ = said.send(Notice::Warning(text));
            }
        };
        let thread = std::thread::Builder::new().name("opening".into());
        if let Err(error) = thread.spawn(open) {
            let failure = Failure::new(FailureKind::Internal).detail(error);
            let failed = lock(&self.queue).opened(now, Err(failure));
            if let Some(text) = failed {
                let _ = self.said.send(Notice::Warning(text));
            }
        }
    }

    /// Begins with what waits first, if it is open; gives it and when it arrived.
    fn next(&self) -> Option<(Decoded, Instant)> {
        let (decoded, name, arrived) = lock(&self.queue).begin_next()?;
        let _ = self.said.send(Notice::Message(format!("saying {name}")));
        Some((decoded, arrived))
    }

    fn ended(&self, ended: &Decoded) {
        lock(&self.queue).end_current();
        if let Some(reason) = &ended.failure {
            let text = format!("{}: it ended early: {reason}", ended.name);
            let _ = self.said.send(Notice::Warning(text));
        }
    }

    fn open_line(&self, speech: Option<Speech>) -> Line {
        let again = match &speech {
            Some(Speech::Pipeline(text)) => Some(text.clone()),
            _ => None,
        };
        let mut line = Line {
            again,
            ..Line::default()
        };
        if let Some(speech) = speech {
            line.begin(speech);
        }
        lock(&self.queue).set_line(line.may_speak());
        line
    }

    fn line_ended(&self, line: &mut Line) {
        let Some(ended) = line.source.take() else {
            return;
        };
        match &ended.failure {
            Some(reason) => self.line_failed(line, &format!("{}: {reason}", ended.name)),
            // It came to its end, which is no failure.
            None => line.again = None,
        }
    }

    fn line_failed(&self, line: &mut Line, reason: &str) {
        let mut text = reason.to_owned();
        if line.again.is_some() {
            let was_good = line.since.take().is_some_and(|at| at.elapsed() > GOOD);
            line.failures = if was_good { 1 } else { line.failures + 1 };
            let pause = back_off(line.failures);
            line.next_try = Some(Instant::now() + pause);
            text += &format!(". It is tried again in {} s", pause.as_secs());
        }
        let _ = self.said.send(Notice::Warning(text));
    }

    fn reopen(&self, line: &mut Line) {
        match line.opened() {
            Some(Ok(source)) => {
                line.source = Some(source);
                line.since = Some(Instant::now());
            }
            Some(Err(failure)) => self.line_failed(line, &failure.to_string()),
            None => {}
        }
        if line.next_try.take_if(|at| Instant::now() >= *at).is_some()
            && let Some(text) = line.again.clone()
        {
            line.begin(Speech::Pipeline(text));
        }
    }
}
