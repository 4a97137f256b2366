//! What waits to be said on air.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::mix::{BLOCK, RATE};
use super::speech::{Decoded, Speech};
use crate::error::Failure;

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

/// What is heard while the next block of sound is made.
pub(super) struct Heard {
    /// Something of the queue is being said.
    pub is_saying: bool,
    /// Name of what speaks while nothing else does.
    pub line: Option<String>,
    /// It may still have something to say.
    pub may_line_speak: bool,
    /// There is sound.
    pub is_speaking: bool,
}

/// What becomes of the next block of sound.
pub(super) struct Turn {
    /// What is being said ends here.
    pub is_cut: bool,
    /// It is silence.
    pub is_silenced: bool,
}

impl Queue {
    /// Notes what is heard, and says what becomes of the next block.
    pub(super) fn turn(&mut self, heard: Heard) -> Turn {
        let is_cut = mem::take(&mut self.skip);
        if is_cut {
            self.current = None;
        }
        let is_saying = heard.is_saying && !is_cut;
        // What was asked for comes before what speaks anyhow.
        let yields = !is_saying && self.is_ready();
        let is_silenced = is_cut || self.is_paused || yields;
        self.has_line = heard.may_line_speak;
        self.line = heard.line;
        self.is_speaking = heard.is_speaking;
        if is_saying && !is_silenced {
            self.given += BLOCK as u64;
        }
        Turn {
            is_cut,
            is_silenced,
        }
    }

    /// Begins with what waits first, if it is open; gives it, its name and when it arrived.
    pub(super) fn begin_next(&mut self) -> Option<(Decoded, String, Instant)> {
        if self.is_paused || !self.is_ready() {
            return None;
        }
        let waiting = self.waiting.pop_front()?;
        let Readiness::Open(decoded) = waiting.speech else {
            return None;
        };
        self.current = Some((waiting.name.clone(), waiting.seconds));
        self.given = 0;
        Some((decoded, waiting.name, waiting.arrived))
    }

    /// Whether what speaks while nothing else does may still have something to say.
    pub(super) fn set_line(&mut self, may_speak: bool) {
        self.has_line = may_speak;
    }

    /// What was being said is over.
    pub(super) fn end_current(&mut self) {
        self.current = None;
    }

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
    pub(super) fn take_to_open(&mut self, streams: bool, now: Instant) -> Option<Speech> {
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
    pub(super) fn opened(
        &mut self,
        since: Instant,
        opened: Result<Decoded, Failure>,
    ) -> Option<String> {
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
    pub(super) fn too_long(&mut self, now: Instant) -> Option<String> {
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
    pub(super) fn is_ready(&self) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::FailureKind;

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
