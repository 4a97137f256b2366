//! The order of frames: forwards, again, backwards, or standing still.

use gst::ClockTime;

use super::LoopMode;
use super::error::{Error, Stage};
use super::reader::{Reader, Stop, Times};
use super::schedule::Rate;
use crate::source_time;

/// What backwards play decodes at a time.
const CHUNK_BYTES: usize = 48 << 20;
const CHUNK_FRAMES: usize = 100;
/// From here on a seek is worth more than decoding all up to where it leads.
const FAR: ClockTime = ClockTime::from_seconds(5);
/// A seek that lands further from where it was to lead has not worked.
const OFF: ClockTime = ClockTime::from_seconds(1);
/// For a frame whose file does not say how long it lasts.
const DEFAULT_PERIOD: ClockTime = ClockTime::from_mseconds(40);

/// No camera is faster: a higher rate is the unit in which the container counts time, and parsers let a
/// frame last so long.
const FASTEST: gst::Fraction = gst::Fraction::from_integer(480);
const SHORTEST: ClockTime = ClockTime::from_nseconds(1_000_000_000 / 480);

/// Demuxers invent no longer gaps than this.
const LONGEST_INVENTED: ClockTime = ClockTime::from_seconds(2);

/// A decoded frame.
#[derive(Debug)]
pub struct Frame {
    pub buffer: gst::Buffer,
    pub caps: gst::Caps,
    /// Time in the file.
    start: ClockTime,
    pub duration: ClockTime,
}

/// What comes next.
#[derive(Debug)]
pub enum Step {
    Show(Frame),
    /// The file has this frame and no other, so nothing says how long it lasts.
    Only(Frame),
    /// This frame stays for ever.
    Hold(Frame),
    End,
}

/// A piece of the file small enough to be decoded at once and shown in reverse.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    start: ClockTime,
    /// Duration of its first frame.
    first: ClockTime,
    end: ClockTime,
    frames: usize,
    bytes: usize,
    /// How many frames of the file are before it.
    before: usize,
}

enum Phase {
    /// The reader has to go back to the start of the file.
    Restart,
    /// The reader has to go to this time of the output.
    Jump(ClockTime),
    Forwards,
    /// Chunks before this one are still to come. Frames of the current one are collected in order,
    /// then taken from the back.
    Backwards {
        chunk: usize,
        frames: Vec<Frame>,
        complete: bool,
    },
    /// The one frame that stays.
    Still(Frame),
    Done,
}

pub struct Playback {
    reader: Reader,
    mode: LoopMode,
    phase: Phase,
    /// One frame is held back, because only the next one tells how long it lasts.
    ahead: Option<Frame>,
    last_period: Option<ClockTime>,
    shortest_period: Option<ClockTime>,
    /// Frames given in this pass.
    given: u64,
    /// What the first pass found, for playing backwards.
    chunks: Vec<Chunk>,
    last_start: Option<ClockTime>,
    turns: u64,
    /// When the first frame of the file is.
    first_start: Option<ClockTime>,
    /// Where in the output the frame is that a jump led to, until that is asked for.
    landed: Option<ClockTime>,
    /// Frames read since the reader was at the start of the file.
    read: usize,
    /// Where the demuxer's times are wrong: those that the frames of the file got in the first pass. In
    /// later ones, frames are told by their number.
    known: Vec<(ClockTime, ClockTime)>,
    /// The gaps of the first pass that the demuxer invented, together.
    invented: ClockTime,
}

impl Playback {
    pub fn new(reader: Reader, mode: LoopMode) -> Self {
        Self {
            reader,
            mode,
            phase: Phase::Forwards,
            ahead: None,
            last_period: None,
            shortest_period: None,
            given: 0,
            chunks: Vec::new(),
            last_start: None,
            turns: 0,
            first_start: None,
            landed: None,
            read: 0,
            known: Vec::new(),
            invented: ClockTime::ZERO,
        }
    }

    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Whether the file says for each frame how long it lasts, so that a rate tells nothing.
    pub fn has_own_times(&self) -> bool {
        matches!(self.reader.times(), Times::Given(_))
    }

    /// How often the end of the file, or backwards its start, was passed.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// Begins again.
    fn restart(&mut self) {
        self.ahead = None;
        self.landed = None;
        self.turns = 0;
        // A still picture is there already.
        if !matches!(self.phase, Phase::Still(_)) || self.mode == LoopMode::Hold {
            self.phase = Phase::Restart;
        }
    }

    /// Begins again so that the frame at `time` of the output comes soon: where that is far, the frames
    /// before it are not decoded, if the file can be searched.
    pub fn restart_at(&mut self, time: ClockTime) {
        let can_jump = self.mode == LoopMode::None
            && time > FAR
            && self.first_start.is_some()
            && !matches!(self.phase, Phase::Still(_))
            && matches!(self.reader.times(), Times::True)
            && self.reader.is_seekable();
        self.restart();
        if can_jump {
            self.phase = Phase::Jump(time);
        }
    }

    /// Whether a jump was begun of which nothing was shown yet.
    pub fn is_jumping(&self) -> bool {
        matches!(self.phase, Phase::Jump(_)) || self.landed.is_some()
    }

    /// Where in the output the last frame begins, if a jump has led to it; asked once.
    pub fn landed(&mut self) -> Option<ClockTime> {
        self.landed.take()
    }

    /// May be called again after `Stop::Flushing`: nothing is lost.
    pub fn step(&mut self) -> Result<Step, Stop> {
        loop {
            match &mut self.phase {
                Phase::Restart => {
                    self.reader.wait_until_idle()?;
                    self.forwards();
                }
                Phase::Jump(time) => {
                    let time = *time;
                    self.reader.wait_until_idle()?;
                    self.jump(time)?;
                }
                Phase::Forwards => return self.step_forwards(),
                Phase::Backwards { .. } => {
                    if let Some(frame) = self.step_backwards()? {
                        return Ok(Step::Show(frame));
                    }
                    self.turns += 1;
                    self.forwards();
                }
                Phase::Still(frame) => return Ok(Step::Hold(frame.share())),
                Phase::Done => return Ok(Step::End),
            }
        }
    }

    fn forwards(&mut self) {
        self.read = 0;
        self.reader.rewind();
        self.given = 0;
        self.phase = Phase::Forwards;
    }

    /// Goes to the frame at `time` of the output; where the file leads elsewhere, back to its start.
    fn jump(&mut self, time: ClockTime) -> Result<(), Stop> {
        let first = self.first_start.unwrap_or_default();
        let period = self.last_period.unwrap_or(DEFAULT_PERIOD);
        let wanted = first + time;
        // A decoder clips the frame to the position of the seek, so that one is not taken.
        self.reader.seek(wanted.saturating_sub(period * 2));
        self.phase = Phase::Jump(time);
        let clipped = self.reader.pull()?;
        let landed = match (clipped, self.reader.pull()?) {
            (Some(_), Some(sample)) => Some(self.frame(&sample)?),
            // Only the end is there.
            _ => None,
        };
        match landed {
            Some(frame) if frame.start <= wanted + OFF && frame.start + OFF >= wanted => {
                self.landed = Some(frame.start.saturating_sub(first));
                self.ahead = Some(frame);
                // Others were given before it.
                self.given = 1;
                self.phase = Phase::Forwards;
            }
            _ => self.phase = Phase::Restart,
        }
        Ok(())
    }

    fn step_forwards(&mut self) -> Result<Step, Stop> {
        while let Some(next) = self.pull()? {
            self.first_start.get_or_insert(next.start);
            if let Some(mut frame) = self.ahead.replace(next) {
                if let Some(next) = &self.ahead {
                    frame.duration = next.start - frame.start;
                }
                self.last_period = Some(frame.duration);
                let shortest = self.shortest_period.unwrap_or(frame.duration);
                self.shortest_period = Some(shortest.min(frame.duration));
                self.know(&frame);
                return Ok(Step::Show(self.given(frame)));
            }
        }
        let Some(frame) = self.ahead.take() else {
            return Err(self.fail(|name| Error::Damaged {
                name,
                reason: "no frame in it can be decoded".into(),
                stage: Stage::Decode,
            }));
        };
        self.know(&frame);
        let frame = self.given(frame);
        self.turn(&frame);
        match (self.given, self.mode) {
            (1, LoopMode::None) => Ok(Step::Only(frame)),
            (1, _) => self.step(),
            _ => Ok(Step::Show(frame)),
        }
    }

    /// The next frame of the file.
    fn pull(&mut self) -> Result<Option<Frame>, Stop> {
        // Known as soon as the reader has found out what the file is, so not before the first frame.
        if self.read > 0
            && let Times::Given(durations) = self.reader.times()
            && self.read >= durations.len()
        {
            return Ok(None);
        }
        let Some(sample) = self.reader.pull()? else {
            return Ok(None);
        };
        let mut frame = self.frame(&sample)?;
        drop(sample);
        match self.reader.times() {
            Times::True => {}
            _ if self.known.get(self.read).is_some() => {
                (frame.start, frame.duration) = self.known[self.read];
            }
            Times::Given(durations) => {
                let before = self.ahead.as_ref();
                frame.start = before.map_or(ClockTime::ZERO, |b| b.start + b.duration);
                frame.duration = durations.get(self.read).copied().unwrap_or(frame.duration);
            }
            Times::WithInventedGaps => {
                if let Some(before) = &self.ahead {
                    let end = before.start + before.duration;
                    let gap = frame
                        .start
                        .saturating_sub(self.invented)
                        .saturating_sub(end);
                    if gap > before.duration / 2 && gap < LONGEST_INVENTED {
                        self.invented += gap;
                    }
                    frame.start = frame.start.saturating_sub(self.invented).max(end);
                }
            }
        }
        self.read += 1;
        Ok(Some(frame))
    }

    /// Notes the times of a frame of the first pass, where they can't be had again.
    fn know(&mut self, frame: &Frame) {
        let is_new = self.known.len() as u64 == self.given;
        if self.turns == 0 && is_new && !matches!(self.reader.times(), Times::True) {
            self.known.push((frame.start, frame.duration));
        }
    }

    /// At the end of a pass: what comes after its last frame.
    fn turn(&mut self, last: &Frame) {
        match self.mode {
            LoopMode::None => self.phase = Phase::Done,
            LoopMode::Hold => self.phase = Phase::Still(last.share()),
            _ if self.given == 1 => self.phase = Phase::Still(last.share()),
            LoopMode::Loop => {
                self.turns += 1;
                self.forwards();
            }
            LoopMode::PingPong => {
                self.turns += 1;
                // Some demuxers shift times a little after a seek: those of the first pass count.
                self.last_start.get_or_insert(last.start);
                self.backwards(self.chunks.len());
            }
        }
    }

    /// Starts on the chunk before `chunk`.
    fn backwards(&mut self, chunk: usize) {
        let complete = match chunk.checked_sub(1).and_then(|i| self.chunks.get(i)) {
            Some(before) if matches!(self.reader.times(), Times::True) => {
                // The middle of the frame: rounding in the file's index then can't hit a neighbour.
                self.reader.seek(before.start + before.first / 2);
                false
            }
            Some(_) => {
                // A seek goes anywhere; frames are counted from the start of the file.
                self.read = 0;
                self.reader.rewind();
                false
            }
            None => true,
        };
        self.phase = Phase::Backwards {
            chunk: chunk.saturating_sub(1),
            frames: Vec::new(),
            complete,
        };
    }

    /// The next frame in reverse order. The first and the last frame of the file belong to the
    /// forward pass, so that they are not doubled.
    fn step_backwards(&mut self) -> Result<Option<Frame>, Stop> {
        loop {
            let Phase::Backwards {
                chunk,
                frames,
                complete,
            } = &mut self.phase
            else {
                return Ok(None);
            };
            let Some(&wanted) = self.chunks.get(*chunk) else {
                return Ok(None);
            };
            if *complete {
                while let Some(frame) = frames.pop() {
                    let is_end = Some(frame.start) == self.last_start
                        || Some(frame.start) == self.chunks.first().map(|c| c.start);
                    if !is_end {
                        return Ok(Some(frame.noted()));
                    }
                }
                if *chunk == 0 {
                    return Ok(None);
                }
                let chunk = *chunk;
                self.backwards(chunk);
                continue;
            }
            let next = self.pull()?;
            if !self.known.is_empty() && next.is_some() && self.read <= wanted.before {
                continue;
            }
            self.collect(next, wanted);
        }
    }

    /// Adds a frame to the chunk being read; `None` is the end of the file.
    fn collect(&mut self, next: Option<Frame>, wanted: Chunk) {
        let Phase::Backwards {
            frames, complete, ..
        } = &mut self.phase
        else {
            return;
        };
        let end = wanted.end;
        let Some(mut next) = next.filter(|f| f.start < end) else {
            if let Some(last) = frames.last_mut() {
                last.duration = end - last.start;
            }
            *complete = true;
            return;
        };
        match frames.last_mut() {
            // A decoder clips the frame to the position of the seek.
            None if next.start < wanted.start + wanted.first => next.start = wanted.start,
            None => (),
            Some(last) => last.duration = next.start.saturating_sub(last.start),
        }
        frames.push(next);
        // The chunk is known to be small; a file that has changed must not make it large.
        if frames.len() > CHUNK_FRAMES {
            *complete = true;
        }
    }

    fn given(&mut self, frame: Frame) -> Frame {
        let frame = frame.noted();
        self.given += 1;
        if self.mode == LoopMode::PingPong && self.last_start.is_none() {
            self.index(&frame);
        }
        frame
    }

    fn index(&mut self, frame: &Frame) {
        let bytes = frame.buffer.size();
        let end = frame.start + frame.duration;
        match self.chunks.last_mut() {
            Some(chunk) if chunk.frames < CHUNK_FRAMES && chunk.bytes + bytes <= CHUNK_BYTES => {
                chunk.frames += 1;
                chunk.bytes += bytes;
                chunk.end = end;
            }
            _ => self.chunks.push(Chunk {
                start: frame.start,
                first: frame.duration,
                end,
                frames: 1,
                bytes,
                before: self.given.saturating_sub(1) as usize,
            }),
        }
    }

    /// Takes a sample apart. Its time is kept after that of the frame before, come what may.
    fn frame(&self, sample: &gst::Sample) -> Result<Frame, Stop> {
        let (Some(buffer), Some(caps)) = (sample.buffer_owned(), sample.caps_owned()) else {
            return Err(self.fail(|name| Error::Damaged {
                name,
                reason: "a frame has no picture format".into(),
                stage: Stage::Decode,
            }));
        };
        let told = buffer.pts().and_then(|pts| self.reader.told_duration(pts));
        let duration = told
            .or(buffer.duration())
            .filter(|duration| *duration >= SHORTEST)
            .or_else(|| claimed_rate(&caps).and_then(as_rate).map(Rate::period))
            .or(self.usual_period())
            .unwrap_or(DEFAULT_PERIOD);
        let time = buffer.pts().and_then(|pts| {
            let segment = sample.segment()?.downcast_ref::<ClockTime>()?;
            segment.to_stream_time(pts)
        });
        let before = match &self.phase {
            Phase::Backwards { frames, .. } => frames.last(),
            _ => self.ahead.as_ref(),
        };
        let start = match (time, before) {
            (Some(time), Some(before)) if time <= before.start => before.start + before.duration,
            (Some(time), _) => time,
            (None, Some(before)) => before.start + before.duration,
            (None, None) => ClockTime::ZERO,
        };
        Ok(Frame {
            buffer,
            caps,
            start,
            duration,
        })
    }

    /// How long a frame lasts of which nothing is said: as long as the one before it, if that was no gap.
    fn usual_period(&self) -> Option<ClockTime> {
        let (last, shortest) = self.last_period.zip(self.shortest_period)?;
        Some(if last > shortest * 3 { shortest } else { last })
    }

    fn fail(&self, error: impl FnOnce(String) -> Error) -> Stop {
        Stop::Failed(error(self.reader.name().to_owned()))
    }
}

impl Frame {
    /// With a note of when it is in the file, which its new time stamp won't say.
    fn noted(mut self) -> Self {
        source_time::attach(self.buffer.make_mut(), self.start);
        self
    }

    /// Another frame of the same memory.
    fn share(&self) -> Self {
        Self {
            buffer: self.buffer.clone(),
            caps: self.caps.clone(),
            ..*self
        }
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
