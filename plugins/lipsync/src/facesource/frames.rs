//! The decoded frames of a file, each with its time in it.

use std::task::Poll;

use gst::ClockTime;

use super::error::{Error, Stage};
use super::reader::{Reader, Stop};
use super::schedule::Rate;
use super::status::Times;
use crate::source_time;

/// For a frame whose file does not say how long it lasts.
pub const DEFAULT_PERIOD: ClockTime = ClockTime::from_mseconds(40);

/// No camera is faster: a higher rate is the unit in which the container counts time, and parsers let a
/// frame last so long.
const FASTEST: gst::Fraction = gst::Fraction::from_integer(480);
const SHORTEST: ClockTime = ClockTime::from_nseconds(1_000_000_000 / 480);

/// Containers count in milliseconds.
const ROUNDING: ClockTime = ClockTime::from_mseconds(2);

/// Demuxers invent no longer gaps than this.
const LONGEST_INVENTED: ClockTime = ClockTime::from_seconds(2);

/// The demuxer of transport streams estimates what time it is behind a longer gap.
const LONGEST_TRUE: ClockTime = ClockTime::from_mseconds(500);

/// When a frame is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub start: ClockTime,
    pub duration: ClockTime,
}

impl Span {
    pub fn end(&self) -> ClockTime {
        self.start + self.duration
    }
}

/// A decoded frame.
#[derive(Debug)]
pub struct Frame {
    pub buffer: gst::Buffer,
    pub caps: gst::Caps,
    pub span: Span,
}

impl Frame {
    /// With a note of when it is in the file, which its new time stamp won't say.
    pub fn noted(mut self) -> Self {
        source_time::attach(self.buffer.make_mut(), self.span.start);
        self
    }

    /// Another frame of the same memory.
    pub fn share(&self) -> Self {
        Self {
            buffer: self.buffer.clone(),
            caps: self.caps.clone(),
            ..*self
        }
    }
}

/// The frames of a file in their order, from where the reader was sent.
pub struct Frames {
    reader: Reader,
    /// The first of the file, where it was waited for but not asked for.
    waiting: Option<gst::Sample>,
    /// The reader has given a frame, so that it can be sent elsewhere.
    is_open: bool,
    /// Frames read since the reader was at the start of the file.
    read: usize,
    last_period: Option<ClockTime>,
    shortest_period: Option<ClockTime>,
    /// All periods were the same.
    is_steady: bool,
    /// Where the demuxer's times are wrong: those that the frames of the file got in the first pass. In
    /// later ones, frames are told by their number.
    known: Vec<Span>,
    /// The gaps of the first pass that the demuxer invented, together.
    invented: ClockTime,
}

impl Frames {
    pub fn new(reader: Reader) -> Self {
        Self {
            reader,
            waiting: None,
            is_open: false,
            read: 0,
            last_period: None,
            shortest_period: None,
            is_steady: true,
            known: Vec::new(),
            invented: ClockTime::ZERO,
        }
    }

    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Whether times in the file lead to its frames.
    pub fn has_true_times(&self) -> bool {
        matches!(self.reader.times(), Times::True)
    }

    /// What the frames of the first pass were found to be, where that can't be had again.
    pub fn known(&self) -> &[Span] {
        &self.known
    }

    pub fn know(&mut self, known: &[Span]) {
        known.clone_into(&mut self.known);
    }

    /// Notes the time of frame `number` of the first pass, where it can't be had again.
    pub fn note(&mut self, number: u64, span: Span) {
        if self.known.len() as u64 == number && !self.has_true_times() {
            self.known.push(span);
        }
    }

    /// How long the frame before the next one lasts.
    pub fn last_period(&self) -> Option<ClockTime> {
        self.last_period
    }

    pub fn set_last_period(&mut self, period: ClockTime) {
        self.last_period = Some(period);
        let shortest = self.shortest_period.unwrap_or(period);
        self.is_steady &= period <= shortest + ROUNDING && shortest <= period + ROUNDING;
        self.shortest_period = Some(shortest.min(period));
    }

    /// How long all frames lasted so far, where they did for the same time.
    fn steady_period(&self) -> Option<ClockTime> {
        let (last, shortest) = self.last_period.zip(self.shortest_period)?;
        self.is_steady.then_some(last.min(shortest + ROUNDING))
    }

    /// How long a frame lasts of which nothing is said: as long as the one before it, if that was no gap.
    fn usual_period(&self) -> Option<ClockTime> {
        let (last, shortest) = self.last_period.zip(self.shortest_period)?;
        Some(if last > shortest * 3 { shortest } else { last })
    }

    /// Frames read since the reader was at the start of the file.
    pub fn read(&self) -> usize {
        self.read
    }

    /// Whether the next frame is the first of the file.
    pub fn is_at_start(&self) -> bool {
        self.read == 0
    }

    /// Whether the reader can be sent elsewhere, which needs its first frame.
    pub fn poll_open(&mut self) -> Result<bool, Stop> {
        if self.is_open {
            return Ok(!self.reader.is_busy());
        }
        if let Poll::Ready(sample) = self.reader.poll()? {
            self.waiting = sample;
            self.is_open = true;
        }
        Ok(self.is_open)
    }

    /// Waits until [`poll_open`](Self::poll_open) says yes.
    pub fn wait_open(&mut self) -> Result<(), Stop> {
        if self.is_open {
            return Ok(self.reader.wait_until_idle()?);
        }
        self.waiting = self.reader.pull()?;
        self.is_open = true;
        Ok(())
    }

    pub fn rewind(&mut self) {
        self.read = 0;
        self.waiting = None;
        self.reader.rewind();
    }

    /// Goes to the frame shown at a time in the file.
    pub fn seek(&mut self, time: ClockTime) {
        self.go_on();
        self.reader.seek(time);
    }

    /// Goes to the last key frame of the file before a time.
    pub fn seek_key_before(&mut self, time: ClockTime) {
        self.go_on();
        self.reader.seek_key_before(time);
    }

    /// The next frame is somewhere in the file.
    fn go_on(&mut self) {
        self.waiting = None;
        self.read = self.read.max(1);
    }

    /// The next frame of the file, which comes after `before`.
    pub fn next(&mut self, before: Option<Span>) -> Result<Option<Frame>, Stop> {
        if self.is_over() {
            return Ok(None);
        }
        let sample = match self.waiting.take() {
            Some(sample) => Some(sample),
            None => self.reader.pull()?,
        };
        self.take(sample, before)
    }

    /// As [`next`](Self::next), without waiting.
    pub fn poll_next(&mut self, before: Option<Span>) -> Result<Poll<Option<Frame>>, Stop> {
        if self.is_over() {
            return Ok(Poll::Ready(None));
        }
        let sample = match self.waiting.take() {
            Some(sample) => Some(sample),
            None => match self.reader.poll()? {
                Poll::Ready(sample) => sample,
                Poll::Pending => return Ok(Poll::Pending),
            },
        };
        self.take(sample, before).map(Poll::Ready)
    }

    /// Where the demuxer would go on after the last frame.
    fn is_over(&self) -> bool {
        // Known as soon as the reader has found out what the file is, so not before the first frame.
        self.read > 0
            && matches!(self.reader.times(), Times::Given(durations) if self.read >= durations.len())
    }

    fn take(
        &mut self,
        sample: Option<gst::Sample>,
        before: Option<Span>,
    ) -> Result<Option<Frame>, Stop> {
        self.is_open = true;
        let Some(sample) = sample else {
            return Ok(None);
        };
        let mut frame = self.frame(&sample, before)?;
        drop(sample);
        let span = &mut frame.span;
        match self.reader.times() {
            Times::True => {}
            _ if self.known.get(self.read).is_some() => *span = self.known[self.read],
            Times::Given(durations) => {
                span.start = before.map_or(ClockTime::ZERO, |b| b.end());
                span.duration = durations.get(self.read).copied().unwrap_or(span.duration);
            }
            Times::WithInventedGaps => {
                if let Some(before) = before {
                    let end = before.end();
                    let start = span.start.saturating_sub(self.invented);
                    let gap = start.saturating_sub(end);
                    if gap > before.duration / 2 && gap < LONGEST_INVENTED {
                        self.invented += gap;
                    }
                    span.start = span.start.saturating_sub(self.invented).max(end);
                }
            }
        }
        if before.is_some_and(|b| frame.span.start.saturating_sub(b.start) > LONGEST_TRUE) {
            self.reader.tell_of_gap();
        }
        self.read += 1;
        self.check(frame.span)?;
        Ok(Some(frame))
    }

    /// Whether the file goes on for longer than it may.
    fn check(&self, span: Span) -> Result<(), Stop> {
        let Some(most) = self.reader.most() else {
            return Ok(());
        };
        let (excess, property) = if span.start > most.duration {
            let seconds = most.duration.seconds();
            (format!("lasts longer than {seconds} s"), "max-duration")
        } else if self.read as u64 > most.frames {
            (
                format!("has more than {} frames", most.frames),
                "max-frames",
            )
        } else {
            return Ok(());
        };
        Err(self.fail(|name| Error::Beyond {
            name,
            excess,
            property,
        }))
    }

    /// Takes a sample apart. Its time is kept after that of the frame before, come what may.
    fn frame(&self, sample: &gst::Sample, before: Option<Span>) -> Result<Frame, Stop> {
        let (Some(buffer), Some(caps)) = (sample.buffer_owned(), sample.caps_owned()) else {
            return Err(self.fail(|name| Error::Damaged {
                name,
                reason: "a frame has no picture format".into(),
                stage: Stage::Decode,
            }));
        };
        let told = buffer.pts().and_then(|pts| self.reader.told_duration(pts));
        let duration = told
            // A decoder that is told no rate makes one up.
            .or(self.steady_period())
            .or(buffer.duration())
            .filter(|duration| *duration >= SHORTEST)
            .or_else(|| claimed_rate(&caps).and_then(as_rate).map(Rate::period))
            .or(self.usual_period())
            .unwrap_or(DEFAULT_PERIOD);
        let time = buffer.pts().and_then(|pts| {
            let segment = sample.segment()?.downcast_ref::<ClockTime>()?;
            segment.to_stream_time(pts)
        });
        let start = match (time, before) {
            (Some(time), Some(before)) if time <= before.start => before.end(),
            (Some(time), _) => time,
            (None, Some(before)) => before.end(),
            (None, None) => ClockTime::ZERO,
        };
        Ok(Frame {
            buffer,
            caps,
            span: Span { start, duration },
        })
    }

    pub fn fail(&self, error: impl FnOnce(String) -> Error) -> Stop {
        Stop::Failed(error(self.reader.name().to_owned()))
    }
}

/// The frame rate in the caps, where it is known and not the unit in which the container counts time.
pub fn claimed_rate(caps: &gst::Caps) -> Option<gst::Fraction> {
    let fraction = caps.structure(0)?.get::<gst::Fraction>("framerate").ok()?;
    (fraction.numer() > 0 && fraction <= FASTEST).then_some(fraction)
}

pub fn as_rate(fraction: gst::Fraction) -> Option<Rate> {
    Rate::new(fraction.numer(), fraction.denom())
}
