//! The voice on air: what waits to be said, and the thread that gives the sound by the clock.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use super::Notice;
use super::address::back_off;
use super::engine::Engine;
use super::mix::{self, BLOCK, MixEvent, Mixer, RATE, time_of};
use super::speech::{Decoded, Speech};
use crate::error::{Failure, FailureKind};
use crate::sync::lock;

/// One that waits to be said.
struct Waiting {
    name: String,
    seconds: f64,
    arrived: Instant,
    speech: Readiness,
}

/// The next one is opened while the one before it is being said, so that there is no pause between
/// them. Streams are not: they would be late for good.
enum Readiness {
    Closed(Speech),
    /// A thread has taken it and brings it back: opening may take as long as a server likes, and the sound
    /// has to go on. The instant tells one from the other.
    Opening(Instant),
    Open(Decoded),
}

/// How long opening may take.
const OPEN_LIMIT: Duration = Duration::from_secs(20);

/// What is being said and what waits.
#[derive(Default)]
pub struct Queue {
    waiting: VecDeque<Waiting>,
    /// Name and length in seconds of what is being said.
    current: Option<(String, f64)>,
    /// Samples of it that have gone out.
    given: u64,
    /// What speaks while nothing else does, as long as it does.
    line: Option<String>,
    /// It may still have something to say.
    has_line: bool,
    is_speaking: bool,
    skip: bool,
    is_paused: bool,
}

pub type SharedQueue = Arc<Mutex<Queue>>;

impl Queue {
    pub fn push(&mut self, speech: Speech, seconds: f64, arrived: Instant) {
        self.waiting.push_back(Waiting {
            name: speech.name(),
            seconds,
            arrived,
            speech: Readiness::Closed(speech),
        });
    }

    pub fn skip(&mut self) {
        self.skip = true;
    }

    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    pub fn pause(&mut self, pause: bool) {
        self.is_paused = pause;
    }

    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Takes what comes first to be opened, streams only with `streams`.
    fn take_to_open(&mut self, streams: bool, now: Instant) -> Option<Speech> {
        let first = self.waiting.front_mut()?;
        match &first.speech {
            Readiness::Closed(Speech::File(_)) => {}
            Readiness::Closed(_) if streams => {}
            _ => return None,
        }
        match mem::replace(&mut first.speech, Readiness::Opening(now)) {
            Readiness::Closed(speech) => Some(speech),
            _ => None,
        }
    }

    /// Brings back what was taken at `since`; gives what to say of it.
    fn opened(&mut self, since: Instant, opened: Result<Decoded, Failure>) -> Option<String> {
        let first = self.waiting.front_mut();
        // The queue may have been cleared meanwhile, or it took too long.
        let first =
            first.filter(|w| matches!(w.speech, Readiness::Opening(began) if began == since))?;
        match opened {
            Ok(decoded) => {
                first.speech = Readiness::Open(decoded);
                None
            }
            Err(failure) => {
                self.waiting.pop_front();
                Some(failure.to_string())
            }
        }
    }

    /// Gives up what takes too long to open; gives what to say of it.
    fn too_long(&mut self, now: Instant) -> Option<String> {
        let first = self.waiting.front()?;
        let is_too_long =
            matches!(first.speech, Readiness::Opening(since) if now - since > OPEN_LIMIT);
        let name = is_too_long.then(|| first.name.clone())?;
        self.waiting.pop_front();
        Some(format!(
            "{name}: it could not be opened within {} s",
            OPEN_LIMIT.as_secs()
        ))
    }

    /// Whether what comes first can begin now.
    fn is_ready(&self) -> bool {
        let first = self.waiting.front();
        first.is_some_and(|w| matches!(w.speech, Readiness::Open(_)))
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Seconds of speech that are known to wait, with the rest of what is being said.
    pub fn seconds(&self) -> f64 {
        let waiting: f64 = self.waiting.iter().map(|w| w.seconds).sum();
        let current = self.current.as_ref().map_or(0.0, |(_, seconds)| {
            (seconds - self.given as f64 / RATE as f64).max(0.0)
        });
        waiting + current
    }

    /// What speaks.
    pub fn speaking(&self) -> Option<String> {
        match &self.current {
            Some((name, _)) => Some(name.clone()),
            None => self.line.clone().filter(|_| self.is_speaking),
        }
    }

    /// Whether everything has been said.
    pub fn is_said(&self) -> bool {
        self.waiting.is_empty() && self.current.is_none() && !self.has_line && !self.is_speaking
    }
}

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
            let mut queue = lock(&self.queue);
            let is_cut = mem::take(&mut queue.skip);
            if is_cut {
                current = None;
                wanted_since = None;
                queue.current = None;
            }
            // What was asked for comes before what speaks anyhow.
            let yields = current.is_none() && queue.is_ready();
            let is_silenced = is_cut || queue.is_paused || yields;
            queue.has_line = line.may_speak();
            queue.line = line.source.as_ref().map(|source| source.name.clone());
            queue.is_speaking = !mixer.is_silent();
            if current.is_some() && !is_silenced {
                queue.given += BLOCK as u64;
            }
            drop(queue);
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
        let streams = streams && !queue.is_paused;
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
        let mut queue = lock(&self.queue);
        if queue.is_paused || !queue.is_ready() {
            return None;
        }
        let waiting = queue.waiting.pop_front()?;
        let Readiness::Open(decoded) = waiting.speech else {
            return None;
        };
        queue.current = Some((waiting.name.clone(), waiting.seconds));
        queue.given = 0;
        drop(queue);
        let _ = self
            .said
            .send(Notice::Message(format!("saying {}", waiting.name)));
        Some((decoded, waiting.arrived))
    }

    fn ended(&self, ended: &Decoded) {
        lock(&self.queue).current = None;
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
        lock(&self.queue).has_line = line.may_speak();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_does_not_open_holds_up_nothing() {
        let mut queue = Queue::default();
        let now = Instant::now();
        let stream = || Speech::Uri("rtsp://host/one".into());
        queue.push(stream(), 0.0, now);
        assert!(
            queue.take_to_open(false, now).is_none(),
            "it would be late for good"
        );
        assert!(queue.take_to_open(true, now).is_some());
        assert!(
            queue.take_to_open(true, now).is_none(),
            "it is being opened"
        );
        assert!(!queue.is_ready(), "so whatever else speaks goes on");
        assert_eq!(queue.too_long(now + OPEN_LIMIT), None);
        let later = now + OPEN_LIMIT + Duration::from_secs(1);
        let text = queue.too_long(later).unwrap();
        assert!(text.starts_with("rtsp://host/one: "), "{text}");
        // Its thread comes back when another one is first.
        queue.push(Speech::File("a.wav".into()), 1.0, later);
        assert!(queue.take_to_open(false, later).is_some());
        let late = || Err(Failure::new(FailureKind::Internal));
        assert_eq!(queue.opened(now, late()), None);
        assert_eq!(queue.waiting(), 1);
        assert!(queue.opened(later, late()).is_some());
        assert_eq!(queue.waiting(), 0);
    }

    #[test]
    fn the_queue_knows_what_is_left_to_say() {
        let mut queue = Queue::default();
        assert!(queue.is_said());
        queue.push(Speech::File("a.wav".into()), 4.0, Instant::now());
        queue.push(Speech::File("b.wav".into()), 2.5, Instant::now());
        assert_eq!((queue.seconds(), queue.waiting()), (6.5, 2));
        assert!(!queue.is_said());
        let said = queue.waiting.pop_front().unwrap();
        queue.current = Some((said.name, said.seconds));
        queue.given = RATE as u64;
        assert_eq!(queue.seconds(), 5.5);
        assert_eq!(queue.speaking().as_deref(), Some("a.wav"));
        queue.clear();
        queue.current = None;
        queue.has_line = true;
        assert!(!queue.is_said(), "the line may still speak");
    }
}
